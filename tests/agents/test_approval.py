"""Conversations that are kept, approval before calls, and going on after a crash.

The saver here is the smallest one there can be; those of the package have tests of their own.
"""

from __future__ import annotations

from typing import Any

import pytest

from agents.scripted import Scripted, call, says, transcript
from headrace.agents import BaseSaver, MaxStepsError, ThreadConflictError, create_agent
from headrace.errors import ConfigError, InputError
from headrace.messages import AIMessage, RemoveMessage, ToolMessage
from headrace.tools import tool
from laws.colours import every_colour

CONFIG = {"configurable": {"thread_id": "t1"}}


class Died(BaseException):
    """As good as dead: nothing of the agent's handles it."""


class Rows(BaseSaver):
    """A dict of lists. `deadly`: how many rows may be written until the process 'dies'."""

    def __init__(self, deadly: int | None = None) -> None:
        self.kept: dict[str, list[str]] = {}
        self.deadly = deadly

    def append(self, thread_id: str, start: int, rows: Any) -> None:
        old = self.kept.setdefault(thread_id, [])
        if len(old) != start:
            raise ThreadConflictError(f"row {start} of {thread_id!r} is there")
        if self.deadly is not None:
            self.deadly -= 1
            if self.deadly < 0:
                raise Died
        old.extend(rows)

    def rows(self, thread_id: str) -> list[str]:
        return list(self.kept.get(thread_id, ()))

    def threads(self) -> list[str]:
        return list(self.kept)

    def delete_thread(self, thread_id: str) -> None:
        self.kept.pop(thread_id, None)


MADE: list[int] = []


@tool
def double(n: int) -> int:
    """Double a number."""
    MADE.append(n)
    return 2 * n


@tool
def look(n: int) -> int:
    """Look at a number."""
    return n


@pytest.fixture(autouse=True)
def nothing_made():
    MADE.clear()


SCRIPT = [
    says("Hm.", call("double", "d1", n=1), call("double", "d2", n=2)),
    says("", call("double", "d3", n=3)),
    says("Done."),
]
DONE = ["Go", "Hm.", "2", "4", "", "6", "Done."]


def texts(state: Any) -> list[Any]:
    return [m.content for m in state["messages"]]


# ---- threads -------------------------------------------------------------------------------------


@every_colour
def test_a_conversation_is_kept(colour):
    def body(doors):
        saver = Rows()
        for given in ({"saver": saver}, {"checkpointer": saver}):
            saver.kept.clear()
            agent = create_agent(Scripted(script=[*SCRIPT, says("Again.")]), [double], **given)
            state = doors.invoke(agent, "Go", CONFIG)
            assert texts(state) == DONE
            assert transcript({"messages": saver.messages("t1")}) == transcript(state)
            state = doors.invoke(agent, "And?", CONFIG)
            assert texts(state) == [*DONE, "And?", "Again."]
            assert len(saver.rows("t1")) == 9
            other = {"configurable": {"thread_id": "t2"}}
            assert texts(doors.invoke(agent, "Go", other)) == DONE
            assert doors.invoke(agent, None, CONFIG)["messages"] == state["messages"]

    colour.run(body)


@every_colour
def test_a_thread_has_to_be_named(colour):
    def body(doors):
        model = Scripted(script=SCRIPT)
        agent = create_agent(model, [double], saver=Rows())
        with pytest.raises(ConfigError, match="thread_id"):
            doors.invoke(agent, "Go")
        with pytest.raises(InputError, match="nothing to go on with"):
            doors.invoke(agent, None, CONFIG)
        assert model.asked == []

    colour.run(body)


def test_one_saver_is_enough():
    with pytest.raises(ConfigError, match="the same"):
        create_agent(Scripted(script=[]), saver=Rows(), checkpointer=Rows())


