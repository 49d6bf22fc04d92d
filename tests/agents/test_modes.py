"""What each `stream_mode` shows, and when."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from agents.scripted import Scripted, Telling, call, says, seen, transcript
from headrace.agents import AgentState, create_agent
from headrace.merge import merge
from headrace.messages import AIMessage, AIMessageChunk, ToolMessage
from headrace.tools import tool
from headrace.tools.progress import Progress
from laws.colours import every_colour


@tool
def count_to(n: int):
    """Count."""
    yield from range(1, n + 1)


SCRIPT = [says("Hm.", call("count_to", "c1", n=2)), says("Done.")]


def counter(**settings: Any) -> Any:
    return create_agent(Scripted(script=SCRIPT), [count_to], **settings)


@every_colour
def test_updates_name_the_step(colour):
    def body(doors):
        chunks = doors.stream(counter(), "Go")
        assert [list(chunk) for chunk in chunks] == [["model"], ["tools"], ["model"]]
        assert all(type(chunk) is dict for chunk in chunks)
        kinds = [type(m) for c in chunks for part in c.values() for m in part["messages"]]
        assert kinds == [AIMessage, ToolMessage, AIMessage]

    colour.run(body)


@every_colour
def test_values_are_states(colour):
    def body(doors):
        states = doors.stream(counter().bind(stream_mode="values"), "Go")
        assert [len(state["messages"]) for state in states] == [1, 2, 3, 4]
        assert all(type(state) is AgentState for state in states)

    colour.run(body)


@every_colour
def test_messages_are_tokens_with_where_they_come_from(colour):
    def body(doors):
        agent = counter(name="calc").bind(stream_mode="messages")
        pairs = doors.stream(agent, "Go", {"metadata": {"user": "Ada"}})
        where = [(type(m), about["node"], about["step"]) for m, about in pairs]
        assert where[0] == (AIMessageChunk, "model", 1)
        assert [w for w in where if w[0] is ToolMessage] == [(ToolMessage, "tools", 1)]
        assert where[-1] == (AIMessageChunk, "model", 2)
        first = pairs[0][1]
        assert first["agent"] == "calc" and first["user"] == "Ada"
        assert (first["langgraph_node"], first["langgraph_step"]) == ("model", 1)
        text = "".join(m.content for m, about in pairs if about["node"] == "model")
        assert text == "Hm.Done."
        args = "".join(c["args"] or "" for m, about in pairs if about["node"] == "model"
                       for c in m.tool_call_chunks)  # fmt: skip
        assert args == '{"n": 2}'

    colour.run(body)


@every_colour
def test_custom_is_what_tools_report(colour):
    def body(doors):
        chunks = doors.stream(counter().bind(stream_mode="custom"), "Go")
        assert chunks == [Progress(1, "c1"), Progress(2, "c1")]

    colour.run(body)


@every_colour
def test_several_modes_come_in_pairs(colour):
    def body(doors):
        modes = ["updates", "messages", "custom", "values"]
        pairs = doors.stream(counter().bind(stream_mode=modes), "Go")
        alone = {mode: [chunk for each, chunk in pairs if each == mode] for mode in modes}
        for mode in ("updates", "custom"):
            chunks = doors.stream(counter().bind(stream_mode=[mode]), "Go")
            assert [compared(c) for _, c in chunks] == [compared(c) for c in alone[mode]]
        assert len(alone["values"]) == 4 and len(alone["messages"]) > 6
        order = [mode for mode, _ in pairs]
        assert order[0] == "values"
        assert order.index("messages") < order.index("updates") < order.index("custom")

    colour.run(body)


def compared(chunk: Any) -> Any:
    return {k: transcript(v) for k, v in chunk.items()} if isinstance(chunk, dict) else chunk


@every_colour
def test_an_answer_is_shown_when_it_is_ready(colour):
    """The second call waits until the reader has the answer of the first."""

    def body(doors):
        taken = threading.Event()

        @tool
        def quick() -> str:
            """Be quick."""
            return "quick"

        @tool
        def slow() -> str:
            """Wait until the quick one was seen."""
            assert taken.wait(5)
            return "slow"

        script = [says("", call("slow", "s"), call("quick", "q")), says("Done.")]
        agent = create_agent(Scripted(script=script), [slow, quick])
        stream = doors.open(agent, "Go")
        stream.next()
        assert seen(stream.next()["tools"]["messages"][0])[1] == "quick"
        taken.set()
        assert seen(stream.next()["tools"]["messages"][0])[1] == "slow"
        assert len(stream.rest()) == 1
        taken.clear()
        stream = doors.open(agent.bind(stream_mode="values"), "Go")
        stream.next(), stream.next()
        taken.set()
        assert [m.content for m in stream.next()["messages"][2:]] == ["slow", "quick"]
        stream.close()

    colour.run(body)


@every_colour
def test_nothing_runs_before_the_first_chunk_is_asked_for(colour):
    def body(doors):
        model = Scripted(script=SCRIPT)
        stream = doors.open(create_agent(model, [count_to]), "Go")
        assert model.asked == []
        stream.next()
        assert len(model.asked) == 1
        stream.close()

    colour.run(body)


def tokens_of(*chunks: dict[str, Any]) -> list[AIMessageChunk]:
    """A model's message, token by token: pieces of calls."""
    blank = {"name": None, "args": None, "id": None, "index": None}
    return [AIMessageChunk("", tool_call_chunks=[{**blank, **chunk}]) for chunk in chunks]


