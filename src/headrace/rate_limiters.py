"""How many calls a second a model may make: a bucket that fills with tokens, one for each call.

A limiter stands in a model's `rate_limiter` field and is asked once per call, in both colours,
before the provider is. `InMemoryRateLimiter` serves those who wait in the order in which they came,
threads and tasks of any event loop alike; each sleeps once, until its token is there. A task whose
event loop was closed leaves nobody waiting: those behind it look, now and then, who is first.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ._lazy import Lazy
from .errors import ConfigError

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Lazy("asyncio")  # an import of a model must not pay for it

__all__ = ["BaseRateLimiter", "Clock", "InMemoryRateLimiter"]


class BaseRateLimiter(ABC):
    """Base of limiters; one of your own may ask a server that several processes share."""

    @abstractmethod
    def acquire(self, *, blocking: bool = True) -> bool:
        """Take what one call needs. Waits until it is there; with `blocking=False` never waits.

        Returns: whether it was taken.
        """

    @abstractmethod
    async def aacquire(self, *, blocking: bool = True) -> bool:
        """`acquire` without blocking the event loop."""


class Clock(Protocol):
    """What a limiter reads the time from and sleeps by, all in seconds."""

    def monotonic(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...
    async def asleep(self, seconds: float, /) -> None: ...


class _RealClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Place:
    """One's place in the queue."""

    __slots__ = ("_wake", "loop")

    def __init__(self, wake: Callable[[], Any], loop: Any = None) -> None:
        self._wake = wake
        self.loop = loop  # None: a thread, which always leaves by itself

    def dead(self) -> bool:
        return self.loop is not None and self.loop.is_closed()

    def wake(self) -> bool:
        """Say whose turn it is, from any thread; False where nobody is there any more."""
        try:
            self._wake()
        except RuntimeError:  # the loop was closed just now
            return False
        return True


class InMemoryRateLimiter(BaseRateLimiter):
    """A token bucket for the threads and tasks of one process.

    The bucket is empty at first and begins to fill when the limiter is first asked, so that a
    program which is started again and again keeps to the rate as well.

    Args:
        requests_per_second: tokens that come into the bucket each second.
        check_every_n_seconds: kept for programs that give it. Nothing polls: who waits sleeps just
            until its token is there.
        max_bucket_size: tokens that the bucket holds, at least 1: how many calls may come at once
            after a pause.
        clock: where the time comes from, for tests.
    """

    def __init__(
        self,
        *,
        requests_per_second: float = 1,
        check_every_n_seconds: float = 0.1,
        max_bucket_size: float = 1,
        clock: Clock | None = None,
    ) -> None:
        for name, number in (
            ("requests_per_second", requests_per_second),
            ("check_every_n_seconds", check_every_n_seconds),
            ("max_bucket_size", max_bucket_size),
        ):
            if isinstance(number, bool) or not isinstance(number, (int, float)):
                raise ConfigError(f"{name} is {number!r} ({type(number).__name__}): give a number.")
        if not requests_per_second > 0:
            raise ConfigError(
                f"requests_per_second is {requests_per_second!r}: give a number above 0 (0.1 is "
                "one call in ten seconds)."
            )
        if not max_bucket_size >= 1:
            raise ConfigError(
                f"max_bucket_size is {max_bucket_size!r}: give at least 1, or no call would ever "
                "find a whole token."
            )
        self.requests_per_second = requests_per_second
        self.check_every_n_seconds = check_every_n_seconds
        self.max_bucket_size = max_bucket_size
        self.available_tokens = 0.0
        self.last: float | None = None  # when the bucket was last filled up
        self._clock = clock or _RealClock()
        # Reentrant: a task that is collected as garbage leaves the queue at any moment.
        self._lock = threading.RLock()
        self._waiting: deque[_Place] = deque()  # the first one sleeps for its token

    # ------------------------------------------------------------- the bucket, under the lock

    def _missing(self) -> float:
        """Take a token, or say for how many seconds there will be none."""
        now = self._clock.monotonic()
        if self.last is None:
            self.last = now
        tokens = self.available_tokens + (now - self.last) * self.requests_per_second
        if tokens < 1 - 1e-9:  # what rounding leaves over is worth no sleep
            return (1 - tokens) / self.requests_per_second
        self.available_tokens = max(0.0, min(tokens, self.max_bucket_size) - 1)
        self.last = now
        return 0.0

    def _taken(self) -> bool:
        while self._waiting and self._waiting[0].dead():
            self._next()
        return not self._waiting and self._missing() == 0.0

    def _next(self) -> None:
        """The first place is given up: wake the next one that is alive."""
        self._waiting.popleft()
        while self._waiting and (self._waiting[0].dead() or not self._waiting[0].wake()):
            self._waiting.popleft()

    # ------------------------------------------------------------- the queue

    def _join(self, place: _Place) -> bool:
        """Take a token at once (True), or a place in the queue; its first place wakes at once."""
        with self._lock:
            if self._taken():
                return True
            self._waiting.append(place)
            if len(self._waiting) == 1:
                place.wake()
            return False

    def _leave(self, place: _Place) -> None:
        """Served, or given up: if that was the first place, it is the next one's turn."""
        with self._lock:
            if self._waiting and self._waiting[0] is place:
                self._next()
            elif place in self._waiting:  # else it was passed over, its loop being closed
                self._waiting.remove(place)

    def _patience(self) -> float:
        """Seconds until one who waits looks whether the first is still alive; all together they
        look a hundred times a second at most."""
        return 0.5 + len(self._waiting) / 100

    def _look(self) -> None:
        with self._lock:
            if self._waiting and self._waiting[0].dead():
                self._next()

    def _turn(self) -> float:
        with self._lock:
            return self._missing()

    def acquire(self, *, blocking: bool = True) -> bool:
        if not blocking:
            with self._lock:
                return self._taken()
        ready = threading.Event()
        place = _Place(ready.set)
        if self._join(place):
            return True
        try:
            while not ready.wait(self._patience()):
                self._look()
            while missing := self._turn():
                self._clock.sleep(missing)
        finally:
            self._leave(place)
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        if not blocking:
            with self._lock:
                return self._taken()
        loop = asyncio.get_running_loop()
        ready = loop.create_future()

        def now() -> None:
            if not ready.done():
                ready.set_result(None)

        place = _Place(lambda: loop.call_soon_threadsafe(now), loop)
        if self._join(place):
            return True
        try:
            while not ready.done():
                await asyncio.wait([ready], timeout=self._patience())
                self._look()
            while missing := self._turn():
                await self._clock.asleep(missing)
        finally:
            self._leave(place)
        return True

    # ------------------------------------------------------------- as part of a model

    def __deepcopy__(self, memo: Any) -> InMemoryRateLimiter:
        """Itself: a copy of a model calls the same provider."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process a new bucket with the same numbers."""
        numbers = (self.requests_per_second, self.check_every_n_seconds, self.max_bucket_size)
        return _rebuilt, (type(self), *numbers)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(requests_per_second={self.requests_per_second}, "
            f"max_bucket_size={self.max_bucket_size})"
        )


def _rebuilt(kind: type[Any], rate: float, check: float, size: float) -> Any:
    return kind(requests_per_second=rate, check_every_n_seconds=check, max_bucket_size=size)
