"""`ResponsesReader`: events and whole answers of OpenAI's Responses API.

Source: https://platform.openai.com/docs/api-reference/responses-streaming. An answer is a list of
items (`output`), each of which is told three times: in pieces, at its end (`output_item.done`),
and in the last event. The pieces count; what is told again only fills what no piece has brought,
so that a stream that leaves something out says the same as one that does not. A whole answer is
its items, each told at its end.

| item | becomes |
|---|---|
| `message` | text, refusals; annotations are citations on their text |
| `reasoning` | a `reasoning` block for each part, `extras`: `id`, `encrypted_content`, `kind` |
| `function_call`, `custom_tool_call` | tool calls; free text is the argument `__arg1` |
| calls of OpenAI's own tools | `server_tool_call` and `server_tool_result` |
| `image_generation_call` | an `image`; one for each partial image before it |
| any other | `non_standard`, as it is |

`additional_kwargs["openai_items"]` has type and ids of the items, in order: what has no place in
the content, and `_responses/request.py` needs to send them back.

The stream is complete after `response.completed` or `.incomplete`. `finish_reason` is the status,
or why the answer is incomplete ("max_output_tokens", "content_filter"); `status` is there as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from headrace.conversation.vendors.openai import OPENAI
from headrace.messages import AIMessage

from .._base.answer import Answer
from .._chat.reader import joined_base64, keep

__all__ = ["FREE_ARGUMENT", "ITEMS", "ResponsesReader"]

_Object = Mapping[str, Any]

ITEMS: Final = "openai_items"
"""Where in `additional_kwargs` the items are listed."""
FREE_ARGUMENT: Final = "__arg1"
"""The argument that stands for the free text of a custom tool's call."""

# Of the response: what is read by name, or says the request again.
_READ: Final = frozenset(
    {"id", "object", "model", "output", "output_text", "usage", "error", "instructions", "tools",
     "tool_choice", "text", "temperature", "top_p", "top_logprobs", "max_output_tokens",
     "max_tool_calls", "parallel_tool_calls", "reasoning", "truncation", "store", "background",
     "user", "prompt", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
     "safety_identifier", "presence_penalty", "frequency_penalty", "previous_response_id"}
)  # fmt: skip

_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_HEADS: Final = frozenset({"response.created", "response.in_progress", "response.queued"})

# Of items: what is listed of each. A message's text and a call's arguments are not.
_LISTED: Final = ("type", "id", "call_id", "phase", "namespace", "caller", "async")

# Items of OpenAI's own tools; the name that the tool has in blocks.
_SERVER_TOOLS: Final[Mapping[str, str]] = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "mcp_call": "remote_mcp",
    "mcp_list_tools": "mcp_list_tools",
}
_NOBODY: Final = AIMessage("")  # the translators of blocks want a message; none of ours looks at it


