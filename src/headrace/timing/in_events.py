"""Times in the metadata of end events, for those who read dicts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..events import EVENTS, Event, RunInfo, RunStarted, Takes
from .machine import ENDS, TAKEN, Timings
from .report import RunTiming

__all__ = ["Timed"]


class Timed:
    """A view of event dicts whose end events carry the run's timing in `metadata["timing"]`.

    That is a dict with `seconds`, `first_chunk`, `chunks`, `rate`, `p50`, `p99`, `idle`,
    `idle_total`, `retries`; of the outermost run also `held_by` (a path) and `held` (how long it
    was waited for). See `RunTiming`.
    """

    __slots__ = ("_shows", "_times", "_view")

    def __init__(self, view: Any) -> None:
        self._view = view
        self._times = Timings(keep=1)
        self._shows: dict[RunInfo, Takes] = {}  # what the view takes, of each run that goes on

    def wants(self, run: RunInfo) -> Takes:
        """All that times are made of. What the view would not take, it does not get."""
        shown = self._view.wants(run)
        return frozenset(kind for kind in EVENTS if kind in TAKEN or kind in shown)

    def feed(self, event: Event) -> Iterable[Any]:
        run, kind = event.run, type(event)
        found = self._times.taken(event)
        shown = self._shows.get(run)
        if shown is None:
            shown = self._view.wants(run)
            if kind is RunStarted:
                self._shows[run] = shown
        if kind in ENDS:
            self._shows.pop(run, None)
        made: Iterable[Any] = self._view.feed(event) if kind in shown else ()
        if found is None:
            return made
        times = _as_metadata(found)
        return [{**told, "metadata": {**told["metadata"], "timing": times}} for told in made]


_IN_METADATA = ("first_chunk", "chunks", "rate", "p50", "p99", "idle", "idle_total", "retries")


def _as_metadata(found: RunTiming) -> dict[str, Any]:
    told = {"seconds": found.ended, **{name: getattr(found, name) for name in _IN_METADATA}}
    if found.longest:
        most = found.held_by
        told |= {"held_by": most.path, "held": most.held}
    return told
