"""What is worth another try, and how many of them all runs together may make."""

from __future__ import annotations

import builtins
import threading
import time
from collections.abc import Callable
from typing import Any

from ..errors import (
    ConfigError,
    ConnectionError,
    IncompleteStream,
    RateLimitError,
    ServerError,
    StreamError,
    Timeout,
)
from ..runnables._construction import nearest
from ._numbers import check_number

__all__ = ["TRANSIENT", "RetryBudget", "for_word", "retryable"]

TRANSIENT: tuple[type[Exception], ...] = (
    RateLimitError,
    ServerError,  # OverloadedError among them
    ConnectionError,
    Timeout,
    StreamError,
    IncompleteStream,
    builtins.ConnectionError,
    builtins.TimeoutError,
)
"""Failures that say nothing against the request: the same one may go well in a moment."""


def retryable(error: BaseException) -> bool:
    """Whether a failure is one of `TRANSIENT`. For
    `with_retry(retry_if_exception_type="transient")` and the `counts` of a circuit breaker."""
    return isinstance(error, TRANSIENT)


def for_word(given: str) -> Any:
    """What a word stands for that says what to try again: "transient" for `retryable`. Any other is
    given back, and refused as it is where exceptions are wanted, or here if it is misspelled."""
    if given == "transient":
        return retryable
    if nearest(given.lower(), ["transient"]):
        raise ConfigError(
            f"retry_if_exception_type is {given!r}, which it does not know: did you mean "
            '"transient"?'
        )
    return given


class RetryBudget:
    """How many tries beyond the first all runs may make that share it, in the threads and tasks of
    one process: so that a provider in trouble is not asked several times as often as in good days.

    A bucket of tries. Each run adds `ratio` when it begins, each second adds `min_per_second`, each
    further try takes one; where there is none, the failure is raised.

    Args:
        ratio: further tries per run, in the long run: 0.1 is one for ten.
        min_per_second: further tries per second, besides, so that few runs may try again as well.
        burst: what the bucket holds, at least 1; it is full at first.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        *,
        ratio: float = 0.1,
        min_per_second: float = 0.1,
        burst: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_number(0, ratio=ratio, min_per_second=min_per_second)
        check_number(1, burst=burst)
        self.ratio = ratio
        self.min_per_second = min_per_second
        self.burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._level = float(burst)
        self._last = clock()

    def called(self) -> None:
        """A run begins."""
        with self._lock:
            self._fill(self.ratio)

    def take(self) -> bool:
        """Take one further try; False where there is none."""
        with self._lock:
            self._fill(0.0)
            if self._level < 1 - 1e-9:
                return False
            self._level -= 1
            return True

    def _fill(self, more: float) -> None:
        now = self._clock()
        more += (now - self._last) * self.min_per_second
        self._last = now
        self._level = min(self.burst, self._level + more)

    def __deepcopy__(self, memo: Any) -> Any:
        """Itself: a copy of a chain asks the same provider."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process a full one with the same numbers."""
        numbers = (self.ratio, self.min_per_second, self.burst)
        return _rebuilt, (type(self), *numbers)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(ratio={self.ratio}, min_per_second={self.min_per_second}, "
            f"burst={self.burst})"
        )


def _rebuilt(kind: Any, ratio: float, least: float, burst: float) -> Any:
    return kind(ratio=ratio, min_per_second=least, burst=burst)
