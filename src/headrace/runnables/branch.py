"""`RunnableBranch`: the first arm whose condition holds."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, overload

from ..errors import ConfigError
from ..flow import Collect, Command, Forward, Outcome, Read
from ..run import Run
from ..shapes import Flow, Kwargs, Node, Plan, lacking_all, side_by_side
from . import schema
from ._copying import ByValue
from ._repr import called
from ._typed import A, B
from .base import Input, Output, Runnable
from .coerce import NotRunnableError, coerce_to_runnable

_Then: TypeAlias = Runnable[A, B] | Callable[[A], B]
Arm: TypeAlias = tuple[_Then[A, Any], _Then[A, B]] | _Then[A, B]
"""A pair (condition, arm), or the default."""


class RunnableBranch(ByValue, Plan, Runnable[Input, Output]):
    """`RunnableBranch((condition, arm), …, default)`: conditions are asked in turn, with the whole
    input; the arm of the first that holds runs on it and streams, else the default."""

    _layout = "one"

    @overload
    def __init__(self, *branches: Arm[Input, Output], name: str | None = None) -> None: ...
    @overload
    def __init__(
        self: RunnableBranch[Any, Any], *branches: Any, name: str | None = None
    ) -> None: ...
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
        self.branches = [
            (
                coerce_to_runnable(condition, f"condition {number} of a RunnableBranch"),
                coerce_to_runnable(arm, f"arm {number} of a RunnableBranch"),
            )
            for number, (condition, arm) in enumerate(pairs, 1)
        ]
        self.default = coerce_to_runnable(default, "the default of a RunnableBranch")
        self.name = name
        self._fold = self._fold_after(None)
        everyone = [node for pair in self.branches for node in pair] + [self.default]
        arms = [*everyone[1::2], self.default]
        # the first condition is always asked; of the arms one will run
        self._async_only = everyone[0]._async_only or lacking_all(arms)
        self._many = max(arm._many for arm in arms)

    def _plan(self, run: Run, kw: Kwargs) -> Generator[Command, Outcome, None]:
        chosen = Forward(self.default, "branch:default")
        given = (yield Read()).value  # added up once, for all conditions
        for number, (condition, arm) in enumerate(self.branches, 1):
            asked = yield Collect(condition, f"condition:{number}", value=given)
            if asked.error is not None:
                raise asked.error
            if asked.value:
                chosen = Forward(arm, f"branch:{number}")
                break
        outcome = yield chosen
        if outcome.error is not None:
            raise outcome.error

    def _fold_after(self, fold: Any) -> Any:
        """That of the arms where they agree; else known when one of them has been chosen."""
        folds = [arm._fold_after(fold) for _, arm in self.branches]
        default = self.default._fold_after(fold)
        return default if all(each is default for each in folds) else None

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        arms = [self.default, *(arm for _, arm in self.branches)]
        asked = arms if side == "output" else [*arms, *(each for each, _ in self.branches)]
        parts = [schema.known(partial(schema.said, node, side, config)) for node in asked]
        found = next((part for part in parts if not schema.is_unknown(part)), None)
        if side == "output":
            found = schema.either(schema.title(self, side), parts)
        return super()._data(side) if found is None or schema.is_unknown(found) else found

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        parts: list[tuple[str | None, Node]] = []
        for number, (condition, arm) in enumerate(self.branches, 1):
            parts += [(f"condition:{number}", condition), (f"branch:{number}", arm)]
        return [*parts, ("branch:default", self.default)]

    def _flow(self) -> Flow:
        arms = [*(arm._flow() for _, arm in self.branches), self.default._flow()]
        return Flow("barrier" if side_by_side(arms).kind == "barrier" else "source")

    def _shows(self, number: int) -> bool:
        return number % 2 == 1 or number == 2 * len(self.branches)  # a condition gives one answer

    def __repr__(self) -> str:
        return called(type(self).__name__, branches=self.branches, default=self.default)
