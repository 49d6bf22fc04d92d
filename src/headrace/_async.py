"""The async driver: opens, pulls and closes streams, runs plans, taps observed runs.

Twin of `_sync.py`, the same names in the same order. It executes and never decides: order and
failure policy live in Plans, what a chunk becomes in Each and Op. Fan-out is in `_async_fan.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from ._lazy import Lazy
from ._locate import frame_of, locate
from .flow import (
    EMPTY,
    Emit,
    Folded,
    Forward,
    Machine,
    Once,
    Outcome,
    Read,
    Sleep,
    fold_chunks,
    fold_partial,
)
from .run import Run, _current, begin

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Lazy("asyncio")


_END = object()


# ------------------------------------------------------------------ sources


async def fold_source(source: Any) -> Any:
    """The whole value of a source; reads it to its end."""
    if type(source) is Once:
        return source.value
    chunks = [chunk async for chunk in source]
    return fold_chunks(source.fold if type(source) is Folded else None, chunks)


class Heard:
    """A source that keeps what went by and can be asked to begin; used where a run is observed."""

    __slots__ = ("_fold", "_ready", "_source", "seen")

    def __init__(self, source: Any) -> None:
        self._fold = source.fold if type(source) is Folded else None
        self._source = source.__aiter__()
        self._ready: list[Any] = []
        self.seen: list[Any] = []

    async def prime(self) -> None:
        """Pull the first chunk, so that what feeds a step starts before the step does."""
        chunk = await anext(self, _END)
        if chunk is not _END:
            self._ready.append(chunk)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._ready:
            return self._ready.pop()
        chunk = await anext(self._source)
        self.seen.append(chunk)
        return chunk

    def as_source(self) -> Any:
        """For the step that reads it: with the fold that the source brought."""
        return self if self._fold is None else Folded(self, self._fold)

    def value(self) -> Any:
        return fold_partial(self._fold, self.seen)


class Replay:
    """A plan's input, readable from its start until a chunk of the output has been handed on."""

    __slots__ = ("_kept", "_keeping", "_source", "failure", "fold", "once")

    def __init__(self, source: Any) -> None:
        self.once = source if type(source) is Once else None
        self.fold = source.fold if type(source) is Folded else None
        self._source = source.__aiter__()
        self._kept: list[Any] = []
        self._keeping = True
        self.failure: BaseException | None = None

    def again(self) -> Any:
        if self.once is not None:
            return self.once.again()
        reader = self._read()
        return reader if self.fold is None else Folded(reader, self.fold)

    async def _read(self) -> AsyncIterator[Any]:
        for chunk in list(self._kept):
            yield chunk
        try:
            async for chunk in self._source:
                if self._keeping:
                    self._kept.append(chunk)
                yield chunk
        except Exception as error:
            self.failure = error
            raise

    def forget(self) -> None:
        """Starting over is no longer possible: keep nothing more."""
        self._keeping = False
        self._kept.clear()


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
    while node._transparent:
        node, run, kw = node._unwrap(run, kw)
    stream: AsyncIterator[Any]
    if run.observed:
        stream = tap(node, node._in_aopen, source, run.child(node, tag), kw, run.streams)
    else:
        stream = node._in_aopen(source, run, kw)
    run.streams.append((stream, node, frame_of(stream)))
    return stream


async def value_step(
    node: Any, value: Any, run: Run, kw: Mapping[str, Any] = EMPTY, tag: str | None = None
) -> Any:
    """Invoke a step below `run`."""
    while node._transparent:
        node, run, kw = node._unwrap(run, kw)
    if run.observed:
        return await tap_value(node._in_avalue, value, run.child(node, tag), kw, run.streams)
    return await node._in_avalue(value, run, kw)


async def value_by_fold(node: Any, value: Any, run: Run, kw: Mapping[str, Any] = EMPTY) -> Any:
    """`ainvoke` as the fold of the stream; what it opened is closed when it returns."""
    inner = run.fork()
    try:
        stream = node._aopen(Once(value), inner, kw)
        inner.streams.append((stream, node, frame_of(stream)))
        result = fold_chunks(node._fold, [chunk async for chunk in stream])
    except BaseException as error:
        await abandon(error, inner, run.streams)
        raise
    await close_streams(inner)
    return result


def tap(
    node: Any,
    opener: Any,
    source: Any,
    run: Run,
    kw: Mapping[str, Any],
    up: list[Any],
    *,
    prime: bool = True,
) -> AsyncIterator[Any]:
    """Open an observed step: its events around its chunks. What it opens is its run's to close.

    With `prime` its input begins before it does, as the steps of a chain do; a root comes first.
    """
    heard = None if type(source) is Once else Heard(source)
    given = source if heard is None else heard.as_source()
    stream = opener(given, run, kw)
    run.streams.append((stream, node, frame_of(stream)))
    return _tapped(node, stream, heard, source, run, up, prime)


async def _tapped(
    node: Any,
    stream: AsyncIterator[Any],
    heard: Heard | None,
    source: Any,
    run: Run,
    up: list[Any],
    prime: bool,
) -> AsyncIterator[Any]:
    if heard is not None and prime:
        await heard.prime()
    run.started(source.value if heard is None else None)
    chunks: list[Any] = []
    report = run.chunk
    try:
        async for chunk in stream:
            chunks.append(chunk)
            report(chunk)
            yield chunk
        output = fold_chunks(node._fold, chunks)
        await close_streams(run)
    except BaseException as error:
        try:
            await abandon(error, run, up)
        finally:  # what is below has ended by now
            run.stopped(error, fold_partial(node._fold, chunks))
        raise
    run.ended(source.value if heard is None else heard.value(), output)


