"""A guarded stream is `pattern.sub` of the whole text, however the text was cut."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.errors import ConfigError, InputError
from headrace.merge import merge
from headrace.messages import AIMessage, AIMessageChunk
from headrace.resilience import guard
from headrace.runnables import RunnableGenerator, RunnableParallel
from laws.colours import both_drivers, every_colour
from laws.ledger import LEDGER, Source
from survival.pieces import text

# Patterns over the alphabet "ab1-\n ", with the length of their longest match.
PATTERNS: list[tuple[str, int]] = [
    (r"ab", 2),
    (r"a|ab", 2),
    (r"ab|a", 2),
    (r"aba", 3),
    (r"a{1,4}", 4),
    (r"a{1,4}?", 4),
    (r"\b1{2}-1{2}\b", 5),
    (r"\ba\b", 1),
    (r"\Ba\B", 1),
    (r"(?<=a)b", 1),
    (r"(?<!a)b", 1),
    (r"a(?=b)", 1),
    (r"a(?!b)", 1),
    (r"^a", 1),
    (r"(?m)^a", 1),
    (r"a$", 1),
    (r"(?m)a$", 1),
    (r"\Aa", 1),
    (r"a\Z", 1),
    (r"(a)(b)?", 2),
    (r"(?s)a.b", 3),
    (r"[ab]{2}", 2),
    (r"(?i)AB", 2),
    (r"\n", 1),
    (r"(?P<x>a)b(?P=x)", 3),
    (r"a1?-?b?", 4),
]
TEXT = st.text("ab1-\n ", max_size=24)


@st.composite
def cut(draw: Any, whole: Any = TEXT) -> list[str]:
    """A text in pieces, empty ones among them."""
    given_text = draw(whole)
    places = sorted(draw(st.lists(st.integers(0, len(given_text)), max_size=12)))
    edges = [0, *places, len(given_text)]
    return [given_text[a:b] for a, b in pairwise(edges)]


@pytest.mark.parametrize(("pattern", "longest"), PATTERNS)
@given(pieces=cut(), more=st.sampled_from([0, 1, 7]))
@example(pieces=["1a\n", "1"], more=0)
def test_any_cut_is_the_substitution_of_the_whole(pattern, longest, pieces, more):
    compiled = re.compile(pattern)
    step = guard(compiled, "<#>", lookahead=longest + more)
    assert text(step.transform(iter(pieces))) == compiled.sub("<#>", "".join(pieces))


@pytest.mark.parametrize(("pattern", "longest"), PATTERNS)
@given(pieces=cut())
def test_a_replacement_that_looks_at_its_match(pattern, longest, pieces):
    compiled = re.compile(pattern)

    def upper(match: re.Match[str]) -> str:
        return f"[{match.group().upper()}]"

    step = guard(compiled, upper, lookahead=longest)
    assert text(step.transform(iter(pieces))) == compiled.sub(upper, "".join(pieces))


@given(pieces=cut())
def test_groups_in_the_replacement(pieces):
    compiled = re.compile(r"(a)(-)(b)")
    step = guard(compiled, r"\3\2\g<1>", lookahead=3)
    assert text(step.transform(iter(pieces))) == compiled.sub(r"\3\2\1", "".join(pieces))


@given(pieces=cut(), lookahead=st.integers(1, 5))
def test_a_function_of_text(pieces, lookahead):
    """One that changes characters by their neighbour alone."""

    def fn(whole: str) -> str:
        return re.sub("(?<=a)b", "B", whole).replace("1", "<one>")

    step = guard(fn, lookahead=lookahead)
    assert text(step.transform(iter(pieces))) == fn("".join(pieces))


@given(pieces=cut(), extra=st.booleans())
def test_messages_and_their_chunks(pieces, extra):
    """The text of the whole; ids and usage as they came; a message is what its chunks are."""
    compiled = re.compile("ab?1")
    step, whole = guard(compiled, "#", lookahead=3), "".join(pieces)
    usage: Any = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    chunks = [AIMessageChunk(p, id="m", usage_metadata=usage if extra else None) for p in pieces]
    merged = merge(list(step.transform(iter(chunks))))
    assert merged.content == compiled.sub("#", whole)
    assert merged.id == "m"
    if extra:
        assert merged.usage_metadata["output_tokens"] == len(pieces)
    assert step.invoke(AIMessage(whole, id="m")).content == compiled.sub("#", whole)


@given(first=cut(), second=cut())
def test_two_blocks_are_two_texts(first, second):
    compiled = re.compile("ab|a$|^b")
    step = guard(compiled, "#", lookahead=2)
    chunks = [
        AIMessageChunk([{"type": "text", "text": piece, "index": index}], id="m")
        for index, pieces in enumerate((first, second))
        for piece in pieces
    ]
    merged: Any = merge(list(step.transform(iter(chunks))))
    texts = {block["index"]: block["text"] for block in merged.content}
    assert texts.get(0, "") == compiled.sub("#", "".join(first))
    assert texts.get(1, "") == compiled.sub("#", "".join(second))


@given(pieces=cut(), other=cut())
def test_a_guard_behind_a_guard(pieces, other):
    one, two = guard(re.compile("ab"), "1", lookahead=2), guard(re.compile("11"), "", lookahead=2)
    whole = "".join(pieces)
    expected = whole.replace("ab", "1").replace("11", "")
    assert text((one | two).transform(iter(pieces))) == expected
    chain = RunnableParallel(a=one | two, b=two)
    assert merge(list(chain.transform(iter(pieces)))) == {
        "a": expected,
        "b": whole.replace("11", ""),
    }


@given(pieces=cut(st.text("ab1-", min_size=8, max_size=24)), lookahead=st.integers(1, 6))
def test_no_more_is_held_back_than_was_said(pieces, lookahead):
    """ "It holds back so many characters, and no more": where nothing matches, at any moment."""
    read: list[str] = []

    def source() -> Iterator[str]:
        for piece in pieces:
            # What was read before must be out but for `lookahead` characters.
            assert len("".join(read)) - len("".join(out)) <= lookahead
            read.append(piece)
            yield piece

    out: list[str] = []
    for chunk in guard(re.compile("§"), "#", lookahead=lookahead).transform(source()):
        out += [chunk]
    assert text(out) == "".join(pieces)


@both_drivers
def test_left_in_the_middle(colour):
    def body(doors: Any) -> None:
        source = Source(["aaaa"] * 50)
        stream = doors.open_transform(guard(re.compile("b"), "", lookahead=2), source)
        stream.next()
        stream.close()
        assert source.pulled_while_leaving == 0
        assert not LEDGER.still_open

    colour.run(body)


@every_colour
def test_a_failure_comes_through_and_what_is_held_back_does_not(colour):
    """What might be the beginning of a secret must not be shown because its rest is missing."""

    def body(doors: Any) -> None:
        error = KeyError("mine")

        def service(chunks: Any) -> Any:
            list(chunks)
            yield "word 12"
            raise error

        chain = RunnableGenerator(service) | guard(re.compile(r"\d{4}"), "#", lookahead=4)
        stream, got = doors.open(chain, "x"), []
        with pytest.raises(KeyError) as caught:
            while len(got) < 9:
                got.append(stream.next())
        assert caught.value is error
        assert not any(character.isdigit() for character in text(got))

    colour.run(body)


def test_memory_stays_flat():
    step = guard(re.compile("ab"), "#", lookahead=8)

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            for _ in step.transform("xyzab" for _ in range(count)):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)
    assert peak(8000) < 2 * peak(1000) + 2000


@pytest.mark.parametrize("pattern", ["", "a*", "a?", "^", "a|"])
def test_a_pattern_that_matches_nothing_is_refused(pattern):
    with pytest.raises(ConfigError):
        guard(re.compile(pattern), "#")


@pytest.mark.parametrize("lookahead", [0, -1])
def test_lookahead_is_at_least_one(lookahead):
    with pytest.raises(ConfigError):
        guard(re.compile("a"), "#", lookahead=lookahead)


def test_a_pattern_needs_a_replacement():
    with pytest.raises(ConfigError):
        guard(re.compile("a"))


@pytest.mark.parametrize("pattern", [r"\b", r"(?=a)", r"(?<=a)", r"\B", r"a*\b"])
@given(pieces=cut())
def test_a_match_of_no_length_is_refused_or_right(pattern, pieces):
    """Seen only where the text is; never text that was changed somehow."""
    compiled = re.compile(pattern)
    try:
        got = text(guard(compiled, "#", lookahead=24).transform(iter(pieces)))
    except (ConfigError, InputError):
        assert compiled.search("".join(pieces))
    else:
        assert got == compiled.sub("#", "".join(pieces))


SURROUNDED = [
    (r"(?<=pin: )\d{4}", 4, ["my pin: ", "1", "2", "34 ok"]),
    (r"(?<=pin: )\d{4}", 4, list("my pin: 1234 ok")),
    (r"\d{4}(?= is secret)", 4, ["1234", " is", " secret"]),
    (r"(?<=the password is: )\d{4}", 4, list("the password is: 1234 ok")),
    (r"(?<!no: )\d{4}", 4, list("no: 1234 yes: 5678")),
]


@pytest.mark.parametrize(("pattern", "longest", "pieces"), SURROUNDED)
def test_a_secret_known_by_what_stands_around_it(pattern, longest, pieces):
    """`lookahead` is "the length of the longest match", and what stands around is not matched."""
    step = guard(re.compile(pattern), "#", lookahead=longest)
    assert text(step.transform(iter(pieces))) == re.sub(pattern, "#", "".join(pieces))
