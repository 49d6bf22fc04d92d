"""`RunnableSequence`: one step after the other, what `|` makes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Any, overload

from .. import _async, _sync
from .._awaited import await_hooks, settle
from .._locate import locate
from ..errors import ConfigError
from ..flow import EMPTY, Folded, Late, Machine, Piped, Tapped, fold_of
from ..run import Run
from ..shapes import Flow, Kwargs, Node, Pieces, in_a_row
from . import schema
from ._doors import native, no_sync_body
from ._stages import Staged, joined, stages
from ._typed import A, B
from .base import Input, Output, Runnable, makers
from .coerce import NotRunnableError, coerce_to_runnable
from .configs import get_config_list


class RunnableSequence(Runnable[Input, Output]):
    """Steps in a row; the chunks of each are the input of the next.

    A stream goes through all of them chunk by chunk, except where a step waits for its whole input
    (see `explain()`). Steps that are sequences themselves are taken apart. Keyword arguments of a
    call go to the first step.
    """

    _layout = "row"

    @overload
    def __init__(
        self, first: Runnable[Input, A], last: Runnable[A, Output], /, *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self,
        first: Runnable[Input, A],
        second: Runnable[A, B],
        last: Runnable[B, Output],
        /,
        *,
        name: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: RunnableSequence[Any, Any],
        *steps: Any,
        name: str | None = None,
        first: Any = None,
        middle: Sequence[Any] | None = None,
        last: Any = None,
    ) -> None: ...
    def __init__(
        self,
        *steps: Any,
        name: str | None = None,
        first: Any = None,
        middle: Sequence[Any] | None = None,
        last: Any = None,
    ) -> None:
        ends = ([] if end is None else [end] for end in (first, last))
        given = steps or (*next(ends), *(middle or ()), *next(ends))
        flat: list[Any] = []
        for number, step in enumerate(given, 1):
            if isinstance(step, RunnableSequence):
                flat += step.steps
                name = name or getattr(step, "name", None)
            elif step is None:
                raise NotRunnableError(
                    f"Step {number} of {len(given)} of a chain is None, which cannot be a step: is "
                    "it the result of a function without a `return`? Give a Runnable, a function, "
                    "a generator function, or a dict of those, or leave it out."
                )
            else:
                flat += _after(flat, coerce_to_runnable(step))
        if len(flat) < 2:
            raise ConfigError(
                f"A RunnableSequence needs at least two steps and got {len(flat)}: "
                "use the single runnable itself."
            )
        self.steps: list[Any] = flat
        self.name = name
        self._tags = [f"seq:step:{number}" for number in range(1, len(flat) + 1)]
        self._folds = list(self._folds_from(None))
        self._fold = self._folds[-1]
        self._many = max(step._many for step in flat)
        self._async_only = next((s._async_only for s in flat if s._async_only is not None), None)
        self._groups = list(_groups(flat))
        self._choosing = [step for step in flat if step._chooses]

    @property
    def first(self) -> Any:
        return self.steps[0]

    @property
    def middle(self) -> list[Any]:
        return self.steps[1:-1]

    @property
    def last(self) -> Any:
        return self.steps[-1]

    def _folds_from(self, fold: Any) -> Iterator[Any]:
        for step in self.steps:
            fold = step._fold_after(fold)
            yield fold

    def _fold_after(self, fold: Any) -> Any:
        return self._fold if fold is None else list(self._folds_from(fold))[-1]

    # ------------------------------------------------------------- streaming

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        return self._linked(_sync.open_step, source, run, kw)  # type: ignore[no-any-return]

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        return self._linked(_async.open_step, source, run, kw)  # type: ignore[no-any-return]

    def _linked(
        self,
        open_step: Any,
        source: Any,
        run: Run,
        kw: Kwargs,
        start: int = 0,
        end: int | None = None,
    ) -> Any:
        stream, fold = source, None
        known = type(source) is not Folded  # the folds are those found when the chain was made
        for index in range(start, len(self.steps) if end is None else end):
            step = self.steps[index]
            stream = open_step(step, source, run, kw, self._tags[index])
            kw = EMPTY
            known = known and type(stream) is not Late
            fold = self._folds[index] if known else fold_of(step, stream, source)
            source = stream if fold is None else Folded(stream, fold)
        return stream if known or type(stream) is Late else Late(stream, [fold])

    # ------------------------------------------------------------- values

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        if self._async_only is not None:  # before any step has run
            raise no_sync_body(self._async_only)
        for step in self._choosing:
            step._check_choice(run.scope.configurable, sync=True)
        for start, end in self._groups:
            if end - start == 1:
                value = _sync.value_step(self.steps[start], value, run, kw, self._tags[start])
            else:
                value = _sync.value_by_fold(_Group(self, start, end), value, run, kw)
            kw = EMPTY
        return value

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        for step in self._choosing:
            step._check_choice(run.scope.configurable, sync=False)
        for start, end in self._groups:
            if end - start == 1:
                step, tag = self.steps[start], self._tags[start]
                value = await _async.value_step(step, value, run, kw, tag)
            else:
                value = await _async.value_by_fold(_Group(self, start, end), value, run, kw)
            kw = EMPTY
        return value

    # ------------------------------------------------------------- several inputs

    @native
    def batch(
        self,
        inputs: list[Input],
        config: Any = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Output]:
        """As everywhere; a step with a user's own `batch` gets all inputs in one call."""
        cut = stages(self.steps, "batch")
        if len(cut) == 1:
            return super().batch(inputs, config, return_exceptions=return_exceptions, **kwargs)
        made = [joined(stage, RunnableSequence) for stage in cut]
        staged = Staged(self, inputs, get_config_list(config, len(inputs)), return_exceptions)
        list(staged.started())
        try:
            for stage, given, configs, kw in staged.calls(made, kwargs):
                staged.take(stage.batch(given, configs, return_exceptions=return_exceptions, **kw))
        except BaseException as error:
            if isinstance(error, Exception):
                locate(error, self, [])
            list(staged.ended(error))
            raise
        list(staged.ended())
        return staged.values

    @native
    async def abatch(
        self,
        inputs: list[Input],
        config: Any = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Output]:
        """`batch`, async; a step with a user's own `abatch` gets all inputs in one call."""
        cut = stages(self.steps, "abatch")
        if len(cut) == 1:
            return await super().abatch(
                inputs, config, return_exceptions=return_exceptions, **kwargs
            )
        made = [joined(stage, RunnableSequence) for stage in cut]
        staged = Staged(self, inputs, get_config_list(config, len(inputs)), return_exceptions)
        for run in staged.runs:
            await_hooks(run)
        for run in staged.started():
            await settle(run)
        try:
            for stage, given, configs, kw in staged.calls(made, kwargs):
                staged.take(
                    await stage.abatch(given, configs, return_exceptions=return_exceptions, **kw)
                )
        except BaseException as error:
            if isinstance(error, Exception):
                locate(error, self, [])
            for run in staged.ended(error):
                await settle(run, last=True)
            raise
        for run in staged.ended():
            await settle(run, last=True)
        return staged.values

    # ------------------------------------------------------------- as a machine

    def _branch_machine(self, fold: Any, run: Run, tag: str | None) -> Machine | None:
        if type(self)._in_open is not type(self)._open:
            return None
        inner = run.child(self, tag) if run.observed else run
        machines = []
        for step, step_tag in zip(self.steps, self._tags, strict=True):
            machine = step._branch_machine(fold, inner, step_tag)
            if machine is None:
                return None
            machines.append(machine)
            fold = step._fold_after(fold)
        piped = Piped(machines)
        return Tapped(piped, inner, fold, None) if run.observed else piped

    def _start(self, fold: Any) -> Machine | None:
        machines = []
        for step in self.steps:
            machine = step._start(fold)
            if machine is None:
                return None
            machines.append(machine)
            fold = step._fold_after(fold)
        return Piped(machines)

    # ------------------------------------------------------------- about itself

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        return (self._needs if side == "input" else self._gives)(None, config)

    def _needs(self, after: schema.Ask | None, config: Any) -> schema.Data:
        for step in reversed(self.steps):
            after = partial(schema.needs, step, after, config)
        return after()  # type: ignore[misc]

    def _gives(self, before: schema.Ask | None, config: Any) -> schema.Data:
        for step in self.steps:
            before = partial(schema.gives, step, before, config)
        return before()  # type: ignore[misc]

    def _kind_name(self) -> str:
        return "RunnableSequence"

    def _flow(self) -> Flow:
        return in_a_row(step._flow() for step in self.steps)

    def _shows(self, number: int) -> bool:
        return all(step._flow().kind == "streams" for step in self.steps[number + 1 :])

    def _reads(self) -> Pieces:
        return self.steps[0]._reads()  # type: ignore[no-any-return]

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [(str(number), step) for number, step in enumerate(self.steps, 1)]

    def __repr__(self) -> str:
        return "\n| ".join(
            repr(step) if number == 0 else repr(step).replace("\n", "\n  ")
            for number, step in enumerate(self.steps)
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RunnableSequence):
            return NotImplemented
        return self.steps == other.steps and self.name == other.name

    __hash__ = None  # type: ignore[assignment]


