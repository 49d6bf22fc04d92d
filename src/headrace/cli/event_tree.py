"""The machine that makes a tree of typed events: `feed` one event after the other, then look.

    Tree().feed(event) -> the rows that are news: one that has ended, was tried again, or was told

A run whose parents are filtered out hangs on the nearest one that is shown. Steps of a sequence and
branches of a parallel stand in their order, whichever begins first; the rest as it comes. Nothing
here knows a terminal; texts keep only their ends (`event_text.Said`).
"""

from __future__ import annotations

from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from operator import attrgetter
from time import monotonic
from typing import Any, TypeAlias
from uuid import UUID

from headrace.events import (
    CustomEvent,
    Event,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunInfo,
    RunRetried,
    RunStarted,
    StreamReset,
    ToolProgress,
)

from .event_text import Said, brief, message_of, took

__all__ = ["Row", "State", "Tree"]

# For each level from the root down: (0, which step or branch) or (1, when it was first seen).
Place: TypeAlias = tuple[tuple[int, int], ...]

_RECENT = 200  # rows that ended last and are remembered as such
_LOOKED_AT = 8  # children that may have said already what their parent says: the last ones
_KEY, _STEP, _ATTEMPT = "map:key:", "seq:step:", "retry:attempt:"
_RIVAL = ("race:", "hedge")  # with these begins what a race and a hedge call theirs


class State(Enum):
    """How it stands with a run. TOLD is none: the row of custom events, or of progress."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRIED = "retried"
    TOLD = "told"


class Row:
    """One run, or the custom events of one name under one run, or a tool's progress."""

    __slots__ = (
        *("begin", "children", "end", "error", "input", "key", "name", "note", "parent"),
        *("path", "place", "rank", "said", "state", "times", "tried", "under", "where"),
    )

    def __init__(self, name: str, path: str, parent: Row | None, begin: float) -> None:
        self.name, self.path, self.parent = name, path, parent
        self.children: list[Row] = []
        self.state = State.RUNNING
        self.begin, self.end = begin, begin  # seconds, monotonic
        self.input: str | None = None
        self.said = Said()
        self.error: BaseException | None = None
        self.tried: BaseException | None = None  # what the try failed with that `note` tells of
        self.note = ""  # what came between: a try that failed, how many custom events
        self.times = 0  # how often a custom event was told
        self.key = ""  # as which branch its parent knows it
        self.where = ""  # the same, or the way to it from the row it has moved up to
        self.rank: int | None = None  # its place among the children of its parent
        self.place: Place = ()  # its place in the whole tree
        self.under: UUID | None = None  # its parent, shown or not

    def seconds(self, now: float) -> float:
        """How long it has taken until now, or took."""
        return (now if self.state is State.RUNNING else self.end) - self.begin

    def failure(self) -> str:
        """The error in one line; "" where a run below it says it already."""
        if self.error is None or any(row.error is self.error for row in self.children):
            return ""
        return message_of(self.error)

    def tells(self) -> bool:
        """Whether what it gave is worth showing: nothing that another row shows."""
        runs = [row for row in self.children[-_LOOKED_AT:] if row.state is not State.TOLD]
        if not self.said or (runs and (self.state is State.RUNNING or runs[0].key)):
            return False
        if self.input is not None and self.said.short() == self.input:  # passed on as it is
            return False
        return not any(self.said.repeats(row.said) for row in (*runs, *self._before()))

    def _before(self) -> Iterator[Row]:
        """The step before it, whose text a parser passes on."""
        rows = self.parent.children if self.parent is not None else []
        if self.rank is not None and not self.key:
            yield from (r for r in rows if r.under == self.under and r.rank == self.rank - 1)


