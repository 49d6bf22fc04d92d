"""Locks between processes, which the operating system holds: they die with whoever has them.

| | waits | of what |
|---|---|---|
| `exclusive(folder)` | yes | a folder, so that no lock file is left behind; not on Windows |
| `lock(handle)` | no | an open file |

Source: flock(2).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["exclusive", "lock"]

if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def exclusive(folder: Path) -> Iterator[bool]:
        """Windows cannot lock a folder: nothing is held."""
        yield False

    def lock(handle: int) -> None:
        """See the other one."""
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    @contextmanager
    def exclusive(folder: Path) -> Iterator[bool]:
        """Wait for the folder's lock and hold it; False where it cannot be had, as on some network
        file systems: callers must be right without it. Ctrl-C ends the waiting."""
        handle = os.open(folder, os.O_RDONLY)
        try:
            yield _waited(handle)
        finally:
            os.close(handle)  # lets go of the lock

    def _waited(handle: int) -> bool:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
            return True
        return False

    def lock(handle: int) -> None:
        """Lock an open file, or raise BlockingIOError or PermissionError where it is locked. Held
        by this opening of it, so that threads of one process exclude each other too."""
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
