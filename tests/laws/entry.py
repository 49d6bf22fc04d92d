"""What the registry holds: `Entry`, a runnable under test with what is known about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from headrace.merge import merge
from laws.kinds import Kind


class Entry(NamedTuple):
    """A runnable under test.

    make: builds it, anew each time.
    kind: what it takes.
    expect: its output for an input, worked out without Headrace; None if only agreement counts.
    fold: how its chunks add up.
    view: what of an output is compared (ids made anew for each run are not).
    async_only: it has no sync body; sync calls must say so.
    sensitive: cutting its input changes its output (a function of single chunks).
    flows: it hands on chunks before its input has ended.
    own: doors that are the user's own methods. Called directly they are his code and nothing else:
        no run of ours is there to report or to close. Inside a chain they are steps like others.
    fans: several branches at once: what one may hold ahead is multiplied, their order is free.
    """

    name: str
    make: Callable[[], Any]
    kind: Kind
    expect: Callable[[Any], Any] | None
    fold: Callable[[list[Any]], Any] = merge
    view: Callable[[Any], Any] = lambda value: value
    async_only: bool = False
    sensitive: bool = False
    flows: bool = False
    fans: int = 0
    own: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return self.name

    def merged(self, chunks: list[Any]) -> Any:
        return self.view(self.fold(chunks))


def own_doors(doors: str) -> frozenset[str]:
    """Names of doors, from a text with spaces."""
    return frozenset(doors.split())
