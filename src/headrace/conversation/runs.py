"""`merge_message_runs`: messages of one kind in a row as one, for models that want them to take
turns."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Any

from ..errors import InputError
from ..merge import merge_dicts
from ..messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    RemoveMessage,
    ToolMessage,
    convert_to_messages,
    message_chunk_to_message,
)
from ..messages.content import Content, merge_contents
from ..messages.usage import sum_usage
from ._door import over_messages

__all__ = ["merge_message_runs"]

_ALONE = (ToolMessage, RemoveMessage)  # each names something of its own


@over_messages(quick=True)
def merge_message_runs(messages: Any, *, chunk_separator: str = "\n") -> list[BaseMessage]:
    """The conversation with each run of messages of one kind merged into one message.

    Texts are joined with the separator; beside content that is a list of blocks, they become
    blocks of it. Tool calls and usage add up, of ids, names and response metadata the first
    counts. Tool messages stay apart, and so do messages of different roles.

    Args:
        messages: what `convert_to_messages` takes; without it, a runnable is returned.
        chunk_separator: between two texts.

    Returns:
        New messages for runs, the same ones for the rest.

    Raises:
        InputError: the separator is no text.
    """
    if not isinstance(chunk_separator, str):
        raise InputError(
            f"chunk_separator={chunk_separator!r} is no text: give what stands between two "
            "messages, '' for nothing."
        )
    runs: list[list[BaseMessage]] = []
    for message in convert_to_messages(messages):
        if runs and _continues(runs[-1][0], message):
            runs[-1].append(message)
        else:
            runs.append([message])
    return [_merged(run, chunk_separator) if len(run) > 1 else run[0] for run in runs]


def _continues(first: BaseMessage, message: BaseMessage) -> bool:
    """Whether a message belongs to the run that `first` begins."""
    kind = type(message_chunk_to_message(first))
    if not isinstance(message, kind) or isinstance(message, _ALONE):
        return False
    if isinstance(first, ChatMessage) and isinstance(message, ChatMessage):
        return first.role == message.role
    return not isinstance(first, FunctionMessage) or first.name == message.name


def _merged(run: list[BaseMessage], separator: str) -> BaseMessage:
    total = message_chunk_to_message(run[0]).model_copy(deep=True)
    total.content = _joined([message.content for message in run], separator)
    total.id = next((message.id for message in run if message.id), None)
    total.name = next((message.name for message in run if message.name), None)
    kwargs = merge_dicts(message.additional_kwargs for message in run)
    total.additional_kwargs = kwargs
    if isinstance(total, AIMessage):
        said = [message for message in run if isinstance(message, AIMessage)]
        total.tool_calls = [call for message in said for call in message.tool_calls]
        total.invalid_tool_calls = [call for m in said for call in m.invalid_tool_calls]
        total.usage_metadata = sum_usage(message.usage_metadata for message in said)
    return total


def _joined(contents: Iterable[Content], separator: str) -> Content:
    """Contents as one; texts are separated as far as only texts have come."""
    contents = list(contents)
    texts = list(takewhile(lambda c: isinstance(c, str), contents))
    head = separator.join(filter(None, texts))  # type: ignore[arg-type]
    rest = contents[len(texts) :]
    return merge_contents([head, *rest]) if rest else head
