"""Fan-out, async: several lanes at once, as tasks; branches merged as their chunks come.

Twin of `_sync_fan.py`. A branch that may wait gets one task for its whole stream, unless it is the
only one and its input is at hand. Every task is awaited before control returns.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ._async import abandon, close_streams, open_step
from ._bridge import GIVEN_UP, given_up
from ._gate import Gate, alane, alent
from ._lazy import Lazy
from ._sync_fan import AHEAD, BEHIND, branch_machine
from .flow import Branch, Folded, Machine, Once, close_machines
from .run import Run

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Lazy("asyncio")


__all__ = ["fan_out", "gather", "gather_as_done"]

_END = object()


async def settle(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel what still runs and wait for all of it, even while being cancelled oneself. Where the
    error that is being handled says that the work is given up, tasks are told so."""
    cancelled: asyncio.CancelledError | None = None
    why = GIVEN_UP if given_up(sys.exception()) else None
    done = list(tasks)
    left = [task for task in done if not task.done()]
    for task in left:
        task.cancel(why)
    while left:
        try:
            await asyncio.wait(left)
        except asyncio.CancelledError as error:
            cancelled = error
        left = [task for task in left if not task.done()]
    for task in done:
        if not task.cancelled():
            task.exception()  # looked at: the first failure is the one that is raised
    if cancelled is not None:
        raise cancelled


# ------------------------------------------------------------------ gather


def _lanes(
    work: Callable[[int], Awaitable[Any]], count: int, gate: Gate | None
) -> list[asyncio.Task[Any]]:
    async def job(number: int) -> Any:
        async with alane(gate):
            return await work(number)

    jobs: list[Coroutine[Any, Any, Any]] = [
        job(number) if gate is not None else _awaited(work, number) for number in range(count)
    ]
    return [asyncio.create_task(coroutine) for coroutine in jobs]


async def _awaited(work: Callable[[int], Awaitable[Any]], number: int) -> Any:
    return await work(number)


async def gather(
    work: Callable[[int], Awaitable[Any]],
    count: int,
    *,
    gate: Gate | None = None,
    keep_errors: bool = False,
) -> list[Any]:
    """The values of `work(0)` … `work(count - 1)`, at their places, all at once or as `gate` lets.

    At the first failure the others are cancelled and awaited, then the failure of the lowest
    number is raised; with `keep_errors` each failure is the result at its place.
    """
    if count == 0:
        return []
    if count == 1 and gate is None and not keep_errors:
        return [await work(0)]
    async with alent(gate):
        tasks = _lanes(work, count, gate)
        try:
            when = asyncio.ALL_COMPLETED if keep_errors else asyncio.FIRST_EXCEPTION
            await asyncio.wait(tasks, return_when=when)
        finally:
            await settle(tasks)
    failures = [task.exception() for task in tasks if not task.cancelled()]
    first = next((error for error in failures if error is not None), None)
    if first is not None and (not keep_errors or not isinstance(first, Exception)):
        raise first
    return [task.exception() or task.result() for task in tasks]


async def gather_as_done(
    work: Callable[[int], Awaitable[Any]],
    count: int,
    *,
    gate: Gate | None = None,
    keep_errors: bool = False,
) -> AsyncIterator[tuple[int, Any]]:
    """Pairs of number and value in the order in which they get done. Closing it early cancels and
    awaits the rest."""
    done: deque[int] = deque()
    ready = asyncio.Event()

    def report(number: int, _: asyncio.Task[Any]) -> None:
        done.append(number)
        ready.set()

    async with alent(gate):
        tasks = _lanes(work, count, gate)
        for number, task in enumerate(tasks):
            task.add_done_callback(partial(report, number))
        try:
            for _ in range(count):
                while not done:
                    ready.clear()
                    await ready.wait()
                number = done.popleft()
                error = tasks[number].exception()
                if error is not None and not keep_errors:
                    raise error
                yield number, error or tasks[number].result()
        finally:
            await settle(tasks)


# ------------------------------------------------------------------ fan-out


