"""Where the JSON begins: fences and prose around it, cut at every position."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import JsonSyntaxError
from headrace.jsonstream import NOTHING, JsonStream, parse_json_markdown

FOUND = [
    ('{"a": 1}', {"a": 1}),
    ('```json\n{"a": 1}\n```', {"a": 1}),
    ('```\n{"a": 1}\n```', {"a": 1}),
    ('```{"a": 1}```', {"a": 1}),
    ('```JSON\n{"a": 1}\n```', {"a": 1}),
    ('```json5\n{"a": 1}\n```', {"a": 1}),
    ("``` json\n[1, 2]\n```", [1, 2]),
    ('\n\n  `{"a": 1}`', {"a": 1}),
    ("```true```", True),
    ("```json\n-1.5\n```", -1.5),
    ("```json\nnull\n```", None),
    ('Here you are:\n```json\n{"a": 1}\n```\nAnything else?', {"a": 1}),
    ('Here you are: {"a": 1} Anything else?', {"a": 1}),
    ('Here you are: {"a": [{}], "b": "}"}}}', {"a": [{}], "b": "}"}),
    ('The list is ["a", "b"].', ["a", "b"]),
    ("The records:\n[{}]", [{}]),
    ("The numbers: [1, 2, 3]", [1, 2, 3]),
    ("The numbers:\n  [-1]", [-1]),
    ("The answers: [true, false]", [True, False]),
    ("The answers:\n[ null\n]", [None]),
    ("The answers: [Infinity]", [float("inf")]),
    ('See: [nullable], [true-ish], [not] [false]: {"a": 1}', {"a": 1}),
    ("Nothing: [] is all", []),
    ("Nothing: {}", {}),
    ('As [1] says, { \n "a": 1}', {"a": 1}),
    ("As [note] and {this} say: [[1]]", [[1]]),
    ("a `code` word, ``two``, then ```\n[1]```", [1]),
    ('```python\nprint(x[0])\n```\nso ```json\n{"a": 1}\n```', {"a": 1}),
    ('- first\n- second\n{"a": 1}', {"a": 1}),
    ("-5 degrees", -5),
    ("truely said: [1]", [1]),
    ("true", True),
    ("-Infinity", float("-inf")),
    ("\ufeff[1]", [1]),
    ("```json\n```\n[1]", [1]),
    ("```" + "x" * 40 + "\n" + '{"a": 1}', {"a": 1}),
    ('json {"a": 1}', {"a": 1}),
    ('so: ``` some code [1] ``` and {"a": 1}', {"a": 1}),
]

MISSING = [
    "",
    "   ",
    "no JSON",
    "see {this} and [that]",
    "as [1] says",
    "as [1] says, it is [2, 3]",
    "this: [nullable]",
    "this: [tru",
    "```json\n```",
    "tru",
    "-",
    "``",
    "x {",
]


@pytest.mark.parametrize(("text", "value"), FOUND)
def test_found_at_every_cut(text: str, value: Any) -> None:
    for cut in range(len(text)):
        stream = JsonStream()
        stream.feed(text[:cut])
        stream.feed(text[cut:])
        assert stream.finish() == value, cut
    by_char = JsonStream()
    for char in text:
        by_char.feed(char)
        by_char.value
    assert by_char.finish() == by_char.value == value
    assert parse_json_markdown(text) == value


@pytest.mark.parametrize("text", MISSING)
def test_not_found_is_an_error_at_the_end(text: str) -> None:
    for parts in ([text], list(text)):
        stream = JsonStream()
        for part in parts:
            assert not stream.feed(part)
        assert stream.value is NOTHING
        with pytest.raises(JsonSyntaxError) as caught:
            stream.finish()
        assert caught.value.position == len(text)
    with pytest.raises(JsonSyntaxError):
        parse_json_markdown(text)


def test_nothing_shows_before_the_value_and_nothing_changes_after_it() -> None:
    stream = JsonStream()
    changes = [stream.feed(char) for char in 'Sure! ```json\n[1]\n``` [2] {"a"']
    assert [index for index, changed in enumerate(changes) if changed] == [14, 15]
    assert stream.finish() == [1]


def test_positions_count_from_the_start_of_the_whole_text() -> None:
    text = 'Sure:\n```json\n{"a": oops}'
    for parts in ([text], list(text)):
        stream = JsonStream()
        for part in parts:
            stream.feed(part)
        assert stream.begins == text.index("{")
        with pytest.raises(JsonSyntaxError) as caught:
            stream.finish()
        assert caught.value.position == text.index("oops")


@pytest.mark.parametrize("text", ['x {"a": 1}', '```\n{"a": 1}', "`1`"])
def test_prose_is_refused_where_it_is_not_asked_for(text: str) -> None:
    for options in ({"prose": False}, {"strict": True}):
        stream = JsonStream(**options)  # type: ignore[arg-type]
        stream.feed(text)
        with pytest.raises(JsonSyntaxError) as caught:
            stream.finish()
        assert caught.value.position == 0


def test_blanks_that_may_surround_the_json_show_with_what_follows() -> None:
    parts = ['["a', " ", "\n", "``", "` ", "b", " ", '"]']
    stream = JsonStream()
    seen = []
    for part in parts:
        stream.feed(part)
        seen.append(stream.value[0])
    assert seen == ["a", "a", "a", "a", "a", "a \n``` b", "a \n``` b", "a \n``` b "]
    bare = JsonStream(prose=False)
    bare.feed('["a ')
    assert bare.value == ["a "]


@pytest.mark.parametrize("text", ["true ", "null\n", "NaN\t", "-Infinity ", "[true ", "x: [null "])
def test_a_blank_ends_a_literal_however_the_text_is_cut(text):
    whole = JsonStream()
    whole.feed(text)
    for at in range(1, len(text)):
        cut = JsonStream()
        for piece in (text[:at], text[at:]):
            cut.feed(piece)
        assert repr(cut.value) == repr(whole.value)
