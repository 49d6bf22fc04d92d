"""Law 7: nothing runs before the first `next`, the input is pulled as it is needed, and a paused
consumer holds each producer at most K chunks ahead."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from headrace.runnables import (
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from laws.colours import COLOURS, END, both_drivers, every_colour
from laws.ledger import LEDGER, Recorder, Source
from laws.registry import ENTRIES
from laws.test_law03_closing import quiet

K = 32  # chunks that a thread may be ahead of its consumer
FAN_K = 3 * 40  # a fan-out: in the consumer's hand, waiting for it, read by the fastest branch
IN_HAND = 4  # chunks that steps of one branch may have in hand beside that

CASES = [
    (e, c) for c in COLOURS for e in ENTRIES if not e.own and (c.asynchronous or not e.async_only)
]
cases = pytest.mark.parametrize(("entry", "colour"), CASES, ids=repr)
flowing = pytest.mark.parametrize(
    ("entry", "colour"), [(e, c) for e, c in CASES if e.flows], ids=repr
)


@cases
def test_nothing_runs_before_the_first_next(entry, colour):
    def body(doors: Any) -> None:
        pieces = entry.kind.pieces(3)
        seen, source = Recorder(), Source(pieces)
        opened = [
            doors.open_transform(entry.make(), source, seen.config),
            doors.open(entry.make(), pieces[0], seen.config),
            doors.open(entry.make(), pieces[0]),
            doors.open_as_completed(entry.make(), [pieces[0]], seen.config),
        ]
        for stream in opened:
            stream.pause(0)
        assert source.pulls == 0
        assert not LEDGER.entered, f"ran before the first next: {LEDGER.entered}"
        assert not seen.events
        for stream in opened:
            stream.close()
        assert source.pulls == 0
        assert not LEDGER.entered, f"closing ran: {LEDGER.entered}"
        assert not seen.events

    colour.run(body)


@flowing
def test_a_paused_consumer_holds_its_producers(entry, colour):
    def body(doors: Any) -> None:
        for observed in (False, True):
            source = Source(entry.kind.endless())
            seen = Recorder()
            stream = doors.open_transform(entry.make(), source, seen.config if observed else None)
            taken = 0
            for more in (3, 50):
                for _ in range(more):
                    stream.next()
                taken += more
                quiet(source, stream)
                # Some chunks of a dict or list give nothing, so up to three in for one out.
                bound = 3 * taken + (FAN_K * entry.fans or K) + IN_HAND
                assert source.pulls <= bound, f"{source.pulls} pulled for {taken} taken"
            stream.close()

    colour.run(body)


ONE_TO_ONE = [(e, c) for e, c in CASES if e.flows and not e.fans and e.kind.name == "text"]


@pytest.mark.parametrize(("entry", "colour"), ONE_TO_ONE, ids=repr)
def test_a_chain_in_a_row_pulls_one_chunk_for_one(entry, colour):
    """Where no thread stands between (blocking code in an async run may be K ahead)."""

    def body(doors: Any) -> None:
        source = Source(entry.kind.endless())
        stream = doors.open_transform(entry.make(), source)
        ahead = 0
        for taken in range(1, 60):
            assert stream.next() is not END
            ahead = max(ahead, source.pulls - taken)
        stream.close()
        blocking = colour.asynchronous and LEDGER.entered.keys() & {"swap", "relay", "loud"}
        assert ahead <= (K + IN_HAND if blocking else 0), f"{ahead} chunks ahead"

    colour.run(body)


@every_colour
def test_a_source_inside_the_chain_is_held_too(colour):
    def numbers(_: Any) -> Any:
        with LEDGER.body("numbers"):
            for number in count():
                made.append(number)
                yield str(number)

    async def anumbers(_: Any) -> Any:
        with LEDGER.body("numbers"):
            for number in count():
                made.append(number)
                yield str(number)

    made: list[int] = []

    def body(doors: Any) -> None:
        for afunc in (anumbers, None):
            made.clear()
            graph = RunnableLambda(numbers, afunc) | RunnableParallel(
                a=RunnablePassthrough(), b=RunnableGenerator(_relay, _arelay)
            )
            stream = doors.open(graph, "x")
            for _ in range(4):
                stream.next()
            stream.pause(0.02)
            assert len(made) <= 4 + FAN_K + 2 * IN_HAND
            before = len(made)
            stream.pause(0.01)
            assert len(made) == before
            stream.close()
            assert len(made) == before

    colour.run(body)


def _relay(chunks: Any) -> Any:
    yield from chunks


async def _arelay(chunks: Any) -> Any:
    async for chunk in chunks:
        yield chunk


def _first(chunks: Any) -> Any:
    for chunk in chunks:
        yield chunk
        return


async def _afirst(chunks: Any) -> Any:
    async for chunk in chunks:
        yield chunk
        return


def _deaf(chunks: Any) -> Any:
    yield "deaf"


async def _adeaf(chunks: Any) -> Any:
    yield "deaf"


@every_colour
@pytest.mark.parametrize("branch", ["first", "deaf"])
@pytest.mark.parametrize("graph", ["parallel", "assign", "nested"])
def test_a_branch_that_does_not_read_its_input_holds_up_nobody(branch, graph, colour):
    early = {
        "first": RunnableGenerator(_first, _afirst),
        "deaf": RunnableGenerator(_deaf, _adeaf),
    }[branch]
    relay = RunnableGenerator(_relay, _arelay)
    pieces: list[Any] = ["ab"] * (5 * K)

    def body(doors: Any) -> None:
        if graph == "assign":
            chunks = doors.transform(
                RunnablePassthrough.assign(z=early), [{"k": piece} for piece in pieces]
            )
            assert "".join(c["k"] for c in chunks if "k" in c) == "ab" * len(pieces)
            return
        fan = RunnableParallel(a=relay, b=early)
        if graph == "nested":
            fan = RunnableParallel(a=relay, b=RunnableParallel(c=early, d=relay))
        chunks = doors.transform(fan, pieces)
        assert "".join(c["a"] for c in chunks if "a" in c) == "ab" * len(pieces)

    colour.run(body)


@both_drivers
def test_what_is_not_needed_any_more_is_not_pulled(colour):
    """A step that ends early ends its stream; the rest of the input stays where it is."""

    def body(doors: Any) -> None:
        source = Source(count())
        chain = RunnableGenerator(_relay, _arelay) | RunnableGenerator(_first, _afirst)
        stream = doors.open_transform(chain, source)
        assert stream.rest() == [0]
        assert source.pulls == 1
        assert not LEDGER.still_open, "a step that ended early left its input open"

    colour.run(body)