class _Signal:
    """Something changed: whoever waits looks again."""

    __slots__ = ("_loop", "_waiters")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiters: list[asyncio.Future[None]] = []

    def notify(self) -> None:
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def wait(self) -> None:
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter


class _Tee:
    """One source read by several lanes; whoever needs the next chunk pulls it for all.

    Machines are fed as a chunk is pulled, so what they let through comes before what a lane makes
    of it. A reader that has begun is at most `BEHIND` chunks behind the one in front.
    """

    def __init__(
        self,
        source: Any,
        readers: int,
        push: Callable[[Any], Coroutine[Any, Any, None]],
        gate: Gate | None,
    ) -> None:
        self._gate = gate
        self._fold = source.fold if type(source) is Folded else None
        self._source = source.__aiter__()
        self._push = push
        self._queues: list[deque[Any]] = [deque() for _ in range(readers)]
        self._begun = [False] * readers
        self._changed = _Signal()
        self._pulling = False
        self._end: BaseException | None = None

    def reader(self, index: int) -> Any:
        reader = self._read(index)
        return reader if self._fold is None else Folded(reader, self._fold)

    async def _read(self, index: int) -> AsyncIterator[Any]:
        queue = self._queues[index]
        self._begun[index] = True
        try:
            while True:
                if queue:
                    chunk = queue.popleft()
                    self._changed.notify()
                    yield chunk
                elif self._end is not None:
                    if isinstance(self._end, StopAsyncIteration):
                        return
                    raise self._end
                elif self._pulling or self._full():
                    async with alent(self._gate):  # what is waited for may need the permit
                        await self._changed.wait()
                else:
                    await self._pull()
        finally:  # one that reads no more holds nobody back
            self._begun[index] = False
            self._changed.notify()

    def _full(self) -> bool:
        pairs = zip(self._queues, self._begun, strict=True)
        return any(begun and len(queue) >= BEHIND for queue, begun in pairs)

    async def _pull(self) -> None:
        self._pulling = True
        try:
            chunk = await anext(self._source, _END)
            await self._push(chunk)
            if chunk is _END:
                self._end = StopAsyncIteration()
            else:
                for queue in self._queues:
                    queue.append(chunk)
        except BaseException as error:
            self._end = error
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._pulling = False
            self._changed.notify()


class _Hub:
    """Where lanes put outputs and the consumer takes them; at most `AHEAD` wait here."""

    def __init__(self, lanes: int, gate: Gate | None) -> None:
        self._gate = gate
        self._room = _Signal()
        self._ready = _Signal()
        self._outputs: deque[Any] = deque()
        self._lanes = lanes
        self._failure: BaseException | None = None

    async def put(self, output: Any) -> None:
        while len(self._outputs) >= AHEAD:
            async with alent(self._gate):  # the consumer may need this lane's permit
                await self._room.wait()
        self._outputs.append(output)
        self._ready.notify()

    def ended(self, failure: BaseException | None) -> None:
        self._lanes -= 1
        self._failure = self._failure or failure
        self._ready.notify()

    async def outputs(self) -> AsyncIterator[Any]:
        """Until every lane has ended; a lane's failure comes after what was put before it."""
        outputs = self._outputs
        while True:
            while outputs:
                output = outputs.popleft()
                if len(outputs) <= AHEAD // 2:
                    self._room.notify()
                yield output
            if self._failure is not None:
                raise self._failure
            if not self._lanes:
                return
            await self._ready.wait()


def fan_out(self: Any, branches: Sequence[Branch], source: Any, run: Run) -> AsyncIterator[Any]:
    """Stream `source` through all branches; outputs come as each has them, in no fixed order
    between branches, in order within one."""
    machines: list[tuple[Machine, Callable[[Any], Any]]] = []
    waiting: list[Branch] = []
    for branch in branches:
        machine = branch_machine(branch, source, run)
        if machine is None:
            waiting.append(branch)
        else:
            machines.append((machine, branch.wrap))
    if not waiting:
        return _pushed(self, machines, source)
    if len(waiting) == 1 and type(source) is Once:
        return _beside(self, machines, waiting[0], source, run)
    return _tasked(self, machines, waiting, source, run)


