"""Plans, sync: runs what a policy asks for and tells it how that went.

Twin of `_async_plan.py`, the same names in the same order. A plan is a generator of commands; it
sees no chunk. When its consumer leaves in the middle of a Forward, the plan is told, may do its
last work, and the exception that ended it goes on as it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from ._gate import lent
from ._sync import abandon, close_streams, fold_source, open_step, value_step
from ._threads import pause
from .errors import HeadraceError
from .flow import (
    EMITTED,
    EMPTY,
    Collect,
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

__all__ = ["may_be_last", "next_command", "run_plan", "value_plan"]


class Replay:
    """A plan's input, readable from its start until a chunk of the output has been handed on."""

    __slots__ = ("_kept", "_keeping", "_source", "failure", "fold", "once")

    def __init__(self, source: Any) -> None:
        self.once = source if type(source) is Once else None
        self.fold = source.fold if type(source) is Folded else None
        self._source = iter(source)
        self._kept: list[Any] = []
        self._keeping = True
        self.failure: BaseException | None = None

    def again(self) -> Any:
        if self.once is not None:
            return self.once.again()
        reader = self._read()
        return reader if self.fold is None else Folded(reader, self.fold)

    def _read(self) -> Iterator[Any]:
        yield from list(self._kept)
        try:
            for chunk in self._source:
                if self._keeping:
                    self._kept.append(chunk)
                yield chunk
        except Exception as error:
            self.failure = error
            raise

    def fill(self) -> None:
        """Have all of it, so that it can be read again whatever happens to its readers."""
        if self.once is None:
            for _ in self._read():
                pass

    def forget(self) -> None:
        """Starting over is no longer possible: keep nothing more."""
        self._keeping = False
        self._kept.clear()

    def end(self) -> None:
        """The consumer has left: nothing more is pulled, what is kept can still be read."""
        self._source = Once(None)
        next(self._source)


def run_plan(
    self: Any, source: Any, run: Run, kw: Mapping[str, Any], told: list[Any]
) -> Iterator[Any]:
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
                outcome = _execute(self, command, given, run, EMPTY)
            else:
                started = False
                failure: BaseException | None = None
                inner = run.fork()
                try:
                    stream = _open_command(self, command, given, inner, kw, told)
                    for chunk in stream:
                        started = True
                        given.forget()
                        yield chunk
                        yield from stream
                except BaseException as error:
                    gone = _consumer_left(error, started)
                    if gone is not None:
                        left = Outcome(None, None, started, gone, told[-1])
                        _leave(self, plan, left, inner, given, run)
                    if gone is not None or given.failure is not None:
                        raise
                    failure = error
                finally:
                    if failure is None:
                        close_streams(inner)
                    else:
                        abandon(failure, inner, run.streams)
                outcome = Outcome(None, failure, started, None, told[-1])  # type: ignore[arg-type]
    finally:
        plan.close()


def _consumer_left(error: BaseException, started: bool) -> BaseException | None:
    """What said so, if anything. What a stream raises because it is being closed comes up through
    `yield from` and looks like any failure, but for the GeneratorExit under it."""
    if not isinstance(error, Exception):
        return error
    under = error.__context__ if started else None
    while under is not None and not isinstance(under, GeneratorExit):
        under = under.__context__
    return under


def _leave(self: Any, plan: Any, outcome: Outcome, inner: Run, given: Replay, run: Run) -> None:
    """The consumer is gone: close what it was reading, then let the plan do its last work."""
    try:
        close_streams(inner)
    finally:
        given.end()
        _last_work(self, plan, outcome, given, run)


def _last_work(self: Any, plan: Any, outcome: Outcome, given: Replay, run: Run) -> None:
    command = next_command(plan, outcome)
    while command is not None:
        may_be_last(self, command)
        command = next_command(plan, _execute(self, command, given, run, EMPTY))


def may_be_last(self: Any, command: Any) -> None:
    if not isinstance(command, (Collect, Read)):
        raise HeadraceError(
            f"The plan of {self.get_name()} asked for {command!r} after its consumer had left: a "
            "plan that is told Outcome(left=…) may only Collect and Read, and then end."
        )


def _kept(stream: Iterator[Any], keep: list[Any]) -> Iterator[Any]:
    for chunk in stream:
        keep.append(chunk)
        yield chunk


def _held(stream: Iterator[Any]) -> Iterator[Any]:
    """Its chunks, none before the last has come."""
    yield from list(stream)


def value_plan(self: Any, value: Any, run: Run, kw: Mapping[str, Any]) -> Any:
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
                outcome = _execute(self, command, given, run, EMPTY)
            else:
                try:
                    outcome = _execute(self, command, given, run, kw)
                except Exception:
                    raise
                except BaseException as error:
                    _last_work(self, plan, Outcome(left=error), given, run)
                    raise
                if outcome.error is None:
                    results.append(outcome.value)
                    if command.keep is not None:
                        command.keep.append(outcome.value)
    finally:
        plan.close()
    return fold_chunks(self._fold, results)


def next_command(plan: Any, outcome: Outcome | None) -> Any:
    try:
        return plan.send(outcome)
    except StopIteration:
        return None


def _open_command(
    self: Any, command: Any, given: Replay, run: Run, kw: Mapping[str, Any], told: list[Any]
) -> Iterator[Any]:
    held = command.held or (run.whole and self._restarts)  # or only the whole is wanted
    if held:
        given.fill()
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


def _execute(self: Any, command: Any, given: Replay, run: Run, kw: Mapping[str, Any]) -> Outcome:
    if type(command) is Sleep:
        with lent(run.gate):  # somebody else may work meanwhile
            pause(command.seconds, time.sleep)
        return Outcome()
    if type(command) is Read:
        return Outcome(fold_source(given.again()))
    value = fold_source(given.again()) if command.value is ... else command.value
    inner = run.configured(command.config, over=True).fork() if command.config else run.fork()
    try:
        result = value_step(command.node, value, inner, kw, command.tag)
    except Exception as error:
        abandon(error, inner, run.streams)
        return Outcome(None, error)
    finally:
        close_streams(inner)
    return Outcome(result)
