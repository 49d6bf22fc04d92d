"""A tool in events and handlers: one run, its arguments, the id of its call, children inside."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from langchain_core import runnables as lc_runnables
from langchain_core import tools as lc_tools
from pydantic import ValidationError

from agents.scripted import Scripted, says
from agents.scripted import call as called
from headrace import runnables
from headrace import tools as ours
from headrace.agents import create_agent
from headrace.callbacks import BaseCallbackHandler, RunCancelledError
from headrace.events import RunChunk, RunEnded, RunFailed, RunStarted
from headrace.runnables import RunnableLambda, RunnableParallel
from headrace.tools import BaseTool, StructuredTool, tool
from laws.colours import ASYNC, both_drivers, every_colour

CALL = {"type": "tool_call", "id": "c7", "name": "outer", "args": {"a": 1}}


class Log:
    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_event(self, event: Any) -> None:
        self.events.append(event)

    @property
    def starts(self) -> dict[str, list[str]]:
        """Each run's name with the names above it, outermost first."""
        names = {e.run.id: e.run.name for e in self.events if isinstance(e, RunStarted)}
        return {
            e.run.name: [names[above] for above in e.run.parent_ids]
            for e in self.events
            if isinstance(e, RunStarted)
        }


inc = RunnableLambda(lambda x: x + 1).with_config(run_name="inc")


@tool
def outer(a: int) -> int:
    """Calls others, with nothing passed by hand."""
    total = inc.invoke(a)
    for chunk in inc.with_config(run_name="streamed").stream(a):
        total += chunk
    total += sum(RunnableParallel(x=inc.with_config(run_name="branch")).invoke(a).values())
    return total + inner.invoke({"a": a})


@tool
async def aouter(a: int) -> int:
    """Calls others, with nothing passed by hand."""
    total = await inc.ainvoke(a)
    async for chunk in inc.with_config(run_name="streamed").astream(a):
        total += chunk
    given = await RunnableParallel(x=inc.with_config(run_name="branch")).ainvoke(a)
    return total + sum(given.values()) + await inner.ainvoke({"a": a})


@tool
def inner(a: int) -> int:
    """A tool in a tool."""
    return inc.with_config(run_name="innermost").invoke(a)


@every_colour
@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("body", ["sync", "async"])
def test_what_the_body_invokes_is_a_child(colour, chained, body):
    made = (outer if body == "sync" else aouter).with_config(run_name="the tool")
    if body == "async" and colour is not ASYNC:
        return
    runnable = RunnableLambda(lambda x: x).with_config(run_name="first") | made if chained else made
    above = ["RunnableSequence"] if chained else []

    def run(doors):
        for call in (doors.invoke, lambda *given: doors.stream(*given)[0]):
            log = Log()
            assert call(runnable, {"a": 1}, {"callbacks": [log]}) == 8
            starts = log.starts
            assert starts["the tool"] == above
            for name in ("inc", "streamed", "RunnableParallel<x>", "inner"):
                assert starts[name] == [*above, "the tool"], name
            assert starts["branch"] == [*above, "the tool", "RunnableParallel<x>"]
            assert starts["innermost"] == [*above, "the tool", "inner"]
            ended = [e.run.id for e in log.events if isinstance(e, RunEnded)]
            assert sorted(ended, key=str) == sorted(
                (e.run.id for e in log.events if isinstance(e, RunStarted)), key=str
            )

    colour.run(run)


@every_colour
def test_a_tools_own_events(colour):
    class Own(BaseTool):
        name: str = "own"
        description: str = "d"

        def _run(self, a: int) -> int:
            return a

    def run(doors):
        log, made = Log(), Own(tags=["mine"], metadata={"k": 1})
        assert doors.stream(made, {"a": 1}, {"callbacks": [log], "tags": ["call"]}) == [1]
        assert [type(e) for e in log.events] == [RunStarted, RunChunk, RunEnded]
        start, _, end = log.events
        assert (start.run.run_type, start.run.name) == ("tool", "own")
        assert set(start.run.all_tags) == {"mine", "call"}
        assert start.run.metadata["k"] == 1
        assert (start.input, end.input, end.output) == ({"a": 1}, {"a": 1}, 1)

    colour.run(run)


@every_colour
def test_handlers_of_the_tool_itself_hear_it_and_what_is_below(colour):
    log = Log()
    made = StructuredTool.from_function(
        lambda a: inc.invoke(a), name="loud", description="d", callbacks=[log]
    )

    def run(doors):
        log.events.clear()
        assert doors.invoke(made | RunnableLambda(str), {"a": 1}) == "2"
        assert log.starts == {"loud": [], "inc": ["loud"]}

    colour.run(run)


@every_colour
def test_invalid_arguments_are_a_failed_run(colour):
    def run(doors):
        log = Log()
        with pytest.raises(ValidationError) as caught:
            doors.invoke(inner, {**CALL, "args": {}}, {"callbacks": [log]})
        assert [type(e) for e in log.events] == [RunStarted, RunFailed]
        assert log.events[1].error is caught.value

    colour.run(run)


class Hooks(BaseCallbackHandler):
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def on_tool_start(self, serialized, input_str, *, inputs, tool_call_id, **kwargs):
        self.calls.append(("start", serialized["name"], input_str, inputs, tool_call_id))

    def on_tool_end(self, output, **kwargs):
        self.calls.append(("end", output))

    def on_tool_error(self, error, *, tool_call_id=None, **kwargs):
        self.calls.append(("error", type(error).__name__, tool_call_id))


class Errors(BaseCallbackHandler):
    """Hears nothing of the start."""

    def __init__(self) -> None:
        self.ids: list[Any] = []

    def on_tool_error(self, error, *, tool_call_id=None, **kwargs):
        self.ids.append(tool_call_id)


