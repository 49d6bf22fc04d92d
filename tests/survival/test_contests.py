"""Hedges and races: one stream is handed on whole, the others are given up and leave nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import ServerError, Timeout
from headrace.merge import merge
from headrace.resilience import ConcurrencyLimit, limited, race
from headrace.runnables import RunnableLambda, RunnableParallel, each
from laws.colours import ASYNC, SYNC, both_drivers, every_colour
from laws.events import check_events
from laws.ledger import LEDGER, Recorder
from survival.pieces import AGAIN, LONG, WHOLE, WORDS, WRAPS, Service, every_wrap, text

NOW = 0.001  # seconds until a hedge starts


def tagged(name: str, **more: Any) -> Service:
    return Service([f"{name}{n} " for n in range(4)], name=name, **more)


def all_of(name: str) -> str:
    return "".join(f"{name}{n} " for n in range(4))


@settings(max_examples=30)
@given(
    count=st.integers(2, 4),
    cuts=st.lists(st.sampled_from([None, 0, 0, 2, 4]), min_size=4, max_size=4),
    taken=st.one_of(st.none(), st.integers(0, 3)),
    asynchronous=st.booleans(),
)
def test_never_a_chunk_of_two(count, cuts, taken, asynchronous):
    def body(doors: Any) -> None:
        services = [
            tagged("abcd"[n], fails={} if cut is None else {(1, cut): ServerError("abcd"[n])})
            for n, cut in enumerate(cuts[:count])
        ]
        seen, got, failed = Recorder(), [], None
        stream = doors.open(race(*(s.runnable for s in services)), "x", seen.config)
        try:
            for _ in range(taken + 1 if taken is not None else 9):
                got.append(stream.next())  # noqa: PERF401 - what came counts
        except ServerError as error:
            failed = error
        stream.close()
        words = [chunk for chunk in got if isinstance(chunk, str)]
        assert len({word[0] for word in words}) <= 1
        if words:
            assert all_of(words[0][0]).startswith(text(words))
            assert failed is None or str(failed) == words[0][0]
        else:
            assert all(cut == 0 for cut in cuts[:count])
            assert str(failed) == "a", "the failure of the first is raised"
            assert len(failed.__notes__) >= count - 1  # type: ignore[union-attr]
        check_events(seen.events)
        assert not LEDGER.still_open

    (ASYNC if asynchronous else SYNC).run(body)


@every_colour
@pytest.mark.parametrize("place", range(4))
def test_the_hedge_wins_and_the_first_is_closed(colour, place):
    """The first one waits before its first chunk; the second one speaks."""

    def body(doors: Any) -> None:
        first, second, seen = tagged("a", blocks=[(1, 0)]), tagged("b"), Recorder()
        chain = first.runnable.with_hedge(second.runnable, after=NOW)
        stream = doors.open(chain, "x", seen.config)
        got = [stream.next() for _ in range(place + 1)]
        stream.close()
        assert {word[0] for word in got} in ({"a"}, {"b"})  # a slow machine may let the first win
        assert not LEDGER.still_open
        check_events(seen.events)
        assert all_of(got[0][0]).startswith(text(got))

    colour.run(body)


@both_drivers
def test_a_hedge_of_itself(colour):
    def body(doors: Any) -> None:
        service = Service(blocks=[(1, 0)], tagged=True)
        got = doors.stream(service.runnable.with_hedge(after=NOW), "x")
        assert len({word[0] for word in got}) == 1
        assert len(got) == len(WORDS)

    colour.run(body)


@every_colour
def test_a_first_that_fails_starts_the_second_at_once(colour):
    def body(doors: Any) -> None:
        first, second = tagged("a", fails={(1, 0): ServerError("a")}), tagged("b")
        chain = first.runnable.with_hedge(second.runnable, after=LONG)
        assert text(doors.stream(chain, "x")) == all_of("b")
        assert second.calls == 1
        assert doors.invoke(chain, "x") == all_of("a")
        assert second.calls == 1

    colour.run(body)


@every_colour
def test_both_fail(colour):
    def body(doors: Any) -> None:
        for door in ("invoke", "stream"):
            error = ServerError("a")
            first = tagged("a", fails={(1, 0): error})
            second = tagged("b", fails={(1, 0): KeyError("b")})
            with pytest.raises(ServerError) as caught:
                getattr(doors, door)(first.runnable.with_hedge(second.runnable, after=LONG), "x")
            assert caught.value is error
            assert any("KeyError" in note for note in error.__notes__)

    colour.run(body)


@every_colour
def test_an_empty_stream_wins_with_that(colour):
    def body(doors: Any) -> None:
        empty, other = Service([]), tagged("b", blocks=[(1, 0)])
        seen = Recorder()
        assert doors.stream(race(empty.runnable, other.runnable), "x", seen.config) == []
        check_events(seen.events)
        assert doors.stream(empty.runnable.with_hedge(other.runnable, after=LONG), "x") == []

    colour.run(body)


@every_wrap
@every_colour
def test_a_race_of_what_is_wrapped(colour, wrap):
    def body(doors: Any) -> None:
        one, two = tagged("a"), tagged("b")
        chain = race(WRAPS[wrap](one.runnable), WRAPS[wrap](two.runnable)) | each(str.upper)
        for config in ({}, {"max_concurrency": 1}):
            seen = Recorder()
            got = text(doors.stream(chain, "x", {**config, **seen.config}))
            assert got in (all_of("a").upper(), all_of("b").upper())
            check_events(seen.events)
        out = doors.batch(chain, ["x"] * 3, {"max_concurrency": 1})
        assert set(out) <= {all_of("a").upper(), all_of("b").upper()}
        assert len(out) == 3

    colour.run(body)


@every_colour
@pytest.mark.parametrize("limit", [None, 1, 2])
def test_hedges_in_hedges_and_races(colour, limit):
    """Each that races needs a permit: with few of them, what blocks for ever keeps its own."""

    def body(doors: Any) -> None:
        def slow(name: str) -> Any:
            return tagged(name, blocks=[] if limit else [(1, 0), (2, 0), (3, 0)]).runnable

        config = {"max_concurrency": limit}
        hedged = slow("a").with_hedge(
            slow("b").with_hedge(tagged("q").runnable, after=NOW), after=NOW
        )
        chain = race(hedged, slow("c")).with_timeout(total=LONG)
        assert text(doors.stream(chain, "v", config)) in [all_of(name) for name in "abcq"]
        both = doors.invoke(RunnableParallel(x=chain, y=hedged), "v", config)
        assert {whole == all_of(whole[0]) for whole in both.values()} == {True}

    colour.run(body)


@every_colour
def test_losers_give_their_permits_back(colour):
    def body(doors: Any) -> None:
        limit = ConcurrencyLimit(2)
        for _ in range(3):
            first, second = tagged("a", blocks=[(1, 0)]), tagged("b")
            chain = limited(first.runnable, limit).with_hedge(
                limited(second.runnable, limit), after=NOW
            )
            assert doors.invoke(chain, "x") in (all_of("a"), all_of("b"))
            assert limit.busy == 0

    colour.run(body)


@every_colour
def test_each_gets_the_whole_input(colour):
    def body(doors: Any) -> None:
        one, two = tagged("a", fails={(1, 0): ServerError("a")}), tagged("b")
        assert text(doors.transform(race(one.runnable, two.runnable), ["x", "y"])) == all_of("b")
        assert "".join(two.inputs[0]) == "xy"
        assert "".join(one.inputs[0]) == "xy"

    colour.run(body)


# ---- limits --------------------------------------------------------------------------------------

# Seconds of real time: what is blocked exceeds it, and nothing else does on a busy machine.
LIMIT = 0.04
LIMITS = [("first_chunk", 0), ("idle", 1), ("idle", 3), ("idle", 4), ("total", 0), ("total", 2)]


@every_colour
@pytest.mark.parametrize(("which", "at"), LIMITS)
@pytest.mark.parametrize("door", ["stream", "invoke"])
def test_the_error_names_the_limit_and_what_had_come(colour, which, at, door):
    def body(doors: Any) -> None:
        service, seen = Service(blocks=[(1, at)]), Recorder()
        chain = service.runnable.with_timeout(**{which: LIMIT})
        with pytest.raises(Timeout) as caught:
            getattr(doors, door)(chain, "x", seen.config)
        assert (caught.value.which, caught.value.seconds) == (which, LIMIT)
        assert caught.value.partial == (text(WORDS[:at]) if at else None)
        assert not LEDGER.still_open
        check_events(seen.events)

    colour.run(body)


@every_colour
@pytest.mark.parametrize("at", [0, 2, 4])
@pytest.mark.parametrize("again", ["restart", "resets", "fallbacks-restart"])
def test_a_stalled_stream_is_started_over(colour, again, at):
    def body(doors: Any) -> None:
        service, seen = Service(blocks=[(1, at)]), Recorder()
        timed = service.runnable.with_timeout(first_chunk=LIMIT, idle=LIMIT)
        chain = {
            "restart": lambda: timed.with_retry(when="restart", **AGAIN),
            "resets": lambda: timed.with_retry(when="restart", resets=True, **AGAIN),
            "fallbacks-restart": lambda: timed.with_fallbacks([Service().runnable], when="restart"),
        }[again]()
        assert merge(doors.stream(chain, "x", seen.config)) == WHOLE
        check_events(seen.events)

    colour.run(body)


@every_wrap
@every_colour
def test_a_limit_around_the_others_closes_them(colour, wrap):
    def body(doors: Any) -> None:
        service, seen = Service(blocks=[(n, 2) for n in range(1, 9)]), Recorder()
        chain = WRAPS[wrap](service.runnable).with_timeout(total=LIMIT)
        with pytest.raises(Timeout) as caught:
            doors.stream(chain, "x", seen.config)
        assert caught.value.which == "total"
        assert not LEDGER.still_open
        check_events(seen.events)

    colour.run(body)


@every_wrap
def test_cancelled_where_it_waits(wrap):
    """A task that is cancelled in the middle of a pull: closed, one terminal event, cancelled."""
    for at in range(len(WORDS) + 1):
        service, seen = Service(blocks=[(1, at)]), Recorder()
        chain = WRAPS[wrap](service.runnable)

        async def consume(chain: Any = chain, seen: Recorder = seen) -> None:
            async for _ in chain.astream("x", seen.config):
                pass

        async def main(service: Service = service, consume: Any = consume, at: int = at) -> None:
            task = asyncio.create_task(consume())
            for _ in range(200):
                await asyncio.sleep(0)
                if service.calls and service.given >= at:
                    break
            for _ in range(5):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not LEDGER.still_open
            assert asyncio.all_tasks() == {asyncio.current_task()}

        LEDGER.reset()
        asyncio.run(main())
        assert service.calls == 1
        check_events(seen.events)


@every_wrap
def test_cancelled_while_a_whole_answer_is_awaited(wrap):
    service, seen = Service(blocks=[(1, 2)]), Recorder()
    chain = WRAPS[wrap](service.runnable)

    async def main() -> None:
        task = asyncio.create_task(chain.ainvoke("x", seen.config))
        for _ in range(50):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not LEDGER.still_open
        assert asyncio.all_tasks() == {asyncio.current_task()}

    LEDGER.reset()
    asyncio.run(main())
    assert service.calls == 1
    check_events(seen.events)


@every_wrap
def test_a_timeout_of_asyncios_own(wrap):
    service = Service(blocks=[(n, 2) for n in range(1, 9)])

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await WRAPS[wrap](service.runnable).ainvoke("x")
        assert not LEDGER.still_open

    LEDGER.reset()
    asyncio.run(main())


@both_drivers
def test_the_readers_own_time_is_not_idle(colour):
    """A virtual reader: it waits longer than `idle` between two chunks."""

    def body(doors: Any) -> None:
        chain = Service().runnable.with_timeout(idle=0.02, first_chunk=LONG)
        stream = doors.open(chain, "x")
        got = [stream.next()]
        stream.pause(0.03)
        assert text([*got, *stream.rest()]) == WHOLE

    colour.run(body)


@every_colour
def test_a_function_has_its_answer_as_its_first_chunk(colour):
    def body(doors: Any) -> None:
        import time

        chain = RunnableLambda(lambda value: time.sleep(0.03)).with_timeout(first_chunk=0.005)
        for door in (doors.invoke, doors.stream):
            with pytest.raises(Timeout) as caught:
                door(chain, "x")
            assert caught.value.which == "first_chunk"
            assert caught.value.partial is None

    colour.run(body)
