"""Text models: a string in, a string out, in pieces where the model can.

Authors of an `LLM` write `_call(prompt, stop, run_manager, **kwargs) -> str` and, for one that
streams, `_stream(…) -> Iterator[GenerationChunk]`; authors of a `BaseLLM` write
`_generate(prompts, …) -> LLMResult` for several prompts at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, ClassVar

from .._bridge import call_in_thread
from ..outputs import Generation, GenerationChunk, LLMResult
from ..run import Run
from ..shapes import Kwargs
from .base import (
    AsyncModelRunManager,
    BaseLanguageModel,
    ModelRunManager,
    _stop_of,
    default,
    to_text,
)

__all__ = ["LLM", "BaseLLM"]


class BaseLLM(BaseLanguageModel[str]):
    """Base of text models. Input: as for chat models, turned into text. Output: a string."""

    _run_type: ClassVar[str] = "llm"

    def _coerce(self, value: Any) -> str:
        return to_text(value)

    @default
    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        """One list of generations for each prompt."""
        if "_stream" not in self._bodies:
            raise self._no_body("_generate", "_stream")
        generations = []
        for prompt in prompts:
            stream = self._stream(prompt, stop=stop, run_manager=run_manager, **kwargs)
            generations.append([Generation(text="".join(chunk.text for chunk in stream))])
        return LLMResult(generations=generations)

    @default
    async def _agenerate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Async; without a body of the author's, `_generate` in a worker thread."""
        result: LLMResult = await call_in_thread(
            self._generate, prompts, stop=stop, run_manager=run_manager, **kwargs
        )
        return result

    @default
    def _stream(
        self, prompt: str, stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[GenerationChunk]:
        """The answer in chunks, for models that stream."""
        raise self._no_body("_stream")

    @default
    def _astream(
        self, prompt: str, stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[GenerationChunk]:
        """The answer in chunks, async, for models that stream."""
        raise self._no_body("_astream")

    def _one(self, prompt: Any, run: Run, kw: Kwargs) -> str:
        stop, rest = _stop_of(kw)
        manager = ModelRunManager(run, reports=True)
        result = run.call(self._generate, [prompt], stop=stop, run_manager=manager, **rest)
        return _text(result, run)

    async def _aone(self, prompt: Any, run: Run, kw: Kwargs) -> str:
        stop, rest = _stop_of(kw)
        manager = AsyncModelRunManager(run, reports=True)
        result = await run.acall(self._agenerate, [prompt], stop=stop, run_manager=manager, **rest)
        return _text(result, run)

    def _chunks(self, opened: Callable[[], Iterator[Any]], run: Run) -> Iterator[str]:
        for chunk in opened():
            yield chunk.text

    async def _achunks(
        self, opened: Callable[[], Awaitable[AsyncIterator[Any]]], run: Run
    ) -> AsyncIterator[str]:
        async for chunk in await opened():
            yield chunk.text


def _text(result: LLMResult, run: Run) -> str:
    if run.observed:
        run.result = result  # hooks are told of all candidates, and of `llm_output`
    return result.generations[0][0].text


class LLM(BaseLLM):
    """A text model of one function: `_call`, and `_acall` where there is an async body."""

    @default
    def _call(
        self, prompt: str, stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> str:
        """The answer to one prompt."""
        raise self._no_body("_call")

    @default
    async def _acall(
        self, prompt: str, stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> str:
        """Async; without a body of the author's, `_call` in a worker thread."""
        answer: str = await call_in_thread(
            self._call, prompt, stop=stop, run_manager=run_manager, **kwargs
        )
        return answer

    @default
    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        if "_call" not in self._bodies:
            result: LLMResult = super()._generate(
                prompts, stop=stop, run_manager=run_manager, **kwargs
            )
            return result
        texts = [self._call(p, stop=stop, run_manager=run_manager, **kwargs) for p in prompts]
        return LLMResult(generations=[[Generation(text=text)] for text in texts])

    @default
    async def _agenerate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        texts = [
            await self._acall(p, stop=stop, run_manager=run_manager, **kwargs) for p in prompts
        ]
        return LLMResult(generations=[[Generation(text=text)] for text in texts])
