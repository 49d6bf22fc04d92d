"""Logs beside langchain-core's: what the patches of each chain add up to, ids and times apart.

Where the final states differ, `EXPECTED` names the rows of docs/differences.md that say why.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from events.chains import CASES
from events.pieces import libraries
from headrace.errors import AsyncOnlyError
from log.logged import alogged, logged, plain, refereed, streamed, without_chance

# What is a difference of events mostly is one of logs; these are not, or only of logs.
SAME_LOGS = {"text model that streams", "custom events in a row"}
OTHER_LOGS = {"generator fails": ("log-all-end",)}
EXPECTED = OTHER_LOGS | {
    name: case.rows for name, case in CASES.items() if case.rows and name not in SAME_LOGS
}


def seen_of(m: Any, name: str) -> Any:
    """The state at the end and whether there was an exception."""
    case = CASES[name]
    patches, error = alogged(case.make(m), case.input, case.config)
    state = without_chance(refereed(patches), free=case.free)
    return state, error is not None


@pytest.mark.allows_leaks(reason="langchain-core leaves tasks and generators; ours are looked at")
@pytest.mark.parametrize("name", CASES)
def test_both_libraries_come_to_the_same_state(name: str, nothing_left_running: Any) -> None:
    other, this = libraries()
    ours = seen_of(this, name)
    assert not nothing_left_running.found
    with import_module("langchain_core._api").suppress_langchain_deprecation_warning():
        theirs = seen_of(other, name)
    if name in EXPECTED:
        assert ours != theirs, "no difference any more: take it out of EXPECTED"
    else:
        assert ours == theirs


@pytest.mark.parametrize("name", CASES)
def test_the_sync_log_comes_to_the_same_state(name: str) -> None:
    _, this = libraries()
    case = CASES[name]
    patches, error = logged(case.make(this), case.input, case.config)
    _, expected = streamed(case.make(this), case.input, case.config)
    assert type(error) is type(expected), "the log ends as the stream does"
    if not isinstance(error, AsyncOnlyError):
        seen = without_chance(refereed(patches), free=case.free), error is not None
        assert seen == seen_of(this, name)


@pytest.mark.parametrize("name", CASES)
def test_each_state_is_what_the_patches_so_far_add_up_to(name: str) -> None:
    """For every moment: the referee, `+`, and `diff=False`, all states kept to the end."""
    _, this = libraries()
    case = CASES[name]
    patches, _ = alogged(case.make(this), case.input, case.config)
    log: Any = None
    sums: list[Any] = []
    for patch in patches:
        log = patch if log is None else log + patch
        sums.append(log)
    assert log.ops == [op for patch in patches for op in patch.ops]
    for number, one in list(enumerate(sums, 1))[1:]:
        assert plain(one.state) == plain(refereed(patches[:number]))
    whole, _ = alogged(case.make(this), case.input, case.config, diff=False)
    states = [log.state for log in whole]
    for one, state in zip(whole, states, strict=True):
        assert plain(state) == plain(refereed([one]))
    last = without_chance(states[-1], free=case.free)
    assert last == without_chance(refereed(patches), free=case.free)


def test_each_difference_has_its_row() -> None:
    page = Path(__file__).parents[2] / "docs" / "differences.md"
    rows = set(re.findall(r'^\| <a id="([\w-]+)">', page.read_text(encoding="utf-8"), re.MULTILINE))
    assert not {row for names in EXPECTED.values() for row in names} - rows
    assert not (SAME_LOGS | set(EXPECTED)) - set(CASES)
    assert len(CASES) - len(EXPECTED) >= 30
