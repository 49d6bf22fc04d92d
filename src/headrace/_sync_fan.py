"""Fan-out, sync: several lanes at once, in threads; branches merged as their chunks come.

`gather` runs independent pieces of work to their values; `fan_out` streams one input through
several branches. Machines among the branches are pushed through in the caller's thread; a branch
that may wait gets a worker thread, unless it is the only one and its input is at hand.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from . import _threads
from ._gate import Gate, lane, lent
from ._sync import abandon, close_streams, open_step
from .flow import Branch, Folded, Machine, Once, Tapped, close_machines
from .run import Run

__all__ = ["AHEAD", "default_workers", "fan_out", "gather"]

AHEAD = 40  # outputs that branches may be ahead of a paused consumer
BEHIND = 40  # chunks of input that a branch may be behind the one that has read most
_END = object()


def default_workers() -> int:
    """Threads of a batch without `max_concurrency`: as many as ThreadPoolExecutor would take."""
    return min(32, (os.cpu_count() or 1) + 4)


class _LeftError(BaseException):
    """Raised in a lane whose consumer is gone, up to the fan-out that was left."""


# ------------------------------------------------------------------ gather


class _Jobs:
    """Numbered pieces of work shared out among lanes; results stay at their numbers."""

    def __init__(self, work: Callable[[int], Any], count: int, gate: Gate | None, keep: bool):
        self.work, self.count, self.gate, self.keep = work, count, gate, keep
        self.results: list[Any] = [None] * count
        self.failures: dict[int, BaseException] = {}
        self._numbers = iter(range(count))
        self._base = _threads.context_here()
        self._idle = threading.Semaphore(0)
        self.done: Callable[[int], None] | None = None

    def lane(self) -> None:
        """Work until nothing is left, or something failed."""
        while self.keep or not self.failures:
            number = next(self._numbers, None)
            if number is None:
                return
            try:
                self.results[number] = self._base.copy().run(self._one, number)
            except Exception as error:
                self.failures[number] = error
                if self.keep:
                    self.results[number] = error
            except BaseException as error:
                self.failures[number] = error
                self.keep = False
                return
            if self.done is not None:
                self.done(number)

    def _one(self, number: int) -> Any:
        with lane(self.gate):  # inside the copied context: what nests in the work must see it
            return self.work(number)

    def helper(self) -> None:
        try:
            self.lane()
        finally:
            self._idle.release()

    def run(self, workers: int) -> list[Any]:
        helpers = min(workers, self.count) - 1
        for _ in range(helpers):
            _threads.submit(self.helper)
        try:
            self.lane()
        except BaseException:  # Ctrl-C in this thread: start nothing more
            self.keep, self.failures[-1] = False, KeyboardInterrupt()
            raise
        finally:
            for _ in range(helpers):
                self._idle.acquire()
        if self.failures and not self.keep:
            raise self.failures[min(self.failures)]
        return self.results


def gather(
    work: Callable[[int], Any],
    count: int,
    *,
    gate: Gate | None = None,
    workers: int | None = None,
    keep_errors: bool = False,
) -> list[Any]:
    """The values of `work(0)` … `work(count - 1)`, at their places, several at once.

    The first failure (of the lowest number) is raised when the lanes at work have finished; with
    `keep_errors` each failure is the result at its place.
    """
    if count == 0:
        return []
    if count == 1 and gate is None and not keep_errors:
        return [work(0)]
    with lent(gate):
        return _Jobs(work, count, gate, keep_errors).run(workers or gate or default_workers())


def gather_as_done(
    work: Callable[[int], Any], count: int, *, gate: Gate | None = None, keep_errors: bool = False
) -> Iterator[tuple[int, Any]]:
    """Pairs of number and value in the order in which they get done. Closing it early starts
    nothing more and waits for what is at work."""
    jobs = _Jobs(work, count, gate, keep_errors)
    ready = threading.Semaphore(0)
    order: deque[int] = deque()

    def done(number: int) -> None:
        order.append(number)
        ready.release()

    jobs.done = done
    helpers = min(count, gate or default_workers())

    def helper() -> None:
        try:
            jobs.helper()
        finally:
            ready.release()  # a lane that ended wakes the consumer too: it may have failed

    with lent(gate):
        for _ in range(helpers):
            _threads.submit(helper)
        try:
            given = 0
            while given < count:
                ready.acquire()
                if jobs.failures and not keep_errors:
                    raise jobs.failures[min(jobs.failures)]
                if order:
                    number = order.popleft()
                    given += 1
                    yield number, jobs.results[number]
        finally:
            jobs.keep = False
            jobs.failures.setdefault(count, _LeftError())
            for _ in range(helpers):
                jobs._idle.acquire()


# ------------------------------------------------------------------ fan-out


class _Tee:
    """One source read by several lanes; whoever needs the next chunk pulls it for all.

    Machines are fed as a chunk is pulled, so what they let through comes before what a lane makes
    of it. A reader that has begun is at most `BEHIND` chunks behind the one in front.
    """

    def __init__(
        self, source: Any, readers: int, push: Callable[[Any], None] | None, gate: Gate | None
    ) -> None:
        self._gate = gate
        self._fold = source.fold if type(source) is Folded else None
        self._source = iter(source)
        self._push = push
        self._queues: list[deque[Any]] = [deque() for _ in range(readers)]
        self._begun = [False] * readers
        self._turn = threading.Condition()
        self._pulling = False
        self._held = 0  # readers that wait because another one is too far behind
        self._stopped = False
        self._end: BaseException | None = None

    def reader(self, index: int) -> Any:
        reader = self._read(index)
        return reader if self._fold is None else Folded(reader, self._fold)

    def _read(self, index: int) -> Iterator[Any]:
        queue = self._queues[index]
        try:
            while True:
                while queue:
                    yield queue.popleft()
                if self._must_pull(index):
                    self._pull()
                elif not queue:
                    if isinstance(self._end, StopIteration):
                        return
                    raise self._end  # type: ignore[misc]
        finally:
            with self._turn:  # one that reads no more holds nobody back
                self._begun[index] = False
                self._turn.notify_all()

    def _must_pull(self, index: int) -> bool:
        """Wait for a chunk, the end, or the turn to pull (True)."""
        with self._turn:
            self._begun[index] = True
            self._turn.notify_all()
            now = self._look(index) if self._gate is not None else self._waited(index)
        if now is None:
            with lent(self._gate), self._turn:  # what is waited for may need this lane's permit
                now = self._waited(index)
        return now

    def _waited(self, index: int) -> bool:
        now = self._look(index)
        if now is None:
            self._held += 1
            while now is None:
                self._turn.wait()
                now = self._look(index)
            self._held -= 1
        return now

    def _look(self, index: int) -> bool | None:
        """Whether it is this reader's turn to pull; None if it has to wait."""
        if self._queues[index] or self._end is not None:
            return False
        if self._stopped:
            raise _LeftError
        if self._pulling or self._full():
            return None
        self._pulling = True
        return True

    def _full(self) -> bool:
        pairs = zip(self._queues, self._begun, strict=True)
        return any(begun and len(queue) >= BEHIND for queue, begun in pairs)

    def _pull(self) -> None:
        end: BaseException | None = None
        chunk: Any = None
        try:
            chunk = next(self._source, _END)
        except BaseException as error:
            end = error
        else:
            end = self._pushed(chunk) if self._push is not None else None
        with self._turn:
            self._pulling = False
            if end is not None or chunk is _END:
                self._end = end or StopIteration()
            else:
                for queue in self._queues:
                    queue.append(chunk)
            if self._held:
                self._turn.notify_all()

    def _pushed(self, chunk: Any) -> BaseException | None:
        try:
            self._push(chunk)  # type: ignore[misc]
        except BaseException as error:
            return error
        return None

    def stop(self) -> None:
        with self._turn:
            self._stopped = True
            self._turn.notify_all()


