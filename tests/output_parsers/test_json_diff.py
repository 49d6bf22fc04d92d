"""`JsonOutputParser(diff=True)`: operations that reproduce every value, those of LangChain."""

from __future__ import annotations

import json
import operator
from itertools import pairwise

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.output_parsers import JsonOutputParser as Theirs

from headrace.errors import ConfigError, OutputParserException
from headrace.language_models import FakeListChatModel
from headrace.output_parsers import JsonOutputParser
from headrace.output_parsers._diff import Differences
from headrace.output_parsers._elements import Changes
from headrace.runnables import RunnableLambda, RunnableParallel
from laws.colours import every_colour
from laws.patched import patched

SCALARS = st.none() | st.booleans() | st.integers(-999, 999) | st.text('ab~/\\"é ', max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("xy~/", max_size=2), inner, max_size=4)
    ),
    max_leaves=14,
)
DOCUMENT = st.dictionaries(st.text("xy~/", max_size=2), VALUES, min_size=1, max_size=4)
CUTS = st.lists(st.integers(1, 60), max_size=8)


def cut(text, cuts):
    at = sorted({0, len(text), *(c for c in cuts if c < len(text))})
    return [text[a:b] for a, b in pairwise(at)]


def values_of(patches):
    """The value after each list of operations, by the library that is the standard for it."""
    value, seen = None, []
    for operations in patches:
        value = jsonpatch.apply_patch(value, operations)
        seen.append(json.loads(json.dumps(value)))
    return seen


def in_order(patches):
    return [sorted(operations, key=operator.itemgetter("path")) for operations in patches]


@given(DOCUMENT, CUTS, st.sampled_from(["partial", "delimited"]))
def test_applied_they_give_every_value_that_is_shown_without_diff(document, cuts, emit):
    pieces = cut(json.dumps(document, ensure_ascii=False), cuts)
    shown = list(JsonOutputParser(emit=emit).transform(iter(pieces)))
    patches = list(JsonOutputParser(emit=emit, diff=True).transform(iter(pieces)))
    assert values_of(patches) == shown
    assert patched(patches) == document


@given(DOCUMENT, CUTS)
def test_they_are_those_that_langchain_finds_between_the_same_values(document, cuts):
    pieces = cut(json.dumps(document, ensure_ascii=False), cuts)
    shown = list(JsonOutputParser().transform(iter(pieces)))
    ours = list(JsonOutputParser(diff=True).transform(iter(pieces)))
    theirs = [Theirs()._diff(a, b) for a, b in pairwise([None, *shown])]
    for mine, other in zip(ours, theirs, strict=True):
        # Where an element equals one before it, theirs saves an operation by moving that.
        saved = len(other) < len(mine) or any(operation["op"] == "move" for operation in other)
        assert saved or in_order([mine]) == in_order([other])


@pytest.mark.parametrize(
    "text",
    [
        '{"setup": "Why did", "audience": ["Haha", "So funny"], "n": 123}',
        '```json\n{"a": {"b": [1, [2, {"c": null}]]}, "d": true}\n```',
        '[{"a": 1}, {"a": 2}]',
    ],
)
@pytest.mark.parametrize("size", [1, 5])
def test_a_stream_of_them_is_that_of_langchain(text, size):
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    theirs = in_order(Theirs(diff=True).transform(iter(pieces)))
    assert in_order(JsonOutputParser(diff=True).transform(iter(pieces))) == theirs


def test_the_shape_of_the_operations():
    text = '{"a": "xy", "b": [1, {"c/d~": true}]}'
    assert list(JsonOutputParser(diff=True).transform(iter(text))) == [
        [{"op": "replace", "path": "", "value": {}}],
        [{"op": "add", "path": "/a", "value": ""}],
        [{"op": "replace", "path": "/a", "value": "x"}],
        [{"op": "replace", "path": "/a", "value": "xy"}],
        [{"op": "add", "path": "/b", "value": []}],
        [{"op": "add", "path": "/b/0", "value": 1}],
        [{"op": "add", "path": "/b/1", "value": {}}],
        [{"op": "add", "path": "/b/1/c~1d~0", "value": True}],
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, 2, 3], "a": [4, 5, 6, 7], "b": 1}',
        '{"a": {"x": 1, "y": [1]}, "b": 2, "a": {"y": [3, 4]}, "c": [1]}',
        '{"o": {"k": [1, 2], "k": {"k": 1}}, "o": "text", "z": 1}',
        '{"n": 1, "m": "s", "n": 12, "m": "other"}',
    ],
)
@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_key_that_comes_again_takes_back_what_was_there(text, size):
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    shown = list(JsonOutputParser().transform(iter(pieces)))
    patches = list(JsonOutputParser(diff=True).transform(iter(pieces)))
    assert values_of(patches)[-1] == json.loads(text) == patched(patches)
    assert [value for value in values_of(patches) if value in shown] == values_of(patches)


