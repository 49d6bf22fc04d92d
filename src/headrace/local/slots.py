"""Who may generate now: a first-come, first-served queue for the engine's slots, sync and async.

llama.cpp queues surplus requests itself, but a request that waits in there cannot be taken back
before it starts. So streams wait here, without a thread of their own, and can leave at any time.

A ticket is WAITING, then HELD, then DONE; `release` ends it from either state and may be called
twice, from any thread: by the worker as soon as generation ends, and by the stream on its way out.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

__all__ = ["Slots", "Ticket"]

WAITING, HELD, DONE = range(3)


class Ticket:
    """One stream's place. `wake` tells its owner that the slot is his."""

    __slots__ = ("state", "wake")

    def __init__(self) -> None:
        self.state = WAITING
        self.wake: Callable[[], object] | None = None


class Slots:
    """A number of slots and the queue for them."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._queue: deque[Ticket] = deque()
        # Re-entrant: the garbage collector may close an abandoned stream at any allocation.
        self._lock = threading.RLock()

    @property
    def free(self) -> int:
        """Slots that nobody holds."""
        return self._free

    @property
    def waiting(self) -> int:
        """Streams in the queue."""
        return len(self._queue)

    def acquire(self, ticket: Ticket) -> None:
        """Block until the ticket holds a slot. Interrupted (Ctrl-C), the caller releases it."""
        gate = threading.Event()
        if not self._enter(ticket, gate.set):
            gate.wait()

    async def aacquire(self, ticket: Ticket) -> None:
        """Wait until the ticket holds a slot. Cancelled, the caller releases it."""
        loop = asyncio.get_running_loop()
        gate = asyncio.Event()
        if not self._enter(ticket, lambda: loop.call_soon_threadsafe(gate.set)):
            await gate.wait()

    def release(self, ticket: Ticket) -> None:
        """End the ticket; its slot, if it held one, goes to the first in the queue."""
        with self._lock:
            state, ticket.state = ticket.state, DONE
            if state == HELD:
                self._free += 1
                self._serve()
            elif state == WAITING and ticket in self._queue:
                self._queue.remove(ticket)

    def disband(self) -> None:
        """Wake everybody in the queue, because there is nothing to wait for any more."""
        with self._lock:
            self._free += len(self._queue)
            self._serve()

    def _enter(self, ticket: Ticket, wake: Callable[[], object]) -> bool:
        """Whether the ticket holds a slot already; else it is in the queue."""
        with self._lock:
            ticket.wake = wake
            self._queue.append(ticket)
            self._serve(quietly=ticket)
            return ticket.state == HELD

    def _serve(self, quietly: Ticket | None = None) -> None:
        while self._free > 0 and self._queue:
            ticket = self._queue.popleft()
            ticket.state = HELD
            self._free -= 1
            if ticket is quietly or ticket.wake is None:
                continue
            try:
                ticket.wake()
            except RuntimeError:  # its event loop was closed: nobody is there to use the slot
                ticket.state = DONE
                self._free += 1
