"""How fast a recording is played: at recorded speed, by a factor, or at once.

A step is due as long after the beginning as it was when it was recorded, whatever the consumer does
in between; one that is late comes at once. Times in seconds.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from ..errors import ConfigError

__all__ = ["Clock", "Pace", "Schedule", "WallClock"]


class Clock(Protocol):
    """What tells the time and waits; give one of your own to play in virtual time."""

    def now(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...
    async def asleep(self, seconds: float, /) -> None: ...


class WallClock:
    """The real one."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Pace:
    """A speed.

    Args:
        speed: "recorded"; or how many times as fast; 0 is at once.

    Raises:
        ConfigError: it is none of these.
    """

    def __init__(self, speed: float | str, clock: Clock | None = None) -> None:
        factor = 1.0 if speed == "recorded" else speed
        if not isinstance(factor, (int, float)) or not 0 <= factor < float("inf"):
            raise ConfigError(
                f'speed is {speed!r}: give "recorded", 0 (at once), or how many times as fast as '
                "recorded, such as 2."
            )
        self.factor = float(factor)
        self.clock: Clock = clock or WallClock()

    def begin(self, at: float) -> Schedule:
        """Play from the recorded time `at` on, beginning now."""
        return Schedule(self, at)


class Schedule:
    """When the steps of one run are due."""

    __slots__ = ("_at", "_begun", "_pace")

    def __init__(self, pace: Pace, at: float) -> None:
        self._pace = pace
        self._at = at
        self._begun = pace.clock.now() if pace.factor else 0.0

    def _left(self, at: float) -> float:
        """How long until what was recorded at that time is due."""
        if not self._pace.factor:
            return 0.0
        due = self._begun + (at - self._at) / self._pace.factor
        return due - self._pace.clock.now()

    def wait(self, at: float) -> None:
        left = self._left(at)
        if left > 0:
            self._pace.clock.sleep(left)

    async def await_(self, at: float) -> None:
        left = self._left(at)
        if left > 0:
            await self._pace.clock.asleep(left)
