"""Plans, async: runs what a policy asks for and tells it how that went.

Twin of `_sync_plan.py`. A plan is a generator of commands; it sees no chunk. When its consumer
leaves in the middle of a Forward, the plan is told, may do its last work in a task that no
cancellation of its consumer reaches, and the exception that ended it goes on as it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from ._async import abandon, close_streams, fold_source, open_step, value_step
from ._awaited import settle, to_the_end
from ._gate import alent
from ._lazy import Lazy
from ._sync_plan import may_be_last, next_command
from .flow import (
    EMITTED,
    EMPTY,
    Emit,
    Folded,
    Forward,
    Once,
    Outcome,
    Read,
    Sleep,
    fold_chunks,
    fold_of,
)
from .run import Run

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Lazy("asyncio")

__all__ = ["run_plan", "value_plan"]


_END = object()


async def _pulled(source: AsyncIterator[Any]) -> Any:
    return await anext(source, _END)


class Replay:
    """A plan's input, readable from its start until a chunk of the output has been handed on.

    Lanes of a fan-out below are cancelled when one of them fails, and a source that is cancelled
    ends. So what a lane pulls is pulled in a task of its own, which outlives it: the chunk is there
    for the next try.
    """

    __slots__ = ("_kept", "_keeping", "_own", "_pull", "_source", "failure", "fold", "once")

    def __init__(self, source: Any) -> None:
        self.once = source if type(source) is Once else None
        self.fold = source.fold if type(source) is Folded else None
        self._source = source.__aiter__()
        self._kept: list[Any] = []
        self._keeping = True
        self.failure: BaseException | None = None
        self._own = asyncio.current_task()
        self._pull: asyncio.Task[Any] | None = None

    def again(self) -> Any:
        if self.once is not None:
            return self.once.again()
        reader = self._read()
        return reader if self.fold is None else Folded(reader, self.fold)

    async def _read(self) -> AsyncIterator[Any]:
        for chunk in list(self._kept):
            yield chunk
        try:
            while self._keeping:
                chunk = await self._next()
                if chunk is _END:
                    return
                if self._keeping:
                    self._kept.append(chunk)
                yield chunk
            async for chunk in self._source:
                yield chunk
        except Exception as error:
            self.failure = error
            raise

    async def _next(self) -> Any:
        if self._pull is None:
            if asyncio.current_task() is self._own:
                return await anext(self._source, _END)
            self._pull = asyncio.create_task(_pulled(self._source))
        chunk = await asyncio.shield(self._pull)
        self._pull = None
        return chunk

    async def close(self) -> None:
        """Nobody will read on: end a pull that is under way."""
        pull, self._pull = self._pull, None
        if pull is not None:
            pull.cancel()
            await asyncio.wait([pull])
            if not pull.cancelled():
                pull.exception()

    async def fill(self) -> None:
        """Have all of it, so that it can be read again whatever happens to its readers."""
        if self.once is None:
            async for _ in self._read():
                pass

    def forget(self) -> None:
        """Starting over is no longer possible: keep nothing more."""
        self._keeping = False
        self._kept.clear()

    def end(self) -> None:
        """The consumer has left: nothing more is pulled, what is kept can still be read."""
        self._source = Once(None)
        next(self._source)


async def run_plan(
    self: Any, source: Any, run: Run, kw: Mapping[str, Any], told: list[Any]
) -> AsyncIterator[Any]:
    """Plan, streaming. Costs one frame per chunk; the plan sees none of them."""
    given = Replay(source)
    plan = self._plan(run, kw)
    outcome: Outcome | None = None
    try:
        while (command := next_command(plan, outcome)) is not None:
            kind = type(command)
            if kind is Emit:
                outcome = EMITTED
                yield command.chunk
            elif kind is not Forward:
                outcome = await _execute(self, command, given, run, EMPTY)
            else:
                started, failure = False, None
                inner = run.fork()
                try:
                    stream = await _open_command(self, command, given, inner, kw, told)
                    async for chunk in stream:
                        started = True
                        given.forget()
                        yield chunk
                        break
                    async for chunk in stream:
                        yield chunk
                except BaseException as error:
                    if not isinstance(error, Exception):
                        left = Outcome(None, None, started, error, told[-1])
                        await _leave(self, plan, left, inner, given, run)
                        raise
                    if given.failure is not None:  # it cannot be read again
                        raise
                    failure = error
                finally:
                    if failure is None:
                        await close_streams(inner)
                    else:
                        await abandon(failure, inner, run.streams)
                outcome = Outcome(None, failure, started, None, told[-1])
    finally:
        plan.close()
        await given.close()


async def _leave(
    self: Any, plan: Any, outcome: Outcome, inner: Run, given: Replay, run: Run
) -> None:
    """The consumer is gone: close what it was reading, then let the plan do its last work."""
    try:
        await close_streams(inner)
    finally:
        given.end()
        await _last_work(self, plan, outcome, given, run)


async def _last_work(self: Any, plan: Any, outcome: Outcome, given: Replay, run: Run) -> None:
    command = next_command(plan, outcome)
    if command is None:
        return
    cancelled = await to_the_end(_worked_off(self, plan, command, given, run))
    if cancelled is not None and not isinstance(outcome.left, asyncio.CancelledError):
        raise cancelled


async def _worked_off(self: Any, plan: Any, command: Any, given: Replay, run: Run) -> None:
    while command is not None:
        may_be_last(self, command)
        command = next_command(plan, await _execute(self, command, given, run, EMPTY))


async def _kept(stream: AsyncIterator[Any], keep: list[Any]) -> AsyncIterator[Any]:
    async for chunk in stream:
        keep.append(chunk)
        yield chunk


async def _held(stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Its chunks, none before the last has come."""
    for chunk in [chunk async for chunk in stream]:
        yield chunk


