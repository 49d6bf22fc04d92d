"""The shapes a component can have. Logic is written once, without colour; the drivers run it.

| shape     | you write                                 | for                                      |
|-----------|-------------------------------------------|------------------------------------------|
| `Each`    | `_step(x) -> y`                           | one chunk in, one out                    |
| `Op`      | `_start(fold)`, a machine (feed, finish)  | one in, many out, with memory            |
| `Plan`    | `_plan(run, kw)`, a generator of commands | order and failure policy                 |
| `Contest` | `_terms()`, who runs and until when       | parts against time or each other         |
| `Leaf`    | `_open`, `_aopen`, `_value`, `_avalue`    | user code, models, transports: all waits |

Every node answers the four questions of the drivers: `_open`/`_aopen` (a source to a stream,
nothing pulled yet) and `_value`/`_avalue` (a value to a value). The `_in_…` twins are what a
combinator calls: they differ where a user's class overrides public doors (see `_doors.py`).
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

from . import _async, _async_plan, _async_race, _sync, _sync_plan, _sync_race
from ._terms import Terms
from .flow import Command, Late, Machine, Outcome, Stepped, Tapped, Whole, fold_chunks
from .run import Run

if TYPE_CHECKING:
    from .flow import Fold

Kwargs: TypeAlias = Mapping[str, Any]


class Flow(NamedTuple):
    """How a step treats a stream. `kind`: `"streams"` (chunk in, chunk out), `"barrier"` (waits
    for its whole input) or `"source"` (waits, then makes a stream). `advice`: what to write
    instead of a barrier, or ""."""

    kind: str
    advice: str = ""


class Pieces(IntEnum):
    """Of a step: does it give, or take, several chunks for one value?"""

    NONE = 0
    MAYBE = 1  # a function, which may return a runnable; a step that reads chunks, all adding up
    SURE = 2  # a generator gives them; user code sees how its input is cut


class Node:
    """What the drivers need of a component."""

    _run_type: ClassVar[str] = "chain"
    _transparent: ClassVar[bool] = False  # a binding: the drivers look through it
    # How its parts stand in a graph: "step" (not shown), "row", "side", "along", "one", "inside".
    _layout: ClassVar[str] = "step"
    _fold: Callable[[list[Any]], Any] | None = None  # how its chunks add up; None: with `+`
    _many: Pieces = Pieces.NONE  # whether it makes several chunks of one value
    _async_only: Any = None  # the step that has no sync body, if any
    _at_once: ClassVar[bool] = False  # see `_asked_once`
    _collects: ClassVar[bool] = False  # starts with its whole input: events tell it at the start
    _own_callbacks: Any = None  # handlers given to the component itself: of its runs and below

    if TYPE_CHECKING:

        def get_name(self) -> str: ...
        def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]: ...
        def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]: ...
        def _value(self, value: Any, run: Run, kw: Kwargs) -> Any: ...
        async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any: ...

        _in_open = _open
        _in_aopen = _aopen
        _in_value = _value
        _in_avalue = _avalue

    def _fold_after(self, fold: Fold | None) -> Fold | None:
        """How this step's chunks add up where its input adds up by `fold`."""
        return self._fold

    def _unwrap(self, run: Run, kw: Kwargs) -> tuple[Node, Run, Kwargs]:
        raise NotImplementedError  # only transparent nodes are asked

    def _behind(self, config: Any, kw: Kwargs) -> tuple[Any, Any, Kwargs]:
        """The same at the root, where a view is opened: what to call, and with what."""
        raise NotImplementedError  # only transparent nodes are asked

    def _asked_once(self, kw: Kwargs, *, sync: bool) -> bool:
        """Whether it takes a whole value and gives one, so that `stream` is `invoke`: its run tells
        its whole input at the start, and has ended when its value is handed on."""
        return self._at_once and type(self)._in_open is type(self)._open

    def _metadata_of(self, kw: Kwargs) -> Mapping[str, Any]:
        """The metadata of a run that is called with `kw`, besides what its config brings."""
        return getattr(self, "metadata", None) or {}

    def _shown_input(self, value: Any) -> Any:
        """An input as events tell it."""
        return value

    def _made_for_a_call(self, node: Any) -> bool:
        """Whether this one, which runs others in its place, has made `node` to run."""
        return False

    def _reads(self) -> Pieces:
        """Whether the chunks of its input get in, to a part of it or to user code."""
        streams = Pieces.MAYBE if self._flow().kind == "streams" else Pieces.NONE
        return max([streams, *(child._reads() for _, child in self._children())])

    def _start(self, fold: Fold | None) -> Machine | None:
        """A machine that does this step's work without waiting, or None if it may wait."""
        return None

    def _branch_machine(self, fold: Fold | None, run: Run, tag: str | None) -> Machine | None:
        """The machine for a driver that pushes, its run observed where `run` is."""
        if type(self)._in_open is not type(self)._open:  # a user's override is user code
            return None
        machine = self._start(fold)
        if machine is not None and self._own_callbacks is not None:
            run = run.configured({"callbacks": self._own_callbacks})
        if machine is None or not run.observed:
            return machine
        return Tapped(machine, run.child(self, tag), self._fold, fold)

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        """Labelled parts, for paths, graphs and `explain()`: the label is the part's place, "" for
        an only one, None for what is looked through and adds no level."""
        return ()

    def _flow(self) -> Flow:
        return Flow("streams")

    def _shows(self, number: int) -> bool:
        """Whether it would show in what comes out if the part of this number, from 0 in the order
        of `_children`, streamed."""
        return True


