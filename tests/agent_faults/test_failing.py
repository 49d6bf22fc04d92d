"""Tools that raise, next to siblings under way: who is told, who is cancelled, who is awaited.

Order is made by gates that the bodies open for each other, never by time.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from agent_faults.doors import ASK, DOORS
from agent_faults.scripted_model import Say, Script, ScriptedModel, call
from agent_faults.toolbox import KINDS, made
from headrace.agents import MaxErrorsError, MaxStepsError, create_agent
from headrace.errors import HeadraceError
from headrace.tools import BaseTool, StructuredTool, ToolException
from laws.colours import every_colour
from laws.ledger import LEDGER

every_kind = pytest.mark.parametrize("kind", KINDS)
every_door = pytest.mark.parametrize("door", DOORS)
LIMIT = 5.0  # seconds until a gate that nobody opens fails the test


class Boom(Exception):
    """What a tool of these tests raises."""


class Stop(BaseException):
    """What is no `Exception`, and so is nobody's to tell a model of."""


def model(*said: Say) -> ScriptedModel:
    return ScriptedModel(script=Script(*said))


def raising(error: BaseException) -> Any:
    def act(x: int) -> str:
        raise error

    return act


def in_contents(state: Any) -> list[Any]:
    return [message.content for message in state["messages"]]


# ---- on_error="raise" --------------------------------------------------------------------------


@every_colour
@every_kind
@every_door
def test_raise_gives_the_same_object_through_every_door(colour, kind, door):
    error = Boom("it broke")
    asked = Say("", calls=[call("bad", {"x": 1}, "c1"), call("good", {"x": 2}, "c2")])
    tools = [made(kind, "bad", raising(error)), made(kind, "good", str)]
    agent = create_agent(model(asked, Say("Never said.")), tools, on_error="raise")

    def body(doors):
        with pytest.raises(Boom) as caught:
            DOORS[door](doors, agent, ASK)
        return caught.value

    assert colour.run(body) is error


@every_colour
@every_kind
@pytest.mark.parametrize("error", [KeyboardInterrupt("^C"), Stop("stop"), SystemExit(3)], ids=repr)
def test_what_is_no_exception_is_never_told_to_the_model(colour, kind, error):
    asked = Say("", calls=[call("bad", {"x": 1}, "c1"), call("good", {"x": 2}, "c2")])
    script = Script(asked, Say("Never said."))
    tools = [made(kind, "bad", raising(error)), made(kind, "good", str)]
    agent = create_agent(ScriptedModel(script=script), tools)
    if colour.asynchronous and not isinstance(error, Stop):
        pytest_async_exit(colour, agent, error)
    else:

        def body(doors):
            with pytest.raises(type(error)) as caught:
                doors.invoke(agent, ASK)
            return caught.value

        assert colour.run(body) is error
    assert len(script.asked) == 1


def pytest_async_exit(colour: Any, agent: Any, error: BaseException) -> None:
    """asyncio lets KeyboardInterrupt and SystemExit of a task through its loop at once."""
    with pytest.raises(type(error)):
        colour.run(lambda doors: doors.invoke(agent, ASK))


@every_colour
@every_kind
def test_a_tool_that_is_cancelled_is_no_mistake(colour, kind):
    """`CancelledError` out of a body ends the run; the model hears nothing of it."""
    asked = Say("", calls=[call("bad", {"x": 1}, "c1"), call("good", {"x": 2}, "c2")])
    script = Script(asked, Say("Never said."))
    tools = [made(kind, "bad", raising(asyncio.CancelledError())), made(kind, "good", str)]
    agent = create_agent(ScriptedModel(script=script), tools)

    def body(doors):
        with pytest.raises(asyncio.CancelledError):
            doors.invoke(agent, ASK)

    colour.run(body)
    assert len(script.asked) == 1