class Tree:
    """Rows by the runs they stand for.

    Attributes:
        roots: the rows that hang on no other.
        count: of all rows.
        states: how many rows are in which state.
        running: what runs, in the order in which it began.
        recent: what ended last, the latest at the end.
    """

    def __init__(self) -> None:
        self.roots: list[Row] = []
        self.count = 0
        self.states: Counter[State] = Counter()
        self.running: dict[UUID, Row] = {}
        self.recent: deque[Row] = deque(maxlen=_RECENT)
        self._rows: dict[UUID, Row] = {}
        self._told: dict[tuple[Row | None, str], Row] = {}
        self._places: dict[UUID, Place] = {}  # of runs that are not shown as well

    def feed(self, event: Event) -> tuple[Row, ...]:
        """Take an event in; gives the rows about which there is something to say now."""
        how = _HOW.get(type(event))
        return () if how is None else how(self, event)

    def cancel(self) -> tuple[Row, ...]:
        """Nothing more will come: what still runs counts as cancelled. Gives those rows, the
        innermost first."""
        now = monotonic()
        return tuple(
            self._close(row, id, State.CANCELLED, now)
            for id, row in reversed(list(self.running.items()))
        )

    # ------------------------------------------------------------- one method for each event

    def _started(self, event: RunStarted) -> tuple[Row, ...]:
        run = event.run
        above = run.parent_ids
        parent = next((self._rows[id] for id in reversed(above) if id in self._rows), None)
        row = Row(run.name, event.path, parent, event.time)
        row.under = above[-1] if above else None
        if event.known:
            row.input = brief(event.input)
        self._place(row, run)
        moved = row.under is not None and row.under not in self._rows
        row.where = _way(run, above, self._rows) if moved else row.key or _rival(run)
        self._rows[run.id] = self.running[run.id] = row
        self._hang(row)
        return ()

    def _chunk(self, event: RunChunk) -> tuple[Row, ...]:
        row = self._rows.get(event.run.id)
        if row is not None:
            row.said.add(event.chunk)
        return ()

    def _ended(self, event: RunEnded) -> tuple[Row, ...]:
        row = self._rows.get(event.run.id)
        if row is None:
            return ()
        if row.input is None:
            row.input = brief(event.input)
        row.said.end(event.output)
        return (self._close(row, event.run.id, State.DONE, event.time),)

    def _failed(self, event: RunFailed) -> tuple[Row, ...]:
        row = self._rows.get(event.run.id)
        if row is None:
            return ()
        row.error = event.error
        return (self._close(row, event.run.id, State.FAILED, event.time),)

    def _cancelled(self, event: RunCancelled) -> tuple[Row, ...]:
        row = self._rows.get(event.run.id)
        return () if row is None else (self._close(row, event.run.id, State.CANCELLED, event.time),)

    def _retried(self, event: RunRetried) -> tuple[Row, ...]:
        row = self._rows.get(event.run.id)
        if row is None:
            return ()
        wait = f" · next in {took(event.delay)}" if event.delay else ""
        self._try_failed(row, event, wait)
        return (row,)

    def _reset(self, event: StreamReset) -> tuple[Row, ...]:
        row = self._rows.get(event.run.id)
        if row is None:
            return ()
        row.said = Said()  # it is void
        dropped = f" · ↺ {_counted(event.discarded)} discarded" if event.discarded else ""
        if row.tried is not event.error:  # by fallbacks
            self._try_failed(row, event, dropped)
        elif dropped:
            row.note += dropped
        else:
            return ()
        return (row,)

    def _try_failed(self, row: Row, event: RunRetried | StreamReset, more: str) -> None:
        failed = [child for child in row.children if child.error is event.error]
        for child in failed:
            self._again(child)
        # A run below that is shown says itself why it failed.
        why = "" if failed else f": {message_of(event.error)}"
        row.note = f"try {event.attempt} failed{why}{more}"
        row.tried, row.end = event.error, event.time

    def _custom(self, event: CustomEvent) -> tuple[Row, ...]:
        return self._report(event, event.label, event.data)

    def _progress(self, event: ToolProgress) -> tuple[Row, ...]:
        return self._report(event, "progress", event.value)

    def _report(self, event: Event, label: str, data: Any) -> tuple[Row, ...]:
        ids = (event.run.id, *reversed(event.run.parent_ids))
        parent = next((self._rows[id] for id in ids if id in self._rows), None)
        row = self._told.get((parent, label))
        if row is None:
            row = Row(label, f"{event.path}/{label}", parent, event.time)
            row.state = State.TOLD
            row.place = (*self._placed(event.run), (1, self.count))
            self._told[parent, label] = row
            self._hang(row)
        row.times += 1
        row.note = f"×{row.times}" if row.times > 1 else ""
        row.input, row.end = brief(data), event.time
        return (row,)

    # ------------------------------------------------------------- how rows hang

    def _hang(self, row: Row) -> None:
        insort(_siblings(row, self.roots), row, key=attrgetter("place"))
        self.count += 1
        self.states[row.state] += 1

    def _close(self, row: Row, id: UUID, state: State, time: float) -> Row:
        self.running.pop(id, None)
        self._turn(row, state)
        row.end = time
        self.recent.append(row)
        return row

    def _turn(self, row: Row, state: State) -> None:
        self.states[row.state] -= 1
        self.states[state] += 1
        row.state = state

    def _place(self, row: Row, run: RunInfo) -> None:
        """Which step, branch or try of its parent it is."""
        kind, label = _label(run)
        row.rank, row.place = _rank(run), self._placed(run)
        if kind == _KEY:
            row.key = label
        elif kind == _ATTEMPT:
            for earlier in _siblings(row, self.roots):
                if earlier.under == row.under:
                    self._again(earlier)

    def _placed(self, run: Any) -> Place:
        place = self._places.get(run.id)
        if place is None:
            rank = _rank(run)
            own = (1, len(self._places)) if rank is None else (0, rank)
            parent = getattr(run, "parent", None)  # a run that is shown nowhere has a place, too
            above = () if parent is None else self._placed(parent)
            place = self._places[run.id] = (*above, own)
        return place

    def _again(self, row: Row) -> None:
        """It has failed, but that is not the end of it."""
        if row.state is State.FAILED:
            self._turn(row, State.RETRIED)


