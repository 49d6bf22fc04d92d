"""JSON documents to read: hypothesis strategies, small texts to cut everywhere, and ways to cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from headrace.jsonstream import JsonStream

# Strings with everything that can be cut: escapes, surrogate pairs, quotes, fences, blanks.
TEXTS = st.text(
    st.sampled_from([*"ab \"\\/\b\n\t`'{}[]:,0-e\x7fé€😀\u2028\xa0", "\ud83d", "\ude00", "\x00"]),
    max_size=8,
)
NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 1e300, 67_413_000, 1.5e-7]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=25,
)


@st.composite
def documents(draw: st.DrawFn, values: st.SearchStrategy[Any] = VALUES) -> str:
    """A JSON text in one of the layouts that models write."""
    indent = draw(st.sampled_from([None, None, 1, 2]))
    separators = draw(st.sampled_from([None, (",", ":"), (" ,\n", " : ")]))
    return json.dumps(
        draw(values), ensure_ascii=draw(st.booleans()), indent=indent, separators=separators
    )


@st.composite
def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """The text, cut at any positions."""
    cuts = draw(st.lists(st.integers(0, len(text)), max_size=30))
    edges = [0, *sorted(cuts), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


SMALL = [
    '{"countries": [{"name": "France", "population": 67413000}]}',
    "[1, -2.5e3, 0, -0, 0.0, 1E-2, 12345678901234567890]",
    '{"a": {"b": [[], {}, [[1]], ""]}, "c": null, "d": [true, false]}',
    r'["\"\\\/\b\f\n\r\t", "\u00e9\ud83d\ude00", "\ud83dx", "\ude00\ud83d", "a\ud83d\ud83d\ude00"]',
    ' \r\n\t{ "" : [ 1 , 2 ] ,\n"\\u006b" : "v" } \n',
    '"just a string with a {brace} and a `tick`"',
    "-12.75e+2",
    "67",
    "true",
    "null",
    '[["😀é", {"😀": "\u2028"}], "x"]',
    '{"a": 1, "b": {"a": [2]}, "a": {"c": 3}}',
]


def feed_all(stream: JsonStream, parts: list[str]) -> Iterator[Any]:
    """The value after each piece that changed it."""
    for part in parts:
        if stream.feed(part):
            yield stream.value


def plain(value: Any) -> Any:
    """A deep copy in plain lists and dicts, read from their storage: no method is called."""
    if isinstance(value, dict):
        return {key: plain(dict.__getitem__(value, key)) for key in list(dict.keys(value))}
    if isinstance(value, list):
        return [plain(list.__getitem__(value, index)) for index in range(list.__len__(value))]
    return value


def same(left: Any, right: Any) -> bool:
    """Equal in value and type, all the way down: 1 is not 1.0, nor True; -0.0 is not 0."""
    return repr(plain(left)) == repr(plain(right))
