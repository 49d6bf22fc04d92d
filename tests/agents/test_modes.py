"""What each `stream_mode` shows, and when."""

from __future__ import annotations

import threading
from typing import Any

from agents.scripted import Scripted, call, says, seen, transcript
from headrace.agents import AgentState, create_agent
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
