"""Agents as tools of agents."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from agents.scripted import Scripted, call, says, transcript
from headrace.agents import InMemorySaver, create_agent
from headrace.errors import AsyncOnlyError, ConfigError
from headrace.events import RunStarted
from headrace.tools import tool
from laws.colours import every_colour
from laws.ledger import Recorder


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


@tool
async def later() -> str:
    """Wait."""
    return "ok"


def expert(**settings):
    script = [says("Hm.", call("multiply", a=6, b=7)), says("It is 42.")]
    return create_agent(Scripted(script=script), [multiply], **{"name": "expert", **settings})


def boss(tools):
    script = [
        says("", call("expert", "e1", request="6 * 7?"), call("expert", "e2", request="7 * 6?")),
        says("42, says the expert."),
    ]
    return create_agent(Scripted(script=script), tools, name="boss")


@every_colour
def test_a_request_goes_in_and_a_text_comes_out(colour):
    def body(doors):
        for tools in ([expert()], [expert().as_tool()]):
            state = doors.invoke(boss(tools), "Ask.")
            assert [m.content for m in state["messages"][2:4]] == ["It is 42.", "It is 42."]

    colour.run(body)


@every_colour
def test_its_events_are_below_the_tool(colour):
    def body(doors):
        heard = Recorder()
        doors.invoke(boss([expert()]), "Ask.", heard.config)
        paths = sorted({e.path for e in heard.events if isinstance(e, RunStarted)})
        assert paths == [
            "boss",
            "boss/model:Scripted",
            "boss/tools",
            "boss/tools/expert",
            "boss/tools/expert/expert",
            "boss/tools/expert/expert/model:Scripted",
            "boss/tools/expert/expert/tools",
            "boss/tools/expert/expert/tools/multiply",
        ]

    colour.run(body)


async def test_its_tokens_show_in_events():
    text = {}
    async for event in boss([expert()]).astream_events("Ask."):
        if event["event"] == "on_chat_model_stream":
            depth = len(event["parent_ids"])
            text[depth] = text.get(depth, "") + event["data"]["chunk"].content
    assert text[1] == "42, says the expert."
    assert sorted(text[4]) == sorted("Hm.It is 42." * 2)


@every_colour
def test_a_bound_of_one_does_not_lock_them(colour):
    def body(doors):
        states = doors.batch(boss([expert()]), ["Ask."] * 3, {"max_concurrency": 1})
        assert [s["messages"][-1].content for s in states] == ["42, says the expert."] * 3

    colour.run(body)


def test_what_it_is_called_and_told_of():
    made = expert().as_tool(description="Knows numbers.")
    assert (made.name, made.description) == ("expert", "Knows numbers.")
    assert list(made.args) == ["request"]
    assert "multiply" in expert().as_tool().description
    assert expert().as_tool(name="other").name == "other"
    assert expert(name="The expert").as_tool().name == "The_expert"
    whole = expert().as_tool(arg_types={"messages": str})
    assert list(whole.args) == ["messages"]


@every_colour
def test_an_answer_in_a_form_comes_out_as_json(colour):
    def body(doors):
        script = [says("", call("Number", n=42))]
        formed = create_agent(Scripted(script=script), response_format=Number, name="expert")
        assert doors.invoke(formed.as_tool(), {"request": "6 * 7?"}) == '{"n":42}'

    colour.run(body)


class Number(BaseModel):
    """A number."""

    n: int


def test_what_cannot_be_a_tool():
    with pytest.raises(ConfigError, match="needs a name"):
        expert(name=None).as_tool()


def test_one_that_waits_for_approval_cannot_be_a_tool():
    """A call of a tool has an answer; there is none while a person is asked."""
    careful = expert(interrupt_before=True, saver=InMemorySaver())
    for make in (
        careful.as_tool,
        lambda: careful.as_tool(arg_types={"messages": list}),
        lambda: boss([careful]),
    ):
        with pytest.raises(ConfigError, match="cannot wait: let the agent that calls it ask"):
            make()


def test_one_that_only_runs_async_says_so():
    only = create_agent(Scripted(script=[says("Hi.")]), [later], name="expert")
    with pytest.raises(AsyncOnlyError, match="later"):
        boss([only]).invoke("Ask.")


@every_colour
def test_failures_below_are_told_or_raised(colour):
    def body(doors):
        tired = expert(max_steps=1)
        state = doors.invoke(boss([tired]), "Ask.")
        assert "MaxStepsError" in state["messages"][2].content
        assert transcript(state)[-1][1] == "42, says the expert."

    colour.run(body)
