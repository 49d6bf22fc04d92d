"""A function that hands things on while it works, as a stream.

    list(aside(work)) == ["half", "done"]        # def work(put): put("half"); return "done"

It works aside, in a copy of this context: in a thread (`aside`) or a task (`aaside`) of its own, at
most `AHEAD` things ahead of a reader that pauses. Who leaves the stream waits until the function
has ended: a task is cancelled; in a thread the next `put` raises, up to where the function began.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from .. import _async_fan, _sync_fan, _threads
from .._lazy import Lazy

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Lazy("asyncio")

__all__ = ["APut", "Put", "aaside", "aside", "from_thread"]

Put: TypeAlias = Callable[[Any], None]
APut: TypeAlias = Callable[[Any], Awaitable[None]]


def aside(work: Callable[[Put], Any]) -> Iterator[Any]:
    """What `work` puts, as it comes; then what it returns."""
    hub = _sync_fan._Hub(1, None)

    def lane() -> None:
        failure: BaseException | None = None
        try:
            hub.put(work(hub.put))
        except BaseException as error:
            failure = error
        hub.ended(failure)

    _threads.submit(lane)
    try:
        yield from hub.outputs()
    finally:
        hub.stop()


async def aaside(work: Callable[[APut], Awaitable[Any]]) -> AsyncGenerator[Any, None]:
    """`aside`, async."""
    hub = _async_fan._Hub(1, None)

    async def lane() -> None:
        failure: BaseException | None = None
        try:
            await hub.put(await work(hub.put))
        except asyncio.CancelledError as error:
            failure = error
            raise
        except BaseException as error:
            failure = error
        finally:
            hub.ended(failure)

    task = asyncio.create_task(lane())
    outputs: Any = hub.outputs()
    try:
        async for output in outputs:
            yield output
    finally:
        try:  # a second cancel comes up when the task has ended; the rest is still done
            await _async_fan.settle([task])
        finally:
            await outputs.aclose()


def from_thread(put: APut) -> Put:
    """`put`, for code that works in a thread of this loop's: it waits there until there is room,
    or until its work is given up."""
    loop = asyncio.get_running_loop()

    async def putting(item: Any) -> None:
        await put(item)

    def waited(item: Any) -> None:
        outcome = asyncio.run_coroutine_threadsafe(putting(item), loop)

        def give_up() -> None:
            outcome.cancel()

        with _threads.breakable(give_up):
            outcome.result()

    return waited
