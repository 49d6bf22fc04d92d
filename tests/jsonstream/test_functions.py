"""`parse_partial_json` and its like: their results, and what LangChain gives for the same texts."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.utils import json as theirs

from headrace.errors import JsonDepthError, JsonSyntaxError, OutputParserException
from headrace.jsonstream import (
    JsonStream,
    parse_and_check_json_markdown,
    parse_json_markdown,
    parse_partial_json,
)
from jsonstream.documents import SMALL, documents, same

# A text that ends inside an escape, or after the first half of a surrogate pair.
IN_ESCAPE = re.compile(
    r"\\(u[0-9a-fA-F]{0,3})?\Z|\\u[dD][89abAB][0-9a-fA-F]{2}(\\(u[0-9a-fA-F]{0,3})?)?\Z"
)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("text", SMALL)
def test_each_prefix_gives_what_the_machine_shows(text: str, strict: bool) -> None:
    for cut in range(len(text) + 1):
        stream = JsonStream(strict=strict, prose=False)
        stream.feed(text[:cut])
        if stream.value:
            assert same(parse_partial_json(text[:cut], strict=strict), stream.value)
    assert same(parse_partial_json(text, strict=strict), json.loads(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"foo": "bar", "bar": "foo', {"foo": "bar", "bar": "foo"}),
        ('{"foo": "bar", "bar": "foo}', {"foo": "bar", "bar": "foo}"}),
        ('{"foo": "bar", "bar:', {"foo": "bar"}),
        ('{"foo": "bar", "bar":', {"foo": "bar"}),
        ('{"foo": "bar", ', {"foo": "bar"}),
        ('{"foo":"bar\\', {"foo": "bar"}),
        ('[1, 2, {"a": tru', [1, 2, {}]),
        ('{"a": 1} and more', {"a": 1}),
        ('{"a": 1,}', {"a": 1}),
        ('{"a": 1, "b": oops', {"a": 1}),
        ('{"a": "raw\nnewline', {"a": "raw\nnewline"}),
        ("[1}", None),
        ("12", 12),
        ("12 13", 12),
        ('"abc', "abc"),
        ("true", True),
    ],
)
def test_partial(text: str, value: Any) -> None:
    assert same(parse_partial_json(text), value)


@pytest.mark.parametrize(
    "text", ["", " ", "-", "tru", "hello", "{'a': 1}", "[1 2]", '{"a": oops}', "}"]
)
def test_partial_refuses(text: str) -> None:
    with pytest.raises(JsonSyntaxError):
        parse_partial_json(text)


@pytest.mark.parametrize("text", ["[1,]", '["a\nb"', "[NaN]", "[1] x", "[1, oops", "[1}"])
def test_partial_refuses_more_when_strict(text: str) -> None:
    parse_partial_json(text)
    with pytest.raises(JsonSyntaxError):
        parse_partial_json(text, strict=True)


@pytest.fixture
def deep_recursion() -> Iterator[None]:
    """Python's own parser goes deeper than ours, as it does from 3.12 on."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("deep_recursion")
@pytest.mark.parametrize("read", [parse_partial_json, parse_json_markdown])
@pytest.mark.parametrize("end", [0, 1001])
def test_too_deep_is_an_error_of_its_own(read: Any, end: int) -> None:
    with pytest.raises(JsonDepthError, match="at most 1000 levels"):
        read("[" * 1001 + "]" * end)


def test_one_limit_on_depth_however_the_text_is_read() -> None:
    for depth, legal in ((1000, True), (1001, False), (20_000, False)):
        text = "[" * depth + "]" * depth
        for parse in (parse_partial_json, parse_json_markdown):
            if legal:
                assert isinstance(parse(text), list)
            else:
                with pytest.raises(JsonSyntaxError, match="1000 levels"):
                    parse(text)


