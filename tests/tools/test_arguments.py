"""Arguments are checked before a body runs, whatever describes them; the error names the argument
and the rule."""

# Annotations are objects here: pydantic 1 reads no postponed ones of a function's own classes.
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
import typing_extensions
from pydantic import BaseModel, Field, v1

from headrace.tools import BaseTool, StructuredTool, Tool
from laws.colours import every_colour


class Model(BaseModel):
    a: int
    b: Annotated[str, Field(min_length=2)] = "xx"


class Old(v1.BaseModel):
    a: int
    b: str = v1.Field("xx", min_length=2)


class Keys(typing_extensions.TypedDict):
    x: int
    y: typing_extensions.NotRequired[str]


@dataclass
class Record:
    x: int
    y: list[int] = field(default_factory=list)


class Nested(BaseModel):
    inner: Model
    more: list[Model] = []


SCHEMA = {
    "type": "object",
    "title": "json",
    "description": "d",
    "properties": {
        "a": {"type": "integer", "minimum": 1},
        "b": {"type": "array", "items": {"type": "string"}},
        "o": {"type": "object", "properties": {"k": {"enum": ["x", "y"]}}},
    },
    "required": ["a"],
    "additionalProperties": False,
}
began: list[Any] = []


def of_two(a: Any, b: Any = "xx") -> Any:
    """Of two."""
    began.append((a, b))


def of_nested(inner: Any, more: Any = ()) -> Any:
    """Of nested."""
    began.append((inner, more))


def of_json(a: Any = None, b: Any = None, o: Any = None) -> Any:
    """Of JSON."""
    began.append((a, b, o))


def of_classes(keys: Keys, record: Record) -> Any:
    """Of classes."""
    began.append((keys, record))


def of_constraints(
    mode: Literal["a", "b"],
    n: Annotated[int, Field(ge=1, le=3)] = 1,
    items: list[int] = Field(default_factory=list),  # noqa: B008
) -> Any:
    """Of constraints."""
    began.append((mode, n, items))


def of_stars(a: int, *args: int, **more: float) -> Any:
    """Of stars."""
    began.append((a, args, more))


def of_unions(a: int | None, b: int | str, c: dict[str, int]) -> Any:
    """Of unions."""
    began.append((a, b, c))


class Own(BaseTool):
    name: str = "own"
    description: str = "Own."

    def _run(self, n: Annotated[int, Field(gt=0)], text: str = "") -> Any:
        began.append((n, text))


def made(function: Any, schema: Any = None) -> StructuredTool:
    return StructuredTool.from_function(function, args_schema=schema)


TWO, OLD, NESTED = made(of_two, Model), made(of_two, Old), made(of_nested, Nested)
JSON, CLASSES, CONSTRAINTS = made(of_json, SCHEMA), made(of_classes), made(of_constraints)
STARS, UNIONS, OWN = made(of_stars), made(of_unions), Own()
TEXT = Tool("text", of_two, "Text.", args_schema=Model)

