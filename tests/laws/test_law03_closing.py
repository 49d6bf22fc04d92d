"""Law 3: leaving a stream at any chunk closes everything upstream, before control returns.

Every `finally` of user code has run, nothing more was pulled, no task and no thread is left, and
each run that started has reported exactly one terminal event.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import runnables
from headrace.events import RunCancelled, RunEnded
from headrace.runnables import RunnableGenerator, RunnableLambda, RunnablePassthrough
from laws.colours import COLOURS, END, SYNC, both_drivers, every_colour
from laws.effort import examples
from laws.events import check_events, root_end
from laws.kinds import texts
from laws.ledger import LEDGER, Recorder, Source
from laws.programs import build, output, trees
from laws.registry import ENTRIES

# A user's own doors called directly pull the source themselves: what they leave open is theirs.
CASES = [
    (e, c) for c in COLOURS for e in ENTRIES if not e.own and (c.asynchronous or not e.async_only)
]
cases = pytest.mark.parametrize(("entry", "colour"), CASES, ids=repr)
endless_cases = pytest.mark.parametrize(
    ("entry", "colour"), [(e, c) for e, c in CASES if e.flows], ids=repr
)
PIECES = 4


def quiet(source: Source, stream: Any) -> None:
    """Wait until branches that work ahead have reached their bound: no pull for a while."""
    deadline = time.monotonic() + 2.0
    before = -1
    while before != source.pulls:
        assert time.monotonic() < deadline, "a paused consumer's producer goes on pulling"
        before = source.pulls
        stream.pause(0.004)


def left(stream: Any, source: Source, seen: Recorder | None) -> None:
    """Close, and look at what is left at that very moment."""
    stream.close()
    assert not LEDGER.still_open, f"open when close() returned: {LEDGER.still_open}"
    pulled = source.pulls
    assert source.pulled_while_leaving == 0
    if seen is not None and seen.events:
        check_events(seen.events)
    stream.pause(0)
    assert source.pulls == pulled
    assert stream.next() is END, "a closed stream gives nothing"


@cases
def test_closing_after_each_chunk(entry, colour):
    def body(doors: Any) -> None:
        whole = doors.transform(entry.make(), entry.kind.pieces(PIECES))
        for taken in range(len(whole) + 1):
            for observed in (False, True):
                seen = Recorder() if observed else None
                source = Source(entry.kind.pieces(PIECES))
                config = seen.config if seen else None
                stream = doors.open_transform(entry.make(), source, config)
                for _ in range(taken):
                    assert stream.next() is not END
                if entry.fans:
                    quiet(source, stream)
                left(stream, source, seen)
                if seen is None:
                    continue
                if taken == 0:
                    assert not seen.events, "something ran before the first next"
                elif taken < len(whole):
                    end = root_end(seen.events)
                    assert isinstance(end, RunCancelled)
                    if not entry.fans:
                        assert entry.view(end.partial) == entry.merged(whole[:taken])

    colour.run(body)


@endless_cases
@pytest.mark.parametrize("taken", [1, 2, 40])
def test_closing_an_endless_stream(entry, colour, taken):
    def body(doors: Any) -> None:
        seen = Recorder()
        source = Source(entry.kind.endless())
        stream = doors.open_transform(entry.make(), source, seen.config if taken == 2 else None)
        for _ in range(taken):
            assert stream.next() is not END
        if entry.fans:
            quiet(source, stream)
        left(stream, source, seen)
        if taken == 2:
            assert isinstance(root_end(seen.events), RunCancelled)

    colour.run(body)


@endless_cases
def test_closing_at_once_while_branches_are_at_work(entry, colour):
    """Without waiting for them to reach their bound: what is left is still nothing."""

    def body(doors: Any) -> None:
        source = Source(entry.kind.endless())
        stream = doors.open_transform(entry.make(), source)
        stream.next()
        stream.close()
        assert not LEDGER.still_open, f"open when close() returned: {LEDGER.still_open}"
        pulled = source.pulls
        stream.pause(0.002)
        assert source.pulls == pulled

    colour.run(body)


@both_drivers
@examples(40)
@given(tree=trees(), text=texts, taken=st.integers(0, 9), observed=st.booleans())
def test_closing_programs_at_any_chunk(colour, tree, text, taken, observed):
    expected = output(tree, text)

    def body(doors: Any) -> None:
        seen = Recorder()
        stream = doors.open(build(tree, runnables), text, seen.config if observed else None)
        chunks = [stream.next() for _ in range(taken)]
        stream.close()
        assert not LEDGER.still_open, f"open when close() returned: {LEDGER.still_open}"
        got = [chunk for chunk in chunks if chunk is not END]
        assert expected.startswith("".join(got))
        if observed and taken:
            check_events(seen.events)
            end = root_end(seen.events)
            assert isinstance(end, RunEnded if END in chunks else RunCancelled)
            if isinstance(end, RunCancelled):
                assert end.partial == "".join(got)

    colour.run(body)


@every_colour
def test_closing_twice_and_after_the_end_does_nothing_more(colour):
    def body(doors: Any) -> None:
        seen = Recorder()
        stream = doors.open(RunnableGenerator(_relay, _arelay), "a", seen.config)
        assert stream.rest() == ["a"]
        stream.close()
        stream.close()
        check_events(seen.events)
        assert isinstance(root_end(seen.events), RunEnded)

    colour.run(body)


def _relay(chunks: Any) -> Any:
    with LEDGER.body("relay"):
        yield from chunks


async def _arelay(chunks: Any) -> Any:
    with LEDGER.body("arelay"):
        async for chunk in chunks:
            yield chunk


def test_dropping_a_sync_stream_closes_it():
    def body(doors: Any) -> None:
        for graph in (
            RunnableGenerator(_relay) | RunnableGenerator(_relay),
            RunnablePassthrough() | {"a": RunnableGenerator(_relay), "b": RunnablePassthrough()},
            RunnableLambda(lambda x: x) | {"a": RunnableGenerator(_relay), "b": lambda x: x},
        ):
            source = Source("abc" * 50)
            stream = graph.transform(source.sync())
            next(stream)
            del stream
            assert not LEDGER.still_open, f"{graph}: {LEDGER.still_open}"

    SYNC.run(body)


@every_colour
def test_closing_runs_inner_finallys_before_outer_ones(colour):
    """Last opened, first closed: a step's resources are there while the steps after it clean up."""
    order: list[str] = []

    def step(name: str) -> Any:
        def sync(chunks: Any) -> Any:
            try:
                for chunk in chunks:  # noqa: UP028 - `yield from` would close the inner one first
                    yield chunk
            finally:
                order.append(name)

        async def async_(chunks: Any) -> Any:
            try:
                async for chunk in chunks:
                    yield chunk
            finally:
                order.append(name)

        return RunnableGenerator(sync, async_)

    def body(doors: Any) -> None:
        order.clear()
        chain = step("first") | step("second") | step("third")
        stream = doors.open_transform(chain, Source("abc"))
        stream.next()
        stream.close()
        assert order == ["third", "second", "first"]

    colour.run(body)


