"""`filter_messages`: the messages of a conversation by name, kind, id and tool call."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ..messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage, convert_to_messages
from ._door import KindLike, is_of_kind, kinds_of, over_messages

__all__ = ["filter_messages"]


@over_messages(quick=True)
def filter_messages(
    messages: Any,
    *,
    include_names: Collection[str] | None = None,
    exclude_names: Collection[str] | None = None,
    include_types: KindLike | None = None,
    exclude_types: KindLike | None = None,
    include_ids: Collection[str] | None = None,
    exclude_ids: Collection[str] | None = None,
    exclude_tool_calls: Iterable[str] | bool | None = None,
) -> list[BaseMessage]:
    """The messages that meet one of the `include_` conditions, if there are any, and no other.

    Args:
        messages: what `convert_to_messages` takes; without it, a runnable is returned.
        include_names: names of speakers, and so on; kinds are names of types (`"human"`) or
            classes.
        exclude_tool_calls: True leaves out every message with tool calls and every tool message.
            Ids of calls leave out these calls, the answers to them, and a message that had no
            other calls.

    Returns:
        The messages themselves; one that lost some of its calls is a copy.
    """
    wanted, unwanted = kinds_of(include_types), kinds_of(exclude_types)
    calls = exclude_tool_calls
    if calls is not None and not isinstance(calls, bool):
        calls = frozenset([calls] if isinstance(calls, str) else calls)
    restricted = bool(include_names or include_types or include_ids)
    kept = []
    for message in convert_to_messages(messages):
        if (
            message.name in (exclude_names or ())
            or message.id in (exclude_ids or ())
            or is_of_kind(message, unwanted)
        ):
            continue
        if (
            restricted
            and message.name not in (include_names or ())
            and message.id not in (include_ids or ())
            and not is_of_kind(message, wanted)
        ):
            continue
        left = _without_calls(message, calls)
        if left is not None:
            kept.append(left)
    return kept


def _without_calls(message: BaseMessage, calls: frozenset[str] | bool | None) -> BaseMessage | None:
    """The message without these calls; None where nothing of it is left."""
    if not calls:
        return message
    if isinstance(message, ToolMessage):
        return None if calls is True or message.tool_call_id in calls else message
    if not isinstance(message, AIMessage) or not message.tool_calls:
        return message
    if calls is True:
        return None
    left = [call for call in message.tool_calls if call["id"] not in calls]
    if not left or len(left) == len(message.tool_calls):
        return message if left else None
    content = message.content
    if not isinstance(content, str):
        content = [block for block in content if not _is_call(block, calls)]
    update: dict[str, Any] = {"content": content, "tool_calls": left}
    if isinstance(message, AIMessageChunk):  # its calls follow from the pieces
        del update["tool_calls"]
        update["tool_call_chunks"] = _without(message.tool_call_chunks, calls)
    return message.model_copy(update=update)


def _without(chunks: Sequence[Any], calls: frozenset[str]) -> list[Any]:
    return [chunk for chunk in chunks if chunk["id"] not in calls]


# The blocks in which providers' messages hold a call, and the key of its id there.
_CALL_BLOCKS = {"tool_use": "id", "tool_call": "id", "function_call": "call_id"}


def _is_call(block: Any, calls: frozenset[str]) -> bool:
    if not isinstance(block, dict):
        return False
    key = _CALL_BLOCKS.get(block.get("type", ""))
    return key is not None and block.get(key) in calls