BEGUN = {"name": "count", "args": '{"n"'}
REST = {"args": ": 1}"}
NAMELESS: dict[str, list[dict[str, Any]]] = {
    "no id": [{**BEGUN, "index": 0}, {**REST, "index": 0}],
    "empty id": [{**BEGUN, "index": 0, "id": ""}, {**REST, "index": 0}],
    "no index": [{**BEGUN, "args": '{"n": 1}'}, {**BEGUN, "args": '{"n": 1}'}],
    "the same id": [
        {**BEGUN, "index": 0, "id": "x"},
        {**REST, "index": 0, "id": "x"},
        {**BEGUN, "index": 1, "id": "x"},
        {**REST, "index": 1, "id": "x"},
    ],
    "an id that comes late": [{**BEGUN, "index": 0}, {**REST, "index": 0, "id": "x"}],
    "an empty beginning": [
        {"index": 0},
        {**BEGUN, "index": 0, "id": "x"},
        {**REST, "index": 0},
    ],
    "side by side": [
        {**BEGUN, "index": 0},
        {**BEGUN, "index": 1, "id": "x"},
        {**REST, "index": 0},
        {**REST, "index": 1},
    ],
}


@every_colour
@pytest.mark.parametrize("shape", NAMELESS)
def test_calls_have_one_id_from_their_first_token_on(colour, shape):
    """Also where the model has given none."""

    def body(doors):
        lines = [tokens_of(*NAMELESS[shape]), [AIMessageChunk("Done.")]]

        @tool
        def count(n: int) -> int:
            """Count."""
            return n

        agent = create_agent(Telling(lines=lines), [count])
        pairs = doors.stream(agent.bind(stream_mode=["messages", "values"]), "Go")
        calls = pairs[-1][1]["messages"][1].tool_calls
        assert len({call["id"] for call in calls}) == len(calls) > 0
        tokens = [
            chunk[0] for mode, chunk in pairs if mode == "messages" and chunk[1]["node"] == "model"
        ]
        begun = [each for token in tokens for each in token.tool_call_chunks if each["name"]]
        assert [each["id"] for each in begun] == [call["id"] for call in calls]
        shown = merge([AIMessageChunk(""), *tokens[: len(lines[0])]])
        assert [call["id"] for call in shown.tool_calls] == [call["id"] for call in calls]
        answers = [m for m in pairs[-1][1]["messages"] if m.type == "tool"]
        assert [m.tool_call_id for m in answers] == [call["id"] for call in calls]
        assert [m.content for m in answers] == ["1"] * len(calls)
        if shape in ("an empty beginning", "side by side"):
            assert calls[-1]["id"] == "x"  # the model's own, where it can be had

    colour.run(body)


# ---- reasoning -----------------------------------------------------------------------------------

THOUGHTS = ["Six ", "times ", "seven", "."]


def thought(piece: str) -> AIMessageChunk:
    return AIMessageChunk(content=[{"type": "reasoning", "reasoning": piece, "index": 0}])


def thinks() -> Telling:
    """Thinks before it calls, and again before it answers."""
    thoughts = [*map(thought, THOUGHTS)]
    asks = tokens_of({**BEGUN, "name": "count_to", "index": 0, "id": "c1"}, {**REST, "index": 0})
    said = [AIMessageChunk(content=[{"type": "text", "text": t, "index": 1}]) for t in ("4", "2")]
    return Telling(lines=[[*thoughts, *asks], [*thoughts, *said]])


def reasoning(message: Any) -> str:
    blocks = message.content_blocks
    return "".join(b["reasoning"] for b in blocks if b["type"] == "reasoning")


@every_colour
def test_reasoning_comes_token_by_token(colour):
    def body(doors):
        model = thinks()
        agent = create_agent(model, [count_to])
        stream = doors.open(agent.bind(stream_mode="messages"), "Go")
        for number, piece in enumerate(THOUGHTS, 1):
            token, about = stream.next()
            assert (reasoning(token), about["node"]) == (piece, "model")
            assert len(model.told) == number  # the model has not gone on
        rest = [token for token, about in stream.rest() if about["node"] == "model"]
        assert [reasoning(token) for token in rest if reasoning(token)] == THOUGHTS
        state = doors.invoke(agent, "Go")
        assert [reasoning(state["messages"][n]) for n in (1, 3)] == ["".join(THOUGHTS)] * 2
        assert state["messages"][-1].text == "42"

    colour.run(body)


class Waiting(Telling):
    """Tells a token when the reader has the one before."""

    turn: Any

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        for token in self._tokens(messages):
            assert self.turn.acquire(timeout=5), "the reader has not got the token before"
            yield token

    async def _astream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any):
        for token in self._tokens(messages):
            async with asyncio.timeout(5):
                await self.turn.acquire()
            yield token


def reasoned(event: Any, turn: Any) -> list[str]:
    """What an event tells of the model's reasoning; the model may go on then."""
    if event["event"] != "on_chat_model_stream":
        return []
    turn.release()
    piece = reasoning(event["data"]["chunk"])
    return [piece] if piece else []


def test_reasoning_in_events_comes_while_the_model_speaks():
    turn = threading.Semaphore(1)
    agent = create_agent(Waiting(lines=thinks().lines, turn=turn), [count_to])
    assert [p for event in agent.stream_events("Go") for p in reasoned(event, turn)] == THOUGHTS * 2


async def test_reasoning_in_events_comes_while_the_model_speaks_async():
    turn = asyncio.Semaphore(1)
    agent = create_agent(Waiting(lines=thinks().lines, turn=turn), [count_to])
    events = agent.astream_events("Go", version="v2")
    assert [p async for event in events for p in reasoned(event, turn)] == THOUGHTS * 2
