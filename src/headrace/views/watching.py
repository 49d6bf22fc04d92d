"""Run a runnable behind a view, and give what the view makes of its events as they happen.

The run is pumped by one task (async) or one worker thread (sync), which begins with the first
`next`, so that an event can be taken while the step it came from still works. At most `LIMIT`
items wait; then the run does. When the generator is closed, or its task cancelled, the run has
ended when control returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from typing import Any

from .. import _async, _sync
from .._awaited import outlast
from .._threads import Signal, submit
from ..config import merge_configs
from ..flow import Once
from .subscription import LIMIT, AsyncSubscription, Subscription, View

# anyio cancels a task when it finds it waiting. One that takes turns with its producer never is:
# after so many turns it steps aside for once.
YIELD = 64

__all__ = ["Pump", "apump", "awatch", "joined", "watch"]


def joined(config: Any, observer: Any) -> Any:
    """A config with one more observer."""
    return merge_configs(config, {"callbacks": [observer]})


def watch(
    runnable: Any,
    input: Any,
    config: Any,
    kwargs: Mapping[str, Any],
    view: View,
    limit: int = LIMIT,
) -> Generator[Any, None, None]:
    """What `view` makes of a run of `runnable.stream(input)`; raises what the run raises."""
    taken = Subscription(view, limit)
    pump = Pump(runnable, Once(input), joined(config, taken), kwargs, taken.finish)
    items, pop, low = taken.items, taken.items.popleft, taken.low
    left = True
    try:
        submit(pump.run)
        while True:
            while items:
                make, item = pop(), pop()
                if taken.full and len(items) <= low:
                    taken.make_room()
                yield item if make is None else make(item)
            if taken.over and not items:
                break
            taken.filled()
        left = False
    finally:
        taken.leave()
        pump.stop()
        # How a run ends that is not read to its end is nobody's affair, unless closing it failed.
        if pump.failure is not None and (not left or pump.closing or taken.told):
            raise pump.failure


class Pump:
    """A stream that is read to its end by a worker thread, for those who observe it."""

    def __init__(
        self, runnable: Any, source: Any, config: Any, kwargs: Mapping[str, Any], finish: Any
    ) -> None:
        self._given = (runnable, source, config, kwargs)
        self._finish = finish
        self._ended = Signal()
        self._begun = False
        self._stop = Signal()
        self.closing = False  # it is closed before its end
        self.failure: BaseException | None = None

    def run(self) -> None:
        """In the worker thread."""
        runnable, source, config, kwargs = self._given
        self._begun = True
        if self._stop.is_set():  # before it was this thread's turn
            self._finish()
            self._ended.set()
            return
        try:
            stream = _sync.stream_root(runnable, source, config, kwargs)
            try:
                for _ in stream:
                    if self._stop.is_set():
                        self.closing = True
                        break
            finally:
                stream.close()
        except GeneratorExit as error:
            self.failure = None if self._stop.is_set() else error
        except BaseException as error:
            self.failure = error
        finally:
            self._finish()
            self._ended.set()

    def ask(self) -> None:
        """Have the stream closed at its next chunk."""
        self._stop.set()

    def stop(self) -> None:
        """Close the stream, if it has not ended; returns when that is done. What cannot be
        interrupted, a step in the middle of its own work, is waited for."""
        self.ask()
        if self._begun:  # else it never will
            self._ended.wait()


async def awatch(
    runnable: Any,
    input: Any,
    config: Any,
    kwargs: Mapping[str, Any],
    view: View,
    limit: int = LIMIT,
) -> AsyncGenerator[Any, None]:
    """`watch` over `runnable.astream(input)`."""
    taken = AsyncSubscription(view, limit)
    items, pop, low = taken.items, taken.items.popleft, taken.low
    task = asyncio.create_task(apump(runnable, Once(input), joined(config, taken), kwargs))
    # not by the task itself, which may be cancelled before it begins
    task.add_done_callback(lambda _: taken.finish())
    taken.task = task
    left, turns = True, 0
    try:
        while True:
            while items:
                make, item = pop(), pop()
                if taken.full and len(items) <= low:
                    taken.make_room()
                yield item if make is None else make(item)
            if taken.over and not items:
                break
            await taken.filled()
            turns += 1
            if turns % YIELD == 0:
                await asyncio.sleep(0)
        left = False
        await task  # raises what the run raised
    finally:
        ahead = task.done()
        taken.leave()
        if left:
            task.cancel()
            cancelled = await outlast(task)
            failure = None if task.cancelled() else task.exception()
            if cancelled is not None:
                raise cancelled
            if failure is not None and not ahead and not isinstance(failure, GeneratorExit):
                raise failure


async def apump(runnable: Any, source: Any, config: Any, kwargs: Mapping[str, Any]) -> None:
    """Read a stream to its end, for those who observe it."""
    stream = _async.stream_root(runnable, source, config, kwargs)
    try:
        async for _ in stream:
            pass
    finally:
        await stream.aclose()
