"""Context variables: a step sees what the consumer set, the consumer never what a step set; and
what the consumer runs between two events is no part of the run it watches."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from behaviour.pieces import END, Recorder, parents, relay, watch
from headrace.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from headrace.tools import tool
from laws.colours import every_colour, sync_colours

VAR: ContextVar[str] = ContextVar("VAR", default="unset")


def _step(seen: list[str], name: str = "step") -> Any:
    def body(x: Any) -> Any:
        seen.append(VAR.get())
        VAR.set(f"by {name}")
        return x

    async def abody(x: Any) -> Any:
        return body(x)

    return RunnableLambda(body, abody, name=name)


def _generator(seen: list[str]) -> Any:
    def body(chunks: Any) -> Any:
        for chunk in chunks:
            seen.append(VAR.get())
            VAR.set("by the generator")
            yield chunk
            yield chunk

    async def abody(chunks: Any) -> Any:
        async for chunk in chunks:
            seen.append(VAR.get())
            VAR.set("by the generator")
            yield chunk
            yield chunk

    return RunnableGenerator(body, abody, name="generator")


def _tool(seen: list[str]) -> Any:
    @tool
    def sets(x: str) -> str:
        """Set it."""
        seen.append(VAR.get())
        VAR.set("by the tool")
        return x

    return sets


def _called(inner: Any) -> Any:
    return RunnableLambda(lambda x: inner.invoke(x), lambda x: inner.ainvoke(x), name="called")


STEPS: dict[str, Any] = {
    "lambda": _step,
    "blocking lambda": lambda seen: RunnableLambda(_step(seen).func, name="blocking"),
    "generator": _generator,
    "tool": _tool,
    "parallel": lambda seen: RunnableParallel(a=_step(seen), b=_step(seen)),
    "called": lambda seen: _called(_step(seen)),
}


@every_colour
@pytest.mark.parametrize("typed", [False, True], ids=["dicts", "typed"])
@pytest.mark.parametrize("kind", STEPS)
def test_nothing_leaks_and_what_was_set_is_seen(kind, typed, colour):
    def body(doors: Any) -> None:
        seen: list[str] = []

        async def amain() -> None:
            VAR.set("by the consumer")
            name = "astream_typed" if typed else "astream_events"
            async for _ in getattr(STEPS[kind](seen), name)("x"):
                assert VAR.get() == "by the consumer"
            assert VAR.get() == "by the consumer"

        if doors.asynchronous:
            doors.wait(amain())
        else:
            token = VAR.set("by the consumer")
            try:
                for _ in range(1):
                    events = watch(doors, STEPS[kind](seen), "x", typed=typed)
                    while events.next() is not END:
                        assert VAR.get() == "by the consumer"
                assert VAR.get() == "by the consumer"
            finally:
                VAR.reset(token)
        assert seen
        assert seen[0] == "by the consumer"
        if kind == "parallel":
            assert seen == ["by the consumer"] * 2

    colour.run(body)


@every_colour
@pytest.mark.parametrize("typed", [False, True], ids=["dicts", "typed"])
def test_what_the_consumer_runs_between_events_is_its_own(typed, colour):
    def body(doors: Any) -> None:
        other, first = RunnableLambda(str.upper, name="other"), relay("first")
        events = watch(doors, first | relay("second"), "x", typed=typed)
        seen = []
        while (event := events.next()) is not END:
            seen.append(event)
            kept = Recorder()
            assert doors.invoke(other, "x", kept.config) == "X"
            assert parents(kept.events) == [["other"]]
        assert sorted(path[-1] for path in parents(seen)) == [
            "RunnableSequence", "first", "second"]  # fmt: skip

    colour.run(body)


def test_the_same_inside_one_task():
    async def main() -> None:
        other, seen = RunnableLambda(str.upper, name="other"), []
        async for event in (relay("first") | relay("second")).astream_events("x"):
            seen.append(event)
            kept = Recorder()
            assert other.invoke("x", kept.config) == "X"
            assert await other.ainvoke("x", kept.config) == "X"
            assert [e.run.parent_ids for e in kept.events] == [[]] * len(kept.events)
        assert "other" not in {event["name"] for event in seen}

    asyncio.run(main())


@sync_colours
def test_the_same_after_a_view_that_was_left(colour):
    def body(doors: Any) -> None:
        events = watch(doors, relay("first") | relay("second"), "x")
        events.next()
        events.close()
        kept = Recorder()
        RunnableLambda(str.upper, name="other").invoke("x", kept.config)
        assert parents(kept.events) == [["other"]]

    colour.run(body)


@every_colour
def test_values_set_while_the_run_is_on_do_not_reach_back(colour):
    """A second view, opened between events of a first, sees what is set by then."""

    def body(doors: Any) -> None:
        first, second = [], []
        token = VAR.set("one")
        try:
            outer = watch(doors, _step(first), "x")
            outer.next()
            outer.rest()
            VAR.set("two")
            if not doors.asynchronous:
                watch(doors, _step(second), "x").rest()
                assert second == ["two"]
                assert first == ["one"]
            assert VAR.get() == "two"
        finally:
            VAR.reset(token)

    colour.run(body)