class ResponsesReader(Answer):
    """Reads one answer.

    Args:
        provider: whose answer it is.
        blocks: as of `Answer`.
    """

    def __init__(self, provider: str, *, blocks: bool = False) -> None:
        super().__init__(provider, blocks=blocks)
        self._over = False
        self._items: dict[int, _Object] = {}  # that have ended
        self._begun: dict[int, _Object] = {}
        self._said: dict[Any, int] = {}  # characters, or annotations, told of a piece so far
        self._logprobs: list[Any] = []
        self._sound: list[str] = []
        self._after = 0  # numbers the items of servers that do not

    def _missing(self) -> str | None:
        return None if self._over else "response.completed"

    def _failure(self, event: _Object) -> _Object | None:
        """An event of the type "error", flat or not, or one that has a failed response in it."""
        kind = event.get("type")
        if kind == "error":
            return event if event.get("error") else {"error": event}
        told = event["response"] if kind == "response.failed" else event
        if told.get("error"):
            return told
        failed = told.get("status") == "failed"
        return {"error": {"message": "The response failed.", "code": "failed"}} if failed else None

    # ---- events ---------------------------------------------------------------------------------

    def _read(self, event: _Object) -> None:
        kind = event.get("type", "")
        read = _EVENTS.get(kind)
        if read is not None:
            read(self, event)
        elif kind in _HEADS:
            self._read_head(event["response"])
        elif kind in _ENDS:
            self._read_end(event["response"], kind.partition(".")[2])

    def _read_whole(self, answer: _Object) -> None:
        self._read_head(answer)
        self._read_end(answer)

    def _read_head(self, response: _Object) -> None:
        self.id = self.id or response.get("id")
        self.model = response.get("model") or self.model

    def _read_end(self, response: _Object, end: str | None = None) -> None:
        self._read_head(response)
        for place, item in enumerate(response.get("output") or ()):
            if place not in self._items:
                self._end_item(place, item)
        details = response.get("incomplete_details") or {}
        self.finish_reason = details.get("reason") or response.get("status") or end
        keep(self.facts, response, _READ)
        if response.get("usage"):
            self._read_usage(response["usage"])
        self._over = True

    def _read_usage(self, usage: _Object) -> None:
        asked = usage.get("input_tokens_details") or {}
        told = usage.get("output_tokens_details") or {}
        self.usage(
            usage.get("input_tokens"),
            usage.get("output_tokens"),
            usage.get("total_tokens"),
            of_input=(
                ("cache_read", asked.get("cached_tokens")),
                ("cache_creation", asked.get("cache_write_tokens")),
            ),
            of_output=(("reasoning", told.get("reasoning_tokens")),),
        )

    def _before_end(self) -> None:
        listed = [
            {name: item[name] for name in _LISTED if item.get(name) is not None}
            for _, item in sorted(self._items.items())
        ]
        if listed:
            self.extra[ITEMS] = listed
        if self._logprobs:
            self.facts["logprobs"] = {"content": self._logprobs}
        if self._sound:
            self.block({"type": "audio", "base64": joined_base64(self._sound)})

    # ---- pieces ---------------------------------------------------------------------------------

    def _new(self, key: Any, whole: str) -> str:
        """What of a text has not been told yet; now it is."""
        told = self._said.get(key, 0)
        self._said[key] = max(told, len(whole))
        return whole[told:]

    def _count(self, key: Any, piece: str) -> str:
        self._said[key] = self._said.get(key, 0) + len(piece)
        return piece

    def _say(self, place: int, part: int, piece: str) -> None:
        """Text, whose block says which item it is of, where there are blocks."""
        key = (place, part)
        if piece and self._in_blocks and key not in self._places:
            self.text(piece, key, extras=_ids(self._begun.get(place, {})))
        else:
            self.text(piece, key)

    def _cite(self, place: int, part: int, annotation: _Object) -> None:
        key = (place, part, "cited")
        self._said[key] = self._said.get(key, 0) + 1
        (block,) = OPENAI.blocks["text"]({"text": "", "annotations": [annotation]}, _NOBODY)
        self.text("", (place, part), annotations=block["annotations"])

    def _think(self, place: int, part: Any, piece: str) -> None:
        """A piece of a part: ("summary" or "content", its number)."""
        key = (place, part)
        if key in self._places:
            self.reasoning(piece, key)
            return
        extras = _ids(self._begun.get(place, {}))
        if part[0] == "content":
            extras["kind"] = "reasoning_text"
        self.reasoning(piece, key, **extras)

    def _write(self, place: int, piece: str) -> None:
        """A piece of a call's arguments. Free text becomes a JSON object with one argument."""
        if self._begun.get(place, {}).get("type") == "custom_tool_call":
            first = (place, "free") not in self._said
            self._said[place, "free"] = 1
            head = f'{{"{FREE_ARGUMENT}": "' if first else ""
            piece = head + json.dumps(piece, ensure_ascii=False)[1:-1]
        self.call(place, args=piece)

    # ---- items ----------------------------------------------------------------------------------

    def _begin_item(self, place: int, item: _Object) -> None:
        if place in self._begun:
            return
        self._begun[place] = item
        kind = item.get("type", "")
        if kind == "message":
            said = [one for one in self._begun.values() if one.get("type") == "message"]
            self._in_blocks |= len(said) > 1  # its text must not run into the one before
        elif kind in ("function_call", "custom_tool_call"):
            self.call(place, id=item.get("call_id") or item.get("id"), name=item.get("name"))
        elif kind in _SERVER_TOOLS:
            name = _SERVER_TOOLS[kind]
            fields = {"id": item.get("id"), "name": name}
            self.block({"type": "server_tool_call", **fields, "args": {}}, place)

    def _end_item(self, place: int, item: _Object) -> None:
        if place in self._items:
            return
        self._begin_item(place, item)
        self._items[place] = {**self._begun[place], **item}
        kind = item.get("type", "")
        end = _ITEMS.get(kind) or (_server_tool if kind in _SERVER_TOOLS else _other)
        end(self, place, item)

    def _place(self, event: _Object) -> int:
        place = event.get("output_index")
        if isinstance(place, int):
            return place
        if event.get("type") == "response.output_item.added":
            self._after += 1
        return max(self._after - 1, 0)


