"""The kinds of message with no rules of their own: human, system, chat, function, remove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from headrace.errors import InputError
from headrace.messages.base import BaseMessage, Rare
from headrace.messages.chunks import BaseMessageChunk
from headrace.messages.content import Content

__all__ = [
    "ChatMessage",
    "ChatMessageChunk",
    "FunctionMessage",
    "FunctionMessageChunk",
    "HumanMessage",
    "HumanMessageChunk",
    "RemoveMessage",
    "SystemMessage",
    "SystemMessageChunk",
]


class HumanMessage(BaseMessage):
    """What the user says."""

    __slots__ = ()
    type: ClassVar[str] = "human"


class HumanMessageChunk(HumanMessage, BaseMessageChunk):
    """A piece of a `HumanMessage`."""

    __slots__ = ()
    type: ClassVar[str] = "HumanMessageChunk"


class SystemMessage(BaseMessage):
    """What tells the model how to behave; mostly the first of the messages."""

    __slots__ = ()
    type: ClassVar[str] = "system"


class SystemMessageChunk(SystemMessage, BaseMessageChunk):
    """A piece of a `SystemMessage`."""

    __slots__ = ()
    type: ClassVar[str] = "SystemMessageChunk"


def first_of(values: list[Any]) -> Any:
    """The merge of a field that the addends of a sum agree on."""
    return values[0]


class ChatMessage(BaseMessage):
    """A message of a speaker with any role. `role` is required."""

    __slots__ = ()
    type: ClassVar[str] = "chat"

    role = Rare[str](merge=first_of, required=True)
    _json: ClassVar[Mapping[str, Any]] = {**BaseMessage._json, "role": {"type": "string"}}

    if TYPE_CHECKING:

        def __init__(
            self,
            content: Content | None = None,
            content_blocks: Sequence[Mapping[str, Any]] | None = None,
            *,
            id: str | None = None,
            name: str | None = None,
            additional_kwargs: Mapping[str, Any] | None = None,
            response_metadata: Mapping[str, Any] | None = None,
            role: str,
        ) -> None: ...

    else:

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._require()


class ChatMessageChunk(ChatMessage, BaseMessageChunk):
    """A piece of a `ChatMessage`; the pieces of one message have one role."""

    __slots__ = ()
    type: ClassVar[str] = "ChatMessageChunk"
    _same = ("role",)


class FunctionMessage(BaseMessage):
    """The result of a function call, before tool messages. `name` is required."""

    __slots__ = ()
    type: ClassVar[str] = "function"
    _json: ClassVar[Mapping[str, Any]] = {**BaseMessage._json, "name": {"type": "string"}}

    if TYPE_CHECKING:

        def __init__(
            self,
            content: Content | None = None,
            content_blocks: Sequence[Mapping[str, Any]] | None = None,
            *,
            id: str | None = None,
            name: str,
            additional_kwargs: Mapping[str, Any] | None = None,
            response_metadata: Mapping[str, Any] | None = None,
        ) -> None: ...

    else:

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            if self.name is None:
                raise InputError("FunctionMessage needs 'name', the function that was called.")


class FunctionMessageChunk(FunctionMessage, BaseMessageChunk, lazy=False):
    """A piece of a `FunctionMessage`; the pieces of one message have one name."""

    __slots__ = ()
    type: ClassVar[str] = "FunctionMessageChunk"

    @classmethod
    def __headrace_merge__(cls, chunks: Sequence[BaseMessageChunk]) -> Self:
        names: set[Any] = {
            chunk.name for chunk in chunks if isinstance(chunk, FunctionMessageChunk)
        }
        if len(names) > 1:
            raise InputError(
                f"FunctionMessageChunks with different names are not one message: {sorted(names)}."
            )
        return super().__headrace_merge__(chunks)


class RemoveMessage(BaseMessage):
    """A request to delete the message with this id from a history."""

    __slots__ = ()
    type: ClassVar[str] = "remove"
    _json: ClassVar[Mapping[str, Any]] = {
        **BaseMessage._json,
        "content": {"type": "string", "default": ""},
        "id": {"type": "string"},
    }

    def __init__(self, id: str, **more: Any) -> None:
        if more.pop("content", None):
            raise InputError("RemoveMessage has no content: it only names the message to remove.")
        super().__init__("", id=id, **more)
