"""A reader that waits is not slow: it has its turn before it loses anything, at any speed."""

from __future__ import annotations

import asyncio
import threading

import pytest

from handle.handles import END, Scripted, opened
from headrace.callbacks import adispatch_custom_event, dispatch_custom_event
from headrace.errors import SlowConsumerError
from headrace.events import CustomEvent
from headrace.language_models import FakeListChatModel
from headrace.runnables import RunnableLambda
from headrace.views.hub import SyncHub
from laws.colours import every_colour

LOSSY = pytest.mark.parametrize("policy", ["drop_oldest", "disconnect"])


@every_colour
@LOSSY
@pytest.mark.parametrize("limit", [1, 7, 256])
def test_a_plain_loop_gets_everything_from_a_run_that_never_waits(colour, policy, limit):
    def body(doors):
        with opened(doors, FakeListChatModel(responses=["x" * 3000])) as handle:
            text = handle.run.text.with_policy(policy, limit)
            assert "".join(handle.read(text)) == "x" * 3000
            assert (text.dropped, text.disconnected, text.received) == (0, False, 3000)

    colour.run(body)


@every_colour
@LOSSY
def test_several_items_at_once_do_not_exceed_it(colour, policy):
    def body(doors):
        with opened(doors, FakeListChatModel(responses=["x" * 500])) as handle:
            events = handle.run.events(policy=policy, limit=1)
            kinds = [event.kind for event in handle.read(events)]
            assert kinds.count("chunk") == kinds.count("block-delta") == 500
            assert (events.dropped, kinds[-1]) == (0, "end")

    colour.run(body)


@LOSSY
def test_events_of_a_step_that_never_yields_wait_for_the_reader(policy):
    def reports(text):
        for number in range(2000):
            dispatch_custom_event("at", number)
        return text

    async def areports(text):
        for number in range(2000):
            await adispatch_custom_event("at", number)
        return text

    async def main():
        async with RunnableLambda(reports, areports).open("x") as run:
            events = run.events(policy=policy, limit=10)
            return [event.data async for event in events if isinstance(event, CustomEvent)]

    assert asyncio.run(main()) == list(range(2000))


@LOSSY
def test_a_task_that_reads_an_item_each_time_it_is_its_turn_keeps_up(policy):
    async def main():
        async with FakeListChatModel(responses=["x" * 500]).open("q") as run:
            text, came = run.text.with_policy(policy, 4), 0
            async for _ in text:
                came += 1
                await asyncio.sleep(0)
            return came, text.dropped

    assert asyncio.run(main()) == (500, 0)


@every_colour
@LOSSY
def test_one_that_has_stopped_reading_holds_nobody_up(colour, policy):
    """It keeps little more than its limit, whatever it has missed."""

    def body(doors):
        with opened(doors, Scripted(chunks=["x"] * 5000)) as handle:
            slow = handle.run.text.with_policy(policy, 16)
            stalled = handle.iterate(slow)
            assert handle.next(stalled) == "x"
            assert handle.get(handle.run.text) == "x" * 5000
            assert slow.depth <= 16
            if policy == "disconnect":
                with pytest.raises(SlowConsumerError):
                    handle.rest(stalled)
            else:
                assert len(handle.rest(stalled)) == 16
            assert handle.next(stalled) is END

    colour.run(body)


@LOSSY
def test_a_wait_that_was_given_up_is_no_wait(policy):
    async def main():
        model = Scripted(chunks=["x"] * 100, gated=True)
        async with model.open("q") as run:
            slow = run.text.with_policy(policy, 8)
            iterator = aiter(slow)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(iterator), 0.01)
            model.go(100)
            await run.output
            return slow.depth, slow.disconnected

    assert asyncio.run(main()) == ((0, True) if policy == "disconnect" else (8, False))


class Reading:
    """What a hub asks of a reader to which it hands over."""

    turn, lags = None, False


def test_a_thread_waits_for_a_turn_and_no_longer_than_is_agreed():
    hub, quick, slow = SyncHub(RunnableLambda(str)), Reading(), Reading()
    with hub.lock:
        hub.hand_over(quick)
        hub.hand_over(slow)
        hub.hand_over(slow)
    assert hub.full
    quick.turn.set()
    run = threading.Thread(target=hub.wait, args=(Reading(),))
    run.start()
    run.join(5)
    assert not run.is_alive()
    assert (quick.lags, slow.lags, slow.turn, hub.full) == (False, True, None, False)
