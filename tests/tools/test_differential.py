"""The same tools on langchain-core and on Headrace: schemas, results, messages."""

from __future__ import annotations

import enum
from datetime import date
from typing import Annotated, Any, Literal, Optional, TypedDict

import pytest
from langchain_core import tools as lc
from langchain_core.messages import ToolMessage as LcMessage
from pydantic import BaseModel, Field, v1

from headrace import tools as ours
from headrace.messages import ToolMessage


class Point(BaseModel):
    """A point."""

    x: int
    y: int = Field(0, description="Up.")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Options(TypedDict):
    deep: bool


def plain(a: int, b: str = "x") -> Any:
    """Plain."""
    return [a, b]


def unannotated(a, b=3) -> Any:
    """Not annotated."""
    return [a, b]


def described(a: Annotated[int, "The first."], b: Annotated[str, Field(description="B.")]) -> Any:
    """Described."""
    return [a, b]


def bounded(a: Annotated[int, Field(gt=0, le=10)], *, b: float = 1.5) -> Any:
    """Bounded."""
    return [a, b]


def optional(a: Optional[int] = None, b: list[int] | None = None) -> Any:  # noqa: UP045
    """Optional."""
    return [a, b]


def choices(mode: Literal["fast", "slow"], colour: Colour = Colour.RED) -> Any:
    """Choices."""
    return [mode, colour.value]


def nested(point: Point, points: list[Point], named: dict[str, Point]) -> Any:
    """Nested."""
    return [point.x, [p.y for p in points], {k: p.x for k, p in named.items()}]


def dated(day: date, pair: tuple[int, str], flags: set[int]) -> Any:
    """Dated."""
    return [day.year, list(pair), sorted(flags)]


def spread(a: int, *args: int, **kwargs: str) -> Any:
    """Spread."""
    return [a]


def nothing() -> Any:
    """Nothing."""
    return "nothing"


def long(text: str) -> Any:
    """First line.

    More of it:
        indented.
    """
    return text


def defaulted(a: int = Field(3, description="Three.", ge=1), b: Any = "any") -> Any:
    """Defaulted."""
    return [a, b]


def unioned(a: int | str, b: bool = False) -> Any:
    """A union."""
    return [a, b]


CASES: list[tuple[Any, list[Any]]] = [
    (plain, [{"a": 1}, {"a": "2", "b": "y"}, {"a": 1, "more": 2}]),
    (unannotated, [{"a": [1]}, "text"]),
    (described, [{"a": 1, "b": "b"}]),
    (bounded, [{"a": 10, "b": 2}]),
    (optional, [{}, {"a": 1, "b": ["2"]}]),
    (choices, [{"mode": "fast"}, {"mode": "slow", "colour": "blue"}]),
    (nested, [{"point": {"x": 1}, "points": [{"x": 1, "y": 2}], "named": {"n": {"x": "3"}}}]),
    (dated, [{"day": "2020-02-02", "pair": [1, "b"], "flags": [2, 1, 2]}]),
    (spread, [{"a": 1}]),
    (nothing, [{}, "whatever", {"a": 1}]),
    (long, [{"text": "ä"}, "ä"]),
    (defaulted, [{}, {"a": 5}]),
    (unioned, [{"a": 1}, {"a": "b", "b": "true"}]),
]
cases = pytest.mark.parametrize(
    ("function", "inputs"), CASES, ids=[case[0].__name__ for case in CASES]
)


def shown(schema: Any) -> Any:
    return schema if isinstance(schema, dict) else schema.model_json_schema()


@cases
def test_schemas(function, inputs):
    theirs, made = lc.tool(function), ours.tool(function)
    assert made.args == theirs.args
    assert made.name == theirs.name
    assert made.description.split() == theirs.description.split()
    assert made.is_single_input == theirs.is_single_input
    assert shown(made.args_schema) == shown(theirs.args_schema)
    assert made.get_input_jsonschema() == theirs.get_input_jsonschema()
    assert made.get_output_jsonschema() == theirs.get_output_jsonschema()
    told, wanted = shown(made.tool_call_schema), shown(theirs.tool_call_schema)
    assert {**told, "description": ""} == {**wanted, "description": ""}
    assert told["description"].split() == wanted["description"].split()


@cases
async def test_results(function, inputs):
    theirs, made = lc.tool(function), ours.tool(function)
    for value in inputs:
        assert made.invoke(value) == theirs.invoke(value)
        assert await made.ainvoke(value) == await theirs.ainvoke(value)
        if isinstance(value, dict):
            call = {"type": "tool_call", "id": "c1", "name": "n", "args": value}
            assert fields(made.invoke(call)) == fields(theirs.invoke(call))


def fields(message: Any) -> Any:
    if isinstance(message, (ToolMessage, LcMessage)):
        names = ("content", "name", "tool_call_id", "artifact", "status", "type")
        return {name: getattr(message, name) for name in names}
    return message


BAD = [
    (plain, [{}, {"a": "x"}, {"b": 1}, None, 3]),
    (bounded, [{"a": 0}, {"a": 11}, {"a": 1, "b": "z"}]),
    (choices, [{"mode": "other"}, {}]),
    (nested, [{"point": {}, "points": 3}]),
]


