"""Schemas: partial values at every cut without the user's code, validation, places, names."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import decimal
import enum
import json
import pickle
import typing
from collections.abc import Sequence
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar

import pytest
import typing_extensions
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    ValidationError,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.v1 import BaseModel as V1BaseModel

from headrace.errors import ConfigError, OutputParserException
from headrace.jsonstream import NOTHING, JsonStream
from headrace.output_parsers.schemas import Schema, schema_of
from laws.counted import assert_linear

CALLED: list[str] = []


def refuse(value: Any) -> Any:
    CALLED.append("after")
    raise ValueError("never on partials")


class Colour(enum.Enum):
    RED = "red"
    REDDISH = "reddish"
    NONE = None
    ONE = 1


class City(BaseModel):
    name: str = Field(min_length=5)
    size: int = Field(gt=1000, alias="sz")

    @field_validator("name")
    @classmethod
    def _named(cls, value: str) -> str:
        CALLED.append("field")
        return value

    @property
    def shout(self) -> str:
        return (self.name or "").upper()


class Country(BaseModel):
    """A country of the world."""

    name: Literal["France", "Spain"]
    colour: Colour | None = None
    founded: datetime.date | None = None
    cities: list[City] = Field(min_length=1)
    checked: Annotated[int, AfterValidator(refuse)] = 0
    boss: Country | None = None

    @model_validator(mode="after")
    def _whole(self) -> Country:
        CALLED.append("model")
        return self

    def model_post_init(self, context: Any) -> None:
        CALLED.append("init")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def first(self) -> str:
        return self.cities[0].name

    @field_serializer("founded")
    def _year(self, value: datetime.date) -> int:
        return value.year


class Tagged(typing_extensions.TypedDict):
    name: str
    n: int


class Plain(typing.TypedDict, total=False):
    word: Annotated[str, ..., "a word"]
    count: Annotated[int, 3, "how many"]
    tags: typing.Required[list[str]]


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: list[Tagged]
    z: float = 1.5

    def __post_init__(self) -> None:
        CALLED.append("post")


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Cow(BaseModel):
    kind: Literal["cow"]
    milk: float


X = TypeVar("X")


class Box(BaseModel, Generic[X]):
    inside: X


COUNTRY = {
    "name": "France",
    "colour": "reddish",
    "founded": "1958-10-04",
    "cities": [{"name": "Paris", "sz": 2000000}, {"name": "Marseille", "sz": 870000}],
    "checked": 3,
    "boss": {"name": "Spain", "cities": [{"name": "Madrid", "sz": 3000000}]},
}


def snapshots(value: Any, size: int = 1) -> list[Any]:
    stream, text = JsonStream(), json.dumps(value)
    pieces = (text[at : at + size] for at in range(0, len(text), size))
    return [copy.deepcopy(stream.value) for piece in pieces if stream.feed(piece)]


def grown(given: Any, value: Any, size: int = 1) -> list[Any]:
    """Every partial value of a stream, by the form that keeps what it made."""
    stream, growing, text = JsonStream(), schema_of(given).growing(), json.dumps(value)
    pieces = (text[at : at + size] for at in range(0, len(text), size))
    return [growing.partial(stream.value) for piece in pieces if stream.feed(piece)]


def dumped(partial: Any) -> Any:
    """A partial value as plain values, without what has not come."""
    if isinstance(partial, BaseModel):
        return {k: dumped(getattr(partial, k)) for k in partial.model_fields_set}
    if dataclasses.is_dataclass(partial):
        named = {f.name: getattr(partial, f.name) for f in dataclasses.fields(partial)}
        return {k: dumped(v) for k, v in named.items() if v is not None}
    if isinstance(partial, (list, tuple)):
        return [dumped(each) for each in partial]
    if isinstance(partial, dict):
        return {key: dumped(each) for key, each in partial.items()}
    return partial


# ---- partial values ------------------------------------------------------------------------------


def test_a_class_grows_without_any_of_the_users_code():
    CALLED.clear()
    shown = grown(Country, COUNTRY)
    assert CALLED == []
    assert all(isinstance(each, Country) for each in shown)
    assert shown[0].model_fields_set == set()
    assert shown[0].name is None
    last = shown[-1]
    assert last.colour is Colour.REDDISH
    assert last.founded == datetime.date(1958, 10, 4)
    assert [city.name for city in last.cities] == ["Paris", "Marseille"]
    assert last.cities[0].size == 2000000
    assert last.cities[0].shout == "PARIS"
    assert last.checked == 3
    assert last.boss.cities[0].name == "Madrid"


def test_halves_that_are_of_the_wrong_type_are_left_out():
    names = {each.name for each in grown(Country, COUNTRY)}
    assert names == {None, "France"}
    colours = {each.colour for each in grown(Country, COUNTRY)}
    assert colours == {None, Colour.RED, Colour.REDDISH}
    assert {each.founded for each in grown(Country, {"founded": "1958-10-04"})} == {
        None,
        datetime.date(1958, 10, 4),
    }


def test_every_field_is_optional_at_any_depth():
    partial = schema_of(Country).partial({"boss": {"cities": [{}]}})
    for made in (partial, partial.boss, partial.boss.cities[0]):
        assert not any(field.is_required() for field in type(made).model_fields.values())
        assert isinstance(made, (Country, City))
    assert type(partial).model_validate({}).name is None  # the derived class has no validators
    assert type(partial)(name="anything").name == "anything"


def test_dumping_a_partial_needs_none_of_the_users_serializers():
    partial = schema_of(Country).partial(
        {"name": "France", "founded": "1958", "cities": [{"sz": 3}]}
    )
    assert partial.model_dump(exclude_unset=True, by_alias=True) == {
        "name": "France",
        "cities": [{"sz": 3}],
    }
    assert partial.model_dump()["founded"] is None


@pytest.mark.parametrize("size", [1, 3, 50])
@pytest.mark.parametrize(
    ("given", "value"),
    [
        (Country, COUNTRY),
        (list[Country], [COUNTRY, COUNTRY]),
        (Point, {"x": 12, "y": [{"name": "a", "n": 10}, {"name": "b", "n": 2}], "z": 2.5}),
        (Tagged, {"name": "abc", "n": 12}),
        (Plain, {"word": "abc", "count": 4, "tags": ["x", "yy"]}),
        (dict[str, list[int]], {"a": [1, 20], "b": [], "c": [3]}),
        (tuple[int, str, list[int]], [1, "ab", [12, 3]]),
        (Country.model_json_schema(), COUNTRY),
        (Cat | Cow, {"kind": "cow", "milk": 2.5}),
        (list[Cat | Cow], [{"kind": "cat", "lives": 9}, {"kind": "cow", "milk": 2.5}]),
        (Box[Box[int]], {"inside": {"inside": 12}}),
    ],
    ids=str,
)
def test_what_is_kept_from_snapshot_to_snapshot_is_what_one_would_make_of_it(given, value, size):
    schema = schema_of(given)
    one_by_one = [schema.partial(each) for each in snapshots(value, size)]
    assert grown(given, value, size) == one_by_one
    assert dumped(one_by_one[-1]) is not NOTHING


@given(st.data())
def test_a_partial_value_of_anything_raises_nothing(data):
    value = data.draw(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["name", "cities", "sz", "boss", "x", "y", "kind", "inside"]),
                    inner,
                )
            ),
        )
    )
    kinds = [Country, Point, Tagged, Plain, Cat | Cow, Box[int], set[str], Country | None, Colour]
    for kind in [*kinds, Country.model_json_schema(), list[Country], dict[str, City]]:
        CALLED.clear()
        schema_of(kind).partial(value)
        assert CALLED == []


def test_a_union_shows_once_it_is_clear_which_arm_it_is():
    shown = grown(Cat | Cow, {"kind": "cat", "lives": 9})
    kinds = [type(each).__name__ if each is not NOTHING else None for each in shown]
    assert kinds[:2] == [None, None]
    assert set(kinds[3:]) == {"PartialCat"}
    assert [schema_of(int | str).partial(each) for each in (1, "a", None)] == [1, "a", NOTHING]


def test_an_open_element_that_does_not_fit_is_left_out_and_a_closed_one_keeps_its_place():
    assert grown(list[Literal["one", "two"]], ["one", "two"])[-1] == ["one", "two"]
    assert schema_of(list[Literal["one", "two"]]).partial(["one", "tw"]) == ["one"]
    assert schema_of(list[int]).partial([1, "x", 3]) == [1, None, 3]
    assert schema_of(set[str]).partial(["a", "b", "a"]) == {"a", "b"}
    assert schema_of(set[Box[int]]).partial([{"inside": 1}]) == set()


def test_what_does_not_change_keeps_its_identity():
    growing = schema_of(Country).growing()
    first = growing.partial({"name": "Fr"})
    assert growing.partial({"name": "Fran"}) is first
    assert growing.partial({"name": "France"}) is not first
    stream, growing, before = JsonStream(), schema_of(list[City]).growing(), None
    for piece in json.dumps(COUNTRY["cities"]):
        if stream.feed(piece):
            after = growing.partial(stream.value)
            if before and len(after) == 2 == len(before):
                assert after[0] is before[0]
            before = after


LONG_ONES = {
    "list": (list[City], lambda n: [{"name": "a", "sz": 1}] * n),
    "optional list": (list[str] | None, lambda n: ["ab"] * n),
    "lists in fields": (Country, lambda n: {"boss": {"cities": [{"name": "a"}] * n}}),
    "list in list": (list[list[int]], lambda n: [[1, 2], [1] * n]),
    "dict": (dict[str, int], lambda n: {f"key {i:5}": 1 for i in range(n)}),
    "optional dict": (dict[str, int] | None, lambda n: {f"key {i:5}": 1 for i in range(n)}),
    "object": ({"type": "object"}, lambda n: {f"key {i:5}": 1 for i in range(n)}),
    "array": ({"type": "array", "items": {"type": "integer"}}, lambda n: [12] * n),
    "string": (Country, lambda n: {"name": "ab" * n}),
}


@pytest.mark.parametrize(("given", "value"), LONG_ONES.values(), ids=LONG_ONES)
def test_twice_the_text_costs_twice(given, value):
    def run(pieces):
        stream, growing = JsonStream(), schema_of(given).growing()
        for piece in pieces:
            if stream.feed(piece):
                growing.partial(stream.value)

    def pieces(n):
        text = json.dumps(value(n))
        return [text[at : at + 4] for at in range(0, len(text), 4)]

    assert_linear(run, pieces, 500)


@pytest.mark.parametrize(("given", "value"), LONG_ONES.values(), ids=LONG_ONES)
def test_long_values_that_are_kept_and_that_are_not(given, value):
    """Containers whose holders let go of them are used again: they show the same."""
    schema, stream, growing = schema_of(given), JsonStream(), schema_of(given).growing()
    whole = value(400)
    kept = []
    for n, sign in enumerate(json.dumps(whole)):
        if stream.feed(sign):
            partial = growing.partial(stream.value)
            if n % 501 < 3:
                kept.append((partial, copy.deepcopy(partial)))
    assert all(partial == then for partial, then in kept)
    assert growing.partial(stream.value) == schema.partial(whole)


def test_values_already_shown_are_never_changed():
    shown = grown(Country, COUNTRY, 2)
    frozen = [copy.deepcopy(dumped(each)) for each in shown]
    assert [dumped(each) for each in shown] == frozen
    assert frozen[0] != frozen[-1]


def test_a_key_that_comes_again_is_told_and_all_is_looked_at_anew():
    growing = schema_of(dict[str, list[int]]).growing()
    assert growing.partial({"a": [1, 2, 3], "b": [1]}) == {"a": [1, 2, 3], "b": [1]}
    assert growing.partial({"a": [4, 5, 6, 7], "b": [1]}, again=True) == {
        "a": [4, 5, 6, 7],
        "b": [1],
    }


def test_aliases_extra_fields_private_ones_and_root_models():
    class Lenient(BaseModel):
        model_config = ConfigDict(extra="allow", populate_by_name=True)
        name: str = Field(validation_alias=AliasChoices("n", "nom"))
        _secret: int = PrivateAttr(default=7)

    for key in ("n", "nom", "name"):
        partial = schema_of(Lenient).partial({key: "a", "more": [1]})
        assert (partial.name, partial.more, partial._secret) == ("a", [1], 7)

    class Many(RootModel[list[City]]):
        pass

    partial = schema_of(Many).partial([{"name": "Paris"}])
    assert isinstance(partial, Many)
    assert partial.root[0].name == "Paris"
    assert schema_of(Many).partial("text") is NOTHING


def test_types_that_are_written_in_other_words():
    Name = NewType("Name", str)

    class Mine:
        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
            return handler.generate_schema(int)

    class Wordy(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        name: Name
        price: decimal.Decimal
        parts: Sequence[int]
        mine: Mine
        thing: Any

    Cities = typing_extensions.TypeAliasType("Cities", list[City])
    assert schema_of(Cities).partial([{"name": "Paris"}])[0].name == "Paris"
    Many = typing_extensions.TypeAliasType("Many", list[X], type_params=(X,))  # type: ignore[valid-type]
    assert schema_of(Many[City]).partial([{"name": "Paris"}])[0].name == "Paris"
    partial = schema_of(Wordy).partial(
        {"name": "a", "price": "1.50", "parts": [1], "mine": 3, "thing": {"a": [1]}}
    )
    assert (partial.name, partial.price, partial.parts) == ("a", decimal.Decimal("1.50"), [1])
    assert partial.mine is None  # its reader is the user's code
    assert partial.thing == {"a": [1]}


def test_a_partial_value_is_pickled_and_copied():
    for kind, value in [(City, {"name": "Paris"}), (Point, {"x": 1})]:
        partial = schema_of(kind).partial(value)
        again = pickle.loads(pickle.dumps(partial))
        assert dumped(again) == dumped(partial)
        assert type(again) is type(partial)
        assert dumped(copy.copy(partial)) == dumped(partial)


def test_a_dataclass_is_of_a_derived_class_with_all_of_its_fields():
    CALLED.clear()
    partial = schema_of(Point).partial({"x": 3, "y": [{"name": "a"}]})
    assert isinstance(partial, Point)
    assert (partial.x, partial.y, partial.z) == (3, [{"name": "a"}], None)
    assert repr(partial) == "PartialPoint(x=3, y=[{'name': 'a'}], z=None)"
    assert CALLED == []


# ---- the whole -----------------------------------------------------------------------------------


def test_the_whole_is_validated_by_all_of_the_users_code():
    CALLED.clear()
    with pytest.raises(ValidationError):
        schema_of(Country).validate({**COUNTRY, "checked": 4})
    assert {"field", "after"} <= set(CALLED)
    given = {key: value for key, value in COUNTRY.items() if key != "checked"}
    whole = schema_of(Country).validate(given | {"cities": COUNTRY["cities"][:1]})
    assert isinstance(whole, Country)
    assert whole.first == "Paris"
    assert schema_of(Point).validate({"x": 1, "y": []}) == Point(1, [])
    assert schema_of(Tagged).validate({"name": "a", "n": 1}) == {"name": "a", "n": 1}
    assert schema_of(list[City]).validate([{"name": "Paris", "sz": 2000}])[0].size == 2000


def test_a_strict_class_takes_what_json_has_for_its_types():
    class Strict(BaseModel):
        model_config = ConfigDict(strict=True)
        when: datetime.date
        colour: Colour

    whole = schema_of(Strict).validate({"when": "2024-01-02", "colour": "red"})
    assert (whole.when, whole.colour) == (datetime.date(2024, 1, 2), Colour.RED)
    with pytest.raises(OutputParserException, match="when"):
        schema_of(Strict).checked({"when": 3, "colour": "red"})


def test_what_is_wrong_is_said_in_a_sentence_with_field_and_rule():
    wrong = {"name": "Italy", "cities": [{"name": "Rom", "sz": 5}], "colour": "blue", "founded": 1}
    with pytest.raises(OutputParserException) as info:
        schema_of(Country).checked(wrong, "the text", what="countries[2]")
    said = str(info.value)
    assert said.startswith("Failed to parse Country from completion {")
    assert "for countries[2]: at name: Input should be 'France' or 'Spain' (literal_error)" in said
    assert said.endswith(", and 2 more.")
    assert info.value.llm_output == "the text"
    assert isinstance(info.value.__cause__, ValidationError)
    with pytest.raises(OutputParserException) as info:
        schema_of(Tagged).checked({"name": "a"})
    assert info.value.llm_output == '{"name": "a"}'


def test_a_typed_dict_of_typing_and_its_notes():
    schema = schema_of(Plain)
    assert schema.validate({"tags": ["a"], "count": 4}) == {"tags": ["a"], "count": 4}
    with pytest.raises(ValidationError):
        schema.validate({"word": "a"})
    told = schema.json_schema()
    assert told["required"] == ["tags"]
    assert told["properties"]["word"]["description"] == "a word"
    assert told["properties"]["count"] == {
        "default": 3,
        "description": "how many",
        "title": "Count",
        "type": "integer",
    }

    class Outer(typing.TypedDict):
        inner: list[Plain]
        maybe: Plain | None

    whole = {"inner": [{"tags": []}], "maybe": None}
    assert schema_of(Outer).validate(whole) == whole
    assert schema_of(Outer).partial({"inner": [{"word": "a"}]}) == {"inner": [{"word": "a"}]}


def test_names_descriptions_and_json_schemas():
    named = [Country, list[Country], Plain, Point, Country.model_json_schema(), dict[str, int]]
    names = [schema_of(one).name for one in named]
    assert names == ["Country", "list_Country", "Plain", "Point", "Country", "dict_str_int"]
    assert schema_of(Country).description == "A country of the world."
    assert schema_of(Point).description == ""
    assert schema_of(int).description == ""
    function = {
        "name": "tell",
        "description": "Tells.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    }
    for form in (function, {"type": "function", "function": function}):
        schema = schema_of(form)
        assert (schema.name, schema.description) == ("tell", "Tells.")
        assert schema.json_schema() == function["parameters"]
    written = schema_of(list[City]).json_schema(refs=False)
    assert "$defs" not in written
    assert written["items"]["properties"]["sz"]["exclusiveMinimum"] == 1000
    assert schema_of(Country).json_schema(refs=False)["properties"]["boss"]["anyOf"][0] == {
        "$ref": "#/$defs/Country"
    }


def test_schemas_are_kept_and_pass_through():
    assert schema_of(Country) is schema_of(Country)
    assert schema_of(schema_of(Country)) is schema_of(Country)
    assert isinstance(schema_of({"type": "object"}), Schema)


@pytest.mark.parametrize("given", [None, 3, "Country", object(), lambda: 1, {"$dynamicRef": "#a"}])
def test_what_is_no_schema_is_refused(given):
    with pytest.raises(ConfigError):
        schema_of(given)


# ---- places --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "path", "right", "wrong"),
    [
        (Country, "cities[*]", {"name": "Paris", "sz": 2000}, {"name": "Pa", "sz": 2000}),
        (Country, "cities[*].name", "Paris", "Pa"),
        (Country, "cities[0].sz", 2000, 10),
        (Country, "boss.cities[*].name", "Paris", "Pa"),
        (list[Country], "[*].cities", [{"name": "Paris", "sz": 2000}], "text"),
        (Point, "y[*].n", 3, "three"),
        (Plain, "tags[*]", "a", 3),
        (dict[str, list[int]], "anything[*]", 3, "three"),
        (dict[str, list[int]], ".*[*]", 3, "three"),
        (tuple[int, str], "[1]", "a", 3),
        (Cat | Cow, "milk", 2.5, "much"),
        (Country.model_json_schema(), "boss.cities[*].name", "Paris", "Pa"),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, "[0]", "a", 3),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "any", 3, "a"),
    ],
)
def test_the_schema_of_a_place(given, path, right, wrong):
    schema = schema_of(given).at(path)
    schema.checked(right)
    with pytest.raises(OutputParserException):
        schema.checked(wrong)


@pytest.mark.parametrize(
    ("given", "path", "words"),
    [
        (Country, "towns[*]", "no key 'towns' in Country"),
        (Country, "cities.name", "no key 'name' in list"),
        (Country, "name[*]", "no element"),
        (Point, "q", "it has \\['x', 'y', 'z'\\]"),
        (Country, "cities[", "cannot be read"),
        (Tagged, "name.first", "no key 'first' in str"),
        (Country.model_json_schema(), "towns", "no key 'towns'"),
    ],
)
def test_a_path_that_leads_nowhere(given, path, words):
    with pytest.raises(ConfigError, match=words):
        schema_of(given).at(path)


def test_a_class_of_the_first_version():
    class Old(V1BaseModel):
        name: str
        n: int

    schema = schema_of(Old)
    assert schema.validate({"name": "a", "n": 1}) == Old(name="a", n=1)
    assert schema.partial({"name": "a"}) == {"name": "a"}
    assert schema.name == "Old"
    with pytest.raises(OutputParserException, match="at n: field required"):
        schema.checked({"name": "a"})
