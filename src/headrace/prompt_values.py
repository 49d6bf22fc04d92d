"""Prompt values: what a prompt makes and any model takes, as text or as messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from headrace.messages.as_text import get_buffer_string
from headrace.messages.base import BaseMessage
from headrace.messages.convert import convert_to_messages
from headrace.messages.plain import HumanMessage
from headrace.values import Value

__all__ = [
    "ChatPromptValue",
    "ChatPromptValueConcrete",
    "ImagePromptValue",
    "PromptValue",
    "StringPromptValue",
]


class PromptValue(Value, ABC):
    """The input of a model. Subclass it with the two methods."""

    __slots__ = ()

    @abstractmethod
    def to_string(self) -> str:
        """The prompt as one text."""

    @abstractmethod
    def to_messages(self) -> list[BaseMessage]:
        """The prompt as messages; the list is the caller's."""


class StringPromptValue(PromptValue):
    """A prompt that is a text; as messages, one of the user."""

    __slots__ = ("text",)

    type: ClassVar[Literal["StringPromptValue"]] = "StringPromptValue"
    _shown = ("text",)
    _json: ClassVar[Mapping[str, Any]] = {"text": {"type": "string"}}

    def __init__(self, text: str) -> None:
        self.text = text

    def to_string(self) -> str:
        return self.text

    def to_messages(self) -> list[BaseMessage]:
        return [HumanMessage(self.text)]


class ChatPromptValue(PromptValue):
    """A prompt that is messages; as text, a line each (`get_buffer_string`)."""

    __slots__ = ("messages",)

    _shown = ("messages",)
    _json: ClassVar[Mapping[str, Any]] = {
        "messages": {"type": "array", "items": {"type": "object"}}
    }

    def __init__(self, messages: Sequence[BaseMessage]) -> None:
        self.messages = messages

    def to_string(self) -> str:
        return get_buffer_string(self.messages)

    def to_messages(self) -> list[BaseMessage]:
        return list(self.messages)

    @classmethod
    def model_validate(cls, value: Any) -> Any:
        """Like every value's; the messages may be dicts, tuples or strings."""
        if isinstance(value, Mapping) and not isinstance(value, cls):
            value = {**value, "messages": convert_to_messages(value.get("messages", ()))}
        return super().model_validate(value)


class ChatPromptValueConcrete(ChatPromptValue):
    """A `ChatPromptValue` by the name it has in schemas."""

    __slots__ = ()

    type: ClassVar[Literal["ChatPromptValueConcrete"]] = "ChatPromptValueConcrete"


class ImagePromptValue(PromptValue):
    """A prompt that is an image: a dict with its `url` and maybe `detail`."""

    __slots__ = ("image_url",)

    type: ClassVar[Literal["ImagePromptValue"]] = "ImagePromptValue"
    _shown = ("image_url",)
    _json: ClassVar[Mapping[str, Any]] = {"image_url": {"type": "object"}}

    def __init__(self, image_url: dict[str, Any]) -> None:
        self.image_url = image_url

    def to_string(self) -> str:
        return str(self.image_url.get("url", ""))

    def to_messages(self) -> list[BaseMessage]:
        return [HumanMessage([{"type": "image_url", "image_url": self.image_url}])]
