"""The event dicts of Headrace beside those of langchain-core, chain by chain, event by event.

Where they differ a row of docs/differences.md says why; test_rows.py shows both sides of those that
are about events only.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from events.chains import CASES, Case
from events.pieces import libraries
from events.watched import astreamed, kinds, shape, streamed, undeprecated

ROWS = Path(__file__).parents[2] / "docs" / "differences.md"
LEFT_OPEN = pytest.mark.allows_leaks(reason="langchain-core leaves the user's generator open")
SAME = [
    pytest.param(name, marks=LEFT_OPEN if name == "generator fails" else ())
    for name, case in CASES.items()
    if not case.rows
]
OTHER = [name for name, case in CASES.items() if case.rows]


def seen_in(m: Any, case: Case) -> tuple[list[Any], Any]:
    with undeprecated():
        seen, error = astreamed(case.make(m), case.input, case.config)
    return shape(seen, case.free), kinds(error)


@pytest.mark.parametrize("name", SAME)
def test_the_events_are_those_of_langchain(name):
    langchain, headrace = libraries()
    theirs, their_end = seen_in(langchain, CASES[name])
    ours, our_end = seen_in(headrace, CASES[name])
    assert theirs, "nothing was told"
    assert ours == theirs
    assert our_end == their_end


@pytest.mark.parametrize("name", OTHER)
def test_where_they_differ_a_row_says_why(name):
    langchain, headrace = libraries()
    case = CASES[name]
    assert seen_in(headrace, case) != seen_in(langchain, case), "no difference: the row is out"
    anchors = set(re.findall(r'<a id="([^"]+)">', ROWS.read_text(encoding="utf-8")))
    assert anchors.issuperset(case.rows)


@pytest.mark.parametrize("name", CASES)
def test_stream_events_gives_what_astream_events_gives(name):
    case = CASES[name]
    _, headrace = libraries()
    seen, error = streamed(case.make(headrace), case.input, case.config)
    if case.waits:
        assert isinstance(error, TypeError)
        return
    asked, their_error = astreamed(case.make(headrace), case.input, case.config)
    assert shape(seen, case.free) == shape(asked, case.free)
    assert kinds(error) == kinds(their_error)


def test_there_are_as_many_chains_as_were_asked_for():
    assert len(SAME) >= 60
