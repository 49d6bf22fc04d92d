"""What is JSON and what is not: valid, invalid and implementation-defined texts, as in RFC 8259.

Each text is read cut at every position and in single characters, so that a wrong place is found
however it arrives.
"""

from __future__ import annotations

import json
import pickle
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import HeadraceError, JsonDepthError, JsonSyntaxError
from headrace.jsonstream import JsonStream
from jsonstream.documents import documents, same

VALID = [
    *("[]", "{}", "[[]]", "[{}]", '""', "0", "-0", "1", "true", "false", "null", "[[],[]]"),
    *(" [] ", "\t\r\n[ ]\n", "[ 1 , 2 ]", '{ "a" : 1 , "b" : 2 }', "[1\n]", "[\n1]"),
    *("[0e1]", "[0E+1]", "[1e-1]", "[1.5]", "[-0.0]", "[123e45]", "[1E22]", "[0.1e1]"),
    *("[20e1]", "[-123]", "[-1]", "[1234567890123456789]", "[1.234567890123456789]"),
    *('{"a":{}}', '{"a":[]}', '{"":0}', '{"a":"b","a":"c"}', '{"a b":1}', r'{"\u0061\u0000":1}'),
    *(r'["\u0060\u012a\u12AB"]', r'["\ud801\udc37"]', r'["\ud83d\ude39\ud83d\udc8d"]'),
    *(r'["\"\\\/\b\f\n\r\t"]', r'["\\u0000"]', r'["\\\"a"]', r'["a\/*b*\/c"]', r'["\uFFFF"]'),
    *('["a\x7fa"]', '["\u2028\u2029"]', '["\U0001d11e"]', '["asd "]', '[" "]', '["\ufeff"]'),
    *("[false,true,null]", "[1,null,null,null,2]", '["a/*b*/c"]', '["\u00a0"]', '["`"]'),
]

# The text, and the position at which it goes wrong. Wrong for the tolerant machine as well.
INVALID = [
    *(("[1 true]", 3), ("[a", 1), ('["": 1]', 3), ("[,1]", 1), ("[1,,2]", 3), ('["x",,]', 5)),
    *(('["x"', 4), ("[x", 1), ("[3[4]]", 2), ("[1:2]", 2), ("[,]", 1), ("[1,", 3), ("[", 1)),
    *(("[1\n,1", 5), ("[*]", 1), ("[1", 2), ("[tru]", 4), ("[nul]", 4), ("[fals]", 5)),
    *(("[++1]", 1), ("[+1]", 1), ("[-]", 2), ("[-x]", 2), ("[-01]", 3), ("[01]", 2), ("[012]", 2)),
    *(("[-2.]", 4), ("[.5]", 1), ("[0.e1]", 3), ("[1.]", 3), ("[1e]", 3), ("[1e+]", 4)),
    *(("[1.0e]", 5), ("[0x42]", 2), ("[1ea]", 3), ("[1+2]", 2), ("[1.2.3]", 4), ("[2.e3]", 3)),
    *(("[1_000]", 2), ("[１]", 1), ("[1a]", 2), ("[truex]", 5), ("[True]", 1), ("[- 1]", 2)),
    *(('{"a"}', 4), ('{"a" "b"}', 5), ('{"a":}', 5), ('{"a":1,,"b":2}', 7), ('{"a"', 4)),
    *(("{1:1}", 1), ("{'a':1}", 1), ('{a:"b"}', 1), ('{"a":"b",c', 9), ("{,", 1), ("{", 1)),
    *(('{"a":1', 6), ('{"a":', 5), ('{"a":1 "b"', 7), ('{"a"::1}', 5), ('{"a":/**/1}', 5)),
    *((r'["\x00"]', 2), (r'["\a"]', 2), (r'["\u00A"]', 2), (r'["\uqqqq"]', 2), (r'["\U0001"]', 2)),
    *((r'["\ "]', 2), ('["\\\n"]', 2), (r'["\ud83d\u00"]', 8), (r'["\ud83d\x"]', 8)),
    *(('["a', 3), ('"', 1), ('["\\', 3), (r'["\u00', 6), ('["a\\"', 5), ("[1}", 2), ('{"a":1]', 6)),
    *(("[[[[", 4), ("[{]}", 2), ('{"a":[}', 6), ("[\u00a01]", 1), ("[\x0c]", 1), ("[\u20601]", 1)),
]

