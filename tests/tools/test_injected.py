"""Arguments that no model gives: hidden from it, checked and filled in when the tool is called."""

from __future__ import annotations

import asyncio
import pickle
from typing import Annotated, Any

import pytest
from langchain_core import tools as lc_tools
from langgraph.prebuilt import InjectedState, ToolRuntime
from pydantic import BaseModel, ValidationError, v1

from headrace.callbacks import BaseCallbackHandler
from headrace.errors import InputError
from headrace.events import RunEnded, RunStarted
from headrace.messages import ToolMessage
from headrace.tools import (
    BaseTool,
    InjectedToolArg,
    InjectedToolCallId,
    ToolArgumentsError,
    ToolSchemaError,
    convert_to_openai_tool,
    render_text_description,
    render_text_description_and_args,
    tool,
)
from headrace.tools.injected import DirectlyInjectedToolArg
from headrace.views.codec import to_json
from laws.colours import every_colour
from laws.ledger import Recorder


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


# ---- what is injected is nobody's business ------------------------------------------------------


class Kept(BaseCallbackHandler):
    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_tool_start(self, serialized: Any, input_str: str, **kwargs: Any) -> None:
        self.told.append((serialized, input_str, kwargs))

    def on_tool_error(self, error: BaseException, **kwargs: Any) -> None:
        self.told.append((str(error), repr(error), error.__notes__, error.errors()))  # type: ignore[attr-defined]


def events_of(doors: Any, runnable: Any, given: Any, config: Any) -> list[Any]:
    if not doors.asynchronous:
        return [*runnable.stream_events(given, config), *runnable.stream_log(given, config)]

    async def collected() -> list[Any]:
        events: list[Any] = [each async for each in runnable.astream_events(given, config)]
        return events + [each async for each in runnable.astream_log(given, config)]

    return doors.wait(collected())


def secretive(text: str, user: Annotated[str, InjectedToolArg], number: int = 1) -> str:
    """Say."""
    return f"{text} {len(user)}"


class Secretive(BaseTool):
    name: str = "secretive"
    description: str = "Say."

    def _run(self, text: str, user: Annotated[str, InjectedToolArg], number: int = 1) -> str:
        return f"{text} {len(user)}"


class Given(BaseModel):
    text: str
    user: Annotated[str, InjectedToolArg]
    number: int = 1


class OldGiven(v1.BaseModel):
    text: str
    user: Annotated[str, InjectedToolArg]
    number: int = 1


SECRETIVE = {
    "signature": lambda: tool(secretive),
    "class": Secretive,
    "model": lambda: tool("secretive", args_schema=Given, description="Say.")(
        lambda text, user, number: f"{text} {len(user)}"
    ),
    "old-model": lambda: tool("secretive", args_schema=OldGiven, description="Say.")(
        lambda text, user, number: f"{text} {len(user)}"
    ),
    "beside-json": lambda: tool(args_schema=Text.model_json_schema())(secretive),
    "beside-model": lambda: tool(args_schema=Text)(secretive),
}


@every_colour
@pytest.mark.parametrize("kind", SECRETIVE)
def test_no_observer_gets_it(colour: Any, kind: str):
    made = SECRETIVE[kind]()
    chain = made | (lambda answer: answer)
    given = {"text": "hi", "user": "topsecret"}
    call = {"type": "tool_call", "id": "1", "name": made.name, "args": given}

    def body(doors: Any) -> None:
        for asked in (given, call):
            recorder, kept = Recorder(), Kept()
            config = {"callbacks": [recorder, kept]}
            answer = doors.invoke(made, asked, config)
            assert "hi 9" in str(answer)
            told = [*recorder.events, *kept.told, *events_of(doors, made, asked, config)]
            own = [e for e in recorder.events if isinstance(e, (RunStarted, RunEnded))]
            assert own
            assert all("hi" in str(e.input) for e in own)
            assert "topsecret" not in repr(told)
            assert "topsecret" not in "".join(map(to_json, recorder.events))
            assert given["user"] == "topsecret"  # the caller's own dict is as it was
        inside = [e for e in events_of(doors, chain, call, {}) if "tool" in str(e)]
        shown = [e for e in inside if isinstance(e, dict) and e["name"] == made.name]
        assert shown
        assert "topsecret" not in repr(shown)

    colour.run(body)


@every_colour
@pytest.mark.parametrize("kind", ["signature", "class", "model", "old-model"])
def test_no_error_quotes_it(colour: Any, kind: str):
    made = SECRETIVE[kind]()

    def body(doors: Any) -> None:
        for wrong in ({"user": "topsecret"}, {"text": [], "number": "x", "user": "topsecret"}):
            kept, recorder = Kept(), Recorder()
            with pytest.raises((ValidationError, v1.ValidationError)) as caught:
                doors.invoke(made, wrong, {"callbacks": [kept, recorder]})
            error: Any = caught.value
            assert "text" in str(error)
            assert "argument 'text'" in error.__notes__[0]
            assert "topsecret" not in repr([str(error), repr(error), kept.told, recorder.events])
            assert error.__context__ is None or error.__suppress_context__
        with pytest.raises((ValidationError, v1.ValidationError)) as caught:
            doors.invoke(made, {"text": "a", "user": ["topsecret"]})
        error = caught.value
        assert "argument 'user' (injected, not shown) is wrong" in error.__notes__[0]
        assert "topsecret" not in repr([str(error), error.errors(), error.__notes__])
        with pytest.raises((ValidationError, v1.ValidationError)) as caught:
            doors.invoke(made, {"text": "a"})
        assert "'user' is missing (it is injected: whoever calls" in caught.value.__notes__[0]

    colour.run(body)


def test_other_errors_are_pydantics_own():
    with pytest.raises(ValidationError) as caught:
        tool(secretive).invoke({"text": [1], "user": "topsecret", "number": "x"})
    assert [(each["type"], each["loc"], each["input"]) for each in caught.value.errors()] == [
        ("string_type", ("text",), [1]),
        ("int_parsing", ("number",), "x"),
    ]
    assert caught.value.title == "secretive"


def test_no_converter_and_no_text_shows_it():
    for make in SECRETIVE.values():
        made = make()
        shown = [
            convert_to_openai_tool(made),
            render_text_description([made]),
            render_text_description_and_args([made]),
            made.args,
        ]
        assert "user" not in repr(shown)
    assert "user" not in repr(convert_to_openai_tool(secretive))


@tool
def look(
    query: str,
    state: Annotated[dict[str, Any], InjectedState("messages")],
    user: Annotated[str, lc_tools.InjectedToolArg],
    call: Annotated[str, lc_tools.InjectedToolCallId],
) -> str:
    """Look."""
    return f"{query} {state['a']} {user} {call}"


@tool
def look_about(query: str, runtime: ToolRuntime) -> str:
    """Look."""
    return query


def test_langchains_own_marks_hide_an_argument_too():
    assert list(look.args) == ["query"]
    given = {"query": "q", "state": {"a": 1}, "user": "Ada"}
    call = {"type": "tool_call", "id": "c1", "name": "look", "args": given}
    assert look.invoke(call).content == "q 1 Ada c1"
    with pytest.raises(ValidationError) as caught:
        look.invoke({**call, "args": {"query": "q"}})
    assert "argument 'state' is missing (it is injected: whoever" in caught.value.__notes__[0]
    assert list(look_about.args) == ["query"]
    told = convert_to_openai_tool(look_about)["function"]["parameters"]
    assert told["required"] == ["query"]
