"""From what users write to messages, and between messages and dicts.

A message is written as a message, a string (the user's), a (role, text) pair, or a dict with a
`role` or `type` and a `content`: the form of OpenAI's API and that of `model_dump`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Annotated, Any, TypeAlias, get_args

from headrace.errors import InputError
from headrace.messages.ai import AIMessage, AIMessageChunk
from headrace.messages.base import BaseMessage
from headrace.messages.plain import (
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
)
from headrace.messages.tool import ToolMessage, ToolMessageChunk

__all__ = [
    "AnyMessage",
    "MessageLikeRepresentation",
    "convert_to_message",
    "convert_to_messages",
    "message_to_dict",
    "messages_from_dict",
    "messages_to_dict",
]


class _ByType:
    """Makes pydantic read a union of messages as one of them is read, and not by trying each."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from headrace.validation import union_schema

        return union_schema(handler(source), get_args(source), convert_to_message)


AnyMessage: TypeAlias = Annotated[
    AIMessage
    | HumanMessage
    | ChatMessage
    | SystemMessage
    | FunctionMessage
    | ToolMessage
    | AIMessageChunk
    | HumanMessageChunk
    | ChatMessageChunk
    | SystemMessageChunk
    | FunctionMessageChunk
    | ToolMessageChunk,
    _ByType(),
]

MessageLikeRepresentation: TypeAlias = (
    BaseMessage | list[str] | tuple[str, str | list[str | dict[str, Any]]] | str | dict[str, Any]
)

_KINDS: tuple[type[BaseMessage], ...] = (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)

_OF_TYPE: dict[str, type[BaseMessage]] = {kind.type: kind for kind in _KINDS}

_OF_ROLE: dict[str, type[BaseMessage]] = {
    **_OF_TYPE,
    "user": HumanMessage,
    "assistant": AIMessage,
    "developer": SystemMessage,
}

# The kinds by the names that they have in LangChain's JSON.
_WRITTEN = {kind.__name__: kind.type for kind in _KINDS}

_NO_LIST = (Mapping, Set, bytes, bytearray, memoryview)  # what iterates, but over no messages

_ROLES = sorted(role for role in _OF_ROLE if not role.endswith("Chunk"))


def convert_to_messages(messages: Any) -> list[BaseMessage]:
    """The messages that a sequence of message-likes, or a prompt value, describes.

    Raises:
        InputError: it is no sequence, or something in it does not describe a message.
    """
    if type(messages) is list:
        return [m if isinstance(m, BaseMessage) else convert_to_message(m) for m in messages]
    to_messages = getattr(messages, "to_messages", None)
    if to_messages is not None:  # LangChain's prompt values have it too, and its own messages
        return [convert_to_message(message) for message in to_messages()]
    wrong = isinstance(messages, _NO_LIST) or not isinstance(messages, Iterable)
    if wrong or is_langchains(messages):  # its messages can be iterated, as pydantic models are
        raise InputError(
            f"{messages!r} ({type(messages).__name__}) is no list of messages"
            f"{what_instead(messages)}."
        )
    return [convert_to_message(message) for message in messages]


def what_instead(value: Any) -> str:
    """What to write instead of a dict that is one message, or of what is LangChain's; "" of
    anything else."""
    if is_langchains(value):
        return (
            ": it is LangChain's, so give to_headrace(…) of it, with `from headrace.langchain "
            "import to_headrace`"
        )
    if isinstance(value, Mapping) and "content" in value and ("role" in value or "type" in value):
        return f": it is one message, so put it in a list, [{value!r}]"
    return ""


def is_langchains(value: Any) -> bool:
    """Whether it is an object of LangChain's, which no bridge has made one of Headrace's."""
    return any(kind.__module__.startswith("langchain_core.") for kind in type(value).__mro__)


def convert_to_message(message: Any) -> BaseMessage:
    """The message that one message-like describes; see the top of this file for the forms."""
    if isinstance(message, BaseMessage):
        return message
    if isinstance(message, str):
        return HumanMessage(message)
    if isinstance(message, Mapping):
        return _from_mapping(message)
    if isinstance(message, Sequence):
        if len(message) != 2 or not isinstance(message[0], str):
            raise InputError(
                f"A message given as a sequence is a (role, text) pair; received {message!r}."
            )
        return _of_role(message[0], message[1], {})
    instead = what_instead(message) or (
        ": pass a message, a string, a (role, text) pair, or a dict with 'role' and 'content'"
    )
    raise InputError(f"{message!r}, a {type(message).__name__}, describes no message{instead}.")


