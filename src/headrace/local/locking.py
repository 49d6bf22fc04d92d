"""One process at a time in a folder, for as long as it takes; the lock dies with its process.

The folder itself is locked (POSIX `flock`), so no lock file is left behind. Windows cannot lock a
folder: there nothing is held, and two processes do the same work twice. Callers must be right
without the lock; it only saves them work.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform == "win32":

    @contextmanager
    def exclusive(folder: Path) -> Iterator[None]:
        """Nothing to hold on this platform."""
        yield

else:
    import fcntl

    @contextmanager
    def exclusive(folder: Path) -> Iterator[None]:
        """Wait for the folder's lock and hold it. Ctrl-C ends the waiting."""
        handle = os.open(folder, os.O_RDONLY)
        try:
            with suppress(OSError):  # some network file systems cannot lock: go on without
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)  # lets go of the lock
