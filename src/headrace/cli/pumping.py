"""Run what a command opens, in either colour, and close it for real, on Ctrl-C too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn

from .interrupt import stop_on_interrupt

__all__ = ["pump"]

Take = Callable[[Any], object]


def _nothing() -> None:
    pass


def pump(
    runnable: Any,
    door: str,
    value: Any,
    take: Take,
    *,
    use_async: bool = False,
    interrupted: Callable[[], object] = _nothing,
    **options: Any,
) -> None:
    """Hand on what a door of a runnable gives, one by one, until its end.

    Args:
        door: "stream" or one like it; `use_async`: its twin with an "a" before, in an event loop.
        take: what to do with each.
        interrupted: called in the signal's handler when Ctrl-C comes, before the run is stopped.
        options: go to the door.

    Raises:
        KeyboardInterrupt: Ctrl-C came; what was open is closed.
    """
    if use_async:
        asyncio.run(_apump(getattr(runnable, f"a{door}"), value, take, interrupted, options))
    else:
        _pump(getattr(runnable, door), value, take, interrupted, options)


def _pump(
    door: Any, value: Any, take: Take, interrupted: Callable[[], object], options: dict[str, Any]
) -> None:
    def stop() -> NoReturn:
        interrupted()
        raise KeyboardInterrupt

    with stop_on_interrupt(stop):
        given = door(value, **options)
        try:
            for one in given:
                take(one)
        finally:
            close = getattr(given, "close", None)  # a user's own `stream` may give any iterator
            if close is not None:
                close()


async def _apump(
    door: Any, value: Any, take: Take, interrupted: Callable[[], object], options: dict[str, Any]
) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def stop() -> None:
        interrupted()
        loop.call_soon_threadsafe(task.cancel)

    with stop_on_interrupt(stop) as came:
        given = door(value, **options)
        try:
            async for one in given:
                take(one)
        except asyncio.CancelledError as error:
            if came():
                raise KeyboardInterrupt from error
            raise
        finally:
            close = getattr(given, "aclose", None)
            if close is not None:
                await close()
