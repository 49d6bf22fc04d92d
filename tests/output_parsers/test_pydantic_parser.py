"""`PydanticOutputParser`: partial values, one validation at the end, elements one by one."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from typing import Any, Literal

import pytest
import typing_extensions
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.output_parsers import PydanticOutputParser as Theirs
from pydantic import BaseModel, Field, field_validator

from headrace.errors import ConfigError, ModelRefusalError, OutputParserException
from headrace.language_models import FakeListChatModel, GenericFakeChatModel
from headrace.messages import AIMessage
from headrace.output_parsers import JsonOutputParser, PydanticOutputParser
from headrace.outputs import Generation
from headrace.runnables import RunnableLambda, RunnableParallel
from laws.colours import every_colour

VALIDATED: list[str] = []


class Country(BaseModel):
    name: str = Field(min_length=3)
    kind: Literal["state", "realm"] = "state"

    @field_validator("name")
    @classmethod
    def _seen(cls, value: str) -> str:
        VALIDATED.append(value)
        return value


class World(BaseModel):
    title: str
    countries: list[Country]


class Two(BaseModel):
    a: list[int]
    b: list[int]


@dataclasses.dataclass
class Pair:
    left: int
    rights: list[str]


class Dict(typing_extensions.TypedDict):
    left: int
    rights: list[str]


WORLD = {"title": "W", "countries": [{"name": "France"}, {"name": "Spain", "kind": "realm"}]}
TEXT = json.dumps(WORLD)
WHOLE = World.model_validate(WORLD)


def cut(text, cuts):
    at = sorted({0, len(text), *(c for c in cuts if c < len(text))})
    return [text[a:b] for a, b in pairwise(at)]


@every_colour
def test_partial_values_grow_and_the_last_one_is_validated_once(colour):
    def body(doors):
        VALIDATED.clear()
        chunks = doors.transform(PydanticOutputParser(World), list(TEXT))
        assert VALIDATED == ["France", "Spain"]
        *partials, last = chunks
        assert last == WHOLE
        assert type(last) is World
        assert all(isinstance(each, World) and type(each) is not World for each in partials)
        assert [c.name for c in partials[-1].countries] == ["France", "Spain"]
        assert {c.kind for each in partials for c in each.countries or ()} == {None, "realm"}
        assert all(a != b for a, b in pairwise(partials))
        assert doors.invoke(PydanticOutputParser(pydantic_object=World), TEXT) == WHOLE

    colour.run(body)


@given(st.lists(st.integers(1, 90), max_size=9))
def test_where_the_text_is_cut_makes_no_difference_to_the_value(cuts):
    pieces = cut(TEXT, cuts)
    assert list(PydanticOutputParser(World).transform(iter(pieces)))[-1] == WHOLE
    elements = list(PydanticOutputParser(World, emit="complete").transform(iter(pieces)))
    assert elements == WHOLE.countries


def test_a_number_shows_by_its_digits_or_with_delimited_whole():
    class Sized(BaseModel):
        n: int = Field(gt=50)

    text = '{"n": 123}'
    partial = [each.n for each in PydanticOutputParser(Sized).transform(iter(text))]
    assert partial == [None, 1, 12, 123, 123]
    whole = [each.n for each in PydanticOutputParser(Sized, emit="delimited").transform(iter(text))]
    assert whole == [None, 123, 123]


@every_colour
def test_elements_come_validated_as_they_close(colour):
    def body(doors):
        for parser in (
            PydanticOutputParser(World, emit="complete"),
            PydanticOutputParser(World, path="countries[*]"),
        ):
            assert doors.transform(parser, list(TEXT)) == WHOLE.countries
            assert doors.invoke(parser, TEXT) == WHOLE
        many = PydanticOutputParser(list[Country], emit="complete")
        text = json.dumps(WORLD["countries"])
        assert doors.transform(many, list(text)) == WHOLE.countries
        assert doors.invoke(many, text) == WHOLE.countries
        names = PydanticOutputParser(World, path="countries[*].name")
        assert doors.transform(names, list(TEXT)) == ["France", "Spain"]

    colour.run(body)


@every_colour
def test_a_step_behind_gets_the_validated_value(colour):
    def body(doors):
        model = FakeListChatModel(responses=[TEXT])
        for emit in ("partial", "complete", "delimited"):
            parser = PydanticOutputParser(World, emit=emit)
            for chain in (
                model | parser | RunnableLambda(lambda world: [world]),
                model | RunnableParallel(v=parser, w=parser) | (lambda both: [both["v"]]),
            ):
                assert doors.stream(chain, "") == [[WHOLE]]
                assert doors.invoke(chain, "") == [WHOLE]

    colour.run(body)


def test_an_element_that_does_not_fit_is_named_after_those_that_did():
    text = '{"title": "W", "countries": [{"name": "France"}, {"name": "S"}, {"name": "Japan"}]}'
    stream = PydanticOutputParser(World, emit="complete").transform(iter(text))
    assert next(stream) == Country(name="France")
    words = "Failed to parse Country .* for countries\\[1\\]: at name: .*at least 3 characters"
    with pytest.raises(OutputParserException, match=words):
        next(stream)


@every_colour
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"title": "W"}', "Failed to parse World from completion .* at countries: Field required"),
        ('{"title": "W", "countries": [{"name": "F"}]}', "at countries\\[0\\].name"),
        ("[1]", "Failed to parse World"),
        ('{"title": ', "not valid JSON.*character 10.*a JSON value"),
    ],
)
def test_what_does_not_fit_fails_in_a_stream_as_in_invoke(text, words, colour):
    def body(doors):
        parser = PydanticOutputParser(World)
        with pytest.raises(OutputParserException, match=words) as info:
            doors.invoke(parser, text)
        assert info.value.llm_output == text
        with pytest.raises(OutputParserException, match=words):
            doors.transform(parser, list(text))

    colour.run(body)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (Two, "has 2 lists \\('a', 'b'\\).*path="),
        (Country, "has no list.*path="),
        (dict[str, int], "has no list"),
        ({"title": "T", "properties": {"a": {"type": "string"}}}, "T has no list"),
    ],
)
def test_complete_wants_to_know_which_list(schema, words):
    with pytest.raises(ConfigError, match=words):
        PydanticOutputParser(schema, emit="complete")


@pytest.mark.parametrize(
    ("schema", "settings", "words"),
    [
        (World, {"path": "towns[*]"}, "no key 'towns' in World"),
        (World, {"path": "countries[*"}, "cannot be read"),
        (World, {"diff": True}, "JsonOutputParser\\(diff=True\\)"),
        ("World", {}, "is no schema"),
        (None, {}, "is no schema"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_made(schema, settings, words):
    with pytest.raises(ConfigError, match=words):
        PydanticOutputParser(schema, **settings)


@pytest.mark.parametrize(
    ("schema", "text", "whole", "elements"),
    [
        (Pair, '{"left": 12, "rights": ["a", "b"]}', Pair(12, ["a", "b"]), ["a", "b"]),
        (
            Dict,
            '{"left": 12, "rights": ["a", "b"]}',
            {"left": 12, "rights": ["a", "b"]},
            ["a", "b"],
        ),
        (list[int], "[1, 20]", [1, 20], [1, 20]),
        (tuple[int, ...], "[1, 20]", (1, 20), [1, 20]),
        (World.model_json_schema(), TEXT, WORLD, WORLD["countries"]),
        ({"type": "array", "items": {"type": "integer"}}, "[1, 20]", [1, 20], [1, 20]),
    ],
    ids=str,
)
def test_every_kind_of_schema(schema, text, whole, elements):
    parser = PydanticOutputParser(schema)
    chunks = list(parser.transform(iter(text)))
    assert chunks[-1] == whole == parser.invoke(text)
    assert len(chunks) > 2
    assert list(PydanticOutputParser(schema, emit="complete").transform(iter(text))) == elements


def test_a_list_under_a_key_that_is_no_name():
    class Odd(BaseModel):
        items: list[int] = Field(alias='the "items"')

    text = json.dumps({'the "items"': [1, 2]})
    assert list(PydanticOutputParser(Odd, emit="complete").transform(iter(text))) == [1, 2]


def test_a_last_chunk_that_is_no_other_value_comes_once():
    chunks = list(PydanticOutputParser(Dict).transform(iter('{"left": 1, "rights": []}')))
    assert chunks == [{}, {"left": 1}, {"left": 1, "rights": []}]


@pytest.mark.parametrize(
    "text", [TEXT, f"```json\n{TEXT}\n```", f"Here it is:\n```\n{TEXT}\n``` Bye."]
)
def test_the_value_is_that_of_langchain(text):
    assert PydanticOutputParser(World).invoke(text) == Theirs(pydantic_object=World).invoke(text)


@pytest.mark.parametrize("text", ['{"title": "W"}', "no JSON", '{"title": 3, "countries": []}'])
def test_what_langchain_refuses_is_refused(text):
    for parser in (PydanticOutputParser(World), Theirs(pydantic_object=World)):
        with pytest.raises(ValueError, match=r"\S"):
            parser.invoke(text)


def test_names_types_and_instructions():
    parser = PydanticOutputParser[World](pydantic_object=World)
    assert parser.pydantic_object is World
    assert parser.OutputType is World
    assert parser._type == "pydantic"
    assert isinstance(parser, JsonOutputParser)
    assert parser.get_output_jsonschema()["title"] == "World"
    told = parser.get_format_instructions()
    assert json.dumps(World.model_json_schema()["properties"]["title"]) in told
    assert "JSON schema" in told
    assert parser.explain().steps[0].kind == "streams"


def test_a_result_is_parsed_by_hand_too():
    parser = PydanticOutputParser(World)
    assert parser.parse(TEXT) == parser.parse_result([Generation(text=TEXT)]) == WHOLE
    partial = parser.parse_result([Generation(text=TEXT[:30])], partial=True)
    assert isinstance(partial, World)
    assert partial.title == "W"
    assert parser.parse_result([Generation(text="")], partial=True) is None


@every_colour
def test_a_refusal_is_said_to_be_one(colour):
    def body(doors):
        told = {"finish_reason": "stop"}
        message = AIMessage("", additional_kwargs={"refusal": "I will not"}, response_metadata=told)
        for parser in (PydanticOutputParser(World), JsonOutputParser()):
            with pytest.raises(ModelRefusalError, match="I will not") as info:
                doors.stream(GenericFakeChatModel(messages=iter([message])) | parser, "")
            assert info.value.raw_message.additional_kwargs["refusal"] == "I will not"
            with pytest.raises(ModelRefusalError):
                doors.invoke(GenericFakeChatModel(messages=iter([message])) | parser, "")

    colour.run(body)


def test_a_subclass_that_parses_in_its_own_way_is_heard_while_it_streams():
    class Loud(PydanticOutputParser[Any]):
        def parse_result(self, result, *, partial=False):
            found = super().parse_result(result, partial=partial)
            return None if found is None else (found.title or "").upper()

    chunks = list(Loud(World).transform(iter('{"title": "ab", "countries": []}')))
    assert chunks == ["", "A", "AB"]


def test_twice_the_elements_cost_twice_the_validation():
    made: list[str] = []

    class Counted(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def _count(cls, value: str) -> str:
            made.append(value)
            return value

    text = json.dumps([{"name": f"n{i}"} for i in range(50)])
    list(PydanticOutputParser(list[Counted]).transform(iter(text)))
    assert len(made) == 50


class Trick(BaseModel):
    tricks: list[Literal["talk", "sing"]]
    free: Any


@pytest.mark.parametrize("emit", ["partial", "delimited"])
def test_what_is_shown_is_each_time_something_else(emit):
    """While the hidden half of a word grows, and where a container closes, nothing is shown."""
    text = '{"tricks": ["talk", "sing", "talk"], "free": {"x": [1.50, null]}}'
    parser = PydanticOutputParser(pydantic_object=Trick, emit=emit)
    shown = list(parser.transform(iter(text)))
    assert [one for one, next_one in pairwise(shown) if repr(one) == repr(next_one)] == []
    assert [one.tricks for one in shown[:5]] == [
        None, [], ["talk"], ["talk", "sing"], ["talk", "sing", "talk"],
    ]  # fmt: skip
    assert shown[-1] == Trick.model_validate_json(text)


def test_null_is_shown_when_the_text_has_ended():
    parser = PydanticOutputParser(pydantic_object=Country | None)  # type: ignore[arg-type]
    assert list(parser.transform(iter("null"))) == [None]
