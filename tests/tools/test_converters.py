"""What models are told of more than sixty things, compared with langchain-core word for word."""

# Annotations are objects here: langchain-core cannot read postponed ones everywhere.
import datetime
import decimal
import enum
import ipaddress
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypedDict, TypeVar, Union

import pytest
import typing_extensions
from langchain_core import tools as lc_tools
from langchain_core.utils import function_calling as lc
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field, v1

from docs.pages import ROOT
from headrace import tools as ours
from headrace.tools import (
    convert_to_json_schema,
    convert_to_openai_function,
    convert_to_openai_tool,
)

# ---- functions ----------------------------------------------------------------------------------


class Place(BaseModel):
    """A place."""

    name: str = Field(description="What people call it.")
    height: float = Field(0.0, description="In metres.", ge=-500)


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Pair(NamedTuple):
    a: int
    b: str


class Options(typing_extensions.TypedDict):
    deep: bool
    tags: list[str]


def no_doc(x: int) -> None: ...


def no_annotations(a, b=3, *, c=None):  # type: ignore[no-untyped-def]
    """No annotations."""


def positional(a: int, /, b: int, *, c: int = 3) -> None:
    """By place and by name."""


def literals(
    mode: Literal["a", "b"], number: Literal[1, 2] = 1, mixed: Literal["x", 3] = 3
) -> None:
    """Literals."""


def enums(size: Size, level: Level = Level.LOW) -> None:
    """Enums."""


def unions(a: Union[int, str], b: int | None, c: Optional[list[str]] = None) -> None:  # noqa: UP007, UP045
    """Unions."""


def containers(
    a: list[int], b: dict[str, float], c: tuple[int, str], d: set[str], e: Sequence[int],
    f: Mapping[str, int], g: tuple[int, ...], h: frozenset[int], i: list, j: dict,
) -> None:  # fmt: skip
    """Containers."""


def models(
    place: Place, places: list[Place], named: dict[str, Place], maybe: Place | None = None
) -> None:
    """Models."""


def typed_dicts(options: Options, more: list[Options]) -> None:
    """TypedDicts."""


def described(
    a: Annotated[int, "The first."], b: Annotated[str, Field(description="B.")] = "x"
) -> None:
    """Described."""


def bounded(
    a: Annotated[int, Field(ge=1, le=9)], b: Annotated[str, Field(min_length=2, pattern="^a")]
) -> None:
    """Bounded."""


def dates(a: datetime.date, b: datetime.datetime, c: datetime.time, d: datetime.timedelta) -> None:
    """Dates."""


def others(a: uuid.UUID, b: decimal.Decimal, c: bytes, d: ipaddress.IPv4Address) -> None:
    """Other types."""


def anything(a: Any, b: object, c: Any = None) -> None:
    """Anything."""


def defaults(
    a: int = 1, b: str = "x", c: float = 1.5, d: bool = True, e: list[int] = [1],  # noqa: B006
    f: dict[str, int] = {"a": 1}, g: None = None,  # noqa: B006
) -> None:  # fmt: skip
    """Defaults."""


NO_NUMBERS: Any = Field(default_factory=list)


def field_defaults(a: int = Field(3, description="Three."), b: list[int] = NO_NUMBERS) -> None:
    """Defaults of pydantic."""


def nested_lists(a: list[list[int]], b: dict[str, dict[str, list[Place]]]) -> None:
    """Nested."""


def named_tuple(pair: Pair) -> None:
    """A named tuple."""


def one_object(place: Place) -> None:
    """One object."""


async def asynchronous(a: int, b: str = "x") -> None:
    """Async."""


def stars(*args: int, **kwargs: str) -> None:
    """Stars."""


def google(query: str, limit: int = 3, *, deep: bool = False) -> str:
    """Look it up.

    Slowly, and in all places.

    Args:
        query: What to look for,
            in words.
        limit (int): How many: at most.
        deep: Whether to go
            further.

    Returns:
        What was found.

    Raises:
        ValueError: Nothing was.
    """
    return query


def google_some(query: str, limit: int = 3) -> str:
    """Look it up.

    Args:
        query: What.
    """
    return query


def google_no_args(query: str) -> str:
    """Look it up.

    Returns:
        What was found.
    """
    return query


def long_doc(query: str) -> str:
    """Look it up.

    More of it.
    """
    return query


