"""Hooks that go wrong, answers of every form, agents inside of agents: what becomes of each."""

from __future__ import annotations

from typing import Any

import pytest

from agent_faults.doors import ASK, DOORS, events
from agent_faults.scripted_model import Say, Script, ScriptedModel, call
from agent_faults.toolbox import KINDS, made, transcript
from headrace.agents import create_agent
from headrace.events import RunStarted, ToolProgress
from headrace.messages import HumanMessage, ToolMessage
from headrace.runnables import RunnableLambda
from laws.colours import ASYNC, every_colour
from laws.events import check_events
from laws.ledger import LEDGER, Recorder

every_kind = pytest.mark.parametrize("kind", KINDS)


class Boom(Exception):
    """What hooks and tools of these tests raise."""


def two_calls() -> Script:
    asked = [call("good", {"x": 1}, "c1"), call("good", {"x": 2}, "c2")]
    return Script(Say("", calls=asked), Say("Done."))


def agent_of(script: Script, kind: str = "async", **given: Any) -> Any:
    return create_agent(ScriptedModel(script=script), [made(kind, "good", str)], **given)


def answers(state: Any) -> list[Any]:
    return [(m.content, m.status) for m in state["messages"] if isinstance(m, ToolMessage)]


# ---- hooks -------------------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("hook", ["before_model", "after_model"])
def test_an_error_of_a_hook_ends_the_run(colour, door, hook):
    error = Boom("hook")

    def fails(state: Any) -> None:
        with LEDGER.body("hook"):
            raise error

    agent = agent_of(two_calls(), **{hook: fails})

    def body(doors):
        with pytest.raises(Boom) as caught:
            DOORS[door](doors, agent, ASK)
        return caught.value

    assert colour.run(body) is error


@every_colour
@every_kind
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_error_of_wrap_tool_is_treated_as_the_tools(colour, kind, when):
    def wrap(asked: Any, run_tool: Any) -> Any:
        if asked["id"] == "c1" and when == "before":
            raise Boom("wrapped")
        answer = run_tool(asked)
        if asked["id"] == "c1":
            raise Boom("wrapped")
        return answer

    def body(doors):
        told = doors.invoke(agent_of(two_calls(), kind, wrap_tool=wrap), ASK)
        (first, status), second = answers(told)
        assert "wrapped" in first and status == "error"
        assert second == ("2", "success")
        with pytest.raises(Boom):
            doors.invoke(agent_of(two_calls(), kind, wrap_tool=wrap, on_error="raise"), ASK)

    colour.run(body)


@every_colour
@every_kind
def test_wrap_tool_may_answer_itself_change_the_call_and_ask_twice(colour, kind):
    said = Script(
        Say("", calls=[call("good", {"x": x}, f"c{x}") for x in range(4)]),
        Say("Done."),
    )

    def wrap(asked: Any, run_tool: Any) -> Any:
        if asked["id"] == "c0":
            return "by itself"
        if asked["id"] == "c1":
            return ToolMessage("its own message", tool_call_id="another id")
        if asked["id"] == "c2":
            return run_tool({**asked, "args": {"x": 20}})
        run_tool(asked)
        return run_tool(asked)

    def body(doors):
        state = doors.invoke(agent_of(said, kind, wrap_tool=wrap), ASK)
        return [(m.tool_call_id, m.content) for m in state["messages"] if m.type == "tool"]

    assert colour.run(body) == [
        ("c0", "by itself"),
        ("c1", "its own message"),
        ("c2", "20"),
        ("c3", "3"),
    ]


@every_colour
@pytest.mark.parametrize("given_", [None, 5, {"a": 1}, [1]], ids=repr)
def test_a_wrap_tool_that_gives_no_answer_is_a_mistake(colour, given_):
    def body(doors):
        state = doors.invoke(agent_of(two_calls(), wrap_tool=lambda asked, run: given_), ASK)
        return answers(state)

    assert [status for _, status in colour.run(body)] == ["error", "error"]


def test_coroutine_hooks_are_awaited_and_wrap_each_call():
    log: list[Any] = []

    async def before(state: Any) -> None:
        log.append(len(state["messages"]))

    async def wrap(asked: Any, run_tool: Any) -> Any:
        with LEDGER.body("wrap"):
            answer = await run_tool(asked)
            log.append(answer.content)
            return answer

    agent = agent_of(two_calls(), before_model=before, wrap_tool=wrap)
    ASYNC.run(lambda doors: doors.invoke(agent, ASK))
    assert sorted(map(str, log)) == ["1", "1", "2", "4"]


