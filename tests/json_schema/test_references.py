"""References in JSON schemas: replaced as langchain-core does it, and recursive ones kept."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.utils.json_schema import dereference_refs as theirs

from headrace.errors import ConfigError
from headrace.json_schema import UnknownReferenceError, dereference_refs, find, self_contained

TREE = {
    "title": "Tree",
    "type": "object",
    "properties": {"root": {"$ref": "#/$defs/Node", "description": "Where it begins."}},
    "required": ["root"],
    "$defs": {
        "Leaf": {"type": "string", "minLength": 1},
        "Node": {
            "type": "object",
            "properties": {
                "label": {"$ref": "#/$defs/Leaf"},
                "below": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            },
            "required": ["label"],
        },
    },
}

refs = st.sampled_from(["#/$defs/a", "#/$defs/b", "#/$defs/c~1d", "#/$defs/l/1"])
leaves = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["string", "integer"])}),
    st.fixed_dictionaries({"$ref": refs}),
    st.fixed_dictionaries({"$ref": refs, "description": st.just("x")}),
)
nodes = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("pq"), inner)}),
        st.fixed_dictionaries({"items": inner}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, max_size=2)}),
    ),
    max_leaves=4,
)


@given(nodes, nodes, nodes, nodes, st.sampled_from([None, [], ["$defs"], ["items"]]))
def test_replaced_as_langchain_does(root: Any, a: Any, b: Any, c: Any, skip: Any):
    schema = {"properties": {"x": root}, "$defs": {"a": a, "b": b, "c~1d": c, "l": [a, b]}}
    before = copy.deepcopy(schema)
    assert dereference_refs(schema, skip_keys=skip) == theirs(schema, skip_keys=skip)
    assert schema == before


@pytest.mark.parametrize("ref", ["#/$defs/nobody", "#/$defs/Leaf/type/x", "#/$defs/l/9"])
def test_a_reference_to_nothing(ref: str):
    with pytest.raises(UnknownReferenceError, match=r"Reference '.*' not found") as caught:
        dereference_refs({"x": {"$ref": ref}, "$defs": {"Leaf": {"type": "a"}, "l": [1]}})
    assert isinstance(caught.value, KeyError)


def test_a_reference_to_another_document():
    for made in (dereference_refs, self_contained):
        with pytest.raises(ConfigError, match=r"URI fragments.*'other.json#/a' is none"):
            made({"x": {"$ref": "other.json#/a"}})


def test_escaped_names_and_a_property_that_is_called_ref():
    escaped = {"$ref": "#/$defs/a~1b%20c"}
    schema = {"$defs": {"a/b c": {"type": "null"}}, "properties": {"x": escaped}}
    assert dereference_refs(schema)["properties"]["x"] == {"type": "null"}
    named = {"properties": {"$ref": {"type": "string"}}}
    assert dereference_refs(named) == named


@pytest.mark.parametrize("ref", ["#/$defs/nobody", "#name", "https://example.com/x", "#/l/²"])
def test_finding_nothing(ref: str):
    with pytest.raises(ConfigError, match="under '\\$defs'"):
        find({"l": [1], "$defs": {}}, ref)


def test_a_field_that_is_called_as_definitions_are():
    schema = {
        "properties": {"definitions": {"$ref": "#/$defs/Leaf"}, "$defs": {"type": "integer"}},
        "$defs": TREE["$defs"],
    }
    assert self_contained(schema) == {
        "properties": {"definitions": TREE["$defs"]["Leaf"], "$defs": {"type": "integer"}}
    }


def test_what_refers_to_itself_stays_among_the_definitions():
    made = self_contained(TREE)
    assert set(made["$defs"]) == {"Node"}
    assert made["$defs"]["Node"]["properties"]["label"] == TREE["$defs"]["Leaf"]
    good = {"root": {"label": "a", "below": [{"label": "b"}]}}
    bad = {"root": {"label": "a", "below": [{"label": ""}]}}
    for schema in (TREE, made):
        check = jsonschema.Draft202012Validator(schema)
        assert check.is_valid(good)
        assert not check.is_valid(bad)


def test_a_root_that_is_a_reference_itself():
    made = self_contained({"$ref": "#/$defs/Node", "$defs": TREE["$defs"]})
    assert made["type"] == "object"
    assert set(made["$defs"]) == {"Node"}


@given(nodes, nodes, nodes)
def test_what_is_left_of_references_leads_somewhere(root: Any, a: Any, b: Any):
    definitions = {"a": a, "b": b, "c/d": {"type": "string"}, "l": {"1": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"x": root}, "$defs": definitions}
    made = self_contained(schema)
    kept = set(made.get("$defs", ()))
    assert kept <= {"a", "b"}
    for name in ("a", "b"):
        assert (f"#/$defs/{name}" in str(made)) <= (name in kept)
    assert "c~1d" not in str(made) and "l/1" not in str(made)
