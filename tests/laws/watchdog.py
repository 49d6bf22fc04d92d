"""A hang must fail fast: every run of a test body is given a few seconds, then it is interrupted.

The alarm's handler prints the stack of every thread and raises `Hung` in the main thread, again and
again until the test gives way. `Hung` is no `Exception`, so that neither hypothesis (which would
shrink, hanging again) nor code under test takes it for an ordinary failure.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LIMIT = float(os.environ.get("LAWS_LIMIT", "10"))  # seconds for one body, or for one test
AGAIN = 1.0  # seconds until the next interruption, if the first was swallowed
hung: list[str] = []  # what has hung in this process, for the end of the session


class Hung(BaseException):
    """The code under test did not come back in time."""


@contextmanager
def watched(what: str, limit: float = LIMIT) -> Iterator[None]:
    """Interrupt the block after `limit` seconds. Blocks may be nested: the inner limit counts, and
    the outer one is renewed when the inner block ends. Only for the main thread."""

    def bark(signum: int, frame: Any) -> None:
        if what not in hung:
            hung.append(what)
            sys.stderr.write(f"\n--- hung for {limit} s: {what}\n")
            faulthandler.dump_traceback(all_threads=True)
        raise Hung(f"{what} did not come back within {limit} s")

    old_handler = signal.signal(signal.SIGALRM, bark)
    old_delay, _ = signal.setitimer(signal.ITIMER_REAL, limit, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old_handler)
        if old_delay:
            signal.setitimer(signal.ITIMER_REAL, LIMIT, AGAIN)
