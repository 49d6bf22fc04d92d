"""Ctrl-C while a stream runs: it is closed for real, and what cannot be closed is left behind.

Closing waits for user code that blocks a worker thread, which nothing can interrupt. Whoever
pressed Ctrl-C does not want to wait for that, nor does a second Ctrl-C help; so the first one also
sets a limit on how long the process may take to end.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

__all__ = ["stop_on_interrupt"]

_PATIENCE = 2.0  # seconds from Ctrl-C to the end of the process
_LEFT = b"headrace: a step did not stop within 2 s of Ctrl-C and was left as it is.\n"


def _interrupt() -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def stop_on_interrupt(stop: Callable[[], object] = _interrupt) -> Iterator[Callable[[], bool]]:
    """While inside, Ctrl-C calls `stop` in the main thread and sets the limit.

    Args:
        stop: how to stop; raising KeyboardInterrupt is the default.

    Yields:
        A function that says whether Ctrl-C came.
    """
    before = signal.getsignal(signal.SIGINT)
    came: list[int] = []

    def on_interrupt(number: int, frame: object) -> None:
        if not came:
            _limit()
        came.append(number)
        stop()

    # A process in the background is started with Ctrl-C ignored: that is to stay.
    ignored = before in (signal.SIG_IGN, None)
    if not ignored:
        signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield lambda: bool(came)
    finally:
        if not ignored:
            signal.signal(signal.SIGINT, before)


def _limit() -> None:
    timer = threading.Timer(_PATIENCE, _leave)
    timer.daemon = True
    timer.start()


def _leave() -> None:
    os.write(2, _LEFT)
    os._exit(130)
