"""Ctrl-C while a stream runs: it is closed for real, and what cannot be closed is left behind.

Closing waits for user code that blocks a worker thread, which nothing can interrupt. Whoever
pressed Ctrl-C does not want to wait for that, nor does a second Ctrl-C help; so the first one also
sets a limit on how long the process may take to end.

Python runs a signal's handler between two of its own instructions. A signal that comes after the
last look and before a blocking call begins is noticed only when that call returns: with bad luck
(about one in 150), Ctrl-C does nothing while a terminal is read. So a thread hears signals too, by
the wakeup descriptor, and gets the main thread out of the call, once more if need be.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

__all__ = ["hearing_interrupts", "stop_on_interrupt"]

_PATIENCE = 2.0  # seconds from Ctrl-C to the end of the process
_KNOCKS = (0.02, 0.1)  # seconds between Ctrl-C, a first and a second knock at the main thread
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


@contextmanager
def hearing_interrupts() -> Iterator[None]:
    """While inside, no Ctrl-C waits for a blocking call of the main thread to return by itself.

    Nothing happens off the main thread, or on a platform without SIGURG (where it is the signal
    that says nothing: its default is to be ignored).
    """
    knock = getattr(signal, "SIGURG", None)
    if knock is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    answering = signal.signal(knock, lambda number, frame: None)
    listener = threading.Thread(target=_listen, args=(ours, knock), name="ctrl-c", daemon=True)
    listener.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(knock, answering)
        theirs.close()  # the end of what `_listen` reads
        listener.join()


def _listen(ours: socket.socket, knock: int) -> None:
    main = threading.main_thread().ident
    assert main is not None
    with ours:
        while heard := ours.recv(64):
            for seconds in _KNOCKS if signal.SIGINT in heard else ():
                time.sleep(seconds)
                signal.pthread_kill(main, knock)
