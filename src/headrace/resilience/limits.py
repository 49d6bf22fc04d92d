"""How many calls of a provider may be under way at once, for all models that share a key.

    limit = shared_limiter("openai:team-a", calls=8, requests_per_minute=500)
    model = ChatOpenAI(..., rate_limiter=limit)

A `ConcurrencyLimit` is a rate limiter that a call holds until it has ended: the whole answer is
there, the stream has ended, failed or been left. Who waits is served in the order of coming,
threads and tasks of any event loop alike; a task that waits blocks no loop, and one that is
cancelled leaves the queue. Rates may come on top: a call takes its place first, then its share.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._lazy import Lazy
from .._threads import LeftError, breakable
from ..errors import ConfigError
from ..rate_limiters import BaseRateLimiter, Place, RateLimiter
from ._numbers import check_whole

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Lazy("asyncio")

__all__ = ["ConcurrencyLimit", "forget_limiters", "shared_limiter"]


class _Waiting(Place):
    """A place in the queue, and whether its call has been let in."""

    __slots__ = ("granted",)

    def __init__(self, wake: Callable[[], Any], loop: Any = None) -> None:
        super().__init__(wake, loop)
        self.granted = False


class ConcurrencyLimit(BaseRateLimiter):
    """At most `calls` at a time.

    Args:
        calls: how many, at least 1.
        rate: a limiter that is asked as well, such as a `RateLimiter`.
    """

    def __init__(self, calls: int, *, rate: BaseRateLimiter | None = None) -> None:
        check_whole(calls=calls)
        if rate is not None and not isinstance(rate, BaseRateLimiter):
            raise ConfigError(f"rate is {rate!r}: give a rate limiter, such as RateLimiter(…).")
        self.calls = calls
        self.rate = rate
        # Reentrant: a task that is collected as garbage leaves the queue at any moment.
        self._lock = threading.RLock()
        self._busy = 0
        self._waiting: deque[_Waiting] = deque()

    @property
    def busy(self) -> int:
        """Calls under way."""
        return self._busy

    # ------------------------------------------------------------- the queue

    def _enter(self, place: _Waiting | None) -> bool:
        """Have a call begin (True), or wait at a place, where one is given."""
        with self._lock:
            if self._busy < self.calls:  # so nobody waits
                self._busy += 1
                return True
            if place is not None:
                self._waiting.append(place)
            return False

    def _let_in(self) -> None:
        """Under the lock: as many as there is room for, the longest waiting first."""
        while self._waiting and self._busy < self.calls:
            place = self._waiting.popleft()
            place.granted = True
            if place.wake():
                self._busy += 1
            else:  # its event loop was closed
                place.granted = False

    def _give_up(self, place: _Waiting) -> None:
        with self._lock:
            if place.granted:
                self._busy -= 1
                self._let_in()
            elif place in self._waiting:
                self._waiting.remove(place)

    def release(self) -> None:
        with self._lock:
            self._busy -= 1
            self._let_in()
        if self.rate is not None:
            self.rate.release()

    # ------------------------------------------------------------- a call

    def acquire(self, *, blocking: bool = True, **asked: Any) -> bool:
        if not blocking:
            return self._enter(None) and self._shared_at_once(asked)
        ready = threading.Event()
        place = _Waiting(ready.set)
        if not self._enter(place):
            try:
                with breakable(ready.set):
                    ready.wait()
                    if not place.granted:
                        raise LeftError
            except BaseException:
                self._give_up(place)
                raise
        return self._kept(lambda rate: rate.acquire(blocking=True, **asked))

    async def aacquire(self, *, blocking: bool = True, **asked: Any) -> bool:
        if not blocking:
            return self._enter(None) and self._shared_at_once(asked)
        loop = asyncio.get_running_loop()
        ready = loop.create_future()

        def now() -> None:
            if not ready.done():
                ready.set_result(None)

        place = _Waiting(lambda: loop.call_soon_threadsafe(now), loop)
        if not self._enter(place):
            try:
                await ready
            except BaseException:
                self._give_up(place)
                raise
        if self.rate is None:
            return True
        granted = False
        try:
            granted = await self.rate.aacquire(blocking=True, **asked) is not False
        finally:
            if not granted:
                self._leave()
        return granted

    def _shared_at_once(self, asked: Any) -> bool:
        return self._kept(lambda rate: rate.acquire(blocking=False, **asked))

    def _kept(self, take: Callable[[BaseRateLimiter], Any]) -> bool:
        """Whether the rate lets the call go, too; its place is given back where not."""
        if self.rate is None:
            return True
        granted = False
        try:
            granted = take(self.rate) is not False
        finally:
            if not granted:
                self._leave()
        return granted

    def _leave(self) -> None:
        with self._lock:
            self._busy -= 1
            self._let_in()

    def estimate(self, prompt: Any) -> int | None:
        return None if self.rate is None else self.rate.estimate(prompt)

    def settle(self, estimated: int, used: int) -> None:
        if self.rate is not None:
            self.rate.settle(estimated, used)

    # ------------------------------------------------------------- as part of a model

    def __copy__(self) -> ConcurrencyLimit:
        return self

    def __deepcopy__(self, memo: Any) -> ConcurrencyLimit:
        """Itself: a copy of a model calls the same provider."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process a new one with the same numbers."""
        return _rebuilt, (type(self), self.calls, self.rate)

    def __repr__(self) -> str:
        rate = "" if self.rate is None else f", rate={self.rate!r}"
        return f"{type(self).__name__}({self.calls}{rate})"


