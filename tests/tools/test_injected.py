"""Arguments that no model gives: hidden from it, checked and filled in when the tool is called."""

from __future__ import annotations

import asyncio
import pickle
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ValidationError, v1

from headrace.errors import InputError
from headrace.messages import ToolMessage
from headrace.tools import (
    BaseTool,
    InjectedToolArg,
    InjectedToolCallId,
    ToolArgumentsError,
    ToolSchemaError,
    tool,
)
from headrace.tools.injected import DirectlyInjectedToolArg
from laws.colours import every_colour


class Store(DirectlyInjectedToolArg):
    def __init__(self, name: str) -> None:
        self.name = name


class User:
    def __init__(self, name: str) -> None:
        self.name = name


class Text(BaseModel):
    text: str


class Marked(BaseModel):
    text: str
    user: Annotated[Any, InjectedToolArg()]


class OldMarked(v1.BaseModel):
    text: str
    user: Annotated[str, InjectedToolArg]


def signature(text: str, user: Annotated[User, InjectedToolArg]) -> str:
    """Say."""
    return f"{text} {user.name}"


def said(text: str, user: Any) -> str:
    """Say."""
    return f"{text} {user.name}"


def stored(text: str, user: Store) -> str:
    """Say."""
    return f"{text} {user.name}"


class Said(BaseTool):
    name: str = "said"
    description: str = "Say."

    def _run(self, text: str, user: Annotated[User, InjectedToolArg]) -> str:
        return f"{text} {user.name}"


TOOLS = {
    "signature": tool(signature),
    "type": tool(stored),
    "class": Said(),
    "model": tool(args_schema=Marked)(said),
    "beside-model": tool(args_schema=Text)(signature),
    "beside-json": tool(args_schema=Text.model_json_schema())(signature),
}


@every_colour
@pytest.mark.parametrize("kind", TOOLS)
def test_hidden_from_models_and_handed_on(colour: Any, kind: str):
    made = TOOLS[kind]
    assert list(made.args) == ["text"]
    shown = made.tool_call_schema
    properties = shown["properties"] if isinstance(shown, dict) else shown.model_fields
    assert set(properties) == {"text"}
    given = {"text": "hi", "user": Store("Ada") if kind == "type" else User("Ada")}
    call = {"type": "tool_call", "id": "1", "name": made.name, "args": given}

    def body(doors: Any) -> None:
        assert doors.invoke(made, given) == "hi Ada"
        assert doors.invoke(made, call) == ToolMessage("hi Ada", tool_call_id="1", name=made.name)

    colour.run(body)


def test_they_are_checked():
    with pytest.raises(ValidationError):
        TOOLS["signature"].invoke({"text": "hi"})
    with pytest.raises(ValidationError):
        TOOLS["signature"].invoke({"text": "hi", "user": "Ada"})


def test_models_of_the_first_version_of_pydantic():
    made = tool("old", args_schema=OldMarked, description="Old.")(lambda text, user: text + user)
    assert list(made.args) == ["text"]
    assert made.invoke({"text": "a", "user": "b"}) == "ab"


@tool
def note(text: str, call: Annotated[str, InjectedToolCallId]) -> str:
    """Note."""
    return f"{call}: {text}"


@tool(args_schema=Text)
async def anote(text: str, call: Annotated[str, InjectedToolCallId()]) -> str:
    """Note."""
    return f"{call}: {text}"


@every_colour
def test_the_id_of_the_call(colour: Any):
    given = {"text": "hi", "call": "made up by the model"}
    call = {"type": "tool_call", "id": "c1", "name": "note", "args": given}

    def body(doors: Any) -> None:
        for made in (note, anote) if doors.asynchronous else (note,):
            assert doors.invoke(made, call).content == "c1: hi"
            assert doors.invoke(made, given) == "made up by the model: hi"
            with pytest.raises(ToolArgumentsError, match="full model ToolCall"):
                doors.invoke(made, {"text": "hi"})

    colour.run(body)


def test_docstrings_describe_the_arguments():
    @tool(parse_docstring=True)
    def find(query: str, limit: int = 3) -> str:
        """Find it.

        Args:
            query: What.
            limit: How many.
        """
        return query * limit

    assert find.description == "Find it."
    assert find.args["query"]["description"] == "What."
    assert asyncio.run(find.ainvoke({"query": "a"})) == "aaa"


def undocumented(bar: str) -> str:
    """The foo."""
    return bar


def misdocumented(bar: str) -> str:
    """The foo.

    Args:
        banana: The bar.
    """
    return bar


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (undocumented, "Found invalid Google-Style docstring of 'undocumented'"),
        (misdocumented, "Arg banana in docstring not found in function signature"),
    ],
)
def test_a_docstring_that_does_not_fit(function: Any, message: str):
    with pytest.raises(ToolSchemaError, match=message) as caught:
        tool(function, parse_docstring=True)
    assert isinstance(caught.value, ValueError)
    lenient = tool(function, parse_docstring=True, error_on_invalid_docstring=False)
    assert lenient.invoke({"bar": "x"}) == "x"


def documented(bar: str) -> str:
    """The foo.

    Args:
        bar: The bar.
    """
    return bar


def test_a_pickled_tool_keeps_what_its_docstring_says():
    made = tool(documented, parse_docstring=True)
    again = pickle.loads(pickle.dumps(made))
    assert again.args == made.args
    assert again.args["bar"]["description"] == "The bar."
    assert again.description == "The foo."


def test_the_errors_are_input_errors():
    with pytest.raises(InputError):
        note.invoke({"text": "hi"})
