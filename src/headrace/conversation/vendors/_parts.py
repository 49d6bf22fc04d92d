"""What the translators of all vendors share: making blocks, finding a message's calls, bytes."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, TypeAlias

from ...messages import AIMessage, AIMessageChunk
from ...messages.content import BLOCK_TYPES
from ...messages.tool_calls import piece_block

__all__ = ["MISSHAPEN", "Block", "Table", "Vendor", "add_calls", "call_of", "is_growing",
           "is_standard", "made", "non_standard", "objects_of", "text_base64"]  # fmt: skip

# What translating raises where a vendor's block lacks a key, or holds a value of another type.
MISSHAPEN = (AttributeError, LookupError, TypeError, ValueError)

_CALLS = ("tool_call", "invalid_tool_call")
# Keys of blocks that have a standard type, and a vendor's form.
_NOT_STANDARD = frozenset({"citations", "file", "source", "source_type", "summary"})
_ANNOTATIONS = ("citation", "non_standard_annotation")

Block: TypeAlias = dict[str, Any]
# For each type of a vendor's blocks, what makes standard ones of it.
Table: TypeAlias = Mapping[str, Callable[[Block, AIMessage], list[Block]]]


def made(kind: str, source: Block, used: Collection[str], **fields: Any) -> Block:
    """A standard block of the fields that are not None.

    Args:
        source: the vendor's block; its `index` and `extras` are kept, and what is not in `used`
            goes into `extras`.
    """
    block: Block = {"type": kind}
    block.update((name, value) for name, value in fields.items() if value is not None)
    if "index" in source and "index" not in block and "index" not in used:
        block["index"] = source["index"]
    extras = dict(source.get("extras") or {}) if isinstance(source.get("extras"), dict) else {}
    for name, value in source.items():
        if name not in used and name not in ("type", "index", "extras"):
            extras[name] = value
    if extras:
        block["extras"] = {**extras, **block.get("extras", {})}
    return block


def non_standard(source: Block, message: Any = None) -> list[Block]:
    """A vendor's block that has no standard form, wrapped; its index is the wrapper's."""
    value = dict(source)
    if "index" not in value:
        return [{"type": "non_standard", "value": value}]
    index = value.pop("index")
    return [{"type": "non_standard", "value": value, "index": index}]


def is_standard(block: Block) -> bool:
    """Whether a block has a standard form, its annotations included."""
    kind, notes = block.get("type"), block.get("annotations") or ()
    if not isinstance(kind, str) or kind not in BLOCK_TYPES or not _NOT_STANDARD.isdisjoint(block):
        return False
    if not isinstance(notes, (list, tuple)):
        return False
    return all(isinstance(note, dict) and note.get("type") in _ANNOTATIONS for note in notes)


def is_growing(message: AIMessage) -> bool:
    """Whether it is a chunk that others may follow."""
    return isinstance(message, AIMessageChunk) and message.chunk_position != "last"


def call_of(message: AIMessage, id: Any, given: Block) -> Block:
    """The call with this id of a message, as a block.

    While a chunk has one piece of a call, that piece; else the call that the message has parsed,
    or could not parse; else the one that is `given`.
    """
    if isinstance(message, AIMessageChunk) and is_growing(message):
        pieces = message.tool_call_chunks
        if len(pieces) == 1:
            return piece_block(pieces[0])
    calls: list[Any] = [*message.tool_calls, *message.invalid_tool_calls]
    for call in calls:
        if id and call["id"] == id:
            return dict(call)
    return dict(calls[0]) if len(calls) == 1 else {"type": "tool_call", **given}


def objects_of(text: Any) -> dict[str, Any] | None:
    """The object that a JSON text is; None for any other text."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def text_base64(data: Any) -> str:
    """Bytes in base64; a text is taken for base64 already."""
    return data if isinstance(data, str) else b64encode(data).decode()


def add_calls(message: AIMessage, blocks: list[Block]) -> None:
    """Add the calls, or of a growing chunk the pieces of calls, that are in no block so far."""
    pieces = message.tool_call_chunks if isinstance(message, AIMessageChunk) else ()
    if not (pieces or message.tool_calls or message.invalid_tool_calls):
        return
    kinds = [block["type"] for block in blocks]
    if pieces and is_growing(message) and "tool_call" not in kinds:
        if "tool_call_chunk" not in kinds:
            blocks += map(piece_block, pieces)
        return
    said = [block.get("id") for block in blocks if block["type"] in _CALLS]
    calls: list[Any] = [*message.tool_calls, *message.invalid_tool_calls]
    blocks += [dict(call) for call in calls if call["id"] not in said]


class Vendor(NamedTuple):
    """How a vendor's messages are read.

    Args:
        blocks: for each type of block a function.
        other: the function for any other type.
        finish: adds what else a message says, outside its content.
        calls: adds the calls that are not in the content, before that.
    """

    blocks: Table
    other: Callable[[Block, AIMessage], list[Block]]
    finish: Callable[[AIMessage, list[Block]], None]
    calls: Callable[[AIMessage, list[Block]], None] = add_calls