@every_colour
def test_a_step_behind_gets_the_value_that_invoke_gives(colour):
    def body(doors):
        text = '{"a": [1, 2], "b": "xy"}'
        parser = JsonOutputParser(diff=True)
        model = FakeListChatModel(responses=[text])
        want = json.loads(text)
        for chain in (
            model | parser | RunnableLambda(dict),
            model | RunnableParallel(v=parser, w=parser) | RunnableLambda(operator.itemgetter("v")),
            model | RunnableLambda(lambda _: parser) | RunnableLambda(lambda v: v),
        ):
            got = doors.stream(chain, "")
            assert got[-1] == want
        assert doors.invoke(model | parser | RunnableLambda(dict), "") == want
        assert doors.invoke(model | parser, "") == want

    colour.run(body)


def test_the_end_event_has_the_value():
    ends = []
    parser = JsonOutputParser(diff=True).with_listeners(on_end=lambda run: ends.append(run.outputs))
    list(parser.transform(iter('{"a": [1, 2]}')))
    assert ends[0]["output"] == {"a": [1, 2]} if "output" in ends[0] else ends[0] == {"a": [1, 2]}


def test_text_that_is_no_json_fails_after_its_operations():
    stream = JsonOutputParser(diff=True).transform(iter('{"a": 1, nonsense'))
    assert next(stream) == [{"op": "replace", "path": "", "value": {}}]
    with pytest.raises(OutputParserException, match="character 9"):
        list(stream)


@pytest.mark.parametrize("settings", [{"emit": "complete"}, {"path": "a[*]"}])
def test_complete_elements_have_no_changes(settings):
    with pytest.raises(ConfigError, match="diff=True"):
        JsonOutputParser(diff=True, **settings)


@pytest.mark.parametrize("kind", ["list", "object", "string", "deep", "records"])
def test_what_is_looked_at_grows_with_the_text_and_not_with_the_value(kind):
    def looked(n):
        text = {
            "list": lambda: json.dumps(list(range(n))),
            "object": lambda: json.dumps({f"k{i}": i for i in range(n)}),
            "string": lambda: json.dumps({"a": "x" * n}),
            "deep": lambda: "[" * min(n, 900) + "]" * min(n, 900),
            "records": lambda: json.dumps([{"a": i, "b": [i, {"c": "t"}]} for i in range(n // 8)]),
        }[kind]()
        machine = Changes(lambda value, text: value, "partial")
        size = 0
        for at in range(0, len(text), 4):
            size += len(list(machine.feed(text[at : at + 4])))
        list(machine.finish())
        return machine.looked / (len(text) / 4) if kind != "deep" else None

    if kind == "deep":
        machine = Changes(lambda value, text: value, "partial")
        patches = [p for piece in "[" * 900 + "]" * 900 for p in machine.feed(piece)]
        assert len(patches) == 900
        assert all(len(operations) == 1 for operations in patches)
        return
    small, large = looked(400), looked(3200)
    assert large < small * 1.2
    assert large < 12


def test_differences_of_values_that_share_nothing():
    told = Differences()
    assert told.to([1]) == [{"op": "replace", "path": "", "value": [1]}]
    assert told.to([1]) == []
    assert told.to({"a": 1}) == [{"op": "replace", "path": "", "value": {"a": 1}}]
    assert told.to({"a": True}) == [{"op": "replace", "path": "/a", "value": True}]
    assert told.to({"b": 1}, again=True) == [{"op": "replace", "path": "", "value": {"b": 1}}]
