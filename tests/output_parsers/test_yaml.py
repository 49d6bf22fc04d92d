"""`YamlOutputParser`: safe, by YAML 1.2, validated against any schema."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import sys
from typing import TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from headrace.errors import MissingExtraError, OutputParserException
from headrace.language_models import FakeListChatModel
from headrace.output_parsers import YamlOutputParser
from headrace.output_parsers.yaml import _loader
from laws.colours import every_colour
from laws.counted import counted_calls


class Person(BaseModel):
    """Somebody."""

    name: str
    tags: list[str] = []
    ok: bool = False
    born: datetime.date | None = None
    zip: str = ""


class Typed(TypedDict):
    name: str


@dataclasses.dataclass
class Data:
    name: str


PARSER = YamlOutputParser(pydantic_object=Person)
ANY = YamlOutputParser(pydantic_object=object)
ADA = Person(name="Ada", tags=["x", "y"])


@pytest.mark.parametrize(
    "text",
    [
        "name: Ada\ntags: [x, y]",
        "\n\nname: Ada\ntags:\n- x\n- y\n",
        "---\nname: Ada\ntags: [x, y]\n...\n",
        "```yaml\nname: Ada\ntags: [x, y]\n```",
        "Sure: here\n\n```yml\nname: Ada\ntags: [x, y]\n```\nThat: was it.",
        "```\nname: Ada\ntags: [x, y]",
        "Here it is:\n\nname: Ada\ntags: [x, y]",
        'Here it is, "as asked":\n{"name": "Ada", "tags": ["x", "y"]}',
        '```json\n{"name": "Ada", "tags": ["x", "y"]}\n```',
        "  ```yaml\n  name: Ada\n  tags: [x, y]\n  ```",
        "```yaml\r\nname: Ada\r\ntags: [x, y]\r\n```",
    ],
)
@every_colour
def test_bare_in_a_fence_or_after_prose(colour, text):
    def body(doors):
        assert doors.invoke(PARSER, text) == ADA
        assert doors.stream(PARSER, text) == [ADA]
        assert doors.transform(PARSER, list(text)) == [ADA]

    colour.run(body)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (Typed, {"name": "Ada"}),
        (Data, Data("Ada")),
        (dict[str, str], {"name": "Ada"}),
        ({"type": "object", "properties": {"name": {"type": "string"}}}, {"name": "Ada"}),
    ],
)
def test_any_schema_will_do(schema, value):
    assert YamlOutputParser(pydantic_object=schema).invoke("name: Ada") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("NO", "NO"), ("true", True), ("False", False),
        ("007", "007"), ("1:30", "1:30"), ("12", 12), ("-3", -3), ("0x1F", 31), ("0", 0),
        ("1.5", 1.5), ("1e3", 1000.0), ("-.5e-1", -0.05), (".inf", float("inf")),
        ("1_000", "1_000"), ("2024-01-02", "2024-01-02"), ("~", None), ("null", None),
        ("'12'", "12"), ("1.2.3", "1.2.3"), (r'"\ud83d\ude00 é"', "😀 é"),
        ("a: \nb: |\n  x\n  y", {"a": None, "b": "x\ny"}), ("[]", []),
    ],
)  # fmt: skip
def test_plain_values_are_those_of_yaml_1_2(text, value):
    assert ANY.invoke(text) == value


def test_the_schema_makes_of_text_what_it_says():
    said = "name: no\nok: yes\nborn: 1815-12-10\nzip: 01234\n"
    born = datetime.date(1815, 12, 10)
    assert PARSER.invoke(said) == Person(name="no", ok=True, born=born, zip="01234")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(value=JSON)
def test_json_is_yaml(value):
    assert ANY.invoke(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [", "at character 7 (line 1, column 8 of it): while parsing"),
        ("x\n```yaml\nname: [\n```", "at character 18 (line 2, column 1 of it)"),
        (
            "name: a\nname: b",
            "at character 8 (line 2, column 1 of it): the key 'name' is there twice",
        ),
        ("name: &a x\ntags: [*a]", "at character 6 (line 1, column 7 of it): anchors and aliases"),
        ("&a [*a]", "anchors and aliases are refused"),
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("!!python/name:os.system", "could not determine a constructor"),
        ("[" * 5000, "more than 100 levels"),
        ("a: b: c", "mapping values are not allowed here"),
        ("name: \x00", "not valid YAML"),
        ("a: 1\n--- \nb: 2", "expected a single document"),
    ],
)
def test_what_is_not_to_be_read(text, said):
    with pytest.raises(OutputParserException, match=re.escape(said)) as caught:
        PARSER.invoke(text)
    assert caught.value.llm_output == text
    assert caught.value.__cause__ is not None


def test_aliases_are_no_bomb():
    def calls(levels):
        lines = ["a0: &a0 [x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
        text = "\n".join(lines)
        refused = pytest.raises(OutputParserException, match="anchors and aliases are refused")
        with counted_calls() as counter, refused:
            ANY.invoke(text)
        return counter.total

    calls(2)
    assert calls(12) <= calls(2) + 10  # at the first of them, whatever comes after


@pytest.mark.parametrize("text", ["x: 1", "", "just words", "- a", "name: [1]"])
def test_what_does_not_fit(text):
    with pytest.raises(OutputParserException) as caught:
        PARSER.invoke(text)
    assert "Person" in str(caught.value)
    assert caught.value.llm_output == text


def test_a_pattern_of_ones_own():
    parser = YamlOutputParser(pydantic_object=Person, pattern=r"(?s)<y>(?P<yaml>.*)</y>")
    assert parser.invoke("a: b: <y>name: Ada</y>").name == "Ada"
    assert parser.invoke("name: Bob").name == "Bob"
    with pytest.raises(ValidationError, match=r"has no group \(\?P<yaml>…\)"):
        YamlOutputParser(pydantic_object=Person, pattern="x")


def test_a_schema_that_is_none_is_refused():
    with pytest.raises(ValueError, match="is no schema"):
        YamlOutputParser(pydantic_object="Person")


def test_without_pyyaml(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    _loader.cache_clear()
    with pytest.raises(MissingExtraError, match=r'pip install "headrace\[yaml\]"'):
        YamlOutputParser(pydantic_object=Person)


def test_after_a_model():
    chain = FakeListChatModel(responses=["```yaml\nname: Ada\n```"]) | PARSER | (lambda p: p.name)
    assert chain.invoke("") == "Ada" == "".join(chain.stream(""))


def test_what_it_says_of_itself():
    instructions = PARSER.get_format_instructions()
    assert json.dumps(Person.model_json_schema()) in instructions
    assert "```yaml" in instructions
    assert PARSER._type == "yaml"
    assert PARSER.OutputType is Person
    assert PARSER.explain().steps[0].kind == "barrier"
