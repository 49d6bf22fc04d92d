"""One consumer of a handle: what waits for it, and what becomes of it when the consumer is slow.

| policy | with `limit` items waiting |
|---|---|
| `block` | the run waits until half of them are taken |
| `drop_oldest` | the oldest item goes, and is counted in `dropped` |
| `coalesce` | a delta joins the latest one it can be added to, and is counted in `coalesced` |
| `disconnect` | nothing is kept; the consumer gets a `SlowConsumerError` at its next read |

`limit` is 256, for `coalesce` 1. Only `block` ever holds the run. Items that nothing can be added
to (a whole tool call, the end of a run) are kept beyond the limit of `coalesce`.

A consumer that waits for the next item is not slow, nor is one that has taken an item since the run
last handed over to it: it gets its turn before it loses anything, and its items may exceed the
limit until then. The run hands over at its next event: in async it yields to the loop once, in a
thread it waits until an item is taken, `TURN` seconds at most.

The run's side calls `push`, under the hub's lock. A consumer that waits for something else of the
same run, in the same thread or task, cannot take meanwhile: its other readers are `relaxed`, which
makes `block` join deltas beyond the limit, so that nobody waits for himself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .._threads import Signal
from ..errors import ConfigError, SlowConsumerError
from ..events import RunInfo, Takes
from ..flow import ROOM
from ..runnables._handle import Policy
from .subscription import LIMIT, AsyncBell, Bell, is_count

__all__ = ["POLICIES", "TURN", "AsyncReader", "Policy", "Reader", "SyncReader", "checked_limit"]

TURN = 0.002
"""Seconds that a thread of the run waits at most for a reader to take its turn."""

POLICIES: dict[str, int] = {  # and their limits
    "block": LIMIT,
    "drop_oldest": LIMIT,
    "coalesce": 1,
    "disconnect": LIMIT,
}


def checked_limit(policy: str, limit: int | None) -> int:
    """The limit of a reader with this policy.

    Raises:
        ConfigError: another policy; a limit below 1.
    """
    usual = POLICIES.get(policy)
    if usual is None:
        known = ", ".join(map(repr, POLICIES))
        raise ConfigError(f"policy={policy!r} is not known: give one of {known}.")
    if limit is None:
        return usual
    if not is_count(limit):
        raise ConfigError(f"limit is {limit!r}: give a whole number of items, at least 1.")
    return limit


class Joined:
    """A waiting delta to which more are added. `taken`: the consumer has it, add no more."""

    __slots__ = ("_join", "_parts", "_room", "taken")

    def __init__(self, item: Any, join: Callable[[list[Any]], Any]) -> None:
        self._parts = [item]
        self._join = join
        self._room = ROOM
        self.taken = False

    def add(self, item: Any) -> None:
        self._parts.append(item)
        if len(self._parts) > self._room:
            self._parts = [self._join(self._parts)]
            self._room += self._room >> 5

    def value(self) -> Any:
        self.taken = True
        return self._parts[0] if len(self._parts) == 1 else self._join(self._parts)


class Reader:
    """Both colours. Made over a view (see `projections`) and the hub that feeds it."""

    def __init__(self, hub: Any, view: Any, policy: Policy, limit: int) -> None:
        self.hub, self.view = hub, view
        self.policy, self.limit, self.low = policy, limit, limit // 2
        self.items: deque[Any] = deque()
        self.full = False  # the run is to wait
        self.over = False  # nothing more will come
        self.received = 0  # items put, before the policy had its say
        self.dropped = 0
        self.coalesced = 0
        self.disconnected = False
        self.failure: BaseException | None = None  # of its view
        self.owner: Any = None  # the thread or task that reads
        self.known: dict[RunInfo, Takes] = {}  # which events its view takes of a run
        self._empty = False  # the consumer waits
        self.turn: Signal | None = None  # the run waits until it has taken an item
        self.lags = False  # it has missed its turn, and has not waited for an item since
        self._took = -1  # how many items it had taken at its last turn
        self._joins = policy == "coalesce"
        self._slots: dict[Any, Joined] = {}

    # ------------------------------------------------------------- the run's side

    def push(self, item: Any) -> None:
        """One item of the view; under the hub's lock."""
        self.received += 1
        if self._joins:
            self._put_joined(item)
        else:
            self.items.append(item)
            if len(self.items) >= self.limit:
                _REACHED[self.policy](self)
        if self._empty:
            self.lags = False
            self._wake()

    def _put_joined(self, item: Any) -> None:
        owner, joins = self.view.key(item)
        slot = self._slots.get(owner)
        if slot is not None and joins and not slot.taken:
            slot.add(item)
            self.coalesced += 1
        elif joins and len(self.items) + 1 >= self.limit:
            slot = self._slots[owner] = Joined(item, self.view.join)
            self.items.append(slot)
        else:
            self._slots.pop(owner, None)
            self.items.append(item)

    def _hold(self) -> None:
        if not self.full:
            self.full = True
            if len(self.items) > self.low:  # else the consumer, who takes without the lock, did
                self.hub.held()
            else:
                self.full = False

    def _spared(self) -> bool:
        """Whether it keeps what exceeds the limit until it has had its turn."""
        if self.owner is None:  # nobody reads
            return False
        if self._empty:
            self._took = -1  # and it gets another turn when it has taken an item
            self.hub.hand_over(self)
            return True
        waiting = len(self.items)
        taken = self.received - self.coalesced - self.dropped - waiting
        if taken != self._took and not self.lags:
            self._took = taken
            self.hub.hand_over(self)
        return self.turn is not None and waiting <= self.limit + LIMIT

    def _drop(self) -> None:
        if len(self.items) > self.limit and self._spared():
            return
        while len(self.items) > self.limit:
            try:
                self.items.popleft()
            except IndexError:  # the consumer was faster
                return
            self.dropped += 1

    def _disconnect(self) -> None:
        if len(self.items) > self.limit and not self._spared():
            self.disconnected = True
            self.dropped += len(self.items)
            self.items.clear()
            self.hub.remove(self)
            self.finish()

    def relax(self, relaxed: bool) -> None:
        """Whether not to hold the run for a while; under the hub's lock."""
        self._joins = relaxed
        if relaxed:
            self.full = False
        else:
            self._slots.clear()

    def fail(self, error: BaseException) -> None:
        """Its view has failed: it gets what came, then that."""
        self.failure = error
        self.hub.remove(self)
        self.finish()

    def finish(self) -> None:
        """Nothing more will come."""
        self.over = True
        self._wake()

    def _wake(self) -> None:
        raise NotImplementedError

    # ------------------------------------------------------------- the consumer's side

    @property
    def depth(self) -> int:
        """How many items wait."""
        return len(self.items)

    def taken(self, item: Any) -> Any:
        """What an item that was taken from `items` is; lets the run go on where it was held."""
        if type(item) is Joined:
            with self.hub.lock:
                item = item.value()
        if self.full and len(self.items) <= self.low:
            self.hub.make_room(self)
        turn = self.turn
        if turn is not None:
            self.turn = None
            turn.set()
        return item

    def check(self) -> None:
        """At the end of what came: raise what the run raised, or that this one was too slow."""
        if self.disconnected:
            raise SlowConsumerError(self.limit)
        if self.failure is not None:
            raise self.failure
        self.hub.check()


class SyncReader(Bell, Reader):
    """Taken from by one thread."""


class AsyncReader(AsyncBell, Reader):
    """Taken from by one task of the event loop in which the hub was made."""

    def __init__(self, hub: Any, view: Any, policy: Policy, limit: int) -> None:
        Reader.__init__(self, hub, view, policy, limit)
        self._waiter = None
        self._loop, self._thread = hub.loop, hub.thread

    def resumed(self) -> None:
        """It does not wait for an item any more."""
        self._empty = False


_REACHED: dict[str, Callable[[Any], None]] = {
    "block": Reader._hold,
    "drop_oldest": Reader._drop,
    "disconnect": Reader._disconnect,
}
