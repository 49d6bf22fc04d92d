"""Tool calls of the embedded model itself: enforced by grammar, streamed as they are written."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from headrace.errors import InputError
from headrace.local import ChatLocal
from headrace.local.engine import Engine
from headrace.merge import merge
from headrace.messages import AIMessage, HumanMessage, ToolMessage
from headrace.output_parsers import JsonOutputToolsParser, PydanticToolsParser
from headrace.tools import tool
from laws.colours import every_colour

ASK = "What is the weather in Paris?"


@tool(parse_docstring=True)
def weather(city: str, unit: Literal["C", "F"] = "C") -> str:
    """The weather in a city.

    Args:
        city: Its name.
        unit: Of the temperature.
    """
    return f"12 {unit} in {city}"


@tool
def now() -> str:
    """The time."""
    return "noon"


class Report(BaseModel):
    """A report."""

    city: str = Field(max_length=20)
    kind: Literal["sun", "rain"]


@pytest.fixture(scope="module")
def model(engine: Engine) -> ChatLocal:
    return ChatLocal(max_tokens=80)


def bare(calls: Any) -> list[Any]:
    return [(call["name"], call["args"]) for call in calls]


@every_colour
def test_a_call_of_one_tool_in_every_colour(model: ChatLocal, colour: Any):
    bound = model.bind_tools([weather, now], tool_choice="weather")

    def body(doors: Any) -> None:
        whole = doors.invoke(bound, ASK)
        chunks = doors.stream(bound, ASK)
        assert bare(merge(chunks).tool_calls) == bare(whole.tool_calls)
        assert whole.content == "" and whole.invalid_tool_calls == []
        ((name, args),) = bare(whole.tool_calls)
        assert name == "weather" and isinstance(args["city"], str)
        assert args.get("unit", "C") in ("C", "F")
        pieces = [piece for chunk in chunks for piece in chunk.tool_call_chunks]
        assert [piece["name"] for piece in pieces] == ["weather", *[None] * (len(pieces) - 1)]
        assert len(pieces) > 5
        assert json.loads("".join(piece["args"] for piece in pieces)) == args
        assert {piece["index"] for piece in pieces} == {0}

    colour.run(body)


def test_any_tool_some_tools_and_none(model: ChatLocal):
    anyone = model.bind_tools([weather, now], tool_choice="any").invoke(ASK)
    assert len(anyone.tool_calls) == 1 and anyone.tool_calls[0]["name"] in ("weather", "now")
    nothing = model.bind_tools([now], tool_choice="now").invoke(ASK)
    assert bare(nothing.tool_calls) == [("now", {})]
    free = model.bind_tools([weather, now]).invoke(ASK)
    assert bool(free.content) != bool(free.tool_calls)
    none = model.bind_tools([weather], tool_choice="none").invoke(ASK)
    assert none.content == model.invoke(ASK).content and not none.tool_calls


def test_an_answer_in_place_of_a_call_streams_as_text(model: ChatLocal):
    bound = model.bind_tools([now], parallel_tool_calls=True)
    for question in ("Say hello.", ASK, "Tell me a story."):
        chunks = list(bound.stream(question))
        if any(chunk.content for chunk in chunks):
            break
    texts = [chunk.content for chunk in chunks if chunk.content]
    assert len(texts) > 3
    assert not merge(chunks).tool_calls
    assert not merge(chunks).content.startswith("{")


def test_several_calls(model: ChatLocal):
    bound = ChatLocal(max_tokens=200).bind_tools([now], tool_choice="any", parallel_tool_calls=True)
    answer = bound.invoke(ASK)
    assert len(answer.tool_calls) >= 1
    assert {call["name"] for call in answer.tool_calls} == {"now"}
    assert len({call["id"] for call in answer.tool_calls}) == len(answer.tool_calls)


@pytest.mark.parametrize("seed", range(2))
def test_arguments_fit_whatever_the_temperature(model: ChatLocal, seed: int):
    warm = ChatLocal(max_tokens=120, temperature=1.5, seed=seed)
    chain = warm.bind_tools([Report], tool_choice="any") | PydanticToolsParser(
        tools=[Report], first_tool_only=True
    )
    chunks = list(chain.stream("Write a report on Rome."))
    assert type(chunks[-1]) is Report and chunks[-1].kind in ("sun", "rain")
    assert len(chunks) > 3


def test_calls_and_results_in_the_history(model: ChatLocal):
    bound = model.bind_tools([weather], tool_choice="weather")
    first = bound.invoke(ASK)
    result = weather.invoke(first.tool_calls[0])
    assert isinstance(result, ToolMessage)
    history = [HumanMessage(ASK), first, result, HumanMessage("And in Rome?")]
    second = bound.invoke(history)
    assert second.tool_calls[0]["id"] != first.tool_calls[0]["id"]
    assert second.usage_metadata["input_tokens"] > first.usage_metadata["input_tokens"] + 20
    assert isinstance(model.invoke(history[:3]), AIMessage)


def test_a_parser_behind_it(model: ChatLocal):
    chain = model.bind_tools([weather], tool_choice="any") | JsonOutputToolsParser()
    chunks = list(chain.stream(ASK))
    assert chunks[-1] == chain.invoke(ASK)
    assert chunks[0] == [{"type": "weather", "args": {}}]


def test_a_format_beside_tools_is_refused(model: ChatLocal):
    bound = model.bind_tools([weather]).bind(response_format={"type": "json_object"})
    with pytest.raises(InputError, match="both tools and response_format"):
        bound.invoke(ASK)


def test_tokens_are_counted_as_they_are_read(model: ChatLocal):
    bound = model.bind_tools([weather, now])
    first = bound.invoke(ASK)
    asked = [HumanMessage(ASK)]
    assert (
        model.get_num_tokens_from_messages(asked, [weather, now])
        == (first.usage_metadata["input_tokens"])
    )
    call = {"name": "now", "args": {}, "id": "1"}
    history = [*asked, AIMessage("", tool_calls=[call]), ToolMessage("noon", tool_call_id="1")]
    again = bound.invoke(history)
    assert (
        model.get_num_tokens_from_messages(history, [weather, now])
        == (again.usage_metadata["input_tokens"])
    )