def _rebuilt(kind: Any, calls: int, rate: Any) -> Any:
    return kind(calls, rate=rate)


# ------------------------------------------------------------------ by key

_shared: dict[str, tuple[dict[str, Any], BaseRateLimiter]] = {}
_sharing = threading.Lock()


def shared_limiter(
    key: str,
    *,
    calls: int | None = None,
    requests_per_minute: float | None = None,
    tokens_per_minute: float | None = None,
) -> BaseRateLimiter:
    """The limiter of this process for a key, made with the numbers that are given first. For the
    `rate_limiter` of all models that a provider counts together.

    Args:
        key: e.g. `"openai"`, or with the account: `"openai:team-a"`. Not the secret itself.
        calls: at a time.
        requests_per_minute, tokens_per_minute: as of `RateLimiter`.

    Without numbers: the one that has been made.

    Raises:
        ConfigError: it was made with other numbers; or there is none, and no number is given.
    """
    numbers = {"calls": calls, "requests_per_minute": requests_per_minute,
               "tokens_per_minute": tokens_per_minute}  # fmt: skip
    given = {name: number for name, number in numbers.items() if number is not None}
    with _sharing:
        if key in _shared:
            before, limiter = _shared[key]
            if given and given != before:
                raise ConfigError(
                    f"shared_limiter({key!r}) was made with {_told(before)} and is asked for with "
                    f"{_told(given)}: all who share a key share its numbers. Leave them out here, "
                    "or choose another key."
                )
            return limiter
        if not given:
            raise ConfigError(
                f"shared_limiter({key!r}): there is none of that key yet. Give calls, "
                "requests_per_minute or tokens_per_minute where it is asked for first."
            )
        _shared[key] = given, _made(**numbers)
        return _shared[key][1]


def _made(calls: Any, **rates: Any) -> BaseRateLimiter:
    rate = RateLimiter(**rates) if any(each is not None for each in rates.values()) else None
    if calls is not None:
        return ConcurrencyLimit(calls, rate=rate)
    assert rate is not None
    return rate


def _told(given: dict[str, Any]) -> str:
    return ", ".join(f"{name}={number}" for name, number in given.items())


def forget_limiters() -> None:
    """Forget all keys: those who have a limiter keep it. For tests, and programs that read their
    settings again."""
    with _sharing:
        _shared.clear()
