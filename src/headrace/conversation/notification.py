"""Marks of messages that a program put into a conversation, as opposed to the user: the result of
a task in the background, a summary. They are notes for the program in `additional_kwargs`
(`lc_source`, `lc_data`); whoever can write messages can set them, so they prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, TypeVar

from ..messages import BaseMessage

__all__ = ["NotificationMetadata", "add_notification_metadata", "get_notification_metadata"]

M = TypeVar("M", bound=BaseMessage)
_SOURCE, _DATA = "lc_source", "lc_data"


class NotificationMetadata(TypedDict):
    """What put a message into the conversation, and what it noted there."""

    source: str
    data: NotRequired[dict[str, Any]]


def add_notification_metadata(
    message: M, *, source: str, data: Mapping[str, Any] | None = None
) -> M:
    """A copy of a message with a mark in place of any that it had.

    Args:
        source: what put the message there, e.g. `"summary"`.
        data: facts about it; values that JSON knows.
    """
    kwargs = {name: value for name, value in message.additional_kwargs.items() if name != _DATA}
    kwargs[_SOURCE] = source
    if data is not None:
        kwargs[_DATA] = dict(data)
    return message.model_copy(update={"additional_kwargs": kwargs})


def get_notification_metadata(message: BaseMessage) -> NotificationMetadata | None:
    """The mark of a message; None where it has none."""
    source, data = (message.additional_kwargs.get(name) for name in (_SOURCE, _DATA))
    if not isinstance(source, str):
        return None
    if not isinstance(data, dict):
        return {"source": source}
    return {"source": source, "data": dict(data)}
