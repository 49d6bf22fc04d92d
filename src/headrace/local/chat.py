"""`ChatLocal`: the embedded chat model. llama.cpp in this process; no key, no server, no network.

Sync and async, streamed or not, an answer takes one path: `Engine.stream` or its async twin, read
by a `ChunkReader`; a whole answer is the fold of its stream, so the two cannot disagree.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

from pydantic import Field

from headrace.language_models.chat_models import BaseChatModel, generate_from_stream
from headrace.messages import BaseMessage
from headrace.outputs import ChatGenerationChunk, ChatResult
from headrace.runnables.configs import run_in_executor

from .engine import Engine, load, loaded
from .sampling import Sampling
from .server import library
from .weights import ensure_weights, find_weights
from .wire import ChunkReader, as_request_messages

__all__ = ["ChatLocal"]


class ChatLocal(Sampling, BaseChatModel):
    """A chat model that runs inside this process.

        model = ChatLocal()                                    # SmolLM2-135M-Instruct
        model = ChatLocal(model_path="other.gguf", n_ctx=8192)  # any GGUF file

    The model is loaded at the first call, once per process, path and `n_` settings. The default's
    weights (98 MB) are fetched at that time where they are missing; `headrace pull` does it
    beforehand, and HEADRACE_NO_DOWNLOAD=1 forbids it.

    Closing a stream stops the generation within 200 ms and frees its slot. A prompt that is still
    being evaluated is given up after the current batch of `n_batch` tokens.

    Args:
        temperature, seed, max_tokens, stop, response_format: see `Sampling`; for one call, give
            them to `invoke`, `stream` or `bind`. `stop` texts of a call add to the model's.
        model_path: a GGUF file; None is the default model.
        n_ctx: tokens of context of each request, prompt and answer together.
        n_parallel: requests generated at once; more wait in a queue.
        n_threads: threads that compute. More than idle cores makes it many times slower.
        n_batch: prompt tokens evaluated between two looks at whether the stream was closed; 32
            take 0.13 s on one slow core, 0.4 s after 2,000 tokens. Below 64, equal calls have
            equal answers whatever is cached and whatever else runs; from 64 on long prompts are
            read up to 1.7 times as fast, and now and then a near tie is decided otherwise.

    Raises:
        MissingExtraError: xllamacpp is not installed (`pip install "headrace[local]"`).
        WeightsError: the weights are missing or damaged.
        ContextLengthError: the prompt does not fit `n_ctx`.
        InputError: a message that is not text, a schema that llama.cpp cannot enforce.
    """

    model_path: str | os.PathLike[str] | None = None
    n_ctx: int = Field(default=4096, ge=64)
    n_parallel: int = Field(default=2, ge=1, le=256)
    n_threads: int = Field(default=1, ge=1, le=512)
    n_batch: int = Field(default=32, ge=1, le=8192)

    @property
    def _llm_type(self) -> str:
        return "headrace-local"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        names = (*Sampling.model_fields, "model_path", "n_ctx")
        return {name: getattr(self, name) for name in names}

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        request = self._request(messages, stop, kwargs)
        reader, chunks = ChunkReader(), self._engine().stream(request)
        try:
            for chunk in chunks:
                message = reader.feed(chunk)
                if message is not None:
                    yield ChatGenerationChunk(message)
        finally:
            chunks.close()
        yield ChatGenerationChunk(reader.finish())

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        request = self._request(messages, stop, kwargs)
        reader, chunks = ChunkReader(), (await self._aengine()).astream(request)
        try:
            async for chunk in chunks:
                message = reader.feed(chunk)
                if message is not None:
                    yield ChatGenerationChunk(message)
        finally:
            await chunks.aclose()
        yield ChatGenerationChunk(reader.finish())

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        stream = self._astream(messages, stop, run_manager, **kwargs)
        return generate_from_stream(iter([chunk async for chunk in stream]))

    # ---- inside ---------------------------------------------------------------------------------

    def _request(
        self, messages: list[BaseMessage], stop: list[str] | None, given: dict[str, Any]
    ) -> dict[str, Any]:
        parameters = self._for_call(stop, given)
        return {"messages": as_request_messages(messages), **parameters}

    def _settings(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in _LOADED_WITH}

    def _engine(self) -> Engine:
        library()  # before anything is fetched for it
        return load(self.model_path or ensure_weights(), **self._settings())

    async def _aengine(self) -> Engine:
        """The engine, without leaving the loop where it is loaded already."""
        path = self.model_path or find_weights()
        engine = loaded(path, **self._settings()) if path else None
        return engine if engine is not None else await run_in_executor(None, self._engine)


_LOADED_WITH = ("n_ctx", "n_parallel", "n_threads", "n_batch")