@every_colour
def test_an_error_while_closing_is_not_lost_and_the_rest_is_closed(colour):
    def fails(chunks: Any) -> Any:
        try:
            yield from chunks
        finally:
            raise ConnectionError("while closing")

    async def afails(chunks: Any) -> Any:
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            raise ConnectionError("while closing")

    def body(doors: Any) -> None:
        chain = (
            RunnableGenerator(_relay, _arelay)
            | RunnableGenerator(fails, afails)
            | RunnableGenerator(_relay, _arelay)
        )
        stream = doors.open_transform(chain, Source("abc"))
        stream.next()
        with pytest.raises(ConnectionError, match="while closing"):
            stream.close()
        assert not LEDGER.still_open, f"open when close() returned: {LEDGER.still_open}"

    colour.run(body)


@every_colour
def test_leaving_batch_as_completed_early(colour):
    """Inputs that were not begun are not begun any more; those at work have ended."""
    begun: list[int] = []

    def work(n: int) -> int:
        with LEDGER.body("work"):
            begun.append(n)
            time.sleep(0.001)
            return n

    def body(doors: Any) -> None:
        begun.clear()
        pairs = doors.open_as_completed(
            RunnableLambda(work), list(range(200)), {"max_concurrency": 2}
        )
        assert pairs.next() is not END
        pairs.close()
        assert not LEDGER.still_open
        count = len(begun)
        assert count < 200
        pairs.pause(0.005)
        assert len(begun) == count

    colour.run(body)
