"""Cost grows with the text and no faster: law 6, by counts and not by the clock.

Two counts, each with a snapshot after every piece: the calls that are made, of Python and of C,
and the bytes that are allocated, which shows copying.
"""

from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

import headrace.jsonstream._snapshot as snapshot
from headrace.jsonstream import JsonStream

PIECE = 4
SIZE = 6_000  # characters, in each third of a text


def _records(size: int) -> str:
    record = {"name": "Chad", "area": 67, "eu": True, "l": ["A"]}
    return json.dumps({"countries": [record] * (size // 60)})


SHAPES: dict[str, Callable[[int], str]] = {
    "records": _records,
    "array of numbers": lambda size: json.dumps(list(range(100, 100 + size // 6))),
    "array of arrays": lambda size: json.dumps([[[]]] * (size // 8)),
    "object": lambda size: json.dumps({f"key {index}": index for index in range(size // 18)}),
    "repeated key": lambda size: "{" + ", ".join(['"a": 1'] * (size // 8)) + "}",
    "string": lambda size: json.dumps({"text": "lorem ipsum " * (size // 12)}),
    "wide string": lambda size: json.dumps(["é😀 " * (size // 4)], ensure_ascii=False),
    "escapes": lambda size: json.dumps(['\n"é😀' * (size // 22)]),
    "string in a long array": lambda size: json.dumps([0] * 200 + [["x" * size]]),
    "blanks in a string": lambda size: '["' + " " * size + '"]',
    "key": lambda size: '{"' + "k" * size + '": 1}',
    "number": lambda size: "[0." + "1" * size + "]",
    "blanks": lambda size: "[" + " " * size + "1]",
    "pretty": lambda size: json.dumps([{"a": [1, {"b": 2}]}] * (size // 60), indent=2),
    "prose": lambda size: "as {this} says, " * (size // 16) + "[1]",
    "a bracket and blanks": lambda size: "say { " + " " * size + '"a": 1}',
    "backticks": lambda size: "a ` `` b" * (size // 8),
    "a word": lambda size: "```" + "word" * (size // 4),
    "text after the value": lambda size: "[1]" + "x" * size,
    "text after an error": lambda size: "[1}" + "[" * size,
}
# Nested to the limit of 1,000 levels; thirds of the way down, or all the way down and up again.
DEEP: dict[str, Callable[[int], str]] = {
    "deep arrays": lambda depth: "[" * depth,
    "deep objects": lambda depth: '{"a":' * depth,
    "deep, one by one": lambda depth: '[1, {"ab": ' * (depth // 2),
    "deep and a string": lambda depth: "[" * depth + '"' + "x" * 9000,
    "deep and an array": lambda depth: "[" * depth + "1," * 4500,
    "deep again and again": lambda depth: "[" + ("[" * 900 + "]" * 900 + ",") * 6,
}
CASES = [
    *(pytest.param(make, SIZE, id=name) for name, make in SHAPES.items()),
    *(pytest.param(make, 330, id=name) for name, make in DEEP.items()),
]
MODES: list[Any] = ["partial", "delimited"]


@pytest.fixture(autouse=True)
def long_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays get long in the first third of these texts."""
    monkeypatch.setattr(snapshot, "LONG", 64)


def _calls(text: str, mode: Any) -> list[int]:
    """Calls, of Python and of C, made within each piece."""
    stream = JsonStream(mode=mode)
    calls = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    parts = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
    counts = []
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        for part in parts:
            stream.feed(part)
            value = stream.value
            counts.append(calls)
            calls = 0
    finally:
        sys.setprofile(before)
    assert value is stream.value
    return counts


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("make", "size"), CASES)
def test_no_part_of_a_text_takes_more_calls_than_another(
    make: Callable[[int], str], size: int, mode: Any
) -> None:
    counts = _calls(make(3 * size), mode)
    third = len(counts) // 3
    middle, last = sum(counts[third : 2 * third]), sum(counts[2 * third : 3 * third])
    # Were each piece to cost what came before it, the last third would take 1.67 times as many.
    assert last <= 1.1 * middle + 50


@pytest.mark.parametrize(("make", "size"), CASES)
def test_a_piece_allocates_little_whatever_came_before(
    make: Callable[[int], str], size: int
) -> None:
    text = make(3 * size)
    parts = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
    stream, total = JsonStream(), 0
    tracemalloc.start()
    try:
        for part in parts:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            stream.feed(part)
            value = stream.value
            _, peak = tracemalloc.get_traced_memory()
            total += peak - before
    finally:
        tracemalloc.stop()
    assert value is stream.value
    # Tables that double as they grow are in this; one copy of the whole per piece would be ten
    # to a hundred times as much.
    assert total / len(parts) <= 1500  # bytes


@pytest.mark.parametrize("size", [1, 4, 64])
def test_what_is_read_again_with_the_next_piece_is_short(size: int) -> None:
    text = json.dumps({"a\n": ["é😀\ud83d\n" * 20, 1.5, True] * 3, "😀": {"b": -2}})
    stream = JsonStream()
    for start in range(0, len(text), size):
        stream.feed(text[start : start + size])
        assert len(stream._carry) < 12  # an escaped surrogate pair
