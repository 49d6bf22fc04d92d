"""A paused consumer holds the run: at most 256 events wait for it, wherever in the run they are
made; and when it goes on, every one of them is there, once, in order."""

from __future__ import annotations

import contextvars
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from behaviour.pieces import (
    END,
    HELD,
    LEDGER,
    LIMIT,
    Endless,
    Recorder,
    acollect,
    collect,
    endless,
    held,
    relay,
    watch,
)
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough
from headrace.tools import tool
from laws.colours import COLOURS, both_drivers, every_colour
from laws.colours import END as OVER
from laws.events import check_events

SLACK = 64  # chunks that threads between steps may have in hand beside the view's own
LANES = 4 * SLACK  # the same where several branches run at once


def _streamed(inner: Any) -> Any:
    """Streamed by a function in the run's own colour: its root has no chunk before the end."""

    async def body(x: Any) -> str:
        return "".join([str(chunk) async for chunk in inner.astream(x)])

    return RunnableLambda(lambda x: "".join(inner.stream(x)), body, name="streamed")


def _invoked(inner: Any) -> Any:
    return RunnableLambda(lambda x: inner.invoke(x), lambda x: inner.ainvoke(x), name="invoked")


def _threaded(inner: Any) -> Any:
    def body(x: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(contextvars.copy_context().run, lambda: "".join(inner.stream(x)))
            return job.result()

    return RunnableLambda(body, name="threaded")


def _tool(inner: Any) -> Any:
    @tool
    def works(x: str) -> Any:
        """Ask a model."""
        return "".join(inner.stream(x))

    return works


def _reader(chunks: Any) -> Any:
    for chunk in chunks:
        yield from [chunk]


# What is only invoked tells of chunks where it is a model, so the others are for models alone.
PLACES: dict[str, Any] = {
    "alone": lambda inner: inner,
    "relayed": lambda inner: inner | relay("one") | relay("two"),
    "collected": lambda inner: inner | RunnableLambda(collect, acollect),
    "streamed": _streamed,
    "streamed by a blocking function": lambda inner: RunnableLambda(
        lambda x: "".join(inner.stream(x)), name="blocking"
    ),
    "in a thread": _threaded,
    "in a tool": _tool,
    "under retry": lambda inner: inner.with_retry(stop_after_attempt=2),
    "under fallbacks": lambda inner: inner.with_fallbacks([relay("other")]),
    "before a blocking generator": lambda inner: inner | _reader,
    "fan": lambda inner: RunnableParallel(a=inner, b=inner, c=RunnablePassthrough()),
    "fan, collected": lambda inner: RunnableParallel(a=inner, b=inner) | RunnableLambda(str),
    "fan in a fan": lambda inner: RunnableParallel(a=RunnableParallel(b=inner, c=inner), d=inner),
}
IN_ORDER = {place for place in PLACES if not place.startswith("fan")}
MODELS: dict[str, Any] = {
    "invoked": _invoked,
    "invoked by a blocking function": lambda inner: RunnableLambda(
        lambda x: inner.invoke(x), name="blocking"
    ),
    "fan, invoked": lambda inner: _invoked(RunnableParallel(a=inner, b=inner)),
    "fan: batch": lambda inner: RunnableLambda(lambda x: inner.batch([x] * 4), name="batch"),
    "fan: own batch": lambda inner: RunnableLambda(
        lambda x: inner.batch([x] * 4), lambda x: inner.abatch([x] * 4), name="batch"
    ),
    "fan: map": lambda inner: RunnableLambda(lambda x: [x] * 3, name="three") | inner.map(),
}
ALL = PLACES | MODELS
OFTEN = ("alone", "collected", "fan", "fan: batch", "invoked by a blocking function")
CASES = [
    pytest.param(place, source, colour, id=f"{place}-{source}-{colour}")
    for place in ALL
    for source in ("generator", "model")
    for colour in COLOURS
    if (source == "model" or place in PLACES) and (place in OFTEN or colour in COLOURS[:2])
]
cases = pytest.mark.parametrize(("place", "source", "colour"), CASES)


def _sources(made: list[int], stop: int = -1) -> dict[str, Any]:
    return {
        "generator": endless(made, stop=stop),
        "model": Endless(made=made, stop_at=stop) | StrOutputParser(),
    }


@cases
def test_a_paused_consumer_holds_the_run(place, source, colour):
    allowed = HELD + (LANES if place.startswith("fan") else SLACK)

    def body(doors: Any) -> None:
        made: list[int] = []
        inner = _sources(made)[source]
        if source == "model":  # pydantic copies lists
            made = inner.first.made
        events = watch(doors, ALL[place](inner), "x")
        taken = 0
        for more in (10, 100):
            for _ in range(more):
                assert events.next() is not END
            taken += more
            assert held(made, events) <= taken + allowed
        events.close()
        before = len(made)
        events.pause(0.01)
        assert len(made) == before, "went on after it was closed"

    colour.run(body, LIMIT)


@both_drivers
@pytest.mark.parametrize("typed", [False, True], ids=["dicts", "typed"])
@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_lost_or_told_twice(typed, place, colour):
    """A consumer that stops to think now and then gets what a handler gets."""
    number = 700

    def body(doors: Any) -> None:
        made: list[int] = []
        kept = Recorder()
        events = watch(doors, ALL[place](endless(made, stop=number)), "x", kept.config, typed=typed)
        seen: list[Any] = []
        pauses = {3, 300, 600}
        while (event := events.next()) is not OVER:
            seen.append(event)
            if len(seen) in pauses:
                events.pause(0.002)
        check_events(kept.events)
        wanted = Counter(_fact(e) for e in kept.events)
        if typed:
            assert Counter(_fact(e) for e in seen) == wanted
            # branches in threads may hand over in another order than they were numbered
            by_run: dict[Any, list[int]] = {}
            for e in seen:
                by_run.setdefault("all" if place in IN_ORDER else e.run.id, []).append(e.seq)
            for numbers in by_run.values():
                assert numbers == sorted(set(numbers))
        for chunks in _by_run(seen, typed).values():
            assert chunks == [f"{n} " for n in range(number)]

    colour.run(body, LIMIT)


def _fact(event: Any) -> tuple[str, str]:
    return str(event.run.id), event.kind


def _by_run(seen: list[Any], typed: bool) -> dict[str, list[Any]]:
    """The chunks of each run of the source."""
    found: dict[str, list[Any]] = {}
    for event in seen:
        if typed:
            if event.run.name == "endless":
                own = found.setdefault(str(event.run.id), [])
                if event.kind == "chunk":
                    own.append(event.chunk)
        elif event["name"] == "endless":
            own = found.setdefault(event["run_id"], [])
            if event["event"] == "on_chain_stream":
                own.append(event["data"]["chunk"])
    assert found, "the source does not show"
    return found


@every_colour
def test_a_view_waits_for_its_own_events_only(colour):
    """A paused consumer of few events does not hold what its filter leaves out… until the run
    tells of what it takes: 300 chunks of a filtered step pass without a single `next`."""

    def body(doors: Any) -> None:
        made: list[int] = []
        prompt = ChatPromptTemplate.from_template("{x}")
        chain = prompt | endless(made, "out", stop=3 * HELD) | RunnableLambda(collect, acollect)
        events = watch(doors, chain, {"x": "x"}, include_types=["prompt"])
        first = events.next()
        assert first["event"] == "on_prompt_start"
        assert held(made, events) == 3 * HELD
        assert [e["event"] for e in events.rest()] == ["on_prompt_end"]
        assert not LEDGER.still_open

    colour.run(body, LIMIT)


@every_colour
def test_two_views_of_two_runs_do_not_hold_each_other(colour):
    def body(doors: Any) -> None:
        slow_made: list[int] = []
        slow = watch(doors, endless(slow_made), "x")
        assert slow.next() is not END
        held(slow_made, slow)
        quick = watch(doors, endless([], stop=2000), "x")
        assert len(quick.rest()) == 2002
        assert len(slow_made) <= 1 + HELD + SLACK
        slow.close()

    colour.run(body, LIMIT)
