"""Law 5 as a check on a recording: what the events of one root run must look like."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from headrace.events import (
    CustomEvent,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunRetried,
    RunStarted,
    RunWon,
    StreamReset,
    ToolProgress,
)

TERMINAL = (RunEnded, RunFailed, RunCancelled)


def by_run(events: list[Any]) -> dict[Any, list[Any]]:
    runs: dict[Any, list[Any]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.seq):
        runs[event.run.id].append(event)
    return runs


def roots(events: list[Any]) -> list[list[Any]]:
    """The events of each run that has no parent, in the order of their starts."""
    return [own for own in by_run(events).values() if not own[0].run.parent_ids]


def root_end(events: list[Any]) -> Any:
    """The terminal event of the only root."""
    (own,) = roots(events)
    return own[-1]


def check_events(events: list[Any], root_count: int = 1) -> None:
    """Each run: a start, chunks, retries, resets, progress and custom events, one terminal event; a
    parent starts before its children and ends after them, so nothing comes after the root's
    terminal event. What is won is won once, before the first chunk, by a run below."""
    assert events, "nothing was reported"
    runs = by_run(events)
    first, last = {}, {}
    for id_, own in runs.items():
        names = [type(event).__name__ for event in own]
        assert isinstance(own[0], RunStarted), f"{own[0].run.path} begins with {names}"
        assert isinstance(own[-1], TERMINAL), f"{own[0].run.path} never ended: {names}"
        between = (RunChunk, RunRetried, RunWon, StreamReset, ToolProgress, CustomEvent)
        assert all(isinstance(event, between) for event in own[1:-1]), names
        assert len({id(event.run) for event in own}) == 1, "one run reported as several"
        first[id_], last[id_] = own[0].seq, own[-1].seq
        won = [number for number, event in enumerate(own) if isinstance(event, RunWon)]
        assert won in ([], [1]), names
        for number in won:
            winner = f"{own[0].run.path}/{own[number].winner}"
            assert winner in {events[0].run.path for events in runs.values()}, winner
    for id_, own in runs.items():
        run = own[0].run
        for parent in run.parent_ids:
            assert parent in first, f"{run.path} has a parent that never started"
            assert first[parent] < first[id_], f"{run.path} started before its parent"
            assert last[parent] > last[id_], f"{run.path} ended after its parent"
        if run.parent_ids:
            above = runs[run.parent_ids[-1]][0].run
            assert run.parent_ids == [*above.parent_ids, above.id]
            assert run.path.startswith(above.path + "/")
    tops = roots(events)
    assert len(tops) == root_count, f"roots: {[own[0].run.path for own in tops]}"
    if root_count == 1:
        numbers = [event.seq for event in events]
        assert len(set(numbers)) == len(numbers), "a sequence number was given twice"
        assert isinstance(events[-1], TERMINAL), f"last to arrive: {events[-1]}"
        assert events[-1].run.id == tops[0][0].run.id, f"last to arrive: {events[-1]}"