async def _pushed(self: Any, machines: Sequence[Any], source: Any) -> AsyncIterator[Any]:
    feeds = [(machine.feed, wrap) for machine, wrap in machines]
    try:
        async for chunk in source:
            for feed, wrap in feeds:
                for output in feed(chunk):
                    yield wrap(output)
        for machine, wrap in machines:
            for output in machine.finish():
                yield wrap(output)
    finally:
        close_machines(machine for machine, _ in machines)


def _opened(branch: Branch, source: Any, run: Run) -> AsyncIterator[Any]:
    stream = open_step(branch.node, source, run, tag=branch.tag)
    if branch.opened is not None:
        branch.opened(stream)
    return stream


async def _beside(
    self: Any, machines: Sequence[Any], branch: Branch, source: Once, run: Run
) -> AsyncIterator[Any]:
    stream = _opened(branch, source.again(), run)
    if machines:
        pushed = _pushed(self, machines, source)
        run.holds(pushed, self)
        async for output in pushed:
            yield output
    wrap = branch.wrap
    async for chunk in stream:
        yield wrap(chunk)


async def _tasked(
    self: Any, machines: Sequence[Any], waiting: Sequence[Branch], source: Any, run: Run
) -> AsyncIterator[Any]:
    once = type(source) is Once
    # Where machines hear a stream, a lane of their own sees to it that it is read to its end.
    lanes = len(waiting) + (1 if machines and not once else 0)
    hub = _Hub(lanes, run.gate)
    tee = None if once else _Tee(source, lanes, partial(_push, machines, hub), run.gate)
    works = []
    for index, branch in enumerate(waiting):
        inner = run.fork()
        given = source.again() if tee is None else tee.reader(index)
        if tee is not None:
            inner.streams.append((given.source if type(given) is Folded else given, None, None))
        works.append((_opened(branch, given, inner), branch.wrap, inner))
    if lanes > len(waiting) and tee is not None:
        drained = _drained(tee.reader(lanes - 1))
        works.append((drained, _same, run.fork()))
        works[-1][2].streams.append((drained, None, None))
    async with alent(run.gate):
        tasks = [asyncio.create_task(_lane(self, s, w, r, hub, run.streams)) for s, w, r in works]
        outputs = hub.outputs()
        try:
            if once:
                for machine, wrap in machines:
                    for output in (*machine.feed(source.value), *machine.finish()):
                        yield wrap(output)
            async for output in outputs:
                yield output
        finally:
            try:  # a second cancel comes up when the tasks have ended; the rest is still done
                await settle(tasks)
            finally:
                close_machines(machine for machine, _ in machines)
                await outputs.aclose()  # type: ignore[attr-defined]


async def _push(machines: Sequence[Any], hub: _Hub, chunk: Any) -> None:
    """Feed a chunk (or the end) to machines and hand on what is due."""
    for machine, wrap in machines:
        for output in machine.finish() if chunk is _END else machine.feed(chunk):
            await hub.put(wrap(output))


async def _drained(reader: Any) -> AsyncIterator[Any]:
    given = reader.__aiter__()
    try:
        async for _ in given:
            pass
    finally:
        await given.aclose()
    for nothing in list[Any]():
        yield nothing


def _same(chunk: Any) -> Any:
    return chunk


async def _lane(
    self: Any, stream: AsyncIterator[Any], wrap: Any, run: Run, hub: _Hub, up: list[Any]
) -> None:
    failure: BaseException | None = None
    try:
        async with alane(run.gate):
            async for chunk in stream:
                await hub.put(wrap(chunk))
            await close_streams(run)
    except asyncio.CancelledError as error:
        failure = error  # who cancels the lane reads the hub no more; a body's own ends the stream
        await abandon(error, run, up)
        raise
    except BaseException as error:
        await abandon(error, run, up)
        failure = error
    finally:
        hub.ended(failure)
