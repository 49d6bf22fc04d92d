"""What models are told of tools, compared with langchain-core for everything that both can read."""

from __future__ import annotations

import copy
import dataclasses
import enum
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import jsonschema
import pytest
import typing_extensions
from langchain_core import tools as lc_tools
from langchain_core.utils import function_calling as lc
from pydantic import BaseModel, ConfigDict, Field, v1
from pydantic.errors import PydanticInvalidForJsonSchema

from headrace import tools as ours
from headrace.errors import HeadraceError, InputError
from headrace.langchain import from_langchain
from headrace.language_models import FakeListChatModel
from headrace.messages import AIMessage, HumanMessage, ToolMessage
from headrace.runnables import RunnableLambda
from headrace.tools import (
    BaseTool,
    InjectedToolArg,
    InjectedToolCallId,
    Tool,
    ToolSchemaError,
    ToolTypeError,
    convert_to_json_schema,
    convert_to_openai_function,
    convert_to_openai_tool,
    tool,
    tool_example_to_messages,
)

SCHEMA = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "description": "What."},
        "limit": {"type": "integer", "description": "How many.", "default": 3},
    },
    "required": ["query"],
}
WANTED = {"name": "search", "description": "Look it up.", "parameters": SCHEMA}


def search(query: str, limit: int = 3) -> str:
    """Look it up.

    Args:
        query: What.
        limit: How many.
    """
    return query * limit


def annotated(query: Annotated[str, "What."], limit: Annotated[int, "How many."] = 3) -> str:
    """Look it up."""
    return query * limit


class Search(BaseModel):
    """Look it up."""

    model_config = ConfigDict(title="search")
    query: str = Field(description="What.")
    limit: int = Field(3, description="How many.")


class Old(v1.BaseModel):
    """Look it up."""

    query: str = v1.Field(description="What.")
    limit: int = v1.Field(3, description="How many.")


class Keys(TypedDict):
    """Look it up.

    Args:
        query: What.
    """

    query: str
    limit: Annotated[int, 3, "How many."]


class ExtendedKeys(typing_extensions.TypedDict):
    """Look it up."""

    query: Annotated[str, ..., "What."]
    limit: Annotated[int, 3, "How many."]


@dataclasses.dataclass
class Record:
    """Look it up.

    Attributes:
        query: What.
        limit: How many.
    """

    query: str
    limit: int = 3


class SearchTool(BaseTool):
    name: str = "search"
    description: str = "Look it up."

    def _run(
        self,
        query: Annotated[str, "What."],
        limit: Annotated[int, "How many."] = 3,
        *,
        user: Annotated[str, InjectedToolArg] = "",
    ) -> str:
        return query


ALL: dict[str, Any] = {
    "function": search,
    "annotated": annotated,
    "pydantic": Search,
    "pydantic-v1": Old,
    "typed-dict": Keys,
    "typed-dict-extensions": ExtendedKeys,
    "dataclass": Record,
    "tool": tool("search", parse_docstring=True)(search),
    "tool-annotated": tool("search")(annotated),
    "tool-class": SearchTool(),
    "tool-of-schema": tool("search", args_schema=SCHEMA, description="Look it up.")(search),
    "json-schema": {"title": "search", "description": "Look it up.", **SCHEMA},
    "openai": WANTED,
    "openai-tool": {"type": "function", "function": WANTED},
    "anthropic": {"name": "search", "description": "Look it up.", "input_schema": SCHEMA},
    "bedrock": {
        "toolSpec": {
            "name": "search",
            "description": "Look it up.",
            "inputSchema": {"json": SCHEMA},
        }
    },
}
NAMES = {
    "annotated": "annotated",
    "pydantic-v1": "Old",
    "typed-dict": "Keys",
    "typed-dict-extensions": "ExtendedKeys",
    "dataclass": "Record",
}
each_form = pytest.mark.parametrize("form", ALL)


@each_form
def test_every_form_says_the_same(form: str):
    given = ALL[form]
    before = copy.deepcopy(given) if isinstance(given, dict) else None
    wanted = {**WANTED, "name": NAMES.get(form, "search")}
    assert convert_to_openai_function(given) == wanted
    assert convert_to_openai_tool(given) == {"type": "function", "function": wanted}
    assert convert_to_json_schema(given) == {
        "title": wanted["name"],
        "description": "Look it up.",
        **SCHEMA,
    }
    closed = convert_to_openai_function(given, strict=True)
    assert closed == {
        **wanted,
        "strict": True,
        "parameters": {**SCHEMA, "required": ["query", "limit"], "additionalProperties": False},
    }
    assert convert_to_openai_tool(given, strict=True)["function"] == closed
    assert convert_to_openai_function(given, strict=False) == {**wanted, "strict": False}
    assert before is None or given == before


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    """A part."""

    title: str = Field("x", title="The Title")
    colours: list[Colour] = []


