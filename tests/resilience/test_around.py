"""How far patterns look around their matches, as the standard library's own parser tells."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError
from headrace.resilience import guard
from headrace.resilience._around import around

REACHES = [
    (r"abc", (0, 0)),
    (r"^\ba$", (0, 0)),
    (r"a(?=bc)", (0, 2)),
    (r"a(?!bc|d)", (0, 2)),
    (r"(?<=xyz)a", (3, 0)),
    (r"(?<!xyz)a(?=b{2,7})", (3, 7)),
    (r"(a(?:b(?=c{3})|d)+)?e", (0, 3)),
    (r"a(?=b(?=cd))", (0, 3)),
    (r"(?<=(?<=ab)c)d", (3, 0)),
    (r"(?P<x>ab)(?=(?P=x))", (0, 2)),
    (r"(a)?(?(1)b(?=cc)|d(?=eee))", (0, 3)),
    (r"(?>a(?=bb))", (0, 2)),
    (r"(?i:a(?=b))", (0, 1)),
    (r"(?x) a (?= b c ) # look", (0, 2)),
    (r"a(?=.*b)", (0, None)),
    (r"a(?!b+)", (0, None)),
    (r"a+b*", (0, 0)),
]


@pytest.mark.parametrize(("pattern", "reach"), REACHES)
def test_how_far_a_pattern_looks(pattern, reach):
    assert around(re.compile(pattern)) == reach


@pytest.mark.parametrize(
    ("pattern", "says"),
    [(r"a(?=.*b)", "without a bound"), (r"(?<=x{401})a", "further than 400")],
)
def test_what_cannot_be_kept_is_refused(pattern, says):
    with pytest.raises(ConfigError, match=says):
        guard(re.compile(pattern), "#")


@pytest.mark.parametrize(
    "pattern",
    [
        r"1(?=ab)",
        r"1(?!ab)",
        r"1(?=a(?=b1))",
        r"1(?=ab\b)",
        r"1(?=ab$)",
        r"(?m)1(?=a$)",
        r"1(?=\n\Z)",
    ],
)
@given(whole=st.text("ab1 \n", max_size=16), places=st.lists(st.integers(0, 16), max_size=8))
def test_a_lookahead_holds_back_what_it_sees(pattern, whole, places):
    edges = [0, *sorted(min(place, len(whole)) for place in places), len(whole)]
    pieces = [whole[a:b] for a, b in pairwise(edges)]
    compiled = re.compile(pattern)
    assert "".join(guard(compiled, "#", lookahead=1).transform(iter(pieces))) == compiled.sub(
        "#", whole
    )


@pytest.mark.parametrize("pattern", [r"(?<=x{400})a", r"(?<=\bx{400})a", r"(?<=^x{400})a"])
@pytest.mark.parametrize("before", ["", " ", "x"])
def test_the_furthest_look_behind(pattern, before):
    whole = before + "x" * 400 + "a"
    got = "".join(guard(re.compile(pattern), "#", lookahead=1).transform(iter(whole)))
    assert got == re.sub(pattern, "#", whole)
