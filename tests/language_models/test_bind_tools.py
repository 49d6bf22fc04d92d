"""`bind_tools`: what a model gets, in every colour; what is refused; whose override counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, TypedDict

import pytest
from pydantic import BaseModel, Field

from headrace.errors import ConfigError
from headrace.language_models import BaseChatModel, GenericFakeChatModel
from headrace.language_models.binding import ModelBinding, tool_choice_of
from headrace.messages import AIMessage, AIMessageChunk
from headrace.output_parsers import JsonOutputToolsParser, PydanticToolsParser
from headrace.outputs import ChatGenerationChunk
from headrace.runnables import RunnableLambda
from headrace.tools import ToolSchemaError, convert_to_openai_tool, tool
from laws.colours import every_colour


class Person(BaseModel):
    """A person."""

    name: str
    age: int


class Keys(TypedDict):
    """Keys."""

    key: Annotated[str, ..., "Which."]


@tool
def search(query: str) -> str:
    """Search."""
    return query


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


SCHEMA = {"title": "schema", "type": "object", "properties": {"x": {"type": "integer"}}}
TOOLS = [search, add, Person, Keys, SCHEMA]
NAMES = ["search", "add", "Person", "Keys", "schema"]


class Told(BaseChatModel):
    """Calls `Person`, its arguments in pieces, and keeps the keywords it was given."""

    seen: list[dict[str, Any]] = Field(default_factory=list)

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        self.seen.append({**kwargs, "stop": stop})
        pieces = ['{"na', 'me": "Ad', 'a", "ag', 'e": 36', "}"]
        for number, piece in enumerate(pieces):
            first = {"name": "Person", "id": "c1"} if number == 0 else {"name": None, "id": None}
            chunk = {**first, "args": piece, "index": 0}
            yield ChatGenerationChunk(message=AIMessageChunk("", tool_call_chunks=[chunk]))

    @property
    def _llm_type(self) -> str:
        return "told"


@every_colour
def test_the_model_gets_descriptions_and_the_choice(colour: Any):
    model = Told()
    bound = model.bind_tools(TOOLS, tool_choice="any", parallel_tool_calls=False, temperature=0)

    def body(doors: Any) -> None:
        doors.invoke(bound, "hi")
        doors.stream(bound, "hi", None)
        for seen in model.seen[-2:]:
            assert seen == {
                "tools": [convert_to_openai_tool(one) for one in TOOLS],
                "tool_choice": "any",
                "parallel_tool_calls": False,
                "temperature": 0,
                "stop": None,
            }

    colour.run(body)


@every_colour
def test_calls_stream_through_to_values(colour: Any):
    chain = Told().bind_tools([Person]) | PydanticToolsParser(tools=[Person], first_tool_only=True)

    def body(doors: Any) -> None:
        chunks = doors.stream(chain, "hi")
        assert chunks[-1] == doors.invoke(chain, "hi") == Person(name="Ada", age=36)
        assert [each.name for each in chunks] == [None, "Ad", "Ada", "Ada", "Ada"]

    colour.run(body)


def test_unsaid_keywords_are_not_bound():
    assert set(Told().bind_tools([add]).kwargs) == {"tools"}
    strict = Told().bind_tools([add], strict=True).kwargs["tools"][0]["function"]
    assert strict["strict"] is True
    assert strict["parameters"]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("given", "bound"),
    [
        (None, None),
        (False, None),
        (True, "any"),
        ("auto", "auto"),
        ("any", "any"),
        ("required", "any"),
        ("none", "none"),
        ("add", "add"),
        ({"type": "function", "function": {"name": "add"}}, "add"),
        ({"type": "tool", "name": "add"}, "add"),
        ({"type": "any"}, "any"),
        ({"type": "auto"}, "auto"),
    ],
    ids=str,
)
def test_choices_in_the_words_of_every_vendor(given: Any, bound: Any):
    assert tool_choice_of(given, NAMES) == bound


@pytest.mark.parametrize("given", ["subtract", {"name": "subtract"}, {}, 3], ids=str)
def test_a_choice_that_is_no_tool(given: Any):
    with pytest.raises(ConfigError, match=r"'search', 'add', 'Person'"):
        Told().bind_tools(TOOLS, tool_choice=given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "no tools"),
        ([add, Person, add], "two tools of the name 'add'"),
        ("add", r"bind_tools\(\[…\]\)"),
        (add, r"bind_tools\(\[…\]\)"),
        ([3], "Unsupported function 3"),
    ],
)
def test_what_is_refused(given: Any, said: str):
    with pytest.raises((ConfigError, ToolSchemaError), match=said):
        Told().bind_tools(given)


def test_tools_that_a_vendor_has_go_by_their_type():
    web = {"type": "web_search"}
    bound = Told().bind_tools([web, add], tool_choice="web_search")
    assert bound.kwargs == {
        "tools": [web, convert_to_openai_tool(add)],
        "tool_choice": "web_search",
    }


def test_what_was_bound_before_is_kept_and_tools_are_replaced():
    first = Told().bind(stop=["x"]).bind_tools([add], tool_choice="add")
    again = first.bind_tools([Person])
    assert set(again.kwargs) == {"stop", "tools"}
    assert again.kwargs["tools"] == [convert_to_openai_tool(Person)]
    assert again.bind(temperature=1).kwargs.keys() == {"stop", "tools", "temperature"}
    assert isinstance(again.with_config(tags=["t"]).bind_tools([add]), ModelBinding)
    assert again.with_config(tags=["t"]).bind_tools([add]).config["tags"] == ["t"]


def test_a_users_override_counts():
    class Own(GenericFakeChatModel):
        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return RunnableLambda(lambda _: AIMessage(f"{len(tools)} {sorted(kwargs)}"))

    model = Own(messages=iter([]))
    assert model.bind_tools([add], tool_choice="any").invoke("x").content == "1 ['tool_choice']"
    assert model.bind(stop=["x"]).bind_tools([add]).invoke("x").content == "1 []"


def test_fakes_that_call_tools():
    call = {"name": "add", "args": {"a": 1, "b": 2}, "id": "1"}
    model = GenericFakeChatModel(messages=iter([AIMessage("", tool_calls=[call])] * 2))
    chain = model.bind_tools([add]) | JsonOutputToolsParser(return_id=True)
    want = [{"type": "add", "args": {"a": 1, "b": 2}, "id": "1"}]
    assert chain.invoke("x") == want
    assert list(chain.stream("x"))[-1] == want
