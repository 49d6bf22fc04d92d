"""One recorded run, played again in either colour."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Any

from .pace import Pace
from .recording import Call

__all__ = ["aplay", "aplay_output", "play", "play_output"]


def play(call: Call, pace: Pace) -> Iterator[Any]:
    """Its chunks when they are due; then it ends, or raises what it raised."""
    schedule = pace.begin(call.start)
    for at, chunk in call.chunks():
        schedule.wait(at)
        yield chunk
    schedule.wait(call.end_time)
    _raise_failure(call)


async def aplay(call: Call, pace: Pace) -> AsyncGenerator[Any, None]:
    """`play`, waiting without blocking."""
    schedule = pace.begin(call.start)
    for at, chunk in call.chunks():
        await schedule.await_(at)
        yield chunk
    await schedule.await_(call.end_time)
    _raise_failure(call)


def play_output(call: Call, pace: Pace) -> Any:
    """Its output when it is due, or what it raised."""
    pace.begin(call.start).wait(call.end_time)
    _raise_failure(call)
    return call.output()


async def aplay_output(call: Call, pace: Pace) -> Any:
    """`play_output`, waiting without blocking."""
    await pace.begin(call.start).await_(call.end_time)
    _raise_failure(call)
    return call.output()


def _raise_failure(call: Call) -> None:
    failure = call.failure()
    if failure is not None:
        raise failure
