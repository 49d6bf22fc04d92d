"""`RunnableParallel`: one input through several branches, a dict of their outputs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, overload

from .. import _async, _async_fan, _sync, _sync_fan
from ..flow import Branch, Folded, Late, Machine, Tapped, close_machines, knowing_fold
from ..run import Run
from ..shapes import Flow, Kwargs, Node, Pieces, side_by_side
from . import schema
from .addable import AddableDict, fold_by_key
from .base import Input, Runnable, makers
from .coerce import by_key, coerced


def _under(key: str) -> Callable[[Any], AddableDict]:
    def wrap(chunk: Any) -> AddableDict:
        return AddableDict(((key, chunk),))

    return wrap


class RunnableParallel(Runnable[Input, dict[str, Any]]):
    """Branches by key, given as a dict, as keywords, or both.

    Its chunks are dicts of one key, `{"key": chunk of that branch}`, in the order in which the
    branches have them; they add up to the dict of all outputs. Branches that may wait run at once
    (threads, or tasks in async runs); prompts, parsers and the like need none.
    """

    _layout = "side"

    name: str | None = None
    _derived = ("_branches",)

    @overload
    def __init__(
        self,
        steps__: Mapping[str, Runnable[Input, Any]] | None = None,
        **kwargs: Runnable[Input, Any],
    ) -> None: ...
    @overload
    def __init__(
        self: RunnableParallel[Any], steps__: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None: ...
    def __init__(self, steps__: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        given = {**by_key(steps__ or {}, "RunnableParallel"), **kwargs}
        self.steps__ = coerced(given, "RunnableParallel")
        self._tags = {key: f"map:key:{key}" for key in given}
        self._derive()
        self._fold = self._fold_after(None)
        steps = self.steps__.values()
        self._many = max([Pieces.MAYBE, *(step._many for step in steps)])  # a chunk for each key
        self._async_only = next((s._async_only for s in steps if s._async_only is not None), None)
        self._may_wait = [key for key, step in self.steps__.items() if not step._start(None)]

    def _derive(self) -> None:
        self._branches = [
            Branch(self._tags[key], _under(key), step) for key, step in self.steps__.items()
        ]

    @property
    def steps(self) -> dict[str, Any]:
        """The branches by key."""
        return dict(self.steps__)

    def _fold_after(self, fold: Any) -> Any:
        folds = {key: step._fold_after(fold) for key, step in self.steps__.items()}
        return partial(fold_by_key, folds) if any(folds.values()) else None

    # ------------------------------------------------------------- streaming

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        sums = _Sums(self, source)
        return Late(_sync_fan.fan_out(self, sums.branches, source, run), [sums])

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        sums = _Sums(self, source)
        return Late(_async_fan.fan_out(self, sums.branches, source, run), [sums])

    def _start(self, fold: Any) -> Machine | None:
        made = [(branch.node._start(fold), branch.wrap) for branch in self._branches]
        return None if any(machine is None for machine, _ in made) else _Fanned(made)

    def _branch_machine(self, fold: Any, run: Run, tag: str | None) -> Machine | None:
        if self._may_wait or type(self)._in_open is not type(self)._open:
            return None
        inner = run.child(self, tag) if run.observed else run
        fanned = _Fanned(
            [(b.node._branch_machine(fold, inner, b.tag), b.wrap) for b in self._branches]
        )
        return Tapped(fanned, inner, self._fold_after(fold), fold) if run.observed else fanned

    # ------------------------------------------------------------- values

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        def work(index: int) -> Any:
            key = keys[index]
            return _sync.value_step(self.steps__[key], value, run, tag=self._tags[key])

        keys = self._may_wait
        if len(keys) < 2:
            keys = list(self.steps__)
            return {key: work(index) for index, key in enumerate(keys)}
        done = dict(
            zip(keys, _sync_fan.gather(work, len(keys), gate=run.gate, workers=64), strict=True)
        )
        return {
            key: done[key]
            if key in done
            else _sync.value_step(step, value, run, tag=self._tags[key])
            for key, step in self.steps__.items()
        }

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        async def work(index: int) -> Any:
            key = keys[index]
            return await _async.value_step(self.steps__[key], value, run, tag=self._tags[key])

        keys = self._may_wait
        if len(keys) < 2:
            keys = list(self.steps__)
            return {key: await work(index) for index, key in enumerate(keys)}
        values = await _async_fan.gather(work, len(keys), gate=run.gate)
        done = dict(zip(keys, values, strict=True))
        result = {}
        for key, step in self.steps__.items():
            if key in done:
                result[key] = done[key]
            else:
                result[key] = await _async.value_step(step, value, run, tag=self._tags[key])
        return result

    # ------------------------------------------------------------- about itself

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        if side == "output":
            return self._gives(None, config)
        steps = self.steps__.values()
        parts = [schema.known(partial(schema.said, step, side, config)) for step in steps]
        return schema.one_input(schema.title(self, side), parts)

    def _gives(self, before: schema.Ask | None, config: Any) -> schema.Data:
        fields = {}
        for key, step in self.steps__.items():
            given = schema.known(partial(schema.gives, step, before, config))
            fields[key] = (schema.annotation_of(given), ...)
        return schema.Fields(schema.title(self, "output"), fields)

    def _kind_name(self) -> str:
        return f"RunnableParallel<{','.join(self.steps__)}>"

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return list(self.steps__.items())

    def _flow(self) -> Flow:
        return side_by_side(step._flow() for step in self.steps__.values())

    def __repr__(self) -> str:
        inside = ",\n".join(
            f"  {key}: {step!r}".replace("\n", "\n  ") for key, step in self.steps__.items()
        )
        return f"{{\n{inside}\n}}" if inside else "{}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RunnableParallel):
            return NotImplemented
        return self.steps__ == other.steps__ and self.name == other.name

    __hash__ = None  # type: ignore[assignment]


class _Sums:
    """How the chunks of one opened parallel add up; a branch may learn while it runs how its do."""

    def __init__(self, parallel: RunnableParallel[Any], source: Any) -> None:
        fold = source.fold if type(source) is Folded else None
        self._folds = {key: step._fold_after(fold) for key, step in parallel.steps__.items()}
        pairs = zip(self._folds, parallel._branches, strict=True)
        self.branches = [b._replace(opened=partial(self._opened, key)) for key, b in pairs]

    def _opened(self, key: str, stream: Any) -> None:
        if type(stream) is Late:
            self._folds[key] = stream.fold

    knows = True  # where one of its branches does

    def __call__(self, chunks: list[Any]) -> Any:
        summed = fold_by_key(self._folds, chunks)  # whichever branch was first
        for key in self._folds.keys() - summed.keys():  # what has shown nothing may have a value
            if (knowing := knowing_fold(self._folds[key])) is not None:
                summed[key] = knowing([])
        if not chunks and not summed:
            return None
        ordered = {key: summed.pop(key) for key in self._folds if key in summed}
        return AddableDict({**summed, **ordered})  # what else is there, an assign has let through


class _Fanned:
    """The machine of a parallel whose branches all are machines."""

    __slots__ = ("_machines",)

    def __init__(self, machines: list[Any]) -> None:
        self._machines = machines

    def feed(self, chunk: Any) -> Iterable[Any]:
        for machine, wrap in self._machines:
            for output in machine.feed(chunk):
                yield wrap(output)

    def finish(self) -> Iterable[Any]:
        for machine, wrap in self._machines:
            for output in machine.finish():
                yield wrap(output)

    def close(self) -> None:
        close_machines(machine for machine, _ in self._machines)


RunnableMap = RunnableParallel

makers["parallel"] = RunnableParallel
