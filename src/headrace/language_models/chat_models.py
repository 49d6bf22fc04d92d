"""Chat models: messages in, a message out, in chunks where the model can.

Authors write `_generate(messages, stop, run_manager, **kwargs) -> ChatResult` or, for a model that
streams, `_stream(…) -> Iterator[ChatGenerationChunk]`, the async twins where there are any, and
`_llm_type`. A class with `_stream` alone gets `invoke` as the fold of its stream.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, ClassVar

from .._bridge import call_in_thread
from ..errors import InputError
from ..merge import merge
from ..messages import AIMessage, AIMessageChunk, BaseMessage, message_chunk_to_message
from ..outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from ..run import Run, fresh_id
from ..shapes import Kwargs
from .base import (
    AsyncModelRunManager,
    BaseLanguageModel,
    ModelRunManager,
    _stop_of,
    default,
    to_messages,
)

__all__ = ["BaseChatModel", "SimpleChatModel", "generate_from_stream"]


class BaseChatModel(BaseLanguageModel[BaseMessage]):
    """Base of chat models; see the file's head for what to write.

    Input: a string, a prompt value, or a list of messages, `(role, text)` tuples, dicts. Output:
    an `AIMessage`; as a stream, `AIMessageChunk`s that share one id and whose last one has
    `chunk_position == "last"`. The chunks that `_stream` yields belong to the stream from then on:
    their id is set.
    """

    _run_type: ClassVar[str] = "chat_model"

    def _coerce(self, value: Any) -> list[BaseMessage]:
        return to_messages(value)

    def _whole(self, answer: Any) -> BaseMessage:
        if answer is None:
            raise _no_answer()
        return message_chunk_to_message(answer)

    # ------------------------------------------------------------- what authors write

    @default
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        """One answer. Without a body of the author's: the fold of `_stream`."""
        if "_stream" not in self._bodies:
            raise self._no_body("_generate", "_stream")
        stream = self._stream(messages, stop=stop, run_manager=run_manager, **kwargs)
        return generate_from_stream(stream)

    @default
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        """One answer, async. Without a body of the author's: `_generate` in a worker thread."""
        result: ChatResult = await call_in_thread(
            self._generate, messages, stop=stop, run_manager=run_manager, **kwargs
        )
        return result

    @default
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        """The answer in chunks, for models that stream."""
        raise self._no_body("_stream")

    @default
    def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        """The answer in chunks, async, for models that stream."""
        raise self._no_body("_astream")

    # ------------------------------------------------------------- one answer

    def _one(self, prompt: Any, run: Run, kw: Kwargs) -> BaseMessage:
        stop, rest = _stop_of(kw)
        manager = ModelRunManager(run, reports=True)
        return _answer(
            run.call(self._generate, prompt, stop=stop, run_manager=manager, **rest), run
        )

    async def _aone(self, prompt: Any, run: Run, kw: Kwargs) -> BaseMessage:
        stop, rest = _stop_of(kw)
        manager = AsyncModelRunManager(run, reports=True)
        return _answer(
            await run.acall(self._agenerate, prompt, stop=stop, run_manager=manager, **rest), run
        )

    # ------------------------------------------------------------- chunks

    def _chunks(self, opened: Callable[[], Iterator[Any]], run: Run) -> Iterator[AIMessageChunk]:
        ident = None
        message: Any = None
        for chunk in opened():
            if isinstance(chunk, ChatGenerationChunk):
                message = chunk.message
                if chunk.generation_info:
                    _add_info(message, chunk.generation_info)
            else:
                message = chunk
            if message.id is None:
                message.id = ident = ident or _id_for(run)
            yield message
        if message is not None and getattr(message, "chunk_position", "last") != "last":
            yield AIMessageChunk(content="", id=message.id, chunk_position="last")

    async def _achunks(
        self, opened: Callable[[], Awaitable[AsyncIterator[Any]]], run: Run
    ) -> AsyncIterator[AIMessageChunk]:
        ident = None
        message: Any = None
        async for chunk in await opened():
            if isinstance(chunk, ChatGenerationChunk):
                message = chunk.message
                if chunk.generation_info:
                    _add_info(message, chunk.generation_info)
            else:
                message = chunk
            if message.id is None:
                message.id = ident = ident or _id_for(run)
            yield message
        if message is not None and getattr(message, "chunk_position", "last") != "last":
            yield AIMessageChunk(content="", id=message.id, chunk_position="last")


def _id_for(run: Run) -> str:
    """A message's id: its run's where events tell of that, else one of its own, because models
    of one unobserved chain share a run."""
    return f"run-{run.id if run.observed else fresh_id()}"


def _answer(result: ChatResult, run: Run) -> BaseMessage:
    if run.observed:
        run.result = result  # hooks are told of all candidates, and of `llm_output`
    generation = result.generations[0]
    message = generation.message
    if message.id is None:
        message.id = f"{_id_for(run)}-0"
    if generation.generation_info:
        _add_info(message, generation.generation_info)
    return message


def _add_info(message: Any, info: dict[str, Any]) -> None:
    message.response_metadata = {**info, **message.response_metadata}


def _no_answer() -> InputError:
    return InputError("The model's stream ended without a chunk: there is no answer to give.")


def generate_from_stream(stream: Iterator[ChatGenerationChunk]) -> ChatResult:
    """The result that a stream of generation chunks adds up to."""
    chunks = list(stream)
    if not chunks:
        raise _no_answer()
    whole = merge(chunks)
    message = message_chunk_to_message(whole.message)
    return ChatResult(
        generations=[ChatGeneration(message=message, generation_info=whole.generation_info)]
    )


class SimpleChatModel(BaseChatModel):
    """A chat model of one function: `_call(messages, stop, run_manager, **kwargs) -> str`."""

    @default
    def _call(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> str:
        """The answer's text."""
        raise self._no_body("_call")

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        text = self._call(messages, stop=stop, run_manager=run_manager, **kwargs)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])
