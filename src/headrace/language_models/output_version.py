"""`output_version="v1"`: what a model says comes as standard content blocks in `content` itself.

Under "v0", or where none is chosen, `content` is as the model's class gives it, and
`message.content_blocks` makes blocks of it when asked. The blocks of a stream are numbered: a new
index wherever another kind of block begins, so that the pieces of one block add up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..messages.tool_calls import as_tool_call_chunk, parse_tool_call_chunks

__all__ = ["Blocks", "as_blocks", "chosen_version", "settled"]

VARIABLE = "LC_OUTPUT_VERSION"  # the name that its users have set already


def chosen_version() -> str | None:
    """What the environment says, for models that are not told."""
    return os.environ.get(VARIABLE) or None


def as_blocks(message: Any) -> Any:
    """A message whose content is blocks; the same one where it is that already."""
    if message.response_metadata.get("output_version") == "v1":
        return message
    told = {**message.response_metadata, "output_version": "v1"}
    return message.model_copy(update={"content": message.content_blocks, "response_metadata": told})


def settled(message: Any) -> Any:
    """A whole message that chunks with blocks add up to: pieces of tool calls are calls now."""
    if isinstance(message.content, list):
        message.content = [each for block in message.content for each in _settled(block)]
    return message


def _settled(block: Any) -> list[Any]:
    if not isinstance(block, dict) or block.get("type") != "tool_call_chunk":
        return [block]
    place = {"index": block["index"]} if "index" in block else {}
    calls, invalid = parse_tool_call_chunks([as_tool_call_chunk(block)], ended=True)
    return [{**call, **place} for call in (*calls, *invalid)]


class Blocks:
    """The chunks of one stream, each with its blocks numbered.

    A block's own number stands, but for those of tool calls: most vendors count these apart from
    the others, and a call's first piece would be added to the first text.
    """

    __slots__ = ("_calls", "_kind", "_last")

    def __init__(self) -> None:
        self._last = -1
        self._kind: Any = None  # of the block before
        self._calls: dict[Any, int] = {}  # from their vendor's number to the one here

    def __call__(self, chunk: Any) -> Any:
        made = as_blocks(chunk)
        for place, block in enumerate(made.content):
            made.content[place] = {**block, "index": self._number(block)}
        return made

    def _number(self, block: Mapping[str, Any]) -> Any:
        kind, given = block["type"], block.get("index")
        if kind == "tool_call_chunk" and given is not None:
            if given not in self._calls:
                self._calls[given] = self._next()
            self._kind = kind
            return self._calls[given]
        if kind != self._kind or kind in _APART:
            self._kind = kind
            if given is None:
                self._next()
        if isinstance(given, int):
            self._last = max(self._last, given)
        return self._last if given is None else given

    def _next(self) -> int:
        self._last += 1
        return self._last


_APART = frozenset(
    ("tool_call", "invalid_tool_call", "tool_call_chunk")
)  # whole ones, each its own
