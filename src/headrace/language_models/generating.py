"""`generate` and its like: several conversations, and all that their vendor says of each.

`invoke` gives the message of the best candidate; `generate` gives every candidate, `llm_output` and
the ids of the runs. Each conversation is a call as `invoke` makes it, with a run of its own, so
caches, limits and handlers see what they always see; what hooks are told at its end comes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from ..callbacks.arguments import given_of, result_of
from ..callbacks.described import combined
from ..config import merge_configs
from ..errors import InputError
from ..events import RunEnded
from ..outputs import LLMResult, RunInfo
from ..prompt_values import PromptValue

__all__ = ["Generating"]


class _Result:
    """An observer that keeps how one call ended; what runs inside it ends before."""

    def __init__(self) -> None:
        self.ended: Any = None

    def wants(self, run: Any) -> frozenset[Any]:
        return frozenset((RunEnded,))

    def on_event(self, event: RunEnded) -> None:
        self.ended = event

    @property
    def run(self) -> RunInfo:
        return RunInfo(run_id=self.ended.run.id)

    @property
    def result(self) -> LLMResult:
        return result_of(self.ended.output, given_of(self.ended.run))


class Generating:
    """The part of a model that answers several prompts in one call."""

    def generate(
        self,
        messages: Sequence[Any],
        stop: list[str] | None = None,
        callbacks: Any = None,
        *,
        tags: list[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        run_id: UUID | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        """All candidates for each of several conversations, one after the other.

        Args:
            messages: the conversations, each as for `invoke`.
            stop: texts that end an answer.
            callbacks, tags, metadata, run_name: of the runs; `run_id` is the first one's.
            kwargs: as for `invoke`.

        Raises: what the first call that fails raises; those after it are not made.
        """
        results = [_Result() for _ in _listed(messages)]
        configs = _configs(results, callbacks, tags, metadata, run_name, run_id)
        given = kwargs if stop is None else {**kwargs, "stop": stop}
        self._each(messages, configs, given)
        return self._together(results)

    async def agenerate(
        self,
        messages: Sequence[Any],
        stop: list[str] | None = None,
        callbacks: Any = None,
        *,
        tags: list[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        run_id: UUID | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        """The async twin of `generate`, with all calls at once; a failure cancels the others."""
        results = [_Result() for _ in _listed(messages)]
        configs = _configs(results, callbacks, tags, metadata, run_name, run_id)
        given = kwargs if stop is None else {**kwargs, "stop": stop}
        await self.abatch(list(messages), configs, **given)  # type: ignore[attr-defined]
        return self._together(results)

    def generate_prompt(
        self,
        prompts: Sequence[PromptValue],
        stop: list[str] | None = None,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        """`generate` for prompt values."""
        return self.generate(prompts, stop, callbacks, **kwargs)

    async def agenerate_prompt(
        self,
        prompts: Sequence[PromptValue],
        stop: list[str] | None = None,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        """`agenerate` for prompt values."""
        return await self.agenerate(prompts, stop, callbacks, **kwargs)

    def _each(self, asked: Sequence[Any], configs: Sequence[Any], given: Mapping[str, Any]) -> None:
        """The calls of `generate`."""
        for each, config in zip(asked, configs, strict=True):
            self.invoke(each, config, **given)  # type: ignore[attr-defined]

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        """The `llm_output` of several calls: the sum of their `token_usage`, and what they say
        alike. For authors whose own says more."""
        return combined(llm_outputs)

    def _together(self, results: list[_Result]) -> LLMResult:
        each = [result.result for result in results]
        return LLMResult(
            generations=[one.generations[0] for one in each],
            llm_output=self._combine_llm_outputs([one.llm_output for one in each]),
            run=[result.run for result in results] or None,
        )


def _listed(asked: Any) -> Any:
    """Raise InputError for one text where a list of them is wanted: it has a prompt per letter."""
    if isinstance(asked, str):
        raise InputError(f"generate got the text {asked!r:.200}: give a list with one prompt each.")
    return asked


def _configs(
    results: list[_Result],
    callbacks: Any,
    tags: list[str] | None,
    metadata: Mapping[str, Any] | None,
    run_name: str | None,
    run_id: UUID | None,
) -> list[Any]:
    given = {"callbacks": callbacks, "tags": tags, "metadata": metadata, "run_name": run_name}
    common = {key: value for key, value in given.items() if value is not None}
    configs = [merge_configs(common, {"callbacks": [result]}) for result in results]
    if configs and run_id is not None:
        configs[0] = {**configs[0], "run_id": run_id}
    return configs
