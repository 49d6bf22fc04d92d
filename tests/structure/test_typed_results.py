"""`PydanticOutputParser` with every kind of schema: partial forms, no user's code on partials, one
validation at the end, elements one by one."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import pickle
import uuid
from collections import Counter
from typing import Annotated, Any, Generic, Literal, NotRequired, Optional, Required, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    TypeAdapter,
    computed_field,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict

from headrace.errors import ConfigError
from headrace.language_models import FakeListChatModel
from headrace.output_parsers import OutputParserException, PydanticOutputParser
from headrace.prompts import PromptTemplate
from headrace.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough
from laws.colours import END, both_drivers, every_colour
from laws.effort import examples
from laws.ledger import LEDGER, Source
from structure.scripted import Said, cuts

CALLS: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def no_calls():
    CALLS.clear()


def counted_factory() -> list[str]:
    CALLS["factory"] += 1
    return ["by default"]


class Country(BaseModel):
    """A country."""

    name: str = Field(min_length=2)
    population: float = Field(gt=0)


class Atlas(BaseModel):
    title: str
    countries: list[Country]
    edition: int


class Watched(BaseModel):
    """Everything of a user's that could run on a partial value."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Annotated[str, Field(alias="theName", pattern="^[A-Z]")]
    age: int = Field(ge=10)
    tags: list[str] = Field(default_factory=counted_factory)
    _secret: int = PrivateAttr(default=7)

    @field_validator("age")
    @classmethod
    def check_age(cls, value: int) -> int:
        CALLS["field"] += 1
        return value + 1

    @field_validator("name", mode="before")
    @classmethod
    def check_name(cls, value: Any) -> Any:
        CALLS["field before"] += 1
        return value

    @model_validator(mode="before")
    @classmethod
    def first(cls, data: Any) -> Any:
        CALLS["before"] += 1
        return data

    @model_validator(mode="wrap")
    @classmethod
    def around(cls, data: Any, handler: Any) -> Any:
        CALLS["wrap"] += 1
        return handler(data)

    @model_validator(mode="after")
    def last(self) -> Watched:
        CALLS["after"] += 1
        return self

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        CALLS["post_init"] += 1

    @computed_field
    @property
    def shout(self) -> str:
        CALLS["computed"] += 1
        return self.name.upper()


@dataclasses.dataclass
class Point:
    x: int
    label: str = "none"
    near: list[Point] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        CALLS["post_init"] += 1
        if self.x < 0:
            raise ValueError("x is negative")


class Loose(TypedDict, total=False):
    a: Required[int]
    b: str
    c: list[int]


class Strict(TypedDict):
    a: int
    b: NotRequired[str]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    breed: str


