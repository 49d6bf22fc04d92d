"""The calls of one step: several lanes at once, each answer handed on and kept when it is ready.

A leaf over the engine's fan-out: as many lanes as there are calls, or as the agent's
`max_concurrency` lets, in threads or tasks; each takes the next call that is open. One lane works
where the step's reader is, with no thread and no task. What a tool reports on its way
(`tools.progress.Progress`) is handed on as well, where somebody wants it.

| what happens | what the model gets |
|---|---|
| there is no such tool | a mistake that lists the tools |
| the arguments are no JSON, or break a rule of the tool's | a mistake that names it |
| the tool raises what the agent tells (`on_error`) | a mistake with the exception |
| the tool raises anything else | nothing: the others are cancelled and awaited, then it is raised |

Sync code cannot be cancelled: siblings in threads are awaited, and start nothing more.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from .. import _async, _async_fan, _sync, _sync_fan
from .._bridge import call_in_thread
from ..errors import InputError
from ..flow import Branch, Once
from ..messages import ToolMessage
from ..run import BARE, Run, fresh_id
from ..scope import Scope
from ..shapes import Kwargs, Leaf
from ..tools.errors import ToolArgumentsError
from ..tools.progress import Progress, carried, carry
from ._aside import APut, Put, aaside, aside, from_thread
from ._inner import Inner
from ._loop import mistake
from ._saving import row_of

if TYPE_CHECKING:
    from ._saving import Thread
    from ._setup import Setup

__all__ = ["Calls"]


def _answers_among(chunks: list[Any]) -> list[Any]:
    return [chunk for chunk in chunks if type(chunk) is not Progress]


class Calls(Inner, Leaf):
    """Makes calls. Its chunks are the answers, in the order in which they are ready, and what the
    tools report before.

    Args:
        setup: of the agent whose tools they are.
        calls: the calls, each with an id.
        answers: gets the answers, when they are ready.
        thread: where answers are kept.
        reports: whether to hand on what tools report.
    """

    name = "tools"
    _fold = staticmethod(_answers_among)

    def __init__(
        self,
        setup: Setup,
        calls: list[Any],
        answers: list[ToolMessage],
        thread: Thread | None,
        *,
        reports: bool = False,
    ) -> None:
        self.setup, self.thread, self.reports = setup, thread, reports
        self.answers = answers
        self.raised: Exception | None = None  # by a tool: the last that the model is told of
        self._todo = iter(calls)
        self._failed = False  # a call has: no lane begins another one
        self._width = min(setup.lanes or len(calls), len(calls))

    # ------------------------------------------------------------- lanes

    def open_calls(self) -> Iterator[Any]:
        """The calls that no lane has begun, one by one, until one has failed."""
        for call in self._todo:
            if self._failed:
                return
            yield call

    def stop(self) -> None:
        """A call has failed, or nobody wants the answers any more."""
        self._failed = True

    def _branches(self, run: Run) -> list[Branch]:
        return [Branch(None, _same, _Lane(self, run)) for _ in range(self._width)]

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        if self._width == 1:
            return self.lane(run)
        return _sync_fan.fan_out(self, self._branches(run), Once(None), _around(run))

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        if self._width == 1:
            return self.alane(run)
        return _async_fan.fan_out(self, self._branches(run), Once(None), _around(run))

    def lane(self, run: Run) -> Iterator[Any]:
        """Makes one call after the other, as long as there are any."""
        try:
            for call in self.open_calls():
                if self.reports:
                    yield from self._reported(call, run)
                else:
                    yield self._answered(call, run)
        except BaseException:
            self.stop()
            raise

    async def alane(self, run: Run) -> AsyncGenerator[Any, None]:
        """`lane`, async. A call of which only the answer is wanted makes no stream: an event loop
        takes 4 µs for one."""
        try:
            for call in self.open_calls():
                if self.reports:
                    async with aclosing(self._areported(call, run)) as stream:
                        async for item in stream:
                            yield item
                else:
                    yield await self._aanswered(call, run)
        except BaseException:
            self.stop()
            raise

    def _value(self, value: Any, run: Run, kw: Kwargs) -> list[Any]:
        return list(self._open(None, run, kw))

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> list[Any]:
        if self._width == 1 and not self.reports:
            return [await self._aanswered(call, run) for call in self._todo]
        async with aclosing(cast(AsyncGenerator[Any, None], self._aopen(None, run, kw))) as stream:
            return [each async for each in stream]

    # ------------------------------------------------------------- one call

    def _reported(self, call: Any, run: Run) -> Iterator[Any]:
        """What the tool reports, as it comes; then the answer, kept. A user's function around the
        call works aside meanwhile, as only what it puts can be streamed."""
        if self.setup.wrap is None:
            return self._streamed(call, run)
        return aside(lambda put: self._answered(call, run, put))

    def _areported(self, call: Any, run: Run) -> AsyncGenerator[Any, None]:
        """`_reported`, async."""
        if self.setup.wrap is None:
            return self._astreamed(call, run)
        return aaside(lambda put: self._aanswered(call, run, put))

    def _streamed(self, call: Any, run: Run) -> Iterator[Any]:
        """A call that nobody's function is around, as a stream."""
        with _Making(self, call, run) as making:
            made = self._wrong(call)
            if made is None:
                for made in self._steps(call, making.below):
                    if type(made) is Progress:
                        yield made
            making.answer = self._checked(call, made)
        if self.thread is not None:
            self.thread.append([making.answer])
        yield self._kept(making)

    async def _astreamed(self, call: Any, run: Run) -> AsyncGenerator[Any, None]:
        """`_streamed`, async."""
        async with _Making(self, call, run) as making:
            made = self._wrong(call)
            if made is None:
                async for made in self._asteps(call, making.below):
                    if type(made) is Progress:
                        yield made
            making.answer = self._checked(call, made)
        if self.thread is not None:
            await self.thread.aappend([making.answer])
        yield self._kept(making)

    def _answered(self, call: Any, run: Run, put: Put | None = None) -> ToolMessage:
        """The answer, kept. `put`: gets what the tool reports, where that is wanted."""
        with _Making(self, call, run) as making:
            if self.setup.wrap is None:
                made = self._made(call, making.below, put)
            else:
                made = self._hooked(call, run, making.below, put)
            making.answer = self._checked(call, made)
        if self.thread is not None:
            self.thread.append([making.answer])
        return self._kept(making)

    async def _aanswered(self, call: Any, run: Run, put: APut | None = None) -> ToolMessage:
        """`_answered`, async."""
        async with _Making(self, call, run) as making:
            if self.setup.wrap is None:
                made = await self._amade(call, making.below, put)
            else:
                made = await self._ahooked(call, run, making.below, put)
            making.answer = self._checked(call, made)
        if self.thread is not None:
            await self.thread.aappend([making.answer])
        return self._kept(making)

    def _hooked(self, call: Any, run: Run, below: Run, put: Put | None) -> Any:
        """What comes of a call by way of the user's functions."""

        def run_tool(call: Any) -> Any:
            return self._made(call, below, put)

        wrap: Any = self.setup.wrap
        return run.call(wrap, call, run_tool)

    async def _ahooked(self, call: Any, run: Run, below: Run, put: APut | None) -> Any:
        """`_hooked`, async. A plain function works in a thread, and the tool with it."""
        wrap: Any = self.setup.wrap
        if not wrap.awaited:
            inside = None if put is None else from_thread(put)
            return await _in_thread(partial(self._hooked, call, run, below, inside))

        async def run_tool(call: Any) -> Any:
            return await self._amade(call, below, put)

        return await run.acall(wrap, call, run_tool)

    def _made(self, call: Any, below: Run, put: Put | None) -> Any:
        """What comes of a call, from the tool itself."""
        made: Any = self._wrong(call)
        if made is not None:
            return made
        if put is None:
            return _sync.value_step(self.setup.tools[call["name"]], call, below)
        for made in self._steps(call, below):
            if type(made) is Progress:
                put(made)
        return made

    async def _amade(self, call: Any, below: Run, put: APut | None) -> Any:
        """`_made`, async."""
        made: Any = self._wrong(call)
        if made is not None:
            return made
        if put is None:
            return await _async.value_step(self.setup.tools[call["name"]], call, below)
        async for made in self._asteps(call, below):
            if type(made) is Progress:
                await put(made)
        return made

    def _steps(self, call: Any, below: Run) -> Iterator[Any]:
        """What the tool reports; the last is its answer."""
        tool = self.setup.tools[call["name"]]
        return _sync.open_step(tool.reporting(), Once(call), below)

    def _asteps(self, call: Any, below: Run) -> AsyncIterator[Any]:
        """`_steps`, async."""
        tool = self.setup.tools[call["name"]]
        return _async.open_step(tool.reporting(), Once(call), below)

    def _kept(self, making: _Making) -> ToolMessage:
        answer: ToolMessage = making.answer
        self.answers.append(answer)
        self.raised = making.raised or self.raised
        return answer

    async def keep_carried(self, call: Any, error: BaseException | None) -> None:
        """A call in a thread that was cancelled and has come to its end has an answer: it is not to
        be made again by who goes on in the thread."""
        answer = carried(error)
        if answer is None or error is None or self.thread is None:
            return
        try:
            await self.thread.aappend([self._checked(call, answer)])
        except Exception as failure:
            error.add_note(f"The answer of call {call['id']!r} was not kept: {failure}")

    # ------------------------------------------------------------- what goes wrong

    def _wrong(self, call: Any) -> ToolMessage | None:
        """What there is to say of a call before it is made."""
        tools = self.setup.tools
        if call["name"] not in tools:
            known = f"The tools are: {', '.join(map(repr, tools))}." if tools else "There are none."
            text = f"There is no tool {call['name']!r}. {known}"
            return mistake(call, "unknown_tool", text)
        if not isinstance(call["args"], dict):
            why = f" ({call['error']})" if call.get("error") else ""
            return mistake(
                call,
                "invalid_arguments",
                f"The arguments of this call of {call['name']!r} are no JSON object{why}: "
                f"{call['args']!r:.300}. Write them again.",
            )
        return None

    def told(self, call: Any, error: BaseException) -> ToolMessage | None:
        """What the model is told of a failure; None where it is to be raised."""
        if not isinstance(error, Exception):
            return None
        name = call["name"]
        about = _about_arguments(name, error)
        if about is not None:
            return mistake(call, "invalid_arguments", about)
        if not isinstance(error, self.setup.told):
            return None
        text = f"Tool {name!r} failed with {type(error).__name__}: {error}"
        return mistake(call, "tool_failed", text)

    def _checked(self, call: Any, answer: Any) -> ToolMessage:
        """An answer that belongs to its call."""
        if isinstance(answer, str):
            answer = ToolMessage(answer, tool_call_id=call["id"], name=call["name"])
        if not isinstance(answer, ToolMessage):
            raise InputError(
                f"A call of {call['name']!r} gave {answer!r:.200} ({type(answer).__name__}): what "
                "answers a call of an agent's is a ToolMessage, or a text."
            )
        changes: dict[str, Any] = {}
        if answer.tool_call_id != call["id"]:
            changes["tool_call_id"] = call["id"]  # else the call would never be answered
        if answer.id is None:
            changes["id"] = fresh_id()
        checked: ToolMessage = answer.model_copy(update=changes) if changes else answer
        if self.thread is not None and type(checked.content) is not str:
            row_of(checked)  # what cannot be kept is a failure of this call, and no other
        return checked


