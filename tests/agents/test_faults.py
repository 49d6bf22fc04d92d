"""What goes wrong: in tools, in what a model writes, in loops without end."""

from __future__ import annotations

import asyncio
import pickle
import threading
from typing import Any

import pytest
from pydantic import BaseModel, Field

from agents.scripted import Scripted, call, says, transcript
from headrace.agents import AgentError, MaxErrorsError, MaxStepsError, create_agent
from headrace.agents._calls import Calls
from headrace.errors import InputError, RecursionLimitError
from headrace.language_models import FakeListChatModel, GenericFakeChatModel
from headrace.messages import AIMessage, ToolMessage
from headrace.tools import StructuredTool, ToolException, tool
from laws.colours import every_colour, sync_colours
from laws.ledger import LEDGER


@tool
def multiply(a: int, b: int = Field(2, lt=100)) -> int:
    """Multiply two numbers."""
    return a * b


@tool
def fail(why: str) -> str:
    """Fail."""
    raise ValueError(why)


def answers(state: Any) -> list[ToolMessage]:
    return [m for m in state["messages"] if isinstance(m, ToolMessage)]


# ---- what the model is told ----------------------------------------------------------------------


WRONG = {
    "unknown": (call("divide", a=1), "unknown_tool", ["'divide'", "'multiply', 'fail'"]),
    "missing": (call("multiply", b=1), "invalid_arguments", ["'multiply'", "'a'", "missing"]),
    "type": (call("multiply", a="x"), "invalid_arguments", ["argument 'a' is 'x'", "integer"]),
    "rule": (call("multiply", a=1, b=100), "invalid_arguments", ["'b'", "less than 100"]),
    "raised": (call("fail", why="no net"), "tool_failed", ["'fail'", "ValueError", "no net"]),
}  # fmt: skip


@every_colour
@pytest.mark.parametrize("wrong", WRONG)
def test_the_model_is_told_what_went_wrong(colour, wrong):
    def body(doors):
        asked, kind, words = WRONG[wrong]
        good = call("multiply", "good", a=1)
        model = Scripted(script=[says("", asked, good), says("I see.")])
        state = doors.invoke(create_agent(model, [multiply, fail]), "Go")
        told, other = answers(state)
        assert (told.status, told.response_metadata) == ("error", {"error": kind})
        assert told.tool_call_id == asked["id"] and told.name == asked["name"]
        assert all(word in told.content for word in words), told.content
        assert other.content == "2" and other.status == "success"
        assert state["messages"][-1].content == "I see."

    colour.run(body)


@every_colour
def test_arguments_that_are_no_json(colour):
    def body(doors):
        garbage = [{"name": "multiply", "args": '{"a": 6, "b"', "id": "g1", "error": None}]
        model = Scripted(script=[AIMessage("", invalid_tool_calls=garbage), says("I see.")])
        for mode in ("pieces", "messages"):
            doors.stream(create_agent(model, [multiply]).bind(stream_mode=mode), "Go")
        state = doors.invoke(create_agent(model, [multiply]), "Go")
        (told,) = answers(state)
        assert told.tool_call_id == "g1" and told.status == "error"
        assert '{"a": 6, "b"' in told.content and "no JSON object" in told.content

    colour.run(body)


WHOLE = '{"a": 6, "b": 7}'


@every_colour
@pytest.mark.parametrize("behind", ["}", " and so on", '{"a": 1, "b": 1}', "]", "", " \n"])
def test_something_behind_the_arguments(colour, behind):
    """Half of what the model has written is not what it has asked for."""

    def body(doors):
        written = [{"name": "multiply", "args": WHOLE + behind, "id": "g1", "error": None}]
        model = Scripted(script=[AIMessage("", invalid_tool_calls=written), says("I see.")])
        agent = create_agent(model, [multiply]).bind(stream_mode=["messages", "values"])
        state = doors.stream(agent, "Go")[-1][1]
        (told,) = answers(state)
        if not behind.strip():
            assert told.content == "42"
            return
        assert (told.status, told.response_metadata) == ("error", {"error": "invalid_arguments"})
        assert "end of the text" in told.content and repr(WHOLE + behind) in told.content

    colour.run(body)