# Only strict refuses these: the text, where, and what the tolerant machine reads.
LENIENT = [
    ("[1,]", 3, [1]),
    ('["a",\n]', 6, ["a"]),
    ('{"a":1,}', 7, {"a": 1}),
    ('{"a":1, }', 8, {"a": 1}),
    ("[[1,],]", 4, [[1]]),
    ("[NaN]", 1, None),
    ("[Infinity]", 1, [float("inf")]),
    ("[-Infinity]", 2, [float("-inf")]),
    ('["a\nb"]', 3, ["a\nb"]),
    ('["\t"]', 2, ["\t"]),
    ('["a\x00"]', 3, ["a\x00"]),
    ('{"a\nb":1}', 3, {"a\nb": 1}),
    ("[1]x", 3, [1]),
    ("[1]]", 3, [1]),
    ("1 2", 2, 1),
    ("{} // note", 3, {}),
    ("\ufeff[1]", 0, [1]),
    ("x [{}]", 0, [{}]),
    ("```\n[1]\n```", 0, [1]),
]

# RFC 8259 leaves these open; we do what `json.loads` does.
DEFINED_HERE = [
    *("[1e400]", "[-1e9999]", "[1e-9999]", "[123456789012345678901234567890]", "[-0]"),
    *(r'["\ud800"]', r'["\udc00\ud800"]', r'["\ud800\ud800"]', r'["\ud800a"]', r'["\udead"]'),
    *(r'["\ud83d\n"]', '{"a":1,"a":2}', '{"a":1,"b":2,"a":3}', '["\ud800"]', r'{"\ud800":1}'),
]


def _cuts(text: str) -> list[list[str]]:
    return [[text[:cut], text[cut:]] for cut in range(len(text))] + [list(text)]


def _read(parts: list[str], **options: Any) -> JsonStream:
    stream = JsonStream(**options)
    for part in parts:
        stream.feed(part)
        stream.value
    return stream


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("text", VALID)
def test_valid(text: str, strict: bool) -> None:
    for parts in _cuts(text):
        assert same(_read(parts, strict=strict).finish(), json.loads(text)), parts


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("text", "position"), INVALID)
def test_invalid_is_refused_at_its_place(text: str, position: int, strict: bool) -> None:
    with pytest.raises(ValueError):
        json.loads(text)
    for parts in _cuts(text):
        stream = _read(parts, strict=strict, prose=False)
        with pytest.raises(JsonSyntaxError) as caught:
            stream.finish()
        assert caught.value.position == position, parts
        assert caught.value.found == text[position : position + 1], parts
        assert caught.value is stream.error
        # What came before it stays, and stays open.
        before = _read([text[:position]], strict=strict, prose=False).value
        assert same(stream.value, before) or (before, stream.value) == ([""], ["\ud83d"])
        assert not stream.done


@pytest.mark.parametrize(("text", "position", "value"), LENIENT)
def test_what_models_write_is_read_unless_strict(text: str, position: int, value: Any) -> None:
    for parts in _cuts(text):
        read = _read(parts).finish()
        assert same(read, value) if value is not None else read[0] != read[0]
        with pytest.raises(JsonSyntaxError) as caught:
            _read(parts, strict=True).finish()
        assert caught.value.position == position, parts


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("text", DEFINED_HERE)
def test_implementation_defined_as_python_has_it(text: str, strict: bool) -> None:
    for parts in _cuts(text):
        assert same(_read(parts, strict=strict).finish(), json.loads(text)), parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[", "a JSON value or ']'"),
        ("[1", "',' or ']'"),
        ("[1 ", "',' or ']'"),
        ("[1,", "a JSON value"),
        ("{", "a key in double quotes or '}'"),
        ('{"a"', "':' after the key"),
        ('{"a":', "a JSON value"),
        ('{"a":1 ', "',' or '}'"),
        ('{"a":1,', "a key in double quotes"),
        ('[1, "abc', "the end of the string that begins at character 4"),
        ('{"abc', "the end of the string that begins at character 1"),
        ("[tru", "the rest of the word 'tru'"),
        ("[1.x", "the rest of a number"),
        ("", "a JSON value"),
        ("no JSON here", "a JSON value"),
        (r'["\q"]', r"an escape such as \n, \" or \u00e9"),
    ],
)
def test_the_error_says_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(JsonSyntaxError) as caught:
        _read([text]).finish()
    assert caught.value.expected == expected
    assert expected in str(caught.value)
    assert f"character {caught.value.position}" in str(caught.value)


