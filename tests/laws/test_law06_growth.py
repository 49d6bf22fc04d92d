"""Law 6 by counts: twice the chunks, at most 2.2 times the calls, events, sums and memory."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest

from headrace.runnables import (
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from laws.colours import COLOURS, both_drivers
from laws.counted import LAW, counted_calls, growth
from laws.ledger import Recorder, Source
from laws.registry import ENTRIES
from laws.registry_components import JSON

N = 40

CASES = [
    (e, c)
    for c in COLOURS[:2]
    for e in ENTRIES
    if not e.own and (c.asynchronous or not e.async_only) and len(e.kind.pieces(2)) == 2
]


@pytest.mark.parametrize(("entry", "colour"), CASES, ids=repr)
def test_calls_and_events_grow_with_the_chunks(entry, colour):
    def body(doors: Any) -> None:
        for observed in (False, True):
            events: dict[int, int] = {}

            def calls(n: int, observed: bool = observed, events: Any = events) -> int:
                seen = Recorder()
                with counted_calls() as counter:
                    doors.transform(
                        entry.make(), entry.kind.pieces(n), seen.config if observed else None
                    )
                events[n] = len(seen.events)
                return counter.total

            calls(2)  # what is made once per process is made now
            # A growing JSON list is kept in another form from 256 items on, and up to about a
            # hundred chunks of a fan-out are handed on together.
            n = 300 if entry.kind is JSON else 130 if entry.fans else N
            # Threads meet more or less often, and the loser of a race tells more or fewer chunks
            # before it is closed, so where there are some a count may be off by chance.
            factors = []
            while not factors or (factors[-1] > LAW and len(factors) < (4 if entry.fans else 3)):
                calling = growth(calls, n)
                telling = growth(events.__getitem__, n) if observed else 0.0
                factors.append(max(calling, telling))
            assert min(factors) <= LAW, factors

    colour.run(body)


class Sum:
    """A chunk that counts how often it is added up, and how much is copied by that."""

    additions = 0
    copied = 0

    def __init__(self, size: int = 1) -> None:
        self.size = size

    def __add__(self, other: Sum) -> Sum:
        Sum.additions += 1
        Sum.copied += self.size + other.size
        return Sum(self.size + other.size)

    @classmethod
    def reset(cls) -> None:
        cls.additions = cls.copied = 0


class LinearSum(Sum):
    """The same, with a way to add up many at once."""

    merges = 0

    @classmethod
    def __headrace_merge__(cls, chunks: Any) -> LinearSum:
        cls.merges += 1
        Sum.copied += sum(chunk.size for chunk in chunks)
        return cls(sum(chunk.size for chunk in chunks))


def _relay(chunks: Any) -> Any:
    yield from chunks


async def _arelay(chunks: Any) -> Any:
    async for chunk in chunks:
        yield chunk


def relay() -> Any:
    return RunnableGenerator(_relay, _arelay)


STREAMS = {
    "row": lambda: relay() | RunnablePassthrough() | relay(),
    "fan": lambda: relay() | RunnableParallel(a=relay(), b=RunnablePassthrough()),
    "bound": lambda: relay().with_config(tags=["t"]) | relay().bind(),
    "retry": lambda: relay().with_retry(),
}


@both_drivers
@pytest.mark.parametrize("graph", STREAMS)
def test_nothing_is_added_up_where_nobody_asks(graph, colour):
    def body(doors: Any) -> None:
        Sum.reset()
        LinearSum.merges = 0
        for kind in (Sum, LinearSum):
            chunks = doors.transform(STREAMS[graph](), [kind() for _ in range(N)])
            assert len(chunks) >= N
        assert Sum.additions == 0
        assert LinearSum.merges == 0

    colour.run(body)


@both_drivers
@pytest.mark.parametrize("graph", STREAMS)
def test_a_barrier_adds_up_once(graph, colour):
    """`n - 1` additions for n chunks, or one merge where the chunks know how."""

    def body(doors: Any) -> None:
        waits = RunnableLambda(lambda total: total, name="waits")
        branches = 2 if graph == "fan" else 1
        Sum.reset()
        doors.transform(STREAMS[graph]() | waits, [Sum() for _ in range(N)])
        assert Sum.additions == branches * (N - 1)
        LinearSum.merges = 0
        Sum.reset()
        doors.transform(STREAMS[graph]() | waits, [LinearSum() for _ in range(N)])
        assert LinearSum.merges == branches
        assert Sum.copied == branches * N

    colour.run(body)


@both_drivers
@pytest.mark.parametrize("graph", STREAMS)
def test_observing_copies_in_proportion(graph, colour):
    """Each observed run adds up its own chunks once, and its input at most once."""

    def body(doors: Any) -> None:
        Sum.reset()
        LinearSum.merges = 0
        seen = Recorder()
        doors.transform(STREAMS[graph](), [LinearSum() for _ in range(N)], seen.config)
        runs = len({event.run.id for event in seen.events})
        fan = 2 if graph == "fan" else 1
        assert Sum.additions == 0
        assert Sum.copied <= 2 * runs * fan * N

    colour.run(body)


@both_drivers
@pytest.mark.parametrize("graph", STREAMS)
def test_a_stream_that_is_consumed_keeps_nothing(graph, colour):
    """Memory at its peak does not grow with the number of chunks when they are let go."""

    def body(doors: Any) -> None:
        def peak(n: int) -> int:
            source = Source(str(number) * 50 for number in range(n))
            stream = doors.open_transform(STREAMS[graph](), source)
            gc.collect()
            tracemalloc.start()
            while isinstance(stream.next(), (str, dict)):
                pass
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return most

        peak(20)
        assert peak(400) <= peak(100) + 30_000

    colour.run(body)


@both_drivers
def test_memory_of_a_whole_value_grows_with_it(colour):
    def body(doors: Any) -> None:
        def peak(n: int) -> int:
            chain = relay() | RunnableParallel(a=relay(), b=RunnablePassthrough()) | (lambda d: d)
            pieces = ["x" * 40] * n
            gc.collect()
            tracemalloc.start()
            doors.transform(chain, pieces)
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return most

        peak(10)
        assert growth(lambda n: peak(4 * n), N) <= LAW

    colour.run(body)