class Whole(BaseModel):
    """A whole."""

    part: Part = Field(description="The first.")
    other: Part | int | None = None
    table: dict[str, Part] = {}
    word: Literal["a", "b"] = "a"


def of_many(
    part: Part,
    parts: list[Part],
    either: int | str | None = None,
    anything: Any = None,
    more: dict[str, Any] | None = None,
) -> None:
    """Of many."""


def nothing() -> None:
    """Nothing."""


def silent(x: int) -> None: ...


def starred(*args: int, **kwargs: str) -> None:
    """Starred."""


async def later(x: int) -> None:
    """Later."""


def injected(
    x: int,
    state: Annotated[dict[str, Any], InjectedToolArg],
    call: Annotated[str, InjectedToolCallId()],
) -> None:
    """Injected."""


SAME: list[tuple[Any, Any]] = [
    (one, one) for one in (Part, Whole, of_many, nothing, silent, starred, later, Old, search)
]
SAME += [
    (ours.tool(of_many), lc_tools.tool(of_many)),
    (ours.tool(nothing), lc_tools.tool(nothing)),
    (Tool("t", str, "Of a text."), lc_tools.Tool("t", str, "Of a text.")),
]


@pytest.mark.parametrize("strict", [None, False, True])
@pytest.mark.parametrize("pair", SAME, ids=lambda pair: getattr(pair[0], "__name__", "tool"))
def test_the_same_as_langchain(pair: tuple[Any, Any], strict: bool | None):
    mine, theirs = pair
    assert convert_to_openai_function(mine, strict=strict) == lc.convert_to_openai_function(
        theirs, strict=strict
    )
    assert convert_to_openai_tool(mine) == lc.convert_to_openai_tool(theirs)
    assert convert_to_json_schema(mine) == lc.convert_to_json_schema(theirs)


def test_injected_arguments_are_not_told_of():
    properties = convert_to_openai_function(injected)["parameters"]["properties"]
    assert properties == {"x": {"type": "integer"}}
    made = convert_to_openai_function(tool(injected))["parameters"]
    assert made["properties"] == properties
    assert made["required"] == ["x"]


def test_strict_reaches_into_tuples():
    class Pair(BaseModel):
        pair: tuple[int, Part]

    closed = convert_to_openai_function(Pair, strict=True)["parameters"]
    part = closed["properties"]["pair"]["prefixItems"][1]
    assert part["required"] == ["title", "colours"]
    assert part["additionalProperties"] is False


@pytest.mark.parametrize(
    "kind",
    ["web_search", "web_search_preview_2025_03_11", "mcp", "apply_patch", "image_generation"],
)
def test_tools_that_a_vendor_has_go_through(kind: str):
    given = {"type": kind, "size": 3}
    assert convert_to_openai_tool(given) == given == lc.convert_to_openai_tool(given)
    with pytest.raises(ToolSchemaError, match="valid OpenAI-format tool"):
        convert_to_json_schema(given)


def test_a_custom_tool():
    mine = Tool("t", str, "d", metadata={"type": "custom_tool", "format": {"type": "text"}})
    theirs = lc_tools.Tool("t", str, "d", metadata=mine.metadata)
    assert convert_to_openai_tool(mine) == lc.convert_to_openai_tool(theirs)


class Tree(BaseModel):
    """A tree."""

    label: str
    below: list[Tree] = []


def test_a_class_that_contains_itself_keeps_its_schema():
    function = convert_to_openai_function(Tree, strict=True)
    check = jsonschema.Draft202012Validator(function["parameters"])
    assert check.is_valid({"label": "a", "below": [{"label": "b", "below": []}]})
    assert not check.is_valid({"label": "a", "below": [{"label": 3, "below": []}]})
    assert not check.is_valid({"label": "a", "below": [{"label": "b", "below": [], "c": 1}]})


class Inner(TypedDict, total=False):
    """Inside."""

    size: Annotated[int, Field(ge=1)]
    note: typing_extensions.Required[str]


class Outer(TypedDict):
    one: Inner
    many: list[Inner]
    maybe: NotRequired[Record | None]
    own: Outer
    plain: Annotated[str, "Said."]
    preset: Annotated[float | None, None]
    word: Annotated[Literal["a", "b"], ..., "Which."]


