"""The incremental JSON machine by itself, as `headrace.jsonstream` tells of it."""

from __future__ import annotations  # noqa: I001

import copy
import json
import math
import sys
from typing import Any

import jiter
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.utils.json import parse_json_markdown as their_markdown
from langchain_core.utils.json import parse_partial_json as their_partial

from headrace.errors import HeadraceError, JsonDepthError, JsonSyntaxError
from headrace.jsonstream import (
    MAX_DEPTH,
    NOTHING,
    JsonStream,
    parse_and_check_json_markdown,
    parse_json_markdown,
    parse_partial_json,
)
from laws.effort import examples
from structure.scripted import JSON_VALUES, cuts, grows
import itertools

MODES = ["partial", "delimited"]
both_modes = pytest.mark.parametrize("mode", MODES)


def fed(pieces: Any, **settings: Any) -> tuple[list[Any], Any]:
    """The values after each piece, and what `finish` gives."""
    machine = JsonStream(**settings)
    seen = []
    for piece in pieces:
        machine.feed(piece)
        seen.append(machine.value)
    return seen, machine.finish()


# ---- the value, in every cut --------------------------------------------------------------------


@given(st.data())
@examples(80)
def test_the_end_is_what_json_reads(data):
    value = data.draw(JSON_VALUES)
    text = json.dumps(
        value, ensure_ascii=data.draw(st.booleans()), indent=data.draw(st.sampled_from([None, 1]))
    )
    mode, strict = data.draw(st.sampled_from(MODES)), data.draw(st.booleans())
    _, end = fed(data.draw(cuts(text)), mode=mode, strict=strict)
    assert end == value
    assert json.dumps(end) == json.dumps(value)


@given(st.data())
@examples(80)
def test_delimited_values_only_grow_and_are_never_changed(data):
    value = data.draw(JSON_VALUES)
    machine = JsonStream(mode="delimited")
    seen, kept = [], []
    for piece in data.draw(cuts(json.dumps(value))):
        machine.feed(piece)
        seen.append(machine.value)
        kept.append(copy.deepcopy(machine.value))
    seen.append(machine.finish())
    assert seen[:-1] == kept
    shown = [each for each in seen if each is not NOTHING]
    for before, after in itertools.pairwise(shown):
        assert grows(before, after)
    assert shown[-1] == value


@given(st.data())
@examples(60)
def test_a_value_depends_on_the_text_only_not_on_its_cuts(data):
    value = data.draw(JSON_VALUES)
    text = json.dumps(value)
    mode = data.draw(st.sampled_from(MODES))
    end = data.draw(st.integers(0, len(text)))
    one, other = JsonStream(mode=mode), JsonStream(mode=mode)
    one.feed(text[:end])
    for piece in data.draw(cuts(text[:end])):
        other.feed(piece)
    assert repr(one.value) == repr(other.value)


@given(JSON_VALUES, st.data())
@examples(60)
def test_partial_values_as_jiter_sees_them(value, data):
    """`jiter`'s partial mode with trailing strings, where numbers and literals are left alone."""
    text = json.dumps(value, ensure_ascii=False)
    end = data.draw(st.integers(0, len(text)))
    machine = JsonStream(mode="delimited", strict=True)
    machine.feed(text[:end])
    if not text[:end].strip():
        assert machine.value is NOTHING
        return
    try:
        theirs = jiter.from_json(text[:end].encode(), partial_mode="trailing-strings")
    except ValueError:  # a scalar that has only begun
        return
    if machine.value is not NOTHING:
        assert grows(machine.value, theirs) or machine.value == theirs


def test_nothing_is_not_none():
    machine = JsonStream()
    machine.feed("  ")
    assert machine.value is NOTHING
    machine.feed("null ")
    assert machine.value is None
    assert machine.finish() is None


