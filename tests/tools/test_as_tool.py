"""Runnables as tools: by their input, in every colour, with what runs inside as children."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest
import typing_extensions
from pydantic import BaseModel

from headrace.messages import ToolMessage
from headrace.runnables import RunnableLambda, RunnablePassthrough, ensure_config
from headrace.runnables.schema import TypeUnknownError
from headrace.tools import StructuredTool, Tool, convert_runnable_to_tool, convert_to_openai_tool
from laws.colours import every_colour


class Args(TypedDict):
    a: int
    b: list[int]


class ExtendedArgs(typing_extensions.TypedDict):
    a: int
    b: list[int]


class Model(BaseModel):
    """A model."""

    a: int
    b: list[int]


def of_dict(given: Args) -> str:
    return str(given["a"] * max(given["b"]))


def of_any(given: dict[str, Any]) -> str:
    return str(given["a"] * max(given["b"]))


def of_text(text: str) -> str:
    return text + "a"


RUNNABLE = RunnableLambda(of_dict)
OPEN = RunnableLambda(of_any)
TOOLS = {
    "annotated": RUNNABLE.as_tool(),
    "model": OPEN.as_tool(Model),
    "typed-dict": OPEN.as_tool(Args),
    "typed-dict-extensions": OPEN.as_tool(ExtendedArgs),
    "types": OPEN.as_tool(arg_types={"a": int, "b": list[int]}),
    "function": convert_runnable_to_tool(RUNNABLE),
    "chain": (RUNNABLE | RunnablePassthrough()).as_tool(),
}


@every_colour
@pytest.mark.parametrize("kind", TOOLS)
def test_a_runnable_of_a_dict(colour: Any, kind: str):
    made = TOOLS[kind]
    assert isinstance(made, StructuredTool)
    assert list(made.args) == ["a", "b"]
    assert made.description == "Takes a, b."
    call = {"type": "tool_call", "id": "1", "name": made.name, "args": {"a": 3, "b": [1, 2]}}

    def body(doors: Any) -> None:
        assert doors.invoke(made, {"a": 3, "b": [1, 2]}) == "6"
        assert doors.invoke(made, call) == ToolMessage("6", tool_call_id="1", name=made.name)

    colour.run(body)


@every_colour
def test_a_runnable_of_a_text(colour: Any):
    made = (RunnableLambda(of_text) | of_text).as_tool(name="twice", description="Twice.")
    assert isinstance(made, Tool) and made.args_schema is None
    assert (made.name, made.description) == ("twice", "Twice.")
    assert convert_to_openai_tool(made)["function"]["parameters"]["required"] == ["__arg1"]

    def body(doors: Any) -> None:
        assert doors.invoke(made, "x") == "xaa"
        assert doors.invoke(made, {"__arg1": "x"}) == "xaa"

    colour.run(body)


def test_the_config_reaches_what_is_inside():
    def look(text: str) -> str:
        return str(ensure_config()["configurable"]["who"])

    made = RunnableLambda(look).as_tool()
    assert made.invoke("x", {"configurable": {"who": "me"}}) == "me"


def test_what_runs_inside_is_a_child():
    made = RUNNABLE.as_tool(name="outer")
    events = [
        (each["event"], each["name"])
        for each in made.stream_events({"a": 1, "b": [1]})
        if each["event"].endswith("start")
    ]
    assert events == [("on_tool_start", "outer"), ("on_chain_start", "of_dict")]


def test_an_input_that_nobody_knows():
    with pytest.raises(TypeUnknownError, match="arg_types"):
        OPEN.as_tool()
