"""`Timings`: typed events in, times out. What *held up* means is in the package's head."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from ..errors import ConfigError, HeadraceError
from ..events import (
    Event,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunInfo,
    RunRetried,
    RunStarted,
    Takes,
)
from .gaps import IDLE, Gaps
from .report import RunTiming, Wait, table

__all__ = ["ENDS", "KEPT", "TAKEN", "NoRunError", "Timings"]

LONGEST = 5  # waits of the outermost run that are listed
KEPT = 100  # outermost runs that are kept, the latest


class NoRunError(HeadraceError, LookupError):
    """The timing of a run was asked for, and there has been none."""


class _Way:
    """A stretch of time that belonged to one run, up to an event, and the stretch before it."""

    __slots__ = ("before", "owner", "since", "until")

    def __init__(self, owner: _Run, since: float, until: float, before: _Way | None) -> None:
        self.owner, self.since, self.until, self.before = owner, since, until, before


class _Run:
    """What is kept of one run."""

    __slots__ = ("above", "below", "chunks", "ended", "feeder", "first", "gaps", "held", "id",
                 "key", "last", "latest", "name", "path", "place", "retries", "root", "run_type",
                 "started", "status", "steps", "told", "waits")  # fmt: skip

    def __init__(self, run: RunInfo, at: float, above: _Run | None, idle: float) -> None:
        self.id, self.path, self.name, self.run_type = run.id, run.path, run.name, run.run_type
        self.key: Any = run
        self.above = above
        self.root: _Run = self if above is None else above.root
        self.feeder: _Run | None = None  # the step whose chunks it gets
        self.place: int | None = _place(getattr(run, "tag", None))
        self.steps: dict[int, _Run] = {}  # below it, by their places in a sequence
        self.below: list[_Run] = []
        self.status = "running"
        self.started = self.told = at
        self.first: float | None = None
        self.last = at
        self.ended: float | None = None
        self.chunks = self.retries = 0
        self.gaps = Gaps(idle)
        self.held = 0.0
        self.waits: list[tuple[float, float, _Run, float]] = []
        self.latest: _Way | None = None  # up to the last event here or below


def _check(idle: Any, keep: Any) -> None:
    if not isinstance(idle, (int, float)) or isinstance(idle, bool) or not idle >= 0:
        raise ConfigError(
            f"idle is {idle!r}: give the seconds without a chunk from which on a stream counts as "
            "idle, 0 or more, such as 0.5."
        )
    if not isinstance(keep, int) or isinstance(keep, bool) or keep < 1:
        raise ConfigError(
            f"keep is {keep!r}: give a whole number of at least 1, of how many outermost runs the "
            "times are kept."
        )


def _place(tag: Any) -> int | None:
    """Of a step of a sequence, its number."""
    number = tag.removeprefix("seq:step:") if isinstance(tag, str) else ""
    return int(number) if number.isdecimal() and number != tag else None


class Timings:
    """The machine: events in, timings out; see the module's head. Events may come from several
    threads.

    Args:
        idle: from how many seconds without a chunk on a stream counts as idle.
        keep: how many outermost runs are kept, the latest ones.

    Raises:
        ConfigError: `idle` is no such number, or `keep` is less than 1.
    """

    __slots__ = ("_by_id", "_idle", "_live", "_lock", "_roots")

    def __init__(self, idle: float = IDLE, keep: int = KEPT) -> None:
        _check(idle, keep)
        self._idle = idle
        self._roots: deque[_Run] = deque(maxlen=keep)
        self._live: dict[RunInfo, _Run] = {}
        self._by_id: dict[UUID, _Run] = {}
        self._lock = threading.Lock()

    def wants(self, run: RunInfo) -> Takes:
        return _FEEDS

    def feed(self, event: Event) -> Iterable[Any]:
        """Take an event in; nothing is made of it."""
        take = _FEEDS.get(type(event))
        if take is not None:
            with self._lock:
                take(self, event)
        return ()

    def taken(self, event: Event) -> RunTiming | None:
        """`feed`, for those who want the timing of a run that this event has ended: of an outermost
        one with what is below it."""
        with self._lock:
            run = self._known(event.run) if type(event) in _STATUS else None
            take = _FEEDS.get(type(event))
            if take is not None:
                take(self, event)
            return None if run is None else _timing(run, deep=run.above is None)

    def on_event(self, event: Event) -> None:
        """As an observer."""
        take = _FEEDS.get(type(event))
        if take is not None:
            with self._lock:
                take(self, event)

    # ------------------------------------------------------------- what it has found

    def report(self) -> RunTiming | None:
        """The first outermost run that is kept; None where none has started."""
        with self._lock:
            return _timing(self._roots[0]) if self._roots else None

    def reports(self) -> list[RunTiming]:
        """All outermost runs that are kept, in the order of their starts."""
        with self._lock:
            return [_timing(root) for root in self._roots]

    @property
    def roots(self) -> list[RunTiming]:
        """`reports()`."""
        return self.reports()

    @property
    def root(self) -> RunTiming:
        """The first outermost run.

        Raises:
            NoRunError: none has started.
        """
        found = self.report()
        if found is None:
            raise NoRunError(
                "There is no timing: no run has begun inside the block. A stream begins with its "
                "first chunk; read it before the block ends."
            )
        return found

    @property
    def runs(self) -> list[RunTiming]:
        """All runs that are kept, each before those below it."""
        return [run for root in self.reports() for run in root.walk()]

    def __str__(self) -> str:
        return table(self.reports()) or "no run has begun"

    def __repr__(self) -> str:
        kept = len(self._roots)
        return f"<Timings, outermost runs: {kept}; print it, or read .root and .runs>"

    # ------------------------------------------------------------- events

    def _known(self, run: RunInfo) -> _Run | None:
        return self._live.get(run) or self._by_id.get(run.id)

    def _started(self, event: RunStarted) -> None:
        run, at = event.run, event.time
        parents = run.parent_ids
        above = self._by_id.get(parents[-1]) if parents else None
        new = _Run(run, at, above, self._idle)
        self._live[run] = self._by_id[new.id] = new
        if above is None:
            self._roots.append(new)
            new.latest = _Way(new, at, at, None)
            return
        above.below.append(new)
        new.feeder = above.feeder
        if new.place is not None:
            above.steps[new.place] = new
            new.feeder = above.steps.get(new.place - 1, above.feeder)
        # until here, it was the one above
        self._reached(new, _Way(new, at, at, self._step(above, at, new.feeder)))

    def _chunk(self, event: RunChunk) -> None:
        run = self._live.get(event.run)
        if run is None:
            run = self._known(event.run)
            if run is None:
                return
        at = event.time
        if run.first is None:
            run.first = at
        else:
            run.gaps.add(at - run.last)
        run.last = at
        run.chunks += 1
        self._happened(run, at)
        if run.above is None:
            self._waited(run, at)

    def _retried(self, event: RunRetried) -> None:
        run = self._known(event.run)
        if run is not None:
            run.retries += 1
            self._happened(run, event.time)

    def _stopped(self, event: RunEnded | RunFailed | RunCancelled) -> None:
        run = self._known(event.run)
        if run is None:
            return
        run.status, run.ended = _STATUS[type(event)], event.time
        self._happened(run, event.time)
        if run.above is None:
            self._waited(run, event.time)
        self._live.pop(run.key, None)
        self._by_id.pop(run.id, None)
        run.key, run.steps = None, {}  # the run itself, and what it was given, may go

    # ------------------------------------------------------------- who was waited for

    def _happened(self, run: _Run, at: float) -> None:
        """A run has done something."""
        self._reached(run, self._step(run, at, run.feeder))

    @staticmethod
    def _reached(run: _Run | None, way: _Way) -> None:
        while run is not None:
            run.latest = way
            run = run.above

    @staticmethod
    def _step(run: _Run, at: float, feeder: _Run | None) -> _Way:
        """The way to what a run does now: from the last event here or below, or the feeder's."""
        before = run.latest
        if feeder is not None and feeder.latest is not None:
            fed = feeder.latest
            if before is None or fed.until > before.until:
                before = fed
        if before is None:
            return _Way(run, at, at, None)
        if before.owner is run:  # goes on: one stretch, however many chunks
            before.until = at
            return before
        return _Way(run, before.until, at, before)

    @staticmethod
    def _waited(root: _Run, at: float) -> None:
        """The outermost run has given something: whom it waited for since it last did."""
        since = root.told
        shares: dict[_Run, float] = {}
        way, until = root.latest, at
        while way is not None and until > since:
            spent = until - max(way.since, since)
            if spent > 0:
                shares[way.owner] = shares.get(way.owner, 0.0) + spent
                until = max(way.since, since)
            way = way.before
        root.told = at
        root.latest = _Way(root, at, at, None)
        for run, spent in shares.items():
            run.held += spent
        if shares:
            most = max(shares, key=lambda run: shares[run])
            _remember(root.waits, (at - since, since - root.started, most, shares[most]))