@both_modes
@pytest.mark.parametrize(
    "text", ['["\\ud83d\\ude00"]', '["a\\\\\\"\\/\\b\\f\\n\\r\\t\\u00e9"]', '["😀é"]']
)
def test_escapes_cut_anywhere(mode, text):
    value = json.loads(text)
    for a in range(len(text)):
        for b in range(a, len(text)):
            seen, end = fed([text[:a], text[a:b], text[b:]], mode=mode)
            assert end == value
            for each in seen:
                if each is not NOTHING and each:
                    assert value[0].startswith(each[0])


@pytest.mark.parametrize("escape", ["\\ud83d", "\\ude00", "\\ud83dx", "\\ud83d\\u0041"])
def test_half_of_a_surrogate_pair(escape):
    """A lone half is what `json` makes of it, or a replacement; never an error in the middle."""
    _, end = fed(list(f'["{escape}z"]'))
    assert end[0].endswith("z")


@both_modes
@pytest.mark.parametrize("number", ["0", "-0", "12", "-1.50", "1e5", "1E+2", "2.5e-3", "1" * 30])
def test_numbers_cut_anywhere(mode, number):
    text = f'{{"n": {number}, "m": [{number}]}}'
    for at in range(len(text)):
        seen, end = fed([text[:at], text[at:]], mode=mode)
        assert end == json.loads(text)
        assert type(end["n"]) is type(json.loads(number))
        if mode == "delimited" and seen[0] is not NOTHING and "n" in seen[0]:
            assert seen[0]["n"] == json.loads(number)


@both_modes
def test_a_number_by_itself_ends_with_the_text(mode):
    machine = JsonStream(mode=mode)
    machine.feed("12")
    assert machine.value == (12 if mode == "partial" else NOTHING)
    machine.feed("3")
    assert machine.finish() == 123


def test_a_key_shows_when_its_value_does():
    machine = JsonStream()
    for text, value in [('{"na', {}), ('me"', {}), (":", {}), (' "S', {"name": "S"})]:
        machine.feed(text)
        assert machine.value == value


def test_a_key_that_comes_again():
    _, end = fed(list('{"a": [1, 2], "b": 3, "a": "x"}'))
    assert end == {"a": "x", "b": 3}
    assert list(end) == list(json.loads('{"a": [1, 2], "b": 3, "a": "x"}'))


# ---- what models write --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"a": [1, "x"]}\n```',
        '```\n{"a": [1, "x"]}\n```',
        'Sure! Here it is: {"a": [1, "x"]}. Anything else?',
        'Sure:\n\n```json\n{"a": [1, "x"]}\n```\nThat was `it`.',
        '{"a": [1, "x",],}',
        '\ufeff{"a": [1, "x"]}',
        '```json\r\n{"a": [1, "x"]}\r\n```',
        '```JSON\n{"a": [1, "x"]}',
    ],
)
def test_lenient(text):
    for at in range(len(text)):
        _, end = fed([text[:at], text[at:]])
        assert end == {"a": [1, "x"]}
    assert parse_json_markdown(text) == {"a": [1, "x"]}


def test_raw_newlines_unless_strict():
    text = '{"a": "one\ntwo\t3"}'
    assert fed(list(text))[1] == {"a": "one\ntwo\t3"}
    with pytest.raises(JsonSyntaxError):
        fed(list(text), strict=True)


@pytest.mark.parametrize(
    "text",
    [
        "[1,]",
        '{"a":1,}',
        "x [1]",
        "```\n[1]\n```",
        "[1] x",
        "NaN",
        "[Infinity]",
        '["\n"]',
        "[01]",
        "[1.]",
        "[.5]",
        "[+1]",
        "[1e]",
        "'a'",
        "[tru]",
        "[1 2]",
        '{"a" 1}',
        "{1: 2}",
        '["\\x"]',
        "[1}",
        '["\\u12g4"]',
        "",
        " ",
        "[",
        '{"a"',
        '"a',
        "-",
        "[,1]",
        "[1,,2]",
        "{,}",
        "nul",
    ],
)
def test_strict_refuses_what_json_refuses(text):
    """Every cut fails alike: at one position, with one sentence."""
    seen = set()
    for at in range(len(text) + 1):
        with pytest.raises(JsonSyntaxError) as caught:
            fed([text[:at], text[at:]], strict=True)
        seen.add(str(caught.value))
        assert isinstance(caught.value, ValueError)
    assert len(seen) == 1, seen
    assert "expected" in seen.pop()


