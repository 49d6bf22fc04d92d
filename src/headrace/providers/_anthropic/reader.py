"""`MessagesReader`: events and whole answers of Anthropic's Messages API.

Source: https://docs.anthropic.com/en/api/messages-streaming. An answer is a list of blocks, each of
which starts, grows and stops; a whole answer is read as the events that would have told it.

| block | here |
|---|---|
| `text` | text; with citations a block with `annotations` |
| `thinking` | reasoning, its `signature` in `extras` |
| `tool_use` | a tool call; who called it, if not the model itself, in `additional_kwargs` |
| `server_tool_use`, `mcp_tool_use` | `server_tool_call`, once its arguments are whole |
| `…_tool_result` | `server_tool_result`, its type in `extras["block_type"]` |
| any other, `redacted_thinking` and `compaction` among them | `non_standard` |

A stream is complete after `message_stop`, with a stop reason before it. Token counts are told at
the start and at the end; of each the last one counts. Events and deltas that are not known are left
out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from headrace.conversation.vendors.anthropic import ANTHROPIC, citation, other_block
from headrace.messages import AIMessage

from .._base.answer import Answer

__all__ = ["CALL_FACTS", "MessagesReader"]

_Object = Mapping[str, Any]

CALL_FACTS: Final = "anthropic_tool_use"
"""In `additional_kwargs`: by the id of a tool call what Anthropic said of it beside name and
arguments, and wants to hear again."""

_SERVER_CALLS: Final = frozenset({"server_tool_use", "mcp_tool_use"})
_DIRECT: Final = {"type": "direct"}
_ABOUT_CALLS: Final = ("caller", "toolset_name")
# Of a message and of what a `message_delta` says: what is read by name, or says nothing new.
_READ: Final = frozenset(
    {"type", "id", "model", "role", "content", "usage", "stop_reason", "stop_sequence", "error"}
)
_NO_MESSAGE: Final = AIMessage("")


class MessagesReader(Answer):
    """Reads one answer; `blocks` as of `Answer`."""

    def __init__(self, provider: str, *, blocks: bool = False) -> None:
        super().__init__(provider, blocks=blocks)
        self._stopped = False
        # By the vendor's number of a block: its own calls, with pieces of their arguments; and
        # those that have no standard form.
        self._server_calls: dict[Any, tuple[dict[str, Any], list[str]]] = {}
        self._wrapped: set[Any] = set()
        self._counts: dict[str, Any] = {}

    def _missing(self) -> str | None:
        if not self._stopped:
            return "message_stop"
        return None if self.finish_reason else "a stop reason"

    def _read_whole(self, answer: _Object) -> None:
        for event in _as_events(answer):
            self._read(event)

    # ---- events ---------------------------------------------------------------------------------

    def _read(self, event: _Object) -> None:
        kind = event.get("type")
        if kind == "content_block_delta":
            delta = event["delta"]
            if delta.get("type") == "text_delta":
                self.text(delta["text"], event["index"])
            else:
                self._grow(event["index"], delta)
            return
        read = _EVENTS.get(str(kind))
        if read is not None:
            read(self, event)

    def _message_start(self, event: _Object) -> None:
        message = event["message"]
        self.id, self.model = message.get("id"), message.get("model")
        self._told_of(message)

    def _message_delta(self, event: _Object) -> None:
        self._told_of(event.get("delta") or {})
        self._told_of({name: value for name, value in event.items() if name != "delta"})

    def _message_stop(self, event: _Object) -> None:
        self._stopped = True

    def _told_of(self, told: _Object) -> None:
        """Why it stopped, what it took, and what else is said of the message."""
        if told.get("stop_reason"):
            self.finish_reason = self.facts["stop_reason"] = told["stop_reason"]
        if "stop_sequence" in told:
            self.facts["stop_sequence"] = told["stop_sequence"]
        if told.get("usage"):
            self._count(told["usage"])
        for name in told.keys() - _READ:
            if told[name] is not None:
                self.facts[name] = told[name]

    def _told(self) -> dict[str, Any]:
        names = {"id": self.id, "model": self.model, "usage": self._counts}
        return {**super()._told(), **{name: value for name, value in names.items() if value}}

    # ---- blocks ---------------------------------------------------------------------------------

    def _block_start(self, event: _Object) -> None:
        key, block = event["index"], dict(event["content_block"])
        kind = block.get("type")
        if kind == "text":
            cited = [citation(one) for one in block.get("citations") or ()]
            self._in_blocks = self._in_blocks or "citations" in block
            self.text(block.get("text"), key, **({"annotations": cited} if cited else {}))
        elif kind == "thinking":
            signature = block.get("signature")
            signed = {"signature": signature} if signature else {}
            self.reasoning(block.get("thinking"), key, **signed)
        elif kind == "tool_use":
            self._call_start(key, block)
        elif kind in _SERVER_CALLS:
            self._server_calls[key] = (block, [])
        else:
            (made,) = other_block(block)
            if made["type"] == "non_standard":
                self._wrapped.add(key)
            self.block(made, key)

    def _call_start(self, key: Any, block: _Object) -> None:
        self.call(key, id=block.get("id"), name=block.get("name"), args=block.get("input") or "")
        facts = {name: block[name] for name in _ABOUT_CALLS if block.get(name)}
        if facts.get("caller") == _DIRECT:
            del facts["caller"]
        if facts:
            self.extra.setdefault(CALL_FACTS, {})[block.get("id")] = facts

    def _block_stop(self, event: _Object) -> None:
        key = event["index"]
        if key not in self._server_calls:
            return
        block, pieces = self._server_calls.pop(key)
        text = "".join(pieces)
        if text:
            block["input"] = _parsed(text)
        (made,) = ANTHROPIC.blocks[block["type"]](block, _NO_MESSAGE)
        self.block(made, key)

    def _grow(self, key: Any, delta: _Object) -> None:
        """A delta of another kind than text."""
        kind = delta.get("type")
        if kind == "thinking_delta":
            self.reasoning(delta.get("thinking"), key)
        elif kind == "signature_delta" and delta.get("signature"):
            self.reasoning("", key, signature=delta["signature"])
        elif kind == "citations_delta":
            self.text("", key, annotations=[citation(delta["citation"])])
        elif kind == "input_json_delta" and key in self._server_calls:
            self._server_calls[key][1].append(delta.get("partial_json") or "")
        elif kind == "input_json_delta":
            if delta.get("partial_json"):
                self.call(key, args=delta["partial_json"])
        elif key in self._wrapped:
            grown = {name: value for name, value in delta.items() if name != "type"}
            self.block({"type": "non_standard", "value": grown}, key)

    # ---- token counts ---------------------------------------------------------------------------

    def _count(self, told: _Object) -> None:
        self._counts.update((name, value) for name, value in told.items() if value is not None)
        counts = self._counts
        read, made = counts.get("cache_read_input_tokens"), counts.get(_WRITTEN)
        told_by_term = (counts.get("cache_creation") or {}).items()
        terms = [(name, number) for name, number in told_by_term if isinstance(number, int)]
        details = counts.get("output_tokens_details") or {}
        self.usage(
            (counts.get("input_tokens") or 0) + (read or 0) + (made or 0),
            counts.get("output_tokens"),
            of_input=(("cache_read", read), ("cache_creation", made), *terms),
            of_output=(("reasoning", details.get("thinking_tokens")),),
        )


_WRITTEN: Final = "cache_creation_input_tokens"

_EVENTS: Final[Mapping[str, Callable[[MessagesReader, _Object], None]]] = {
    "message_start": MessagesReader._message_start,
    "content_block_start": MessagesReader._block_start,
    "content_block_stop": MessagesReader._block_stop,
    "message_delta": MessagesReader._message_delta,
    "message_stop": MessagesReader._message_stop,
}


def _as_events(answer: _Object) -> Iterator[_Object]:
    """The events that would have told a whole answer."""
    yield {"type": "message_start", "message": answer}
    for index, block in enumerate(answer.get("content") or ()):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_stop"}


def _parsed(text: str) -> dict[str, Any]:
    """The arguments of a call of the vendor's own; text that is none stays, under a name that
    Anthropic's guide gives to it."""
    try:
        value = json.loads(text)
    except ValueError:
        return {"INVALID_JSON": text}
    return value if isinstance(value, dict) else {"INVALID_JSON": text}
