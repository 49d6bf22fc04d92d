"""What the tests of the bridge are made of: models, tools and handlers of LangChain's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel, BaseLLM
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    Generation,
    GenerationChunk,
    LLMResult,
)
from pydantic import Field

USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


class Scripted(BaseChatModel):
    """Answers with words, as a stream piece by piece; writes down how it was called."""

    words: list[str] = Field(default=["one ", "two ", "three"])
    fails_at: int | None = None
    error: Any = None
    asked: list[Any] = Field(default_factory=list)
    given: list[dict[str, Any]] = Field(default_factory=list)
    closed: list[str] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _note(self, messages: list[BaseMessage], stop: Any, kwargs: dict[str, Any]) -> None:
        self.asked.append(messages)
        self.given.append({"stop": stop, **kwargs})

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        self._note(messages, stop, kwargs)
        if self.error is not None:
            raise self.error
        message = AIMessage(
            "".join(self.words),
            usage_metadata=USAGE,  # type: ignore[arg-type]
            response_metadata={"model_name": "scripted-1"},
        )
        return ChatResult(generations=[ChatGeneration(message=message)], llm_output={"tokens": 5})

    def _chunks(self) -> Iterator[ChatGenerationChunk]:
        for n, word in enumerate(self.words):
            if self.error is not None and n == (self.fails_at or 0):
                raise self.error
            yield ChatGenerationChunk(message=AIMessageChunk(word))
        last = AIMessageChunk(
            "",
            usage_metadata=USAGE,  # type: ignore[arg-type]
            response_metadata={"model_name": "scripted-1"},
        )
        yield ChatGenerationChunk(message=last)


class SyncStream(Scripted):
    """With a sync stream alone."""

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        self._note(messages, stop, kwargs)
        try:
            yield from self._chunks()
        finally:
            self.closed.append("sync")


class Streaming(SyncStream):
    """With streams in both colours."""

    async def _agenerate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return self._generate(messages, stop, run_manager, **kwargs)

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        self._note(messages, stop, kwargs)
        try:
            for chunk in self._chunks():
                yield chunk
        finally:
            self.closed.append("async")


KINDS = [Scripted, SyncStream, Streaming]


class Text(BaseLLM):
    """A text model that streams; `calls` says how many prompts each call had."""

    calls: list[int] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "text"

    def _generate(
        self, prompts: list[str], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> LLMResult:
        self.calls.append(len(prompts))
        return LLMResult(generations=[[Generation(text=f"<{prompt}>")] for prompt in prompts])

    def _stream(
        self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[GenerationChunk]:
        for piece in ("<", prompt, ">"):
            yield GenerationChunk(text=piece)


class Heard(BaseCallbackHandler):
    """A LangChain handler that writes down (hook, name, id, parent's id)."""

    run_inline = True

    def __init__(self) -> None:
        self.starts: list[tuple[str, str]] = []
        self.ends: list[str] = []
        self.errors: list[tuple[str, BaseException]] = []
        self.tokens: list[Any] = []
        self.custom: list[Any] = []
        self.above: dict[Any, Any] = {}
        self.names: dict[Any, str] = {}
        self.told: dict[str, dict[str, Any]] = {}

    def _start(self, kind: str, card: Any, told: dict[str, Any]) -> None:
        name = told.get("name") or (card or {}).get("name") or "?"
        self.starts.append((kind, name))
        assert told["run_id"] not in self.names, f"{name} started twice"
        self.names[told["run_id"]] = name
        self.above[name] = self.names.get(told["parent_run_id"])
        self.told[name] = told

    def on_chain_start(self, serialized: Any, inputs: Any, **told: Any) -> None:
        self._start(told.get("run_type") or "chain", serialized, told)

    def on_chat_model_start(self, serialized: Any, messages: Any, **told: Any) -> None:
        self._start("chat_model", serialized, told)

    def on_llm_start(self, serialized: Any, prompts: Any, **told: Any) -> None:
        self._start("llm", serialized, told)

    def on_tool_start(self, serialized: Any, input_str: Any, **told: Any) -> None:
        self._start("tool", serialized, told)

    def on_retriever_start(self, serialized: Any, query: Any, **told: Any) -> None:
        self._start("retriever", serialized, told)

    def on_llm_new_token(self, token: Any, **told: Any) -> None:
        self.tokens.append(token)

    def _end(self, output: Any, **told: Any) -> None:
        self.ends.append(self.names[told["run_id"]])

    on_chain_end = on_llm_end = on_tool_end = on_retriever_end = _end

    def _error(self, error: BaseException, **told: Any) -> None:
        self.errors.append((self.names[told["run_id"]], error))

    on_chain_error = on_llm_error = on_tool_error = on_retriever_error = _error

    def on_custom_event(self, name: str, data: Any, **told: Any) -> None:
        self.custom.append((name, data))
