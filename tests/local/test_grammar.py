"""Constraints that llama.cpp has no words for: rewritten, or named in one warning."""

from __future__ import annotations

import itertools
import json
import re
import warnings
from datetime import timedelta
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, HttpUrl, IPvAnyAddress, TypeAdapter

from headrace.errors import HeadraceWarning
from headrace.local import ChatLocal
from headrace.local.grammar import for_llama, held
from headrace.local.patterns import bounded
from laws.effort import examples

BOUNDED = {
    (r"^\d+$", 0, 4): r"^\d{1,4}$",
    (r"^[A-Z][a-z]*$", 0, 5): r"^[A-Z][a-z]{0,4}$",
    (r"^\d{3}$", 0, 4): r"^\d{3}$",
    (r"^\d+$", 2, None): r"^\d{2,}$",
    (r"^\w{2,}-x$", 0, 9): r"^\w{2,7}-x$",
    (r"^[a-z]{1,9}$", 0, 4): r"^[a-z]{1,4}$",
    (r"^\d+?$", 3, 3): r"^\d{3}$",
    (r"^a?b?$", 0, 2): r"^a?b?$",
    (r"^a?b?$", 0, 1): None,
    (r"^(ab)+$", 0, 4): None,
    (r"^a*b*$", 0, 4): None,
    (r"^\d{5}$", 0, 4): None,
    (r"ab", 0, 3): None,
}


@pytest.mark.parametrize("asked", BOUNDED)
def test_a_pattern_is_bounded(asked: Any):
    assert bounded(*asked) == BOUNDED[asked]


PIECES = ["a", "[ab]", "b+", "a*", "b?", "[ab]{2}", "a{1,3}", "b{2,}"]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=3), st.integers(0, 4),
       st.none() | st.integers(0, 4))  # fmt: skip
@examples(60)
def test_a_bounded_pattern_takes_what_the_pattern_and_the_lengths_take(
    pieces: list[str], least: int, most: int | None
):
    pattern = f"^{''.join(pieces)}$"
    closed = bounded(pattern, least, most)
    if closed is None:
        return
    for size in range(6):
        for text in map("".join, itertools.product("ab", repeat=size)):
            wanted = least <= size and (most is None or size <= most)
            assert bool(re.search(closed, text)) == (wanted and bool(re.search(pattern, text)))


def enum_of(**schema: Any) -> Any:
    rewritten, unheld = held(schema)
    assert unheld == []
    return rewritten["enum"]


def test_fractions_between_close_bounds():
    assert enum_of(type="number", minimum=0, maximum=1) == [n / 100 for n in range(101)]
    assert enum_of(type="number", exclusiveMinimum=0, exclusiveMaximum=1)[::98] == [0.01, 0.99]
    assert enum_of(type="number", minimum=1, maximum=5)[:3] == [1.0, 1.1, 1.2]


def test_multiples_between_bounds():
    assert enum_of(type="integer", minimum=1, maximum=100, multipleOf=25) == [25, 50, 75, 100]
    assert enum_of(type="number", minimum=0, exclusiveMaximum=1, multipleOf=0.25) == [
        0.0, 0.25, 0.5, 0.75]  # fmt: skip


def test_every_order_of_few_distinct_items():
    schema = {"type": "array", "uniqueItems": True, "items": {"enum": ["a", "b"]}}
    assert enum_of(**schema) == [[], ["a"], ["b"], ["a", "b"], ["b", "a"]]
    assert enum_of(**schema, minItems=2) == [["a", "b"], ["b", "a"]]
    referred = {**schema, "items": {"$ref": "#/$defs/L"}, "$defs": {"L": {"const": 1}}}
    assert enum_of(**referred) == [[], [1]]


def test_many_distinct_items_are_at_most_as_many_as_there_are():
    found, unheld = held({"type": "array", "uniqueItems": True, "items": {"enum": [*"abcdef"]}})
    assert (found["maxItems"], unheld) == (6, ["the value: uniqueItems"])


UNHELD = {
    "price: exclusiveMinimum": Annotated[float, Field(gt=0)],
    "price: minimum and maximum": Annotated[float, Field(ge=0, le=100)],
    "price: multipleOf": Annotated[int, Field(multiple_of=5)],
    "price[*]: uniqueItems": list[set[int]],
    "price: maxLength": Annotated[str, Field(pattern="^(ab)+$", max_length=4)],
}


@pytest.mark.parametrize("said", UNHELD)
def test_what_is_not_held_is_named_once(said: str):
    schema = {"type": "object", "title": said,
              "properties": {"price": TypeAdapter(UNHELD[said]).json_schema()}}  # fmt: skip
    assert held(schema)[1] == [said]
    named = json.loads(json.dumps(schema).replace("price", f"once {said.rsplit(maxsplit=1)[-1]}"))
    form = {"type": "json_schema", "json_schema": {"schema": named}}
    with pytest.warns(HeadraceWarning, match="does not hold answers to once"):
        for_llama(form)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for_llama(form)


def test_schemas_that_llama_holds_are_left_alone():
    schema = {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "maxLength": 5},
            "items": {"type": "integer", "minimum": 3},
            "b": {"default": {"minimum": 1}, "type": "boolean"},
            "c": {"enum": [1, 2], "multipleOf": 1},
        },
    }
    assert held(schema) == (schema, [])
    assert for_llama({"type": "json_object"}) == {"type": "json_object"}


FORMATS = {
    timedelta: ["P3D", "P1DT2H", "PT90S"],
    HttpUrl: ["https://a.example.org/b/c", "http://x.de"],
    IPvAnyAddress: ["10.0.255.1"],
}


@pytest.mark.parametrize("kind", FORMATS)
def test_texts_of_a_format_are_what_pydantic_reads(kind: Any):
    adapter = TypeAdapter(kind)
    found, unheld = held(adapter.json_schema())
    assert unheld == []
    for text in FORMATS[kind]:
        assert re.search(found["pattern"], text)
        adapter.validate_python(text)
    assert not re.search(found["pattern"], "what ever")


class Order(BaseModel):
    share: float = Field(gt=0, lt=1)
    dozens: int = Field(ge=12, le=60, multiple_of=12)
    code: str = Field(pattern=r"^\d+$", max_length=4)
    kinds: set[Literal["a", "b", "c"]]
    wait: timedelta
    page: HttpUrl


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_model_is_held_to_all_of_it(seed: int):
    model = ChatLocal(max_tokens=200, temperature=1.5, seed=seed)
    answer = model.with_structured_output(Order).invoke("An order, as JSON.")
    assert isinstance(answer, Order)
