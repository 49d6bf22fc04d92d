"""Fake models for tests and examples: no network, no weights, the answers given beforehand.

Those that stream do so in both colours, natively: nothing of them runs in a thread.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

from pydantic import Field

from ..errors import InputError
from ..messages import AIMessage, AIMessageChunk, BaseMessage
from ..outputs import ChatGeneration, ChatGenerationChunk, ChatResult, GenerationChunk
from .chat_models import BaseChatModel, SimpleChatModel
from .llms import LLM
from .structured import Modes

__all__ = [
    "FakeChatModel",
    "FakeListChatModel",
    "FakeListChatModelError",
    "FakeListLLM",
    "FakeListLLMError",
    "FakeMessagesListChatModel",
    "FakeStreamingListLLM",
    "GenericFakeChatModel",
    "ParrotFakeChatModel",
]


# A fake says what it was given to say, however it is asked.
_ANY_MODE = ("json_schema", "function_calling", "json_mode")


class FakeListChatModelError(Exception):
    """Raised by `FakeListChatModel` at the chunk it was told to fail at."""


class FakeListLLMError(Exception):
    """Raised by `FakeStreamingListLLM` at the chunk it was told to fail at."""


def _take(model: Any) -> Any:
    """The answer that is due; after the last one the first again."""
    count = len(model.responses)
    if model.i >= count:
        raise InputError(
            f"{type(model).__name__} has {count} responses and i={model.i}: give it more of them, "
            "or start with a smaller i (they count from 0)."
        )
    response = model.responses[model.i]
    model.i = (model.i + 1) % count
    return response


class FakeMessagesListChatModel(BaseChatModel):
    """Answers with `responses` in turn. `sleep`: seconds before each answer."""

    structured_modes: ClassVar[Modes] = _ANY_MODE
    responses: list[BaseMessage]
    sleep: float | None = None
    i: int = Field(default=0, repr=False)  # which answer is due: it moves with every call

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        if self.sleep is not None:
            time.sleep(self.sleep)
        return ChatResult(generations=[ChatGeneration(message=_take(self))])

    @property
    def _llm_type(self) -> str:
        return "fake-messages-list-chat-model"


class FakeListChatModel(SimpleChatModel):
    """Answers with `responses` in turn, streaming one character a chunk.

    Args:
        sleep: seconds before each answer, and before each chunk of a stream.
        error_on_chunk_number: fail there (counted from 0) instead of giving the chunk.
    """

    structured_modes: ClassVar[Modes] = _ANY_MODE
    responses: list[str]
    sleep: float | None = None
    i: int = Field(default=0, repr=False)  # which answer is due: it moves with every call
    error_on_chunk_number: int | None = None

    def _call(self, *args: Any, **kwargs: Any) -> str:
        if self.sleep is not None:
            time.sleep(self.sleep)
        return str(_take(self))

    async def _agenerate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        if self.sleep is not None:
            await asyncio.sleep(self.sleep)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=_take(self)))])

    def _piece(self, number: int, text: str) -> ChatGenerationChunk:
        if number == self.error_on_chunk_number:
            raise FakeListChatModelError
        last = number == len(text) - 1
        message = AIMessageChunk(content=text[number], chunk_position="last" if last else None)
        return ChatGenerationChunk(message=message)

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        text = _take(self)
        for number in range(len(text)):
            if self.sleep is not None:
                time.sleep(self.sleep)
            yield self._piece(number, text)

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        text = _take(self)
        for number in range(len(text)):
            if self.sleep is not None:
                await asyncio.sleep(self.sleep)
            yield self._piece(number, text)

    @property
    def _llm_type(self) -> str:
        return "fake-list-chat-model"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"responses": self.responses}


class FakeChatModel(SimpleChatModel):
    """Answers `fake response`."""

    structured_modes: ClassVar[Modes] = _ANY_MODE

    def _call(self, *args: Any, **kwargs: Any) -> str:
        return "fake response"

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content="fake response"))])

    @property
    def _llm_type(self) -> str:
        return "fake-chat-model"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"key": "fake"}


class GenericFakeChatModel(BaseChatModel):
    """Answers with the next of `messages` (an iterator of messages or strings).

    A stream is that message cut at white space, then its `additional_kwargs`, one piece a chunk
    (a `function_call`'s strings cut at commas). Tool calls come in one chunk.
    """

    structured_modes: ClassVar[Modes] = _ANY_MODE
    messages: Iterator[AIMessage | str] = Field(exclude=True)

    def _next(self) -> AIMessage:
        message = next(self.messages, None)
        if message is None:
            raise InputError(
                "GenericFakeChatModel has no message left: give it one for each call, or an "
                "endless iterator such as itertools.cycle([…])."
            )
        return AIMessage(content=message) if isinstance(message, str) else message

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        return ChatResult(generations=[ChatGeneration(message=self._next())])

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        return self._generate(*args, **kwargs)  # type: ignore[no-any-return]

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield from _cut(self._generate(*args, **kwargs).generations[0].message)

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        result = await self._agenerate(*args, **kwargs)
        for chunk in _cut(result.generations[0].message):
            yield chunk

    @property
    def _llm_type(self) -> str:
        return "generic-fake-chat-model"


def _cut(message: Any) -> Iterator[ChatGenerationChunk]:
    if not isinstance(message.content, str):
        raise InputError(
            f"GenericFakeChatModel cuts text and got the content {message.content!r}: give a "
            "message whose content is a string."
        )
    pieces: list[dict[str, Any]] = []
    if message.content:
        pieces += [{"content": piece} for piece in re.split(r"(\s)", message.content)]
    if message.tool_calls:
        calls = [
            {"name": call["name"], "args": _json(call["args"]), "id": call["id"], "index": index}
            for index, call in enumerate(message.tool_calls)
        ]
        pieces.append({"content": "", "tool_call_chunks": calls})
    for key, value in message.additional_kwargs.items():
        pieces += [{"content": "", "additional_kwargs": part} for part in _parts(key, value)]
    for number, piece in enumerate(pieces, 1):
        chunk = AIMessageChunk(id=message.id, **piece)
        if number == len(pieces):
            chunk.chunk_position = "last"
        yield ChatGenerationChunk(message=chunk)


def _json(value: Any) -> str:
    import json

    return json.dumps(value)


def _parts(key: str, value: Any) -> Iterator[dict[str, Any]]:
    if key != "function_call":
        yield {key: value}
        return
    for name, inner in value.items():
        cut = re.split(r"(,)", inner) if isinstance(inner, str) else [inner]
        for part in cut:
            yield {key: {name: part}}


class ParrotFakeChatModel(BaseChatModel):
    """Answers with the last message that it was given."""

    structured_modes: ClassVar[Modes] = _ANY_MODE

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        if not messages:
            raise InputError("ParrotFakeChatModel repeats the last message and was given none.")
        return ChatResult(generations=[ChatGeneration(message=messages[-1])])

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        return self._generate(*args, **kwargs)  # type: ignore[no-any-return]

    @property
    def _llm_type(self) -> str:
        return "parrot-fake-chat-model"


class FakeListLLM(LLM):
    """A text model that answers with `responses` in turn. `sleep`: seconds before each answer."""

    responses: list[str]
    sleep: float | None = None
    i: int = Field(default=0, repr=False)  # which answer is due: it moves with every call

    def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
        if self.sleep is not None:
            time.sleep(self.sleep)
        return str(_take(self))

    async def _acall(
        self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> str:
        if self.sleep is not None:
            await asyncio.sleep(self.sleep)
        return str(_take(self))

    @property
    def _llm_type(self) -> str:
        return "fake-list"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"responses": self.responses}


class FakeStreamingListLLM(FakeListLLM):
    """`FakeListLLM`, streaming one character a chunk; `error_on_chunk_number` as above."""

    error_on_chunk_number: int | None = None

    def _piece(self, number: int, text: str) -> GenerationChunk:
        if number == self.error_on_chunk_number:
            raise FakeListLLMError
        return GenerationChunk(text=text[number])

    def _stream(
        self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[GenerationChunk]:
        text = self._call(prompt)
        for number in range(len(text)):
            if self.sleep is not None:
                time.sleep(self.sleep)
            yield self._piece(number, text)

    async def _astream(
        self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[GenerationChunk]:
        text = await self._acall(prompt)
        for number in range(len(text)):
            if self.sleep is not None:
                await asyncio.sleep(self.sleep)
            yield self._piece(number, text)
