"""Text models: a string in, a string out, in pieces where the model can.

Authors of an `LLM` write `_call(prompt, stop, run_manager, **kwargs) -> str` and, for one that
streams, `_stream(…) -> Iterator[GenerationChunk]`; authors of a `BaseLLM` write
`_generate(prompts, …) -> LLMResult` for several prompts at once: then `batch` and `generate` ask
for all of them in one call, or for `max_concurrency` at a time. Others are asked one prompt a call,
the calls of a batch at the same time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from .._bridge import call_in_thread
from ..merge import merge
from ..outputs import Generation, GenerationChunk, LLMResult
from ..run import Run
from ..runnables.configs import get_config_list
from ..shapes import Kwargs
from .base import (
    AsyncModelRunManager,
    BaseLanguageModel,
    ModelRunManager,
    _stop_of,
    default,
    to_text,
)
from .bodies import aask, ask, checked_answer, explained_call, opened_stream, wrong_chunk
from .generating import Generating
from .together import agather, gather, parts

__all__ = ["LLM", "BaseLLM"]


class BaseLLM(Generating, BaseLanguageModel[str]):
    """Base of text models. Input: as for chat models, turned into text. Output: a string."""

    _run_type: ClassVar[str] = "llm"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls._bodies & {"_generate", "_agenerate"}:  # it can be asked several prompts at once
            for door, together in (("batch", _batch), ("abatch", _abatch)):
                if getattr(cls, door) is getattr(BaseLLM, door):
                    setattr(cls, door, together)

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
        generations, given = [], {"stop": stop, "run_manager": run_manager, **kwargs}
        for prompt in prompts:
            stream = opened_stream(self, prompt, given)
            texts = [_text_of(chunk, self) for chunk in stream]
            generations.append([Generation(text="".join(texts))])
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

    def _one(self, prompt: Any, run: Run, kw: Kwargs) -> LLMResult:
        stop, rest = _stop_of(kw)
        manager = ModelRunManager(run, reports=True)
        given = {"stop": stop, "run_manager": manager, **rest}
        result = ask(run, self._generate, _prompts(prompt), given)
        return checked_answer(result, LLMResult, self, "_generate")  # type: ignore[no-any-return]

    async def _aone(self, prompt: Any, run: Run, kw: Kwargs) -> LLMResult:
        stop, rest = _stop_of(kw)
        manager = AsyncModelRunManager(run, reports=True)
        given = {"stop": stop, "run_manager": manager, **rest}
        result = await aask(run, self._agenerate, _prompts(prompt), given)
        return checked_answer(result, LLMResult, self, "_agenerate")  # type: ignore[no-any-return]

    def _candidates(self, result: LLMResult) -> list[Any]:
        return result.generations[0]

    def _result(self, candidates: list[Any]) -> LLMResult:
        return LLMResult(generations=[candidates])

    def _answer(self, result: LLMResult, run: Run) -> str:
        if run.observed:
            run.result = result  # hooks are told of all candidates, and of `llm_output`
        return result.generations[0][0].text

    def _each(self, asked: Sequence[Any], configs: Sequence[Any], given: Mapping[str, Any]) -> None:
        """What `generate` calls: together where the class can."""
        if type(self).batch is _batch:
            self.batch(list(asked), list(configs), **given)
        else:
            super()._each(asked, configs, given)

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        return next((output for output in llm_outputs if output), {})

    def _replay(self, chunks: list[Any], run: Run) -> Iterator[str]:
        return iter(chunks)

    def _chunks(self, opened: Callable[[], Iterator[Any]], run: Run) -> Iterator[str]:
        seen: list[GenerationChunk] = []
        for chunk in opened():
            if run.observed:
                seen.append(chunk)
            yield _text_of(chunk, self)
        _informed(run, seen)

    async def _achunks(
        self, opened: Callable[[], Awaitable[AsyncIterator[Any]]], run: Run
    ) -> AsyncIterator[str]:
        seen: list[GenerationChunk] = []
        async for chunk in await opened():
            if run.observed:
                seen.append(chunk)
            yield _text_of(chunk, self)
        _informed(run, seen)


def _text_of(chunk: Any, model: BaseLLM) -> str:
    try:
        return chunk.text  # type: ignore[no-any-return]
    except AttributeError:
        raise wrong_chunk(chunk, GenerationChunk, model) from None


def _informed(run: Run, chunks: list[GenerationChunk]) -> None:
    """Hooks are told what the chunks of an answer say beside its text."""
    if any(chunk.generation_info for chunk in chunks):
        whole = merge(chunks)
        answer = Generation(text=whole.text, generation_info=whole.generation_info)
        run.result = LLMResult(generations=[[answer]])


def _prompts(asked: Any) -> list[str]:
    return [asked] if isinstance(asked, str) else asked


def _batch(
    self: BaseLLM, inputs: Any, config: Any = None, *, return_exceptions: bool = False, **kw: Any
) -> list[Any]:
    """`batch`: all prompts in one call of `_generate`, or `max_concurrency` at a time. With
    `return_exceptions` a failing call is the output of all its prompts."""
    configs, answers = get_config_list(config, len(inputs)), [None] * len(inputs)
    for part in parts(_accepted(self, inputs, answers, keep=return_exceptions), configs):
        try:
            given = [inputs[n] for n in part], [configs[n] for n in part]
            found: list[Any] = gather(self, *given, kw)
        except Exception as error:
            if not return_exceptions:
                raise
            found = [error] * len(part)
        _put(answers, part, found)
    return answers


async def _abatch(
    self: BaseLLM, inputs: Any, config: Any = None, *, return_exceptions: bool = False, **kw: Any
) -> list[Any]:
    """`batch`, async."""
    configs, answers = get_config_list(config, len(inputs)), [None] * len(inputs)
    for part in parts(_accepted(self, inputs, answers, keep=return_exceptions), configs):
        try:
            given = [inputs[n] for n in part], [configs[n] for n in part]
            found: list[Any] = await agather(self, *given, kw)
        except Exception as error:
            if not return_exceptions:
                raise
            found = [error] * len(part)
        _put(answers, part, found)
    return answers


def _accepted(model: BaseLLM, inputs: Any, answers: list[Any], *, keep: bool) -> list[int]:
    """The places of the inputs that a model can be asked; errors of the others go to `answers`."""
    places = []
    for place, value in enumerate(inputs):
        try:
            model._coerce(value)
        except Exception as error:
            if not keep:
                raise
            answers[place] = error
        else:
            places.append(place)
    return places


def _put(answers: list[Any], places: list[int], found: list[Any]) -> None:
    for place, answer in zip(places, found, strict=True):
        answers[place] = answer


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
        given = {"stop": stop, "run_manager": run_manager, **kwargs}
        try:
            texts = [self._call(prompt, **given) for prompt in prompts]
        except TypeError as error:
            raise explained_call(error, self._call, prompts[0], given)  # noqa: B904
        return _result_of(texts, self, "_call")

    @default
    async def _agenerate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        given = {"stop": stop, "run_manager": run_manager, **kwargs}
        try:
            texts = [await self._acall(prompt, **given) for prompt in prompts]
        except TypeError as error:
            raise explained_call(error, self._acall, prompts[0], given)  # noqa: B904
        return _result_of(texts, self, "_acall" if "_acall" in self._bodies else "_call")


def _result_of(texts: list[Any], model: LLM, body: str) -> LLMResult:
    return LLMResult(
        generations=[[Generation(text=checked_answer(one, str, model, body))] for one in texts]
    )
