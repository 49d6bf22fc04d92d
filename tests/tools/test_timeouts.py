"""`timeout` of a tool: when it fires, what is raised and told, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from headrace import _sync_race
from headrace.errors import Timeout
from headrace.events import RunFailed, ToolProgress
from headrace.runnables import RunnablePassthrough
from headrace.tools import BaseTool, StructuredTool, Tool, ToolException, ToolTimeout, tool
from laws.colours import every_colour, sync_colours
from laws.events import check_events
from laws.ledger import LEDGER, Recorder
from resilience.virtual import VirtualClock, clock

__all__ = ["clock"]


def repr_of(value: Any) -> str:
    return type(value).__name__


def same(found: Any, wanted: Any) -> None:
    assert found is wanted or found == wanted


CALL = {"type": "tool_call", "id": "c1", "name": "slow", "args": {"seconds": 5}}


def slow(
    clock: VirtualClock, *, stubborn: bool = False, sync_only: bool = False, **fields: Any
) -> StructuredTool:
    """A tool that answers after so many seconds."""

    def answer(seconds: float) -> str:
        """Take your time."""
        with LEDGER.body("answer"):
            clock.sleep(seconds, stubborn=stubborn)
            return f"after {seconds:g}"

    async def aanswer(seconds: float) -> str:
        """Take your time."""
        with LEDGER.body("aanswer"):
            await asyncio.sleep(seconds)
            return f"after {seconds:g}"

    waits = None if sync_only else aanswer
    return StructuredTool.from_function(answer, waits, name="slow", **fields)


def reporting(clock: VirtualClock, **fields: Any) -> StructuredTool:
    """A tool that reports after each second, and answers after so many."""

    def report(seconds: int) -> Iterator[str]:
        """Take your time, and say so."""
        with LEDGER.body("report"):
            for number in range(seconds):
                clock.sleep(1)
                yield f"{number + 1} s"

    async def areport(seconds: int) -> AsyncIterator[str]:
        """Take your time, and say so."""
        with LEDGER.body("areport"):
            for number in range(seconds):
                await asyncio.sleep(1)
                yield f"{number + 1} s"

    return StructuredTool.from_function(report, areport, name="slow", **fields)


@every_colour
@pytest.mark.parametrize("sync_only", [False, True], ids=["both", "sync"])
def test_in_time_and_too_late(colour, clock, sync_only):
    made = slow(clock, timeout=2, sync_only=sync_only)

    def body(doors: Any) -> None:
        begun = clock.now
        assert doors.invoke(made, {"seconds": 1}) == "after 1"
        assert clock.now - begun == pytest.approx(1)
        with pytest.raises(ToolTimeout) as caught:
            doors.invoke(made, {"seconds": 5})
        assert clock.now - begun == pytest.approx(3)
        assert not LEDGER.still_open, "the error came before every finally had run"
        error = caught.value
        assert isinstance(error, Timeout)
        assert isinstance(error, ToolException)
        assert isinstance(error, TimeoutError)
        assert str(error) == "Tool 'slow' was not done within 2 s."
        assert (error.which, error.seconds, error.partial) == ("total", 2, None)

    colour.run(body)


@every_colour
def test_the_time_is_that_of_one_call(colour, clock):
    made = slow(clock, timeout=2)

    def body(doors: Any) -> None:
        answers = doors.batch(made, [{"seconds": 1.5}, {"seconds": 1.9}, {"seconds": 1}])
        assert answers == ["after 1.5", "after 1.9", "after 1"]
        for _ in range(3):
            assert doors.invoke(made, {"seconds": 1.5}) == "after 1.5"

    colour.run(body)


@every_colour
def test_what_it_had_reported_is_told_and_the_last_of_it_is_the_partial(colour, clock):
    made = reporting(clock, timeout=2.5)

    def body(doors: Any) -> None:
        recorder = Recorder()
        assert doors.invoke(made, {"seconds": 2}) == "2 s"
        with pytest.raises(ToolTimeout) as caught:
            doors.invoke(made, CALL, recorder.config)
        assert caught.value.partial == "2 s"
        assert "what had come is in `partial`" in str(caught.value)
        assert not LEDGER.still_open
        check_events(recorder.events)
        told = [(e.value, e.tool_call_id) for e in recorder.events if isinstance(e, ToolProgress)]
        assert told == [("1 s", "c1"), ("2 s", "c1")]
        assert isinstance(recorder.events[-1], RunFailed)
        assert recorder.events[-1].error is caught.value

    colour.run(body)


@every_colour
@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (True, "Tool 'slow' was not done within 2 s."),
        ("Too slow.", "Too slow."),
        (lambda error: f"{error.seconds} were not enough.", "2.0 were not enough."),
    ],
    ids=["true", "text", "function"],
)
def test_it_may_be_an_answer_for_the_model(colour, clock, wish, said):
    made = slow(clock, timeout=2, handle_tool_error=wish)

    def body(doors: Any) -> None:
        answer = doors.invoke(made, CALL)
        assert (answer.content, answer.status, answer.tool_call_id) == (said, "error", "c1")
        assert not LEDGER.still_open

    colour.run(body)


@every_colour
def test_a_timeout_inside_the_body_is_the_bodys_own(colour, clock):
    class Inner(BaseTool):
        name: str = "inner"
        description: str = "Raise."
        timeout: float | None = 60
        handle_tool_error: Any = "handled"

        def _run(self, seconds: float) -> Any:
            raise Timeout("a service was slow", which="read", seconds=3)

    def body(doors: Any) -> None:
        with pytest.raises(Timeout) as caught:
            doors.invoke(Inner(), CALL)
        assert type(caught.value) is Timeout
        assert caught.value.which == "read"

    colour.run(body)


@every_colour
def test_it_is_the_chains_error_with_the_step_in_a_note(colour, clock):
    chain = RunnablePassthrough() | slow(clock, timeout=2)

    def body(doors: Any) -> None:
        with pytest.raises(ToolTimeout) as caught:
            doors.invoke(chain, {"seconds": 3})
        assert "slow" in "".join(caught.value.__notes__)

    colour.run(body)


@every_colour
def test_arguments_are_checked_first(colour, clock):
    made = slow(clock, timeout=2)

    def body(doors: Any) -> None:
        with pytest.raises(ValidationError):
            doors.invoke(made, {"seconds": "many"})
        assert doors.invoke(Tool("up", str.upper, "Upper.", timeout=1), "a") == "A"

    colour.run(body)


@sync_colours
def test_a_thread_that_cannot_be_broken_off_is_waited_for_a_second(colour, clock, monkeypatch):
    made = slow(clock, stubborn=True, timeout=2)

    def body(doors: Any) -> None:
        with pytest.raises(ToolTimeout) as caught:
            doors.invoke(made, {"seconds": 100})
        assert clock.elapsed == pytest.approx(2 + _sync_race.GRACE)
        (note,) = [note for note in caught.value.__notes__ if "blocked thread" in note]
        assert "will end when what blocks returns" in note
        clock.wake_all()

    colour.run(body)


@pytest.mark.parametrize("wrong", [0, -1, "soon", float("inf"), float("nan")], ids=str)
def test_what_is_no_time(wrong):
    def look(a: int) -> int:
        """Look."""
        return a

    with pytest.raises((ValidationError, ValueError)) as caught:
        tool(timeout=wrong)(look)
    assert "timeout" in str(caught.value)


def test_the_error_travels():
    error = ToolTimeout("late", which="total", seconds=2.0, partial="p")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is ToolTimeout
    assert (str(back), back.seconds, back.partial) == ("late", 2.0, "p")


class Client:
    """Settings of an HTTP client."""


@pytest.mark.parametrize("own", [Client(), None, 0, {"read": 3}, True], ids=repr_of)
@every_colour
def test_a_class_may_have_something_else_in_its_field_of_that_name(colour, own):
    class Fetch(BaseTool):
        name: str = "fetch"
        description: str = "Fetch."
        timeout: Any = own

        def _run(self, url: str) -> Any:
            return self.timeout

    colour.run(lambda doors: same(doors.invoke(Fetch(), "x"), own))