@every_colour
@pytest.mark.parametrize("calls", [1, 2])
def test_a_tool_that_raises_what_closes_generators(colour, calls):
    """It is raised as it is, and nothing of the run is left."""

    def body(doors):
        def leaves(n: int) -> str:
            """Leave."""
            raise GeneratorExit("mine")

        async def aleaves(n: int) -> str:
            """Leave."""
            raise GeneratorExit("mine")

        script = [says("", *[call("leaves", f"c{n}", n=n) for n in range(calls)]), says("Done.")]
        kinds = [StructuredTool.from_function(leaves)]
        if doors.asynchronous:
            kinds.append(StructuredTool.from_function(coroutine=aleaves, name="leaves"))
        for made in kinds:
            agent = create_agent(Scripted(script=script), [made])
            with pytest.raises(GeneratorExit, match="mine"):
                doors.invoke(agent, "Go")
            with pytest.raises(GeneratorExit, match="mine"):
                doors.stream(agent, "Go")

    colour.run(body)


def test_a_body_that_raises_about_arguments_of_others_has_failed():
    class Inner(BaseModel):
        x: int

    @tool
    def checks(a: int) -> str:
        """Check something else."""
        Inner(x="no")  # type: ignore[arg-type]
        return "never"

    @tool
    def calls(a: int) -> str:
        """Call another tool."""
        return str(multiply.invoke({"a": "no"}))

    @tool
    def calls_by_schema(a: int) -> str:
        """Call another tool."""
        return str(by_schema.invoke({"a": "no"}))

    schema = {"title": "x", "type": "object", "properties": {"a": {"type": "integer"}}}
    by_schema = StructuredTool(
        name="by_schema", description="x", args_schema=schema, func=lambda a: a
    )
    for each in (checks, calls, calls_by_schema):
        model = Scripted(script=[says("", call(each.name, a=1)), says("I see.")])
        (told,) = answers(create_agent(model, [each]).invoke("Go"))
        assert told.response_metadata == {"error": "tool_failed"}
        with pytest.raises(ValueError):
            create_agent(model, [each], on_error="raise").invoke("Go")
    model = Scripted(script=[says("", call("by_schema", a="no")), says("I see.")])
    (told,) = answers(create_agent(model, [by_schema], on_error="raise").invoke("Go"))
    assert told.response_metadata == {"error": "invalid_arguments"}


def test_what_a_tool_answers_for_itself_is_no_mistake():
    @tool(handle_tool_error=True)
    def search(what: str) -> str:
        """Search."""
        raise ToolException(f"no {what}")

    script = [says("", call("search", f"s{n}", what="x")) for n in range(9)]
    state = create_agent(Scripted(script=[*script, says("None.")]), [search]).invoke("Go")
    assert {m.content for m in answers(state)} == {"no x"}
    assert {m.status for m in answers(state)} == {"error"}


def test_a_tool_may_not_answer_another_call():
    @tool
    def answer(x: int) -> ToolMessage:
        """Answer."""
        return ToolMessage("here", tool_call_id="another")

    model = Scripted(script=[says("", call("answer", "a1", x=1)), says("Done.")])
    (told,) = answers(create_agent(model, [answer]).invoke("Go"))
    assert (told.tool_call_id, told.content) == ("a1", "here")


# ---- bounds --------------------------------------------------------------------------------------


@every_colour
def test_mistakes_are_told_so_often_and_no_more(colour):
    def body(doors):
        wrong = [says("", call("fail", f"f{n}", why=f"{n}")) for n in range(9)]
        model = Scripted(script=wrong)
        agent = create_agent(model, [fail], max_errors=2)
        with pytest.raises(MaxErrorsError, match="2 times in a row") as raised:
            doors.invoke(agent, "Go")
        assert len(model.asked) == 3
        assert transcript({"messages": raised.value.messages})[-1][1].endswith("ValueError: 2")
        assert isinstance(raised.value.__cause__, ValueError)
        with pytest.raises(MaxErrorsError):
            doors.stream(agent, "Go")

    colour.run(body)


def test_a_good_answer_starts_the_count_again():
    wrong, good = says("", call("fail", why="x")), says("", call("multiply", a=1))
    script = [wrong, wrong, good, wrong, wrong, says("Done.")]
    script = [line.model_copy() for line in script]
    state = create_agent(Scripted(script=script), [multiply, fail], max_errors=2).invoke("Go")
    assert state["messages"][-1].content == "Done."
    mixed = [says("", call("fail", f"f{n}", why="x"), call("multiply", f"m{n}", a=1))
             for n in range(5)]  # fmt: skip
    agent = create_agent(Scripted(script=[*mixed, says("Done.")]), [multiply, fail], max_errors=0)
    assert agent.invoke("Go")["messages"][-1].content == "Done."