def lacking_all(nodes: Iterable[Any]) -> Any:
    """Of several of which one will run: what has no sync body, if that is so of all of them."""
    lacking = [node._async_only for node in nodes]
    return lacking[0] if lacking and all(each is not None for each in lacking) else None


def in_a_row(flows: Iterable[Flow]) -> Flow:
    """What steps one after the other do to a stream: the last one that collects decides."""
    kind = "streams"
    for flow in flows:
        if flow.kind != "streams":
            kind = flow.kind
    return Flow(kind)


def side_by_side(flows: Iterable[Flow]) -> Flow:
    """What branches do together: as much as the one that streams best."""
    kinds = {flow.kind for flow in flows}
    return Flow(next((kind for kind in ("streams", "source") if kind in kinds), "barrier"))


class Each(Node):
    """One chunk in, one out. A whole value counts as one chunk."""

    def _step(self, chunk: Any, /) -> Any:
        raise NotImplementedError

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        return _sync.run_each(self, source, self._step)

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        return _async.run_each(self, source, self._step)

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return self._step(value)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return self._step(value)

    def _start(self, fold: Fold | None) -> Machine | None:
        return Stepped(self._step)


class Op(Node):
    """One chunk in, any number out, with memory; never waits."""

    _many = Pieces.MAYBE  # or none

    def _start(self, fold: Fold | None) -> Machine:
        raise NotImplementedError

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        return _sync.run_machine(self, source, self._start(getattr(source, "fold", None)))

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        return _async.run_machine(self, source, self._start(getattr(source, "fold", None)))

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        machine = self._start(None)
        return fold_chunks(self._fold, [*machine.feed(value), *machine.finish()])

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return self._value(value, run, kw)


class Pure(Op):
    """A function of the whole input that never waits: a prompt, a parser of finished text."""

    _many = Pieces.NONE

    def _apply(self, value: Any, /) -> Any:
        raise NotImplementedError

    def _start(self, fold: Fold | None) -> Machine:
        return Whole(self._apply, fold)

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return self._apply(value)

    def _flow(self) -> Flow:
        return Flow("barrier")


class Plan(Node):
    """Order and failure policy, as a generator of commands; it sees no chunk and does no I/O.

    `_restarts`: it may run a child again. Where only the whole is wanted (`invoke`), nothing of a
    child is then handed on before its end, so that no chunk stands in the way of another try.
    """

    _restarts: ClassVar[bool] = False

    def _plan(self, run: Run, kw: Kwargs) -> Generator[Command, Outcome, None]:
        raise NotImplementedError

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        told = [self._fold]
        return Late(_sync_plan.run_plan(self, source, run, kw, told), told)

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        told = [self._fold]
        return Late(_async_plan.run_plan(self, source, run, kw, told), told)

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return _sync_plan.value_plan(self, value, run, kw)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return await _async_plan.value_plan(self, value, run, kw)


class Contest(Node):
    """Parts that run against time, or against each other: `_terms` says who, and until when.

    `_pieces`: its value is the fold of its stream, not one whole answer of a part.
    """

    _pieces = False

    def _terms(self) -> Terms:
        raise NotImplementedError

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        told = [self._fold]
        return Late(_sync_race.compete(self, source, run, kw, told), told)

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        told = [self._fold]
        return Late(_async_race.compete(self, source, run, kw, told), told)

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        by = _sync.value_by_fold if self._pieces else _sync_race.value_contest
        return by(self, value, run, kw)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        by = _async.value_by_fold if self._pieces else _async_race.value_contest
        return await by(self, value, run, kw)


class Leaf(Node):
    """Where waiting or user code is. Give `_open` and `_aopen`; the values default to folds."""

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return _sync.value_by_fold(self, value, run, kw)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return await _async.value_by_fold(self, value, run, kw)


class Barrier(Leaf):
    """A leaf that takes a whole value and gives one: write `_value` and `_avalue`."""

    _at_once = True

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        raise NotImplementedError

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        raise NotImplementedError

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        yield self._value(_sync.fold_source(source), run, kw)

    async def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        yield await self._avalue(await _async.fold_source(source), run, kw)

    def _flow(self) -> Flow:
        return Flow("barrier")