class _Making:
    """Around one call: what it opens is closed, and its failure becomes an answer, or goes on."""

    __slots__ = ("_call", "_calls", "_run", "answer", "below", "raised")

    def __init__(self, calls: Calls, call: Any, run: Run) -> None:
        self._calls, self._call, self._run = calls, call, run
        self.below = run.fork()
        self.answer: Any = None
        self.raised: Exception | None = None

    def _tells(self, error: BaseException | None) -> bool:
        """Whether the call has an answer all the same."""
        if error is None:
            return True
        self.answer = self._calls.told(self._call, error)
        if self.answer is not None and isinstance(error, Exception):
            self.raised = error
        return self.answer is not None

    def __enter__(self) -> _Making:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if self._tells(error):
            _sync.close_streams(self.below, error)
            return error is not None
        _sync.abandon(error, self.below, self._run.streams)  # type: ignore[arg-type]
        return False

    async def __aenter__(self) -> _Making:
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if self._tells(error):
            await _async.close_streams(self.below, error)
            return error is not None
        await self._calls.keep_carried(self._call, error)
        await _async.abandon(error, self.below, self._run.streams)  # type: ignore[arg-type]
        return False


class _Lane(Inner, Leaf):
    """One of several, as an arm of the fan-out."""

    name = "tools"

    def __init__(self, calls: Calls, run: Run) -> None:
        self._calls, self._run = calls, run

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        return self._calls.lane(self._run)

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        return self._calls.alane(self._run)


async def _in_thread(function: Callable[[], Any]) -> Any:
    """What it gives; a cancellation that comes meanwhile carries it."""
    given: list[Any] = []
    try:
        await call_in_thread(lambda: given.append(function()))
    except BaseException as error:
        if given and not isinstance(error, Exception):
            carry(error, given[0])
        raise
    return given[0]


def _around(run: Run) -> Run:
    """For the fan-out, whose lanes are no runs of their own: the tools' runs are the step's."""
    gate = run.gate
    return Run(BARE if gate is None else Scope(max_concurrency=gate), run.streams)


def _same(item: Any) -> Any:
    return item


def _about_arguments(tool: str, error: Exception) -> str | None:
    """What to tell the model where the arguments are wrong: the tool has not run then. A body may
    raise the same classes about something else; only a tool's own check says so."""
    notes = [n for n in getattr(error, "__notes__", ()) if n.startswith(f"Tool {tool!r} has not")]
    if notes:
        return f"{notes[0]} Correct the arguments and call it again."
    if isinstance(error, ToolArgumentsError) and repr(tool) in str(error):
        return str(error)
    return None
