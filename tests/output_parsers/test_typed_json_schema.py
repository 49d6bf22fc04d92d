"""JSON schemas as what a parser is made of; the check itself is in tests/json_schema."""

from __future__ import annotations

import pytest

from headrace.errors import ConfigError, OutputParserException
from headrace.language_models import FakeListChatModel
from headrace.output_parsers import JsonOutputParser, PydanticOutputParser
from headrace.output_parsers.schemas import schema_of
from headrace.tools import ToolSchemaError


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"properties": {"a": {"$dynamicRef": "#x"}}}, "dynamicRef"),
        ({"items": {"$ref": "#/$defs/gone"}}, r"'#/\$defs/gone' not found"),
        ({"anyOf": [{"$ref": "https://example.com/schema"}]}, "'https://example.com/schema' is"),
        ({"type": "text"}, r"This is no JSON schema: at type: 'text' is not"),
        ({"default": {1, 2}}, "JSON has no words"),
    ],
)
def test_refused_when_a_parser_is_made(schema, words):
    with pytest.raises(ConfigError, match=words):
        schema_of(schema)


def test_an_invalid_value_raises_with_a_sentence():
    schema = schema_of({"title": "Person", "properties": {"age": {"type": "integer"}}})
    with pytest.raises(
        OutputParserException, match=r"Failed to parse Person.*at age: 'old' is not of type"
    ):
        schema.checked({"age": "old"}, "text")
    assert schema.checked({"age": 3}) == {"age": 3}


def test_references_are_written_out_where_that_ends():
    leaf = {"type": "integer", "minimum": 1}
    node = {"properties": {"next": {"$ref": "#/$defs/Node"}, "n": {"$ref": "#/$defs/N"}}}
    schema = schema_of({"$ref": "#/$defs/Node", "$defs": {"Node": node, "N": leaf}})
    told = schema.json_schema(refs=False)
    assert told["properties"] == {"n": leaf, "next": {"$ref": "#/$defs/Node"}}
    assert set(told["$defs"]) == {"Node"}
    for each in (schema, schema_of(told)):
        assert each.validate({"next": {"next": {"n": 3}}})
        with pytest.raises(OutputParserException, match=r"at next\.next\.n: 0 is less than"):
            each.validate({"next": {"next": {"n": 0}}})


FIELDS = [{"name": "string", "age": "int"}, {"age": "int"}, {"title": "string", "age": "int"},
          {"name": "f", "parameters": {"age": "int"}}]  # fmt: skip


@pytest.mark.parametrize("fields", FIELDS)
def test_a_dict_of_fields_is_no_schema(fields):
    model = FakeListChatModel(responses=["x"])
    for method in ("json_schema", "function_calling"):
        with pytest.raises(ConfigError, match="is no JSON schema: no key of it"):
            Structuring(responses=["x"]).with_structured_output(fields, method=method)
    with pytest.raises(ConfigError, match="is no JSON schema"):
        PydanticOutputParser(pydantic_object=fields)
    with pytest.raises(ConfigError, match="is no JSON schema"):
        JsonOutputParser(pydantic_object=fields)
    if not {"parameters", "title"} & set(fields):
        with pytest.raises(ToolSchemaError, match=r"title|neither"):
            model.bind_tools([fields])


class Structuring(FakeListChatModel):
    structured_modes = ("json_schema", "function_calling")

    def bind_tools(self, tools, **kwargs):
        return self.bind(tools=tools)


@pytest.mark.parametrize("anything", [{}, {"title": "Any", "description": "what you like"}])
def test_a_schema_that_allows_everything_is_one(anything):
    assert schema_of(anything).validate([1]) == [1]
