"""The sync driver: opens, pulls and closes streams, taps observed runs.

Twin of `_async.py`, the same names in the same order. It executes and never decides: order and
failure policy live in Plans, what a chunk becomes in Each and Op. Fan-out is in `_sync_fan.py`,
plans in `_sync_plan.py`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

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


def fold_source(source: Any) -> Any:
    """The whole value of a source; reads it to its end."""
    if type(source) is Once:
        return source.value
    chunks = list(source)
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
        self._source = iter(source)
        self._ready: list[Any] = []
        self._room = ROOM
        self._whole = whole
        self.seen: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._ready:
            return self._ready.pop()
        if self._late is not None:
            return self._first(self._late)
        chunk = next(self._source)
        self.seen.append(chunk)
        if len(self.seen) > self._room:
            self._room = compact(self._fold, self.seen, self._room)
        return chunk

    def _first(self, run: Run) -> Any:
        self._late, known = None, UNKNOWN
        try:
            if self._whole:
                self._ready = list(self)[::-1]
                known = self.value()
            elif (chunk := next(self, _END)) is not _END:
                self._ready.append(chunk)
        except BaseException as error:
            run.starved(error)
            raise
        run.wake(known)
        return next(self)

    def as_source(self) -> Any:
        """For the step that reads it: with the fold that the source brought."""
        return self if self._fold is None else Folded(self, self._fold)

    def value(self) -> Any:
        return fold_partial(self._fold, self.seen)


# ------------------------------------------------------------------ closing


def close_streams(run: Run, primary: BaseException | None = None) -> None:
    """Close what a run opened, last first, all of it whatever fails.

    A failure while closing is raised when all are closed; beside a primary exception, which the
    consumer must get as it is, it becomes a note on that.
    """
    failure: BaseException | None = None
    streams = run.streams
    while streams:
        stream = streams.pop()[0]
        close = getattr(stream, "close", None)
        if close is None:
            continue
        try:
            close()
        except BaseException as error:
            failure = failure or error
    if failure is None or failure is primary:
        return
    if isinstance(primary, Exception) and isinstance(failure, Exception):
        primary.add_note(f"While closing the stream after this error: {failure!r}")
        return
    raise failure


def abandon(error: BaseException, run: Run, up: list[Any]) -> None:
    """Close what a failed run opened; the frames go up, to the root that will name the step."""
    frames = [(None, node, frame) for _, node, frame in run.streams if frame is not None]
    try:
        close_streams(run, error)
    finally:
        up.extend(frames)


def end_root(node: Any, error: BaseException, run: Run) -> None:
    """A root failed: say in a note which step it was, and close everything."""
    if isinstance(error, Exception):
        locate(error, node, run.streams, run._name)
    close_streams(run, error)


# ------------------------------------------------------------------ steps


def open_step(
    node: Any, source: Any, run: Run, kw: Mapping[str, Any] = EMPTY, tag: str | None = None
) -> Iterator[Any]:
    """Open a step below `run`, registered for closing; nothing has been pulled yet."""
    asked = node
    while node._transparent:
        node, run, kw = node._unwrap(run, kw)
    if node._own_callbacks is not None:
        run = run.configured({"callbacks": node._own_callbacks})
    stream: Iterator[Any]
    if run.observed:
        stream = tap(node, node._in_open, source, run.child(node, tag), kw, run.streams)
    else:
        if node is not asked:
            run = run.passed()
        stream = node._in_open(source, run, kw)
    run.streams.append((stream, node, frame_of(stream)))
    if node is not asked and type(stream) is not Late:  # a choice made just now
        return Late(stream, [fold_of(node, stream, source)])
    return stream


def value_step(
    node: Any, value: Any, run: Run, kw: Mapping[str, Any] = EMPTY, tag: str | None = None
) -> Any:
    """Invoke a step below `run`."""
    asked = node
    while node._transparent:
        node, run, kw = node._unwrap(run, kw)
    if node._own_callbacks is not None:
        run = run.configured({"callbacks": node._own_callbacks})
    if run.observed:
        return tap_value(node._in_value, value, run.child(node, tag), kw, run.streams)
    if node is not asked:
        run = run.passed()
    return node._in_value(value, run, kw)


def value_by_fold(
    node: Any, value: Any, run: Run, kw: Mapping[str, Any] = EMPTY, *, shown: bool = False
) -> Any:
    """`invoke` as the fold of the stream; what it opened is closed when it returns.

    `shown`: the run is observed, and reports each chunk as if it were streamed.
    """
    inner = run.fork()
    inner.whole = inner.whole or not shown
    try:
        stream = node._open(Once(value), inner, kw)
        inner.streams.append((stream, node, frame_of(stream)))
        chunks = _reported(stream, run) if shown else list(stream)
        result = fold_chunks(fold_of(node, stream, None), chunks)
    except BaseException as error:
        abandon(error, inner, run.streams)
        raise
    close_streams(inner)
    return result


def _reported(stream: Iterator[Any], run: Run) -> list[Any]:
    chunks, report, valve = [], run.reporter(), run.scope.valve
    for chunk in stream:
        if report is not None:
            report(chunk)
        chunks.append(chunk)
        if valve is not None and valve.full and valve.wait(run):
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
) -> Iterator[Any]:
    """Open an observed step: its events around its chunks. What it opens is its run's to close.

    The start of a step that is fed by others is told late (see `Heard`); a root's comes first.
    A step that nobody wants to hear of is opened as if it were not observed.
    """
    if run.unheard:
        Waking(run)  # what shows below it wakes those above
        run.streams = up
        return opener(source, run, kw)  # type: ignore[no-any-return]
    once = type(source) is Once
    run.kw = kw
    if node._asked_once(kw, sync=True) and (once or not root):
        return tap_asked(node._value if root else node._in_value, source, run, kw, up)
    Waking(run, source.value if once else UNKNOWN)
    heard = None if once else Heard(source, None if root else run, node._collects)
    given = source if heard is None else heard.as_source()
    try:
        stream = opener(given, run, kw)
    except BaseException as error:  # of user code that works when it is called, not when it is read
        abandon(error, run, up)
        run.stopped(error, None)
        raise
    run.streams.append((stream, node, frame_of(stream)))
    fold = fold_of(node, stream, given)
    tapped = _tapped(fold, stream, heard, source, run, up, once or root, run.waking is None)
    if run.waking is None:  # told by what it did just now: it is to be ended, too, if nobody reads
        next(tapped)
    return Late(tapped, stream.told) if type(stream) is Late else tapped


def _tapped(
    fold: Any,
    stream: Iterator[Any],
    heard: Heard | None,
    source: Any,
    run: Run,
    up: list[Any],
    now: bool,
    begun: bool,
) -> Iterator[Any]:
    chunks: list[Any] = []
    room = ROOM
    report, valve = run.reporter(), run.scope.valve
    try:
        if now:
            run.wake()
        if begun:
            yield
        for chunk in stream:
            chunks.append(chunk)
            if len(chunks) > room:
                room = compact(fold, chunks, room)
            if report is not None:
                report(chunk)
            if valve is not None and valve.full and valve.wait(run):
                yield chunk  # the last that is wanted of this run
                break
            yield chunk
        output = fold_partial(fold, chunks)
        close_streams(run)
    except BaseException as error:
        try:
            abandon(error, run, up)
        finally:  # what is below has ended by now
            run.stopped(error, fold_partial(fold, chunks))
        raise
    run.ended(source.value if heard is None else heard.value(), output)


def tap_value(valuer: Any, value: Any, run: Run, kw: Mapping[str, Any], up: list[Any]) -> Any:
    """Invoke an observed step: its events around its value."""
    run.kw, run.invoked = kw, True
    valve = run.scope.valve
    try:
        run.started(value)
        if valve is not None and valve.full:
            valve.wait(run)
        output = valuer(value, run, kw)
        if run.answers:
            run.answer(output)
        close_streams(run)
    except BaseException as error:
        try:
            abandon(error, run, up)
        finally:
            run.stopped(error, None)
        raise
    run.ended(value, output)
    return output


def tap_asked(
    valuer: Any, source: Any, run: Run, kw: Mapping[str, Any], up: list[Any]
) -> Iterator[Any]:
    """An observed step that has one value to give, as a stream: it starts when its whole input is
    there, and has ended when its value is handed on."""
    value = fold_source(source)
    run.answers = True
    yield tap_value(valuer, value, run, kw, up)


def entered(stream: Iterator[Any], run: Run) -> Iterator[Any]:
    """User code's own stream, each of its steps taken inside the run's context."""
    if run.bare:
        return stream
    return _entered(stream, run)


def _entered(stream: Iterator[Any], run: Run) -> Iterator[Any]:
    enter, leave = _current.set, _current.reset
    try:
        while True:
            token = enter(run)
            try:
                chunk = next(stream, _END)
            finally:
                leave(token)
            if chunk is _END:
                return
            yield chunk
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            run.call(close)


# ------------------------------------------------------------------ roots: the public doors


def stream_root(
    node: Any, source: Any, config: Mapping[str, Any] | None, kw: Mapping[str, Any]
) -> Generator[Any, None, None]:
    """Behind `stream` and `transform`. Runs nothing before the first `next`."""
    while node._transparent:
        node, config, kw = node._behind(config, kw)
    run = begin(node, config)
    own = run.fork() if run.observed else run  # observed: the tap closes what the run opens
    if type(source) is not Once:
        # `transform` takes its input over, as `yield from` would: closed with the rest, last
        own.streams.append((source, None, None))
    try:
        if run.observed:
            yield from tap(node, node._open, source, run, kw, own.streams, root=True)
        else:
            yield from node._open(source, run, kw)
    except BaseException as error:
        end_root(node, error, own)
        raise
    close_streams(own)


def value_root(
    node: Any, value: Any, config: Mapping[str, Any] | None, kw: Mapping[str, Any]
) -> Any:
    """Behind `invoke`."""
    run = begin(node, config)
    own = run.fork() if run.observed else run  # observed: the tap closes what the run opens
    try:
        if run.observed:
            result = tap_value(node._value, value, run, kw, own.streams)
        else:
            result = node._value(value, run, kw)
    except BaseException as error:
        end_root(node, error, own)
        raise
    if own.streams:
        close_streams(own)
    return result


# ------------------------------------------------------------------ shapes


def run_each(self: Any, source: Any, step: Any) -> Iterator[Any]:
    """Each: one chunk in, one out."""
    for chunk in source:
        yield step(chunk)


def run_machine(self: Any, source: Any, machine: Machine) -> Iterator[Any]:
    """Op: feed what comes, hand on what is due."""
    feed = machine.feed
    for chunk in source:
        yield from feed(chunk)
    yield from machine.finish()