def test_a_typed_dict_of_others():
    parameters = convert_to_openai_function(Outer)["parameters"]
    properties = parameters["properties"]
    inside = {
        "type": "object",
        "description": "Inside.",
        "properties": {"size": {"type": "integer", "minimum": 1}, "note": {"type": "string"}},
        "required": ["note"],
    }
    assert properties["one"] == inside
    assert properties["many"]["items"] == inside
    assert properties["maybe"]["anyOf"][0]["required"] == ["query"]
    assert properties["plain"] == {"type": "string", "description": "Said."}
    assert properties["preset"]["default"] is None
    assert properties["word"] == {"enum": ["a", "b"], "type": "string", "description": "Which."}
    assert set(parameters["required"]) == {"one", "many", "own", "plain", "word"}


class Odd:
    """What JSON cannot say."""


class HasOdd(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    odd: Odd


def test_a_type_that_json_cannot_say():
    with pytest.raises(ToolTypeError, match=r"'HasOdd' must be JSON-serializable") as caught:
        convert_to_openai_function(HasOdd)
    assert isinstance(caught.value, PydanticInvalidForJsonSchema)
    assert isinstance(caught.value, HeadraceError)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"type": "object", "properties": {}}, "must have a top-level 'title' key"),
        ({"x": 1}, "OpenAI's, Anthropic's or Bedrock's"),
        (3, "Unsupported function 3"),
        (RunnableLambda(search), "as_tool"),
        (SearchTool, r"SearchTool\(\)"),
    ],
    ids=str,
)
def test_what_describes_no_tool(given: Any, said: str):
    with pytest.raises(ToolSchemaError, match=said) as caught:
        convert_to_openai_function(given)
    assert isinstance(caught.value, ValueError)


def test_a_tool_of_langchains_names_the_bridge():
    def add(a: int) -> int:
        """Add."""
        return a

    theirs = lc_tools.StructuredTool.from_function(add)
    with pytest.raises(ToolSchemaError, match=r"LangChain's: give from_langchain\(…\).*headrace\."):
        convert_to_openai_function(theirs)
    with pytest.raises(ToolSchemaError, match="from_langchain"):
        FakeListChatModel(responses=["b"]).bind_tools([theirs])
    ours = convert_to_openai_function(from_langchain(theirs))
    assert ours == lc.convert_to_openai_function(theirs)


def test_strict_said_twice_in_two_ways():
    with pytest.raises(ToolSchemaError, match="already has a 'strict' key"):
        convert_to_openai_function({**WANTED, "strict": False}, strict=True)


def test_partials_methods_and_objects_that_can_be_called():
    class Caller:
        """A caller."""

        def __call__(self, a: int, b: str = "x") -> None: ...

        def method(self, a: int) -> None:
            """M."""

    def name_and_keys(given: Callable[..., Any]) -> tuple[str, list[str]]:
        found = convert_to_openai_function(given)
        return found["name"], sorted(found["parameters"]["properties"])

    assert name_and_keys(Caller()) == ("Caller", ["a", "b"])
    assert name_and_keys(Caller().method) == ("method", ["a"])
    assert name_and_keys(Caller.method) == ("method", ["a"])
    assert name_and_keys(partial(search, limit=4))[0] == "search"


def test_an_example_as_messages():
    said = tool_example_to_messages(
        "Find it.", [Search(query="a"), Part()], ["one", "two"], ai_response="Done."
    )
    assert [type(each) for each in said] == [
        HumanMessage,
        AIMessage,
        ToolMessage,
        ToolMessage,
        AIMessage,
    ]
    calls = said[1].tool_calls  # type: ignore[attr-defined]
    assert [call["name"] for call in calls] == ["Search", "Part"]
    assert calls[0]["args"] == {"query": "a", "limit": 3}
    assert [each.tool_call_id for each in said[2:4]] == [call["id"] for call in calls]  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="must match"):
        tool_example_to_messages("x", [Part()], [])


def test_nothing_that_is_given_is_changed_by_strict():
    schema = {"title": "f", "type": "object", "properties": {"x": {"$ref": "#/$defs/X"}},
              "$defs": {"X": {"type": "object", "properties": {"y": {}}}}}  # fmt: skip
    before = copy.deepcopy(schema)
    closed = convert_to_openai_function(schema, strict=True)
    assert schema == before
    assert closed["parameters"]["$defs"]["X"]["required"] == ["y"]
