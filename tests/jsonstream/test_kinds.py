"""Accepted, refused and implementation-defined texts of every kind, in one piece and in pieces.

The oracle for strict is Python's `json` without its constants `NaN` and `Infinity`, which agrees
with RFC 8259 on all of these.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.errors import JsonSyntaxError
from headrace.jsonstream import JsonStream
from jsonstream.documents import same
from jsonstream.kinds import ACCEPTED, OPEN, READ, REFUSED

MODES: list[Any] = ["partial", "delimited"]
GOOD = [(kind, text) for kind, texts in ACCEPTED.items() for text in texts]
BAD = [(kind, text) for kind, texts in REFUSED.items() for text in texts]


def oracle(text: str) -> Any:
    """Python's value; ValueError where RFC 8259 refuses the text."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def ways(text: str) -> list[list[str]]:
    """The text whole, in two pieces cut anywhere, and in single characters."""
    cuts = [[text[:cut], text[cut:]] for cut in range(min(len(text), 60) + 1)]
    return [*cuts, list(text)]


def read(parts: list[str], **how: Any) -> JsonStream:
    stream = JsonStream(**how)
    for part in parts:
        stream.feed(part)
        stream.value
    return stream


def test_there_are_cases_enough_and_no_two_are_the_same() -> None:
    texts = [text for _, text in GOOD + BAD] + OPEN
    assert len(texts) == len(set(texts)) >= 350
    assert set(READ) <= {text for _, text in BAD}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("kind", "text"), GOOD)
def test_accepted(kind: str, text: str, mode: Any) -> None:
    whole = oracle(text)
    for parts in ways(text):
        for strict in (False, True):
            assert same(read(parts, mode=mode, strict=strict).finish(), whole), (parts, strict)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("kind", "text"), BAD)
def test_refused_when_strict_at_a_place_that_is_wrong(kind: str, text: str, mode: Any) -> None:
    with pytest.raises(ValueError):
        oracle(text)
    seen = set()
    for parts in ways(text):
        with pytest.raises(JsonSyntaxError) as caught:
            read(parts, mode=mode, strict=True).finish()
        error = caught.value
        seen.add((error.position, error.found, error.expected))
    assert len(seen) == 1, "the same error however it is cut"
    ((position, found, expected),) = seen
    assert text[position : position + 1] == found, "the offending character, or the end"
    assert expected
    before = read([text[:position]], mode=mode, strict=True)
    assert before.error is None, "up to there it could have become JSON"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("kind", "text"), BAD)
def test_what_tolerant_makes_of_it(kind: str, text: str, mode: Any) -> None:
    for parts in ways(text):
        stream = read(parts, mode=mode)
        if text in READ:
            assert same(stream.finish(), READ[text]), parts
        else:
            with pytest.raises(JsonSyntaxError):
                stream.finish()


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("text", OPEN)
def test_what_is_open_is_as_python_has_it(text: str, mode: Any, strict: bool) -> None:
    whole = json.loads(text)
    for parts in ways(text):
        assert same(read(parts, mode=mode, strict=strict).finish(), whole), parts


@pytest.mark.parametrize("text", [text for _, text in GOOD] + OPEN)
def test_every_prefix_of_a_text_could_become_json(text: str) -> None:
    for end in range(len(text)):
        for strict in (False, True):
            assert read([text[:end]], strict=strict).error is None, text[:end]
