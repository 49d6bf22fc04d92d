"""The machine from the model's JSON to tool calls, at every cut; and the schemas that hold it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError, InputError
from headrace.local.tool_answers import AnswerReader
from headrace.local.tooling import MOST_CALLS, spelt_out, tooling_of
from headrace.local.wire import ChunkReader
from headrace.merge import merge
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from headrace.tools import convert_to_openai_tool
from laws.counted import assert_linear
from laws.effort import examples

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "arguments", "calls", "a"]), inner, max_size=3)
    ),
    max_leaves=8,
)
arguments = st.dictionaries(st.text(max_size=5) | st.just("arguments"), values, max_size=3)
calls = st.builds(
    lambda name, args: {"name": name, "arguments": args}, st.text(min_size=1), arguments
)
layouts = st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}])


@st.composite
def pieces(draw: Any, text: str) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    bounds = [0, *cuts, len(text)]
    return [text[a:b] for a, b in pairwise(bounds)]


def read(parts: list[str]) -> AIMessageChunk:
    reader = AnswerReader()
    chunks = [AIMessageChunk("")]
    for part in parts:
        said, found = reader.feed(part, "id")
        chunks.append(AIMessageChunk(said, tool_call_chunks=found))
    return merge(chunks)


@examples(200)
@given(st.one_of(calls, st.lists(calls, min_size=1, max_size=3)), layouts, st.data())
def test_calls_at_any_cut(answer: Any, layout: dict[str, Any], data: Any):
    several = isinstance(answer, list)
    text = json.dumps({"calls": answer} if several else answer, **layout)
    whole = read(data.draw(pieces(text)))
    wanted = answer if several else [answer]
    assert whole.content == ""
    assert (
        whole.tool_call_chunks == read(list(text)).tool_call_chunks == read([text]).tool_call_chunks
    )
    found = whole.tool_call_chunks
    assert [chunk["name"] for chunk in found] == [each["name"] for each in wanted]
    assert [json.loads(chunk["args"] or "") for chunk in found] == [
        each["arguments"] for each in wanted
    ]
    assert [chunk["id"] for chunk in found] == [f"id-{n}" for n in range(len(wanted))]


@examples(100)
@given(st.text(), layouts, st.data())
def test_an_answer_at_any_cut(answer: str, layout: dict[str, Any], data: Any):
    text = json.dumps({"answer": answer}, **layout)
    whole = read(data.draw(pieces(text)))
    assert whole.content == answer
    assert whole.tool_call_chunks == []


def test_the_name_comes_first_and_the_arguments_as_they_are_written():
    reader = AnswerReader()
    text = '{"name": "f", "arguments": {"a": "x'
    rows = [chunk for sign in text for chunk in reader.feed(sign, "id")[1]]
    assert rows[0]["name"] == "f" and rows[0]["id"] == "id-0"
    assert "".join(row["args"] or "" for row in rows) == '{"a": "x'
    assert len(rows) == len('{"a": "x') + 1


def test_a_message_at_the_moment_at_which_it_has_something():
    def answer(text: str) -> dict[str, Any]:
        choice = {"delta": {"content": text}, "finish_reason": None}
        return {"id": "i", "model": "m", "choices": [choice]}

    reader = ChunkReader(AnswerReader())
    out = [reader.feed(answer(text)) for text in ('{"answ', 'er": "', "hi", '"}')]
    assert [each.content if each else None for each in out] == [None, None, "hi", None]


@pytest.mark.parametrize(
    "answer",
    [
        lambda size: {"name": "f", "arguments": {"a": ["word"] * size}},
        lambda size: {"name": "f", "arguments": {"a": "word" * size}},
        lambda size: {"calls": [{"name": "f", "arguments": {"a": 1}}] * (size // 4)},
        lambda size: {"answer": "word" * size},
    ],
    ids=["list", "string", "calls", "answer"],
)
def test_twice_the_text_costs_twice(answer: Any):
    def pieces_of(size: int) -> list[str]:
        text = json.dumps(answer(size))
        return [text[at : at + 4] for at in range(0, len(text), 4)]

    def run(parts: Any) -> None:
        reader = AnswerReader()
        for part in parts:
            reader.feed(part, "id")

    assert_linear(run, pieces_of, 400)


# ---------------------------------------------------------------------------- the schemas

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
TREE = {
    "title": "tree",
    "type": "object",
    "properties": {"root": {"$ref": "#/$defs/N"}},
    "required": ["root"],
    "$defs": {
        "N": {
            "type": "object",
            "properties": {"n": {"type": "array", "items": {"$ref": "#/$defs/N"}}},
        }
    },
}
TOOLS = [
    convert_to_openai_tool({"title": "f", **SCHEMA}),
    convert_to_openai_tool({"name": "g", "description": "No arguments."}),
    convert_to_openai_tool(TREE),
]
F, G = {"name": "f", "arguments": {"x": 1}}, {"name": "g", "arguments": {}}
T = {"name": "tree", "arguments": {"root": {"n": [{"n": []}]}}}
WRONG = [
    {"name": "h", "arguments": {}},
    {"name": "f", "arguments": {}},
    {"name": "f", "arguments": {"x": "1"}},
    {"name": "g", "arguments": {"x": 1}},
    {"name": "tree", "arguments": {"root": {"n": [{"n": 3}]}}},
    {"arguments": {}},
    {"answer": 3},
    {},
]


def check(**bound: Any) -> Any:
    tooling = tooling_of({"tools": TOOLS, **bound})
    assert tooling is not None
    schema = tooling.response_format["json_schema"]["schema"]
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid


@pytest.mark.parametrize("parallel", [None, True])
@pytest.mark.parametrize("choice", [None, "auto", "any", "f", "tree"])
def test_the_schema_lets_through_what_may_be_called(choice: Any, parallel: Any):
    valid = check(tool_choice=choice, parallel_tool_calls=parallel)
    shape = (lambda *calls: {"calls": list(calls)}) if parallel else (lambda call: call)
    assert valid({"answer": "hi"}) is (choice in (None, "auto"))
    for name, call in (("f", F), ("g", G), ("tree", T)):
        assert valid(shape(call)) is (choice in (None, "auto", "any", name))
    assert not any(valid(shape(wrong)) for wrong in WRONG)
    if parallel:
        assert not valid({"calls": []})
        assert not valid({"calls": [F] * (MOST_CALLS + 1)})


def test_what_the_model_is_told():
    tooling = tooling_of({"tools": TOOLS, "tool_choice": "any"})
    assert tooling is not None
    (first, last) = tooling.told([HumanMessage("hi")])
    assert isinstance(first, SystemMessage) and '"g"' in first.text and '"f"' in first.text
    assert "answer" not in first.text and last.content == "hi"
    given = [SystemMessage("Be brief."), HumanMessage("hi")]
    merged = tooling.told(given)
    assert len(merged) == 2 and merged[0].text.startswith("Be brief.\n\nYou have these tools")
    assert given[0].content == "Be brief."
    one = tooling_of({"tools": TOOLS, "tool_choice": "f"})
    assert one is not None and '"g"' not in one.told([])[0].text


def test_behind_a_result_it_is_told_how_to_answer():
    call = {"name": "f", "args": {"x": 1}, "id": "1"}
    talk = [
        HumanMessage("hi"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("one", tool_call_id="1"),
    ]
    hint = '\nIf this is enough to answer, write {"answer": the text}.'
    for choice, told in (("auto", hint), ("any", ""), ("f", "")):
        tooling = tooling_of({"tools": TOOLS, "tool_choice": choice})
        assert tooling is not None
        assert tooling.told(talk)[-1].text == f"Result of f: one{told}"
    free = tooling_of({"tools": TOOLS})
    assert free is not None
    assert [m.text for m in free.told([*talk, HumanMessage("so?")])][-2:] == [
        "Result of f: one",
        "so?",
    ]
    assert talk[-1].content == "one"


def test_no_tools_and_none():
    kwargs = {"tools": TOOLS, "tool_choice": "none", "parallel_tool_calls": True, "seed": 1}
    assert tooling_of(kwargs) is None
    assert kwargs == {"seed": 1}
    assert tooling_of({}) is None


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"tools": TOOLS, "response_format": {"type": "json_object"}}, "both tools and response"),
        ({"tools": [{"type": "web_search"}]}, "functions only"),
        ({"tools": TOOLS, "tool_choice": "h"}, "'f', 'g', 'tree'"),
    ],
)
def test_what_is_refused(kwargs: dict[str, Any], said: str):
    with pytest.raises((InputError, ConfigError), match=said):
        tooling_of(kwargs)


def test_calls_and_results_as_text():
    call = {"name": "f", "args": {"x": 1}, "id": "1"}
    other = {"name": "g", "args": {}, "id": "2"}
    said = spelt_out(
        [
            HumanMessage("hi"),
            AIMessage("Let me see.", tool_calls=[call]),
            ToolMessage("one", tool_call_id="1"),
            AIMessage("", tool_calls=[call, other]),
            ToolMessage("no", tool_call_id="2", status="error"),
            ToolMessage("x", tool_call_id="9"),
        ]
    )
    assert [type(each) for each in said] == [
        HumanMessage, AIMessage, HumanMessage, AIMessage, HumanMessage, HumanMessage
    ]  # fmt: skip
    assert said[1].content == 'Let me see.\n{"name": "f", "arguments": {"x": 1}}'
    assert said[2].content == "Result of f: one"
    assert json.loads(said[3].content) == {"calls": [F, G]}
    assert said[4].content == "Result of g (it failed): no"
    assert said[5].content == "Result of the tool: x"