class _Hub:
    """Where lanes put outputs and the consumer takes them; at most `AHEAD` wait here."""

    def __init__(self, lanes: int, gate: Gate | None) -> None:
        self._gate = gate
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._ready = threading.Condition(self._lock)
        self._outputs: deque[Any] = deque()
        self._blocked = 0
        self._hungry = False
        self._lanes = lanes
        self._stopped = False
        self._failure: BaseException | None = None
        self._late: BaseException | None = None

    def put(self, output: Any) -> None:
        with self._lock:
            if self._gate is None and len(self._outputs) >= AHEAD:
                self._wait_for_room()
            if len(self._outputs) < AHEAD and not self._stopped:
                self._outputs.append(output)
                if self._hungry:
                    self._hungry = False
                    self._ready.notify()
                return
        with lent(self._gate), self._lock:  # the consumer may need this lane's permit
            self._wait_for_room()
            self._append(output)

    def _wait_for_room(self) -> None:
        while len(self._outputs) >= AHEAD and not self._stopped:
            self._blocked += 1
            self._room.wait()
            self._blocked -= 1

    def _append(self, output: Any) -> None:
        if self._stopped:
            raise _LeftError
        self._outputs.append(output)
        if self._hungry:
            self._hungry = False
            self._ready.notify()

    def ended(self, failure: BaseException | None) -> None:
        with self._lock:
            self._lanes -= 1
            if self._stopped:
                if not isinstance(failure, _LeftError):
                    self._late = self._late or failure
            else:
                self._failure = self._failure or failure
            self._ready.notify()

    def outputs(self) -> Iterator[Any]:
        """Until every lane has ended; a lane's failure comes after what was put before it.

        That a fan-out above was left ends a lane as a failure does: what came is not all there is.
        """
        while True:
            with self._lock:
                while not self._outputs and self._failure is None and self._lanes:
                    self._hungry = True
                    self._ready.wait()
                outputs, self._outputs = self._outputs, deque()
                if self._blocked:
                    self._room.notify_all()
                failure, over = self._failure, not self._lanes
            yield from outputs
            if not outputs:
                if failure is not None:
                    raise failure
                if over:
                    return

    def stop(self) -> None:
        """Tell the lanes that nobody listens and wait until the last one has ended.

        What failed in a lane only then, while it closed, is raised.
        """
        with self._lock:
            self._stopped = True
            self._room.notify_all()
            while self._lanes:
                self._ready.wait()
        if self._late is not None:
            raise self._late


