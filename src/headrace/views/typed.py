"""`stream_typed` and `astream_typed`: the events themselves, for `match`."""

from __future__ import annotations

from collections.abc import Iterable

from ..events import EVENTS, CustomEvent, Event, RunInfo, Takes
from .filters import Filter

__all__ = ["Typed"]


class Typed:
    """The view: events as they are."""

    __slots__ = ("_filter",)

    def __init__(self, chosen: Filter) -> None:
        self._filter = chosen

    def wants(self, run: RunInfo) -> Takes:
        return EVENTS if self._filter.passes(run) else (CustomEvent,)

    def feed(self, event: Event) -> Iterable[Event]:
        if isinstance(event, CustomEvent) and self._filter:
            run = event.run
            if not self._filter.lets(event.label, event.label, run.all_tags):
                return ()
        return (event,)