@pytest.mark.parametrize(
    "text", ["[1 2]", '{"a" 1}', "[tru]", "[1}", "[01]", '{"a": }', "{'a': 1}", "[1", '{"a": "x']
)
def test_lenient_refuses_in_every_cut_alike(text):
    seen = set()
    for at in range(len(text) + 1):
        with pytest.raises(JsonSyntaxError) as caught:
            fed([text[:at], text[at:]])
        seen.add(str(caught.value))
    assert len(seen) == 1, seen


def test_text_after_the_value_unless_strict():
    assert fed(["[1] and more ]]}"])[1] == [1]
    with pytest.raises(JsonSyntaxError):
        fed(["[1] x"], strict=True)


def test_not_a_number():
    assert math.isnan(fed(list("[NaN]"))[1][0])


# ---- what has closed ----------------------------------------------------------------------------


@given(st.data())
@examples(50)
def test_watching_everything_tells_each_value_once(data):
    value = data.draw(JSON_VALUES)
    machine = JsonStream(watch=True)
    told = []
    for piece in data.draw(cuts(json.dumps(value))):
        machine.feed(piece)
        told += machine.completed()
    machine.finish()
    told += machine.completed()

    def places(each: Any, path: tuple[Any, ...]) -> Any:
        inner = (
            each.items()
            if isinstance(each, dict)
            else enumerate(each)
            if isinstance(each, list)
            else ()
        )
        for key, item in inner:
            yield from places(item, (*path, key))
        yield path, each

    assert [(tuple(path), item) for path, item in told] == list(places(value, ()))


def test_what_has_closed_is_told_at_once_and_once():
    machine = JsonStream(watch="a[*]")
    machine.feed('{"a": [1')
    assert machine.completed() == []
    machine.feed(", 2")
    assert [item for _, item in machine.completed()] == [1]
    assert machine.completed() == []
    machine.feed("]")
    assert machine.completed() == [(("a", 1), 2)]


@pytest.mark.parametrize("watch", ["a[", "a..b", "a[x]", "[*"])
def test_paths_that_cannot_be_read(watch):
    with pytest.raises(HeadraceError) as caught:
        JsonStream(watch=watch)
    assert watch in str(caught.value)


@pytest.mark.parametrize(
    ("watch", "found"),
    [
        ("a", [[{"b": 1}, {"b": 2}]]),
        ("a[0].b", [1]),
        ("a[*].b", [1, 2]),
        ('["a"][1]', [{"b": 2}]),
        ("a[7]", []),
        ("b", []),
        ("a.b", []),
    ],
)
def test_paths(watch, found):
    machine = JsonStream(watch=watch)
    machine.feed('{"a": [{"b": 1}, {"b": 2}]}')
    assert [item for _, item in machine.completed()] == found


# ---- cost ---------------------------------------------------------------------------------------


def steps(text: str, mode: str) -> int:
    count = 0

    def tracer(frame: Any, event: str, arg: Any) -> Any:
        nonlocal count
        count += 1
        return tracer

    machine = JsonStream(mode=mode)
    sys.settrace(tracer)
    try:
        for i in range(0, len(text), 4):
            machine.feed(text[i : i + 4])
            machine.value
    finally:
        sys.settrace(None)
    return count