class Owner(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


class Undecided(BaseModel):
    pet: Cat | Dog | None = None
    both: int | str = 0


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


T = TypeVar("T")


class Box(BaseModel, Generic[T]):
    item: T
    more: list[T] = []


class Numbers(RootModel[list[int]]):
    pass


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Mixed(BaseModel):
    colour: Colour
    day: datetime.date
    ident: uuid.UUID
    price: decimal.Decimal
    deep: list[int | None] | None = None
    table: dict[str, list[int]]
    pair: tuple[int, str]
    size: Literal["s", "m", 1]
    unique: set[int]


MIXED = {
    "colour": "blue",
    "day": "2024-02-29",
    "ident": "12345678-1234-5678-1234-567812345678",
    "price": "12.50",
    "deep": [1, None, 22],
    "table": {"k": [1, 2], "l": []},
    "pair": [10, "ten"],
    "size": 1,
    "unique": [3, 4],
}

JSON_SCHEMA: dict[str, Any] = {
    "title": "Order",
    "$defs": {
        "Line": {
            "type": "object",
            "properties": {"item": {"type": "string"}, "count": {"type": "integer", "minimum": 1}},
            "required": ["item", "count"],
        }
    },
    "type": "object",
    "properties": {
        "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
        "first": {"$ref": "#/$defs/Line"},
        "state": {"enum": ["new", "newest", None]},
        "note": {"type": ["string", "null"]},
    },
    "required": ["lines"],
}
ORDER = {
    "lines": [{"item": "nut", "count": 12}, {"item": "bolt", "count": 3}],
    "first": {"item": "nut", "count": 12},
    "state": "newest",
    "note": None,
}

KINDS: dict[str, tuple[Any, Any]] = {
    "model": (
        Atlas,
        {"title": "Big", "countries": [{"name": "Fiji", "population": 0.9}], "edition": 2},
    ),
    "validators": (Watched, {"theName": "Ada", "age": 36}),
    "dataclass": (Point, {"x": 12, "near": [{"x": 3, "label": "there"}]}),
    "typeddict-total-false": (Loose, {"a": 12, "c": [1, 22]}),
    "typeddict-not-required": (Strict, {"a": 12}),
    "list-of-typeddicts": (list[Strict], [{"a": 12}, {"a": 3, "b": "xy"}]),
    "discriminated": (Owner, {"pet": {"kind": "cat", "lives": 9}}),
    "discriminated-late": (Owner, {"pet": {"breed": "pug", "kind": "dog"}}),
    "union": (Undecided, {"pet": {"kind": "dog", "breed": "pug"}, "both": "4x"}),
    "self-referencing": (
        Tree,
        {"value": 1, "children": [{"value": 2, "children": [{"value": 30}]}]},
    ),
    "generic": (Box[Tree], {"item": {"value": 3}, "more": [{"value": 44}]}),
    "generic-of-int": (Box[int], {"item": 12, "more": [3, 44]}),
    "root": (Numbers, [1, 22, 3]),
    "mixed": (Mixed, MIXED),
    "list-of-models": (list[Country], [{"name": "Fiji", "population": 0.9}]),
    "dict-of-models": (dict[str, Cat], {"a": {"kind": "cat", "lives": 9}}),
    "optional": (Optional[Cat], {"kind": "cat", "lives": 9}),  # noqa: UP045
    "int": (int, 12),
    "json-schema": (JSON_SCHEMA, ORDER),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def wanted(schema: Any, value: Any) -> Any:
    return value if isinstance(schema, dict) else TypeAdapter(schema).validate_python(value)


def said(value: Any) -> str:
    return json.dumps(value)


# ---- every kind of schema, in every door --------------------------------------------------------


@every_colour
@every_kind
def test_the_end_is_the_validated_value_in_every_door(colour, kind):
    schema, value = KINDS[kind]

    def body(doors):
        result = wanted(schema, value)
        chain = FakeListChatModel(responses=[said(value)]) | PydanticOutputParser(
            pydantic_object=schema
        )
        assert doors.invoke(chain, "x") == result
        assert type(doors.invoke(chain, "x")) is type(result)
        last = doors.stream(chain, "x")[-1]
        assert last == result
        assert type(last) is type(result)
        behind = chain | (lambda value: ("seen", value))
        assert doors.stream(behind, "x") == [("seen", result)]
        assert doors.batch(chain, ["x", "y"]) == [result, result]

    colour.run(body)


@every_kind
def test_any_cut_gives_the_same_end(kind):
    schema, value = KINDS[kind]
    text, result = said(value), wanted(schema, value)
    reader = PydanticOutputParser(pydantic_object=schema)
    step = max(1, len(text) // 40)
    for at in range(0, len(text), step):
        assert list(reader.transform(iter([text[:at], text[at:]])))[-1] == result


@given(st.data())
@examples(30)
def test_any_cuts_of_an_atlas(data):
    schema, value = KINDS["model"]
    emit = data.draw(st.sampled_from(["partial", "delimited"]))
    pieces = data.draw(cuts(said(value)))
    chunks = list(PydanticOutputParser(pydantic_object=schema, emit=emit).transform(iter(pieces)))
    assert chunks[-1] == Atlas(**value)
    for chunk in chunks:
        assert value["title"].startswith(chunk.title or "")
        if emit == "delimited":
            assert chunk.edition in (None, 2)
            assert [c.population in (None, 0.9) for c in chunk.countries or []].count(False) == 0


@every_kind
def test_partials_come_before_the_end(kind):
    schema, value = KINDS[kind]
    return_count = 1 if kind == "int" else 3
    chunks = list(PydanticOutputParser(pydantic_object=schema).transform(iter(said(value))))
    assert len(chunks) >= return_count


# ---- no user's code on partials -----------------------------------------------------------------


@both_drivers
@pytest.mark.parametrize("emit", ["partial", "delimited"])
def test_validators_run_once_at_the_end(colour, emit):
    def body(doors):
        CALLS.clear()
        reader = PydanticOutputParser(pydantic_object=Watched, emit=emit)
        source = Source(list('{"theName": "Ada", "age": 36}'))
        stream = doors.open_transform(reader, source)
        seen = []
        while (chunk := stream.next()) is not END:
            seen.append(chunk)
            if not isinstance(chunk, Watched) or type(chunk) is not Watched:
                assert not set(CALLS) - {"computed"}, f"{dict(CALLS)} on {chunk!r}"
        assert type(seen[-1]) is Watched
        assert seen[-1].age == 37
        for name in ("field", "field before", "before", "wrap", "after", "post_init", "factory"):
            assert CALLS[name] == 1, (name, CALLS)

    colour.run(body)


def test_validators_run_once_in_invoke():
    PydanticOutputParser(pydantic_object=Watched).invoke('{"theName": "Ada", "age": 36}')
    assert set(CALLS.values()) == {1}, CALLS
    assert "computed" not in CALLS


def test_all_of_a_partial_can_be_used_without_the_user_s_code():
    chunks = list(
        PydanticOutputParser(pydantic_object=Watched).transform(
            iter('{"theName": "Ada", "age": 36}')
        )
    )
    partial = chunks[3]
    CALLS.clear()
    for use in (repr, str, hash, lambda one: one == chunks[4], lambda one: one.model_copy()):
        use(partial)
    assert partial.age is None
    assert partial.name == chunks[3].name
    assert CALLS["field"] == CALLS["after"] == CALLS["before"] == CALLS["post_init"] == 0


def test_post_init_of_a_dataclass_runs_on_whole_values_only():
    text = '{"x": 12, "near": [{"x": 3}]}'
    counts = []
    for _ in PydanticOutputParser(pydantic_object=Point).transform(iter(text)):
        counts.append(CALLS["post_init"])  # noqa: PERF401
    assert counts[-1] == 2
    assert set(counts[:-1]) == {0}


def test_a_validator_that_fails_does_so_at_the_end():
    shown = []
    with pytest.raises(OutputParserException, match="x is negative"):
        for chunk in PydanticOutputParser(pydantic_object=Point).transform(iter('{"x": -3}')):
            shown.append(chunk)  # noqa: PERF402
    assert shown and shown[-1].x == -3


@both_drivers
def test_complete_runs_the_validators_of_an_element_when_it_closes(colour):
    def body(doors):
        CALLS.clear()
        elements = '[{"theName": "Ada", "age": 36}, {"theName": "Bob", "age": 40}]'
        reader = PydanticOutputParser(pydantic_object=list[Watched], emit="complete")
        stream = doors.open_transform(reader, Source(list(elements)))
        first = stream.next()
        assert (type(first), first.name, CALLS["after"]) == (Watched, "Ada", 1)
        second = stream.next()
        assert (second.name, CALLS["after"]) == ("Bob", 2)
        stream.rest()

    colour.run(body)


REGISTRY: list[str] = []


class Registered(BaseModel):
    """A base that keeps a list of its kinds, as plugin systems do."""

    def __init_subclass__(cls, *, key: str, **more: Any) -> None:
        super().__init_subclass__(**more)
        REGISTRY.append(key)

    value: int


class Plugin(Registered, key="plugin"):
    name: str


@pytest.mark.parametrize("emit", ["partial", "delimited"])
def test_a_class_whose_subclasses_need_an_argument(emit):
    """The derived form is the library's own affair: the user's `__init_subclass__` has no say."""
    reader = PydanticOutputParser(pydantic_object=Plugin, emit=emit)
    assert reader.invoke('{"value": 1, "name": "x"}') == Plugin(value=1, name="x")
    chunks = list(reader.transform(iter('{"value": 12, "name": "x"}')))
    assert chunks[-1] == Plugin(value=12, name="x")
    assert len(chunks) > 2
    assert REGISTRY == ["plugin"]


class Own(BaseModel):
    """Special methods of a user's that no library may call by accident."""

    a: list[int]

    def __init__(self, **data: Any) -> None:
        CALLS["init"] += 1
        super().__init__(**data)

    def _never(self, *_: Any) -> Any:
        raise AssertionError("called by the library")

    __bool__ = __add__ = __radd__ = __eq__ = __len__ = _never
    __hash__ = None  # type: ignore[assignment]


@every_colour
def test_special_methods_of_the_user_are_left_alone(colour):
    def body(doors):
        CALLS.clear()
        reader = PydanticOutputParser(pydantic_object=Own)
        model = FakeListChatModel(responses=['{"a": [1, 22]}'])
        chain = RunnableParallel(x=model | reader) | (lambda both: [type(both["x"])])
        assert doors.stream(chain, "x") == [[Own]]
        assert CALLS["init"] == 1
        assert doors.stream(model | reader, "x")[-1].a == [1, 22]

    colour.run(body)


def test_a_class_that_is_strict_reads_json_as_json():
    class Exact(BaseModel):
        model_config = ConfigDict(strict=True)
        day: datetime.date
        unique: set[int]
        pair: tuple[int, str]

    text = '{"day": "2024-02-29", "unique": [1], "pair": [1, "x"]}'
    reader = PydanticOutputParser(pydantic_object=Exact)
    assert reader.invoke(text) == Exact.model_validate_json(text)
    assert list(reader.transform(iter(text)))[-1] == Exact.model_validate_json(text)


def test_the_derived_class_is_made_once():
    """A chain that is built for each request must not leave a class behind each time."""
    kinds = {
        type(next(PydanticOutputParser(pydantic_object=Atlas).transform(iter('{"title": "a'))))
        for _ in range(5)
    }
    assert len(kinds) == 1


def test_methods_and_properties_of_the_class_work_on_partials():
    class Sized(BaseModel):
        a: int

        @property
        def twice(self) -> int:
            return self.a * 2

    chunks = list(PydanticOutputParser(pydantic_object=Sized).transform(iter('{"a": 12}')))
    assert chunks[1].twice == 2
    assert isinstance(chunks[1], Sized)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (
            {
                "title": "N",
                "type": "object",
                "properties": {"next": {"$ref": "#"}, "v": {"type": "integer"}},
            },
            {"v": 1, "next": {"v": 22}},
        ),
        (
            {
                "title": "N",
                "definitions": {"P": {"type": "object", "properties": {"n": {"type": "integer"}}}},
                "type": "object",
                "properties": {"p": {"allOf": [{"$ref": "#/definitions/P"}]}},
            },
            {"p": {"n": 12}},
        ),
        (
            {
                "title": "N",
                "type": "object",
                "properties": {"p": {"oneOf": [{"type": "string"}, {"type": "object"}]}},
            },
            {"p": {"q": "ab"}},
        ),
        ({"title": "N", "type": "object", "additionalProperties": {"type": "integer"}}, {"p": 12}),
        (
            {
                "title": "N",
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
            },
            [12, "x"],
        ),
    ],
)
def test_json_schemas_of_all_kinds(schema, value):
    reader = PydanticOutputParser(pydantic_object=schema)
    chunks = list(reader.transform(iter(json.dumps(value))))
    assert chunks[-1] == value == reader.invoke(json.dumps(value))
    assert len(chunks) > 1


@pytest.mark.parametrize(
    "schema",
    [
        {"title": "N", "$ref": "http://example.invalid/x.json"},
        {"title": "N", "properties": {"a": {"$ref": "#/$defs/Missing"}}},
        {"title": "N", "type": "objekt"},
    ],
)
def test_json_schemas_that_are_none(schema):
    with pytest.raises(ConfigError):
        PydanticOutputParser(pydantic_object=schema)


# ---- what a partial shows -----------------------------------------------------------------------


def test_partials_are_recognised_by_isinstance_or_by_field():
    value = KINDS["model"][1]
    for chunk in PydanticOutputParser(pydantic_object=Atlas).transform(iter(said(value))):
        assert isinstance(chunk, BaseModel)
        assert set(type(chunk).model_fields) == set(Atlas.model_fields)
        for country in chunk.countries or []:
            assert hasattr(country, "name") and hasattr(country, "population")


def test_partials_do_not_change_later():
    value = KINDS["self-referencing"][1]
    kept, seen = [], []
    for chunk in PydanticOutputParser(pydantic_object=Tree).transform(iter(said(value))):
        seen.append(chunk)
        kept.append(repr(chunk))
    assert [repr(chunk) for chunk in seen] == kept


@pytest.mark.parametrize("emit", ["partial", "delimited"])
@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (datetime.datetime, "2020-01-02T03:04:05"),
        (datetime.date, "2020-01-02"),
        (datetime.time, "10:20:30"),
        (datetime.timedelta, "PT12S"),
        (uuid.UUID, "12345678-1234-5678-1234-567812345678"),
        (Literal["new", "newest"], "newest"),
    ],
)
def test_a_value_made_of_a_string_is_not_made_of_its_half(kind, written, emit):
    """A `datetime` is not text that grows: the year 1970 out of a "2" is invented, and retracted."""  # noqa: E501

    class Holder(BaseModel):
        made: kind  # type: ignore[valid-type]

    result = TypeAdapter(kind).validate_python(written)
    reader = PydanticOutputParser(pydantic_object=Holder, emit=emit)
    shown = [chunk.made for chunk in reader.transform(iter(said({"made": written})))]
    assert [made for made in shown if made is not None and made != result] == []


