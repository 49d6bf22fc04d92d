"""The check of values by JSON schemas: what it says, what it refuses, and that it fetches nothing.

What is valid is the library's to know and tested there.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError
from headrace.json_schema import checker

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
COUNTRIES = {"properties": {"countries": {"items": {"required": ["name"], "properties": {
    "name": {"type": "string"}}}}}}  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": "string"}, 3, "3 is not of type 'string' (type)."),
        (COUNTRIES, {"countries": [{"name": "a"}, {"name": 1}]},
         "at countries[1].name: 1 is not of type 'string' (type)."),
        (COUNTRIES, {"countries": [{}]},
         "at countries[0]: 'name' is a required property (required)."),
        (COUNTRIES, {"countries": [{"name": 1}, {}, {}]},
         "at countries[1]: 'name' is a required property (required)."),
        ({"anyOf": [{"minProperties": 2}, {"maxProperties": 0}], "required": ["b"]}, {"a": 1},
         "'b' is a required property (required)."),
        ({"items": {"items": {"enum": ["x"]}}}, [["y"]],
         "at [0][0]: 'y' is not one of ['x'] (enum)."),
        ({"properties": {}, "additionalProperties": False}, {"b": 1},
         "Additional properties are not allowed ('b' was unexpected) (additionalProperties)."),
        ({"minimum": 3}, 2, "2 is less than the minimum of 3 (minimum)."),
        # of alternatives the one that is meant by the type
        ({"anyOf": [{"type": "null"},
                    {"type": "object", "properties": {"a": {"type": "integer"}}}]}, {"a": "x"},
         "at a: 'x' is not of type 'integer' (type)."),
        ({"unevaluatedProperties": False}, {"a": 1},
         "Unevaluated properties are not allowed ('a' was unexpected) (unevaluatedProperties)."),
        ({"$schema": DRAFT_7, "items": [{"type": "string"}], "additionalItems": False}, ["a", 1],
         "Additional items are not allowed (1 was unexpected) (additionalItems)."),
        ({"const": 1}, 1.0, None),
        ({"format": "date"}, "no date", None),
    ],
)  # fmt: skip
def test_what_it_says(schema, value, said):
    assert checker(schema)(value) == said


@given(st.integers(0, 5), st.integers(0, 300))
def test_a_sentence_is_short_whatever_the_value(most, count):
    said = checker({"maxItems": most})(["word"] * count)
    assert (said is None) == (count <= most)
    assert said is None or (len(said) < 250 and said.endswith("(maxItems)."))
    allowed = checker({"enum": list(range(1000))})(-1)
    assert allowed is not None and len(allowed) < 450


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "text"}, r"at type: 'text' is not .*draft/2020-12/schema"),
        ({"properties": {"a": {"minimum": "3"}}}, r"at properties\.a\.minimum: '3' is not of type"),
        ({"pattern": "("}, r"at pattern: '\(' is not a 'regex'"),
        ({"items": [{"type": "string"}]}, r"at items: .*'\$schema' would name another"),
        ({"$schema": DRAFT_7, "prefixItems": [], "items": 3}, "at items: 3 is not .*draft-07"),
        ({"$schema": "https://example.com/mine"}, r"'\$schema': 'https://example.com/mine'"),
        ({"$schema": 7}, r"draft that is not known, '\$schema': 7"),
        ({"properties": {"a": {"$dynamicRef": "#x"}}}, "dynamicRef"),
        ({"unevaluatedItems": {"$ref": "#/$defs/gone"}}, "'#/\\$defs/gone' not found"),
        ({"$schema": DRAFT_7, "dependencies": {"a": {"$ref": "#/definitions/b"}}}, "not found"),
        ({"anyOf": [{"$ref": "https://example.com/schema"}]}, "example.com/schema' is none"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "is none"),
        ({"default": object()}, "JSON has no words"),
    ],
)  # fmt: skip
def test_what_is_no_schema_is_refused_at_once(schema, words):
    with pytest.raises(ConfigError, match=words):
        checker(schema)


def test_a_property_may_be_called_as_a_reference_is():
    check = checker({"properties": {"$ref": {"type": "string"}}, "default": {"$ref": "x"}})
    assert check({"$ref": "y"}) is None
    assert check({"$ref": 1}) == "at $ref: 1 is not of type 'string' (type)."


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **kw: asked.append(a))
    inner = {"$id": "https://example.com/a", "properties": {"x": {"$ref": "#/$defs/b"}}}
    check = checker({"items": inner, "$defs": {"b": {"type": "string"}}})
    with pytest.raises(ConfigError, match=r"'#?/\$defs/b', which is not in the part.*leave that"):
        check([{"x": 1}])
    with pytest.raises(ConfigError):
        checker({"$ref": "https://example.com/a"})
    assert asked == []


def test_what_is_too_deep_is_a_sentence():
    check = checker({"$defs": {"n": {"items": {"$ref": "#/$defs/n"}}}, "$ref": "#/$defs/n"})
    value: list = []
    for _ in range(5000):
        value = [value]
    assert "deeper than a schema is followed" in str(check(value))
    assert check([[[]]]) is None
    loop = checker({"$defs": {"n": {"$ref": "#/$defs/n"}}, "$ref": "#/$defs/n"})
    assert "refers to itself without an end" in str(loop(1))


def test_the_same_schema_is_made_once_and_a_changed_one_anew():
    schema = {"type": "string"}
    check = checker(schema)
    assert checker({"type": "string"}) is check
    schema["type"] = "integer"
    assert checker(schema)(1) is None
    assert check(1) is not None


def test_the_library_is_imported_by_the_first_check_alone():
    program = (
        "import sys\n"
        "import headrace.output_parsers, headrace.tools, headrace.prompts, headrace.local\n"
        "from headrace.output_parsers import JsonOutputParser, PydanticOutputParser\n"
        "from headrace.tools import tool\n"
        "from headrace.json_schema import checker\n"
        "def f(a: int): 'F.'\n"
        "tool(f).invoke({'a': 1})\n"
        "assert 'jsonschema' not in sys.modules and 'referencing' not in sys.modules\n"
        "checker({})\n"
        "assert 'jsonschema' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
