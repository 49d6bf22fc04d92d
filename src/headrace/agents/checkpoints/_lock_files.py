"""A lock between processes that dies with its holder: a file that is locked while it is held, and
removed when it is let go.

The operating system holds the lock, and lets go of it when the process ends, however it does. A
file that a dead process has left is locked by the next one. On Windows, where an open file cannot
be removed, the file stays.

Source: flock(2). Who removes a file may do so between another's opening it and locking it, so what
was locked must be the file that still has the name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..._file_locks import lock as _lock
from ..._fork import in_child

__all__ = ["lock_file"]

if sys.platform == "win32":
    import msvcrt

    def _unlock(handle: int, path: Path) -> None:
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _unlock(handle: int, path: Path) -> None:
        with suppress(FileNotFoundError):
            path.unlink()
        fcntl.flock(handle, fcntl.LOCK_UN)


def lock_file(path: Path) -> Callable[[], None] | None:
    """Lock a file, which is made; does not wait. Gives the function that lets it go, or None where
    somebody else holds it.

    Raises:
        OSError: it cannot be made or locked.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        mine = False
        try:
            _lock(handle)
            mine = _is_at(handle, path)
        except (BlockingIOError, PermissionError):
            return None
        finally:
            if not mine:
                os.close(handle)
        if mine:
            return _Held(handle, path).let_go


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


class _Held:
    """A lock that this process has."""

    __slots__ = ("_handle", "_path")

    def __init__(self, handle: int, path: Path) -> None:
        self._handle, self._path = handle, path
        _held.add(self)

    def let_go(self) -> None:
        if self not in _held:
            return
        _held.discard(self)
        try:
            _unlock(self._handle, self._path)
        finally:
            os.close(self._handle)

    def drop(self) -> None:
        """Close the handle, without letting go of the lock."""
        os.close(self._handle)


_held: set[_Held] = set()


@in_child
def _forget() -> None:
    """The locks are the parent's: a forked child does not have them, nor lets them go, nor keeps
    them alive when the parent is dead."""
    for held in _held:
        held.drop()
    _held.clear()