@pytest.mark.parametrize("emit", ["partial", "delimited"])
def test_an_enum_whose_values_begin_alike(emit):
    class State(enum.Enum):
        NEW = "new"
        NEWEST = "newest"

    class Holder(BaseModel):
        state: State

    reader = PydanticOutputParser(pydantic_object=Holder, emit=emit)
    shown = [chunk.state for chunk in reader.transform(iter('{"state": "newest"}'))]
    assert set(shown) - {None} == {State.NEWEST}


@pytest.mark.parametrize("kind", ["cat", "dog"])
@pytest.mark.parametrize("schema", [Owner, Undecided])
def test_a_partial_of_a_union_is_never_another_member(kind, schema):
    """Once a member is shown, it stays: the type of what was shown is not taken back."""
    pet = {"kind": kind, **({"lives": 9} if kind == "cat" else {"breed": "pug"})}
    names = []
    for chunk in PydanticOutputParser(pydantic_object=schema).transform(iter(said({"pet": pet}))):
        if chunk.pet is not None and not isinstance(chunk.pet, dict):
            names.append(type(chunk.pet).__name__.removeprefix("Partial"))  # noqa: PERF401
    assert set(names) == {kind.title()}


def test_json_schema_partials_are_dicts_that_grow():
    chunks = list(PydanticOutputParser(pydantic_object=JSON_SCHEMA).transform(iter(said(ORDER))))
    assert all(type(chunk) is dict for chunk in chunks)
    assert chunks[-1] == ORDER
    assert chunks[0] == {}