@every_colour
def test_hooks_get_the_arguments_and_the_id_of_the_call(colour):
    def run(doors):
        hooks, errors = Hooks(), Errors()
        given = {"callbacks": [hooks, errors]}
        silent = {**CALL, "args": {"a": "x"}}
        assert doors.invoke(inner, "1", given) == 2
        answer = doors.invoke(inner.with_config(tags=["t"]), CALL, given)
        with pytest.raises(ValidationError):
            doors.invoke(inner, silent, given)
        with pytest.raises(ValidationError):
            doors.invoke(inner, {}, given)
        assert hooks.calls == [
            ("start", "inner", "1", None, None),
            ("end", 2),
            ("start", "inner", "{'a': 1}", {"a": 1}, "c7"),
            ("end", answer),
            ("start", "inner", "{'a': 'x'}", {"a": "x"}, "c7"),
            ("error", "ValidationError", "c7"),
            ("start", "inner", "{}", {}, None),
            ("error", "ValidationError", None),
        ]
        assert errors.ids == ["c7", None]

    colour.run(run)


# ---- the v2 dicts, as langchain-core tells them -------------------------------------------------


def built(runnables_module: Any, tools_module: Any) -> dict[str, Any]:
    named = runnables_module.RunnableLambda

    @tools_module.tool
    def add(a: int, b: int = 2) -> int:
        """Add."""
        return named(lambda x: x + b, name="child").invoke(a)

    @tools_module.tool
    async def aadd(a: int, b: int = 2) -> int:
        """Add."""
        return await named(lambda x: x + b, name="child").ainvoke(a)

    @tools_module.tool
    def fail(a: int) -> int:
        """Fail."""
        raise ValueError("no")

    first = named(lambda x: x, name="first")
    alone = {"add": add, "aadd": aadd, "fail": fail}
    return {**alone, **{f"chained {name}": first | step for name, step in alone.items()}}


async def told(runnable: Any, value: Any) -> list[Any]:
    """Each event of tools and of what is inside them; a failure ends them."""
    seen = []
    with suppress(ValueError):
        async for e in runnable.astream_events(value, version="v2"):
            if e["event"].startswith("on_tool") or e["name"] == "child":
                data = {key: plain(each) for key, each in e["data"].items()}
                seen.append((e["event"], e["name"], len(e["parent_ids"]), data))
    return seen


def plain(value: Any) -> Any:
    if isinstance(value, ValueError):
        return repr(value)
    return (value.content, value.tool_call_id) if hasattr(value, "tool_call_id") else value


@pytest.mark.parametrize("value", [{"a": 1}, CALL], ids=["dict", "call"])
@pytest.mark.parametrize("name", list(built(runnables, ours)))
async def test_event_dicts(name, value):
    theirs = await told(built(lc_runnables, lc_tools)[name], value)
    assert await told(built(runnables, ours)[name], value) == theirs
    assert any(event.startswith("on_tool") for event, *_ in theirs)


@both_drivers
def test_event_dicts_in_both_drivers(colour):
    chain = built(runnables, ours)["chained fail"]

    def run(doors):
        if colour is ASYNC:
            return doors.wait(told(chain, CALL))[-1]
        last = None
        with pytest.raises(ValueError, match="no"):
            for event in chain.stream_events(CALL):
                last = (event["event"], event["name"], 1, event["data"])
        return last

    event, name, _, data = colour.run(run)
    assert (event, name) == ("on_tool_error", "fail")
    assert (data["input"], data["tool_call_id"]) == ({"a": 1}, "c7")


class EndOfDayError(BaseException):
    """Of a user's own: nothing that is to be handled."""


class Ends(BaseCallbackHandler):
    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def on_tool_error(self, error: BaseException, **kwargs: Any) -> None:
        self.errors.append(error)


@both_drivers
@pytest.mark.parametrize("reports", [False, True], ids=["plain", "reports"])
@pytest.mark.parametrize(
    "kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, EndOfDayError]
)
def test_hooks_are_told_what_a_body_has_ended_by(colour, kind, reports):
    raised = kind("over")

    def body(doors):
        @tool
        def stops() -> str:
            """End the program."""
            raise raised

        @tool
        def reports_and_stops():
            """Report, and end the program."""
            yield "so far"
            raise raised

        ends = Ends()
        made = reports_and_stops if reports else stops
        with pytest.raises(kind) as caught:
            doors.invoke(made, {}, {"callbacks": [ends]})
        assert caught.value is raised and ends.errors == [raised]

    colour.run(body)


async def test_hooks_of_a_tool_are_told_of_a_cancellation():
    begun = asyncio.Event()

    @tool
    async def waits() -> None:
        """Wait for ever."""
        begun.set()
        await asyncio.Event().wait()

    ends = Ends()
    task = asyncio.create_task(waits.ainvoke({}, {"callbacks": [ends]}))
    await begun.wait()
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [type(error) for error in ends.errors] == [asyncio.CancelledError]
    assert ends.errors[0].args == ("enough",)


@both_drivers
def test_hooks_of_a_tool_whose_reader_has_left(colour):
    def body(doors):
        @tool
        def counts():
            """Count."""
            yield from range(100)

        ends = Ends()
        script = [says("", called("counts", "c1")), says("Done.")]
        agent = create_agent(Scripted(script=script), [counts]).bind(stream_mode="custom")
        stream = doors.open(agent, "Go", {"callbacks": [ends]})
        stream.next()
        stream.close()
        assert [type(error) for error in ends.errors] == [RunCancelledError]

    colour.run(body)
