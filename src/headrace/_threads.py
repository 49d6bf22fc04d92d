"""The one thread pool: worker threads are made when none is idle, reused, and joined at exit.

No bound of its own (a bounded pool deadlocks when jobs wait for jobs); what bounds concurrency is
`max_concurrency`. Each job runs in a copy of the submitter's context.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

__all__ = ["busy", "submit"]

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


def submit(job: Callable[[], None]) -> None:
    """Run `job` in a worker thread. It reports its own result and must not raise."""
    global _busy
    pool = _pool or _started()
    context = copy_context()
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
