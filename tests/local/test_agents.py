"""The embedded model drives an agent: its grammar lets it call a tool or answer, nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.agents import create_agent
from headrace.local import ChatLocal
from headrace.local.engine import Engine
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from headrace.tools import tool
from laws.colours import every_colour

pytestmark = pytest.mark.slow
ASK = "What is the weather in Paris?"


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return {"Paris": "18 degrees and rain"}.get(city, "25 degrees and sun")


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture(scope="module")
def model(engine: Engine) -> ChatLocal:
    return ChatLocal(max_tokens=60)


@every_colour
def test_it_calls_a_tool_and_answers(model: ChatLocal, colour: Any):
    agent = create_agent(model, [weather, add], max_steps=4)

    def body(doors: Any) -> None:
        messages = doors.invoke(agent, ASK)["messages"]
        kinds = [HumanMessage, AIMessage, ToolMessage, AIMessage]
        assert [type(message) for message in messages] == kinds
        assert [(c["name"], c["args"]) for c in messages[1].tool_calls] == [
            ("weather", {"city": "Paris"})
        ]
        assert messages[2].content == "18 degrees and rain"
        assert "18 degrees" in messages[3].content and not messages[3].tool_calls

    colour.run(body)


def test_arguments_and_answer_come_token_by_token(model: ChatLocal):
    agent = create_agent(model, [weather, add], max_steps=4)
    shown = list(agent.stream(ASK, stream_mode="messages"))
    pieces = [
        piece
        for chunk, about in shown
        if about["step"] == 1 and isinstance(chunk, AIMessageChunk)
        for piece in chunk.tool_call_chunks
    ]
    assert pieces[0]["name"] == "weather" and len(pieces) > 4
    assert json.loads("".join(piece["args"] for piece in pieces)) == {"city": "Paris"}
    answer = [chunk.content for chunk, about in shown if about["step"] == 2 and chunk.content]
    assert len(answer) > 4 and "18 degrees" in "".join(answer)


def test_which_tool_it_calls_depends_on_the_question(model: ChatLocal):
    agent = create_agent(model, [weather, add], max_steps=4)
    calls = agent.invoke("What is 12 plus 30?")["messages"][1].tool_calls
    assert [(call["name"], call["args"]) for call in calls] == [("add", {"a": 12, "b": 30})]


def test_an_answer_in_a_form(model: ChatLocal):
    form = {
        "title": "Report",
        "description": "The weather in a city.",
        "type": "object",
        "properties": {"city": {"type": "string"}, "umbrella": {"type": "boolean"}},
        "required": ["city", "umbrella"],
    }
    agent = create_agent(model, response_format=form, max_steps=4)
    state = agent.invoke("It rains in Paris. Report.")
    assert state["structured_response"].keys() == {"city", "umbrella"}
    assert isinstance(state["structured_response"]["umbrella"], bool)


def test_it_is_told_how_to_answer_behind_a_result_only(model: ChatLocal):
    bound = model.bind_tools([weather])
    call = {"name": "weather", "args": {"city": "Paris"}, "id": "1"}
    history = [
        HumanMessage(ASK),
        AIMessage("", tool_calls=[call]),
        ToolMessage("18 degrees and rain", tool_call_id="1"),
    ]
    assert "18 degrees" in bound.invoke(history).content
    forced = model.bind_tools([weather], tool_choice="weather").invoke(history)
    assert [call["name"] for call in forced.tool_calls] == ["weather"]
