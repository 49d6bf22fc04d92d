"""Structured output of the embedded model: held to the schema by grammar, growing as it is drawn.

What 135 million parameters say of Norway is nobody's business here, only its shape. Schemas are
bounded, so that every answer ends; one that is not shows what happens then.
"""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from headrace.errors import ConfigError, InputError, OutputParserException
from headrace.language_models.structured import MODES
from headrace.local import ChatLocal
from headrace.local.engine import Engine
from headrace.messages import AIMessage
from headrace.prompts import ChatPromptTemplate

ASK = "Describe Norway as JSON: its name, its continent and two towns."
Short = Annotated[str, Field(max_length=12)]


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Town(BaseModel):
    name: Short
    size: Size


class Country(BaseModel):
    """A country."""

    name: Short
    continent: Literal["Europe", "Asia"]
    towns: list[Town] = Field(min_length=1, max_length=2)


class CountryDict(TypedDict):
    name: Short
    continent: Literal["Europe", "Asia"]


@dataclass
class CountryData:
    name: Short
    island: bool


AS_JSON = {
    "title": "country",
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "neighbours": {"type": "array", "items": {"enum": ["S", "F", "D"]}, "maxItems": 2},
        "people": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["name", "neighbours", "people"],
    "additionalProperties": False,
}
SCHEMAS: dict[str, tuple[Any, type]] = {
    "pydantic": (Country, Country),
    "typed dict": (CountryDict, dict),
    "dataclass": (CountryData, CountryData),
    "json schema": (AS_JSON, dict),
}
HELD = [method for method in MODES if method != "json_mode"]  # by grammar, to the schema


@pytest.fixture(scope="module")
def model(engine: Engine) -> ChatLocal:
    return ChatLocal(max_tokens=200)


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("method", HELD)
def test_every_schema_is_held_and_streams(model: ChatLocal, schema: str, method: Any):
    asked, kind = SCHEMAS[schema]
    chain = model.with_structured_output(asked, method=method)
    chunks = list(chain.stream(ASK))
    assert type(chunks[-1]) is kind
    assert len(chunks) > 4


@pytest.mark.parametrize("method", HELD)
def test_async_gives_the_same(model: ChatLocal, method: Any):
    chain = model.with_structured_output(CountryDict, method=method)

    async def both() -> tuple[list[Any], Any]:
        chunks = [chunk async for chunk in chain.astream(ASK)]
        return chunks, await chain.ainvoke(ASK)

    chunks, whole = asyncio.run(both())
    assert chunks == list(chain.stream(ASK))
    assert chunks[-1] == whole == chain.invoke(ASK)


def test_real_partial_objects_grow(model: ChatLocal):
    *partial, whole = list(model.with_structured_output(Country).stream(ASK))
    names = [country.name for country in partial if country.name is not None]
    assert len(set(names)) > 1
    assert all(whole.name.startswith(name) for name in names)
    assert partial[0].towns is None
    assert any(country.towns and country.towns[0].size is None for country in partial)
    assert {country.continent for country in partial} <= {None, whole.continent}  # never "Eu"
    assert isinstance(whole.towns[0].size, Size)


def test_a_list_at_the_top(model: ChatLocal):
    towns = Annotated[list[Town], Field(min_length=2, max_length=2)]
    chunks = list(model.with_structured_output(towns).stream(ASK))
    assert [type(town) for town in chunks[-1]] == [Town, Town]
    assert [len(chunk) for chunk in chunks[:2]] == [0, 1]


def test_raw_parsed_and_usage(model: ChatLocal):
    chain = model.with_structured_output(Country, include_raw=True)
    whole = chain.invoke(ASK)
    assert type(whole["raw"]) is AIMessage
    assert Country.model_validate_json(whole["raw"].text) == whole["parsed"]
    assert whole["parsing_error"] is None
    chunks = list(chain.stream(ASK))
    total = chunks[0]
    for chunk in chunks[1:]:
        total = total + chunk
    assert total["parsed"] == whole["parsed"]
    assert total["raw"].usage_metadata == whole["raw"].usage_metadata
    assert total["raw"].response_metadata == whole["raw"].response_metadata
    assert next(n for n, c in enumerate(chunks) if "parsed" in c) < len(chunks) / 2


def test_json_mode_is_any_json(model: ChatLocal):
    prompt = 'Repeat this JSON and nothing else: {"a": 1}'
    chain = model.with_structured_output({"title": "any", "type": "object"}, method="json_mode")
    assert isinstance(chain.invoke(prompt), dict)


@pytest.mark.parametrize("method", HELD)
@pytest.mark.parametrize("call", ["invoke", "stream"])
def test_cut_short_by_max_tokens_is_an_error(model: ChatLocal, method: Any, call: str):
    chain = model.with_structured_output(Country, method=method, max_tokens=12)
    with pytest.raises(OutputParserException, match=r"cut off .*'length'.* raise max_tokens"):
        result = getattr(chain, call)(ASK)
        list(result)


def test_cut_short_with_include_raw(model: ChatLocal):
    class Endless(BaseModel):
        text: str
        more: list[str]

    small = ChatLocal(max_tokens=12)
    whole = small.with_structured_output(Endless, include_raw=True).invoke(ASK)
    assert whole["parsed"] is None
    assert "cut off" in str(whole["parsing_error"])
    assert whole["raw"].response_metadata["finish_reason"] == "length"
    assert whole["raw"].text.startswith("{")


def test_a_class_that_contains_itself(model: ChatLocal):
    class Node(BaseModel):
        value: Literal[1, 2]
        next: Node | None

    chain = model.with_structured_output(Node, max_tokens=60)
    try:
        found = chain.invoke("A list of the numbers 1, 2.")
    except OutputParserException as error:  # it went on and on
        assert "cut off" in str(error)
        found = None
    assert found is None or isinstance(found, Node)


def test_behind_a_prompt_in_a_chain(model: ChatLocal):
    prompt = ChatPromptTemplate.from_messages([("system", "Answer."), ("human", "{question}")])
    chain = prompt | model.with_structured_output(CountryDict)
    assert set(chain.invoke({"question": ASK})) == {"name", "continent"}


def test_what_cannot_be_enforced_is_refused(model: ChatLocal):
    with pytest.raises(ConfigError, match="no schema"):
        model.with_structured_output("Country")
    with pytest.raises(ConfigError, match="strict"):
        model.with_structured_output(Country, method="json_mode", strict=True)
    wrong = {"title": "x", "type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}}
    with pytest.raises((InputError, ConfigError)):
        model.with_structured_output(wrong).invoke(ASK)