def test_the_error_is_one_of_ours_a_value_error_and_can_be_pickled() -> None:
    with pytest.raises(HeadraceError) as caught:
        _read(["[1", "}"]).finish()
    error = caught.value
    assert isinstance(error, ValueError)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.position, again.found) == (str(error), 2, "}")


@given(st.data(), documents())
def test_an_error_freezes_the_value_wherever_the_text_is_cut(
    data: st.DataObject, text: str
) -> None:
    at = data.draw(st.integers(0, len(text)))
    broken = (
        text[:at] + data.draw(st.sampled_from([",", "}", "]", ":", "x", '"', "\\"])) + text[at:]
    )
    at_once = _read([broken], prose=False)
    by_char = _read(list(broken), prose=False)
    assert same(by_char.value, at_once.value)
    assert (by_char.error is None) == (at_once.error is None)
    if at_once.error is not None and by_char.error is not None:
        assert by_char.error.position == at_once.error.position
        by_char.feed('"]}] more')
        assert same(by_char.value, at_once.value)


@pytest.mark.parametrize("mode", ["partial", "delimited"])
@pytest.mark.parametrize("one", ["[", '{"a":'])
def test_nesting_is_limited(one: str, mode: Any) -> None:
    stream = _read([one] * 1000, mode=mode)
    assert stream.error is None
    stream.feed(one)
    with pytest.raises(JsonDepthError) as caught:
        stream.finish()
    assert isinstance(caught.value, RecursionError)
    assert caught.value.position == 1000 * len(one)
    assert caught.value.expected == "at most 1000 levels of nesting"
    depth, value = 0, stream.value
    while isinstance(value, (list, dict)):
        depth += 1
        value = next(iter(value.values() if isinstance(value, dict) else value), None)
    assert depth == 1000


def test_the_limit_on_nesting_can_be_lower() -> None:
    assert _read(["[[]]"], max_depth=2).finish() == [[]]
    assert _read(["[[[]]]"], max_depth=2).error is not None


@pytest.mark.parametrize("size", [1, 3, 61, 64, 65, 66, 1000])
def test_of_a_long_number_the_beginning_shows_until_its_end(size: int) -> None:
    for digits in ("1" * 200, "0." + "1" * 200):
        text = f"[{digits}"
        stream = _read([text[at : at + size] for at in range(0, len(text), size)])
        assert same(stream.value, json.loads(f"[{digits[:64]}]"))
        stream.feed("]")
        assert same(stream.finish(), json.loads(f"[{digits}]"))


@pytest.mark.parametrize("place", [3, 62, 63, 64, 65, 130])
def test_a_long_number_is_wrong_at_the_same_place_however_it_is_cut(place: int) -> None:
    text = f"[{'1' * place}-{'1' * 100}]"
    seen = {str(_read(parts).error) for parts in ([text], list(text), [text[:70], text[70:]])}
    assert len(seen) == 1
    assert f"character {place + 1}:" in seen.pop()


def test_an_integer_that_python_refuses_is_a_syntax_error() -> None:
    limit = sys.get_int_max_str_digits()
    assert _read(["[", "9" * limit, "]"]).finish() == [int("9" * limit)]
    with pytest.raises(JsonSyntaxError, match="fewer digits") as caught:
        _read(["[", "9" * limit, "9", "]"]).finish()
    assert caught.value.position == 1
