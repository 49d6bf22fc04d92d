"""Random programs with random faults, through every door in every colour, against the reference."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from laws.colours import ASYNC, every_colour, sync_colours
from laws.effort import examples
from laws.events import check_events
from laws.ledger import LEDGER, Recorder
from reference.building import World, build
from reference.checking import Wanted, run, through
from reference.drawing import PAIR, TEXT, cases, value_of

DOORS = ["invoke", "stream", "transform", "batch", "batch_as_completed"]
QUICK: Any = {"suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much]}
FAILS = st.tuples(st.integers(0, 4), st.sampled_from(["boom", "other"]))

every_door = pytest.mark.parametrize("door", DOORS)


@every_colour
@every_door
@examples(20, **QUICK)
@given(case=cases())
def test_a_program_gives_what_the_reference_says(case, door, colour):
    run(colour, case, Wanted(case, door, colour.asynchronous).check)


@every_colour
@examples(30, **QUICK)
@given(case=cases(), fail=FAILS)
def test_a_source_that_fails(case, fail, colour):
    run(colour, case, Wanted(case, "transform", colour.asynchronous, fail).check)


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream", "transform"])
@examples(15, **QUICK)
@given(case=cases())
def test_observing_changes_nothing(case, door, colour):
    wanted = Wanted(case, door, colour.asynchronous)

    def body(doors: Any) -> None:
        seen = Recorder()
        wanted.check(doors, observers=[seen])
        check_events(seen.events)

    run(colour, case, body)


@every_door
@examples(30, **QUICK)
@given(case=cases(colours=("both", "sync", "async")))
def test_async_bodies_only(case, door):
    run(ASYNC, case, Wanted(case, door, True).check)


@sync_colours
@every_door
@examples(10, **QUICK)
@given(case=cases(policies=False, colours=("both", "async")))
def test_a_sync_call_of_async_bodies_fails_before_any_step_has_run(case, door, colour):
    only_async = any(piece.colour == "async" for piece in case.program.walk())
    world = World()
    program = build(case.program, world)

    def body(doors: Any) -> None:
        inside: Any = world.source(case.chunks) if door == "transform" else value_of(case)
        got = through(door, doors, program, inside, None)
        if only_async:
            assert isinstance(got.error, TypeError), got
            assert isinstance(got.error, NotImplementedError)
            assert not world.calls, f"{case!r}: these ran: {world.calls}"
            assert "source" not in LEDGER.entered

    run(colour, case, body)


@pytest.mark.slow
@every_colour
@every_door
@examples(150, **QUICK)
@given(case=cases(longest=8, pieces=12), fail=st.none() | FAILS)
def test_longer_programs(case, fail, door, colour):
    fail = fail if door == "transform" else None
    run(colour, case, Wanted(case, door, colour.asynchronous, fail).check)


@every_colour
@every_door
@examples(15, **QUICK)
@given(case=cases(longest=3, starts=[TEXT, PAIR], policies=False, faults=False))
def test_programs_of_fan_outs(case, door, colour):
    run(colour, case, Wanted(case, door, colour.asynchronous).check)
