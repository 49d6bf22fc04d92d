"""The one thread pool: worker threads are made when none is idle, reused, and joined at exit.

No bound of its own (a bounded pool deadlocks when jobs wait for jobs); what bounds concurrency is
`max_concurrency`. Each job runs in a copy of the submitter's context.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from threading import get_ident

__all__ = ["GRACE", "Breaks", "LeftError", "Signal", "breakable", "busy", "context_here", "pause",
           "submit", "waiting"]  # fmt: skip

GRACE = 1.0  # seconds for a blocked thread to come back when its work is given up
_LOOK = 0.5  # seconds until a waiting thread looks whether there was a signal
_LARGE = 100_000  # ThreadPoolExecutor wants a number; threads are only made when none is idle
_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_busy = 0


def _started() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(_LARGE, thread_name_prefix="headrace-pool")
        return _pool


def _forget() -> None:
    """In a forked child the threads are gone and the locks may be held: start afresh."""
    global _pool, _lock, _busy
    _pool, _lock, _busy = None, threading.Lock(), 0


os.register_at_fork(after_in_child=_forget)


def busy() -> int:
    """Jobs submitted and not finished yet."""
    return _busy


class Signal:
    """`threading.Event` by a lock alone, for waits that Ctrl-C must end. That one is written in
    Python, and an interrupted `wait` may come out as a RuntimeError about the lock inside. And a
    signal that comes just before a thread blocks is noticed when it looks again."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        with suppress(RuntimeError):  # it is set
            self._lock.release()

    def clear(self) -> None:
        self._lock.acquire(blocking=False)

    def is_set(self) -> bool:
        return not self._lock.locked()

    def wait(self, timeout: float | None = None) -> None:
        while not self._lock.acquire(timeout=_LOOK if timeout is None else timeout):
            if timeout is not None:
                return
        self.set()


# The threads that wait, blocked, for what runs in this context.
_waiting: ContextVar[frozenset[int]] = ContextVar("headrace_waiting", default=frozenset())


def waiting(thread: int) -> bool:
    """Whether this is a thread, or works while that thread waits for it."""
    return thread == get_ident() or thread in _waiting.get()


def context_here() -> Context:
    """A copy of this context, for work that this thread waits for."""
    context = copy_context()
    context.run(_waiting.set, _waiting.get() | {get_ident()})
    return context


def submit(job: Callable[[], None], *, awaited: bool = False) -> None:
    """Run `job` in a worker thread. It reports its own result and must not raise. The thread that
    submits it waits for it, unless the job is `awaited` there by an event loop that goes on."""
    global _busy
    pool = _pool or _started()
    context = copy_context() if awaited else context_here()
    with _lock:
        _busy += 1

    def run() -> None:
        global _busy
        try:
            context.run(job)
        finally:
            with _lock:
                _busy -= 1

    pool.submit(run)


# ------------------------------------------------------------------ breaking off


class LeftError(BaseException):
    """Raised in a thread whose work nobody wants any more, up to where it began."""


class Breaks:
    """What work that runs elsewhere may be broken off by, in the middle of a wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Callable[[], None]] = []
        self.fired = False

    def here(self) -> None:
        """From now on, in this context, `breakable` code belongs to this work."""
        _breaks.set(self)

    def add(self, call: Callable[[], None]) -> None:
        with self._lock:
            if self.fired:
                raise LeftError
            self._calls.append(call)

    def drop(self, call: Callable[[], None]) -> None:
        with self._lock:
            self._calls.remove(call)

    def fire(self) -> None:
        """Break off, from any thread: what waits now, and whatever would wait from now on."""
        with self._lock:
            self.fired = True
            calls = self._calls[::-1]
        for call in calls:
            try:
                call()
            except Exception:  # it is awaited as what cannot be broken off is
                logging.getLogger("headrace").warning("%r could not break off", call, exc_info=True)


_breaks: ContextVar[Breaks | None] = ContextVar("headrace_breaks", default=None)


@contextmanager
def breakable(call: Callable[[], None]) -> Iterator[None]:
    """Around what blocks: where its work is given up, `call` is called, in another thread, and must
    make it return or raise soon (by shutting a connection down, by setting an event). What it
    returns or raises then is of no interest: the block ends with `LeftError`. A generator may yield
    inside the block."""
    breaks = _breaks.get()
    if breaks is None:
        yield
        return
    breaks.add(call)
    try:
        yield
    except Exception as error:
        if breaks.fired:
            raise LeftError from error
        raise
    finally:
        breaks.drop(call)
    if breaks.fired:
        raise LeftError


def pause(seconds: float, sleep: Callable[[float], None]) -> None:
    """`sleep(seconds)`; where this is work that may be broken off, a wait that ends then."""
    if _breaks.get() is None:
        sleep(seconds)
        return
    broken = Signal()
    with breakable(broken.set):
        broken.wait(seconds)
