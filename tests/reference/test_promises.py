"""Promises of the documents that random programs found broken, each as small as it gets. In each
the sentence that promises it. The random programs leave these corners out (see `drawing.py`,
`exact`, and `Account.some`), so that they find others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from headrace.runnables import (
    RunnableBranch,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
    add,
    each,
)
from laws.colours import both_drivers
from laws.ledger import Recorder
from reference.pieces import tidy
from reference.tally import Boom

ONCE: dict[str, Any] = {"stop_after_attempt": 2, "wait_exponential_jitter": False}


# ---- user code, both colours --------------------------------------------------------------------


def _letters(chunks: Iterator[str]) -> Iterator[str]:
    for chunk in chunks:
        yield from chunk


async def _aletters(chunks: AsyncIterator[str]) -> AsyncIterator[str]:
    async for chunk in chunks:
        for letter in chunk:
            yield letter


def _count(chunks: Iterator[Any]) -> Iterator[str]:
    yield str(sum(1 for _ in chunks))


async def _acount(chunks: AsyncIterator[Any]) -> AsyncIterator[str]:
    number = 0
    async for _ in chunks:
        number += 1
    yield str(number)


def _relay(chunks: Iterator[Any]) -> Iterator[Any]:
    yield from chunks


async def _arelay(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for chunk in chunks:
        yield chunk


def _nothing(chunks: Iterator[Any]) -> Iterator[Any]:
    yield from [chunk for chunk in chunks if chunk is chunks]


async def _anothing(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for chunk in chunks:
        if chunk is chunks:
            yield chunk


def _fails(value: Any) -> Any:
    raise Boom(value)


def letters() -> Any:
    return RunnableGenerator(_letters, _aletters)


def count() -> Any:
    return RunnableGenerator(_count, _acount)


def nothing() -> Any:
    return RunnableGenerator(_nothing, _anothing)


def whole() -> Any:
    return RunnableLambda(lambda value: f"<{value}>")


def always(arm: Any) -> Any:
    return RunnableBranch((lambda value: True, arm), whole())


# ---- "The stream is the value" (docs/concepts.md) -----------------------------------------------

COUNTED = {
    "a branch's arm": lambda: letters() | always(count()),
    "a returned runnable": lambda: letters() | RunnableLambda(lambda _: count()),
    "behind a returned runnable": lambda: RunnableLambda(lambda _: letters()) | count(),
    "behind map": lambda: RunnableLambda(list) | letters().map() | count(),
    "retry of a generator and a function": lambda: letters() | (count() | whole()).with_retry(),
    "config of a generator and a function": lambda: (
        letters() | (count() | whole()).with_config(tags=["t"])
    ),
    "a branch of a parallel": lambda: letters() | RunnableParallel(a=count() | whole()),
    "a fallback": lambda: letters() | RunnableLambda(_fails).with_fallbacks([count()]),
    "behind a fallback": lambda: RunnableLambda(_fails).with_fallbacks([letters()]) | count(),
}
"""Generators that count their chunks. Differences, row *generators in a row*: "each gets the
chunks, as in `stream`; `invoke` and `stream` must agree"."""


@both_drivers
@pytest.mark.parametrize("which", COUNTED)
def test_invoke_hands_generators_the_chunks_that_stream_hands_them(which, colour):
    def body(doors: Any) -> None:
        assert doors.invoke(COUNTED[which](), "abc") == add(doors.stream(COUNTED[which](), "abc"))

    colour.run(body)


