"""Batches of which some items fail: each item's output is that of the item alone, at its place,
and each item is tried as often as it would be alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from laws.colours import every_colour
from laws.effort import examples
from laws.events import check_events
from laws.ledger import LEDGER, Recorder
from reference.building import World, build
from reference.checking import Got, Wanted, run, same_error
from reference.drawing import CHUNKS, Case, cases
from reference.pieces import tidy

QUICK: Any = {"suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much]}
MIXED = cases(longest=4, at_least=1, each_faults=False, item_faults=True)


class Batch:
    """A program and several inputs for it, with what the reference says of each."""

    def __init__(self, case: Case, draw: Any, asynchronous: bool) -> None:
        self.case, self.world = case, World(items=True)
        more = draw(st.lists(CHUNKS[case.start], min_size=0, max_size=3))
        self.inputs = [dict(v) if isinstance(v, dict) else v for v in [case.chunks[0], *more]]
        self.items = [
            Wanted(
                Case(case.program, [value], case.kind, case.start), "batch", asynchronous, None, i
            )
            for i, value in enumerate(self.inputs)
        ]
        self.runnable = build(case.program, self.world)
        self.limit = draw(st.sampled_from([None, 1, 2]))

    def shown(self) -> Case:
        case = self.case
        return Case(case.program, [*self.inputs, f"limit {self.limit}"], case.kind, case.start)

    def configs(self) -> list[dict[str, Any]]:
        return [
            {**self.world.config(i), "max_concurrency": self.limit} for i in range(len(self.inputs))
        ]

    def compare(self, number: int, output: Any) -> None:
        got = Got(error=output) if isinstance(output, Exception) else Got([output])
        self.items[number].compare(got, self.world)

    def may_be_raised(self, error: Exception) -> bool:
        got = Got(error=error)
        return any(
            same_error(got, outcome, self.world) for item in self.items for outcome in item.outcomes
        )


@every_colour
@pytest.mark.parametrize("door", ["batch", "as_completed"])
@examples(30, **QUICK)
@given(case=MIXED, data=st.data())
def test_each_output_is_that_of_its_input(case, data, door, colour):
    batch = Batch(case, data.draw, colour.asynchronous)

    def body(doors: Any) -> None:
        call = getattr(doors, door)
        out = call(batch.runnable, batch.inputs, batch.configs(), return_exceptions=True)
        pairs = list(enumerate(out)) if door == "batch" else out
        assert sorted(number for number, _ in pairs) == list(range(len(batch.inputs)))
        for number, output in pairs:
            batch.compare(number, output)

    run(colour, batch.shown(), body)


@every_colour
@examples(30, **QUICK)
@given(case=MIXED, data=st.data())
def test_a_failure_is_raised(case, data, colour):
    batch = Batch(case, data.draw, colour.asynchronous)

    def body(doors: Any) -> None:
        try:
            outputs = doors.batch(batch.runnable, batch.inputs, batch.configs())
        except Exception as error:
            assert batch.may_be_raised(error), f"{error!r}: {case!r} of {batch.inputs}"
            assert not LEDGER.still_open, "raised while items were at work"
            return
        for number, output in enumerate(outputs):
            batch.compare(number, output)

    run(colour, batch.shown(), body)


@every_colour
@examples(20, **QUICK)
@given(case=cases(longest=4, at_least=1, faults=False), data=st.data())
def test_observed_batches(case, data, colour):
    batch, seen = Batch(case, data.draw, colour.asynchronous), Recorder()

    def body(doors: Any) -> None:
        configs = [{**config, **seen.config} for config in batch.configs()]
        outputs = doors.batch(batch.runnable, batch.inputs, configs)
        for number, output in enumerate(outputs):
            batch.compare(number, output)
        check_events(seen.events, root_count=len(batch.inputs))

    run(colour, batch.shown(), body)


def test_the_comparison_can_fail():
    assert tidy({"a": None}) is None
    assert tidy({"a": [None, {}]}) != tidy({"a": []})
