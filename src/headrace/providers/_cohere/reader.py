"""`CohereReader`: answers of Cohere's Chat API v2.

Source: https://docs.cohere.com/v2/reference/chat-stream. A stream is complete with its
`message-end`; the `[DONE]` behind it is no JSON in some versions and a JSON string in others, and
adds nothing. What is a list in a whole answer (tool calls, citations) comes one by one, as an
object.

The tool plan, in which the model says how it is going to use its tools, is reasoning with the
extra `tool_plan`. A citation is an annotation of the text, its sources in its extras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from .._base.answer import Answer

__all__ = ["CohereReader"]

Object = Mapping[str, Any]

_PLAN: Final = "plan"  # the key of the block with the tool plan
_FAILED: Final = ("ERROR", "TIMEOUT")  # how the finish reasons of failures begin


class CohereReader(Answer):
    """Reads one answer.

    Args:
        provider: whose answer it is.
        model: which was asked: answers do not say.
        blocks: citations are to be expected.
    """

    def __init__(self, provider: str, *, model: str | None = None, blocks: bool = False) -> None:
        super().__init__(provider, blocks=blocks)
        self.model = model
        self._logprobs: list[Any] = []

    def _failure(self, event: Object) -> Object | None:
        """The failure that an end tells of, in place of an answer."""
        told = event.get("delta") if event.get("type") == "message-end" else event
        if not told or not (told.get("finish_reason") or told.get("error")):
            return None
        reason = str(told.get("finish_reason") or "")
        if not told.get("error") and not reason.startswith(_FAILED):
            return None
        said = told.get("error") or f"The model failed (finish_reason {reason!r})."
        if not isinstance(said, str):
            return event
        return {"error": {"message": said, "type": told.get("error_type") or reason}}

    def _missing(self) -> str | None:
        return None if self.finish_reason else "its message-end"

    def _read(self, event: Object) -> None:
        read = _EVENTS.get(event.get("type"))
        if read is not None:
            delta = event.get("delta") or {}
            read(self, event, delta, delta.get("message") or {})

    def _read_whole(self, answer: Object) -> None:
        message = answer.get("message") or {}
        self.id = answer.get("id")
        self.read_plan(answer, answer, message)
        for index, part in enumerate(message.get("content") or ()):
            self.read_part(index, part)
        for index, call in enumerate(message.get("tool_calls") or ()):
            self.read_call(index, call)
        for citation in message.get("citations") or ():
            self.read_citation(citation)
        for logprobs in answer.get("logprobs") or ():
            self.read_logprobs(logprobs)
        self.read_end(answer, answer, message)

    # ---- events: the event, its delta, its message ----------------------------------------------

    def read_start(self, event: Object, delta: Object, message: Object) -> None:
        """The id."""
        self.id = event.get("id")

    def read_plan(self, event: Object, delta: Object, message: Object) -> None:
        """A piece of the tool plan."""
        if message.get("tool_plan"):
            self.reasoning(message["tool_plan"], _PLAN, tool_plan=True)

    def read_content(self, event: Object, delta: Object, message: Object) -> None:
        """A piece of the content."""
        if event.get("logprobs"):
            self.read_logprobs(event["logprobs"])
        self.read_part(event.get("index"), message.get("content") or {})

    def read_calls(self, event: Object, delta: Object, message: Object) -> None:
        """A piece of a tool call."""
        self.read_call(event.get("index"), message.get("tool_calls") or {})

    def read_citations(self, event: Object, delta: Object, message: Object) -> None:
        """A citation."""
        self.read_citation(message.get("citations") or {})

    def read_end(self, event: Object, delta: Object, message: Object) -> None:
        """Why it ended, and the usage."""
        self.finish_reason = delta.get("finish_reason")
        usage = dict(delta.get("usage") or {})
        tokens = usage.pop("tokens", None)
        cached = usage.pop("cached_tokens", None)
        if tokens:
            self.usage(
                tokens.get("input_tokens"),
                tokens.get("output_tokens"),
                of_input=(("cache_read", cached),),
                of_output=(("reasoning", tokens.get("reasoning_tokens")),),
            )
        self.facts.update({name: value for name, value in usage.items() if value})

    # ---- what is said ---------------------------------------------------------------------------

    def read_part(self, index: Any, part: Any) -> None:
        """A part of the content, or a piece of one. Thoughts and text may have the same index."""
        if isinstance(part, str):
            self.text(part, ("text", index))
        elif part.get("thinking") is not None:
            self.reasoning(part["thinking"], ("thinking", index))
        elif part.get("text") is not None:
            self.text(part["text"], ("text", index))
        elif part.get("type"):
            self.block({"type": "non_standard", "value": dict(part)})

    def read_call(self, index: Any, call: Object) -> None:
        """A tool call, or a piece of one."""
        function = call.get("function") or {}
        args = function.get("arguments")
        self.call(index, id=call.get("id"), name=function.get("name"), args=args)

    def read_citation(self, citation: Object) -> None:
        """A citation, of the text unless it says what else it is of."""
        index, made = citation.get("content_index") or 0, _standard(citation)
        if citation.get("type") == "PLAN":
            self.reasoning("", _PLAN, citations=[made])
        elif citation.get("type") == "THINKING_CONTENT":
            self.reasoning("", ("thinking", index), citations=[made])
        else:
            self.text("", ("text", index), annotations=[made])

    def read_logprobs(self, logprobs: Any) -> None:
        """The logarithmic probabilities of some tokens."""
        self._logprobs.append(logprobs)
        self.facts["logprobs"] = self._logprobs


def _standard(citation: Object) -> dict[str, Any]:
    """A standard citation. Where its first source is a document with an address, so is it."""
    sources = citation.get("sources") or []
    held = (sources[0].get("document") or {}) if sources else {}
    fields = {
        "start_index": citation.get("start"),
        "end_index": citation.get("end"),
        "url": held.get("url"),
        "title": held.get("title"),
    }
    made = {name: value for name, value in fields.items() if value is not None}
    extras = {name: citation[name] for name in ("text", "sources", "type") if citation.get(name)}
    return {"type": "citation", **made, "extras": extras}


_Read = Callable[[CohereReader, Object, Object, Object], None]
_EVENTS: Final[Mapping[Any, _Read]] = {
    "message-start": CohereReader.read_start,
    "content-start": CohereReader.read_content,
    "content-delta": CohereReader.read_content,
    "tool-plan-delta": CohereReader.read_plan,
    "tool-call-start": CohereReader.read_calls,
    "tool-call-delta": CohereReader.read_calls,
    "citation-start": CohereReader.read_citations,
    "message-end": CohereReader.read_end,
}
