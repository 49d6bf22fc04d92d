"""Blocking code inside an async run: one worker thread per call or per stream, never per chunk.

A cancelled or closed consumer gets control back when the thread has ended, so nothing is left
running. The thread is broken off where it waits for what can be (`_threads.breakable`); else it is
waited for. Only who gives work up for its slowness (`given_up`) waits no longer than `GRACE`, and
the thread ends by itself.
"""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from . import _threads
from ._lazy import Lazy
from ._threads import GRACE, Breaks
from .errors import HeadraceWarning
from .flow import Folded, Once

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Lazy("asyncio")


__all__ = ["AHEAD", "GIVEN_UP", "call_in_thread", "given_up", "giving_up", "stream_in_thread"]

AHEAD = 32  # chunks a thread may be ahead of a paused consumer
GIVEN_UP = "given up"  # of a cancellation: its message
_END = object()
_closing: ContextVar[bool] = ContextVar("headrace_giving_up", default=False)


def given_up(cause: BaseException | None) -> bool:
    """Whether work that ends with `cause` is given up for its slowness: by a cancellation with
    `GIVEN_UP`, or closed inside of `giving_up`."""
    return _closing.get() or (cause is not None and GIVEN_UP in cause.args)


@contextmanager
def giving_up(really: bool) -> Iterator[None]:
    """Around the closing of streams, which hear of it as GeneratorExit only."""
    if not really:
        yield
        return
    token = _closing.set(True)
    try:
        yield
    finally:
        _closing.reset(token)


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
        self._wake()

    async def wait(self, cause: BaseException | None = None) -> None:
        """`cause`: what the thread is given up for, if anything; see the module's head."""
        cancelled: asyncio.CancelledError | None = None
        until = self._loop.time() + GRACE if given_up(cause) else None
        while not self._over:
            self._waiter = self._loop.create_future()
            if until is not None:
                if self._loop.time() >= until:
                    said = f"A blocked thread did not come back within {GRACE:g} s of being given"
                    warnings.warn(f"{said} up: it still runs.", HeadraceWarning, stacklevel=2)
                    break
                self._loop.call_at(until, self._wake)
            try:
                await self._waiter
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


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
            _tell(loop, self._emptied)

    def _emptied(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for settle in waiting:
            settle()


def _tell(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """From a thread; a loop that was closed meanwhile has given the thread up."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call)


_boxes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Box] = WeakKeyDictionary()


async def call_in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)` in a worker thread, in a copy of this context."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Any] = loop.create_future()
    finish, breaks = _Finish(loop), Breaks()
    box = _boxes.get(loop)
    if box is None:
        box = _boxes[loop] = _Box(loop)

    def settle(result: Any, error: BaseException | None) -> None:
        finish.settle()
        if not outcome.cancelled():
            outcome.set_result((result, error))

    def job() -> None:
        result, failure = None, None
        breaks.here()
        try:
            result = function(*args, **kwargs)
        except StopIteration as error:  # a coroutine cannot raise it
            failure = RuntimeError("A function raised StopIteration: let it return instead.")
            failure.__cause__ = error
        except BaseException as error:
            failure = error  # type: ignore[assignment]
        box.put(partial(settle, result, failure))

    _threads.submit(job, awaited=True)
    try:
        result, failure = await outcome
    except asyncio.CancelledError as error:
        breaks.fire()
        await finish.wait(error)
        raise
    if failure is not None:  # a future that has it would throw it in: GeneratorExit closes then
        raise failure
    return result


class _Pipe:
    """Both ends of a stream between a worker thread and the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, opener: Callable[[Any], Iterator[Any]]):
        self.loop = loop
        self.opener = opener
        self.finish, self.breaks = _Finish(loop), Breaks()
        self.outputs: deque[Any] = deque()
        self.room = threading.Event()
        self.failure: BaseException | None = None
        self.over = self.stopped = self.asked = self.waiting = False
        self._waiter: asyncio.Future[None] | None = None
        self._answer: deque[Any] = deque()
        self._answered = threading.Semaphore(0)

    # ---- thread side

    def work(self, source: Any) -> None:
        self.breaks.here()
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
        _tell(self.loop, self._ended)

    def _wait_for_room(self) -> None:
        self.room.clear()
        while len(self.outputs) >= AHEAD and not self.stopped:
            self.room.wait()

    def _nudge(self) -> None:
        if self.waiting:
            self.waiting = False
            _tell(self.loop, self.wake)

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

    async def stop(self, cause: BaseException | None) -> None:
        self.stopped = True
        self.room.set()
        self._answered.release()
        if cause is not None:
            self.breaks.fire()
        await self.finish.wait(cause)


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
    cause: BaseException | None = None
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
    except BaseException as error:
        cause = error
        raise
    finally:
        await pipe.stop(cause)
    if pipe.failure is not None:
        raise pipe.failure


async def _answer(pipe: _Pipe, upstream: AsyncIterator[Any]) -> None:
    try:
        chunk = await anext(upstream, _END)
    except Exception as error:  # user code in the thread gets it from its input, as it would
        pipe.answer(None, error)
    else:
        pipe.answer(chunk)