def _ids(item: _Object) -> dict[str, Any]:
    return {name: item[name] for name in ("id", "phase") if item.get(name)}


# ---- one function for each kind of item, at its end ----------------------------------------------

_End = Callable[[ResponsesReader, int, _Object], None]


def _message(to: ResponsesReader, place: int, item: _Object) -> None:
    for number, part in enumerate(item.get("content") or ()):
        if part.get("type") == "refusal":
            words = to._new((place, number), part.get("refusal") or "")
            to.refusal(words, (place, number))
            continue
        if part.get("type") not in ("output_text", "text"):
            to.block({"type": "non_standard", "value": dict(part)})
            continue
        to._say(place, number, to._new((place, number), part.get("text") or ""))
        told = to._said.get((place, number, "cited"), 0)
        for annotation in list(part.get("annotations") or ())[told:]:
            to._cite(place, number, annotation)
        if (place, number, "logprobs") not in to._said:
            to._logprobs += part.get("logprobs") or ()


def _reasoning(to: ResponsesReader, place: int, item: _Object) -> None:
    parts = [
        ((name, number), part.get("text") or "")
        for name in ("summary", "content")
        for number, part in enumerate(item.get(name) or ())
    ]
    for part, text in parts:
        to._think(place, part, to._new((place, part), text))
    first = next((key for key in to._places if _is_thought(key, place)), (place, ("summary", 0)))
    if first not in to._places:  # it says no word of what was thought
        to._think(place, first[1], "")
    if item.get("encrypted_content"):
        to.reasoning("", first, encrypted_content=item["encrypted_content"])


def _is_thought(key: Any, place: int) -> bool:
    return isinstance(key, tuple) and key[0] == place and isinstance(key[1], tuple)


def _call(to: ResponsesReader, place: int, item: _Object) -> None:
    free = item.get("type") == "custom_tool_call"
    whole = item.get("input" if free else "arguments") or ""
    rest = to._new((place, "args"), whole if isinstance(whole, str) else json.dumps(whole))
    if rest or (free and (place, "free") not in to._said):
        to._write(place, rest)
    if free:
        to.call(place, args='"}')


def _server_tool(to: ResponsesReader, place: int, item: _Object) -> None:
    """What was called is known in the end, mostly; code comes in pieces."""
    call, result = OPENAI.blocks[item["type"]](dict(item), _NOBODY)
    fields = {name: call[name] for name in ("args", "extras") if call.get(name)}
    code = to._said.get((place, "code"))
    if code and isinstance(call["args"].get("code"), str):
        fields["args"] = {"code": call["args"]["code"][code:]}
    to.block({"type": "server_tool_call", **fields}, place)
    to.block(result)


