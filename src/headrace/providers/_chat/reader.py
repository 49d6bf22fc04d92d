"""`ChatReader`: chunks and whole answers of the Chat Completions protocol, in all its dialects.

Sources: https://platform.openai.com/docs/api-reference/chat-streaming, and what servers send that
call themselves compatible. What they differ in is read for all of them, since no two agree:

- usage comes in a chunk of its own, with the finish reason, in each chunk as a running total, or
  under `x_groq`: the last one told counts;
- roles, ids, names and finish reasons may be null, empty or told again: the first id and name, the
  last finish reason count;
- what the model thinks is in `reasoning_content`, in `reasoning`, in both (the same text), or a
  part of a `content` that is a list;
- of several choices the first is the message; the others are kept beside it.

A stream is complete after `[DONE]`. Without it, it must have told why it ended and, where the
request asked for that, its usage; then nothing is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from headrace.messages import AIMessageChunk

from .._base.answer import Answer
from .tags import ThinkTags

__all__ = ["ChatReader"]

_Object = Mapping[str, Any]

# Of a chunk, of a choice, of a delta: what is read by name, or is padding, or says nothing.
_READ_ABOVE: Final = frozenset(
    {"choices", "usage", "id", "model", "object", "obfuscation", "p", "x_groq", "done", "error"}
)
_READ_OF_CHOICE: Final = frozenset(
    {"index", "delta", "message", "finish_reason", "logprobs", "text", "token_id", "seed",
     "matched_token"}
)  # fmt: skip
_READ_OF_DELTA: Final = frozenset(
    {"role", "content", "tool_calls", "function_call", "refusal", "reasoning_content", "reasoning",
     "audio", "annotations", "token_id", "tool_call_id", "name", "prefix"}
)  # fmt: skip


class ChatReader(Answer):
    """Reads one answer.

    Args:
        provider: whose answer it is.
        wants_usage: the request asked for the usage of the stream.
        think_tags: a text that begins with `<think>` is reasoning up to `</think>`.
        blocks: as of `Answer`.
    """

    def __init__(
        self,
        provider: str,
        *,
        wants_usage: bool = False,
        think_tags: bool = False,
        blocks: bool = False,
    ) -> None:
        super().__init__(provider, blocks=blocks)
        self._done = False
        self._wants_usage = wants_usage
        self._again = lambda number: type(self)(provider, think_tags=think_tags, blocks=blocks)
        self._tags = ThinkTags() if think_tags else None
        self._logprobs: dict[str, list[Any]] = {}
        self._audio: dict[str, Any] = {}
        self._sound: list[str] = []

    def _missing(self) -> str | None:
        if self._done and (self.finish_reason or self._given):
            return None
        if self.finish_reason is None:
            return "a finish reason"
        if self._wants_usage and self._usage is None:
            return "its usage and [DONE] (stream_usage=False does not wait for them)"
        return None

    # ---- events ---------------------------------------------------------------------------------

    def _read(self, event: _Object) -> None:
        if event.get("done"):
            self._done = True
            return
        self._read_head(event)
        for choice in event.get("choices") or ():
            reader = self._reader_of(choice.get("index") or 0)
            reader.read_choice(choice, choice.get("delta") or choice.get("message") or {})

    def _candidates(self, answer: _Object) -> Iterable[list[AIMessageChunk]]:
        """The chunks of each choice."""
        for number, choice in enumerate(answer.get("choices") or [{}]):
            alone = {**answer, "choices": [{**choice, "index": 0}]}
            yield list(self._again(number).whole(alone, answer))

    def _read_head(self, event: _Object) -> None:
        if not self.id:
            self.id = event.get("id") or None
        if not self.model:
            self.model = event.get("model") or None
        if event.keys() <= _USUAL:
            return
        usage = event.get("usage") or (event.get("x_groq") or {}).get("usage")
        if usage:
            self.read_usage(usage)
        keep(self.facts, event, _READ_ABOVE)

    def read_choice(self, choice: _Object, delta: _Object) -> None:
        """A choice, and what it adds."""
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        content = delta.get("content")
        if delta.get("annotations"):
            self._in_blocks = True  # they stand with the text that comes with them
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str) and thought:
            self.reasoning(thought)
        if isinstance(content, str):
            self._said(content)
        elif isinstance(content, list):
            for part in content:
                self.read_part(part)
        if choice.get("logprobs"):
            self._read_logprobs(choice["logprobs"])
        if not delta.keys() <= _PLAIN_DELTA:
            self._read_rarer(delta)
        if not choice.keys() <= _PLAIN_CHOICE:
            keep(self.facts, choice, _READ_OF_CHOICE)

    def _read_rarer(self, delta: _Object) -> None:
        for call in delta.get("tool_calls") or ():
            self._read_call(call)
        if delta.get("function_call"):
            self._read_call({"index": 0, "function": delta["function_call"]})
        self.refusal(delta.get("refusal"))
        if delta.get("audio"):
            self._read_audio(delta["audio"])
        if delta.get("annotations"):
            self.text("", annotations=[citation(one) for one in delta["annotations"]])
        keep(self.extra, delta, _READ_OF_DELTA)

    def _said(self, text: str) -> None:
        if self._tags is None:
            self.text(text)
            return
        for thought, piece in self._tags.feed(text):
            (self.reasoning if thought else self.text)(piece)

    def read_part(self, part: Any) -> None:
        """A part of a `content` that is a list."""
        if isinstance(part, str):
            self._said(part)
        elif isinstance(part, Mapping):
            kind = part.get("type")
            if kind in ("text", "output_text"):
                self._said(part.get("text") or "")
            elif kind == "refusal":
                self.refusal(part.get("refusal"))
            else:
                self.block({"type": "non_standard", "value": dict(part)})

    def _read_call(self, call: _Object) -> None:
        function = call.get("function") or {}
        place = call.get("index")
        id, name = call.get("id") or None, function.get("name") or None
        id = None if id == "null" else id  # Mistral's word for none
        if id is None and name and place not in self._known:
            id = self.made_up_id()
        self.call(place, id=id, name=name, args=function.get("arguments"))

    def read_usage(self, usage: _Object) -> None:
        """Token counts, under the names of the protocol."""
        asked = usage.get("prompt_tokens_details") or {}
        told = usage.get("completion_tokens_details") or {}
        caches = (asked.get("cached_tokens"), *map(usage.get, _CACHED))
        cached = next((number for number in caches if number is not None), None)
        self.usage(
            usage.get("prompt_tokens"),
            usage.get("completion_tokens"),
            usage.get("total_tokens"),
            of_input=(
                ("audio", asked.get("audio_tokens")),
                ("cache_read", cached),
            ),
            of_output=(
                ("audio", told.get("audio_tokens")),
                ("reasoning", told.get("reasoning_tokens", usage.get("reasoning_tokens"))),
            ),
        )

    # ---- what seldom comes ----------------------------------------------------------------------

    def _read_logprobs(self, logprobs: Any) -> None:
        if not isinstance(logprobs, Mapping):
            return
        for name, values in logprobs.items():
            if isinstance(values, list):
                self._logprobs.setdefault(name, []).extend(values)
        self.facts["logprobs"] = self._logprobs

    def _read_audio(self, audio: _Object) -> None:
        """Sound comes in pieces, each in base64 by itself; its words are the text."""
        for name in ("id", "expires_at"):
            if audio.get(name):
                self._audio[name] = audio[name]
        self._said(audio.get("transcript") or "")
        if audio.get("data"):
            self._sound.append(audio["data"])

    def _before_end(self) -> None:
        if self._tags is not None:
            for thought, piece in self._tags.finish():
                (self.reasoning if thought else self.text)(piece)
        if self._audio or self._sound:
            self.block({"type": "audio", "base64": joined_base64(self._sound), **self._audio})


_USUAL: Final = frozenset({"id", "object", "created", "model", "choices"})
_CACHED: Final = ("cached_tokens", "prompt_cache_hit_tokens")  # beside the totals; DeepSeek
_PLAIN_DELTA: Final = frozenset({"role", "content", "reasoning_content", "reasoning"})
_PLAIN_CHOICE: Final = frozenset({"index", "delta", "finish_reason", "logprobs"})


def keep(into: dict[str, Any], source: _Object, read: frozenset[str]) -> None:
    """Keep the fields that are not read: of lists all that came, of other values the last one."""
    for name, value in source.items():
        if name in read or value is None or value == "" or value == [] or value == {}:
            continue
        before = into.get(name)
        if isinstance(before, list) and isinstance(value, list):
            value = [*before, *value]
        into[name] = value


def citation(annotation: _Object) -> dict[str, Any]:
    """A standard citation of an annotation; others are wrapped."""
    told = annotation.get("url_citation")
    if not isinstance(told, Mapping):
        return {"type": "non_standard_annotation", "value": dict(annotation)}
    fields = ("url", "title", "start_index", "end_index")
    made = {name: told[name] for name in fields if told.get(name) is not None}
    rest = {name: value for name, value in told.items() if name not in fields and value is not None}
    return {"type": "citation", **made, **({"extras": rest} if rest else {})}


def joined_base64(pieces: list[str]) -> str:
    """Pieces in base64, each by itself, as one."""
    from base64 import b64decode, b64encode

    return b64encode(b"".join(map(b64decode, pieces))).decode()
