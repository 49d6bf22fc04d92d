"""`batch` of a sequence some of whose steps have a `batch` of their own: stage by stage.

A step that answers many inputs at once better than one by one (a user's override of `batch`) gets
all inputs that are still alive in one call; the steps between such ones go through as usual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..run import Run, begin
from ._doors import batches


def stages(steps: Sequence[Any], door: str) -> list[list[Any]]:
    """The steps cut into stages; one stage if no step has a `door` of its own."""
    cut: list[list[Any]] = [[]]
    for step in steps:
        if batches(step, door):
            cut += [[step], []]
        else:
            cut[-1].append(step)
    return [stage for stage in cut if stage]


class Staged:
    """The inputs on their way: values at their places, failures kept out of later stages."""

    def __init__(
        self, node: Any, inputs: Sequence[Any], configs: Sequence[Any], keep: bool
    ) -> None:
        self.values: list[Any] = list(inputs)
        self.inputs = inputs
        self.runs = [begin(node, config) for config in configs]
        self.configs = [
            run.config() if run.observed else config
            for run, config in zip(self.runs, configs, strict=True)
        ]
        self.keep = keep
        self.alive = list(range(len(self.values)))

    def calls(
        self, made: Sequence[Any], kwargs: dict[str, Any]
    ) -> Iterator[tuple[Any, list[Any], list[Any], dict[str, Any]]]:
        """For each stage: the runnable, its inputs, their configs, its keyword arguments."""
        for runnable in made:
            if not self.alive:
                return
            inputs = [self.values[place] for place in self.alive]
            yield runnable, inputs, [self.configs[place] for place in self.alive], kwargs
            kwargs = {}

    def started(self) -> Iterator[Run]:
        """Report that each input's run starts; gives those that somebody observes."""
        for run, value in zip(self.runs, self.inputs, strict=True):
            if run.observed:
                run.started(value)
                yield run

    def ended(self, error: BaseException | None = None) -> Iterator[Run]:
        """Report how each input's run ended: with its value, its failure, or all by `error`."""
        for run, given, value in zip(self.runs, self.inputs, self.values, strict=True):
            if not run.observed:
                continue
            failure = value if self.keep and isinstance(value, Exception) else error
            if failure is None:
                run.ended(given, value)
            else:
                run.stopped(failure, None)
            yield run

    def take(self, outputs: Sequence[Any]) -> None:
        """What a stage gave, in the order of its inputs."""
        for place, output in zip(self.alive, outputs, strict=True):
            self.values[place] = output
        if self.keep:
            alive = [p for p in self.alive if not isinstance(self.values[p], Exception)]
            self.alive = alive


def joined(stage: list[Any], sequence: Callable[..., Any]) -> Any:
    """A stage as one runnable."""
    return stage[0] if len(stage) == 1 else sequence(*stage)
