"""Who runs against whom, and until when; colour-neutral, no I/O, no clock of its own.

A `Contest` (see `shapes.py`) gives `Terms`: one part against time, or several against each other.
`Watch` says when the next chunk of a stream is due and keeps what has come, for the error; the
functions below judge those that run. All times are in seconds of the driver's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple, Protocol

from .errors import Timeout
from .events import RunWon
from .flow import Fold, compact, fold_partial
from .run import Run

__all__ = ["Entrant", "Limits", "Terms", "Watch", "fatal", "first_of", "lost", "must_start",
           "tell_winner"]  # fmt: skip

_KEPT = 1024  # chunks that are kept before they are added up


class Limits(NamedTuple):
    """How long a stream may keep its reader waiting, in seconds; None: as long as it likes.

    `first_chunk` counts from the opening, `idle` from when the reader asks for another chunk,
    `total` from the opening to the end, whatever the reader does meanwhile.
    """

    first_chunk: float | None = None
    idle: float | None = None
    total: float | None = None


class Terms(NamedTuple):
    """`entrants`: pairs of tag and node. `starts`: when each begins, counted from the opening,
    unless one has given a chunk by then; as soon as those before it have failed. `limits`: for one
    entrant alone."""

    entrants: Sequence[tuple[str | None, Any]]
    starts: Sequence[float] = (0.0,)
    limits: Limits = Limits()


class Watch:
    """One stream against its limits."""

    __slots__ = ("_begun", "_chunks", "_end", "_fold", "_idle", "_limits", "_name", "_room", "due")

    def __init__(self, limits: Limits, now: float, node: Any, fold: Fold | None) -> None:
        self._limits = limits
        self._name = node.get_name()
        self._fold = fold
        self._chunks: list[Any] = []
        self._room = _KEPT
        self._begun = False
        self._idle = inf if limits.idle is None else limits.idle
        self._end = inf if limits.total is None else now + limits.total
        first = inf if limits.first_chunk is None else now + limits.first_chunk
        self.due = min(first, self._end)

    def had(self, chunk: Any) -> None:
        """A chunk has come."""
        self._begun = True
        self._chunks.append(chunk)
        if len(self._chunks) > self._room:
            self._room = compact(self._fold, self._chunks, self._room)

    def asks(self, now: float) -> None:
        """The reader asks for another."""
        due = now + self._idle
        self.due = due if due < self._end else self._end

    def error(self) -> Timeout:
        """For when it is past `due`."""
        which = "idle" if self._begun else "first_chunk"
        if self.due == self._end:
            which = "total"
        seconds = getattr(self._limits, which)
        said = {
            "first_chunk": f"{self._name} gave no first chunk within {seconds:g} s",
            "idle": f"{self._name} gave no further chunk for {seconds:g} s",
            "total": f"{self._name} was not done within {seconds:g} s",
        }[which]
        had = f"; what had come is in `partial` ({len(self._chunks)} chunks)" if self._begun else ""
        partial = fold_partial(self._fold, self._chunks)
        return Timeout(f"{said}{had}.", which=which, seconds=seconds, partial=partial)


class Entrant(Protocol):
    """One that runs, as both drivers have it: has it a chunk to give, has it ended, and how?"""

    given: bool
    over: bool
    failure: BaseException | None


def first_of(entrants: Sequence[Any]) -> Any:
    """The one that has a chunk, or has ended well without any; None if there is none yet."""
    return next((e for e in entrants if e.given or (e.over and e.failure is None)), None)


def tell_winner(run: Run, terms: Terms, number: int) -> None:
    """The events of a contest's run say who has won: the entrant of this number, from 0."""
    tag, node = terms.entrants[number]
    (run.own or run).tell(RunWon, f"{tag}:{node.get_name()}" if tag else node.get_name())


def must_start(terms: Terms, entrants: Sequence[Entrant], began: float, now: float) -> bool:
    """Whether it is time for the next one."""
    number = len(entrants)
    if number == len(terms.starts):
        return False
    return now >= began + terms.starts[number] or all(e.over for e in entrants)


def fatal(entrants: Sequence[Entrant]) -> BaseException | None:
    """What ended one of them and is no failure of its own: an interrupt, an exit."""
    ends = (e.failure for e in entrants if e.failure is not None)
    return next((end for end in ends if not isinstance(end, Exception)), None)


def lost(entrants: Sequence[Entrant]) -> BaseException:
    """All have failed: the failure of the first, which tells of the others."""
    first, *others = [e.failure for e in entrants if e.failure is not None]
    for number, other in enumerate(others, 2):
        if other is not first:
            first.add_note(f"Number {number} of those that ran for it failed as well: {other!r}")
    return first