async def tap_value(valuer: Any, value: Any, run: Run, kw: Mapping[str, Any], up: list[Any]) -> Any:
    """Invoke an observed step: its events around its value."""
    run.started(value)
    try:
        output = await valuer(value, run, kw)
        await close_streams(run)
    except BaseException as error:
        try:
            await abandon(error, run, up)
        finally:
            run.stopped(error, None)
        raise
    run.ended(value, output)
    return output


def entered(stream: AsyncIterator[Any], run: Run) -> AsyncIterator[Any]:
    """User code's own stream, each of its steps taken inside the run's context."""
    if run.bare:
        return stream
    return _entered(stream, run)


async def _entered(stream: AsyncIterator[Any], run: Run) -> AsyncIterator[Any]:
    try:
        while True:
            token = _current.set(run)
            try:
                chunk = await anext(stream, _END)
            finally:
                _current.reset(token)
            if chunk is _END:
                return
            yield chunk
    finally:
        aclose = getattr(stream, "aclose", None)
        if aclose is not None:
            await run.acall(aclose)


# ------------------------------------------------------------------ roots: the public doors


async def stream_root(
    node: Any, source: Any, config: Mapping[str, Any] | None, kw: Mapping[str, Any]
) -> AsyncIterator[Any]:
    """Behind `astream` and `atransform`. Runs nothing before the first `anext`."""
    run = begin(node, config)
    own = run.fork() if run.observed else run  # observed: the tap closes what the run opens
    if type(source) is not Once:
        # `atransform` takes its input over, as `yield from` would: closed with the rest, last
        own.streams.append((source, None, None))
    try:
        if run.observed:
            stream = tap(node, node._aopen, source, run, kw, own.streams, prime=False)
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


async def run_plan(self: Any, source: Any, run: Run, kw: Mapping[str, Any]) -> AsyncIterator[Any]:
    """Plan, streaming. Costs one frame per chunk; the plan sees none of them."""
    given = Replay(source)
    plan = self._plan(run, kw)
    outcome: Outcome | None = None
    try:
        while (command := _next_command(plan, outcome)) is not None:
            kind = type(command)
            if kind is Emit:
                outcome = Outcome(started=True)
                yield command.chunk
            elif kind is not Forward:
                outcome = await _execute(self, command, given, run, kw)
            else:
                started, failure = False, None
                inner = run.fork()
                try:
                    stream = _open_command(command, given, inner, kw)
                    if command.keep is not None:
                        stream = _kept(stream, command.keep)
                        inner.streams.append((stream, None, None))
                    async for chunk in stream:
                        started = True
                        given.forget()
                        yield chunk
                        break
                    async for chunk in stream:
                        yield chunk
                except Exception as error:
                    if error is given.failure:
                        raise
                    failure = error
                finally:
                    if failure is None:
                        await close_streams(inner)
                    else:
                        await abandon(failure, inner, run.streams)
                outcome = Outcome(None, failure, started)
    finally:
        plan.close()


async def _kept(stream: AsyncIterator[Any], keep: list[Any]) -> AsyncIterator[Any]:
    async for chunk in stream:
        keep.append(chunk)
        yield chunk


async def value_plan(self: Any, value: Any, run: Run, kw: Mapping[str, Any]) -> Any:
    """Plan, invoked: the value is what it forwarded or emitted."""
    given = Replay(Once(value))
    plan = self._plan(run, kw)
    outcome: Outcome | None = None
    results: list[Any] = []
    try:
        while (command := _next_command(plan, outcome)) is not None:
            if type(command) is Emit:
                outcome = Outcome(started=True)
                results.append(command.chunk)
                continue
            outcome = await _execute(self, command, given, run, kw)
            if type(command) is Forward and outcome.error is None:
                results.append(outcome.value)
                if command.keep is not None:
                    command.keep.append(outcome.value)
    finally:
        plan.close()
    return fold_chunks(self._fold, results)


def _next_command(plan: Any, outcome: Outcome | None) -> Any:
    try:
        return plan.send(outcome)
    except StopIteration:
        return None


def _open_command(
    command: Any, given: Replay, run: Run, kw: Mapping[str, Any]
) -> AsyncIterator[Any]:
    if command.config:
        run = run.configured(command.config)
    source = given.again() if command.value is ... else Once(command.value)
    if type(source) is not Once:
        run.streams.append((getattr(source, "source", source), None, None))
    return open_step(command.node, source, run, kw, command.tag)


async def _execute(
    self: Any, command: Any, given: Replay, run: Run, kw: Mapping[str, Any]
) -> Outcome:
    if type(command) is Sleep:
        await asyncio.sleep(command.seconds)
        return Outcome()
    if type(command) is Read:
        return Outcome(await fold_source(given.again()))
    value = await fold_source(given.again()) if command.value is ... else command.value
    inner = run.configured(command.config).fork() if command.config else run.fork()
    try:
        result = await value_step(command.node, value, inner, kw, command.tag)
    except Exception as error:
        await abandon(error, inner, run.streams)
        return Outcome(None, error)
    finally:
        await close_streams(inner)
    return Outcome(result)
