"""How much a model may be asked: buckets that fill at a rate, from which each call takes.

A limiter stands in a model's `rate_limiter` field, or in those of several models that share it, and
is asked once per call, in both colours, before the provider is and after the cache.
`InMemoryRateLimiter` counts calls, `RateLimiter` calls and tokens a minute. Both serve those who
wait in the order in which they came, threads and tasks of any event loop alike; each sleeps once,
until its share is there. A task whose event loop was closed leaves nobody waiting: those behind it
look, now and then, who is first.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from ._lazy import Lazy
from ._threads import breakable, pause
from .errors import ConfigError
from .messages import BaseMessage

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Lazy("asyncio")  # an import of a model must not pay for it

__all__ = ["BaseRateLimiter", "Clock", "InMemoryRateLimiter", "RateLimiter"]


class BaseRateLimiter(ABC):
    """Base of limiters; one of your own may ask a server that several processes share.

    One that counts tokens gives `estimate` and `settle` as well, and its `acquire` and `aacquire`
    take `tokens`.
    """

    @abstractmethod
    def acquire(self, *, blocking: bool = True) -> bool:
        """Take what one call needs. Waits until it is there; with `blocking=False` never waits.

        Returns: whether it was taken.
        """

    @abstractmethod
    async def aacquire(self, *, blocking: bool = True) -> bool:
        """`acquire` without blocking the event loop."""

    def estimate(self, prompt: Any) -> int | None:
        """How many tokens to take for a prompt (a text, or a list of messages or texts) before its
        call; None where only calls count."""
        return None

    def settle(self, estimated: int, used: int) -> None:  # noqa: B027 - may do nothing
        """Told after a call for which `estimated` tokens were taken how many it used."""

    def release(self) -> None:  # noqa: B027 - may do nothing
        """Told, once for each call that was granted, that the call has ended, however it did."""


class Clock(Protocol):
    """What a limiter reads the time from and sleeps by, all in seconds."""

    def monotonic(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...
    async def asleep(self, seconds: float, /) -> None: ...


class _RealClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        pause(seconds, time.sleep)

    async def asleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Place:
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


def _check_numbers(**numbers: Any) -> None:
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise ConfigError(f"{name} is {number!r} ({type(number).__name__}): give a number.")


class _Queue(BaseRateLimiter):
    """Those who wait for their share, served in the order in which they came."""

    def __init__(self, clock: Clock | None) -> None:
        self._clock = clock or _RealClock()
        # Reentrant: a task that is collected as garbage leaves the queue at any moment.
        self._lock = threading.RLock()
        self._waiting: deque[Place] = deque()  # the first one sleeps for its share

    @abstractmethod
    def _missing(self, tokens: int) -> float:
        """Under the lock: take a call's share, or say for how many seconds it will not be there."""

    def _taken(self, tokens: int) -> bool:
        while self._waiting and self._waiting[0].dead():
            self._next()
        return not self._waiting and self._missing(tokens) == 0.0

    def _next(self) -> None:
        """The first place is given up: wake the next one that is alive."""
        self._waiting.popleft()
        while self._waiting and (self._waiting[0].dead() or not self._waiting[0].wake()):
            self._waiting.popleft()

    # ------------------------------------------------------------- the queue

    def _join(self, place: Place, tokens: int) -> bool:
        """Take a token at once (True), or a place in the queue; its first place wakes at once."""
        with self._lock:
            if self._taken(tokens):
                return True
            self._waiting.append(place)
            if len(self._waiting) == 1:
                place.wake()
            return False

    def _leave(self, place: Place) -> None:
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

    def _turn(self, tokens: int) -> float:
        with self._lock:
            return self._missing(tokens)

    def acquire(self, *, blocking: bool = True, tokens: int = 0) -> bool:
        if not blocking:
            with self._lock:
                return self._taken(tokens)
        ready = threading.Event()
        place = Place(ready.set)
        if self._join(place, tokens):
            return True
        try:
            with breakable(ready.set):
                while not ready.wait(self._patience()):
                    self._look()
            while missing := self._turn(tokens):
                self._clock.sleep(missing)
        finally:
            self._leave(place)
        return True

    async def aacquire(self, *, blocking: bool = True, tokens: int = 0) -> bool:
        if not blocking:
            with self._lock:
                return self._taken(tokens)
        loop = asyncio.get_running_loop()
        ready = loop.create_future()

        def now() -> None:
            if not ready.done():
                ready.set_result(None)

        place = Place(lambda: loop.call_soon_threadsafe(now), loop)
        if self._join(place, tokens):
            return True
        try:
            while not ready.done():
                await asyncio.wait([ready], timeout=self._patience())
                self._look()
            while missing := self._turn(tokens):
                await self._clock.asleep(missing)
        finally:
            self._leave(place)
        return True

    def __deepcopy__(self, memo: Any) -> Any:
        """Itself: a copy of a model calls the same provider."""
        return self


