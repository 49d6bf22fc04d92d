"""From a worker thread to an event loop: append, and wake the loop once per batch.

`put` and `end` are the worker's, `take` and `ended` the loop's. Nothing is locked: a deque's ends
are atomic, and the flag `_called` is lowered before the items are taken, so that an item is either
taken now or calls again. A call to the loop costs as much as ten items; a loop that is busy gets
one call for all that came meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

__all__ = ["Inbox"]

T = TypeVar("T")


class Inbox(Generic[T]):
    """One producer thread, one consumer task."""

    __slots__ = ("_called", "_items", "_loop", "_waiter", "calls", "done")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: deque[T] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._called = False
        self.done = False
        self.calls = 0  # how often the loop was woken

    def put(self, item: T) -> None:
        """Hand one item over. Raises RuntimeError once the loop is closed."""
        self._items.append(item)
        self._call()

    def end(self) -> None:
        """Nothing more will come."""
        self.done = True
        try:
            self._call()
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    async def take(self) -> list[T]:
        """What has come, at least one item; the empty list at the end."""
        while True:
            self._called = False
            done = self.done  # read before the items: what came before the end is not lost
            if batch := self._drain():
                return batch
            if done:
                return batch
            await self._wait()

    async def ended(self) -> None:
        """Wait for the end, even where the waiting task is cancelled; then say so.

        Returns at once where the loop is closed: nothing can be awaited there any more.
        """
        cancelled: asyncio.CancelledError | None = None
        while not self.done and not self._loop.is_closed():
            self._called = False
            try:
                if not self.done:
                    await self._wait()
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def _drain(self) -> list[T]:
        batch: list[T] = []
        items = self._items
        while items:
            batch.append(items.popleft())
        return batch

    def _call(self) -> None:
        if not self._called:
            self._called = True
            self.calls += 1
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