def _counted(chunks: int) -> str:
    return "1 chunk" if chunks == 1 else f"{chunks} chunks"


def _siblings(row: Row, roots: list[Row]) -> list[Row]:
    return roots if row.parent is None else row.parent.children


def _label(run: RunInfo) -> tuple[str, str]:
    """What its parent calls it: which kind of name it is, and the name."""
    tag = next(iter(run.all_tags), "")
    kind = next((kind for kind in (_STEP, _KEY, _ATTEMPT) if tag.startswith(kind)), "")
    return kind, tag.removeprefix(kind)


def _rival(run: RunInfo) -> str:
    """What a race or a hedge calls one of those that run in it; "" of other runs."""
    tag = next(iter(run.all_tags), "")
    return tag if tag.startswith(_RIVAL) and run.path.rpartition("/")[2].startswith(tag) else ""


def _way(run: Any, above: list[UUID], shown: Mapping[UUID, Row]) -> str:
    """How a run is reached from the nearest one above it that is shown, or else from the outermost
    one: steps by their numbers, branches by their keys, others by their names."""
    parts: list[str] = []
    own = run  # whose name stands beside
    while run is not None and run.id not in shown and run.id != above[0]:
        kind, label = _label(run)
        if kind in (_STEP, _KEY):
            parts.append(label)
        elif run is not own:
            parts.append(run.name)
        run = getattr(run, "parent", None)
    return "/".join(reversed(parts))


def _rank(run: RunInfo) -> int | None:
    """Which of its sequence's steps or its parallel's branches a run is, where that can be seen."""
    kind, label = _label(run)
    if kind == _STEP and label.isdecimal():
        return int(label)
    node = getattr(getattr(run, "parent", None), "node", None)
    labels = [label for label, _ in node._children()] if node is not None else []
    return labels.index(label) if kind == _KEY and label in labels else None


_HOW: dict[type[Event], Callable[[Tree, Any], tuple[Row, ...]]] = {
    RunStarted: Tree._started,
    RunChunk: Tree._chunk,
    RunEnded: Tree._ended,
    RunFailed: Tree._failed,
    RunCancelled: Tree._cancelled,
    RunRetried: Tree._retried,
    StreamReset: Tree._reset,
    CustomEvent: Tree._custom,
    ToolProgress: Tree._progress,
}
