"""What stands between a run and a view: who waits is let go, and nothing is kept that has ended."""

from __future__ import annotations

import asyncio
import threading
from collections import deque

import pytest

from headrace.events import RunStarted
from headrace.runnables import RunnableGenerator, RunnableLambda
from headrace.views import LIMIT, Filter, StreamEvents, Subscription, Typed, watch
from headrace.views import subscription as module
from headrace.views.subscription import Hold


class SomeRun:
    path = name = "run"
    run_type = "chain"


def test_threads_that_wait_at_the_same_moment_are_all_let_go(monkeypatch):
    hold = Hold()
    hold.full = True
    both, real = threading.Barrier(2), threading.Event

    def made_by_both_at_once():
        both.wait(5)
        return real()

    monkeypatch.setattr(module, "Signal", made_by_both_at_once)
    waiting = [threading.Thread(target=hold.wait, args=(SomeRun(),), daemon=True) for _ in range(2)]
    for thread in waiting:
        thread.start()
    waiting[0].join(0.05)
    hold.full = False
    hold._release()
    for thread in waiting:
        thread.join(5)
    assert not any(thread.is_alive() for thread in waiting)


def test_a_thread_whose_waiter_was_lost_looks_again(monkeypatch):
    """As when Ctrl-C strikes the consumer in the middle of letting it go."""
    monkeypatch.setattr(Hold, "_patience", 0.01)
    hold = Hold()
    hold.full = True
    waiting = threading.Thread(target=hold.wait, args=(SomeRun(),), daemon=True)
    waiting.start()
    while not hold._held:
        waiting.join(0.001)
    hold._held.clear()
    hold.full = False
    waiting.join(5)
    assert not waiting.is_alive()


def test_a_waiter_whose_loop_is_closed_is_nobody():
    hold = Hold()
    hold.full = True

    async def cancelled():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hold.room(SomeRun()), 0.01)

    asyncio.run(cancelled())
    assert hold._held
    hold.full = False
    hold._release()
    assert not hold._held


def test_what_is_taken_while_the_run_finds_it_full_does_not_hold_it():
    taken = Subscription(Typed(Filter()), 2)

    class Drained(deque):
        """Empty by the time its length is known."""

        def __len__(self):
            length = super().__len__()
            if length == 4 and not taken.full:
                for _ in range(4):
                    self.popleft()
            return length

    taken.items = Drained()
    for number in range(2):
        taken.on_event(RunStarted(SomeRun(), number, "x"))
    assert not taken.items
    assert not taken.full


def test_leaving_in_a_thread_ends_an_async_part_of_the_run():
    given = []

    async def endless(chunks):
        async for chunk in chunks:
            while len(given) < 100_000:
                given.append(chunk)
                await asyncio.sleep(0)
                yield chunk

    async def count(runnable):
        return len([chunk async for chunk in runnable.astream(1)])

    inner = RunnableGenerator(endless)
    events = RunnableLambda(lambda x: asyncio.run(count(inner))).stream_events(1)
    for _ in range(LIMIT + 10):
        next(events)
    events.close()
    assert len(given) < 3 * LIMIT


def test_a_run_whose_task_is_cancelled_before_it_begins_ends():
    async def body():
        before = asyncio.all_tasks()
        events = RunnableLambda(lambda x: x).astream_events(1)
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        (pump,) = asyncio.all_tasks() - before - {first}
        pump.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(first, 5)

    asyncio.run(body())


def test_nothing_is_kept_of_steps_that_were_never_started():
    def fails(x):
        raise ValueError(x)

    def pieces(chunks):
        yield from chunks

    starved = RunnableLambda(fails) | RunnableGenerator(pieces)

    def several(x):
        for _ in range(5):
            with pytest.raises(ValueError, match="1"):
                list(starved.stream(1))
        return x

    view = StreamEvents(Filter())
    assert list(watch(RunnableLambda(several), 1, None, {}, view))
    assert not view._live