class Gate:
    """Opened by one body, waited for by another, in threads and in tasks alike."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def wait(self) -> None:
        assert self._open.wait(LIMIT), "nobody opened the gate"

    async def await_(self) -> None:
        for _ in range(100_000):
            if self._open.is_set():
                return
            await asyncio.sleep(0)
        raise AssertionError("nobody opened the gate")


@every_colour
@pytest.mark.parametrize("shape", ["function", "generator"])
def test_the_siblings_are_cancelled_and_awaited_when_the_first_one_raises(colour, shape):
    """The sibling is under way when `bad` raises. Async code is cancelled where it waits; a
    generator in a thread is closed at its next yield; a function in a thread is awaited."""
    begun, broken, log = Gate(), Gate(), []

    class Bad(Exception):
        pass

    def bad() -> str:
        """Fails when the other has begun."""
        begun.wait()
        broken.open()
        raise Bad("first")

    async def abad() -> str:
        """Fails when the other has begun."""
        await begun.await_()
        broken.open()
        raise Bad("first")

    def slow() -> Any:
        """Is under way."""
        with LEDGER.body("slow"):
            begun.open()
            broken.wait()
            log.append("left")
            return "late"

    async def aslow() -> Any:
        """Is under way."""
        with LEDGER.body("slow"):
            begun.open()
            try:
                await asyncio.get_running_loop().create_future()  # for ever
            finally:
                await asyncio.sleep(0)  # a clean-up that takes a while is awaited
                log.append("left")

    def slow_reports() -> Any:
        """Is under way."""
        with LEDGER.body("slow"):
            try:
                begun.open()
                broken.wait()
                yield from range(10_000)
            finally:
                log.append("left")

    async def aslow_reports() -> Any:
        """Is under way."""
        with LEDGER.body("slow"):
            try:
                begun.open()
                yield "begun"
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.sleep(0)
                log.append("left")

    class Reports(BaseTool):
        name: str = "slow"
        description: str = "Is under way."

        def _run(self) -> Any:
            yield from slow_reports()

        async def _arun(self) -> Any:
            agen = aslow_reports()
            try:
                async for item in agen:
                    yield item
            finally:
                await agen.aclose()

    other = (
        StructuredTool.from_function(slow, aslow, name="slow") if shape == "function" else Reports()
    )
    tools = [StructuredTool.from_function(bad, abad, name="bad"), other]
    asked = Say("", calls=[call("slow", {}, "c1"), call("bad", {}, "c2")])
    agent = create_agent(model(asked, Say("Never said.")), tools, on_error="raise")

    def body(doors):
        with pytest.raises(Bad, match="first"):
            doors.invoke(agent, ASK)
        assert log == ["left"], "the sibling had not ended when the error came"

    colour.run(body)


@every_colour
@pytest.mark.parametrize("bound", [1, 2])
def test_what_waited_for_its_turn_is_not_begun_after_an_error(colour, bound):
    begun: list[int] = []

    def act(x: int) -> str:
        begun.append(x)
        raise Boom(str(x))

    asked = Say("", calls=[call("bad", {"x": x}, f"c{x}") for x in range(8)])
    agent = create_agent(
        model(asked, Say("Never said.")),
        [made("async", "bad", act)],
        on_error="raise",
        max_concurrency=bound,
    )

    def body(doors):
        with pytest.raises(Boom):
            doors.invoke(agent, ASK)
        assert len(begun) <= bound, begun

    colour.run(body)


@every_colour
@every_kind
def test_on_error_classes_tell_these_and_raise_others(colour, kind):
    def act(x: int) -> str:
        raise KeyError("told") if x == 1 else Boom("raised")

    def agent():
        said = (
            Say("", calls=[call("bad", {"x": 1}, "c1")]),
            Say("", calls=[call("bad", {"x": 2}, "c2")]),
        )
        return create_agent(model(*said), [made(kind, "bad", act)], on_error=(LookupError,))

    def body(doors):
        shown_ = []
        stream = doors.open(agent(), ASK)
        with pytest.raises(Boom, match="raised"):
            while True:
                shown_.append(stream.next())
        assert [next(iter(chunk)) for chunk in shown_] == ["model", "tools", "model"]
        answer = shown_[1]["tools"]["messages"][0]
        assert answer.status == "error" and "told" in answer.content

    colour.run(body)


# ---- on_error="tell" ---------------------------------------------------------------------------


@every_colour
@every_kind
@pytest.mark.parametrize("limit", [1, 2, 4])
def test_mistakes_in_a_row_are_told_so_often_and_no_more(colour, kind, limit):
    error = Boom("again")
    said = [Say("", calls=[call("bad", {"x": i}, f"c{i}")]) for i in range(10)]
    script = Script(*said)
    agent = create_agent(
        ScriptedModel(script=script), [made(kind, "bad", raising(error))], max_errors=limit
    )

    def body(doors):
        with pytest.raises(MaxErrorsError) as caught:
            doors.invoke(agent, ASK)
        return caught.value

    failed = colour.run(body)
    assert failed.__cause__ is error
    assert isinstance(failed, HeadraceError)
    assert len(script.asked) == limit + 1
    assert [m.type for m in failed.messages[:3]] == ["human", "ai", "tool"]


@every_colour
@pytest.mark.parametrize(
    "mistake",
    [call("nobody", {}, "m"), call("good", "{", "m"), call("good", {"x": "?"}, "m")],
    ids=["unknown", "garbage", "invalid"],
)
def test_the_mistakes_of_a_model_are_bounded_too(colour, mistake):
    script = Script(*[Say("", calls=[{**mistake, "id": f"m{i}"}]) for i in range(10)])
    agent = create_agent(ScriptedModel(script=script), [made("sync", "good", str)], max_errors=2)

    def body(doors):
        for run in (doors.invoke, doors.stream):
            with pytest.raises(MaxErrorsError):
                run(agent, ASK)

    colour.run(body)
    assert len(script.asked) == 6


@every_colour
def test_a_success_between_mistakes_begins_the_count_anew(colour):
    said = []
    for i in range(6):
        said.append(Say("", calls=[call("nobody", {}, f"m{i}")]))
        said.append(Say("", calls=[call("good", {"x": i}, f"g{i}")]))
    agent = create_agent(
        model(*said, Say("Done.")), [made("sync", "good", str)], max_errors=1, max_steps=50
    )

    def body(doors):
        return doors.invoke(agent, ASK)["messages"][-1].text

    assert colour.run(body) == "Done."


@every_colour
@every_door
def test_too_many_steps_is_an_error_that_has_the_messages(colour, door):
    said = [Say("Once more.", calls=[call("good", {"x": i}, f"c{i}")]) for i in range(9)]
    script = Script(*said)
    agent = create_agent(
        ScriptedModel(script=script), [made("generator", "good", str)], max_steps=3
    )

    def body(doors):
        with pytest.raises(MaxStepsError) as caught:
            DOORS[door](doors, agent, ASK)
        return caught.value

    error = colour.run(body)
    assert isinstance(error, RecursionError)
    kinds = [m.type for m in error.messages]
    assert kinds[:7] == ["human", "ai", "tool", "ai", "tool", "ai", "tool"][: len(kinds)]
    assert kinds.count("ai") == 3


@every_colour
@every_kind
@pytest.mark.parametrize("handled", [True, "Try later.", lambda error: f"<{error}>"], ids=type)
def test_a_tool_that_handles_its_own_errors_keeps_them(colour, kind, handled):
    bad = made(kind, "bad", raising(ToolException("closed")), handle_tool_error=handled)
    said = (Say("", calls=[call("bad", {"x": 1}, "c1")]), Say("Done."))
    agent = create_agent(model(*said), [bad], on_error="raise")
    wanted = {"bool": "closed", "str": "Try later.", "function": "<closed>"}[type(handled).__name__]

    def body(doors):
        answer = doors.invoke(agent, ASK)["messages"][2]
        return answer.content, answer.status

    assert colour.run(body) == (wanted, "error")


# ---- models that fail --------------------------------------------------------------------------


def failing(at: int, times: int, calls: Any = ()) -> tuple[Say, ...]:
    asked = Say("First.", calls=[call("good", {"x": 1}, "c1")])
    return asked, Say("A longer answer.", error=Boom("model"), error_at=at, failures=times)


@every_colour
@every_door
@pytest.mark.parametrize("at", [0, 2])
def test_a_model_that_breaks_off_raises_through_every_door(colour, door, at):
    agent = create_agent(model(*failing(at, 99)), [made("sync", "good", str)])

    def body(doors):
        with pytest.raises(Boom, match="model"):
            DOORS[door](doors, agent, ASK)

    colour.run(body)


@every_colour
@pytest.mark.parametrize(
    "door", [d for d in DOORS if d not in ("batch", "parallel", "streamed-parallel")]
)
def test_retries_and_fallbacks_of_the_model_are_no_steps(colour, door):
    calls: list[int] = []

    def act(x: int) -> str:
        calls.append(x)
        return str(x)

    tools = [made("sync", "good", act)]
    policies = {
        "retry": lambda one: one.with_retry(wait_exponential_jitter=False, stop_after_attempt=3),
        "fallbacks": lambda one: one.with_fallbacks([model(*failing(0, 0))]),
        "timeout": lambda one: one.with_timeout(total=60),
    }

    def body(doors):
        out = {}
        for name, wrap in policies.items():
            calls.clear()
            times = 0 if name == "timeout" else 2 if name == "retry" else 99
            agent = create_agent(wrap(model(*failing(0, times))), tools, max_steps=2)
            found = DOORS[door](doors, agent, ASK)
            out[name] = ([m.content for m in found], list(calls))
        return out

    wanted = ([ASK, "First.", "1", "A longer answer."], [1])
    assert colour.run(body) == dict.fromkeys(policies, wanted)


@every_colour
def test_a_retry_around_the_agent_runs_it_anew(colour):
    said = failing(1, 1)
    agent = create_agent(model(*said), [made("sync", "good", str)])
    again = agent.with_retry(wait_exponential_jitter=False)

    def body(doors):
        return in_contents(doors.invoke(again, ASK))

    assert colour.run(body) == [ASK, "First.", "1", "A longer answer."]


@every_colour
def test_fallbacks_around_the_agent_take_over(colour):
    broken = create_agent(model(Say("No.", error=Boom("x"))), [made("sync", "good", str)])
    other = create_agent(model(Say("Yes.")), [made("sync", "good", str)])

    def body(doors):
        return in_contents(doors.invoke(broken.with_fallbacks([other]), ASK))

    assert colour.run(body) == [ASK, "Yes."]