def test_markdown_with_a_parser_of_ones_own() -> None:
    seen: list[str] = []

    def parser(text: str) -> Any:
        seen.append(text)
        return json.loads(text)

    assert parse_json_markdown('Here:\n```json\n{"a": 1}\n```', parser=parser) == {"a": 1}
    assert seen == ['Here:\n```json\n{"a": 1}', '{"a": 1}']
    assert parse_json_markdown("`[1]`\n", parser=parser) == [1]
    with pytest.raises(json.JSONDecodeError):
        parse_json_markdown("no fence", parser=parser)


def test_markdown_cut_in_the_middle() -> None:
    assert parse_json_markdown('Here:\n```json\n{"a": [1, {"b": "xy') == {"a": [1, {"b": "xy"}]}
    assert parse_json_markdown('```json\n{"a": 1, "b": oops') == {"a": 1}
    with pytest.raises(JsonSyntaxError):
        parse_json_markdown('see {"a": oops}')


def test_expected_keys() -> None:
    text = '```json\n{"a": 1, "b": 2}\n```'
    assert parse_and_check_json_markdown(text, ["a", "b"]) == {"a": 1, "b": 2}
    with pytest.raises(OutputParserException, match=r"lacks the keys \['d', 'c'\]") as caught:
        parse_and_check_json_markdown(text, ["d", "a", "c"])
    assert caught.value.llm_output == text
    for wrong in ("[1]", "nothing"):
        with pytest.raises(OutputParserException) as caught:
            parse_and_check_json_markdown(wrong, [])
        assert caught.value.llm_output == wrong


def _outcome(parse: Any, text: str) -> Any:
    """The value, or the kind of failure: their error is a ValueError as ours is."""
    try:
        return parse(text)
    except ValueError:
        return ValueError


@given(st.data(), documents())
def test_partial_gives_what_langchain_gives(data: st.DataObject, text: str) -> None:
    prefix = text[: data.draw(st.integers(0, len(text)))]
    if IN_ESCAPE.search(prefix):
        return  # there they take the string back, or show half a character
    assert same(
        _outcome(parse_partial_json, prefix), _outcome(theirs.parse_partial_json, prefix)
    ), prefix


@given(
    st.data(),
    documents(),
    st.sampled_from(["", "\n", "```", "```json\n", "```\n", "Here you are:\n```json\n"]),
    st.sampled_from(["", "\n", "```", "\n```", "\n```\nAnything else?"]),
)
def test_markdown_gives_what_langchain_gives(
    data: st.DataObject, text: str, before: str, after: str
) -> None:
    whole = before + text + (after if before.strip() else after.removesuffix("Anything else?"))
    prefix = whole[: data.draw(st.integers(0, len(whole)))].rstrip()
    if IN_ESCAPE.search(prefix) or before.startswith(prefix.rstrip("`")):
        return
    assert same(
        _outcome(parse_json_markdown, prefix), _outcome(theirs.parse_json_markdown, prefix)
    ), prefix


@pytest.mark.parametrize(
    ("text", "ours", "langchain"),
    [
        ("[1,]", [1], ValueError),  # a trailing comma
        ('so: {"a": 1}', {"a": 1}, ValueError),  # prose without a fence
        ("```JSON\n[1]\n```", [1], ValueError),  # other words after the fence
        ('{"a": 1} ok :}', {"a": 1}, None),  # a bracket in the text after the value
        (r'{"a": "x\u00', {"a": "x"}, {}),  # a string that ends inside an escape
        (r'["\ud83d', [""], ["\ud83d"]),  # half a surrogate pair
        ("]", ValueError, None),  # a bracket where a value should begin
        ("1x", ValueError, 1),  # a number that is none
        ('see ["a"]:\n```json\n[1]\n```', ["a"], [1]),  # JSON in the prose before the fence
    ],
)
def test_differences_from_langchain(text: str, ours: Any, langchain: Any) -> None:
    assert same(_outcome(parse_json_markdown, text), ours)
    assert same(_outcome(theirs.parse_json_markdown, text), langchain)