def _remember(waits: list[tuple[float, float, _Run, float]], new: Any) -> None:
    """Keep the longest waits only, the longest first, the earlier of two."""
    if len(waits) == LONGEST and new[0] <= waits[-1][0]:
        return
    waits.append(new)
    waits.sort(key=lambda wait: -wait[0])
    del waits[LONGEST:]


_STATUS: dict[type, str] = {RunEnded: "ended", RunFailed: "failed", RunCancelled: "cancelled"}
_FEEDS: dict[type, Callable[[Timings, Any], None]] = {
    RunStarted: Timings._started,
    RunChunk: Timings._chunk,
    RunRetried: Timings._retried,
    RunEnded: Timings._stopped,
    RunFailed: Timings._stopped,
    RunCancelled: Timings._stopped,
}


def _timing(run: _Run, *, deep: bool = True) -> RunTiming:
    gaps = run.gaps
    return RunTiming(
        path=run.path,
        name=run.name,
        run_type=run.run_type,
        status=run.status,
        started=run.started,
        first_chunk=None if run.first is None else run.first - run.started,
        ended=None if run.ended is None else run.ended - run.started,
        chunks=run.chunks,
        rate=gaps.rate,
        p50=gaps.percentile(50),
        p99=gaps.percentile(99),
        idle=gaps.idle,
        idle_total=gaps.idle_total,
        retries=run.retries,
        held=run.held,
        longest=[
            Wait(at, seconds, by.path, share / seconds) for seconds, at, by, share in run.waits
        ],
        steps=[_timing(step) for step in run.below] if deep else [],
    )


TAKEN: frozenset[type] = frozenset(_FEEDS)
ENDS: frozenset[type] = frozenset(_STATUS)
