"""Every chain, in four colours: each start has one end unless the run failed, parents start before
their children, and the dicts tell of the same runs as the typed events."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import Any

import pytest

from events.chains import CASES
from events.pieces import libraries
from headrace.events import RunChunk, RunEnded
from laws.colours import every_colour
from laws.events import by_run, check_events


class Kept:
    """Every typed event but retries and what user code reports: law 5 says nothing of those."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_event(self, event: Any) -> None:
        if event.kind not in ("retry", "custom"):
            self.events.append(event)


def _watched(doors: Any, runnable: Any, value: Any, config: Any) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []

    async def main() -> None:
        async for event in runnable.astream_events(value, config):
            seen.append(event)  # noqa: PERF401 - kept when an exception follows

    with suppress(Exception):  # what came before it is looked at
        if doors.asynchronous:
            doors.wait(main())
        else:
            for event in runnable.stream_events(value, config):
                seen.append(event)  # noqa: PERF402
    return seen


@every_colour
@pytest.mark.parametrize("name", CASES)
def test_starts_and_ends_pair_up(name, colour):
    case = CASES[name]
    if case.waits and not colour.asynchronous:
        return  # refused before anything has run: see test_differential.py
    kept = Kept()
    config = {**(case.config or {}), "callbacks": [kept]}

    def body(doors):
        return _watched(doors, case.make(libraries()[1]), case.input, config)

    seen = colour.run(body)
    check_events(kept.events)
    _check_dicts(seen, kept.events)


def _check_dicts(seen: list[dict[str, Any]], typed: list[Any]) -> None:
    runs: dict[str, list[Any]] = defaultdict(list)
    for event in seen:
        if event["event"] == "on_custom_event":
            assert event["run_id"] in runs, f"too early: {event}"
            continue
        if event["run_id"] not in runs:
            assert all(above in runs for above in event["parent_ids"]), f"too early: {event}"
        runs[event["run_id"]].append(event)
    told = {str(run_id): own for run_id, own in by_run(typed).items()}
    assert runs.keys() == told.keys()
    for run_id, own in runs.items():
        kinds = [event["event"].rsplit("_", 1)[1] for event in own]
        ended = isinstance(told[run_id][-1], RunEnded)
        last = ["end"] if ended else ["error"] if own[0]["event"] == "on_tool_start" else []
        assert kinds == ["start", *["stream"] * (len(kinds) - 1 - len(last)), *last], kinds
        pieces = sum(isinstance(e, RunChunk) and not e.whole for e in told[run_id])
        assert kinds.count("stream") <= pieces
        assert len({id(event["metadata"]) for event in own}) == 1, "worked out more than once"
