"""Slow consumers, each with its own policy; what holds the run and what does not."""

from __future__ import annotations

import asyncio
import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handle.handles import END, Scripted, opened
from headrace.errors import ConfigError, HeadraceError, SlowConsumerError
from headrace.events import EVENTS, RunChunk, RunEnded, RunStarted
from headrace.merge import merge
from headrace.output_parsers import StrOutputParser
from laws.colours import every_colour

PIECES = [f"{number:04d} " for number in range(1000)]
WHOLE = "".join(PIECES)


@every_colour
def test_block_holds_the_run(colour):
    def body(doors):
        model = Scripted(chunks=PIECES)
        with opened(doors, model | StrOutputParser()) as handle:
            slow = handle.run.text.with_policy("block", limit=10)
            text = handle.iterate(slow)
            got = [handle.next(text)]
            for _ in range(50):
                got.append(handle.next(text))
                assert model._given <= len(got) + 10 + 2
                assert slow.depth <= 11
            assert "".join(got + handle.rest(text)) == WHOLE
            assert (slow.dropped, slow.coalesced, slow.disconnected) == (0, 0, False)
            assert slow.received == 1000

    colour.run(body)


@every_colour
@pytest.mark.parametrize("policy", ["drop_oldest", "coalesce", "disconnect"])
def test_the_others_never_hold_it(colour, policy):
    def body(doors):
        model = Scripted(chunks=PIECES, gated=True)
        with opened(doors, model | StrOutputParser()) as handle:
            slow = handle.run.text.with_policy(policy, limit=64)
            stalled = handle.iterate(slow)
            model.go()
            first = handle.next(stalled)
            model.go(len(PIECES))
            assert "".join(handle.read(handle.run.text)) == WHOLE  # the whole run, meanwhile
            if policy == "disconnect":
                assert slow.disconnected
                with pytest.raises(SlowConsumerError, match="64 items") as caught:
                    handle.next(stalled)
                assert isinstance(caught.value, (HeadraceError, RuntimeError))
                assert handle.next(stalled) is END
                assert (slow.depth, slow.coalesced) == (0, 0)
                return
            rest = handle.rest(stalled)
            assert len(rest) <= 64
            if policy == "coalesce":
                assert first + "".join(rest) == WHOLE
                assert slow.coalesced == slow.received - 1 - len(rest)
                assert slow.dropped == 0
            else:
                assert slow.dropped + 1 + len(rest) == slow.received
                assert WHOLE.endswith("".join(rest))
                assert slow.coalesced == 0

    colour.run(body)


@every_colour
def test_a_slow_screen_never_stalls_a_tracer(colour):
    def body(doors):
        model = Scripted(chunks=PIECES)
        with opened(doors, model | StrOutputParser()) as handle:
            screen = handle.run.text.with_policy("coalesce")
            tracer = handle.run.events(limit=16)
            shown = handle.iterate(screen)
            seen = [handle.next(shown)]
            events = handle.read(tracer)
            assert [event.kind for event in events].count("end") == 3
            # The rest waits as one piece; where the reader woke up late, all came as the first.
            assert (screen.depth <= 1, screen.coalesced > 0) == (True, True)
            seen += handle.rest(shown)
            assert len(seen) <= 2
            assert "".join(seen) == WHOLE

    colour.run(body)


@every_colour
def test_coalesced_events_join_per_run_and_keep_their_order(colour):
    def body(doors):
        chain = Scripted(chunks=PIECES) | StrOutputParser()
        with opened(doors, chain) as handle:
            slow = handle.run.events(policy="coalesce")
            iterator = handle.iterate(slow)
            first = handle.next(iterator)
            assert isinstance(first, RunStarted)
            handle.output()
            events = [first, *handle.rest(iterator)]
            assert slow.coalesced > 2000
            numbers = [event.seq for event in events]
            assert numbers == sorted(set(numbers))
            for path in {event.path for event in events}:
                own = [event for event in events if event.path == path]
                kinds = [event.kind for event in own if not event.kind.startswith("block")]
                assert (kinds[0], kinds[-1]) == ("start", "end")
                output = merge([event.chunk for event in own if isinstance(event, RunChunk)])
                ended = next(event for event in own if isinstance(event, RunEnded))
                assert getattr(output, "content", output) == getattr(
                    ended.output, "content", ended.output
                )
            model = [event for event in events if event.kind.startswith("block")]
            assert [event.kind for event in model][0 :: len(model) - 1] == [
                "block-start",
                "block-end",
            ]
            assert "".join(e.block["text"] for e in model if e.kind == "block-delta") == WHOLE

    colour.run(body)


@every_colour
def test_events_that_are_not_read_hold_nobody_up(colour):
    def body(doors):
        chain = Scripted(chunks=PIECES) | StrOutputParser()
        with opened(doors, chain) as handle:
            events = handle.run.events(limit=10)
            assert handle.get(handle.run.text) == WHOLE
            assert events.depth < 30
            assert events.dropped == 0
            kinds = [event.kind for event in handle.read(events)]
            assert kinds.count("start") == kinds.count("end") == 3

    colour.run(body)