def _image(to: ResponsesReader, place: int, item: _Object) -> None:
    if not item.get("result"):
        _other(to, place, item)
        return
    (block,) = OPENAI.blocks["image_generation_call"](dict(item), _NOBODY)
    extras = {**block.pop("extras", {}), "id": block.pop("id", None)}
    to.block({**block, "extras": {name: value for name, value in extras.items() if value}})


def _other(to: ResponsesReader, place: int, item: _Object) -> None:
    to.block({"type": "non_standard", "value": dict(item)})


_ITEMS: Final[Mapping[str, _End]] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _call,
    "custom_tool_call": _call,
    "image_generation_call": _image,
}


# ---- one function for each kind of event ---------------------------------------------------------

_Read = Callable[[ResponsesReader, _Object], None]


def _item_added(to: ResponsesReader, event: _Object) -> None:
    to._begin_item(to._place(event), event["item"])


def _item_done(to: ResponsesReader, event: _Object) -> None:
    to._end_item(to._place(event), event["item"])


def _text(to: ResponsesReader, event: _Object) -> None:
    place, part = to._place(event), event.get("content_index") or 0
    to._say(place, part, to._count((place, part), event["delta"]))
    if event.get("logprobs"):
        to._said[place, part, "logprobs"] = 1
        to._logprobs += event["logprobs"]


def _refusal(to: ResponsesReader, event: _Object) -> None:
    key = (to._place(event), event.get("content_index") or 0)
    to.refusal(to._count(key, event["delta"]), key)


def _annotation(to: ResponsesReader, event: _Object) -> None:
    to._cite(to._place(event), event.get("content_index") or 0, event["annotation"])


def _thought(name: str, index: str) -> _Read:
    def read(to: ResponsesReader, event: _Object) -> None:
        place, part = to._place(event), (name, event.get(index) or 0)
        if event["delta"]:
            to._think(place, part, to._count((place, part), event["delta"]))

    return read


def _arguments(to: ResponsesReader, event: _Object) -> None:
    place = to._place(event)
    if event["delta"] and place in to._begun:  # else nobody knows whose they are; the end tells
        to._write(place, to._count((place, "args"), event["delta"]))


def _code(to: ResponsesReader, event: _Object) -> None:
    place = to._place(event)
    code = to._count((place, "code"), event["delta"])
    to.block({"type": "server_tool_call", "args": {"code": code}}, place)


def _partial_image(to: ResponsesReader, event: _Object) -> None:
    number = event.get("partial_image_index") or 0
    extras = {"id": event.get("item_id"), "partial_image_index": number}
    form = event.get("output_format")
    more = {"mime_type": f"image/{form}"} if form else {}
    data = event["partial_image_b64"]
    to.block({"type": "image", "base64": data, **more, "extras": extras})


def _sound(to: ResponsesReader, event: _Object) -> None:
    to._sound.append(event["delta"])


def _transcript(to: ResponsesReader, event: _Object) -> None:
    to.text(event["delta"])


_EVENTS: Final[Mapping[str, _Read]] = {
    "response.output_item.added": _item_added,
    "response.output_item.done": _item_done,
    "response.output_text.delta": _text,
    "response.refusal.delta": _refusal,
    "response.output_text.annotation.added": _annotation,
    "response.reasoning_summary_text.delta": _thought("summary", "summary_index"),
    "response.reasoning_text.delta": _thought("content", "content_index"),
    "response.function_call_arguments.delta": _arguments,
    "response.custom_tool_call_input.delta": _arguments,
    "response.code_interpreter_call_code.delta": _code,
    "response.image_generation_call.partial_image": _partial_image,
    "response.audio.delta": _sound,
    "response.audio.transcript.delta": _transcript,
}