class InMemoryRateLimiter(_Queue):
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
        _check_numbers(
            requests_per_second=requests_per_second,
            check_every_n_seconds=check_every_n_seconds,
            max_bucket_size=max_bucket_size,
        )
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
        super().__init__(clock)

    # ------------------------------------------------------------- the bucket, under the lock

    def _missing(self, tokens: int) -> float:
        """Take a call's share, or say for how many seconds it will not be there."""
        now = self._clock.monotonic()
        if self.last is None:
            self.last = now
        level = self.available_tokens + (now - self.last) * self.requests_per_second
        if level < 1 - 1e-9:  # what rounding leaves over is worth no sleep
            return (1 - level) / self.requests_per_second
        self.available_tokens = max(0.0, min(level, self.max_bucket_size) - 1)
        self.last = now
        return 0.0

    # ------------------------------------------------------------- as part of a model

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


class _Bucket:
    """What may be taken, filling at a rate. A correction may leave it in debt."""

    __slots__ = ("last", "level", "rate", "size")

    def __init__(self, per_minute: float, burst_seconds: float) -> None:
        self.rate = per_minute / 60
        self.size = self.level = max(1.0, self.rate * burst_seconds)
        self.last: float | None = None

    def missing(self, share: float, now: float) -> float:
        """Seconds until `share` is there; of more than it holds, until it is full."""
        if self.last is not None:
            self.level = min(self.size, self.level + (now - self.last) * self.rate)
        self.last = now
        lacking = min(share, self.size) - self.level
        return lacking / self.rate if lacking > 1e-9 * self.size else 0.0


class RateLimiter(_Queue):
    """Calls and tokens a minute, as providers count them, for the threads and tasks of one process.

    Before a call an estimate of its prompt's tokens is taken; after it the estimate is corrected by
    the answer's `usage_metadata` (input and output), or, where the provider tells none, by the
    length of the answer. So the output is paid for afterwards: the bucket may be in debt then, and
    the next call waits until it is paid off. A call that needs more than the bucket holds waits
    until the bucket is full and leaves a debt.

    Args:
        requests_per_minute, tokens_per_minute: give one or both.
        burst_seconds: the buckets hold what comes in so many seconds, and are full at first: so
            much may be used at once after a pause.
        estimate: the tokens of a prompt (a text, or a list of messages or texts), instead of a
            quarter of its characters; a model's own count, for example.
        clock: where the time comes from, for tests.

    Raises:
        ConfigError: neither rate is given, or a number is not above 0.
    """

    def __init__(
        self,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        burst_seconds: float = 60.0,
        estimate: Callable[[Any], int] | None = None,
        clock: Clock | None = None,
    ) -> None:
        if requests_per_minute is None and tokens_per_minute is None:
            raise ConfigError("RateLimiter(): give requests_per_minute, tokens_per_minute or both.")
        given = {"requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute,
                 "burst_seconds": burst_seconds}  # fmt: skip
        numbers = {name: number for name, number in given.items() if number is not None}
        _check_numbers(**numbers)
        for name, number in numbers.items():
            if not 0 < number < float("inf"):
                raise ConfigError(f"{name} is {number!r}: give a number above 0.")
        super().__init__(clock)
        self.requests_per_minute = requests_per_minute
        self.tokens_per_minute = tokens_per_minute
        self.burst_seconds = burst_seconds
        self._estimate = estimate
        self._calls, self._tokens = (
            None if rate is None else _Bucket(rate, burst_seconds)
            for rate in (requests_per_minute, tokens_per_minute)
        )

    def estimate(self, prompt: Any) -> int | None:
        if self._tokens is None:
            return None
        return _tokens_of(prompt) if self._estimate is None else self._estimate(prompt)

    def settle(self, estimated: int, used: int) -> None:
        if self._tokens is not None:
            with self._lock:
                self._tokens.missing(0, self._clock.monotonic())
                self._tokens.level = min(self._tokens.size, self._tokens.level + estimated - used)

    def _missing(self, tokens: int) -> float:
        now = self._clock.monotonic()
        shares = [(b, n) for b, n in ((self._calls, 1), (self._tokens, tokens)) if b is not None]
        wait = max(bucket.missing(share, now) for bucket, share in shares)
        if wait == 0.0:
            for bucket, share in shares:
                bucket.level -= share
        return wait

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process new buckets with the same numbers."""
        return _rebuilt_by_name, (type(self), {
            "requests_per_minute": self.requests_per_minute,
            "tokens_per_minute": self.tokens_per_minute,
            "burst_seconds": self.burst_seconds,
            "estimate": self._estimate,
        })  # fmt: skip

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(requests_per_minute={self.requests_per_minute}, "
            f"tokens_per_minute={self.tokens_per_minute})"
        )


def _rebuilt_by_name(kind: type[Any], fields: dict[str, Any]) -> Any:
    return kind(**fields)


def _tokens_of(prompt: Any) -> int:
    """A quarter of the characters, rounded up, and three more for each message."""
    if isinstance(prompt, str):
        return -(-len(prompt) // 4)
    if isinstance(prompt, BaseMessage):
        return _tokens_of(prompt.text) + 3
    return sum(map(_tokens_of, prompt)) if isinstance(prompt, Iterable) else 0
