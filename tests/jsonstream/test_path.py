"""Completed values and the selectors of their places."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.jsonstream import JsonStream, Path, Selector
from jsonstream.documents import documents, pieces, same

TEXT = json.dumps(
    {
        "countries": [
            {"name": "France", "cities": ["Paris", "Lyon"]},
            {"name": "Spain", "cities": []},
            {"name": "Japan", "cities": ["Tokyo"], "a.b": {"*": 1}},
        ],
        "name": "list",
    }
)


def completed(text: str, watch: str | bool, size: int = 1) -> list[tuple[Path, Any]]:
    stream = JsonStream(watch=watch)
    found = []
    for start in range(0, len(text), size):
        stream.feed(text[start : start + size])
        found += stream.completed()
    stream.finish()
    return found + stream.completed()


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize(
    ("selector", "values"),
    [
        ("countries[*].name", ["France", "Spain", "Japan"]),
        ("$.countries[*].name", ["France", "Spain", "Japan"]),
        ("countries[1].name", ["Spain"]),
        ("countries[*].cities[*]", ["Paris", "Lyon", "Tokyo"]),
        ("countries[*].cities", [["Paris", "Lyon"], [], ["Tokyo"]]),
        ("countries[*].cities[0]", ["Paris", "Tokyo"]),
        ("name", ["list"]),
        ("*", [json.loads(TEXT)["countries"], "list"]),
        ('countries[2]["a.b"].*', [1]),
        ('countries[2]["a.b"]["*"]', [1]),
        ("[*]", []),
        ("countries.name", []),
        ("", [json.loads(TEXT)]),
        ("$", [json.loads(TEXT)]),
    ],
)
def test_selected_values_come_once_as_they_close(
    selector: str, values: list[Any], size: int
) -> None:
    assert [value for _, value in completed(TEXT, selector, size)] == values


def test_a_value_comes_with_the_piece_that_closes_it() -> None:
    stream = JsonStream(watch="[*]")
    seen = []
    for part in ['["Sp', "ain", '"', ", 6", "7", ", {", "}", "]"]:
        stream.feed(part)
        seen.append(stream.completed())
    assert seen == [[], [], [((0,), "Spain")], [], [], [((1,), 67)], [((2,), {})], []]


def test_the_root_number_closes_with_the_text() -> None:
    stream = JsonStream(watch="")
    stream.feed("67")
    assert stream.completed() == []
    stream.finish()
    assert stream.completed() == [((), 67)]


def everything(value: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    """Every place of a value, in the order in which they close."""
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    found = [each for key, child in inner for each in everything(child, (*path, key))]
    return [*found, (path, value)]


@given(st.data(), documents())
def test_all_places_are_told_in_order(data: st.DataObject, text: str) -> None:
    stream = JsonStream(watch=True)
    found = []
    for part in data.draw(pieces(text)):
        stream.feed(part)
        found += stream.completed()
    whole = stream.finish()
    found += stream.completed()
    assert same([list(each) for each in found], [list(each) for each in everything(whole)])


def test_nothing_is_told_unless_asked_for() -> None:
    assert completed(TEXT, False) == []


@pytest.mark.parametrize(
    ("text", "at"), [("a[", 1), ("a[x]", 1), ("a..b", 1), ('a["b]', 1), ("a]", 1), ("[*", 0)]
)
def test_a_selector_that_cannot_be_read(text: str, at: int) -> None:
    with pytest.raises(InputError, match=f"character {at}"):
        Selector(text)
    with pytest.raises(InputError):
        JsonStream(watch=text)


def test_a_selector_shows_itself() -> None:
    assert repr(Selector("a[*].b")) == "Selector('a[*].b')"
