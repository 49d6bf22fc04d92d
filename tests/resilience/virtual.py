"""A clock for threads and event loops together: time passes only when everybody waits, and then at
once, to the next moment that somebody waits for.

`steps(0.5, "a", 2, "b")` is a runnable that waits half a second, gives "a", waits two, gives "b"; a
value to raise ends it. Waits are of the virtual clock, in both colours.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import nullcontext
from math import inf
from typing import Any

import pytest

from headrace import _sync_race
from headrace._threads import breakable, busy
from headrace.runnables import RunnableGenerator, RunnableLambda
from laws.ledger import LEDGER

LOOK = 0.0003  # real seconds between two looks at whether everybody waits


class VirtualClock:
    """Stands for `_sync_race.clock`; `VirtualLoop`s tell its time as well."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.tries: list[str] = []  # whose bodies have begun
        self._lock = threading.Lock()
        self._waiting: dict[Any, float] = {}  # the bells that threads wait for, and until when
        self._sleeping: dict[threading.Event, float] = {}
        self._jobs = 0  # of the pool that wait and do not sleep
        while busy():  # a job of the test before, which is just being struck off
            time.sleep(LOOK)

    def monotonic(self) -> float:
        return self.now

    @property
    def elapsed(self) -> float:
        return self.now - 1000.0

    # ---- threads

    def wait(self, bell: Any, seconds: float | None) -> None:
        until = inf if seconds is None else self.now + seconds
        inside = threading.current_thread().name.startswith("headrace-pool")
        with self._lock:
            self._waiting[bell] = until
            self._jobs += inside  # its job waits as well
        try:
            while self.now < until:
                if bell._lock.acquire(timeout=LOOK):
                    return
                self.advance(inf)
        finally:
            with self._lock:
                del self._waiting[bell]
                self._jobs -= inside

    def sleep(self, seconds: float, *, stubborn: bool = False) -> None:
        if not threading.current_thread().name.startswith("headrace-pool"):
            return self.wait(_sync_race.Bell(), seconds)
        woken, until = threading.Event(), self.now + seconds

        def wake() -> None:
            with self._lock:
                self._sleeping.pop(woken, None)
            woken.set()

        with nullcontext() if stubborn else breakable(wake):
            with self._lock:  # time may pass only now
                if not woken.is_set():
                    self._sleeping[woken] = until
            woken.wait()
            if self.now < until and not stubborn:
                raise ConnectionError("closed from outside")

    def advance(self, until: float, quiet: Callable[[], bool] = lambda: True) -> bool:
        """If every job of the pool waits or sleeps, and has told nobody anything (`quiet`), go to
        the next moment; whether `until` came."""
        with self._lock:
            if busy() > self._jobs + len(self._sleeping):
                return False
            # asked behind the jobs: one that has just ended has rung before
            if not all(bell._lock.locked() for bell in self._waiting) or not quiet():
                return False
            due = min([until, *self._waiting.values(), *self._sleeping.values()])
            if due == inf:
                return False
            self.now = max(self.now, due)
            for woken, at in list(self._sleeping.items()):
                if at <= self.now:
                    del self._sleeping[woken]
                    woken.set()
            return until <= self.now

    def wake_all(self) -> None:
        """Let those go on who sleep and were given up, and wait until they have ended."""
        while LEDGER.still_open or busy() > self._jobs:
            with self._lock:
                while self._sleeping:
                    self._sleeping.popitem()[0].set()
            time.sleep(LOOK)


class _Selector(selectors.DefaultSelector):
    clock: VirtualClock

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        until = inf if timeout is None else self.clock.now + timeout

        def quiet() -> bool:
            ready.extend(super(_Selector, self).select(0))
            return not ready

        return ready if self.clock.advance(until, quiet) or ready else super().select(LOOK)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers go off when nobody has anything else to do."""

    def __init__(self, clock: VirtualClock) -> None:
        selector = _Selector()
        selector.clock = clock
        self.time = clock.monotonic  # type: ignore[method-assign]
        super().__init__(selector)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualClock]:
    made = VirtualClock()
    monkeypatch.setattr(_sync_race, "clock", made)
    monkeypatch.setattr(asyncio.events, "new_event_loop", lambda: VirtualLoop(made))
    yield made
    made.wake_all()


def steps(clock: VirtualClock, *plan: Any, name: str = "steps", stubborn: bool = False) -> Any:
    """See the head of the file. `stubborn`: cannot be broken off in a thread."""

    def sync(chunks: Iterator[Any]) -> Iterator[Any]:
        clock.tries.append(name)
        with LEDGER.body(name):
            "".join(chunks)
            for step in plan:
                if isinstance(step, (int, float)):
                    clock.sleep(step, stubborn=stubborn)
                elif isinstance(step, BaseException):
                    raise step
                else:
                    yield step

    async def async_(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        clock.tries.append(name)
        with LEDGER.body(name):
            async for _ in chunks:
                await asyncio.sleep(0)
            for step in plan:
                if isinstance(step, (int, float)):
                    await asyncio.sleep(step)
                elif isinstance(step, BaseException):
                    raise step
                else:
                    yield step

    return RunnableGenerator(sync, async_, name=name)


def answers(clock: VirtualClock, seconds: float, answer: Any, name: str = "answers") -> Any:
    """A function that answers after a while, in one piece."""

    def given() -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def sync(_: Any) -> Any:
        clock.tries.append(name)
        with LEDGER.body(name):
            clock.sleep(seconds)
            return given()

    async def async_(_: Any) -> Any:
        clock.tries.append(name)
        with LEDGER.body(name):
            await asyncio.sleep(seconds)
            return given()

    return RunnableLambda(sync, async_, name=name)
