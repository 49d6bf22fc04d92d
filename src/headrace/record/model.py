"""The chat model that answers from a recording."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

from pydantic import Field

from ..language_models.base import to_messages
from ..language_models.chat_models import BaseChatModel
from ..messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    BaseMessageChunk,
    message_chunk_to_message,
)
from ..outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from .errors import NotRecordedError
from .pace import Pace
from .playing import aplay, aplay_output, play, play_output
from .recording import Answers, Call, input_key

__all__ = ["RecordedChatModel", "message_key"]


def message_key(value: Any) -> str:
    """The key of a chat model's input, whatever it is given as."""
    return input_key(to_messages(value))


class RecordedChatModel(BaseChatModel):
    """What `Replay.as_chat_model` gives. Calls that were streamed stream the recorded chunks; one
    that was invoked streams its answer in one chunk."""

    answers: Any = Field(exclude=True, repr=False)  # an Answers
    pace: Any = Field(exclude=True, repr=False)  # a Pace
    said: dict[str, Any] = Field(default_factory=dict, exclude=True, repr=False)

    def _call(self, messages: Any) -> tuple[Call, Pace]:
        answers: Answers = self.answers
        return answers.take(messages), self.pace

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        call, pace = self._call(messages)
        return _result(call, play_output(call, pace))

    async def _agenerate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        call, pace = self._call(messages)
        return _result(call, await aplay_output(call, pace))

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        call, pace = self._call(messages)
        for message in play(call, pace):
            yield ChatGenerationChunk(message=_piece(call, message))

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        call, pace = self._call(messages)
        async with aclosing(aplay(call, pace)) as pieces:
            async for message in pieces:
                yield ChatGenerationChunk(message=_piece(call, message))

    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> dict[str, Any]:
        """What the recorded model said of itself."""
        return {key: value for key, value in self.said.items() if key.startswith("ls_")}

    @property
    def _llm_type(self) -> str:
        return "recorded-chat-model"


def _message(call: Call, message: Any) -> BaseMessage:
    """A recorded message; an id that was made for the recorded run is left to the new one."""
    if not isinstance(message, BaseMessage):
        raise NotRecordedError(
            f"The recorded run {call.run.path!r} of a chat model gave {message!r}, which is no "
            "message."
        )
    if message.id is not None and message.id.startswith(f"run-{call.run.id}"):
        message.id = None
    return message


def _result(call: Call, output: Any) -> ChatResult:
    message = message_chunk_to_message(_message(call, output))
    return ChatResult(generations=[ChatGeneration(message=message)])


def _piece(call: Call, message: Any) -> Any:
    """A message, whole or in pieces, as a piece."""
    message = _message(call, message)
    if isinstance(message, BaseMessageChunk) or not isinstance(message, AIMessage):
        return message
    fields = message.model_dump(exclude_none=True)
    for name in ("type", "invalid_tool_calls"):
        fields.pop(name, None)
    return AIMessageChunk(**fields, chunk_position="last")