def test_typed_dict_partials_lack_what_has_not_come():
    chunks = list(PydanticOutputParser(pydantic_object=Strict).transform(iter('{"a": 12}')))
    assert chunks == [{}, {"a": 1}, {"a": 12}]


def test_delimited_partials_never_show_half_a_number():
    text = said({"title": "t", "countries": [{"name": "Fiji", "population": 12.75}], "edition": 34})
    for chunk in PydanticOutputParser(pydantic_object=Atlas, emit="delimited").transform(
        iter(text)
    ):
        assert chunk.edition in (None, 34)
        assert all(c.population in (None, 12.75) for c in chunk.countries or [])


# ---- elements -----------------------------------------------------------------------------------

PAGE = {
    "title": "Big",
    "countries": [{"name": n, "population": p} for n, p in [("Fiji", 0.9), ("Spain", 47)]],
    "edition": 2,
}


@every_colour
@pytest.mark.parametrize("settings", [{"emit": "complete"}, {"path": "countries[*]"}])
def test_elements_come_validated_one_by_one(colour, settings):
    def body(doors):
        model = Said(pieces=list(said(PAGE)))
        chain = model | PydanticOutputParser(pydantic_object=Atlas, **settings)
        elements = [Country(**country) for country in PAGE["countries"]]
        shown = doors.stream(chain, "x")
        assert shown == elements
        assert {type(each) for each in shown} == {Country}
        assert doors.invoke(chain, "x") == Atlas(**PAGE)
        behind = chain | RunnableLambda(lambda atlas: [atlas])
        assert doors.stream(behind, "x") == [[Atlas(**PAGE)]]

    colour.run(body)


