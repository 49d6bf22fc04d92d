"""Whether values that were read have the shape their classes promise.

Messages and values check nothing when they are rebuilt, for speed; a text may come from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..actions import AgentAction, AgentActionMessageLog, AgentFinish, AgentStep
from ..documents import Document
from ..errors import InputError
from ..messages import BaseMessage
from ..messages.content import as_content
from ..outputs import ChatGeneration, ChatResult, Generation, LLMResult
from ..prompt_values import ChatPromptValue, StringPromptValue

__all__ = ["checked"]


def _optional(kind: type) -> Callable[[Any], bool]:
    return lambda value: value is None or isinstance(value, kind)


def _all(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _lists(value: Any) -> bool:
    return isinstance(value, list) and all(map(_all(Generation), value))


# The fields of each class of values, and of its subclasses, and what they may be.
_FIELDS: Mapping[type, Mapping[str, Callable[[Any], bool]]] = {
    Document: {
        "page_content": lambda value: isinstance(value, str),
        "metadata": lambda value: isinstance(value, dict),
        "id": _optional(str),
    },
    ChatGeneration: {"message": lambda value: isinstance(value, BaseMessage)},
    Generation: {
        "text": lambda value: isinstance(value, str),
        "generation_info": _optional(dict),
    },
    ChatResult: {"generations": _all(ChatGeneration), "llm_output": _optional(dict)},
    LLMResult: {"generations": _lists, "llm_output": _optional(dict)},
    StringPromptValue: {"text": lambda value: isinstance(value, str)},
    ChatPromptValue: {"messages": _all(BaseMessage)},
    AgentAction: {
        "tool": lambda value: isinstance(value, str),
        "tool_input": lambda value: isinstance(value, (str, dict)),
        "log": lambda value: isinstance(value, str),
    },
    AgentActionMessageLog: {"message_log": _all(BaseMessage)},
    AgentStep: {"action": lambda value: isinstance(value, AgentAction)},
    AgentFinish: {
        "return_values": lambda value: isinstance(value, dict),
        "log": lambda value: isinstance(value, str),
    },
    BaseMessage: {
        "content": lambda value: as_content(value, "A message that was read") is not None,
        "id": _optional(str),
        "name": _optional(str),
    },
}


def _dicts(*keys: str) -> Callable[[Any], bool]:
    """Whether it is a list of dicts that have these keys."""
    return lambda value: (
        isinstance(value, list)
        and all(isinstance(item, dict) and item.keys() >= {*keys} for item in value)
    )


# The fields of messages that are seldom there, and what they may be.
_RARE: Mapping[str, Callable[[Any], bool]] = {
    "additional_kwargs": lambda value: isinstance(value, dict),
    "response_metadata": lambda value: isinstance(value, dict),
    "tool_calls": _dicts("name", "args", "id"),
    "invalid_tool_calls": _dicts("name", "args", "id"),
    "tool_call_chunks": _dicts("name", "args", "id", "index"),
    "usage_metadata": _optional(dict),
    "tool_call_id": lambda value: isinstance(value, str),
    "role": lambda value: isinstance(value, str),
    "status": lambda value: value in ("success", "error"),
}


def checked(value: Any) -> None:
    """Raise InputError where a message or a value has a field of the wrong shape, or lacks one."""
    if isinstance(value, BaseMessage):
        value._require()
        rare = value._settle()
        for name, fits in _RARE.items():
            if name in rare and not fits(rare[name]):
                raise _wrong(value, name, rare[name])
    for kind, fields in _FIELDS.items():
        if isinstance(value, kind):
            for name, fits in fields.items():
                if not fits(getattr(value, name)):
                    raise _wrong(value, name, getattr(value, name))


def _wrong(value: Any, name: str, held: Any) -> InputError:
    return InputError(
        f"The {type(value).__name__} that was read has {name} of the wrong type: {held!r:.200}."
    )
