"""Several prompts in one call of a text model whose class has a `_generate(prompts)` of its own.

Each prompt has a run of its own, and a place of its own in the cache; what the cache does not have
goes to the author's body in one call, which the rate limiter counts as one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .._awaited import await_hooks, settle
from .._bridge import call_in_thread
from .._locate import locate
from ..errors import ModelError
from ..outputs import LLMResult
from ..run import Run, begin
from ..shapes import Kwargs
from .caching import Place, cache_of, kept_of, place_of
from .limiting import Grant, agrant, grant

__all__ = ["agather", "gather", "parts"]


class _Shared(dict[str, Any]):
    """The arguments of a call that is made for `size` prompts at once."""

    size: int


class _Calls:
    """What was asked together, each in its own run."""

    def __init__(self, model: Any, inputs: Sequence[Any], configs: Sequence[Any], kw: Kwargs):
        self.model, self.inputs = model, inputs
        self.kw = _Shared(kw)
        self.kw.size = len(inputs)
        self.prompts = [model._coerce(value) for value in inputs]
        self.runs: list[Run] = [begin(model, config) for config in configs]
        cache = cache_of(model)
        self.places = [
            None if cache is None else place_of(model, cache, prompt, run, kw)
            for prompt, run in zip(self.prompts, self.runs, strict=True)
        ]
        self.found: list[Any] = [None] * len(inputs)  # the candidates for each prompt

    def started(self) -> Iterator[Run]:
        for run, value in zip(self.runs, self.inputs, strict=True):
            run.kw, run.invoked = self.kw, True
            if run.observed:
                run.started(value)
                yield run

    def look(self) -> None:
        """Answer out of the cache what is there."""
        for number, place in enumerate(self.places):
            found = None if place is None else place.look()
            if found is not None:
                self._answer(number, self.model._result(found))

    async def alook(self) -> None:
        for number, place in enumerate(self.places):
            found = None if place is None else await place.alook()
            if found is not None:
                self._answer(number, self.model._result(found))

    def missing(self) -> tuple[list[str], Run]:
        """The prompts to ask, and the run of the first one."""
        numbers = self._missing()
        return [self.prompts[n] for n in numbers], self.runs[numbers[0] if numbers else 0]

    def _missing(self) -> list[int]:
        return [number for number, found in enumerate(self.found) if found is None]

    def take(self, result: LLMResult, granted: Grant | None) -> Iterator[tuple[Place, Any]]:
        """The author's answer, cut by prompts; gives what is to be kept, and where."""
        if granted is not None:
            granted.answered([one for each in result.generations for one in each])
        numbers = self._missing()
        if len(result.generations) != len(numbers):
            raise ModelError(
                f"{self.model.get_name()} was asked {len(numbers)} prompts at once and gave "
                f"{len(result.generations)} answers: `_generate` gives one list of generations "
                "for each prompt, in their order."
            )
        for number, one in zip(numbers, result.flatten(), strict=True):
            place = self.places[number]
            if place is not None:
                yield place, kept_of(one.generations[0])
            self._answer(number, one)

    def _answer(self, number: int, result: LLMResult) -> None:
        self.found[number] = self.model._answer(result, self.runs[number])

    def ended(self, error: BaseException | None = None) -> Iterator[Run]:
        for run, value, answer in zip(self.runs, self.inputs, self.found, strict=True):
            if not run.observed:
                continue
            if error is None:
                run.ended(value, answer)
            else:
                run.stopped(error, None)
            yield run


def parts(places: list[int], configs: Sequence[Any]) -> Iterator[list[int]]:
    """Which prompts go into one call: all, or `max_concurrency` where a config has one."""
    size = next((c["max_concurrency"] for c in configs if c and c.get("max_concurrency")), None)
    step = int(size or len(places) or 1)
    for start in range(0, len(places), step):
        yield places[start : start + step]


def gather(model: Any, inputs: Sequence[Any], configs: Sequence[Any], kw: Kwargs) -> list[str]:
    """The answers to all inputs, by one call at most."""
    calls = _Calls(model, inputs, configs, kw)
    try:
        list(calls.started())
        calls.look()
        prompts, run = calls.missing()
        if prompts:
            granted = None if model.rate_limiter is None else grant(model, prompts, run)
            for place, answer in calls.take(model._one(prompts, run, kw), granted):
                place.keep(answer)
    except BaseException as error:
        if isinstance(error, Exception):
            locate(error, model, [])
        list(calls.ended(error))
        raise
    list(calls.ended())
    return calls.found


async def agather(
    model: Any, inputs: Sequence[Any], configs: Sequence[Any], kw: Kwargs
) -> list[str]:
    """`gather`, async."""
    calls = _Calls(model, inputs, configs, kw)
    for run in calls.runs:
        await_hooks(run)
    try:
        for run in calls.started():
            await settle(run)
        await calls.alook()
        prompts, run = calls.missing()
        if prompts:
            granted = None if model.rate_limiter is None else await agrant(model, prompts, run)
            if "_agenerate" in model._bodies:
                result = await model._aone(prompts, run, kw)
            else:
                result = await call_in_thread(model._one, prompts, run, kw)
            for place, answer in calls.take(result, granted):
                await place.akeep(answer)
    except BaseException as error:
        if isinstance(error, Exception):
            locate(error, model, [])
        for run in calls.ended(error):
            await settle(run, last=True)
        raise
    for run in calls.ended():
        await settle(run, last=True)
    return calls.found