@every_colour
def test_an_element_that_does_not_fit_stops_there(colour):
    wrong = {**PAGE, "countries": [PAGE["countries"][0], {"name": "Nowhere", "population": -1}]}

    def body(doors):
        model = Said(pieces=list(said(wrong)))
        stream = doors.open(
            model | PydanticOutputParser(pydantic_object=Atlas, emit="complete"), "x"
        )
        assert stream.next() == Country(name="Fiji", population=0.9)
        with pytest.raises(OutputParserException) as caught:
            stream.next()
        assert "countries[1]" in str(caught.value)
        assert "population" in str(caught.value)

    colour.run(body)


@both_drivers
def test_the_whole_is_validated_after_the_elements(colour):
    short = {"title": "Big", "countries": PAGE["countries"]}

    def body(doors):
        reader = PydanticOutputParser(pydantic_object=Atlas, emit="complete")
        stream = doors.open_transform(reader, Source(list(said(short))))
        assert [stream.next().name, stream.next().name] == ["Fiji", "Spain"]
        with pytest.raises(OutputParserException, match="edition"):
            stream.next()

    colour.run(body)


def test_elements_at_a_path_have_the_type_there():
    reader = PydanticOutputParser(pydantic_object=Atlas, path="countries[*].population")
    assert list(reader.transform(iter(said(PAGE)))) == [0.9, 47.0]
    assert [type(x) for x in reader.transform(iter(said(PAGE)))] == [float, float]
    titles = PydanticOutputParser(pydantic_object=Atlas, path="title")
    assert list(titles.transform(iter(said(PAGE)))) == ["Big"]


