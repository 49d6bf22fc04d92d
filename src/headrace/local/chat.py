"""`ChatLocal`: the embedded chat model. llama.cpp in this process; no key, no server, no network.

Sync and async, streamed or not, an answer takes one path: `Engine.stream` or its async twin, read
by a `ChunkReader`; a whole answer is the fold of its stream, so the two cannot disagree.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, ClassVar

from pydantic import Field

from headrace.language_models.binding import described_tools
from headrace.language_models.chat_models import BaseChatModel, agenerate_from_stream
from headrace.language_models.structured import Modes
from headrace.messages import BaseMessage
from headrace.outputs import ChatGenerationChunk, ChatResult
from headrace.runnables.configs import run_in_executor

from .engine import Engine, load, loaded
from .grammar import for_llama
from .sampling import Sampling
from .server import library
from .tokenizer import Vocabulary, load_vocabulary
from .tool_answers import AnswerReader
from .tooling import Tooling, spelt_out, tooling_of
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

    `bind_tools` describes the tools in the prompt and holds the answer to their schemas by grammar,
    so a call is always of a tool that there is, with arguments of the right form (unless
    `max_tokens` cuts it short); one call an answer, or up to 8 with `parallel_tool_calls=True`.
    Behind a tool's result stands a line on how to answer, so that `create_agent` comes to its end.

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

    llama.cpp holds answers to a schema as far as its grammar goes: to types, keys, enumerations,
    lengths, whole numbers' bounds, dates, most patterns (`patterns.py`) and what can be rewritten
    as these (`grammar.py`: fractions between 0 and 1, say). A `HeadraceWarning` at the first call
    names what it does not hold; `with_structured_output` validates all of it in the end.

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

    structured_modes: ClassVar[Modes] = ("json_schema", "json_mode", "function_calling")

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
        request, reader = self._request(messages, stop, kwargs)
        chunks = self._engine().stream(request)
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
        request, reader = self._request(messages, stop, kwargs)
        chunks = (await self._aengine()).astream(request)
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
        return await agenerate_from_stream(stream)

    # ---- tokens ---------------------------------------------------------------------------------

    def get_token_ids(self, text: str) -> list[int]:
        """The model's own tokens; a name such as `<|im_start|>` in the text is spelt out."""
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        return self._vocabulary().tokens(text)

    def get_num_tokens_from_messages(
        self, messages: Any, tools: Sequence[Any] | None = None
    ) -> int:
        """What a call with these messages reads (`input_tokens`), the model's template included;
        with tools as `bind_tools` tells of them where no tool is chosen."""
        messages = self._messages_in(messages)
        if self.custom_get_token_ids is not None or not messages:
            return super().get_num_tokens_from_messages(messages, tools)
        if tools:
            said = Tooling(described_tools(tools), "auto", False).told(messages)
        else:
            said = spelt_out(messages)
        asked = [(one["role"], one["content"]) for one in as_request_messages(said)]
        return len(self._vocabulary().conversation(asked))

    def _vocabulary(self) -> Vocabulary:
        return load_vocabulary(self._vocabulary_path())

    def _vocabulary_path(self) -> str | os.PathLike[str]:
        library()  # before anything is fetched for it
        return self.model_path or ensure_weights()

    # ---- inside ---------------------------------------------------------------------------------

    def _request(
        self, messages: list[BaseMessage], stop: list[str] | None, given: dict[str, Any]
    ) -> tuple[dict[str, Any], ChunkReader]:
        """The request of a call, and what reads its answer."""
        tooling = tooling_of(given)
        parameters = self._for_call(stop, given)
        if "response_format" in parameters:
            parameters["response_format"] = for_llama(parameters["response_format"])
        if tooling is None:
            told = as_request_messages(spelt_out(messages))
            return {"messages": told, **parameters}, ChunkReader()
        told = as_request_messages(tooling.told(messages))
        held = {**parameters, "response_format": for_llama(tooling.response_format)}
        return {"messages": told, **held}, ChunkReader(AnswerReader())

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