@every_colour
def test_the_messages_that_were_given_are_not_changed(colour):
    given_ = [HumanMessage(ASK)]
    value = {"messages": given_}

    def body(doors):
        for door in DOORS.values():
            door(doors, agent_of(two_calls()), value)

    colour.run(body)
    assert value == {"messages": given_} and transcript(given_) == transcript([HumanMessage(ASK)])
    assert len(given_) == 1


# ---- what tools answer -------------------------------------------------------------------------


@every_colour
@every_kind
def test_blocks_artifacts_and_messages_reach_the_model_as_they_are(colour, kind):
    blocks = [{"type": "text", "text": "a block"}]
    tools = [
        made(kind, "blocks", lambda x: blocks),
        made(
            kind, "artifact", lambda x: ("text", {"x": x}), response_format="content_and_artifact"
        ),
        made(kind, "message", lambda x: ToolMessage("own", tool_call_id="c2", artifact=x)),
        made(kind, "data", lambda x: {"x": x}),
    ]
    calls = [call(one.name, {"x": i}, f"c{i}") for i, one in enumerate(tools)]
    script = Script(Say("", calls=calls), Say("Done."))
    agent = create_agent(ScriptedModel(script=script), tools, on_error="raise")

    def body(doors):
        found = [m for m in doors.invoke(agent, ASK)["messages"] if m.type == "tool"]
        return [(m.tool_call_id, m.content, m.artifact) for m in found]

    wanted = [
        ("c0", blocks, None),
        ("c1", "text", {"x": 1}),
        ("c2", "own", 2),
        ("c3", '{"x": 3}', None),
    ]
    assert colour.run(body) == wanted
    assert [(m.tool_call_id, m.content, m.artifact) for m in script.asked[1][2:]] == wanted


@every_colour
@every_kind
@pytest.mark.parametrize("door", [d for d in DOORS if d != "messages"])
def test_calls_without_ids_or_with_one_id_are_each_answered(colour, kind, door):
    """A vendor that gives no id, or the same twice, leaves no call unanswered."""
    for ids in ([None, None], ["same", "same"], ["", ""]):
        calls = [call("good", {"x": i + 1}, id) for i, id in enumerate(ids)]
        agent = agent_of(Script(Say("", calls=calls), Say("Done.")), kind)

        def body(doors, agent=agent):
            return DOORS[door](doors, agent, ASK) if door != "several" else None

        messages = colour.run(body)
        if messages is not None:
            assert [m.content for m in messages] == [ASK, "", "1", "2", "Done."]
            asked = [one["id"] for one in messages[1].tool_calls]
            assert [m.tool_call_id for m in messages[2:4]] == asked
            assert len(set(asked)) == 2 and all(asked)


@every_colour
@every_kind
def test_an_id_of_an_earlier_step_is_a_call_of_its_own(colour, kind):
    said = (
        Say("", calls=[call("good", {"x": 1}, "c")]),
        Say("", calls=[call("good", {"x": 2}, "c")]),
        Say("Done."),
    )

    def body(doors):
        out = []
        for name, door in DOORS.items():
            found = door(doors, agent_of(Script(*said), kind), ASK)
            out.append((name, [m.content for m in found if isinstance(m, ToolMessage)]))
        return out

    assert colour.run(body) == [(name, ["1", "2"]) for name in DOORS]


# ---- agents as tools of agents -----------------------------------------------------------------


def nested(error: bool = False, kind: str = "generator", **given: Any) -> tuple[Any, Script]:
    """An agent that asks two others at once; each of them uses a tool."""

    def act(x: int) -> str:
        if error:
            raise Boom(str(x))
        return str(x)

    def inner(name: str, x: int) -> Any:
        said = Script(
            Say("", calls=[call("act", {"x": x}, f"{name}1")], usage=(1, 1)),
            Say(f"{name} says {x}", usage=(2, 2)),
        )
        tools = [made(kind, "act", act)]
        one = create_agent(ScriptedModel(script=said), tools, name=name, **given)
        return one.as_tool(description=f"Asks {name}.")

    tools = [inner("ann", 1), inner("bob", 2)]
    (field,) = tools[0].args
    script = Script(
        Say("", calls=[call(n, {field: "?"}, f"o-{n}") for n in ("ann", "bob")], usage=(4, 4)),
        Say("Both have spoken.", usage=(8, 8)),
    )
    return create_agent(ScriptedModel(script=script), tools, name="outer", **given), script


