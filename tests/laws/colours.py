"""One test body, four colours: sync, async, sync in a thread, sync inside a running event loop.

A body takes `doors` and calls runnables through it; it is written once, without `async`:

    def body(doors):
        assert doors.stream(runnable, "x") == ["X"]

    colour.run(body)

In the async colour each call enters the event loop once and every stream is used through
`astream`/`atransform`; between calls the loop stands still. When a body has ended nothing may be
left: no task, no job in a worker thread, no open body of user code (see `ledger.py`).
"""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, ClassVar

import pytest

from headrace._threads import busy
from laws.ledger import LEDGER, Source
from laws.watchdog import LIMIT, watched

END = type("End", (), {"__repr__": lambda self: "END"})()  # what `next` gives after the last chunk
GRACE = 1.0  # seconds for a worker thread to write down that its job is done
Body = Callable[[Any], Any]


class SyncStream:
    """A stream under way; see `AsyncStream`, its twin."""

    def __init__(self, chunks: Iterator[Any], source: Source | None = None) -> None:
        self._chunks, self._source = chunks, source

    def next(self) -> Any:
        return next(self._chunks, END)

    def rest(self) -> list[Any]:
        return list(self._chunks)

    def close(self) -> None:
        """Leave; whatever the stream opened must be closed when this returns."""
        if self._source is not None:
            self._source.leaving = True
        self._chunks.close()  # type: ignore[attr-defined]

    def pause(self, seconds: float) -> None:
        """Let the producers run while this consumer takes nothing."""
        time.sleep(seconds)


class AsyncStream:
    def __init__(self, doors: AsyncDoors, chunks: AsyncIterator[Any], source: Any = None) -> None:
        self._doors, self._chunks, self._source = doors, chunks, source

    def next(self) -> Any:
        async def one() -> Any:
            return await anext(self._chunks, END)

        return self._doors.wait(one())

    def rest(self) -> list[Any]:
        return self._doors.wait(_all(self._chunks))

    def close(self) -> None:
        async def leave() -> None:
            await self._chunks.aclose()  # type: ignore[attr-defined]
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"aclose() returned and left tasks: {left}"

        if self._source is not None:
            self._source.leaving = True
        self._doors.wait(leave())

    def pause(self, seconds: float) -> None:
        self._doors.wait(asyncio.sleep(seconds))


async def _all(chunks: AsyncIterator[Any]) -> list[Any]:
    return [chunk async for chunk in chunks]


class SyncDoors:
    """The doors of a runnable, called as they are."""

    def __init__(self) -> None:
        self.opened: list[Any] = []  # closed when the body has failed

    def _open(self, stream: Any) -> Any:
        self.opened.append(stream)
        return stream

    asynchronous = False
    names: ClassVar[dict[str, str]] = {
        "invoke": "invoke",
        "stream": "stream",
        "transform": "transform",
    }

    def invoke(self, runnable: Any, value: Any, config: Any = None, **kw: Any) -> Any:
        return runnable.invoke(value, config, **kw)

    def open(self, runnable: Any, value: Any, config: Any = None) -> Any:
        return self._open(SyncStream(runnable.stream(value, config)))

    def open_transform(self, runnable: Any, source: Source, config: Any = None) -> Any:
        return self._open(SyncStream(runnable.transform(source.sync(), config), source))

    def stream(self, runnable: Any, value: Any, config: Any = None) -> list[Any]:
        return list(runnable.stream(value, config))

    def transform(self, runnable: Any, pieces: Iterable[Any], config: Any = None) -> list[Any]:
        return list(runnable.transform(Source(pieces).sync(), config))

    def batch(self, runnable: Any, inputs: Any, config: Any = None, **kw: Any) -> list[Any]:
        return runnable.batch(inputs, config, **kw)  # type: ignore[no-any-return]

    def as_completed(self, runnable: Any, inputs: Any, config: Any = None, **kw: Any) -> list[Any]:
        return list(runnable.batch_as_completed(inputs, config, **kw))

    def open_as_completed(self, runnable: Any, inputs: Any, config: Any = None) -> Any:
        return self._open(SyncStream(runnable.batch_as_completed(inputs, config)))


