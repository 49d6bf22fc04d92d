"""Patterns in llama.cpp's words: as strict as they were, and no way out of a JSON string."""

from __future__ import annotations

import re
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from headrace.local import ChatLocal
from headrace.local.engine import Engine
from headrace.local.patterns import for_grammar, with_patterns
from laws.effort import examples

SAFE = r"[^\"\\\n\r\t]"
TABLE = {
    r"^[0-9]{4}$": r"^[0-9]{4}$",
    r"^\d\w\s$": r"^[0-9][A-Za-z0-9_][ ]$",
    r"^[\d\-x]+$": r"^[0-9\-x]+$",
    r"^.$": f"^{SAFE}$",
    r"^\S\D$": r"^[^ \"\\\n\r\t][^0-9\"\\\n\r\t]$",
    r"^[^a]$": r"^[^a\"\\\n\r\t]$",
    r"^\/\.\(\-$": r"^/\.\(-$",
    r"^(ab|cd)+?x*?$": r"^(ab|cd)+x*$",
    r"ab": f"^{SAFE}*ab{SAFE}*$",
    r"^ab": f"^ab{SAFE}*$",
    r"ab\$": f"^{SAFE}*ab\\${SAFE}*$",
    r"^a|b$": r"^a|b$",
    r"^\p{L}$": r"^\p{L}$",
}
KINDS = [r"^[a-c]{2}-\d{2}$", r"^\w{3}\.$", r"^.{4}$", r"^[^\d]{2}$", r"^(red|blue)$"]


@pytest.mark.parametrize("pattern", TABLE)
def test_the_table(pattern: str):
    assert for_grammar(pattern) == TABLE[pattern]


@examples(200)
@given(st.text(st.sampled_from('ab19 _-."\\\n/'), max_size=5), st.sampled_from(sorted(TABLE)))
def test_what_the_grammar_lets_through_fits_the_pattern(text: str, pattern: str):
    if r"\p" not in pattern and re.search(for_grammar(pattern), text):
        assert re.search(pattern, text)


def test_only_patterns_of_schemas_are_touched():
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"pattern": {"type": "string", "pattern": r"^\d$"}, "n": {"minimum": 0}},
        "anyOf": [{"pattern": r"^\s$"}],
        "default": {"pattern": r"^\d$"},
    }
    assert with_patterns(schema) == {
        **schema,
        "properties": {"pattern": {"type": "string", "pattern": "^[0-9]$"}, "n": {"minimum": 0}},
        "anyOf": [{"pattern": "^[ ]$"}],
    }
    assert schema["properties"]["pattern"]["pattern"] == r"^\d$"


@pytest.mark.parametrize("pattern", KINDS)
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_the_model_is_held_to_them(engine: Engine, pattern: str, method: Any):
    class Coded(BaseModel):
        code: Annotated[str, Field(pattern=pattern)]

    chain = ChatLocal(max_tokens=60).with_structured_output(Coded, method=method)
    assert re.search(pattern, chain.invoke("Give a code.").code)
