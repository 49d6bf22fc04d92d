"""`SharedLock`: many hold it to read, or one to write. A waiting writer goes before new readers.

Not reentrant: who reads must not write before it has let go. In a forked child it is free; if
somebody was writing when the process was forked, what it guards is half written there, and the lock
refuses everybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from headrace._fork import told_after_fork

from .base import HalfWrittenError

__all__ = ["SharedLock", "half_written"]


def half_written(what: str) -> HalfWrittenError:
    """The error, about what is half written."""
    return HalfWrittenError(
        f"This process was forked while a thread of its parent used {what}, of which it has half: "
        "make it anew or load it in the child, or fork when nobody uses it."
    )


class SharedLock:
    """A lock for what is read often and written seldom.

    Args:
        guarded: what it guards, as a sentence's part.

    Raises:
        HalfWrittenError: when it is to be held: the process was forked while somebody wrote.
    """

    def __init__(self, guarded: str) -> None:
        self._guarded = guarded
        self._half_written = False
        self._free()
        told_after_fork(self)

    def _free(self) -> None:
        self._changed = Condition()
        self._readers = 0
        self._writers_waiting = 0
        self._writing = False

    def _forked(self) -> None:
        self._half_written = self._half_written or self._writing
        self._free()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold it together with other readers."""
        self._check()
        with self._changed:
            self._changed.wait_for(lambda: not (self._writing or self._writers_waiting))
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                if not self._readers:
                    self._changed.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold it alone."""
        self._check()
        with self._changed:
            self._writers_waiting += 1
            try:
                self._changed.wait_for(lambda: not (self._writing or self._readers))
                self._writing = True
            finally:
                self._writers_waiting -= 1
                if not self._writing:  # Ctrl-C while it waited: let readers go on
                    self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._changed.notify_all()

    def _check(self) -> None:
        if self._half_written:
            raise half_written(self._guarded)
