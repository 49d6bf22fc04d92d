"""Policies that speak for their models: what handles show where the chain's output is no text."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from headrace.errors import ConfigError, ServerError
from headrace.events import RunChunk
from headrace.resilience import race
from headrace.runnables import RunnableLambda, RunnableParallel
from survival.models import Exact, Going, Repeating, Speaker
from survival.pieces import AGAIN, LONG, WHOLE, WORDS

PROMPT = RunnableLambda(str)


def said_twice() -> Any:
    return race(Speaker(said=[]), Speaker(said=[]))


RIVALS: dict[str, Any] = {
    "race": said_twice,
    "hedge": lambda: Speaker(said=[]).with_hedge(after=0),
    "bound": lambda: race(Speaker(said=[]).bind(stop=["x"]), Speaker(said=[])).bind(stop=["y"]),
    "timed": lambda: said_twice().with_timeout(total=LONG),
    "of timed": lambda: race(Speaker(said=[]).with_timeout(total=LONG), Speaker(said=[])),
    "of retried": lambda: race(Speaker(said=[]).with_retry(when="restart"), Speaker(said=[])),
    "restarted": lambda: said_twice().with_retry(when="restart", **AGAIN),
    "nested": lambda: race(said_twice(), Speaker(said=[])),
    "of chains": lambda: race(PROMPT | Speaker(said=[]), PROMPT | Speaker(said=[])),
    "behind": lambda: PROMPT | said_twice(),
    "goes on": lambda: Repeating(fails={(1, 2): ServerError("down")}, said=[]).with_retry(
        when="continue", **AGAIN
    ),
    "another goes on": lambda: Exact(fails={(1, 2): ServerError("down")}, said=[]).with_fallbacks(
        [Repeating(said=[])], when="continue"
    ),
}
every_rival = pytest.mark.parametrize("rival", list(RIVALS))


def shown(run: Any) -> tuple[Any, ...]:
    return (
        "".join(run.text),
        [block["text"] for block in run.blocks.get()],
        run.text.get(),
    )


@every_rival
@pytest.mark.parametrize("key", [False, True])
def test_one_answer_is_shown(rival, key):
    """As deltas, as blocks and as a whole; alone, and where the output is a dict."""
    for _ in range(3):
        made = RIVALS[rival]()
        chain = RunnableParallel(a=made) if key else made
        with chain.open("x") as run:
            text, blocks, whole = shown(run)
            assert (text, "".join(blocks), whole) == (WHOLE, WHOLE, WHOLE)


@every_rival
def test_one_answer_is_shown_in_async(rival):
    async def main() -> tuple[Any, ...]:
        async with RunnableParallel(a=RIVALS[rival]()).open("x") as run:
            text = [delta async for delta in run.text]
            return "".join(text), "".join(b["text"] for b in await run.blocks)

    for _ in range(3):
        assert asyncio.run(main()) == (WHOLE, WHOLE)


@every_rival
def test_a_policy_that_is_asked_for_a_value(rival):
    """User code that invokes it: it has one answer, which is shown when it is there."""
    made = RIVALS[rival]()
    chain = RunnableParallel(a=RunnableLambda(lambda value: made.invoke(value).content))
    with chain.open("x") as run:
        assert "".join(run.text) == WHOLE
        assert run.output == {"a": WHOLE}


def test_one_that_comes_late_has_missed_nothing():
    with RunnableParallel(a=said_twice()).open("x") as run:
        assert run.output["a"].content == WHOLE
        assert "".join(run.text) == WHOLE


def test_deltas_come_as_they_are_said():
    with RunnableParallel(a=said_twice()).open("x") as run:
        assert list(run.text) == WORDS


def test_what_the_loser_read_is_counted():
    """Usage is what was paid for, shown or not; and nothing twice."""
    first = Going(fails={(1, 2): ServerError("down")}, said=[], counted=True)
    with RunnableParallel(a=first.with_retry(when="continue", **AGAIN)).open("x") as run:
        assert run.output["a"].usage_metadata == run.usage.total


def test_events_tell_of_the_models_as_ever():
    with RunnableParallel(a=RIVALS["goes on"]()).open("x") as run:
        events = list(run.events(include_types=["chat_model"]))
    told = "".join(event.chunk.content for event in events if type(event) is RunChunk)
    assert told == "".join(WORDS[:2]) + WHOLE


def test_beside_others():
    """Models that stand elsewhere are shown as ever."""
    chain = RunnableParallel(a=said_twice()) | RunnableLambda(lambda value: value["a"].content)
    with RunnableParallel(b=chain | Speaker(said=[])).open("x") as run:
        assert "".join(run.text) == WHOLE * 2


@pytest.mark.parametrize("way", ["before_first_chunk", "restart", "continue"])
def test_what_is_in_the_way_of_a_model_is_named(way):
    """A race goes on nowhere, nor a policy that does so itself: refused by its own name."""
    for inner, name in ((said_twice(), "RunnableRace<"), (RIVALS["goes on"](), "RunnableRetry(")):
        if way == "continue":
            with pytest.raises(ConfigError, match=f"around {re.escape(name)}"):
                inner.with_retry(when=way)
        else:
            assert inner.with_retry(when=way).invoke("x").content == WHOLE
