"""`refuse_calls`: tool calls stand in messages of the model's own, and in no others.

Vendors differ in what they do with one in a message of a user: they refuse it, drop it, or take the
user for a model. It is told before anything is sent, the same for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from headrace.conversation.openai_form import role_of
from headrace.errors import InputError
from headrace.messages import BaseMessage

__all__ = ["refuse_calls"]

_CALLS: Final = frozenset({"tool_call", "tool_call_chunk", "invalid_tool_call", "tool_use"})
_GIVEN: Final = frozenset({"user", "system", "developer"})


def refuse_calls(messages: Iterable[BaseMessage]) -> None:
    """Raises InputError for a tool call in a message of a user, or of the system."""
    for message in messages:
        if isinstance(message.content, str) or role_of(message) not in _GIVEN:
            continue
        for block in message.content:
            if isinstance(block, dict) and block.get("type") in _CALLS:
                raise InputError(
                    f"A {type(message).__name__} has a block of type {block['type']!r}, but only "
                    "the model calls tools: give AIMessage(…, tool_calls=[…]), and what the tool "
                    f"answered as a ToolMessage; received {block!r:.200}."
                )