EMPTY = {
    "each behind a fallback": lambda: (
        RunnableLambda(_fails).with_fallbacks([nothing()]) | each(lambda chunk: chunk + "!")
    ),
    "each behind retry": lambda: (
        (whole() | nothing()).with_retry(**ONCE) | each(lambda chunk: chunk + "!")
    ),
    "pick behind a parallel": lambda: (
        RunnableParallel(a=nothing()).with_config(tags=["t"]) | RunnablePick(["a"])
    ),
    "count in a branch": lambda: nothing() | always(count()),
    "count behind a fallback": lambda: RunnableLambda(_fails).with_fallbacks([nothing()]) | count(),
    "pick behind retry": lambda: (
        RunnableLambda(lambda text: {"x": text})
        | RunnableGenerator(_relay, _arelay).with_retry(**ONCE)
        | RunnablePick("y")
    ),
    "pick before a function": lambda: (
        (whole() | nothing()).with_retry(**ONCE) | RunnablePick(["a"]) | whole()
    ),
}
"""Streams without a chunk."""


@both_drivers
@pytest.mark.parametrize("which", EMPTY)
def test_no_chunk_is_not_a_chunk_of_none(which, colour):
    def body(doors: Any) -> None:
        streamed = add(doors.stream(EMPTY[which](), "abc"))
        assert tidy(doors.invoke(EMPTY[which](), "abc")) == tidy(streamed)

    colour.run(body)


# ---- "`invoke`, which hands on nothing before the end, tries again" (guide, Errors and retries) --


class Flaky:
    """A generator function that breaks off behind its first chunk, the first time."""

    def __init__(self) -> None:
        self.tries = 0

    def sync(self, chunks: Iterator[Any]) -> Iterator[Any]:
        self.tries += 1
        for chunk in chunks:
            yield chunk
            if self.tries == 1:
                raise Boom("broken off")

    async def async_(self, chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        self.tries += 1
        async for chunk in chunks:
            yield chunk
            if self.tries == 1:
                raise Boom("broken off")


POLICIES = {
    "retry": lambda step: step.with_retry(**ONCE),
    "fallback": lambda step: step.with_fallbacks([letters()]),
}
PLACES = {
    "alone": lambda step: step,
    "first": lambda step: step | letters(),
    "last": lambda step: letters() | step,
    "between": lambda step: whole() | step | each(str.upper),
    "before a function": lambda step: step | whole(),
    "in a parallel": lambda step: RunnableParallel(a=step, b=RunnablePassthrough()),
    "in a retry": lambda step: (letters() | step).with_retry(stop_after_attempt=1),
}


@both_drivers
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("policy", POLICIES)
def test_invoke_tries_again_wherever_the_step_stands(policy, place, colour):
    def body(doors: Any) -> None:
        flaky = Flaky()
        step = POLICIES[policy](RunnableGenerator(flaky.sync, flaky.async_))
        assert doors.invoke(PLACES[place](step), "abc")
        assert flaky.tries == (2 if policy == "retry" else 1)

    colour.run(body)


# ---- observed and unobserved --------------------------------------------------------------------


def _blind(chunks: Iterator[Any]) -> Iterator[str]:
    yield "blind"


async def _ablind(chunks: AsyncIterator[Any]) -> AsyncIterator[str]:
    yield "blind"


@both_drivers
@pytest.mark.parametrize("observed", [False, True])
def test_a_step_is_run_when_the_next_one_asks_for_its_output(observed, colour):
    """Observing is neutral: the step whose output nobody reads does not run, observed or not."""
    entered: list[str] = []

    def sync(chunks: Iterator[Any]) -> Iterator[Any]:
        entered.append("first")
        yield from chunks

    async def async_(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        entered.append("first")
        async for chunk in chunks:
            yield chunk

    def body(doors: Any) -> None:
        entered.clear()
        chain = RunnableGenerator(sync, async_) | RunnableGenerator(_blind, _ablind)
        assert doors.stream(chain, "x", Recorder().config if observed else None) == ["blind"]
        assert entered == []

    colour.run(body)


@both_drivers
@pytest.mark.parametrize("observed", [False, True])
def test_no_chunk_of_a_configured_parallel(observed, colour):
    def body(doors: Any) -> None:
        chain = RunnableParallel(a=letters(), b=letters()).with_config(tags=["t"])
        config = Recorder().config if observed else None
        assert doors.transform(chain | RunnablePick(["a", "b"]), [], config) == []

    colour.run(body)