def odd_names(class_: int, _b: int = 1, aB: str = "", **kw: Any) -> None:
    """Odd names."""


def returns_nothing() -> None:
    """Take nothing."""


def callable_argument(a: int, b: Literal[True] = True) -> None:
    """A literal bool."""


FUNCTIONS: list[Callable[..., Any]] = [
    no_doc, no_annotations, positional, literals, enums, unions, containers, models, typed_dicts,
    described, bounded, dates, others, anything, defaults, field_defaults, nested_lists,
    named_tuple, one_object, asynchronous, stars, google, google_some, google_no_args, long_doc,
    odd_names, returns_nothing, callable_argument,
]  # fmt: skip

# ---- classes ------------------------------------------------------------------------------------


class Empty(BaseModel):
    """Empty."""


class Undocumented(BaseModel):
    x: int


class Titled(BaseModel):
    """Titled."""

    model_config = ConfigDict(title="a_title")
    x: int = Field(title="The X")


class Aliased(BaseModel):
    """Aliased."""

    class_: str = Field(alias="class", description="Which.")


class Closed(BaseModel):
    """Closed."""

    model_config = ConfigDict(extra="forbid")
    x: int


class Opened(BaseModel):
    """Open."""

    model_config = ConfigDict(extra="allow")
    x: int


class Base(BaseModel):
    """The base."""

    a: int = Field(description="From the base.")


class Derived(Base):
    """Derived."""

    b: str = "x"


class Within(BaseModel):
    """Models in models."""

    place: Place
    places: list[Place] = []
    either: Place | Base | None = None
    size: Size = Size.SMALL


class Discriminated(BaseModel):
    """One of two."""

    class Cat(BaseModel):
        kind: Literal["cat"]
        lives: int = 9

    class Dog(BaseModel):
        kind: Literal["dog"]
        name: str

    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


