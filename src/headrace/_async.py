"""The async driver: opens, pulls and closes streams, taps observed runs.

Twin of `_sync.py`, the same names in the same order. It executes and never decides: order and
failure policy live in Plans, what a chunk becomes in Each and Op. Fan-out is in `_async_fan.py`,
plans in `_async_plan.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

from ._awaited import await_hooks, settle
from ._bridge import given_up, giving_up
from ._locate import frame_of, locate
from .flow import (
    EMPTY,
    ROOM,
    Folded,
    Late,
    Machine,
    Once,
    compact,
    fold_chunks,
    fold_of,
    fold_partial,
)
from .run import UNKNOWN, Run, Waking, _current, begin

_END = object()


# ------------------------------------------------------------------ sources


async def fold_source(source: Any) -> Any:
    """The whole value of a source; reads it to its end."""
    if type(source) is Once:
        return source.value
    chunks = [chunk async for chunk in source]
    return fold_chunks(source.fold if type(source) is Folded else None, chunks)


class Heard:
    """A source that keeps what went by and tells its reader's start; used where a run is observed.

    `late`: the run that reads it, if its start is told when the first chunk is there, so that what
    feeds a step starts before it; `whole`: when all are there, as its start tells the whole input.
    Nothing is read before the step asks.
    """

    __slots__ = ("_fold", "_late", "_ready", "_room", "_source", "_whole", "seen")

    def __init__(self, source: Any, late: Run | None, whole: bool) -> None:
        self._fold = source.fold if type(source) is Folded else None
        self._late = late
        self._source = source.__aiter__()
        self._ready: list[Any] = []
        self._room = ROOM
        self._whole = whole
        self.seen: list[Any] = []

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._ready:
            return self._ready.pop()
        if self._late is not None:
            return await self._first(self._late)
        chunk = await anext(self._source)
        self.seen.append(chunk)
        if len(self.seen) > self._room:
            self._room = compact(self._fold, self.seen, self._room)
        return chunk

    async def _first(self, run: Run) -> Any:
        self._late, known = None, UNKNOWN
        try:
            if self._whole:
                self._ready = [chunk async for chunk in self][::-1]
                known = self.value()
            elif (chunk := await anext(self, _END)) is not _END:
                self._ready.append(chunk)
        except BaseException as error:
            run.starved(error)
            raise
        run.wake(known)
        await settle(run)
        return await anext(self)

    def as_source(self) -> Any:
        """For the step that reads it: with the fold that the source brought."""
        return self if self._fold is None else Folded(self, self._fold)

    def value(self) -> Any:
        return fold_partial(self._fold, self.seen)


# ------------------------------------------------------------------ closing


async def close_streams(run: Run, primary: BaseException | None = None) -> None:
    """Close what a run opened, last first, all of it whatever fails.

    A failure while closing is raised when all are closed; beside a primary exception, which the
    consumer must get as it is, it becomes a note on that.
    """
    failure: BaseException | None = None
    streams = run.streams
    while streams:
        stream = streams.pop()[0]
        if getattr(stream, "ag_frame", stream) is None:
            continue  # an async generator that has ended has nothing to close
        aclose = getattr(stream, "aclose", None)
        try:
            if aclose is not None:
                await aclose()
            elif hasattr(stream, "close"):
                stream.close()
        except BaseException as error:
            failure = failure or error
    if failure is None or failure is primary:
        return
    if isinstance(primary, Exception) and isinstance(failure, Exception):
        primary.add_note(f"While closing the stream after this error: {failure!r}")
        return
    raise failure


async def abandon(error: BaseException, run: Run, up: list[Any]) -> None:
    """Close what a failed run opened; the frames go up, to the root that will name the step."""
    frames = [(None, node, frame) for _, node, frame in run.streams if frame is not None]
    try:
        with giving_up(given_up(error)):
            await close_streams(run, error)
    finally:
        up.extend(frames)


async def end_root(node: Any, error: BaseException, run: Run) -> None:
    """A root failed: say in a note which step it was, and close everything."""
    if isinstance(error, Exception):
        locate(error, node, run.streams, run._name)
    await close_streams(run, error)


# ------------------------------------------------------------------ steps


def open_step(
    node: Any, source: Any, run: Run, kw: Mapping[str, Any] = EMPTY, tag: str | None = None
) -> AsyncIterator[Any]:
    """Open a step below `run`, registered for closing; nothing has been pulled yet."""
    asked = node
    while node._transparent:
        node, run, kw = node._unwrap(run, kw)
    if node._own_callbacks is not None:
        run = run.configured({"callbacks": node._own_callbacks})
    stream: AsyncIterator[Any]
    if run.observed:
        stream = tap(node, node._in_aopen, source, run.child(node, tag), kw, run.streams)
    else:
        if node is not asked:
            run = run.passed()
        stream = node._in_aopen(source, run, kw)
    run.streams.append((stream, node, frame_of(stream)))
    if node is not asked and type(stream) is not Late:  # a choice made just now
        return Late(stream, [fold_of(node, stream, source)])
    return stream


async def value_step(
    node: Any, value: Any, run: Run, kw: Mapping[str, Any] = EMPTY, tag: str | None = None
) -> Any:
    """Invoke a step below `run`."""
    asked = node
    while node._transparent:
        node, run, kw = node._unwrap(run, kw)
    if node._own_callbacks is not None:
        run = run.configured({"callbacks": node._own_callbacks})
    if run.observed:
        return await tap_value(node._in_avalue, value, run.child(node, tag), kw, run.streams)
    if node is not asked:
        run = run.passed()
    return await node._in_avalue(value, run, kw)


async def value_by_fold(
    node: Any, value: Any, run: Run, kw: Mapping[str, Any] = EMPTY, *, shown: bool = False
) -> Any:
    """`ainvoke` as the fold of the stream; what it opened is closed when it returns.

    `shown`: the run is observed, and reports each chunk as if it were streamed.
    """
    inner = run.fork()
    inner.whole = inner.whole or not shown
    try:
        stream = node._aopen(Once(value), inner, kw)
        inner.streams.append((stream, node, frame_of(stream)))
        chunks = await _reported(stream, run) if shown else [chunk async for chunk in stream]
        result = fold_chunks(fold_of(node, stream, None), chunks)
    except BaseException as error:
        await abandon(error, inner, run.streams)
        raise
    await close_streams(inner)
    return result


async def _reported(stream: AsyncIterator[Any], run: Run) -> list[Any]:
    chunks, report, valve = [], run.reporter(), run.scope.valve
    async for chunk in stream:
        if report is not None:
            report(chunk)
        if run.pending:
            await settle(run)
        chunks.append(chunk)
        if valve is not None and valve.full and await valve.room(run):
            break
    return chunks


def tap(
    node: Any,
    opener: Any,
    source: Any,
    run: Run,
    kw: Mapping[str, Any],
    up: list[Any],
    *,
    root: bool = False,
) -> AsyncIterator[Any]:
    """Open an observed step: its events around its chunks. What it opens is its run's to close.

    The start of a step that is fed by others is told late (see `Heard`); a root's comes first.
    A step that nobody wants to hear of is opened as if it were not observed.
    """
    await_hooks(run)
    if (not root or run.pending is None) and run.unheard:
        Waking(run)  # what shows below it wakes those above
        run.streams = up
        return opener(source, run, kw)  # type: ignore[no-any-return]
    once = type(source) is Once
    run.kw = kw
    if node._asked_once(kw, sync=False) and (once or not root):
        return tap_asked(node._avalue if root else node._in_avalue, source, run, kw, up)
    Waking(run, source.value if once else UNKNOWN)
    heard = None if once else Heard(source, None if root else run, node._collects)
    given = source if heard is None else heard.as_source()
    try:
        stream = opener(given, run, kw)
    except BaseException as error:  # of user code that works when it is called, not when it is read
        up.extend(run.streams)
        run.stopped(error, None)
        raise
    run.streams.append((stream, node, frame_of(stream)))
    fold = fold_of(node, stream, given)
    tapped = _tapped(fold, stream, heard, source, run, up, once or root)
    return Late(tapped, stream.told) if type(stream) is Late else tapped


async def _tapped(
    fold: Any,
    stream: AsyncIterator[Any],
    heard: Heard | None,
    source: Any,
    run: Run,
    up: list[Any],
    now: bool,
) -> AsyncIterator[Any]:
    pending = run.pending
    chunks: list[Any] = []
    room = ROOM
    report, valve = run.reporter(), run.scope.valve
    try:
        if now:
            run.wake()
        if pending:
            await settle(run)
        async for chunk in stream:
            chunks.append(chunk)
            if len(chunks) > room:
                room = compact(fold, chunks, room)
            if report is not None:
                report(chunk)
            if pending:
                await settle(run)
            if valve is not None and valve.full and await valve.room(run):
                yield chunk  # the last that is wanted of this run
                break
            yield chunk
        output = fold_partial(fold, chunks)
        await close_streams(run)
    except BaseException as error:
        try:
            await abandon(error, run, up)
        finally:  # what is below has ended by now
            run.stopped(error, fold_partial(fold, chunks))
            if pending:
                await settle(run, last=True)
        raise
    run.ended(source.value if heard is None else heard.value(), output)
    if pending:
        await settle(run, last=True)


async def tap_value(valuer: Any, value: Any, run: Run, kw: Mapping[str, Any], up: list[Any]) -> Any:
    """Invoke an observed step: its events around its value."""
    run.kw, run.invoked = kw, True
    await_hooks(run)
    valve = run.scope.valve
    try:
        run.started(value)
        if run.pending:
            await settle(run)
        if valve is not None and valve.full:
            await valve.room(run)
        output = await valuer(value, run, kw)
        if run.answers:
            run.answer(output)
        if run.streams:
            await close_streams(run)
    except BaseException as error:
        try:
            await abandon(error, run, up)
        finally:
            run.stopped(error, None)
            if run.pending:
                await settle(run, last=True)
        raise
    run.ended(value, output)
    if run.pending:
        await settle(run, last=True)
    return output


async def tap_asked(
    valuer: Any, source: Any, run: Run, kw: Mapping[str, Any], up: list[Any]
) -> AsyncIterator[Any]:
    """An observed step that has one value to give, as a stream: it starts when its whole input is
    there, and has ended when its value is handed on."""
    value = await fold_source(source)
    run.answers = True
    yield await tap_value(valuer, value, run, kw, up)


def entered(stream: AsyncIterator[Any], run: Run) -> AsyncIterator[Any]:
    """User code's own stream, each of its steps taken inside the run's context."""
    if run.bare:
        return stream
    return _entered(stream, run)


async def _entered(stream: AsyncIterator[Any], run: Run) -> AsyncIterator[Any]:
    step, enter, leave = stream.__anext__, _current.set, _current.reset
    try:
        while True:
            token = enter(run)
            try:
                chunk = await step()
            except StopAsyncIteration:
                return
            finally:
                leave(token)
            yield chunk
    finally:
        aclose = getattr(stream, "aclose", None)
        if aclose is not None:
            await run.acall(aclose)


# ------------------------------------------------------------------ roots: the public doors


async def stream_root(
    node: Any, source: Any, config: Mapping[str, Any] | None, kw: Mapping[str, Any]
) -> AsyncGenerator[Any, None]:
    """Behind `astream` and `atransform`. Runs nothing before the first `anext`."""
    while node._transparent:
        node, config, kw = node._behind(config, kw)
    run = begin(node, config)
    own = run.fork() if run.observed else run  # observed: the tap closes what the run opens
    if type(source) is not Once:
        # `atransform` takes its input over, as `yield from` would: closed with the rest, last
        own.streams.append((source, None, None))
    try:
        if run.observed:
            stream = tap(node, node._aopen, source, run, kw, own.streams, root=True)
        else:
            stream = node._aopen(source, run, kw)
        own.streams.append((stream, node, frame_of(stream)))
        async for chunk in stream:
            yield chunk
    except BaseException as error:
        await end_root(node, error, own)
        raise
    await close_streams(own)


async def value_root(
    node: Any, value: Any, config: Mapping[str, Any] | None, kw: Mapping[str, Any]
) -> Any:
    """Behind `ainvoke`."""
    run = begin(node, config)
    own = run.fork() if run.observed else run  # observed: the tap closes what the run opens
    try:
        if run.observed:
            result = await tap_value(node._avalue, value, run, kw, own.streams)
        else:
            result = await node._avalue(value, run, kw)
    except BaseException as error:
        await end_root(node, error, own)
        raise
    if own.streams:
        await close_streams(own)
    return result


# ------------------------------------------------------------------ shapes


async def run_each(self: Any, source: Any, step: Any) -> AsyncIterator[Any]:
    """Each: one chunk in, one out."""
    async for chunk in source:
        yield step(chunk)


async def run_machine(self: Any, source: Any, machine: Machine) -> AsyncIterator[Any]:
    """Op: feed what comes, hand on what is due."""
    feed = machine.feed
    async for chunk in source:
        for output in feed(chunk):
            yield output
    for output in machine.finish():
        yield output
