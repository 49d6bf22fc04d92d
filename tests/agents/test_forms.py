"""`response_format`: answers that have a form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel, Field

from agents.scripted import Scripted, call, says
from headrace.agents import InMemorySaver, MaxErrorsError, create_agent
from headrace.errors import ConfigError
from headrace.merge import merge
from headrace.messages import AIMessage, ToolMessage
from headrace.tools import tool
from laws.colours import every_colour


class City(BaseModel):
    """A city."""

    name: str
    people: int = Field(gt=0)


class CityDict(TypedDict):
    """A city."""

    name: str
    people: int


@dataclass
class CityClass:
    """A city."""

    name: str
    people: int


CITY = {
    "title": "city",
    "description": "A city.",
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["name", "people"],
}
PARIS: dict[str, Any] = {"name": "Paris", "people": 2_100_000}
FORMS: dict[str, tuple[Any, str, Any]] = {
    "pydantic": (City, "City", City(**PARIS)),
    "typed-dict": (CityDict, "CityDict", PARIS),
    "dataclass": (CityClass, "CityClass", CityClass(**PARIS)),
    "json-schema": (CITY, "city", PARIS),
    "list": (list[int], "list_int", [1, 2]),
}


@tool
def look_up(what: str) -> str:
    """Look up."""
    return "2.1 million"


@every_colour
@pytest.mark.parametrize("form", FORMS)
def test_the_answer_has_its_form(colour, form):
    def body(doors):
        schema, name, value = FORMS[form]
        args = {"value": value} if form == "list" else PARIS
        script = [says("", call("look_up", what="Paris")), says("", call(name, "f1", **args))]
        model = Scripted(script=script)
        agent = create_agent(model, [look_up], response_format=schema)
        for ask in (
            lambda: doors.invoke(agent, "?"),
            lambda: doors.stream(agent.bind(stream_mode="values"), "?")[-1],
            lambda: merge(doors.stream(agent.bind(stream_mode="pieces"), "?")),
        ):
            state = ask()
            assert state["structured_response"] == value
            assert type(state["structured_response"]) is type(value)
            assert state["messages"][-1].tool_call_id == "f1"
        update = doors.stream(agent, "Paris?")[-1]["model"]
        assert update["structured_response"] == value and len(update["messages"]) == 2
        assert {kw.get("tool_choice") for _, kw in model.asked} == {"any"}
        names = [t["function"]["name"] for t in model.asked[0][1]["tools"]]
        assert names == ["look_up", name]

    colour.run(body)


@every_colour
def test_what_does_not_fit_goes_back(colour):
    def body(doors):
        script = [
            says("", call("City", "c1", name="Paris", people=-1)),
            says("It is Paris."),
            says("", call("City", "c2", **PARIS)),
        ]
        model = Scripted(script=script)
        state = doors.invoke(create_agent(model, response_format=City), "?")
        assert state["structured_response"] == City(**PARIS)
        told, reminder = state["messages"][2], state["messages"][4]
        assert told.status == "error" and "greater than 0" in told.content
        assert reminder.type == "human" and "'City'" in reminder.content
        with pytest.raises(MaxErrorsError):
            doors.invoke(create_agent(model, response_format=City, max_errors=1), "?")

    colour.run(body)


@every_colour
def test_an_answer_that_is_no_json_goes_back(colour):
    def body(doors):
        garbled = {"name": "City", "args": '{"name": "Par', "id": "c1", "error": None}
        script = [AIMessage("", invalid_tool_calls=[garbled]), says("", call("City", **PARIS))]
        agent = create_agent(Scripted(script=script), response_format=City)
        doors.stream(agent.bind(stream_mode="messages"), "?")
        state = doors.invoke(agent, "?")
        assert state["structured_response"] == City(**PARIS)
        told = state["messages"][2]
        assert told.status == "error" and told.tool_call_id == "c1"
        assert "no JSON object" in told.content and "Par" in told.content

    colour.run(body)


def test_other_calls_beside_the_answer_are_made_first():
    line = says("", call("City", "c1", **PARIS), call("look_up", "l1", what="x"))
    model = Scripted(script=[line])
    state = create_agent(model, [look_up], response_format=City).invoke("?")
    assert state["structured_response"] == City(**PARIS)
    assert [m.tool_call_id for m in state["messages"][2:]] == ["c1", "l1"]
    assert len(model.asked) == 1


def test_of_two_answers_the_first_counts():
    line = says("", call("City", "c1", **PARIS), call("City", "c2", name="Rome", people=2))
    state = create_agent(Scripted(script=[line]), response_format=City).invoke("?")
    assert state["structured_response"].name == "Paris"


@every_colour
@pytest.mark.parametrize("answered", [(), ("c1",), ("c2",)], ids=["none", "first", "second"])
def test_of_answers_that_a_process_left_open_one_counts(colour, answered):
    """Whichever was taken before it died; else the first."""

    def body(doors):
        line = says("", call("City", "c1", **PARIS), call("City", "c2", name="Rome", people=2))
        taken = [ToolMessage("Taken.", tool_call_id=id, name="City") for id in answered]
        saver = InMemorySaver()
        agent = create_agent(Scripted(script=[]), response_format=City, saver=saver)
        config = {"configurable": {"thread_id": "1"}}
        agent.update_state(config, {"messages": [("user", "?"), line, *taken]})
        state = doors.invoke(agent, None, config)
        first, second = state["messages"][2:]
        rome = answered == ("c2",)
        assert state["structured_response"].name == ("Rome" if rome else "Paris")
        assert (first.tool_call_id, second.tool_call_id) == ("c1", "c2")
        refused = first if rome else second
        assert refused.response_metadata == {"error": "second_answer"}
        assert (second if rome else first).status == "success"
        assert agent.get_state(config).values["structured_response"] == state["structured_response"]

    colour.run(body)


def test_names_that_clash():
    with pytest.raises(ConfigError, match="two tools of the name 'look_up'"):
        create_agent(Scripted(script=[]), [look_up], response_format={**CITY, "title": "look_up"})


def test_the_schema_of_the_state_has_it():
    agent = create_agent(Scripted(script=[]), response_format=City)
    assert "structured_response" in agent.get_output_jsonschema()["properties"]
