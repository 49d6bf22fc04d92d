"""Going on in a thread: decisions on calls, what was asked and what was not, hooks, other keys of
the state, readers who leave, and looking at a thread from outside."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest

from agents.scripted import Meeting, Scripted, call, says, transcript
from headrace.agents import (
    REMOVE_ALL_MESSAGES,
    Approve,
    Edit,
    InMemorySaver,
    Reject,
    Respond,
    Resume,
    StateSnapshot,
    ThreadConflictError,
    create_agent,
)
from headrace.errors import ConfigError, InputError
from headrace.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from headrace.tools import tool
from laws.colours import every_colour

CONFIG = {"configurable": {"thread_id": "t1"}}
MADE: list[Any] = []
SCRIPT = [
    says("Hm.", call("double", "d1", n=1), call("look", "k1", n=5), call("double", "d2", n=2)),
    says("", call("double", "d3", n=3)),
    says("Done."),
]


class Died(BaseException):
    """As good as dead."""


class Deadly(InMemorySaver):
    """Dies in place of the append, or the deletion, of that number."""

    def __init__(self, deadly: int) -> None:
        super().__init__()
        self.deadly = deadly

    def append(self, thread_id: str, start: int, rows: Any) -> None:
        self._live()
        super().append(thread_id, start, rows)

    def delete_thread(self, thread_id: str) -> None:
        self._live()
        super().delete_thread(thread_id)

    def _live(self) -> None:
        if not self.deadly:
            raise Died
        self.deadly -= 1


@tool
def double(n: int) -> int:
    """Double a number."""
    MADE.append(("double", n))
    return 2 * n


@tool
def look(n: int) -> int:
    """Look at a number."""
    MADE.append(("look", n))
    return n


@pytest.fixture(autouse=True)
def nothing_made():
    MADE.clear()


def careful(saver: Any, **settings: Any) -> Any:
    given: dict[str, Any] = {"script": SCRIPT, "interrupt_before": "double", **settings}
    return create_agent(Scripted(script=given.pop("script")), [double, look], saver=saver, **given)


def contents(state: Any) -> list[Any]:
    return [m.content for m in state["messages"]]


def get_state(doors: Any, agent: Any, config: Any = CONFIG) -> StateSnapshot:
    if doors.asynchronous:
        return doors.wait(agent.aget_state(config))  # type: ignore[no-any-return]
    return agent.get_state(config)  # type: ignore[no-any-return]


def update_state(doors: Any, agent: Any, values: Any) -> StateSnapshot:
    if doors.asynchronous:
        return doors.wait(agent.aupdate_state(CONFIG, values))  # type: ignore[no-any-return]
    return agent.update_state(CONFIG, values)  # type: ignore[no-any-return]


# ---- decisions -----------------------------------------------------------------------------------


@every_colour
def test_decisions(colour):
    def body(doors):
        MADE.clear()
        saver = InMemorySaver()
        state = doors.invoke(careful(saver), "Go", CONFIG)
        assert [c["id"] for c in state["__interrupt__"]] == ["d1", "d2"] and MADE == []
        asked: Any = state["messages"][-1]
        decisions = {"d2": Reject("Twos are taken."), "d1": Edit({"n": 50})}
        state = doors.invoke(careful(saver), Resume(decisions), CONFIG)
        assert sorted(MADE) == [("double", 50), ("look", 5)]
        messages: Any = state["messages"]
        assert messages[1].id == asked.id and messages[1].content == "Hm."
        assert [c["args"] for c in messages[1].tool_calls] == [{"n": 50}, {"n": 5}, {"n": 2}]
        assert [m.content for m in messages[2:4]] == ["100", "5"]
        assert "Twos are taken." in messages[4].content and messages[4].status == "error"
        assert [c["id"] for c in state["__interrupt__"]] == ["d3"]
        state = doors.invoke(careful(saver), Resume(Respond("six")), CONFIG)
        assert contents(state)[5:] == ["", "six", "Done."] and "__interrupt__" not in state
        assert len(MADE) == 2
        assert saver.messages("t1") == state["messages"]

    colour.run(body)


@every_colour
def test_one_decision_for_all(colour):
    def body(doors):
        MADE.clear()
        saver = InMemorySaver()
        agent = careful(saver)
        doors.invoke(agent, "Go", CONFIG)
        state = doors.invoke(agent, Resume(Reject()), CONFIG)
        assert MADE == [("look", 5)]
        doors.invoke(agent, Resume(Approve()), CONFIG)
        assert MADE == [("look", 5), ("double", 3)]
        assert [m.type for m in state["messages"]] == ["human", "ai", "tool", "tool", "tool", "ai"]

    colour.run(body)


@every_colour
def test_a_decision_is_about_the_calls_that_wait_and_no_later_ones(colour):
    def body(doors):
        MADE.clear()
        script = [says("", call("double", "d1", n=1)), says("", call("double", "d2", n=2))]
        for resume in (Resume(Reject()), Resume(Respond("2"))):
            agent = careful(InMemorySaver(), script=script)
            doors.invoke(agent, "Go", CONFIG)
            (waits,) = doors.invoke(agent, resume, CONFIG)["__interrupt__"]
            assert waits["id"] == "d2" and MADE == []

    colour.run(body)


@every_colour
def test_a_stream_goes_on_with_decisions(colour):
    def body(doors):
        saver = InMemorySaver()
        doors.invoke(careful(saver), "Go", CONFIG)
        updates = doors.stream(careful(saver), Resume({"d1": Approve(), "d2": Reject()}), CONFIG)
        assert [list(u) for u in updates] == [["tools"], ["tools"], ["model"], ["__interrupt__"]]
        whole = doors.stream(careful(saver).bind(stream_mode="pieces"), Resume(Approve()), CONFIG)
        total = whole[0]
        for piece in whole[1:]:
            total = total + piece
        assert total["messages"] == saver.messages("t1") and contents(total)[-1] == "Done."

    colour.run(body)


def test_an_edit_may_name_another_tool_and_repair_what_was_no_json():
    saver = InMemorySaver()
    garbled = AIMessage(
        "",
        tool_calls=[call("double", "d1", n=1)],
        invalid_tool_calls=[
            {
                "name": "double",
                "args": "{n: ",
                "id": "d2",
                "error": "no",
                "type": "invalid_tool_call",
            }
        ],
    )
    agent = careful(saver, script=[garbled, says("Done.")])
    state = agent.invoke("Go", CONFIG)
    assert [c["id"] for c in state["__interrupt__"]] == ["d1", "d2"]
    decisions = Resume({"d1": Edit({"n": 9}, "look"), "d2": Edit({"n": 4})})
    state = agent.invoke(decisions, CONFIG)
    assert sorted(MADE) == [("double", 4), ("look", 9)]
    assert contents(state)[2:] == ["9", "8", "Done."]
    assert state["messages"][1].invalid_tool_calls == []


@every_colour
def test_decisions_that_fit_nothing(colour):
    def body(doors):
        MADE.clear()
        saver = InMemorySaver()
        agent = careful(saver)
        with pytest.raises(InputError, match="thread 't1', which has nothing to go on with"):
            doors.invoke(agent, Resume(Approve()), CONFIG)
        doors.invoke(agent, "Go", CONFIG)
        rows = saver.rows("t1")
        for resume, said in (
            ({"d9": Approve()}, "'d9', which does not wait .* wait: 'd1', 'd2'"),
            ({"k1": Approve()}, "'k1', which does not wait"),
            ({"d1": Approve()}, "does not decide on the call 'd2'"),
            ({}, "does not decide on the call 'd1'"),
            (Edit({"n": 1}, "triple"), "names the tool 'triple'.* 'double', 'look'"),
        ):
            with pytest.raises(InputError, match=said):
                doors.invoke(agent, Resume(resume), CONFIG)
        with pytest.raises(InputError, match="thread 'other', which has nothing"):
            doors.invoke(agent, Resume(Approve()), {"configurable": {"thread_id": "other"}})
        assert saver.rows("t1") == rows and saver.threads() == ["t1"] and MADE == []
        doors.invoke(agent, "Rather not.", CONFIG)
        doors.invoke(agent, None, CONFIG)
        free = create_agent(Scripted(script=SCRIPT), [double, look], saver=saver)
        with pytest.raises(InputError, match="no call in thread 't1' waits"):
            doors.invoke(free, Resume(Approve()), CONFIG)
        none = create_agent(Scripted(script=SCRIPT), [double, look])
        with pytest.raises(InputError, match="keeps none"):
            doors.invoke(none, Resume(Approve()), CONFIG)

    colour.run(body)


@pytest.mark.parametrize("given", [None, "yes", True, {"d1": "approve"}, [Approve()]], ids=str)
def test_what_is_no_decision(given):
    with pytest.raises(InputError, match="decide by Approve"):
        Resume(given)


def test_arguments_of_an_edit_are_a_dict():
    with pytest.raises(InputError, match="as a dict"):
        Edit("n=1")  # type: ignore[arg-type]


def test_decisions_are_values():
    resume = Resume({"a": Approve(), "b": Edit({"n": 1}), "c": Reject("no"), "d": Respond("x")})
    assert pickle.loads(pickle.dumps(resume)) == resume
    assert Reject("no") != Reject("yes") and Approve() != Reject()
    assert eval(repr(resume)) == resume


# ---- what was asked, and what was not ------------------------------------------------------------


@every_colour
def test_none_approves_only_what_was_asked(colour):
    """Whenever the process dies, no call is made before a person has been asked about it."""

    def body(doors):
        for deadly in range(20):
            saver = Deadly(deadly)
            MADE.clear()
            approved: set[str] = set()
            value: Any = "Go"
            for _ in range(9):
                try:
                    state = doors.invoke(careful(saver), value, CONFIG)
                except Died:
                    saver.deadly = 99
                    state = None
                made = {f"d{n}" for name, n in MADE if name == "double"}
                assert made <= approved
                value = None if saver.rows("t1") else "Go"
                if state is not None and "__interrupt__" not in state:
                    break
                if state is not None:
                    approved.update(c["id"] for c in state["__interrupt__"])
            assert contents(state) == ["Go", "Hm.", "2", "5", "4", "", "6", "Done."]
        assert saver.deadly > 0  # the last one came to its end

    colour.run(body)


@every_colour
def test_a_run_that_died_before_it_asked_waits_when_it_goes_on(colour):
    def body(doors):
        MADE.clear()
        saver = Deadly(2)  # the question and the model's message are kept; that it asks is not
        with pytest.raises(Died):
            doors.invoke(careful(saver), "Go", CONFIG)
        saver.deadly = 99
        snapshot = get_state(doors, careful(saver))
        assert snapshot.next == ("tools",) and snapshot.interrupts == ()
        with pytest.raises(InputError, match="no call in thread 't1' waits"):
            doors.invoke(careful(saver), Resume(Approve()), CONFIG)
        state = doors.invoke(careful(saver), None, CONFIG)
        assert [c["id"] for c in state["__interrupt__"]] == ["d1", "d2"] and MADE == []

    colour.run(body)


def test_an_id_that_a_model_uses_again_is_asked_about_again():
    saver = Deadly(5)  # the second call stands in the thread; that it asks about it does not
    script = [says("", call("double", "c", n=1)), says("", call("double", "c", n=1000)), says("!")]
    agent = careful(saver, script=script)
    agent.invoke("Go", CONFIG)
    with pytest.raises(Died):
        agent.invoke(None, CONFIG)
    assert contents({"messages": saver.messages("t1")}) == ["Go", "", "2", ""]
    saver.deadly = 99
    (waits,) = agent.invoke(None, CONFIG)["__interrupt__"]
    assert waits["args"] == {"n": 1000} and MADE == [("double", 1)]


# ---- hooks and other keys ------------------------------------------------------------------------


@every_colour
def test_other_keys_of_the_state_are_kept(colour):
    def body(doors):
        saver = InMemorySaver()
        seen: list[Any] = []

        def count(state: Any) -> Any:
            seen.append((state.get("user"), state.get("count", 0)))
            return {"count": state.get("count", 0) + 1}

        script = [says("One."), says("Two.")]
        agent = create_agent(Scripted(script=script), saver=saver, before_model=count)
        doors.invoke(agent, {"messages": "1", "user": "Anna", "__interrupt__": 3}, CONFIG)
        state = doors.invoke(agent, "2", CONFIG)
        assert seen == [("Anna", 0), ("Anna", 1)]
        assert {k: v for k, v in state.items() if k != "messages"} == {"user": "Anna", "count": 2}

    colour.run(body)


@every_colour
def test_a_hook_that_died_sees_the_message_when_it_goes_on(colour):
    """A hook that forbids a call is not got around by a crash."""

    def body(doors):
        for dies in (True, False):
            MADE.clear()
            saver, deaths = InMemorySaver(), [dies]

            def forbid(state: Any, deaths: Any = deaths) -> Any:
                if deaths and deaths.pop():
                    raise Died
                said = state["messages"][-1]
                if not said.tool_calls:
                    return None
                return {"messages": [AIMessage("I may not.", id=said.id)]}

            agent = careful(saver, after_model=forbid, interrupt_before=())
            if dies:
                with pytest.raises(Died):
                    doors.invoke(agent, "Go", CONFIG)
                snapshot = get_state(doors, agent)
                assert snapshot.next == ("tools",) and len(snapshot.messages) == 2
                state = doors.invoke(agent, None, CONFIG)
            else:
                state = doors.invoke(agent, "Go", CONFIG)
            assert contents(state) == ["Go", "I may not."] and MADE == []
            assert doors.invoke(agent, None, CONFIG) == state

    colour.run(body)


@every_colour
def test_an_answer_in_a_form_is_that_of_the_last_question(colour):
    def body(doors):
        form = {"title": "Number", "type": "object", "properties": {"n": {"type": "integer"}}}
        saver = InMemorySaver()
        script = [says("", call("Number", "a1", n=1)), says("", call("Number", "a2", n=2))]
        agent = create_agent(Scripted(script=script), saver=saver, response_format=form)
        assert doors.invoke(agent, "1", CONFIG)["structured_response"] == {"n": 1}
        assert get_state(doors, agent).values["structured_response"] == {"n": 1}
        assert doors.invoke(agent, "2", CONFIG)["structured_response"] == {"n": 2}
        again = doors.invoke(agent, None, CONFIG)
        assert again["structured_response"] == {"n": 2}

    colour.run(body)


# ---- readers who leave ---------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("mode", ["updates", "messages", "values"])
def test_what_was_finished_when_the_reader_left_is_kept(colour, mode):
    def body(doors):
        free: Any = {"interrupt_before": (), "parallel_tool_calls": False}
        total = len(
            doors.stream(careful(InMemorySaver(), **free).bind(stream_mode=mode), "Go", CONFIG)
        )
        for taken in range(1, total):
            MADE.clear()
            saver = InMemorySaver()
            agent = careful(saver, **free)
            stream = doors.open(agent.bind(stream_mode=mode), "Go", CONFIG)
            for _ in range(taken):
                stream.next()
            stream.close()
            answers = [m for m in saver.messages("t1") if isinstance(m, ToolMessage)]
            assert len(answers) == len(MADE)
            state = doors.invoke(agent, None, CONFIG)
            assert contents(state) == ["Go", "Hm.", "2", "5", "4", "", "6", "Done."]
            assert len(MADE) == 4  # none was made twice

    colour.run(body)


@every_colour
@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "wrapped"])
@pytest.mark.parametrize("modes", [["updates"], ["updates", "custom"]], ids="-".join)
def test_calls_in_threads_that_end_after_the_reader_has_left_are_kept(colour, wrapped, modes):
    """They cannot be broken off, so they are made once, and their answers count."""

    def body(doors):
        MADE.clear()
        both, left = Meeting(2), threading.Event()

        @tool
        def quick(n: int) -> int:
            """Quick."""
            MADE.append(n)
            both()
            return n

        @tool
        def slow(n: int) -> int:
            """Slow."""
            MADE.append(n)
            both()
            assert left.wait(5)
            return n

        script = [says("", call("quick", "q", n=1), call("slow", "s", n=2)), says("Done.")]
        saver = InMemorySaver()
        settings: Any = {"saver": saver}
        if wrapped:
            settings["wrap_tool"] = lambda call, run_tool: run_tool(call)
        agent = create_agent(Scripted(script=script), [quick, slow], **settings)
        stream = doors.open(agent.bind(stream_mode=modes), "Go", CONFIG)
        stream.next()
        assert stream.next()[1]["tools"]["messages"][0].content == "1"
        timer = threading.Timer(0.02, left.set)  # while it is being closed
        timer.start()
        stream.close()
        timer.join()
        assert sorted(m.content for m in saver.messages("t1")) == ["", "1", "2", "Go"]
        assert contents(doors.invoke(agent, None, CONFIG)) == ["Go", "", "1", "2", "Done."]
        assert sorted(MADE) == [1, 2]

    colour.run(body)


# ---- from outside --------------------------------------------------------------------------------


@every_colour
def test_the_state_of_a_thread(colour):
    def body(doors):
        saver = InMemorySaver()
        agent = careful(saver)
        empty = get_state(doors, agent)
        assert empty.values == {"messages": []} and empty.next == () == empty.interrupts
        doors.invoke(agent, "Go", CONFIG)
        snapshot = get_state(doors, agent)
        assert snapshot.messages == saver.messages("t1") and snapshot.next == ("tools",)
        assert [c["id"] for c in snapshot.interrupts] == ["d1", "d2"]
        assert snapshot.config == CONFIG
        doors.invoke(agent, None, CONFIG)
        doors.invoke(agent, None, CONFIG)
        snapshot = get_state(doors, agent)
        assert snapshot.next == () == snapshot.interrupts and len(snapshot.messages) == 8

    colour.run(body)


@every_colour
def test_a_thread_is_changed(colour):
    def body(doors):
        MADE.clear()
        saver = InMemorySaver()
        agent = careful(saver)
        asked = doors.invoke(agent, "Go", CONFIG)["messages"][-1]
        other = AIMessage("Hm.", id=asked.id, tool_calls=[call("double", "d1", n=50)])
        snapshot = update_state(doors, agent, {"messages": [other], "by": "Anna"})
        assert snapshot.interrupts[0]["args"] == {"n": 50} and snapshot.values["by"] == "Anna"
        state = doors.invoke(agent, None, CONFIG)
        assert MADE == [("double", 50)] and state["by"] == "Anna"
        with pytest.raises(InputError, match="names no message"):
            update_state(doors, agent, [RemoveMessage("none")])
        anew = [RemoveMessage(REMOVE_ALL_MESSAGES), HumanMessage("Hello?")]
        snapshot = update_state(doors, agent, anew)
        assert [m.content for m in snapshot.messages] == ["Hello?"] and snapshot.next == ("model",)
        assert get_state(doors, agent) == snapshot
        state = doors.invoke(agent, None, CONFIG)
        assert contents(state)[:2] == ["Hello?", "Hm."]
        let_go = saver.claim("t1")
        with pytest.raises(ThreadConflictError):
            update_state(doors, agent, "And?")
        let_go()

    colour.run(body)


@every_colour
def test_there_is_no_thread_to_look_at(colour):
    def body(doors):
        kept = careful(InMemorySaver())
        free = create_agent(Scripted(script=SCRIPT))
        with pytest.raises(ConfigError, match="thread_id"):
            get_state(doors, kept, None)
        with pytest.raises(ConfigError, match="keeps no conversations"):
            get_state(doors, free)
        with pytest.raises(ConfigError, match="keeps no conversations"):
            update_state(doors, free, "Go")

    colour.run(body)


@every_colour
def test_a_call_that_was_under_way_and_something_new_is_said(colour):
    """What became of it nobody knows; the model reads that it has no result."""

    def body(doors):
        saver = Deadly(2)
        script = [says("", call("double", "d1", n=1)), says("All right.")]
        agent = careful(saver, script=script, interrupt_before=())
        with pytest.raises(Died):
            doors.invoke(agent, "Go", CONFIG)
        saver.deadly = 99
        state = doors.invoke(agent, "Never mind.", CONFIG)
        assert [m.type for m in state["messages"]] == ["human", "ai", "tool", "human", "ai"]
        assert "no result" in state["messages"][2].content
        assert transcript(state) == transcript({"messages": saver.messages("t1")})

    colour.run(body)


# ---- agents below --------------------------------------------------------------------------------


@every_colour
def test_an_agent_below_goes_on_from_what_it_had_finished(colour):
    """Wherever the process dies: no call of the agent below is made again whose answer was kept,
    and when its own call has an answer, its conversation is no longer there."""

    def body(doors):
        below = create_agent(
            Scripted(
                script=[
                    says("", call("double", "x", n=1)),
                    says("", call("double", "x", n=2)),
                    says("Both."),
                ]
            ),
            [double],
            name="expert",
        )
        script = [
            says("", call("expert", "e", request="?")),
            says("", call("expert", "e", request="Again?")),  # the same id
            says("Done."),
        ]
        for deadly in range(30):
            MADE.clear()
            saver = Deadly(deadly)

            def made(saver: Any = saver) -> Any:
                return create_agent(Scripted(script=script), [below], saver=saver)

            try:
                state = doors.invoke(made(), "Go", CONFIG)
            except Died:
                kept = [row for thread in saver.threads() for row in saver.messages(thread)]
                open_calls = 1 if len(MADE) > answers_of(saver, kept) else 0
                saver.deadly = 99
                state = doors.invoke(made(), None if saver.rows("t1") else "Go", CONFIG)
            else:
                open_calls = 0
            assert contents(state) == ["Go", "", "Both.", "", "Both.", "Done."]
            assert len(MADE) == 4 + open_calls
            assert saver.threads() == ["t1"]
        assert saver.deadly > 0

    colour.run(body)


def answers_of(saver: Any, kept: list[Any]) -> int:
    """How many calls of `double` have an answer, counting both of an expert that has answered."""
    return sum({"double": 1, "expert": 2}.get(m.name or "", 0) for m in kept if m.type == "tool")


def test_a_call_of_an_agent_that_is_tried_again_begins_anew():
    asked: list[Any] = []

    def twice(call: Any, run_tool: Any) -> Any:
        asked.append(run_tool(call).content)
        return run_tool(call)

    below = create_agent(
        Scripted(script=[says("", call("double", n=1)), says("Yes.")]), [double], name="expert"
    )
    saver = InMemorySaver()
    script = [says("", call("expert", request="?")), says("Done.")]
    agent = create_agent(Scripted(script=script), [below], saver=saver, wrap_tool=twice)
    state = agent.invoke("Go", CONFIG)
    assert contents(state) == ["Go", "", "Yes.", "Done."] and asked == ["Yes."]
    assert len(MADE) == 2 and saver.threads() == ["t1"]


def test_below_it_looks_as_it_does_without_a_saver():
    below = create_agent(Scripted(script=[says("Yes.")]), name="expert")
    script = [says("", call("expert", request="?")), says("Done.")]
    free = create_agent(Scripted(script=script), [below])
    kept = create_agent(Scripted(script=script), [below], saver=InMemorySaver())
    assert [e["name"] for e in events_of(kept)] == [e["name"] for e in events_of(free)]
    assert kept.model.asked[0][1] == free.model.asked[0][1]  # what the model is told of tools


def events_of(agent: Any) -> list[Any]:
    """Without those of keeping: load_thread, save_thread, forget_threads."""
    return [e for e in agent.stream_events("Go", CONFIG) if "_thread" not in e["name"]]
