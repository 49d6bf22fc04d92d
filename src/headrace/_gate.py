"""`max_concurrency` as one object: an int that also counts who works.

A *lane* is one line of control of a run (a batch item, a branch of a parallel). A lane holds a
permit while it works and lends it while it waits for lanes of its own, so a bound of 1 cannot
deadlock however deep the graph is. Waiters may be threads and tasks of any loop at once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ._lazy import Lazy
from ._threads import breakable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
else:
    asyncio = Lazy("asyncio")

__all__ = ["Gate", "alane", "alent", "hand_over", "held", "lane", "lent"]


class Gate(int):
    """The bound itself, usable wherever the number is; shared by everything it bounds."""

    _lock: threading.Lock
    _free: int
    _waiters: deque[Callable[[], bool]]

    def __new__(cls, limit: int) -> Gate:
        self = super().__new__(cls, limit)
        self._lock = threading.Lock()
        self._free = limit
        self._waiters = deque()
        return self

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return (int, (int(self),))

    def _take(self, wake: Callable[[], bool]) -> bool:
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            self._waiters.append(wake)
            return False

    def release(self) -> None:
        """Give one permit back: to the longest waiter that still wants it, else to the pool."""
        with self._lock:
            while self._waiters:
                if self._waiters.popleft()():
                    return
            self._free += 1

    def acquire(self) -> None:
        """Block this thread until a permit is free."""
        ready = threading.Lock()
        ready.acquire()
        wanted = [True]

        def wake() -> bool:  # called under the lock
            if wanted[0]:
                ready.release()
            return wanted[0]

        def give_up() -> None:
            with self._lock:
                if ready.locked():  # else it has been handed over, and is given back soon
                    wanted[0] = False
                    ready.release()

        if self._take(wake):
            return
        got = False
        try:
            with breakable(give_up):
                ready.acquire()
                got = wanted[0]
        except BaseException:  # Ctrl-C while waiting: a permit handed over now goes on to the next
            with self._lock:
                wanted[0] = False
                handed = got or not ready.locked()
            if handed:
                self.release()
            raise

    async def aacquire(self) -> None:
        """Suspend this task until a permit is free."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        state = {"wanted": True, "handed": False}

        def settle() -> None:
            if not ready.done():
                ready.set_result(None)

        def wake() -> bool:  # called under the lock, from any thread
            if not state["wanted"]:
                return False
            state["handed"] = True
            loop.call_soon_threadsafe(settle)
            return True

        if self._take(wake):
            return
        try:
            await ready
        except BaseException:
            with self._lock:
                state["wanted"] = False
                handed = state["handed"]
            if handed:
                self.release()
            raise


class _Permit:
    """A lane's hold on a gate, lent once at a time (its code may fan out from two threads)."""

    __slots__ = ("_held", "_lock", "gate")

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self._held = True
        self._lock = threading.Lock()

    def give(self) -> bool:
        """Release the gate if this permit still holds it."""
        with self._lock:
            held, self._held = self._held, False
        if held:
            self.gate.release()
        return held

    def taken(self) -> None:
        self._held = True


_lane: ContextVar[_Permit | None] = ContextVar("headrace_lane", default=None)


def held() -> _Permit | None:
    """The permit of the lane that this is."""
    return _lane.get()


def hand_over(permit: _Permit | None) -> None:
    """Work here, from now on, under the permit of the lane that waits for it meanwhile."""
    _lane.set(permit)


_unbounded: Any = nullcontext()  # of either colour, at no cost


def lane(gate: Gate | None) -> AbstractContextManager[None]:
    """Be a lane of `gate` for the block (of one thread or task): work under a permit of it."""
    return _unbounded if gate is None else _lane_of(gate)


@contextmanager
def _lane_of(gate: Gate) -> Iterator[None]:
    gate.acquire()
    permit = _Permit(gate)
    token = _lane.set(permit)
    try:
        yield
    finally:
        _lane.reset(token)
        permit.give()


def lent(gate: Gate | None) -> AbstractContextManager[None]:
    """Wait in the block for lanes of one's own: they may have this lane's permit meanwhile."""
    permit = None if gate is None else _lane.get()
    return _unbounded if permit is None else _lent(permit)


@contextmanager
def _lent(permit: _Permit) -> Iterator[None]:
    lends = permit.give()
    try:
        yield
    finally:
        if lends:
            permit.gate.acquire()
            permit.taken()


def alane(gate: Gate | None) -> AbstractAsyncContextManager[None]:
    """`lane` for a task."""
    return _unbounded if gate is None else _alane_of(gate)


@asynccontextmanager
async def _alane_of(gate: Gate) -> AsyncIterator[None]:
    await gate.aacquire()
    permit = _Permit(gate)
    token = _lane.set(permit)
    try:
        yield
    finally:
        _lane.reset(token)
        permit.give()


def alent(gate: Gate | None) -> AbstractAsyncContextManager[None]:
    """`lent` for a task."""
    permit = None if gate is None else _lane.get()
    return _unbounded if permit is None else _alent(permit)


@asynccontextmanager
async def _alent(permit: _Permit) -> AsyncIterator[None]:
    lends = permit.give()
    try:
        yield
    finally:
        if lends:
            await permit.gate.aacquire()
            permit.taken()