class Extra(BaseModel):
    """With more in the schema."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"x": 1}]})
    x: int = Field(examples=[1, 2], json_schema_extra={"unit": "m"})


class Deprecated(BaseModel):
    """Deprecated."""

    x: int = Field(0, deprecated=True)
    y: int = Field(0, exclude=True)


class Computed(BaseModel):
    """Computed."""

    x: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return 2 * self.x


class Numbers(RootModel[list[int]]):
    """Numbers."""


class Holding(BaseModel):
    """Holding."""

    numbers: Numbers
    pairs: list[tuple[int, str]]
    title: str = "its title"
    description: str = Field("d", description="Of a field of that name.")


T = TypeVar("T")


class Box(BaseModel, Generic[T]):
    """A box."""

    content: T
    more: list[T] = []


class OldPlace(v1.BaseModel):
    """A place."""

    name: str = v1.Field(description="What people call it.", min_length=1)
    height: float = 0.0


class OldWithin(v1.BaseModel):
    """Models in models."""

    place: OldPlace
    places: list[OldPlace] = []
    word: Literal["a", "b"] = "a"


class OldEmpty(v1.BaseModel):
    """Empty."""


class Keys(TypedDict):
    """Keys.

    Args:
        a: The first.
        b: The second.
    """

    a: int
    b: str


class AnnotatedKeys(TypedDict):
    """Keys."""

    a: Annotated[int, ..., "The first."]
    b: Annotated[str | None, None, "The second."]
    c: Annotated[list[str], ..., "The third."]


class ExtensionKeys(typing_extensions.TypedDict):
    """Keys."""

    a: Annotated[int, ..., "The first."]
    b: Literal["x", "y"]


class KeysWithin(TypedDict):
    """Keys in keys."""

    one: Annotated[Keys, ..., "One."]
    many: Annotated[list[ExtensionKeys], ..., "Many."]


class BareKeys(TypedDict):
    x: int


CLASSES: list[Any] = [
    Empty, Undocumented, Titled, Aliased, Closed, Opened, Derived, Within, Discriminated, Extra,
    Deprecated, Computed, Holding, Box[int], Place, OldPlace, OldWithin, OldEmpty, Keys,
    AnnotatedKeys, ExtensionKeys, KeysWithin, BareKeys,
]  # fmt: skip

# ---- dicts --------------------------------------------------------------------------------------

X = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
DICTS: dict[str, dict[str, Any]] = {
    "schema": {"title": "f", "description": "d", **X},
    "schema without description": {"title": "f", **X},
    "schema without properties": {"title": "f", "description": "d", "type": "object"},
    "schema closed": {"title": "f", "description": "d", **X, "additionalProperties": False},
    "schema within": {
        "title": "f", "description": "d", "type": "object",
        "properties": {"o": X, "l": {"type": "array", "items": X}, "e": {"enum": [1, "a", None]}},
    },
    "schema with choices": {
        "title": "f", "description": "d", "type": "object",
        "properties": {"a": {"anyOf": [X, {"type": "null"}]}, "b": {"const": 3}},
    },
    "schema with titles": {
        "title": "f", "description": "d", "type": "object",
        "properties": {"title": {"title": "Title", "type": "string"}},
    },
    "schema with definitions": {
        "title": "f", "description": "d", "type": "object", "$defs": {"X": X},
        "properties": {"a": {"$ref": "#/$defs/X"}},
    },
    "openai": {"name": "f", "description": "d", "parameters": X},
    "openai without description": {"name": "f", "parameters": X},
    "openai without parameters": {"name": "f", "description": "d"},
    "openai strict": {"name": "f", "description": "d", "parameters": X, "strict": True},
    "openai and more": {"name": "f", "description": "d", "parameters": X, "extra": 1},
    "anthropic": {"name": "f", "description": "d", "input_schema": X},
    "anthropic and more": {
        "name": "f", "description": "d", "input_schema": X, "cache_control": {"type": "ephemeral"},
    },
    "bedrock": {"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": X}}},
}  # fmt: skip

# ---- the comparison -----------------------------------------------------------------------------

THINGS: dict[str, tuple[Any, Any]] = {
    **{each.__name__: (each, each) for each in (*FUNCTIONS, *CLASSES)},
    **{name: (given, given) for name, given in DICTS.items()},
    **{
        f"tool {each.__name__}": (ours.tool(each), lc_tools.tool(each))
        for each in FUNCTIONS
        if each is not no_doc
    },
    **{
        f"tool of {each.__name__}": tuple(
            module.StructuredTool(name="t", description="d", func=google, args_schema=each)
            for module in (ours, lc_tools)
        )
        for each in (Place, Within, Holding, OldPlace)
    },
}


# What differs on purpose, by the row of docs/differences.md that says why.
DIFFERENT = {
    "positional": "tool-odd-names",
    "odd_names": "tool-odd-names",
    "tool positional": "tool-odd-names",
    "tool odd_names": "tool-odd-names",
    "AnnotatedKeys": "schema-typed-dict",
    "KeysWithin": "schema-typed-dict",
    "BareKeys": "schema-typed-dict",
    "Discriminated": "schema-strict-tuple",
    "schema without properties": "strict-nothing",
    "openai without parameters": "strict-nothing",
}
CONVERTERS = [
    (convert_to_openai_function, lc.convert_to_openai_function),
    (convert_to_openai_tool, lc.convert_to_openai_tool),
    (convert_to_json_schema, lc.convert_to_json_schema),
]
STRICT = [None, False, True]


def outcome(convert: Callable[..., Any], given: Any, strict: bool | None) -> Any:
    """What it gives, its description without the indentation of the source; or that it raises."""
    try:
        found = convert(given, strict=strict)
    except Exception as error:
        return "raises", isinstance(error, ValueError)
    told = found.get("function", found)
    if "description" in told:
        told["description"] = told["description"].split()
    return found


def outcomes(name: str) -> list[tuple[Any, Any]]:
    mine, theirs = THINGS[name]
    return [
        (outcome(convert, mine, strict), outcome(other, theirs, strict))
        for convert, other in CONVERTERS
        for strict in STRICT
    ]


def test_there_are_enough():
    assert len(THINGS) - len(DIFFERENT) >= 60


@pytest.mark.parametrize("name", [name for name in THINGS if name not in DIFFERENT])
def test_the_same(name):
    for mine, theirs in outcomes(name):
        assert mine == theirs


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_has_a_row(name):
    assert any(mine != theirs for mine, theirs in outcomes(name))
    assert not any(mine[0] == "raises" for mine, _ in outcomes(name) if isinstance(mine, tuple))
    page = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    assert f'<a id="{DIFFERENT[name]}"></a>' in page
