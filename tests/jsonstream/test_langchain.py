"""The partial values are those of langchain-core's JsonOutputParser, chunk by chunk."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.output_parsers import JsonOutputParser
from langchain_core.output_parsers.json import parse_partial_json as their_partial

from headrace.jsonstream import JsonStream
from jsonstream.documents import SMALL, documents, pieces, same

GUIDE = """\
Here is the list you asked for:

```json
{
  "countries": [
    {"name": "France", "population": 67413000},
    {"name": "New Spain", "population": 47.35e6},
    {"name": "Japan\\n", "population": null, "islands": ["Honshu", "Kyushu", []], "eu": false}
  ]
}
```"""


def theirs(parts: list[str]) -> list[Any]:
    return list(JsonOutputParser().transform(iter(parts)))


def ours(parts: list[str]) -> list[Any]:
    """What a parser on the machine would yield: each changed value, null apart.

    Theirs does not show that a `0` has become a `0.0`, which is equal: left out here.
    """
    stream = JsonStream()
    values = [stream.value for part in parts if stream.feed(part)]
    stream.finish()
    if stream.changed:
        values.append(stream.value)
    shown: list[Any] = []
    for value in values:
        if value is not None and (not shown or value != shown[-1]):
            shown.append(value)
    return shown


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 11, 1000])
def test_the_guide_text_in_pieces_of_one_size(size: int) -> None:
    for text in (GUIDE, GUIDE.split("```json")[1].rstrip("`")):
        parts = [text[start : start + size] for start in range(0, len(text), size)]
        if any(part.endswith("\\") for part in parts):
            # They show the string without the escape that is cut, as we do.
            assert size < 1000
        assert same(ours(parts), theirs(parts))


@pytest.mark.parametrize("text", [text for text in SMALL if "\\" not in text])
def test_small_documents_cut_everywhere(text: str) -> None:
    for cut in range(len(text)):
        parts = [text[:cut], text[cut:]]
        assert same(ours(parts), theirs(parts)), parts
    assert same(ours(list(text)), theirs(list(text)))


@given(
    st.data(),
    documents().filter(lambda text: "\\u" not in text),
    st.sampled_from([("", ""), (" \n", "\n"), ("```json\n", "\n```"), ("Yes:\n```\n", "```")]),
)
def test_documents_cut_anywhere(data: st.DataObject, text: str, around: tuple[str, str]) -> None:
    parts = data.draw(pieces(around[0] + text + around[1]))
    assert same(ours(parts), theirs(parts))


@given(st.data(), documents())
def test_escapes_differ_only_where_they_are_cut(data: st.DataObject, text: str) -> None:
    """Inside `\\u00e9` they take the whole string back; we show what there is and wait."""
    parts = data.draw(pieces(json.dumps({"text": text})))
    stream, so_far = JsonStream(prose=False), ""
    for part in parts:
        stream.feed(part)
        so_far += part
        if so_far[-12:].count("\\") == 0 and so_far:
            assert same(stream.value, their_partial(so_far)), so_far


def test_the_differences() -> None:
    cut_escape = ['{"a": "x', "\\u0", '0e9"}']
    assert theirs(cut_escape) == [{"a": "x"}, {}, {"a": "xé"}]  # retracted
    assert ours(cut_escape) == [{"a": "x"}, {"a": "xé"}]

    pair = ['["', "\\ud83d", '\\ude00"]']
    assert theirs(pair) == [[""], ["\ud83d"], ["😀"]]  # half a character, then another one
    assert ours(pair) == [[""], ["😀"]]

    comma = ["[1", ",", "]"]
    assert theirs(comma) == ours(comma) == [[1]]
    with pytest.raises(ValueError):
        JsonOutputParser().parse("[1,]")
    assert JsonStream().feed("[1,]")

    prose = ["As you wish: ", '{"a"', ": 1}"]
    with pytest.raises(ValueError):
        JsonOutputParser().parse("".join(prose))
    assert ours(prose) == [{}, {"a": 1}]