def test_elements_of_a_json_schema():
    reader = PydanticOutputParser(pydantic_object=JSON_SCHEMA, path="lines[*]")
    assert list(reader.transform(iter(said(ORDER)))) == ORDER["lines"]
    wrong = {"lines": [{"item": "nut", "count": 1}, {"item": "bolt", "count": 0}]}
    shown = []
    with pytest.raises(OutputParserException, match="count"):
        for each in reader.transform(iter(said(wrong))):
            shown.append(each)  # noqa: PERF402
    assert shown == wrong["lines"][:1]


def test_elements_of_a_root_model():
    reader = PydanticOutputParser(pydantic_object=Numbers, emit="complete")
    assert list(reader.transform(iter("[1, 22]"))) == [1, 22]
    assert reader.invoke("[1, 22]") == Numbers([1, 22])


# ---- what is wrong ------------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("emit", ["partial", "delimited", "complete"])
def test_the_error_names_the_field_and_the_rule(colour, emit):
    wrong = said({"title": "t", "countries": [], "edition": "many"})

    def body(doors):
        chain = FakeListChatModel(responses=[wrong]) | PydanticOutputParser(
            pydantic_object=Atlas, emit=emit
        )
        errors = []
        for door in (doors.invoke, doors.stream):
            with pytest.raises(OutputParserException) as caught:
                door(chain, "x")
            errors.append(str(caught.value))
            assert "edition" in errors[-1] and "integer" in errors[-1] and "Atlas" in errors[-1]
            assert caught.value.llm_output is not None and "many" in caught.value.llm_output
        assert errors[0] == errors[1]

    colour.run(body)


@every_colour
def test_broken_json_says_where(colour):
    def body(doors):
        chain = FakeListChatModel(responses=['{"title": "t", "countries": [}']) | (
            PydanticOutputParser(pydantic_object=Atlas)
        )
        for door in (doors.invoke, doors.stream):
            with pytest.raises(OutputParserException, match="character 29"):
                door(chain, "x")

    colour.run(body)


@pytest.mark.parametrize("wrong", [3, "x", None, object(), lambda x: x])
def test_what_is_no_schema(wrong):
    with pytest.raises(ConfigError, match="is no schema: give"):
        PydanticOutputParser(pydantic_object=wrong)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"pydantic_object": Cat, "emit": "complete"}, "Cat has no list"),
        ({"pydantic_object": Atlas, "path": "contries[*]"}, "contries"),
        ({"pydantic_object": Atlas, "path": "title[*]"}, "title"),
        ({"pydantic_object": Atlas, "diff": True}, "diff"),
        ({"pydantic_object": JSON_SCHEMA, "path": "nothing[*]"}, "nothing"),
    ],
)
def test_settings_that_make_no_sense(settings, named):
    with pytest.raises(ConfigError) as caught:
        PydanticOutputParser(**settings)
    assert named in str(caught.value)
    assert len(str(caught.value).split()) > 6


def test_two_lists_need_a_path():
    class Two(BaseModel):
        a: list[int]
        b: list[int]

    with pytest.raises(ConfigError, match="path="):
        PydanticOutputParser(pydantic_object=Two, emit="complete")
    assert list(
        PydanticOutputParser(pydantic_object=Two, path="b[*]").transform(iter('{"a":[1],"b":[2]}'))
    ) == [2]