LONG = {
    "array of numbers": lambda n: json.dumps(list(range(n))),
    "array of objects": lambda n: json.dumps([{"a": i, "b": "x"} for i in range(n // 4)]),
    "string": lambda n: json.dumps("word\n" * n),
    "escapes": lambda n: json.dumps("é😀" * (n // 2)),
    "object": lambda n: json.dumps({f"k{i:06d}": i for i in range(n // 4)}),
    "nested strings": lambda n: json.dumps({"a": {"b": {"c": ["x" * n, "y" * n]}}}),
    "prose": lambda n: "so it goes " * n + "[1]",
}


@both_modes
@pytest.mark.parametrize("kind", LONG)
def test_twice_the_text_twice_the_steps(kind, mode):
    assert steps(LONG[kind](800), mode) <= 2.2 * steps(LONG[kind](400), mode)


@both_modes
def test_a_megabyte_string_in_small_pieces(mode):
    """Quadratic copying of the string would take minutes here."""
    machine = JsonStream(mode=mode)
    machine.feed('{"text": "')
    for _ in range(60_000):
        machine.feed("0123456789abcdef")
        machine.value
    machine.feed('"}')
    assert len(machine.finish()["text"]) == 960_000


def test_snapshots_share_what_has_closed():
    machine = JsonStream()
    machine.feed('[{"a": [1, 2]}, {"b": ')
    before = machine.value
    machine.feed("3}, 4")
    after = machine.value
    assert before == [{"a": [1, 2]}, {}]
    assert after == [{"a": [1, 2]}, {"b": 3}, 4]
    assert after[0] is before[0]


def test_depth():
    assert MAX_DEPTH == 1000
    fed(["[" * 1000 + "]" * 1000])
    with pytest.raises(JsonDepthError, match=r"1,?000") as caught:
        fed(["[" * 1001 + "]" * 1001])
    assert isinstance(caught.value, (HeadraceError, RecursionError))
    with pytest.raises(JsonDepthError, match="5"):
        fed(list('{"a":[[[[[1]]]]]}'), max_depth=5)
    with pytest.raises(JsonDepthError):
        parse_partial_json("[" * 100_000)
    with pytest.raises(JsonDepthError):
        parse_json_markdown("[" * 100_000)


# ---- the functions ------------------------------------------------------------------------------


@given(JSON_VALUES, st.data())
@examples(60)
def test_parse_partial_json_as_langchain_has_it(value, data):
    """At each cut: what theirs makes of it, or more of it; where theirs fails, ours may not."""
    text = json.dumps(value)
    end = data.draw(st.integers(1, len(text)))
    ours: Any
    try:
        ours = parse_partial_json(text[:end])
    except JsonSyntaxError:
        ours = NOTHING
    try:
        other = their_partial(text[:end])
    except ValueError:
        return
    if isinstance(value, (list, dict)):
        assert ours == other or grows(other, ours) or "\\" in text[:end]
    if end == len(text):
        assert ours == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '```json\n{"a": 1}\n```',
        "```\n[1, 2]\n```",
        'Look:\n```json\n{"a": "b\\nc"}\n```\nok',
        '{"a": "```"}',
        '```json\n{"a": "x```y"}\n```',
        '{"a": "\n"}',
        '{"a": 1, "b": {"c": [1, 2',
    ],
)
def test_parse_json_markdown_as_langchain_has_it(text):
    assert parse_json_markdown(text) == their_markdown(text)


def test_expected_keys():
    assert parse_and_check_json_markdown('```json\n{"a": 1, "b": 2}\n```', ["a"]) == {
        "a": 1,
        "b": 2,
    }
    for text in ('{"b": 2}', "[1]", "none"):
        with pytest.raises(HeadraceError) as caught:
            parse_and_check_json_markdown(text, ["a"])
        assert len(str(caught.value).split()) > 4


@pytest.mark.parametrize("settings", [{"mode": "x"}, {"nope": 1}])
def test_wrong_settings(settings):
    with pytest.raises((HeadraceError, TypeError)) as caught:
        JsonStream(**settings)
    assert "'x'" in str(caught.value) or "nope" in str(caught.value)


@pytest.mark.parametrize("wrong", [3, b"[1]", ["[1]"]])
def test_feeding_what_is_no_text(wrong):
    with pytest.raises((HeadraceError, TypeError)):
        JsonStream().feed(wrong)


def test_after_the_end_nothing_can_be_fed():
    machine = JsonStream()
    machine.feed("[1]")
    assert machine.finish() == [1]
    assert machine.finish() == [1]
    try:
        machine.feed(" [2]")
    except HeadraceError as error:
        assert len(str(error).split()) > 3
    else:
        assert machine.finish() == [1]