WRONG: list[tuple[Any, Any, list[str]]] = [
    (TWO, {"a": "x"}, ["argument 'a' is 'x'", "valid integer"]),
    (TWO, {"a": 1, "b": "x"}, ["argument 'b' is 'x'", "at least 2 characters"]),
    (TWO, {}, ["argument 'a' is missing"]),
    (TWO, "x", ["argument 'a' is 'x'"]),
    (TWO, 5, ["its input is 5"]),
    (TWO, None, ["its input is None"]),
    (OLD, {"a": "x"}, ["argument 'a' is 'x'", "valid integer"]),
    (OLD, {"a": 1, "b": "x"}, ["argument 'b' is 'x'", "at least 2 characters"]),
    (OLD, {}, ["argument 'a' is missing"]),
    (OLD, 5, ["its input is 5", "expected dict"]),
    (NESTED, {"inner": {"a": "q"}}, ["argument 'inner.a' is 'q'", "valid integer"]),
    (NESTED, {"inner": {"a": 1}, "more": [{"a": 1}, {"b": 3}]},
     ["argument 'more.1.a' is missing", "argument 'more.1.b' is 3", "valid string"]),
    (JSON, {"a": 0}, ["at a: 0", "minimum of 1"]),
    (JSON, {"a": "1"}, ["at a: '1'", "type 'integer'"]),
    (JSON, {"b": []}, ["'a' is a required property"]),
    (JSON, {"a": 1, "b": [1]}, ["at b[0]: 1", "type 'string'"]),
    (JSON, {"a": 1, "o": {"k": "z"}}, ["at o.k: 'z'", "['x', 'y']"]),
    (JSON, {"a": 1, "z": 1}, ["'z' was unexpected"]),
    (JSON, "s", ["takes a dict of arguments", "'s'"]),
    (CLASSES, {"keys": {"x": "q"}, "record": {"x": 1}}, ["argument 'keys.x' is 'q'"]),
    (CLASSES, {"keys": {"x": 1}, "record": {"x": 1, "y": ["a"]}}, ["argument 'record.y.0' is 'a'"]),
    (CLASSES, {"keys": {"x": 1}, "record": {}}, ["argument 'record.x' is missing"]),
    (CONSTRAINTS, {"mode": "c"}, ["argument 'mode' is 'c'", "'a' or 'b'"]),
    (CONSTRAINTS, {"mode": "a", "n": 9}, ["argument 'n' is 9", "less than or equal to 3"]),
    (CONSTRAINTS, {"mode": "a", "items": ["q"]}, ["argument 'items.0' is 'q'"]),
    (STARS, {"a": 1, "args": ["q"]}, ["argument 'args.0' is 'q'"]),
    (UNIONS, {"a": "q", "b": 1, "c": {"z": "q"}}, ["argument 'a' is 'q'", "argument 'c.z' is 'q'"]),
    (UNIONS, {"b": 1}, ["argument 'a' is missing", "argument 'c' is missing"]),
    (OWN, {"n": 0}, ["argument 'n' is 0", "greater than 0"]),
    (OWN, {"n": 1, "m": 2}, ["it has no argument 'm'", "['n', 'text']"]),
    (TEXT, {"a": "x"}, ["argument 'a' is 'x'"]),
]  # fmt: skip


@every_colour
@pytest.mark.parametrize(
    ("tool", "given", "said"), WRONG, ids=[f"{n}-{each[0].name}" for n, each in enumerate(WRONG)]
)
def test_the_argument_and_the_rule_are_named_and_nothing_has_run(colour, tool, given, said):
    def body(doors: Any) -> None:
        began.clear()
        with pytest.raises((ValueError, TypeError)) as caught:
            doors.invoke(tool, given)
        notes = [note for note in getattr(caught.value, "__notes__", ()) if "has not run" in note]
        sentence = notes[0] if notes else str(caught.value)
        assert tool.name in sentence
        for part in said:
            assert part in sentence
        assert began == []

    colour.run(body)


RIGHT: list[tuple[Any, Any, Any]] = [
    (TWO, {"a": "1"}, (1, "xx")),
    (OLD, {"a": "1"}, (1, "xx")),
    (NESTED, {"inner": {"a": 1}}, (Model(a=1), [])),
    (JSON, {"a": 1, "b": ["x"]}, (1, ["x"], None)),
    (CLASSES, {"keys": {"x": "1"}, "record": {"x": 1}}, ({"x": 1}, Record(1))),
    (CONSTRAINTS, {"mode": "a"}, ("a", 1, [])),
    (STARS, {"a": 1, "args": ["2"], "more": {"z": "3"}}, (1, (2,), {"z": 3.0})),
    (UNIONS, {"a": None, "b": "q", "c": {}}, (None, "q", {})),
    (OWN, {"n": "2"}, (2, "")),
]


@every_colour
@pytest.mark.parametrize(
    ("tool", "given", "ran"), RIGHT, ids=[f"{n}-{each[0].name}" for n, each in enumerate(RIGHT)]
)
def test_what_arrives_is_converted_and_has_its_defaults(colour, tool, given, ran):
    def body(doors: Any) -> None:
        began.clear()
        doors.invoke(tool, given)
        assert began == [ran]

    colour.run(body)


def test_a_default_that_is_made_is_made_anew():
    began.clear()
    CONSTRAINTS.invoke({"mode": "a"})
    began[0][2].append(1)
    CONSTRAINTS.invoke({"mode": "a"})
    assert began[1][2] == []
