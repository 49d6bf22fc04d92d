"""How far a pattern looks around its matches: what a guard must know to decide a place."""

from __future__ import annotations

import re
from collections.abc import Iterator

# The parser of the standard library: its tree knows how wide each part is, which no public function
# tells. `tests/resilience/test_around.py` fails where a Python changes it.
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

__all__ = ["Around", "around"]

_ASSERTIONS = (_parser.ASSERT, _parser.ASSERT_NOT)


class Around(NamedTuple):
    """Characters before a match and behind it, at most; None: there is no bound."""

    before: int | None
    behind: int | None


def around(pattern: re.Pattern[str]) -> Around:
    """How far the look-behinds and lookaheads of a pattern reach beyond what it matches."""
    before, behind = _reach(_parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG))
    return Around(*(None if far >= _parser.MAXREPEAT else far for far in (before, behind)))


def _reach(tree: Any) -> tuple[int, int]:
    """An assertion may stand at either end of the match, and another one at either end of it."""
    before = behind = 0
    for kind, given in tree:
        back = forth = 0
        if kind in _ASSERTIONS:
            direction, asserted = given
            width = asserted.getwidth()[1]
            back, forth = _reach(asserted)
            if direction < 0:
                back += width
            else:
                forth += width
        else:
            for part in _parts(given):
                inner = _reach(part)
                back, forth = max(back, inner[0]), max(forth, inner[1])
        before, behind = max(before, back), max(behind, forth)
    return before, behind


def _parts(given: Any) -> Iterator[Any]:
    """The trees in what a node of a tree was given."""
    if isinstance(given, _parser.SubPattern):
        yield given
    elif isinstance(given, (tuple, list)):
        for each in given:
            yield from _parts(each)