@pytest.mark.parametrize("given_", [("drop_newest", None), ("block", 0), ("coalesce", -1)])
def test_a_policy_that_cannot_be_is_refused(given_):
    with Scripted(chunks=["a"]).open("x") as run, pytest.raises(ConfigError, match="give"):
        run.text.with_policy(*given_)


@every_colour
def test_a_policy_given_to_events_afterwards(colour):
    def body(doors):
        with opened(doors, Scripted(chunks=PIECES)) as handle:
            plain = handle.run.events()
            few = plain.with_policy("drop_oldest", limit=5)
            handle.output()
            events = handle.get(few)
            assert (len(events), events[-1].kind, few.coalesced) == (5, "end", 0)
            assert few.dropped == few.received - 5
            assert plain.received == 0

    colour.run(body)


class Breaks:
    """A view that fails at the third event."""

    def __init__(self):
        self.count = 0

    def wants(self, run):
        return EVENTS

    def feed(self, event):
        self.count += 1
        if self.count == 3:
            raise LookupError("broken view")
        return (event.kind,)


@every_colour
def test_a_view_that_fails_is_its_own_consumers_affair(colour):
    def body(doors):
        with opened(doors, Scripted(chunks=PIECES)) as handle:
            broken, events = handle.run.subscribe(Breaks()), handle.run.events(blocks=False)
            assert handle.get(handle.run.text) == WHOLE
            kinds = handle.iterate(broken)
            assert [handle.next(kinds), handle.next(kinds)] == ["start", "chunk"]
            with pytest.raises(LookupError, match="broken view"):
                handle.next(kinds)
            assert _text("events", handle.read(events)) == WHOLE

    colour.run(body)


# ---- any consumers, at any pace ---------------------------------------------------------------

consumer = st.tuples(
    st.sampled_from(["block", "drop_oldest", "coalesce", "disconnect"]),
    st.integers(1, 20),  # limit
    st.integers(0, 5),  # how many others may go on before each read
    st.sampled_from(["text", "chunks", "events"]),
)


def _text(kind, items):
    if kind == "text":
        return "".join(items)
    if kind == "chunks":
        return "".join(item.content for item in items)
    return "".join(e.chunk.content for e in items if isinstance(e, RunChunk))


def _judge(kind, policy, projection, items, error, whole):
    """Whatever came was taken, joined or dropped; what was not dropped adds up to the whole."""
    assert len(items) + projection.coalesced + projection.dropped == projection.received
    assert projection.depth == 0
    assert (error is not None) == projection.disconnected
    if policy in ("block", "coalesce"):
        assert (error, projection.dropped) == (None, 0)
    if projection.dropped == 0:
        assert _text(kind, items) == whole


def _projected(run, kind, policy, limit):
    if kind == "events":
        return run.events(policy=policy, limit=limit, blocks=False)
    return getattr(run, kind).with_policy(policy, limit)


@given(st.lists(consumer, min_size=1, max_size=5), st.lists(st.text(max_size=3), max_size=80))
def test_any_consumers_at_any_pace_async(consumers, pieces):
    async def read(projection, lag, out):
        try:
            async for item in projection:
                out.append(item)
                for _ in range(lag):
                    await asyncio.sleep(0)
        except SlowConsumerError as error:
            return error
        return None

    async def main():
        model = Scripted(chunks=[*pieces, "."])
        async with model.open("x") as run:
            views = [_projected(run, kind, policy, limit) for policy, limit, _, kind in consumers]
            outs = [[] for _ in consumers]
            reading = [read(v, c[2], o) for v, c, o in zip(views, consumers, outs, strict=True)]
            errors = await asyncio.gather(*reading)
            whole = (await run.output).content
            assert await run.text == whole == "".join(pieces) + "."
        for (policy, _, _, kind), view, out, error in zip(
            consumers, views, outs, errors, strict=True
        ):
            _judge(kind, policy, view, out, error, whole)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


@given(
    st.lists(consumer, min_size=1, max_size=4),
    st.lists(st.text(max_size=3), max_size=60),
    st.randoms(use_true_random=False),
)
def test_any_consumers_at_any_pace_in_threads(consumers, pieces, chance: random.Random):
    model = Scripted(chunks=[*pieces, "."])
    outcomes = [None] * len(consumers)
    paces = [chance.random() for _ in consumers]

    def read(number, projection):
        out, error, turn = [], None, threading.Event()
        try:
            for item in projection:
                out.append(item)
                if paces[number] < 0.5:
                    turn.wait(0.00001)  # lets the others run
        except SlowConsumerError as caught:
            error = caught
        outcomes[number] = (out, error)

    with model.open("x") as run:
        views = [_projected(run, kind, policy, limit) for policy, limit, _, kind in consumers]
        threads = [threading.Thread(target=read, args=pair) for pair in enumerate(views)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        whole = run.output.content
        assert run.text.get() == whole == "".join(pieces) + "."
    for (policy, _, _, kind), view, (out, error) in zip(consumers, views, outcomes, strict=True):
        _judge(kind, policy, view, out, error, whole)
