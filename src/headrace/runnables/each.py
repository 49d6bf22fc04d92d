"""`RunnableEach`: a runnable for the elements of a list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from .. import _async, _async_fan, _sync, _sync_fan
from ..errors import InputError
from ..run import Run
from ..shapes import Flow, Kwargs, Leaf, Node, Pieces
from . import schema
from ._repr import called
from .base import Runnable, makers
from .coerce import coerce_to_runnable


class NotAListError(InputError, TypeError):
    """`RunnableEach` got something that is no list."""


def _listed(value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        raise NotAListError(
            f"RunnableEach works on a list and got {value!r} ({type(value).__name__}): "
            "give a list with one input for each call."
        )
    return value


class RunnableEach(Leaf, Runnable[list[Any], list[Any]]):
    """`bound` applied to each element, several at once; what `.map()` makes.

    It streams: each finished element is a chunk `[output]`, in the order of the input, so the
    chunks add up to the whole list; an input that arrives as list chunks is worked on as it comes.
    """

    _layout = "inside"
    _many = Pieces.SURE

    def __init__(self, bound: Any, *, name: str | None = None) -> None:
        self.bound = coerce_to_runnable(bound)
        self.name = name
        self._async_only = self.bound._async_only
        self._waits = self.bound._start(None) is None

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        items = _listed(value)
        if not self._waits:
            return [_sync.value_step(self.bound, item, run, kw) for item in items]
        return _sync_fan.gather(
            lambda i: _sync.value_step(self.bound, items[i], run, kw), len(items), gate=run.gate
        )

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        items = _listed(value)
        if not self._waits:
            return [await _async.value_step(self.bound, item, run, kw) for item in items]
        return await _async_fan.gather(
            lambda i: _async.value_step(self.bound, items[i], run, kw), len(items), gate=run.gate
        )

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        read = given = 0
        for chunk in source:
            items = _listed(chunk)
            read, given = read + 1, given + len(items)
            if not self._waits:
                for item in items:
                    yield [_sync.value_step(self.bound, item, run, kw)]
                continue
            pairs = _sync_fan.gather_as_done(
                lambda i, items=items: _sync.value_step(self.bound, items[i], run, kw),  # type: ignore[misc]
                len(items),
                gate=run.gate,
            )
            run.holds(pairs, self)
            ordered = _Order()
            for number, output in pairs:
                yield from ordered.ready(number, output)
            run.streams.remove((pairs, self, None))
        if read and not given:  # an empty list is a value, not the end of nothing
            yield []

    async def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        read = given = 0
        async for chunk in source:
            items = _listed(chunk)
            read, given = read + 1, given + len(items)
            if not self._waits:
                for item in items:
                    yield [await _async.value_step(self.bound, item, run, kw)]
                continue
            pairs = _async_fan.gather_as_done(
                lambda i, items=items: _async.value_step(self.bound, items[i], run, kw),  # type: ignore[misc]
                len(items),
                gate=run.gate,
            )
            run.holds(pairs, self)
            ordered = _Order()
            async for number, output in pairs:
                for done in ordered.ready(number, output):
                    yield done
            run.streams.remove((pairs, self, None))
        if read and not given:  # an empty list is a value, not the end of nothing
            yield []

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        return schema.Items(schema.title(self, side), schema.said(self.bound, side, config))

    def _reads(self) -> Pieces:
        return Pieces.MAYBE  # what is bound gets whole elements

    def _kind_name(self) -> str:
        return f"RunnableEach<{self.bound.get_name()}>"

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("", self.bound)]

    def _flow(self) -> Flow:
        return Flow("streams")

    def __repr__(self) -> str:
        return called(type(self).__name__, self.bound)

    def __eq__(self, other: object) -> bool:
        return self.bound == other.bound if isinstance(other, RunnableEach) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


class _Order:
    """Outputs that get done in any order, handed on in theirs, each as a list of one."""

    def __init__(self) -> None:
        self._next = 0
        self._early: dict[int, Any] = {}

    def ready(self, number: int, output: Any) -> Iterator[list[Any]]:
        self._early[number] = output
        while self._next in self._early:
            yield [self._early.pop(self._next)]
            self._next += 1


makers["each"] = RunnableEach
