"""Readers that leave and tasks that are cancelled, at every chunk and at every turn of the loop.

Whatever was open is closed when control returns: the model's stream, the bodies of tools, what
wraps them; nobody asks the model again, and each run that began has ended once.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from typing import Any

import pytest

from agent_faults.doors import ASK
from agent_faults.scripted_model import Say, Script, ScriptedModel, call
from agent_faults.toolbox import KINDS, made
from headrace.agents import create_agent
from headrace.errors import Timeout
from headrace.events import RunCancelled
from headrace.runnables import RunnableParallel, RunnablePassthrough
from headrace.tools import StructuredTool
from laws.colours import ASYNC, every_colour, sync_colours
from laws.events import check_events, root_end
from laws.ledger import LEDGER, Recorder
from resilience.virtual import VirtualClock, clock

__all__ = ["clock"]

MODES: dict[str, Any] = {
    "updates": "updates",
    "values": "values",
    "messages": "messages",
    "custom": "custom",
    "pieces": "pieces",
    "several": ["messages", "custom", "updates"],
}

AROUND = {
    "chain": lambda agent: RunnablePassthrough() | agent | RunnablePassthrough(),
    "parallel": lambda agent: RunnableParallel(one=agent, two=agent, three=RunnablePassthrough()),
    "retry": lambda agent: agent.with_retry(wait_exponential_jitter=False),
    "fallbacks": lambda agent: agent.with_fallbacks([agent]),
    "timeout": lambda agent: agent.with_timeout(total=60, idle=60, first_chunk=60),
    "configured": lambda agent: agent.with_config(tags=["x"]),
}


def wrapped(asked: Any, run_tool: Any) -> Any:
    with LEDGER.body("wrap_tool"):
        return run_tool(asked)


def agent_of(script: Script, **given: Any) -> Any:
    tools = [made(kind, kind, str) for kind in KINDS]
    return create_agent(ScriptedModel(script=script), tools, **given)


def script() -> Script:
    each = [call(kind, {"x": i}, f"c{i}") for i, kind in enumerate(KINDS)]
    again = [{**one, "id": "d" + one["id"]} for one in each[2:]]
    return Script(Say("Let me see.", calls=each), Say("", calls=again), Say("That is it."))


def leave_everywhere(doors: Any, make: Any) -> int:
    """Leave the stream of `make(script)` after 0, 1, 2… chunks; how many chunks there are."""
    taken = 0
    while True:
        said, recorder = script(), Recorder()
        stream = doors.open(make(said), ASK, recorder.config)
        chunks = [stream.next() for _ in range(taken)]
        ended = bool(chunks) and repr(chunks[-1]) == "END"
        stream.close()
        asked = len(said.asked)
        assert not LEDGER.still_open, f"after {taken} chunks: {LEDGER.still_open}"
        if taken:
            check_events(recorder.events)
            assert ended or isinstance(root_end(recorder.events), RunCancelled)
        else:
            assert asked == 0, "something ran before the first chunk was asked for"
        assert len(said.asked) == asked
        if ended:
            return taken - 1
        taken += 1


@every_colour
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bound", [None, 1, 2])
def test_leaving_after_any_chunk_of_any_mode(colour, mode, bound):
    def make(said):
        agent = agent_of(said, wrap_tool=wrapped, max_concurrency=bound)
        return agent.bind(stream_mode=MODES[mode])

    def body(doors):
        assert leave_everywhere(doors, make) >= 5

    colour.run(body)


@every_colour
@pytest.mark.parametrize("around", AROUND)
def test_leaving_what_is_around_an_agent(colour, around):
    def body(doors):
        assert leave_everywhere(doors, lambda said: AROUND[around](agent_of(said))) >= 1

    colour.run(body)


@every_colour
@pytest.mark.parametrize("around", ["retry", "fallbacks", "timeout"])
def test_leaving_where_the_model_has_a_policy(colour, around):
    def make(said):
        model = AROUND[around](ScriptedModel(script=said))
        tools = [made(kind, kind, str) for kind in KINDS]
        return create_agent(model, tools).bind(stream_mode=["messages", "updates"])

    def body(doors):
        assert leave_everywhere(doors, make) >= 5

    colour.run(body)


@every_colour
def test_leaving_a_stream_of_events(colour):
    def body(doors):
        for taken in range(1, 60):
            said = script()
            agent = agent_of(said)
            if doors.asynchronous:

                async def some(agent=agent, taken=taken):
                    stream = agent.astream_events(ASK)
                    for _ in range(taken):
                        await anext(stream)
                    await stream.aclose()
                    assert not LEDGER.still_open

                doors.wait(some())
            else:
                stream = agent.stream_events(ASK)
                for _ in range(taken):
                    next(stream)
                stream.close()
                assert not LEDGER.still_open

    colour.run(body)


RUNS = {
    "ainvoke": lambda one: one.ainvoke(ASK),
    "astream": lambda one: _read(one.astream(ASK)),
    "astream-messages": lambda one: _read(one.astream(ASK, stream_mode="messages")),
    "astream_events": lambda one: _read(one.astream_events(ASK)),
    "abatch": lambda one: one.abatch([ASK, ASK]),
}


async def _read(stream: Any) -> None:
    async with aclosing(stream):
        async for _ in stream:
            await asyncio.sleep(0)


@pytest.mark.parametrize("way", RUNS)
@pytest.mark.parametrize("around", ["bare", "sync-tools", *AROUND])
def test_cancelling_at_any_turn_of_the_loop(way, around):
    if way == "astream-messages" and around not in ("bare", "sync-tools", "configured"):
        way = "astream"

    async def one_by_one() -> None:
        turns = 0
        while True:
            said = script()
            kinds = KINDS if around == "sync-tools" else ["async", "async_generator"]
            tools = [made(kind if kind in kinds else "async", kind, str) for kind in KINDS]
            agent = create_agent(ScriptedModel(script=said), tools, wrap_tool=awrapped)
            runnable = AROUND.get(around, lambda agent: agent)(agent)
            task = asyncio.ensure_future(RUNS[way](runnable))
            for _ in range(turns):
                await asyncio.sleep(0)
            done = task.done()
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                assert not done
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"cancelled at turn {turns}: {left}"
            assert not LEDGER.still_open, f"cancelled at turn {turns}: {LEDGER.still_open}"
            if done:
                return
            turns += 1

    ASYNC.run(lambda doors: doors.wait(one_by_one()), 60)


async def awrapped(asked: Any, run_tool: Any) -> Any:
    with LEDGER.body("wrap_tool"):
        return await run_tool(asked)


# ---- tools that hang ---------------------------------------------------------------------------


def hanging(clock: VirtualClock, shape: str, **fields: Any) -> StructuredTool:
    """A tool that is done after `seconds`."""

    def answer(seconds: float) -> Any:
        """Takes its time."""
        with LEDGER.body("hanging"):
            clock.sleep(seconds)
            return f"after {seconds:g}"

    async def aanswer(seconds: float) -> Any:
        """Takes its time."""
        with LEDGER.body("hanging"):
            await asyncio.sleep(seconds)
            return f"after {seconds:g}"

    def report(seconds: float) -> Any:
        """Takes its time."""
        with LEDGER.body("hanging"):
            yield "begun"
            clock.sleep(seconds)
            return f"after {seconds:g}"

    async def areport(seconds: float) -> Any:
        """Takes its time."""
        with LEDGER.body("hanging"):
            yield "begun"
            await asyncio.sleep(seconds)
            yield f"after {seconds:g}"

    bodies = (answer, aanswer) if shape == "function" else (report, areport)
    # Lanes that wait for a tool with a limit wait by the virtual clock, also in threads.
    return StructuredTool.from_function(*bodies, name="hang", **{"timeout": 100, **fields})


shapes = pytest.mark.parametrize("shape", ["function", "generator"])
WAITS = [1.0, 9.0, 2.0]


def asked_to_hang() -> Script:
    calls = [call("hang", {"seconds": s}, f"c{i}") for i, s in enumerate(WAITS)]
    return Script(Say("", calls=calls), Say("Done."))


@every_colour
@shapes
def test_a_tool_that_takes_too_long_is_told_and_the_others_are_kept(colour, shape, clock):
    said = asked_to_hang()
    agent = create_agent(ScriptedModel(script=said), [hanging(clock, shape, timeout=5)])

    def body(doors):
        begun = clock.now
        state = doors.invoke(agent, ASK)
        assert clock.now - begun == pytest.approx(5)
        return [(m.content, m.status) for m in state["messages"] if m.type == "tool"]

    first, second, third = colour.run(body)
    assert (first, third) == (("after 1", "success"), ("after 2", "success"))
    assert second[1] == "error" and "5" in second[0]


@every_colour
@shapes
def test_each_answer_is_shown_when_it_is_ready_and_kept_in_the_order_of_the_calls(
    colour, shape, clock
):
    said = asked_to_hang()
    agent = create_agent(ScriptedModel(script=said), [hanging(clock, shape)])

    def body(doors):
        begun, seen = clock.now, []
        stream = doors.open(agent, ASK)
        while repr(chunk := stream.next()) != "END":
            at, ((_, update),) = clock.now - begun, chunk.items()
            seen += [(message.type, message.content, at) for message in update["messages"]]
        return seen

    seen = colour.run(body)
    order = ["", "after 1", "after 2", "after 9", "Done."]
    assert [text for _, text, _ in seen] == order
    if colour.asynchronous:  # threads sleep on while the reader takes what is there
        assert [round(at) for _, _, at in seen] == [0, 1, 2, 9, 9]
    assert [m.content for m in said.asked[1][2:]] == ["after 1", "after 9", "after 2"]


@every_colour
@shapes
@pytest.mark.parametrize(
    ("given_", "whole"),
    [({"parallel_tool_calls": False}, 12), ({"max_concurrency": 2}, 9)],
    ids=str,
)
def test_how_many_work_at_once(colour, shape, clock, given_, whole):
    agent = create_agent(ScriptedModel(script=asked_to_hang()), [hanging(clock, shape)], **given_)

    def body(doors):
        begun = clock.now
        doors.invoke(agent, ASK)
        return clock.now - begun

    assert colour.run(body) == pytest.approx(whole)


@shapes
@pytest.mark.parametrize("bound", [1, 2])
def test_the_configs_bound_counts_for_calls_too(shape, clock, bound):
    agent = create_agent(ScriptedModel(script=asked_to_hang()), [hanging(clock, shape)])

    def body(doors):
        begun = clock.now
        doors.invoke(agent, ASK, {"max_concurrency": bound})
        return clock.now - begun

    assert ASYNC.run(body) == pytest.approx({1: 12, 2: 9}[bound])


@sync_colours
@pytest.mark.parametrize("where", ["agent", "config"])
@pytest.mark.parametrize("bound", [1, 2, 3])
def test_so_many_threads_and_no_more(colour, where, bound):
    together, lock, inside, most = threading.Barrier(bound), threading.Lock(), 0, 0

    def act(x: int) -> str:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        together.wait(5)  # so many are at work at once
        with lock:
            inside -= 1
        return str(x)

    calls = [call("act", {"x": i}, f"c{i}") for i in range(6)]
    said = Script(Say("", calls=calls), Say("Done."))
    own = {"max_concurrency": bound} if where == "agent" else {}
    agent = create_agent(ScriptedModel(script=said), [made("sync", "act", act)], **own)

    def body(doors):
        config = {} if own else {"max_concurrency": bound}
        return [m.content for m in doors.invoke(agent, ASK, config)["messages"][2:]]

    assert colour.run(body) == ["0", "1", "2", "3", "4", "5", "Done."]
    assert most == bound


@shapes
@pytest.mark.parametrize("limit", [{"total": 5}, {"idle": 5}], ids=["total", "idle"])
def test_a_limit_around_the_agent_ends_the_tools(shape, clock, limit):
    """Async alone: the clock does not see a thread that waits for the lanes of a fan-out."""
    said = asked_to_hang()
    agent = create_agent(ScriptedModel(script=said), [hanging(clock, shape)])
    limited = agent.with_timeout(**limit)

    def body(doors):
        # What is invoked has its answer as its first chunk: there is no time between two.
        runs = [doors.stream] if "idle" in limit else [doors.stream, doors.invoke]
        for run in runs:
            with pytest.raises(Timeout):
                run(limited, ASK)
            assert not LEDGER.still_open
        return len(said.asked) - len(runs)

    assert ASYNC.run(body) == 0


@every_colour
@shapes
def test_leaving_while_tools_hang(colour, shape, clock):
    agent = create_agent(ScriptedModel(script=asked_to_hang()), [hanging(clock, shape)])

    def body(doors):
        begun = clock.now
        stream = doors.open(agent, ASK)
        assert "model" in stream.next()
        assert "tools" in stream.next()
        stream.close()
        assert not LEDGER.still_open
        return clock.now - begun

    assert colour.run(body) <= 9