@pytest.mark.parametrize(("function", "inputs"), BAD, ids=[case[0].__name__ for case in BAD])
def test_the_same_rules_are_broken(function, inputs):
    def broken(made: Any, value: Any) -> Any:
        with pytest.raises(ValueError, match="validation error") as caught:
            made.invoke(value)
        return [(each["loc"], each["type"]) for each in caught.value.errors()]

    for value in inputs:
        assert broken(ours.tool(function), value) == broken(lc.tool(function), value)


RETURNED = [
    "text", 1, None, 1.5, ["a", {"type": "text", "text": "t"}], [1], {"a": "ü"}, {1}, [], (),
    ("a", "b"), [{"type": "other"}], b"bytes",
]  # fmt: skip


@pytest.mark.parametrize("returned", RETURNED, ids=repr)
@pytest.mark.parametrize("form", ["content", "content_and_artifact"])
def test_messages(returned, form):
    def give() -> Any:
        """Give."""
        return returned if form == "content" else (returned, {"whole": 1})

    call = {"type": "tool_call", "id": "c1", "name": "give", "args": {}}
    theirs, made = (each.tool(response_format=form)(give) for each in (lc, ours))
    assert fields(made.invoke(call)) == fields(theirs.invoke(call))
    assert made.invoke({}) == theirs.invoke({})


@pytest.mark.parametrize("kind", ["model", "json"])
def test_a_given_schema(kind):
    given = Point if kind == "model" else {**Point.model_json_schema(), "title": "P"}

    def far(x: int, y: int = 7) -> Any:
        """How far."""
        return [x, y]

    theirs, made = (each.tool("far_away", args_schema=given)(far) for each in (lc, ours))
    assert made.args == theirs.args
    assert shown(made.tool_call_schema) == shown(theirs.tool_call_schema)
    assert made.invoke({"x": 1}) == theirs.invoke({"x": 1})


def test_a_schema_of_pydantics_first_version():
    class Old(v1.BaseModel):
        x: int
        y: int = 7

    def far(x: int, y: int) -> Any:
        """How far."""
        return [x, y]

    theirs, made = (each.tool(args_schema=Old)(far) for each in (lc, ours))
    assert set(made.args) == set(theirs.args) == {"x", "y"}
    assert made.invoke({"x": "1"}) == theirs.invoke({"x": "1"}) == [1, 7]
    for each in (theirs, made):
        with pytest.raises(v1.ValidationError, match="field required") as caught:
            each.invoke({})
    assert "argument 'x' is missing" in caught.value.__notes__[0]
    handled = ours.tool(args_schema=Old, handle_validation_error="no")(far)
    assert handled.invoke({}) == "no"


def test_the_input_of_a_json_schema_is_a_text_or_a_dict():
    made = ours.tool(description="d", args_schema={"properties": {}})(plain)
    kinds = {kind["type"] for kind in made.get_input_jsonschema()["anyOf"]}
    assert kinds == {"string", "object"}


def test_the_schema_follows_its_fields():
    made = ours.tool(plain)
    first = made.tool_call_schema
    assert made.tool_call_schema is first
    made.description = "Other."
    assert shown(made.tool_call_schema)["description"] == "Other."
    made.args_schema = Point
    assert list(made.args) == ["x", "y"]


def test_classes():
    def classes(module: Any) -> Any:
        class Own(module.BaseTool):
            name: str = "own"
            description: str = "Own."

            def _run(self, query: str, limit: int = 3, run_manager: Any = None) -> Any:
                return f"{query}{limit}"

        return Own()

    theirs, made = classes(lc), classes(ours)
    assert made.args == theirs.args
    for value in ("q", {"query": "q"}, {"query": "q", "limit": 4}):
        assert made.invoke(value) == theirs.invoke(value)
    call = {"type": "tool_call", "id": "c1", "name": "own", "args": {"query": "q"}}
    assert fields(made.invoke(call)) == fields(theirs.invoke(call))


def test_a_wrongly_typed_argument_of_a_class_is_refused_where_langchain_hands_it_on():
    def made(module: Any) -> Any:
        class Own(module.BaseTool):
            name: str = "own"
            description: str = "Own."

            def _run(self, limit: int) -> Any:
                return limit

        return Own()

    assert made(lc).invoke({"limit": "many"}) == "many"
    with pytest.raises(ValueError, match="valid integer"):
        made(ours).invoke({"limit": "many"})


def test_a_string_is_the_checked_first_argument_where_langchain_hands_it_on():
    def double(a: int) -> Any:
        """Double."""
        return a * 2

    assert lc.tool(double).invoke("2") == "22"
    assert ours.tool(double).invoke("2") == 4


def test_stars_are_spread_where_langchain_takes_them_for_keywords():
    def stars(*args: int, **more: int) -> Any:
        """Stars."""
        return [args, more]

    given = {"args": [1], "more": {"b": 2}}
    assert lc.tool(stars).invoke(given) == [(), {"args": (1,), "more": {"b": 2}}]
    assert ours.tool(stars).invoke(given) == [(1,), {"b": 2}]