def _after(before: Sequence[Any], step: Any) -> list[Any]:
    """A step as it is after those before: a prompt with a schema has a model give it."""
    meet = getattr(before[-1], "_meet", None) if before else None
    met = step if meet is None else meet(step)
    return met.steps if isinstance(met, RunnableSequence) else [met]


def _groups(steps: list[Any]) -> Iterator[tuple[int, int]]:
    """Ranges of steps that a value goes through as one: a step that makes many chunks together
    with the steps that stream them on, so that `invoke` feeds those the chunks `stream` does."""
    start = 0
    while start < len(steps):
        end, sure = start + 1, steps[start]._many is Pieces.SURE
        if steps[start]._many:
            for number in range(end, len(steps)):
                if _asks_a_model(steps[number]):
                    break
                reads = steps[number]._reads()
                if reads is Pieces.SURE or (reads and sure):  # else it adds up what comes
                    end, sure = number + 1, True
        yield start, end
        start = end


def _asks_a_model(step: Any) -> bool:
    """Whether a language model is in it: those answer `invoke` in one piece, as users expect."""
    own = step._run_type in ("chat_model", "llm")
    return own or any(_asks_a_model(child) for _, child in step._children())


class _Group(Node):
    """Some steps of a sequence, opened as one stream."""

    def __init__(self, sequence: RunnableSequence[Any, Any], start: int, end: int) -> None:
        self.sequence, self.start, self.end = sequence, start, end
        self._fold = sequence._folds[end - 1]
        self.get_name = sequence.get_name  # type: ignore[method-assign]
        self._children = sequence._children  # type: ignore[method-assign]

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        part = self.sequence._linked(_sync.open_step, source, run, kw, self.start, self.end)
        return part  # type: ignore[no-any-return]

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        part = self.sequence._linked(_async.open_step, source, run, kw, self.start, self.end)
        return part  # type: ignore[no-any-return]


makers["sequence"] = RunnableSequence