@every_colour
def test_two_runs_in_one_thread(colour):
    def body(doors):
        saver = Rows()

        @tool
        def meddle(n: int) -> int:
            """Write to the thread from elsewhere."""
            saver.kept["t1"].append(saver.kept["t1"][0])
            return n

        script = [says("", call("meddle", n=1)), says("Done.")]
        agent = create_agent(Scripted(script=script), [meddle], saver=saver)
        with pytest.raises(ThreadConflictError):
            doors.invoke(agent, "Go", CONFIG)

    colour.run(body)


@every_colour
@pytest.mark.parametrize("stream", [False, True], ids=["invoke", "stream"])
def test_a_process_that_dies_at_any_row_makes_no_finished_call_again(colour, stream):
    def body(doors):
        for deadly in range(8):
            MADE.clear()
            saver = Rows(deadly)
            agent = create_agent(Scripted(script=SCRIPT), [double], saver=saver)
            ask = doors.stream if stream else doors.invoke
            if deadly < 7:
                with pytest.raises(Died):
                    ask(agent, "Go", CONFIG)
            else:
                ask(agent, "Go", CONFIG)
            saver.deadly = None
            finished = [m for m in saver.messages("t1") if isinstance(m, ToolMessage)]
            before = len(MADE)
            state = doors.invoke(agent, None if saver.kept["t1"] else "Go", CONFIG)
            assert texts(state) == DONE
            again = MADE[before:]
            assert sorted(again) == sorted(
                n for n in (1, 2, 3) if 2 * n not in [int(str(m.content)) for m in finished]
            )

    colour.run(body)


def test_what_json_cannot_hold_of_an_artifact_is_left_out():
    @tool(response_format="content_and_artifact")
    def look_at(n: int) -> Any:
        """Look."""
        return "seen", object()

    saver = Rows()
    script = [says("", call("look_at", n=1)), says("Done.")]
    state = create_agent(Scripted(script=script), [look_at], saver=saver).invoke("Go", CONFIG)
    assert state["messages"][2].artifact is not None
    assert saver.messages("t1")[2].artifact is None  # type: ignore[attr-defined]


@every_colour
def test_hooks_change_what_is_kept(colour):
    def body(doors):
        def shorten(state: Any) -> Any:
            if len(state["messages"]) < 4:
                return None
            return {"messages": [RemoveMessage(m.id) for m in state["messages"][:-1]]}

        saver = Rows()
        script = [says("One."), says("Two.")]
        model = Scripted(script=script)
        agent = create_agent(model, saver=saver, after_model=shorten)
        doors.invoke(agent, "1", CONFIG)
        assert texts(doors.invoke(agent, "2", CONFIG)) == ["Two."]
        assert texts({"messages": saver.messages("t1")}) == ["Two."]
        assert len(saver.rows("t1")) == 9  # 4 messages, 3 removals, 2 that the hook has seen one

    colour.run(body)


# ---- approval ------------------------------------------------------------------------------------


def careful(saver: Any, **settings: Any) -> Any:
    wait = {"interrupt_before": ["double"], **settings}
    return create_agent(Scripted(script=SCRIPT), [double, look], saver=saver, **wait)


@every_colour
@pytest.mark.parametrize("names", [["double"], "double", ["tools"], True, "*"], ids=str)
def test_calls_wait_for_approval(colour, names):
    def body(doors):
        MADE.clear()
        saver = Rows()
        agent = careful(saver, interrupt_before=names)
        state = doors.invoke(agent, "Go", CONFIG)
        assert MADE == [] and texts(state) == ["Go", "Hm."]
        assert [c["id"] for c in state["__interrupt__"]] == ["d1", "d2"]
        state = doors.invoke(careful(saver, interrupt_before=names), None, CONFIG)  # anew
        assert sorted(MADE) == [1, 2] and [c["id"] for c in state["__interrupt__"]] == ["d3"]
        state = doors.invoke(agent, None, CONFIG)
        assert texts(state) == DONE and "__interrupt__" not in state

    colour.run(body)


