"""A tool's body as a stream: what it yields on its way, within the tool's timeout.

| body | yields | result |
|---|---|---|
| a function, a coroutine function | nothing | what it returns |
| a generator function | each `yield`, when it comes | what it returns; if None, its last yield |
| an async generator function | each `yield`, when it comes | its last yield |

A body that yields nothing and returns nothing has the result None. What it yields is told as
`ToolProgress` by the tool, and is no part of its result: in a chain a tool stays a barrier.

A sync body in an async run has one worker thread from its first line to its last, in a copy of the
caller's context; it is at most `_bridge.AHEAD` yields ahead of a consumer that pauses. Closing or
cancelling closes the generator, and its `finally` has run when control returns.

The door for agents is `tool.reporting()`, a step over the same input whose chunks are `Progress`
items, as they come, and at last the tool's answer:

    for chunk in open_step(tool.reporting(), Once(call), run):    # or as the node of a `Branch`
        if isinstance(chunk, Progress): …                         # chunk.value, chunk.tool_call_id
        else: …                                                   # the answer: a ToolMessage

Its chunks add up to the answer (the last one is it). It needs no observer; where there are some it
tells them what the tool itself would: start, progress, end, and no chunks.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any, NamedTuple

from .. import _async, _async_race, _sync, _sync_race
from .._bridge import call_in_thread, stream_in_thread
from .._terms import Limits, Terms
from ..errors import Timeout
from ..events import RunChunk
from ..flow import Once, last
from ..run import BARE, Run
from ..shapes import Flow, Kwargs, Leaf
from .errors import ToolTimeout
from .schema import Kind

__all__ = ["Progress", "Reporting", "Work", "carried", "carry"]


class Progress(NamedTuple):
    """What a tool has yielded, as `reporting()` hands it on. `tool_call_id`: of the call that it
    answers, None of one without."""

    value: Any
    tool_call_id: str | None


def carry(error: BaseException, answer: Any) -> None:
    """Give a cancellation the answer of a body in a thread, which could not be broken off and has
    come to its end while it was waited for: who keeps answers (an agent) finds it there."""
    error.__dict__["headrace_answer"] = answer


def carried(error: BaseException | None) -> Any:
    """The answer that a cancellation carries, or None."""
    return getattr(error, "headrace_answer", None)


class Work:
    """One call of a body. `steps` and `asteps` give what it yields, within `timeout` seconds;
    `result` is there when they have ended. One that has no `steps` may be called in place of that.

    Args:
        tool: its name, for errors.
        make: the call, arguments and all.
        kind: what the body is.
        run: whose children are made by what the body invokes.
    """

    __slots__ = ("_failure", "_kind", "_make", "_name", "_run", "_timeout", "finished",
                 "has_steps", "result")  # fmt: skip

    def __init__(
        self, tool: str, make: Callable[[], Any], kind: Kind, run: Run, timeout: float | None
    ) -> None:
        self._name, self._make, self._kind = tool, make, kind
        self._run, self._timeout = run, timeout
        self._failure: BaseException | None = None  # of the body itself
        self.result: Any = None
        self.finished = False  # the body of a function, whoever still waits for it
        self.has_steps = timeout is not None or kind in ("generator", "async generator")

    def call(self) -> None:
        """The body of a function, without a limit."""
        self.result = self._run.call(self._make)
        self.finished = True

    async def acall(self) -> None:
        """The same in an async run."""
        if self._kind == "coroutine":
            self.result = await self._run.acall(self._make)
        else:
            await call_in_thread(self.call)

    # ------------------------------------------------------------- sync

    def steps(self) -> Generator[Any, None, None]:
        """What the body yields, in a sync run."""
        if self._timeout is None:
            yield from self._body()
            return
        part = _Timed(self, self._name, self._timeout)
        try:
            yield from _sync_race.compete(part, Once(None), Run(BARE, []), {}, [None])
        except Timeout as error:
            raise self._judged(error) from None

    def _body(self) -> Generator[Any, None, None]:
        try:
            if self._kind == "generator":
                yield from self._pulled(self._run.call(self._make))
            else:
                self.call()
        except Exception as error:
            self._failure = error
            raise

    def _pulled(self, stream: Any) -> Generator[Any, None, None]:
        """A generator's steps, each taken inside the run's context."""
        call = self._run.call
        try:
            while True:
                try:
                    value = call(next, stream)
                except StopIteration as end:
                    if end.value is not None:
                        self.result = end.value
                    return
                self.result = value
                yield value
        finally:
            call(stream.close)

    # ------------------------------------------------------------- async

    async def asteps(self) -> AsyncGenerator[Any, None]:
        """What the body yields, in an async run."""
        timed = self._timeout is not None
        stream: Any = self._atimed() if timed else self._abody()
        try:
            async with aclosing(stream):
                async for value in stream:
                    yield value
        except Timeout as error:
            raise self._judged(error) from None

    def _atimed(self) -> AsyncIterator[Any]:
        part = _Timed(self, self._name, self._timeout)
        return _async_race.compete(part, Once(None), Run(BARE, []), {}, [None])

    async def _abody(self) -> AsyncGenerator[Any, None]:
        try:
            if self._kind in ("function", "coroutine"):
                await self.acall()
            else:
                async with aclosing(self._astream()) as stream:
                    async for value in stream:
                        yield value
        except Exception as error:
            self._failure = error
            raise

    def _astream(self) -> Any:
        if self._kind == "generator":
            return stream_in_thread(self, lambda _: self._body(), Once(None))
        return self._kept(_async.entered(self._run.call(self._make), self._run))

    async def _kept(self, stream: Any) -> AsyncGenerator[Any, None]:
        async with aclosing(stream):
            async for value in stream:
                self.result = value
                yield value

    # ------------------------------------------------------------- in time

    def _judged(self, error: Timeout) -> Timeout:
        """The tool's own timeout as an error that its `handle_tool_error` knows; one that came out
        of the body goes on as it is."""
        if error is self._failure:
            return error
        late = ToolTimeout(
            str(error), which=error.which, seconds=error.seconds, partial=error.partial
        )
        for note in getattr(error, "__notes__", ()):
            late.add_note(note)
        return late


class _Part(Leaf):
    """A leaf that is no runnable: it has no public doors that could be overridden."""

    def _in_open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        return self._open(source, run, kw)

    def _in_aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        return self._aopen(source, run, kw)

    def _in_value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return self._value(value, run, kw)

    async def _in_avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return await self._avalue(value, run, kw)


class _Timed(_Part):
    """A body against time: the contest, and the only part in it."""

    _fold = staticmethod(last)  # of what had come the error shows the last

    def __init__(self, work: Work, tool: str, timeout: float | None) -> None:
        self._work, self._tool = work, tool
        self._limits = Limits(total=timeout)

    def get_name(self) -> str:
        return f"Tool {self._tool!r}"

    def _terms(self) -> Terms:
        return Terms(((None, self),), limits=self._limits)

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        return self._work._body()

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        return self._work._abody()


class Reporting(_Part):
    """A tool as a step that streams; see the file's head."""

    _run_type = "tool"
    _collects = True
    _fold = staticmethod(last)

    def __init__(self, tool: Any) -> None:  # a BaseTool
        self.tool = tool
        self.tags = tool.tags
        self._own_callbacks = tool._own_callbacks
        self._async_only = tool._async_only

    def get_name(self) -> str:
        return self.tool.get_name()  # type: ignore[no-any-return]

    def _metadata_of(self, kw: Kwargs) -> Mapping[str, Any]:
        return self.tool._metadata_of(kw)  # type: ignore[no-any-return]

    def _shown_input(self, value: Any) -> Any:
        return self.tool._shown_input(value)

    def _flow(self) -> Flow:
        return Flow("source")

    def _tell_as_tool(self, run: Run) -> None:
        """Let observers take this run for the tool's: it has one answer, and no chunks."""
        if run.observed:
            run.node = self.tool
            run._ears[RunChunk] = ()

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        self._tell_as_tool(run)
        return self._stream(source, run, kw)

    def _stream(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        value = _sync.fold_source(source)
        if self.tool._overridden:  # by a user's own `invoke`
            yield self.tool._in_value(value, run, kw)
            return
        with closing(self.tool._steps(value, run)) as steps:
            yield from steps

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        self._tell_as_tool(run)
        return self._astream(source, run, kw)

    async def _astream(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        value = await _async.fold_source(source)
        if self.tool._overridden:
            yield await self.tool._in_avalue(value, run, kw)
            return
        async with aclosing(self.tool._asteps(value, run)) as steps:
            async for each in steps:
                yield each