@every_colour
def test_max_steps(colour):
    def body(doors):
        script = [says("", call("multiply", f"m{n}", a=n)) for n in range(9)]
        model = Scripted(script=script)
        agent = create_agent(model, [multiply], max_steps=3)
        for ask in (doors.invoke, doors.stream):
            model.asked.clear()
            with pytest.raises(MaxStepsError, match="asked 3 times") as raised:
                ask(agent, "Go")
            assert len(model.asked) == 3
            assert isinstance(raised.value, (AgentError, RecursionLimitError))
            assert [m.content for m in raised.value.messages if m.type == "tool"] == ["0", "2", "4"]
            again = pickle.loads(pickle.dumps(raised.value))
            assert again.messages == raised.value.messages and str(again) == str(raised.value)
        model.script[3] = says("Done.")
        assert doors.invoke(create_agent(model, [multiply], max_steps=4), "Go")

    colour.run(body)


# ---- raised --------------------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("on_error", ["raise", KeyError, (KeyError, OSError)], ids=str)
def test_what_is_not_told_is_raised_as_it_is(colour, on_error):
    def body(doors):
        error = ValueError("mine")

        @tool
        def broken(x: int) -> str:
            """Break."""
            raise error

        model = Scripted(script=[says("", call("broken", x=1), call("multiply", a=2)), says("")])
        agent = create_agent(model, [broken, multiply], on_error=on_error, name="calc")
        for ask in (doors.invoke, doors.stream):
            error.__notes__ = []
            with pytest.raises(ValueError, match="mine") as raised:
                ask(agent, "Go")
            assert raised.value is error
            assert error.__notes__ == ["In step calc/broken"]

    colour.run(body)


def test_chosen_exceptions_are_told():
    model = Scripted(script=[says("", call("fail", why="x")), says("I see.")])
    for chosen in (ValueError, (KeyError, ValueError), Exception):
        state = create_agent(model, [fail], on_error=chosen).invoke("Go")
        assert answers(state)[0].response_metadata == {"error": "tool_failed"}


@every_colour
def test_wrong_arguments_are_told_whatever_is_raised(colour):
    def body(doors):
        model = Scripted(script=[says("", call("multiply", a="x")), says("I see.")])
        state = doors.invoke(create_agent(model, [multiply], on_error="raise"), "Go")
        assert answers(state)[0].response_metadata == {"error": "invalid_arguments"}

    colour.run(body)


async def test_the_first_failure_cancels_the_others_and_awaits_them():
    hang_on = asyncio.Barrier(3)
    ended: list[str] = []

    @tool
    async def hang() -> str:
        """Hang."""
        try:
            await hang_on.wait()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("hang")
        return "never"

    @tool
    async def broken() -> str:
        """Break."""
        await hang_on.wait()
        raise ValueError("first")

    script = [says("", call("hang", "h1"), call("broken", "b1"), call("hang", "h2"))]
    agent = create_agent(Scripted(script=script), [hang, broken], on_error="raise")
    with pytest.raises(ValueError, match="first"):
        await agent.ainvoke("Go")
    assert ended == ["hang", "hang"]
    with pytest.raises(ValueError, match="first"):
        async for _ in agent.astream("Go"):
            pass
    assert ended == ["hang"] * 4


@sync_colours
def test_in_threads_the_others_end_and_nothing_more_begins(colour, monkeypatch):
    begun, failed = threading.Event(), threading.Event()
    made: list[int] = []
    stop = Calls.stop

    def stopped(calls: Any) -> None:
        stop(calls)
        failed.set()

    monkeypatch.setattr(Calls, "stop", stopped)

    @tool
    def slow(n: int) -> str:
        """Go on until the other one has failed."""
        begun.set()
        assert failed.wait(5)
        made.append(n)
        return "slow"

    @tool
    def broken() -> str:
        """Break."""
        assert begun.wait(5)
        raise ValueError("first")

    def body(doors):
        script = [says("", call("slow", "s1", n=1), call("broken"), call("slow", "s2", n=2))]
        agent = create_agent(
            Scripted(script=script), [slow, broken], on_error="raise", max_concurrency=2
        )
        for ask in (doors.invoke, doors.stream):
            begun.clear(), failed.clear(), made.clear()
            with pytest.raises(ValueError, match="first"):
                ask(agent, "Go")
            assert made == [1]  # awaited

    colour.run(body)