# ---- around it ----------------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("taken", [0, 1, 5])
def test_leaving_early_closes_the_model(colour, taken):
    def body(doors):
        chain = Said(pieces=list(said(PAGE))) | PydanticOutputParser(pydantic_object=Atlas)
        stream = doors.open(chain, "x")
        for _ in range(taken):
            stream.next()
        stream.close()
        assert not LEDGER.still_open
        assert not CALLS

    colour.run(body)


@every_colour
@pytest.mark.parametrize("settings", [{}, {"emit": "complete"}])
def test_compositions(colour, settings):
    def body(doors):
        def chain() -> Any:
            return FakeListChatModel(responses=[said(PAGE)]) | PydanticOutputParser(
                pydantic_object=Atlas, **settings
            )

        result = Atlas(**PAGE)
        both = RunnableParallel(a=chain(), b=RunnablePassthrough())
        assert doors.invoke(both, "x") == {"a": result, "b": "x"}
        assert doors.stream(both | (lambda d: [d["a"]]), "x") == [[result]]
        assert doors.invoke(chain().with_fallbacks([chain()]), "x") == result
        assert doors.invoke(chain().with_retry(stop_after_attempt=2), "x") == result
        assert doors.stream(chain().with_config(tags=["a"]) | (lambda v: [v]), "x") == [[result]]

    colour.run(body)


@pytest.mark.parametrize("settings", [{}, {"emit": "delimited"}, {"emit": "complete"}])
async def test_events_end_with_the_instance(settings):
    chain = FakeListChatModel(responses=[said(PAGE)]) | PydanticOutputParser(
        pydantic_object=Atlas, **settings
    )
    events = [event async for event in chain.astream_events("x", version="v2")]
    ends = [e["data"]["output"] for e in events if e["event"] in ("on_parser_end", "on_chain_end")]
    assert ends == [Atlas(**PAGE)] * 2


def test_instructions_fill_a_prompt():
    reader = PydanticOutputParser(pydantic_object=Atlas)
    prompt = PromptTemplate.from_template("{instructions}\n{question}").partial(
        instructions=reader.get_format_instructions()
    )
    text = prompt.invoke({"question": "?"}).to_string()
    for name in ("title", "countries", "edition", "population"):
        assert f'"{name}"' in text


@every_kind
def test_instructions_for_every_kind(kind):
    schema, _ = KINDS[kind]
    text = PydanticOutputParser(pydantic_object=schema).get_format_instructions()
    block = text[text.index("```") + 3 :].split("\n", 1)[1].rsplit("```", 1)[0]
    json.loads(block)


@pytest.mark.parametrize(
    "kind", ["model", "json-schema", "list-of-models", "typeddict-not-required"]
)
def test_pickled_with_its_schema(kind):
    schema, value = KINDS[kind]
    reader = PydanticOutputParser(pydantic_object=schema)
    there = pickle.loads(pickle.dumps(reader))
    assert list(there.transform(iter(said(value))))[-1] == wanted(schema, value)
    assert there == reader


def test_partials_can_be_pickled_and_dumped():
    """They are sent to queues and as JSON: both must work on values of derived classes."""
    chunks = list(PydanticOutputParser(pydantic_object=Atlas).transform(iter(said(PAGE))))
    for chunk in chunks[:30:5]:
        assert json.loads(chunk.model_dump_json()) == chunk.model_dump()
    assert pickle.loads(pickle.dumps(chunks[4])) == chunks[4]


def test_twice_the_text_validates_at_most_about_twice_as_much():
    """A closed element is not built again for each piece that comes after it."""
    import sys

    def steps(size: int) -> int:
        value = {
            "title": "t",
            "countries": [{"name": "Fiji", "population": 1.5}] * size,
            "edition": 1,
        }
        text, count = said(value), 0

        def tracer(frame: Any, event: str, arg: Any) -> Any:
            nonlocal count
            count += 1
            return tracer

        stream = PydanticOutputParser(pydantic_object=Atlas).transform(
            iter([text[i : i + 8] for i in range(0, len(text), 8)])
        )
        sys.settrace(tracer)
        try:
            for _ in stream:
                pass
        finally:
            sys.settrace(None)
        return count

    assert steps(80) <= 2.4 * steps(40)


def test_output_type_is_the_schema():
    assert PydanticOutputParser(pydantic_object=Atlas).OutputType is Atlas
    schema = PydanticOutputParser(pydantic_object=Atlas).get_output_jsonschema()
    assert "countries" in json.dumps(schema)
