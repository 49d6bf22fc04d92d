"""One consumer of a run: an observer that keeps what a view makes of events until it is taken.

A *view* is anything with `feed(event) -> Iterable` (what it makes of an event, due now) and
`wants(run) -> Takes` (which events of a run it takes; see `headrace.events.Observer`). One that has
`chunk_maker(run)` may give a function that makes one item of each chunk of that run; then no event
is built for them, and the item is made when it is taken (that of the first chunk at once, so that
what all of them have in common can be worked out while the run goes on).

A subscription has two sides. The run's side puts: `on_event`, in whatever thread or task an event
happens. The consumer's side takes from `items` and waits with `filled()`. Between them stands a
valve: with `limit` items not taken yet it is `full`, and the run waits at its next event until half
of them are taken. When the consumer has left, nothing is kept and nothing waits any more.

`Subscription` is taken from by one thread, `AsyncSubscription` by one task of an event loop.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, Task, get_running_loop
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from threading import get_ident
from typing import Any, Protocol

from .._threads import Signal, waiting
from ..errors import ConfigError
from ..events import Event, RunInfo, Takes

__all__ = ["LIMIT", "AsyncBell", "AsyncSubscription", "Bell", "Hold", "LoopHold", "Subscription",
           "View", "is_count", "settle_in"]  # fmt: skip

LIMIT = 256  # events not taken yet at which a run is held


def is_count(limit: Any) -> bool:
    """Whether it is a number of things that may wait."""
    return isinstance(limit, int) and not isinstance(limit, bool) and limit >= 1


class View(Protocol):
    """What events become."""

    def wants(self, run: RunInfo, /) -> Takes: ...
    def feed(self, event: Event, /) -> Iterable[Any]: ...


class Hold:
    """The valve: what holds a run while `full`, unless the consumer has `left`."""

    _tells = False  # whether event loops learn by the valve, too, that the consumer has left
    # Seconds until a thread that is held looks again: Ctrl-C may have struck the consumer after it
    # had taken a waiter from the list and before it let it go.
    _patience = 0.5

    def __init__(self) -> None:
        self.full = False  # the run is to wait
        self.over = False  # nothing more will come
        self.left = False  # the consumer has gone
        self._held: list[Callable[[], None]] = []  # each lets one go on that waits
        self._told: list[int] = []  # threads that know that the consumer has left

    @property
    def valve(self) -> Any:
        return self

    @property
    def gone(self) -> bool:
        """Whether nobody will take any more."""
        return self.left

    @property
    def told(self) -> bool:
        """Whether the run was told to end because the consumer has left."""
        return bool(self._told)

    def _holds(self) -> bool:
        return self.full and not self.gone

    def _ends(self, run: RunInfo) -> bool:
        """Whether a run is to end here."""
        return False

    async def room(self, run: RunInfo) -> bool:
        """Wait until there is room, in the event loop where the run is. Gives whether the run is to
        end here, as if it had nothing more to give.

        Raises:
            GeneratorExit: the consumer, in a thread, has left.
        """
        loop = get_running_loop()
        while self._holds():
            waiter: Future[None] = loop.create_future()
            self._held.append(partial(settle_in, loop, waiter))
            if self._holds():  # else there is room meanwhile, made in another thread
                await waiter
        if self._tells:
            self._tell_left()
        return self._ends(run)

    def wait(self, run: RunInfo) -> bool:
        """`room`, blocking the thread where the run is.

        Raises:
            GeneratorExit: the consumer has left; once in each thread, so that what the run does to
                clean up is not in the way.
        """
        waiter: Signal | None = None
        while self._holds():
            if waiter is None or waiter.is_set():
                waiter = Signal()  # each thread its own: none can take another's signal
                self._held.append(waiter.set)
            if self._holds():
                waiter.wait(self._patience)
        self._tell_left()
        return self._ends(run)

    def _tell_left(self) -> None:
        thread = get_ident()
        if self.gone and not self.over and thread not in self._told:
            self._told.append(thread)
            raise GeneratorExit

    def _release(self) -> None:
        for _ in range(len(self._held)):  # who comes later sees for himself that there is room
            with suppress(IndexError):  # another thread was faster
                self._held.pop(0)()

    def leave(self) -> None:
        """The consumer goes: nobody waits for it from now on."""
        self.left = True
        self.full = not self.over  # until then who comes by is told
        self._release()


class LoopHold(Hold):
    """A valve whose consumer is in an event loop, `task` the one that pumps the run there."""

    _patience = 0.1  # a task does not tell when it is cancelled: as a loop ends, for example
    task: Task[Any] | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.thread = get_ident()

    @property
    def gone(self) -> bool:
        return self.left or (self.task is not None and self.task.cancelling() > 0)

    def wait(self, run: RunInfo) -> bool:
        """`Hold.wait`, but for the loop's own thread and those it waits for: it would wait for
        itself."""
        return self._ends(run) if waiting(self.thread) else super().wait(run)


def settle(waiter: Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def settle_in(loop: AbstractEventLoop, waiter: Future[None]) -> None:
    """From any thread."""
    try:
        loop.call_soon_threadsafe(settle, waiter)
    except RuntimeError:
        if not loop.is_closed():  # else whoever waited there is gone
            raise


class _Subscription(Hold):
    """The run's side of both."""

    streams_models = True  # a view shows the tokens of models that are invoked, too

    def __init__(self, view: View, limit: int = LIMIT) -> None:
        if not is_count(limit):
            raise ConfigError(f"limit is {limit!r}: give a whole number of events, at least 1.")
        super().__init__()
        # In pairs, put at once so that threads do not mix them: what makes the item, and of what;
        # or None and the item. No object stands for the pair: thousands of them would wait at once
        # where many runs share a loop, and the garbage collector would look at each.
        self.items: deque[Any] = deque()
        self._most, self.low = 2 * limit, limit
        self.wants, self._feed = view.wants, view.feed
        self._maker = getattr(view, "chunk_maker", None)
        self._empty = False  # the consumer waits

    def on_event(self, event: Event) -> None:
        if self.left:
            return
        items = self.items
        for item in self._feed(event):
            items.extend((None, item))
        if len(items) >= self._most:
            self._hold()
        if self._empty and items:
            self._empty = False
            self._wake()

    def chunk_taker(self, run: Any) -> Callable[[Any], None] | None:
        """What `on_event` does with the chunks of a run, in one step."""
        made = None if self._maker is None else self._maker(run)
        if made is None:
            return None
        put, items, most, make = self.items.extend, self.items, self._most, made
        first = True

        def take(chunk: Any) -> None:
            nonlocal first
            if self.left:
                return
            if first:
                first = False
                if run.waking is not None:  # it speaks before it has read anything
                    run.waking.wake()
                put((None, make(chunk)))
            else:
                put((make, chunk))
            if len(items) >= most:
                self._hold()
            if self._empty:
                self._empty = False
                self._wake()

        return take

    def _hold(self) -> None:
        self.full = True
        if len(self.items) <= self.low and not self.left:  # taken meanwhile, in another thread
            self.full = False
            self._release()

    def finish(self) -> None:
        """The run has ended: nothing more will come."""
        self.over = True
        self._wake()

    def _wake(self) -> None:
        raise NotImplementedError

    def make_room(self) -> None:
        """Let the run go on, when enough has been taken."""
        self.full = False
        self._release()

    def leave(self) -> None:
        """The consumer goes: nothing is kept from now on, and nobody waits for it."""
        self.left = True
        self.items.clear()
        super().leave()


class Bell:
    """How one thread waits for items that others put."""

    items: deque[Any]
    over: bool
    _empty: bool

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._filled = Signal()

    def _wake(self) -> None:
        self._filled.set()

    def filled(self) -> None:
        """Wait until there is an item, or the end."""
        self._filled.clear()
        self._empty = True
        if not (self.items or self.over):
            self._filled.wait()
        self._empty = False


class AsyncBell:
    """How one task waits for items, in the event loop in which this is made."""

    items: deque[Any]
    over: bool
    _empty: bool

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._loop = get_running_loop()
        self._thread = get_ident()
        self._waiter: Future[None] | None = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if get_ident() == self._thread:
            waiter.set_result(None)
        else:
            settle_in(self._loop, waiter)

    def filled(self) -> Future[None]:
        """To be awaited: done when there is an item, or the end."""
        self._waiter = waiter = self._loop.create_future()
        self._empty = True
        if self.items or self.over:
            settle(waiter)
        return waiter


class Subscription(Bell, _Subscription):
    """Taken from by one thread, while the run goes on in others. When the consumer leaves, the run
    is told so at its next event."""

    _tells = True


class AsyncSubscription(AsyncBell, LoopHold, _Subscription):
    """Taken from by one task of the event loop in which it is made."""