@every_colour
def test_streams_show_that_they_wait(colour):
    def body(doors):
        saver = Rows()
        updates = doors.stream(careful(saver), "Go", CONFIG)
        assert [list(u) for u in updates] == [["model"], ["__interrupt__"]]
        assert [c["name"] for c in updates[1]["__interrupt__"]] == ["double", "double"]
        values = doors.stream(careful(saver).bind(stream_mode="values"), None, CONFIG)
        assert texts(values[0]) == ["Go", "Hm."]
        assert [c["id"] for c in values[-1]["__interrupt__"]] == ["d3"]

    colour.run(body)


@every_colour
def test_calls_are_declined_by_an_answer_or_by_saying_something_else(colour):
    def body(doors):
        MADE.clear()
        saver = Rows()
        doors.invoke(careful(saver), "Go", CONFIG)
        no = ToolMessage("The user says no.", tool_call_id="d2")
        state = doors.invoke(careful(saver), {"messages": [no]}, CONFIG)
        assert [c["id"] for c in state["__interrupt__"]] == ["d1"] and MADE == []
        state = doors.invoke(careful(saver), None, CONFIG)
        assert MADE == [1]
        assert texts(state) == ["Go", "Hm.", "2", "The user says no.", ""]
        state = doors.invoke(careful(saver), "Something else", CONFIG)
        assert MADE == [1]
        assert [m.type for m in state["messages"][4:]] == ["ai", "tool", "human", "ai"]
        assert state["messages"][5].status == "error"
        assert state["messages"][-1].content == "Done."

    colour.run(body)


def test_calls_are_edited_by_a_message_with_the_same_id():
    saver = Rows()
    state = careful(saver).invoke("Go", CONFIG)
    asked: Any = state["messages"][-1]
    other = AIMessage("Hm.", id=asked.id, tool_calls=[call("double", "d1", n=50)])
    state = careful(saver).invoke({"messages": [other]}, CONFIG)
    assert [c["args"] for c in state["__interrupt__"]] == [{"n": 50}]
    careful(saver).invoke(None, CONFIG)
    assert MADE == [50]


def test_what_needs_no_approval_is_made():
    saver = Rows()
    script = [says("", call("look", n=1)), says("", call("double", n=1), call("look", n=1))]
    agent = create_agent(
        Scripted(script=script), [double, look], saver=saver, interrupt_before="double"
    )
    state = agent.invoke("Go", CONFIG)
    assert [m.type for m in state["messages"]] == ["human", "ai", "tool", "ai"]
    assert [c["name"] for c in state["__interrupt__"]] == ["double"]


@pytest.mark.parametrize("names", [3, [3], "triple", {"double": 1}], ids=str)
def test_what_names_no_tool(names):
    with pytest.raises(ConfigError, match=r"interrupt_before .*True for all"):
        careful(Rows(), interrupt_before=names)


@pytest.mark.parametrize("names", [None, False, [], ()], ids=str)
def test_no_call_waits(names):
    assert texts(careful(Rows(), interrupt_before=names).invoke("Go", CONFIG)) == DONE


def test_an_agent_that_waits_is_no_tool():
    with pytest.raises(ConfigError, match="a tool cannot wait"):
        careful(Rows(), name="careful").as_tool()
    free = create_agent(Scripted(script=SCRIPT), [double], saver=Rows(), name="free")
    made = free.as_tool()
    assert made.invoke({"request": "Go"}) == "Done." and free.saver.kept == {}


def test_going_on_counts_its_own_steps():
    saver = Rows()
    agent = create_agent(Scripted(script=SCRIPT), [double], saver=saver, max_steps=1)
    with pytest.raises(MaxStepsError):
        agent.invoke("Go", CONFIG)
    with pytest.raises(MaxStepsError):
        agent.invoke(None, CONFIG)
    assert texts(agent.invoke(None, CONFIG)) == DONE
    assert MADE in ([1, 2, 3], [2, 1, 3])
