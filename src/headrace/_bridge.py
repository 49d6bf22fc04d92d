"""Blocking code inside an async run: one worker thread per call or per stream, never per chunk.

A cancelled or closed consumer gets control back when the thread has ended, so nothing is left
running; a blocking function cannot be interrupted, only waited for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from . import _threads
from ._lazy import Lazy
from .flow import Folded, Once

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Lazy("asyncio")


__all__ = ["AHEAD", "call_in_thread", "stream_in_thread"]

AHEAD = 32  # chunks a thread may be ahead of a paused consumer
_END = object()


class _Finish:
    """A thread's end, awaitable under cancellation: the wait goes on, the cancel comes after."""

    __slots__ = ("_loop", "_over", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._over = False
        self._waiter: asyncio.Future[None] | None = None

    def settle(self) -> None:
        """Called in the loop, once."""
        self._over = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        cancelled: asyncio.CancelledError | None = None
        while not self._over:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled


class _Box:
    """What threads have for one loop. Waking a loop costs a system call, so of several results that
    are ready at once only the first wakes it."""

    __slots__ = ("_lock", "_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = ref(loop)
        self._lock = threading.Lock()
        self._waiting: list[Callable[[], None]] = []

    def put(self, settle: Callable[[], None]) -> None:
        with self._lock:
            self._waiting.append(settle)
            first = len(self._waiting) == 1
        loop = self._loop()
        if first and loop is not None:
            loop.call_soon_threadsafe(self._emptied)

    def _emptied(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for settle in waiting:
            settle()


_boxes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Box] = WeakKeyDictionary()


async def call_in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)` in a worker thread, in a copy of this context."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Any] = loop.create_future()
    finish = _Finish(loop)
    box = _boxes.get(loop)
    if box is None:
        box = _boxes[loop] = _Box(loop)

    def settle(result: Any, error: BaseException | None) -> None:
        finish.settle()
        if outcome.cancelled():
            return
        if error is None:
            outcome.set_result(result)
        else:
            outcome.set_exception(error)

    def job() -> None:
        result, failure = None, None
        try:
            result = function(*args, **kwargs)
        except StopIteration as error:  # a future refuses to carry it
            failure = RuntimeError(f"{function!r} raised StopIteration")
            failure.__cause__ = error
        except BaseException as error:
            failure = error  # type: ignore[assignment]
        box.put(partial(settle, result, failure))

    _threads.submit(job, awaited=True)
    try:
        return await outcome
    except asyncio.CancelledError:
        await finish.wait()
        raise


class _Pipe:
    """Both ends of a stream between a worker thread and the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, opener: Callable[[Any], Iterator[Any]]):
        self.loop = loop
        self.opener = opener
        self.finish = _Finish(loop)
        self.outputs: deque[Any] = deque()
        self.room = threading.Event()
        self.failure: BaseException | None = None
        self.over = self.stopped = self.asked = self.waiting = False
        self._waiter: asyncio.Future[None] | None = None
        self._answer: deque[Any] = deque()
        self._answered = threading.Semaphore(0)

    # ---- thread side

    def work(self, source: Any) -> None:
        try:
            stream = self.opener(source)
            try:
                for chunk in stream:
                    self.outputs.append(chunk)
                    self._nudge()
                    if len(self.outputs) >= AHEAD:
                        self._wait_for_room()
                    if self.stopped:
                        break
            finally:
                close = getattr(stream, "close", None)
                if close is not None:
                    close()
        except BaseException as error:
            self.failure = error
        self.over = True
        self.loop.call_soon_threadsafe(self._ended)

    def _wait_for_room(self) -> None:
        self.room.clear()
        while len(self.outputs) >= AHEAD and not self.stopped:
            self.room.wait()

    def _nudge(self) -> None:
        if self.waiting:
            self.waiting = False
            self.loop.call_soon_threadsafe(self.wake)

    def inputs(self) -> Iterator[Any]:
        """The async source, pulled only while this thread asks."""
        while True:
            self.asked = True
            self._nudge()
            self._answered.acquire()
            if self.stopped:  # no end of the input: the code that reads it must not go on
                raise GeneratorExit
            chunk, error = self._answer.popleft()
            if error is not None:
                raise error
            if chunk is _END:
                return
            yield chunk

    # ---- loop side

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _ended(self) -> None:
        self.finish.settle()
        self.wake()

    async def changed(self) -> None:
        """Until there is an output, a question, or the end."""
        self._waiter = self.loop.create_future()
        self.waiting = True
        if not (self.outputs or self.asked or self.over):
            await self._waiter
        self.waiting = False

    def answer(self, chunk: Any, error: BaseException | None = None) -> None:
        self._answer.append((chunk, error))
        self._answered.release()

    async def stop(self) -> None:
        self.stopped = True
        self.room.set()
        self._answered.release()
        await self.finish.wait()


async def stream_in_thread(
    self: Any, opener: Callable[[Any], Iterator[Any]], source: Any
) -> AsyncIterator[Any]:
    """The sync stream `opener(sync_source)`, run by one worker thread, as an async stream."""
    pipe = _Pipe(asyncio.get_running_loop(), opener)
    given: Any = source
    if type(source) is not Once:
        given = pipe.inputs()
        if type(source) is Folded:
            given = Folded(given, source.fold)
    upstream = source.__aiter__()
    _threads.submit(lambda: pipe.work(given), awaited=True)
    outputs = pipe.outputs
    try:
        while True:
            while outputs:
                chunk = outputs.popleft()
                if len(outputs) <= AHEAD // 2:
                    pipe.room.set()
                yield chunk
            if pipe.asked:
                pipe.asked = False
                await _answer(pipe, upstream)
            elif pipe.over and not outputs:
                break
            else:
                await pipe.changed()
    finally:
        await pipe.stop()
    if pipe.failure is not None:
        raise pipe.failure


async def _answer(pipe: _Pipe, upstream: AsyncIterator[Any]) -> None:
    try:
        chunk = await anext(upstream, _END)
    except Exception as error:  # user code in the thread gets it from its input, as it would
        pipe.answer(None, error)
    else:
        pipe.answer(chunk)