class AsyncDoors:
    """The async twins, each call run to its end on one event loop."""

    asynchronous = True
    names: ClassVar[dict[str, str]] = {
        "invoke": "ainvoke",
        "stream": "astream",
        "transform": "atransform",
    }

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.opened: list[Any] = []

    def _open(self, stream: Any) -> Any:
        self.opened.append(stream)
        return stream

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        async def main() -> Any:
            return await awaitable

        return self._runner.run(main())

    def invoke(self, runnable: Any, value: Any, config: Any = None, **kw: Any) -> Any:
        return self.wait(runnable.ainvoke(value, config, **kw))

    def open(self, runnable: Any, value: Any, config: Any = None) -> Any:
        return self._open(AsyncStream(self, runnable.astream(value, config)))

    def open_transform(self, runnable: Any, source: Source, config: Any = None) -> Any:
        return self._open(AsyncStream(self, runnable.atransform(source.async_(), config), source))

    def stream(self, runnable: Any, value: Any, config: Any = None) -> list[Any]:
        return self.wait(_all(runnable.astream(value, config)))  # type: ignore[no-any-return]

    def transform(self, runnable: Any, pieces: Iterable[Any], config: Any = None) -> list[Any]:
        return self.wait(_all(runnable.atransform(Source(pieces).async_(), config)))  # type: ignore[no-any-return]

    def batch(self, runnable: Any, inputs: Any, config: Any = None, **kw: Any) -> list[Any]:
        return self.wait(runnable.abatch(inputs, config, **kw))  # type: ignore[no-any-return]

    def as_completed(self, runnable: Any, inputs: Any, config: Any = None, **kw: Any) -> list[Any]:
        return self.wait(_all(runnable.abatch_as_completed(inputs, config, **kw)))  # type: ignore[no-any-return]

    def open_as_completed(self, runnable: Any, inputs: Any, config: Any = None) -> Any:
        return self._open(AsyncStream(self, runnable.abatch_as_completed(inputs, config)))


# ---- the four ways to run a body ---------------------------------------------------------------


def _run(body: Body, doors: Any) -> Any:
    """The body; what it left open when it failed is closed, so that it spoils no other test."""
    try:
        return body(doors)
    except BaseException:
        for stream in doors.opened:
            with suppress(Exception):
                stream.close()
        raise


def _plainly(body: Body) -> Any:
    return _run(body, SyncDoors())


def _async(body: Body) -> Any:
    async def left_over() -> set[Any]:
        return asyncio.all_tasks() - {asyncio.current_task()}

    complaints: list[Any] = []
    with asyncio.Runner() as runner:
        # "Task exception was never retrieved" and the like: an error that nobody got.
        runner.get_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        result = _run(body, AsyncDoors(runner))
        left = runner.run(left_over())
        assert not left, f"tasks left at the end: {left}"
        gc.collect(0)
    assert not complaints, f"the event loop complained: {complaints}"
    return result


def _in_thread(body: Body) -> Any:
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append((True, _run(body, SyncDoors())))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=work, name="the test's own", daemon=True)
    thread.start()
    thread.join()
    done, result = outcome[0]
    if not done:
        raise result
    return result


def _inside_loop(body: Body) -> Any:
    async def main() -> Any:
        result = _run(body, SyncDoors())
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"a sync call made tasks in the loop it was called from: {left}"
        return result

    with asyncio.Runner() as runner:
        return runner.run(main())


class Colour:
    """A way to run a body."""

    def __init__(self, name: str, run: Callable[[Body], Any]) -> None:
        self.name, self._run = name, run
        self.asynchronous = name == "async"

    def __repr__(self) -> str:
        return self.name

    def run(self, body: Body, limit: float = LIMIT) -> Any:
        """What the body returns. Checks that it left nothing running."""
        LEDGER.reset()
        before = busy()  # none, unless a test that hung has left some behind
        with watched(f"{body.__qualname__} in colour {self.name}", limit):
            result = self._run(body)
            nothing_left(before)
        return result


def nothing_left(before: int = 0) -> None:
    """No body of user code is open and no worker thread is at work that was not before."""
    assert not LEDGER.still_open, f"bodies still open: {LEDGER.still_open}"
    deadline = time.monotonic() + GRACE
    while busy() > before and time.monotonic() < deadline:
        time.sleep(0.0005)
    assert busy() <= before, f"{busy() - before} worker threads still at work"


SYNC = Colour("sync", _plainly)
ASYNC = Colour("async", _async)
COLOURS = [SYNC, ASYNC, Colour("thread", _in_thread), Colour("inside-loop", _inside_loop)]

every_colour = pytest.mark.parametrize("colour", COLOURS, ids=repr)
"""Runs a test once per colour, given as the argument `colour`."""
both_drivers = pytest.mark.parametrize("colour", [SYNC, ASYNC], ids=repr)
"""The same for the two drivers only, where the others could not differ."""
sync_colours = pytest.mark.parametrize(
    "colour", [colour for colour in COLOURS if colour is not ASYNC], ids=repr
)
"""The three that call the sync doors."""
