"""`RunnableBranch`: the first arm whose condition holds."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from ..errors import ConfigError
from ..flow import Collect, Command, Forward, Outcome
from ..run import Run
from ..shapes import Flow, Kwargs, Node, Plan, side_by_side
from .base import Input, Output, Runnable
from .coerce import NotRunnableError, coerce_to_runnable


class RunnableBranch(Plan, Runnable[Input, Output]):
    """`RunnableBranch((condition, arm), …, default)`: conditions are asked in turn, with the whole
    input; the arm of the first that holds runs on it and streams, else the default."""

    def __init__(self, *branches: Any, name: str | None = None) -> None:
        if len(branches) < 2:
            raise ConfigError(
                f"RunnableBranch got {len(branches)} arguments: give at least one "
                "(condition, runnable) pair and then the default."
            )
        *pairs, default = branches
        if (
            not isinstance(default, Runnable)
            and not callable(default)
            and not isinstance(default, Mapping)
        ):
            raise NotRunnableError(
                f"The default of a RunnableBranch comes last, without a condition, and is "
                f"{default!r}: give a runnable, a function or a dict."
            )
        for pair in pairs:
            if not isinstance(pair, (tuple, list)):
                raise NotRunnableError(
                    f"RunnableBranch got {pair!r} before its default: give a pair "
                    "(condition, runnable)."
                )
            if len(pair) != 2:
                raise ConfigError(
                    f"An arm of a RunnableBranch has {len(pair)} parts, {pair!r}: give a pair "
                    "(condition, runnable)."
                )
        self.branches = [(coerce_to_runnable(c), coerce_to_runnable(arm)) for c, arm in pairs]
        self.default = coerce_to_runnable(default)
        self.name = name
        everyone = [node for pair in self.branches for node in pair] + [self.default]
        self._async_only = next((n._async_only for n in everyone if n._async_only), None)
        self._many = any(arm._many for arm in everyone[1::2]) or self.default._many

    def _plan(self, run: Run, kw: Kwargs) -> Generator[Command, Outcome, None]:
        chosen = Forward(self.default, "branch:default")
        for number, (condition, arm) in enumerate(self.branches, 1):
            asked = yield Collect(condition, f"condition:{number}")
            if asked.error is not None:
                raise asked.error
            if asked.value:
                chosen = Forward(arm, f"branch:{number}")
                break
        outcome = yield chosen
        if outcome.error is not None:
            raise outcome.error

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        parts: list[tuple[str | None, Node]] = []
        for number, (condition, arm) in enumerate(self.branches, 1):
            parts += [(f"condition:{number}", condition), (f"branch:{number}", arm)]
        return [*parts, ("branch:default", self.default)]

    def _flow(self) -> Flow:
        arms = [*(arm._flow() for _, arm in self.branches), self.default._flow()]
        return Flow("barrier" if side_by_side(arms).kind == "barrier" else "source")

    def __repr__(self) -> str:
        return f"RunnableBranch(branches={self.branches!r}, default={self.default!r})"
