"""Observers that are awaited: events wait in one queue per tree until an async driver comes by.

An observer with a method `aon_event(event)` (a coroutine function) is awaited in async runs: the
run puts its events into `Run.pending`, in their order, and the driver calls `settle` after each.
Events of sync parts inside (functions, machines, worker threads) join the same queue, so one order
holds for the tree, and all is told when its outermost run ends. Sync runs have no queue: observers
get `on_event` there. A tree without such an observer has no queue either.

What an observer invokes with the config of the run it is told of joins that tree's queue; it does
not wait there, for it would wait for itself: the loop that tells now tells the rest as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ._lazy import Lazy
from .run import Run, _current

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Lazy("asyncio")

__all__ = ["Pending", "await_hooks", "outlast", "settle", "to_the_end"]


class Pending(deque[Any]):
    """Pairs (observer, event) that wait, and the loop and the lock for telling them in order. A
    pair (None, run) stands where all of a run is told."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.lock = asyncio.Lock()


# The queues whose observers are being told around here, outermost first.
_telling: ContextVar[tuple[Pending, ...]] = ContextVar("headrace_telling", default=())


def await_hooks(run: Run) -> None:
    """Give a run of an async driver its tree's queue, or one of its own where there is none."""
    if run.scope.waits:
        pending = run.pending
        if pending is None or pending.loop is not asyncio.get_running_loop():
            run.pending = Pending()


async def settle(run: Run, *, last: bool = False) -> None:
    """Tell what waits. With `last` a cancellation does not cut it off: it is raised afterwards."""
    pending = run.pending
    if not pending:
        return
    # a task that outlives the observer who made it finds the lock free, and tells like any other
    if pending.lock.locked() and any(one is pending for one in _telling.get()):
        return
    if not last:
        await _tell(pending)
        return
    cancelled = await to_the_end(_tell(pending))
    if cancelled is not None:
        raise cancelled


async def to_the_end(work: Coroutine[Any, Any, None]) -> BaseException | None:
    """Await work that a cancellation must not cut off: in a task of its own, which no timeout and
    no cancel scope of this one's reaches. Returns the cancellation that came meanwhile."""
    task = asyncio.create_task(work)
    cancelled = await outlast(task)
    if not task.cancelled():  # by somebody who cancels all tasks there are
        task.result()
    return cancelled


async def outlast(task: asyncio.Task[Any]) -> BaseException | None:
    """Wait until a task is over, however it ends, whatever cancels this one meanwhile. Returns that
    cancellation."""
    cancelled: BaseException | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled


async def _tell(pending: Pending) -> None:
    async with pending.lock:
        token = _current.set(None)  # what a hook invokes is no part of the run it is told of
        told = _telling.set((*_telling.get(), pending))
        failure: Exception | None = None
        try:
            while pending:
                observer, event = pending.popleft()
                if observer is None:
                    if event.faults is not None:
                        event.faults.tell(event)
                    continue
                try:
                    await observer.aon_event(event)
                except Exception:
                    try:
                        event.run.failed_to_tell(observer, event)
                    except Exception as error:  # when all have been told
                        failure = failure or error
        finally:
            _telling.reset(told)
            _current.reset(token)
    if failure is not None:
        raise failure
