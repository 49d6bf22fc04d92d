"""Law 3, async: a task cancelled at any await point leaves nothing behind.

The consumer's task is cancelled after a number of turns of the event loop, so that the cancellation
arrives at every await there is. When the task is done: every `finally` has run, no other task is
left, no thread is at work, each started run has one terminal event, and the task is cancelled
(`CancelledError` was not swallowed) unless it had its result before.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import runnables
from headrace.events import RunCancelled, RunEnded
from headrace.runnables import (
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
    each,
)
from laws.colours import ASYNC, Colour
from laws.effort import examples
from laws.events import check_events, root_end
from laws.kinds import texts
from laws.ledger import LEDGER, Recorder, Source
from laws.programs import build, trees
from laws.registry import ENTRIES

CONSUMERS = {
    "transform": lambda r, kind, config: _consume(
        r.atransform(Source(kind.pieces(4)).async_(), config)
    ),
    "stream": lambda r, kind, config: _consume(r.astream(kind.sample(4), config)),
    "invoke": lambda r, kind, config: r.ainvoke(kind.sample(4), config),
    "batch": lambda r, kind, config: r.abatch([kind.sample(4)] * 3, config),
    "completed": lambda r, kind, config: _consume(
        r.abatch_as_completed([kind.sample(4)] * 3, config)
    ),
}


async def _consume(chunks: Any) -> None:
    async with aclosing(chunks) as stream:
        async for _ in stream:
            pass


async def cancelled_after(turns: int, job: Any, again: int | None = None) -> asyncio.Task[Any]:
    """Run `job` in a task, cancel it after so many turns of the loop (a second time, `again` turns
    later), and look at what is left when it is done."""
    task = asyncio.ensure_future(job)
    for _ in range(turns):
        await asyncio.sleep(0)
    return await cancelled(task, again)


async def cancelled(task: asyncio.Task[Any], again: int | None) -> asyncio.Task[Any]:
    task.cancel()
    if again is not None:
        for _ in range(again):
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait([task])
    assert not LEDGER.still_open, f"open when the task was done: {LEDGER.still_open}"
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks left when the task was done: {left}"
    return task


def check(task: asyncio.Task[Any], seen: Recorder) -> None:
    if not task.cancelled():
        assert task.exception() is None, f"cancelling raised {task.exception()!r}"
    if seen.events:
        check_events(seen.events)
        kind = RunCancelled if task.cancelled() else RunEnded
        assert isinstance(root_end(seen.events), kind)


@pytest.mark.parametrize("entry", [e for e in ENTRIES if not e.own], ids=repr)
def test_cancelling_at_every_turn(entry):
    def body(doors: Any) -> None:
        for way, turns in product(CONSUMERS, (0, 1, 2, 3, 5, 8, 12, 18, 27)):
            seen = Recorder()
            observable = way in ("transform", "stream", "invoke")
            config = seen.config if observable and turns % 2 else {}
            job = CONSUMERS[way](entry.make(), entry.kind, config)
            check(doors.wait(cancelled_after(turns, job)), seen)

    ASYNC.run(body)


@examples(60)
@given(
    tree=trees(),
    text=texts,
    turns=st.integers(0, 60),
    again=st.none() | st.integers(0, 5),
    way=st.sampled_from(["stream", "invoke"]),
)
def test_cancelling_programs_anywhere(tree, text, turns, again, way):
    def body(doors: Any) -> None:
        seen = Recorder()
        program = build(tree, runnables)
        job = (
            _consume(program.astream(text, seen.config))
            if way == "stream"
            else program.ainvoke(text, seen.config)
        )
        check(doors.wait(cancelled_after(turns, job, again)), seen)

    ASYNC.run(body)


async def _forever(chunks: Any) -> Any:
    with LEDGER.body("forever"):
        async for chunk in chunks:
            yield chunk
        await asyncio.Event().wait()


async def _stuck(text: str) -> str:
    with LEDGER.body("stuck"):
        await asyncio.Event().wait()
    return text


WAITING = {
    "generator": lambda: RunnableGenerator(_forever),
    "lambda": lambda: RunnableLambda(_stuck),
    "chain": lambda: RunnablePassthrough() | RunnableLambda(_stuck) | RunnablePassthrough(),
    "parallel": lambda: RunnablePassthrough() | {"a": _forever, "b": _stuck, "c": _forever},
    "assign": lambda: {"x": _forever} | RunnablePassthrough.assign(y=_stuck),
    "map": lambda: RunnableLambda(lambda t: [t, t]) | RunnableLambda(_stuck).map(),
    "retry": lambda: RunnableLambda(_stuck).with_retry(),
    "returned": lambda: RunnableLambda(lambda t: RunnableLambda(_stuck)),
    "pause of a retry": lambda: RunnableLambda(_fails).with_retry(
        exponential_jitter_params={"initial": 60.0}
    ),
}


def _fails(text: str) -> str:
    raise ConnectionError


@pytest.mark.parametrize("way", ["stream", "invoke", "batch", "completed"])
@pytest.mark.parametrize("graph", WAITING)
def test_cancelling_what_waits_for_ever(graph, way):
    """Steps that would never come back are left at once."""
    from laws.kinds import TEXT

    def body(doors: Any) -> None:
        seen = Recorder()
        job = CONSUMERS[way](WAITING[graph](), TEXT, seen.config if way != "batch" else {})

        async def main() -> None:
            task = asyncio.ensure_future(job)
            await asyncio.sleep(0.01)
            assert not task.done()
            task.cancel()
            await asyncio.wait([task], timeout=2)
            assert task.cancelled()
            assert not LEDGER.still_open, LEDGER.still_open
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left

        doors.wait(main())
        if way in ("stream", "invoke"):
            check_events(seen.events)
            assert isinstance(root_end(seen.events), RunCancelled)

    ASYNC.run(body)


def _tidies_slowly(chunks: Any) -> Any:
    """A blocking step: an async run has it in a worker thread, and waits for it."""
    with LEDGER.body("tidies"):
        try:
            yield from chunks
            yield from ["more"] * 1000
        finally:
            time.sleep(0.005)


TIDYING = {
    "row": lambda: RunnablePassthrough() | _tidies_slowly | _relays,
    "parallel before": lambda: RunnableParallel(a=_tidies_slowly, b=_relays) | _relays,
    "parallel after": lambda: (
        RunnablePassthrough() | _tidies_slowly | {"a": _relays, "b": RunnablePassthrough()}
    ),
    "assign after": lambda: (
        RunnablePassthrough() | _tidies_slowly | each(lambda c: {"k": c})
        | RunnablePassthrough.assign(x=_relays, y=RunnablePick("k"))
    ),
    "retry": lambda: RunnableGenerator(_tidies_slowly).with_retry() | _relays,
    "nested": lambda: (
        RunnablePassthrough() | {"p": {"a": _tidies_slowly, "b": _relays}, "q": _relays}
    ),
}  # fmt: skip


async def _relays(chunks: Any) -> Any:
    with LEDGER.body("relays"):
        async for chunk in chunks:
            yield chunk


@pytest.mark.parametrize("again", [None, 0, 1, 2, 5])
@pytest.mark.parametrize("graph", TIDYING)
def test_a_second_cancel_while_the_first_tidies_up(graph, again):
    """The impatient get no less: it is all closed and all reported when the task is done."""

    def body(doors: Any) -> None:
        async def main() -> None:
            seen, begun = Recorder(), asyncio.Event()

            async def consume() -> None:
                async with aclosing(TIDYING[graph]().astream("a", seen.config)) as stream:
                    async for _ in stream:
                        begun.set()

            task = asyncio.ensure_future(consume())
            await begun.wait()
            check(await cancelled(task, again), seen)
            assert task.cancelled()

        for _ in range(4):  # where the thread is just then is chance
            doors.wait(main())

    ASYNC.run(body)


def test_a_timeout_around_a_stream(colour: Colour = ASYNC):
    """`asyncio.timeout` sees its own cancellation come back, and turns it into TimeoutError."""

    def body(doors: Any) -> None:
        async def main() -> None:
            chain = RunnablePassthrough() | _forever
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await _consume(chain.astream("a"))
            assert not LEDGER.still_open

        doors.wait(main())

    colour.run(body)


@pytest.mark.allows_leaks(reason="what `break` leaves behind is what the test is about")
def test_a_stream_left_by_break_is_closed_when_it_is_collected():
    def body(doors: Any) -> None:
        async def main() -> None:
            chain = RunnableGenerator(_forever) | {"a": _forever, "b": RunnablePassthrough()}
            async for _ in chain.astream("a"):
                break
            for _ in range(20):
                await asyncio.sleep(0)
            assert not LEDGER.still_open, LEDGER.still_open
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left

        doors.wait(main())

    ASYNC.run(body)


def test_one_branch_that_fails_cancels_the_others():
    def body(doors: Any) -> None:
        error = ValueError("one")

        async def fails(text: str) -> str:
            raise error

        for graph in (
            RunnablePassthrough() | {"a": _stuck, "b": RunnableLambda(fails)},
            {"x": RunnablePassthrough()}
            | RunnablePassthrough.assign(y=_stuck, z=RunnableLambda(fails)),
        ):
            for way in ("stream", "invoke"):

                async def main(graph: Any = graph, way: str = way) -> None:
                    from laws.kinds import TEXT

                    with pytest.raises(ValueError, match="one") as caught:
                        await CONSUMERS[way](graph, TEXT, {})
                    assert caught.value is error
                    assert not LEDGER.still_open
                    assert asyncio.all_tasks() == {asyncio.current_task()}

                doors.wait(main())

    ASYNC.run(body)