async def test_cancelling_is_never_told():
    hangs = asyncio.Event()
    ended: list[str] = []

    @tool
    async def hang() -> str:
        """Hang."""
        try:
            hangs.set()
            await asyncio.Event().wait()
        finally:
            ended.append("hang")
        return "never"

    agent = create_agent(Scripted(script=[says("", call("hang", "1"), call("hang", "2"))]), [hang])
    task = asyncio.create_task(agent.ainvoke("Go"))
    await hangs.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["hang", "hang"]


def test_an_interrupt_is_never_told():
    @tool
    def stop() -> str:
        """Stop."""
        raise KeyboardInterrupt

    agent = create_agent(Scripted(script=[says("", call("stop"))]), [stop])
    with pytest.raises(KeyboardInterrupt):
        agent.invoke("Go")


@every_colour
def test_what_the_model_raises_is_raised(colour):
    def body(doors):
        model = Scripted(script=[says("", call("multiply", a=1))])  # then an IndexError
        for mode in ("updates", "messages"):
            with pytest.raises(IndexError) as raised:
                doors.stream(create_agent(model, [multiply]).bind(stream_mode=mode), "Go")
            assert raised.value.__notes__ == ["In step Agent/model:Scripted"]

    colour.run(body)


def test_a_model_that_gives_no_message():
    from headrace.runnables import RunnableLambda

    with pytest.raises(InputError, match="gives an AIMessage"):
        create_agent(RunnableLambda(lambda _: 3)).invoke("Go")


def test_models_that_do_not_stream_or_have_one_answer():
    said = create_agent(FakeListChatModel(responses=["Hi."])).invoke("Go")
    assert said["messages"][-1].content == "Hi."
    model = GenericFakeChatModel(messages=iter([says("a", call("multiply", a=1)), "b"]))
    assert create_agent(model, [multiply]).invoke("Go")["messages"][-1].content == "b"


@every_colour
def test_models_in_policies(colour):
    """A retry, a time limit, a breaker or a fallback around the model."""

    def body(doors):
        script = [says("", call("multiply", a=1)), says("Done.")]
        for around in (
            lambda m: m.with_retry(),
            lambda m: m.with_timeout(total=9).with_retry(),
            lambda m: m.with_circuit_breaker(),
            lambda m: m.with_fallbacks([m]),
            lambda m: m.with_config(tags=["x"]),
        ):
            model = Scripted(script=script)
            agent = create_agent(around(model), [multiply])
            for ask in (doors.invoke, doors.stream):
                ask(agent, "Go")
            doors.stream(agent.bind(stream_mode="messages"), "Go")
            assert len(model.asked) == 6
            assert [t["function"]["name"] for t in model.asked[-1][1]["tools"]] == ["multiply"]

    colour.run(body)


# ---- left ----------------------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("calls", ["a", "ab"], ids=["one-call", "two-calls"])
@pytest.mark.parametrize("mode", ["updates", "messages", "custom", "pieces", "values"])
def test_closing_at_any_chunk_leaves_nothing(colour, mode, calls):
    def body(doors):
        @tool
        def reports(n: int):
            """Report."""
            with LEDGER.body("reports"):
                yield from range(n)

        script = [says("Hm.", *(call("reports", x, n=3) for x in calls)), says("Done.")]
        agent = create_agent(Scripted(script=script), [reports]).bind(stream_mode=mode)
        count = len(doors.stream(agent, "Go"))
        assert count > 2
        for at in range(count + 1):
            stream = doors.open(agent, "Go")
            for _ in range(at):
                stream.next()
            stream.close()
            assert not LEDGER.still_open

    colour.run(body)


@every_colour
def test_closing_when_lanes_are_far_ahead(colour):
    """Further than their reader lets them: they wait in the middle of a report."""

    def body(doors):
        @tool
        def reports(n: int):
            """Report."""
            with LEDGER.body("reports"):
                yield from range(n)

        script = [says("", *(call("reports", x, n=90) for x in "ab")), says("Done.")]
        agent = create_agent(Scripted(script=script), [reports]).bind(stream_mode="custom")
        assert len(doors.stream(agent, "Go")) == 180
        stream = doors.open(agent, "Go")
        stream.next()
        stream.close()
        assert not LEDGER.still_open

    colour.run(body)
