"""`BaseChatMessageHistory`, what a store of any kind implements; `InMemoryChatMessageHistory`,
which keeps messages in a list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from headrace.errors import ConfigError
from headrace.messages import AIMessage, BaseMessage, HumanMessage, get_buffer_string
from headrace.runnables.configs import run_in_executor

__all__ = ["BaseChatMessageHistory", "InMemoryChatMessageHistory"]


class BaseChatMessageHistory(ABC):
    """Base of histories. Give `messages` (an attribute or a property), `clear`, and `add_messages`
    or, where there is nothing to gain from adding several at once, `add_message`.

    The async methods call the sync ones in a worker thread, unless a subclass writes them.
    """

    messages: list[BaseMessage]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # a history may have other bases that take arguments

    def add_message(self, message: BaseMessage) -> None:
        """Add one message at the end."""
        if type(self).add_messages is BaseChatMessageHistory.add_messages:
            raise ConfigError(
                f"{type(self).__name__} cannot add messages: define 'add_messages(messages)', or "
                "'add_message(message)', in that class."
            )
        self.add_messages([message])

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Add messages at the end, in order."""
        for message in messages:
            self.add_message(message)

    def add_user_message(self, message: HumanMessage | str) -> None:
        """Add what the user said."""
        self.add_message(HumanMessage(message) if isinstance(message, str) else message)

    def add_ai_message(self, message: AIMessage | str) -> None:
        """Add what the model said."""
        self.add_message(AIMessage(message) if isinstance(message, str) else message)

    @abstractmethod
    def clear(self) -> None:
        """Remove all messages."""

    async def aget_messages(self) -> list[BaseMessage]:
        """`messages`, for histories where reading them waits."""
        return await run_in_executor(None, lambda: self.messages)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """`add_messages` without blocking the event loop."""
        await run_in_executor(None, self.add_messages, messages)

    async def aclear(self) -> None:
        """`clear` without blocking the event loop."""
        await run_in_executor(None, self.clear)

    def __str__(self) -> str:
        """The conversation as text, a line for each message."""
        return get_buffer_string(self.messages)


class InMemoryChatMessageHistory(BaseChatMessageHistory, BaseModel):
    """A history in a list, for one process and as long as it runs."""

    model_config = ConfigDict(extra="forbid")

    messages: list[BaseMessage] = Field(default_factory=list)

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        self.messages.extend(messages)

    def clear(self) -> None:
        # A new list: whoever was handed the old one keeps what was in it.
        self.messages = []

    async def aget_messages(self) -> list[BaseMessage]:
        return self.messages

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        self.add_messages(messages)

    async def aclear(self) -> None:
        self.clear()
