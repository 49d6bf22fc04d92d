"""`InMemorySaver`: threads in a dict, for as long as the process lives. Nothing here waits, so the
async methods do their work where they are."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

from ..._fork import told_after_fork
from .._saving import BaseSaver, moved

__all__ = ["BaseSaver", "InMemorySaver", "MemorySaver"]


class InMemorySaver(BaseSaver):
    """Rows of JSON in lists, the same as in a file: what cannot be written there cannot be kept
    here. Pickled or copied, it takes its rows along, and is another one from then on."""

    def __init__(self) -> None:
        self._threads: dict[str, list[str]] = {}
        self._forked()
        told_after_fork(self)

    def _forked(self) -> None:
        self._lock = Lock()  # another thread of the parent may have had it

    def append(self, thread_id: str, start: int, rows: Sequence[str]) -> None:
        with self._lock:
            found = self._threads.get(thread_id, [])
            if len(found) != start:
                raise moved(thread_id, start, len(found))
            if rows:
                self._threads.setdefault(thread_id, found).extend(rows)

    def rows(self, thread_id: str) -> list[str]:
        with self._lock:
            return list(self._threads.get(thread_id, ()))

    def threads(self) -> list[str]:
        with self._lock:
            return list(self._threads)

    def delete_thread(self, thread_id: str) -> None:
        with self._lock:
            self._threads.pop(thread_id, None)

    async def aappend(self, thread_id: str, start: int, rows: Sequence[str]) -> None:
        self.append(thread_id, start, rows)

    async def arows(self, thread_id: str) -> list[str]:
        return self.rows(thread_id)

    async def athreads(self) -> list[str]:
        return self.threads()

    async def adelete_thread(self, thread_id: str) -> None:
        self.delete_thread(thread_id)

    def __getstate__(self) -> dict[str, Any]:
        return {"_threads": {thread_id: self.rows(thread_id) for thread_id in self.threads()}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._threads = state["_threads"]
        self._forked()
        told_after_fork(self)

    def __repr__(self) -> str:
        return "InMemorySaver()"


MemorySaver = InMemorySaver
"""The same, by its older name."""