def fan_out(self: Any, branches: Sequence[Branch], source: Any, run: Run) -> Iterator[Any]:
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
    return _threaded(self, machines, waiting, source, run)


def branch_machine(branch: Branch, source: Any, run: Run) -> Machine | None:
    """The machine of a branch, its events tapped where the run is observed."""
    if branch.machine is not None:
        return branch.machine()
    fold = source.fold if type(source) is Folded else None
    found: Machine | None = branch.node._branch_machine(fold, run, branch.tag)
    if type(found) is Tapped and type(source) is Once:
        found.known = source.value
    return found


def _pushed(self: Any, machines: Sequence[Any], source: Any) -> Iterator[Any]:
    feeds = [(machine.feed, wrap) for machine, wrap in machines]
    try:
        for chunk in source:
            for feed, wrap in feeds:
                for output in feed(chunk):
                    yield wrap(output)
        for machine, wrap in machines:
            for output in machine.finish():
                yield wrap(output)
    finally:
        close_machines(machine for machine, _ in machines)


def _opened(branch: Branch, source: Any, run: Run) -> Iterator[Any]:
    stream = open_step(branch.node, source, run, tag=branch.tag)
    if branch.opened is not None:
        branch.opened(stream)
    return stream


def _beside(
    self: Any, machines: Sequence[Any], branch: Branch, source: Once, run: Run
) -> Iterator[Any]:
    stream = _opened(branch, source.again(), run)
    yield from _pushed(self, machines, source)
    wrap = branch.wrap
    for chunk in stream:
        yield wrap(chunk)


def _threaded(
    self: Any, machines: Sequence[Any], waiting: Sequence[Branch], source: Any, run: Run
) -> Iterator[Any]:
    once = type(source) is Once
    # Where machines hear a stream, a lane of their own sees to it that it is read to its end.
    lanes = len(waiting) + (1 if machines and not once else 0)
    hub = _Hub(lanes, run.gate)
    tee = (
        None
        if once
        else _Tee(source, lanes, partial(_push, machines, hub) if machines else None, run.gate)
    )
    works = []
    for index, branch in enumerate(waiting):
        inner = run.fork()
        given = source.again() if tee is None else tee.reader(index)
        if tee is not None:  # closed with its lane: one that reads no more holds nobody back
            inner.streams.append((given.source if type(given) is Folded else given, None, None))
        stream = _opened(branch, given, inner)
        works.append((stream, branch.wrap, inner))
    if lanes > len(waiting) and tee is not None:
        works.append((_drained(tee.reader(lanes - 1)), _same, run.fork()))
    with lent(run.gate):
        for stream, wrap, inner in works:
            _threads.submit(partial(_lane, self, stream, wrap, inner, hub, run.streams))
        try:
            if once:
                yield from _pushed(self, machines, source)
            yield from hub.outputs()
        finally:
            if tee is not None:
                tee.stop()
            try:  # what failed in a lane while it closed comes up here; the rest is still done
                hub.stop()
            finally:
                close_machines(machine for machine, _ in machines)


def _push(machines: Sequence[Any], hub: _Hub, chunk: Any) -> None:
    """Feed a chunk (or the end) to machines and hand on what is due."""
    for machine, wrap in machines:
        for output in machine.finish() if chunk is _END else machine.feed(chunk):
            hub.put(wrap(output))


def _drained(reader: Any) -> Iterator[Any]:
    for _ in reader:
        pass
    yield from ()


def _same(chunk: Any) -> Any:
    return chunk


def _lane(self: Any, stream: Iterator[Any], wrap: Any, run: Run, hub: _Hub, up: list[Any]) -> None:
    failure: BaseException | None = None
    try:
        with lane(run.gate):
            try:
                put = hub.put
                for chunk in stream:
                    put(wrap(chunk))
                close_streams(run)
            except BaseException as error:
                abandon(error, run, up)
                raise
    except BaseException as error:
        failure = error
    hub.ended(failure)