@every_colour
@every_kind
@pytest.mark.parametrize("door", DOORS)
def test_agents_inside_answer_in_call_order(colour, kind, door):
    agent, _ = nested(kind=kind)

    def body(doors):
        return [m.content for m in DOORS[door](doors, agent, ASK)]

    assert colour.run(body) == [ASK, "", "ann says 1", "bob says 2", "Both have spoken."]


@every_colour
@every_kind
@pytest.mark.parametrize("run", ["invoke", "stream", "batch"])
def test_their_runs_hang_where_they_belong(colour, kind, run):
    recorder = Recorder()
    agent, _ = nested(kind=kind)

    def body(doors):
        if run == "batch":
            doors.batch(agent, [ASK], recorder.config)
        else:
            getattr(doors, run)(agent, ASK, recorder.config)

    colour.run(body)
    check_events(recorder.events)
    runs = {e.run.id: e.run for e in recorder.events}
    started = [e.run for e in recorder.events if isinstance(e, RunStarted)]
    tools = [r for r in started if r.name == "act"]
    assert len(tools) == 2
    above = [[runs[id].name for id in r.parent_ids] for r in tools]
    for name in ("ann", "bob"):
        (mine,) = [names for names in above if name in names]
        assert mine[0] == "outer" and mine.count(name) >= 1
        assert not {"ann", "bob"} - {name} & set(mine)
    progress = [e for e in recorder.events if isinstance(e, ToolProgress)]
    if "generator" in kind:
        assert {e.tool_call_id for e in progress} == {"ann1", "bob1"}
        assert {e.run.name for e in progress} == {"act"}


@every_colour
def test_usage_of_all_models_is_in_the_events(colour):
    def body(doors):
        found = events(doors, nested()[0], ASK, include_types=["chat_model"])
        ended = [e for e in found if e["event"] == "on_chat_model_end"]
        return sorted(e["data"]["output"].usage_metadata["total_tokens"] for e in ended)

    assert colour.run(body) == [2, 2, 4, 4, 8, 16]


@every_colour
@every_kind
@pytest.mark.parametrize("door", DOORS)
def test_an_error_deep_inside_comes_out_as_it_is(colour, kind, door):
    agent, script = nested(error=True, kind=kind, on_error="raise")

    def body(doors):
        with pytest.raises(Boom):
            DOORS[door](doors, agent, ASK)

    colour.run(body)
    assert {len(asked) for asked in script.asked} == {1}


@every_colour
@every_kind
def test_an_agent_inside_that_gives_up_is_a_mistake_of_its_call(colour, kind):
    said = Script(*[Say("", calls=[call("good", {"x": i}, f"c{i}")]) for i in range(9)])
    inner = agent_of(said, kind, name="inner", max_steps=2).as_tool(description="Goes on and on.")
    (field,) = inner.args
    outer_said = Script(Say("", calls=[call("inner", {field: "?"}, "o1")]), Say("I see."))
    outer = create_agent(ScriptedModel(script=outer_said), [inner])

    def body(doors):
        (answer,) = answers(doors.invoke(outer, ASK))
        return answer

    content, status = colour.run(body)
    assert status == "error" and "inner" in content


@every_colour
@every_kind
def test_leaving_closes_the_agents_inside(colour, kind):
    def body(doors):
        for taken in range(1, 12):
            recorder = Recorder()
            agent, _ = nested(kind=kind)
            mode = agent.bind(stream_mode=["messages", "custom", "updates"])
            stream = doors.open(mode, ASK, recorder.config)
            for _ in range(taken):
                stream.next()
            stream.close()
            assert not LEDGER.still_open
            check_events(recorder.events)

    colour.run(body)


@every_colour
@every_kind
def test_a_tool_that_calls_a_runnable_shows_its_run_below_its_own(colour, kind):
    deep = RunnableLambda(lambda x: x + 1, name="deep")
    recorder = Recorder()
    agent = create_agent(ScriptedModel(script=two_calls()), [made(kind, "good", deep.invoke)])

    def body(doors):
        return answers(doors.invoke(agent, ASK, recorder.config))

    assert colour.run(body) == [("2", "success"), ("3", "success")]
    check_events(recorder.events)
    runs = {e.run.id: e.run for e in recorder.events}
    below = [r for r in runs.values() if r.name == "deep"]
    assert [runs[r.parent_ids[-1]].name for r in below] == ["good", "good"]
    assert len({r.parent_ids[-1] for r in below}) == 2