async def value_plan(self: Any, value: Any, run: Run, kw: Mapping[str, Any]) -> Any:
    """Plan, invoked: the value is what it forwarded or emitted."""
    given = Replay(Once(value))
    plan = self._plan(run, kw)
    outcome: Outcome | None = None
    results: list[Any] = []
    try:
        while (command := next_command(plan, outcome)) is not None:
            kind = type(command)
            if kind is Emit:
                outcome = EMITTED
                results.append(command.chunk)
            elif kind is not Forward:
                outcome = await _execute(self, command, given, run, EMPTY)
            else:
                try:
                    outcome = await _execute(self, command, given, run, kw)
                except Exception:
                    raise
                except BaseException as error:
                    await _last_work(self, plan, Outcome(left=error), given, run)
                    raise
                if outcome.error is None:
                    results.append(outcome.value)
                    if command.keep is not None:
                        command.keep.append(outcome.value)
    finally:
        plan.close()
    return fold_chunks(self._fold, results)


async def _open_command(
    self: Any, command: Any, given: Replay, run: Run, kw: Mapping[str, Any], told: list[Any]
) -> AsyncIterator[Any]:
    held = command.held or (run.whole and self._restarts)  # or only the whole is wanted
    if held:
        await given.fill()
    below = run.configured(command.config, over=True) if command.config else run
    source = given.again() if command.value is ... else Once(command.value)
    if type(source) is not Once:
        run.streams.append((getattr(source, "source", source), None, None))
    stream = open_step(command.node, source, below, kw, command.tag)
    told.append(fold_of(command.node, stream, source))
    if held:
        stream = _held(stream)
        run.streams.append((stream, None, None))
    if command.keep is not None:
        stream = _kept(stream, command.keep)
        run.streams.append((stream, None, None))
    return stream


async def _execute(
    self: Any, command: Any, given: Replay, run: Run, kw: Mapping[str, Any]
) -> Outcome:
    if type(command) is Sleep:
        await settle(run)  # what led to it is told before it
        async with alent(run.gate):  # somebody else may work meanwhile
            await asyncio.sleep(command.seconds)
        return Outcome()
    if type(command) is Read:
        return Outcome(await fold_source(given.again()))
    value = await fold_source(given.again()) if command.value is ... else command.value
    inner = run.configured(command.config, over=True).fork() if command.config else run.fork()
    try:
        result = await value_step(command.node, value, inner, kw, command.tag)
    except Exception as error:
        await abandon(error, inner, run.streams)
        return Outcome(None, error)
    finally:
        if inner.streams:
            await close_streams(inner)
    return Outcome(result)
