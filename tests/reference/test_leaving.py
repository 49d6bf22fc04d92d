"""The consumer leaves in the middle: closes the stream after some chunks, or is cancelled while it
waits. Then every body has been left, nothing more was pulled, and each run has one terminal event.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

from hypothesis import HealthCheck, assume, given
from hypothesis import strategies as st

from laws.colours import END, every_colour
from laws.effort import examples
from laws.events import TERMINAL, check_events
from laws.ledger import LEDGER, Recorder
from reference.building import World, build
from reference.checking import expected, run, strands
from reference.drawing import cases
from reference.interpreter import Outcome
from reference.pieces import Each, Piece

QUICK: Any = {"suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much]}


def _begins(got: list[Any], outcome: Outcome, case: Any) -> bool:
    """Whether these may be the first chunks of the stream."""
    if not case.kind.loose:
        return got == outcome.chunks[: len(got)]
    have, want = strands(got), strands(outcome.chunks)
    return all(want.get(path, [])[: len(mine)] == mine for path, mine in have.items())


def _leave(doors: Any, stream: Any, source: Any) -> None:
    """Close. The async one in one go: between calls the loop stands still, and what was ready to
    run before the consumer decided to leave may run first."""
    if not doors.asynchronous:
        stream.close()
        return

    async def leave() -> None:
        source.leaving = True
        await stream._chunks.aclose()

    doors.wait(leave())


@every_colour
@examples(40, **QUICK)
@given(case=cases(at_least=2), taken=st.integers(0, 4), observed=st.booleans())
def test_closing_after_some_chunks(case, taken, observed, colour):
    outcomes = expected(case, case.chunks, ahead=colour.asynchronous)

    def body(doors: Any) -> None:
        world, seen = World(), Recorder()
        runnable, source = build(case.program, world), world.source(case.chunks)
        config = {**world.config(), **(seen.config if observed else {})}
        stream = doors.open_transform(runnable, source, config)
        got: list[Any] = []
        error: BaseException | None = None
        try:
            while len(got) < taken:
                chunk = stream.next()
                if chunk is END:
                    break
                got.append(chunk)
        except Exception as raised:
            error = raised
        try:
            _leave(doors, stream, source)
        except Exception as raised:  # what a branch was at when its consumer left
            assert world.find(raised), f"close() raised {raised!r}: {case!r}"
        assert not LEDGER.still_open, f"closed, but open: {LEDGER.still_open}: {case!r}"
        assert source.pulled_while_leaving == 0, f"pulled while closing: {case!r}"
        assert error is None or world.find(error), f"{error!r} was not raised by {case!r}"
        assert any(_begins(got, o, case) for o in outcomes), f"{case!r}: {got} of {outcomes}"
        calls = dict(world.calls)
        stream.pause(0)
        assert calls == dict(world.calls), f"steps began after closing: {case!r}"
        if observed and seen.events:
            check_events(seen.events)
        assert taken or not (seen.events or calls), f"ran before the first next: {case!r}"

    run(colour, case, body)


def _paths(piece: Piece, path: str) -> list[tuple[str, Piece]]:
    """Each piece of a program with its path."""
    found = [(path, piece)]
    for label, part in piece.parts():
        found += _paths(part, f"{path}.{label}")
    return found


HANGING = cases(at_least=2, faults=False, colours=("both", "async"))


@examples(100, **QUICK)
@given(case=HANGING, number=st.integers(0, 9), door=st.sampled_from(["stream", "invoke", "batch"]))
def test_cancelling_while_a_step_waits(case, number, door):
    """Some step waits for ever; the consumer's task is cancelled as soon as it does."""
    waiting = [
        path
        for path, piece in _paths(case.program, "p")
        if piece.colour != "sync" and getattr(piece, "op", None) and not isinstance(piece, Each)
    ]
    assume(waiting)
    asyncio.run(_cancelled(case, waiting[number % len(waiting)], door))


async def _cancelled(case: Any, path: str, door: str) -> None:
    LEDGER.reset()
    world, seen = World(hang=path), Recorder()
    assert world.hanging is not None
    runnable, source = build(case.program, world), world.source(case.chunks)
    config = {**world.config(), **seen.config}

    async def consume() -> None:
        if door == "stream":
            async with aclosing(runnable.atransform(source.async_(), config)) as stream:
                async for _ in stream:
                    await asyncio.sleep(0)
            return
        value = case.chunks[0]
        await (
            runnable.ainvoke(value, config)
            if door == "invoke"
            else runnable.abatch([value], config)
        )

    task = asyncio.create_task(consume())
    hangs = asyncio.create_task(world.hanging.wait())
    await asyncio.wait([task, hangs], return_when=asyncio.FIRST_COMPLETED)
    hung = hangs.done()
    hangs.cancel()
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    pulls = source.pulls
    left = asyncio.all_tasks() - {asyncio.current_task(), hangs}
    assert not left, f"tasks left: {left}: {case!r}"
    assert not LEDGER.still_open, f"left open: {LEDGER.still_open}: {case!r} hanging in {path}"
    await asyncio.sleep(0)
    assert source.pulls == pulls, f"pulled after it had ended: {case!r}"
    if hung:
        assert isinstance(outcome, asyncio.CancelledError), f"{outcome!r}: {case!r} hangs in {path}"
    check_events(seen.events)
    assert len([e for e in seen.events if isinstance(e, TERMINAL) and not e.run.parent_ids]) == 1
