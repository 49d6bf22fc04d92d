"""Claims: who may change what a namespace's records and store hold just now. One at a time.

A claim is taken without waiting (`take` says whether it was got) and given back with `release`;
whoever does not get it asks again. It is held for one batch of an indexing run, so that two runs
take turns. A claim on a file holds among processes, and dies with its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable
from pathlib import Path
from typing import Protocol

from .._file_locks import lock
from .._fork import in_child

__all__ = ["Claim", "FileClaim", "NoClaim", "ThreadClaim"]


class Claim(Protocol):
    """One attempt to be the only one."""

    def take(self) -> bool:
        """Whether it is ours from now on. Does not wait."""
        ...

    def release(self) -> None:
        """Give it back."""
        ...

    def is_held_here(self) -> bool:
        """Whether whoever has it runs in this thread: an async run, which can only go on when this
        thread returns to its event loop."""
        ...


class NoClaim:
    """Nothing is claimed: everybody gets it."""

    def take(self) -> bool:
        return True

    def release(self) -> None:
        return

    def is_held_here(self) -> bool:
        return False


_guard = threading.Lock()
_threads: dict[Hashable, int] = {}  # what is claimed in this process -> the thread that has it
_handles: set[int] = set()  # files that are open for that


class ThreadClaim:
    """Of a thing, among threads and tasks of this process.

    Args:
        thing: what is claimed; equal things are one.
    """

    def __init__(self, thing: Hashable) -> None:
        self._thing = thing

    def take(self) -> bool:
        with _guard:
            if self._thing in _threads:
                return False
            _threads[self._thing] = threading.get_ident()
            return True

    def release(self) -> None:
        with _guard:
            _threads.pop(self._thing, None)

    def is_held_here(self) -> bool:
        return _threads.get(self._thing) == threading.get_ident()


class FileClaim(ThreadClaim):
    """Of a file, among processes. The file is made, and stays when it is released. The operating
    system holds the lock, and lets go of it when the process ends, however it does."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path
        self._handle: int | None = None

    def take(self) -> bool:
        if not super().take():
            return False
        try:
            self._handle = self._locked()
        except BaseException:
            super().release()
            raise
        if self._handle is None:
            super().release()
        return self._handle is not None

    def _locked(self) -> int | None:
        """The file, open and locked; None if another process has it."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            lock(handle)
        except BaseException as error:
            os.close(handle)
            if isinstance(error, BlockingIOError | PermissionError):
                return None
            raise
        _handles.add(handle)
        return handle

    def release(self) -> None:
        handle, self._handle = self._handle, None
        if handle in _handles:
            _handles.discard(handle)
            os.close(handle)
        super().release()


@in_child
def _forget() -> None:
    """In a forked child: what its parent has claimed is not the child's, nor to be kept by it."""
    global _guard
    _guard = threading.Lock()
    _threads.clear()
    for handle in _handles:
        os.close(handle)
    _handles.clear()