BaseMessage._read = convert_to_message


def _from_mapping(given: Mapping[str, Any]) -> BaseMessage:
    kwargs = given.get("kwargs")
    if given.get("lc") == 1 and given.get("id") and isinstance(kwargs, Mapping):
        # LangChain's JSON of a message; of chunks it gives whole messages too
        kind = _OF_TYPE.get(_WRITTEN.get(str(given["id"][-1]).removesuffix("Chunk"), ""))
        given = given if kind is None else {**kwargs, "type": kind.type}
    fields = dict(given)
    named = "type" in fields and issubclass(_OF_TYPE.get(fields["type"], BaseMessage), ChatMessage)
    role = None if named else fields.pop("role", None)
    role = role or fields.pop("type", None)
    if not isinstance(role, str) or "content" not in fields:
        raise InputError(
            f"A message given as a dict has 'role' (or 'type') and 'content'; received {given!r}."
        )
    return _of_role(role, fields.pop("content") or "", fields)


def _of_role(role: str, content: Any, fields: dict[str, Any]) -> BaseMessage:
    """A message of a role, from fields of which the unknown ones are the provider's own."""
    kind = _OF_ROLE.get(role)
    if kind is None:
        raise InputError(f"Unknown message role {role!r}. Use one of {_ROLES}.")
    known: dict[str, Any] = {}
    extra: dict[str, Any] = dict(fields.pop("additional_kwargs", None) or {})
    for name, value in fields.items():
        if name in ("id", "name", *kind._rare):
            known[name] = value
        else:
            extra[name] = value
    calls = known.get("tool_calls")
    if calls:
        if not isinstance(calls, (list, tuple)):
            raise InputError(f"A message's tool_calls are a list of dicts; received {calls!r}.")
        known["tool_calls"] = [_tool_call(call) for call in calls]
    if role == "developer":
        extra["__openai_role__"] = "developer"
    if extra:
        known["additional_kwargs"] = extra
    return kind(**known) if kind is RemoveMessage else kind(content, **known)


def _tool_call(call: Any) -> Any:
    """A tool call in OpenAI's form in the form of messages; others as they are."""
    function = call.get("function") if isinstance(call, Mapping) else None
    if function is None:
        return call
    try:
        args = function["arguments"]
        if isinstance(args, str):
            args = json.loads(args, strict=False)
        return {"name": function["name"], "args": args, "id": call["id"]}
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(
            "A tool call in OpenAI's form is {'id': …, 'function': {'name': …, 'arguments': a JSON "
            f"text}}}}; received {call!r}."
        ) from error


def message_to_dict(message: BaseMessage) -> dict[str, Any]:
    """`{"type": ..., "data": {...}}`, which `messages_from_dict` reads."""
    return {"type": message.type, "data": message.model_dump()}


def messages_to_dict(messages: Iterable[BaseMessage]) -> list[dict[str, Any]]:
    """`message_to_dict` of each."""
    return [message_to_dict(message) for message in messages]


def message_from_dict(message: Mapping[str, Any]) -> BaseMessage:
    """The message that `message_to_dict` made a dict of.

    Raises:
        InputError: no message was written so.
    """
    told: Any = message
    fields = told.get("data") if isinstance(told, Mapping) else None
    if not isinstance(fields, Mapping) or not isinstance(told.get("type"), str):
        raise InputError(
            "A message that was written down is {'type': …, 'data': {…}}; received "
            f"{message!r}."
        )
    kind = _OF_TYPE.get(message["type"])
    if kind is None:
        raise InputError(
            f"Unknown message type {message['type']!r}. Use one of {sorted(_OF_TYPE)}."
        )
    data = {name: value for name, value in fields.items() if name != "example"}
    return kind(**data)  # "example" is a field of messages that were written long ago


def messages_from_dict(messages: Iterable[Mapping[str, Any]]) -> list[BaseMessage]:
    """The messages that `messages_to_dict` made dicts of."""
    return [message_from_dict(message) for message in messages]
