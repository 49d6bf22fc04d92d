"""Tracers: handlers that see whole runs (`callbacks.Run`) instead of single hooks.

Derive from `BaseTracer` and write `_persist_run(run)`, which gets each outermost run when it is
over, its children inside. `_on_run_create` and `_on_run_update` get every run as it starts and
ends, `_on_chain_start` and its like only those of their kind; at an end the order is
`_persist_run`, `_on_run_update`, `_on_chain_end`. Hooks may be overridden as well.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import isawaitable
from typing import Any
from uuid import UUID

from ..events import (
    EVENTS,
    Event,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunInfo,
    RunStarted,
    Takes,
)
from ..run import observed
from .arguments import kind_of
from .base import BaseCallbackHandler, await_event, finish_in_thread
from .run_tree import Run, RunTree
from .tracing_by_hand import HandHooks

__all__ = ["AsyncBaseTracer", "BaseTracer", "RunCollectorCallbackHandler", "collect_runs"]

# What a method for one kind of run has in the middle of its name: "_on_{}_start", "_end", "_error".
_MOMENTS: dict[type, str] = {RunStarted: "start", RunChunk: "token", RunEnded: "end",
                             RunFailed: "error", RunCancelled: "error"}  # fmt: skip
_FAMILIES = ("llm", "chain", "tool", "retriever")


class _Tracer(HandHooks, BaseCallbackHandler, ABC):
    """What tracers of both colours share: the tree, and which methods a change of it calls."""

    def __init__(self) -> None:
        super().__init__()
        self._tree = RunTree(tokens=True)
        self._hearing: dict[UUID, Run] = {}  # whose events are being told

    @property
    def run_map(self) -> dict[str, Run]:
        """The runs that go on, by the text of their ids."""
        return {str(run_id): run for run_id, run in self._tree.live.items()}

    def __copy__(self) -> _Tracer:
        return self  # a tracer that config helpers copy goes on collecting in one place

    def __deepcopy__(self, memo: Any) -> _Tracer:
        return self

    def wants(self, run: RunInfo) -> Takes:
        mine, hooks = self._tree.wants(run), super().wants(run)
        return [kind for kind in EVENTS if kind in mine or kind in hooks]

    def _call_hook(self, event: Event) -> Any:
        """The tree, its methods, then the hooks: one way in for both colours. What is left to be
        awaited is given back."""
        calls = self._calls(event)
        for result in calls:
            if result is not None and isawaitable(result):
                return _rest(result, calls)
        return None

    def _calls(self, event: Event) -> Iterator[Any]:
        """What the methods and the hook for an event return, called one by one."""
        run = self._tree.feed(event)
        if run is None:
            yield super()._call_hook(event)
            return
        moment = _MOMENTS.get(type(event))
        if moment is not None:
            yield from self._changed(run, kind_of(event.run.run_type), moment)
        self._hearing[run.id] = run
        try:
            yield super()._call_hook(event)
        finally:
            self._hearing.pop(run.id, None)

    def _changed(self, run: Run, kind: str, moment: str) -> Iterator[Any]:
        if moment == "token":
            token = run.events[-1]["kwargs"]
            yield self._on_llm_new_token(run, token["token"], token["chunk"])
            return
        if moment == "start":
            yield self._on_run_create(run)
            yield getattr(self, f"_on_{kind}_start")(run)
            return
        if run.parent_run_id is None:
            yield self._persist_run(run)
        yield self._on_run_update(run)
        family = "llm" if kind == "chat_model" else kind
        yield getattr(self, f"_on_{family}_{moment}")(run)

    def _played(self, run: Run, calls: Iterator[Any]) -> Any:
        for result in calls:
            if result is not None and isawaitable(result):
                finish_in_thread(result)
        return run

    @abstractmethod
    def _persist_run(self, run: Run) -> Any:
        """An outermost run is over; its children are in `run.child_runs`."""

    def _on_run_create(self, run: Run) -> Any:
        """A run starts."""

    def _on_run_update(self, run: Run) -> Any:
        """A run is over."""

    def _on_llm_new_token(self, run: Run, token: Any, chunk: Any) -> Any:
        """A model's next piece."""


async def _rest(result: Any, calls: Iterator[Any]) -> None:
    await result
    for another in calls:
        if another is not None and isawaitable(another):
            await another


def _nothing(name: str) -> Callable[..., Any]:
    def method(self: Any, run: Run) -> Any:
        return None

    method.__name__ = name
    method.__doc__ = "For subclasses: gets the run."
    return method


for _name in (
    "_on_chat_model_start",
    *(f"_on_{f}_{m}" for f in _FAMILIES for m in ("start", "end", "error")),
):
    setattr(_Tracer, _name, _nothing(_name))


class BaseTracer(_Tracer):
    """Base of tracers; see the file's head."""


class AsyncBaseTracer(_Tracer):
    """Base of tracers whose methods are coroutine functions: awaited in async runs, finished in a
    worker thread in sync ones."""

    aon_event = await_event

    async def _played(self, run: Run, calls: Iterator[Any]) -> Run:
        for result in calls:
            if result is not None and isawaitable(result):
                await result
        return run


class RunCollectorCallbackHandler(BaseTracer):
    """Keeps every outermost run that is over, in `traced_runs`."""

    name = "run-collector_callback_handler"

    def __init__(self, example_id: UUID | str | None = None) -> None:
        super().__init__()
        self.example_id = UUID(example_id) if isinstance(example_id, str) else example_id
        self.traced_runs: list[Run] = []

    def _persist_run(self, run: Run) -> None:
        self.traced_runs.append(run)


@contextmanager
def collect_runs() -> Iterator[RunCollectorCallbackHandler]:
    """Collect all runs that start inside the block, in this thread or task and those it makes
    with its context."""
    collector = RunCollectorCallbackHandler()
    with observed(collector):
        yield collector
