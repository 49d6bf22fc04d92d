"""Events reach the consumer when they happen: a step waits for what the consumer does after it has
seen the event, and would wait for ever (here: `WAIT` seconds) if the event came later."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from behaviour.pieces import END, LEDGER, LIMIT, Gate, Gated, acollect, collect, until, watch
from headrace.callbacks import adispatch_custom_event, dispatch_custom_event
from headrace.output_parsers import StrOutputParser
from headrace.retrievers import BaseRetriever
from headrace.runnables import (
    RunnableConfig,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from headrace.tools import tool
from laws.colours import ASYNC, every_colour


def _in(kind: str, inner: Any) -> Any:
    """A place for a runnable in a chain."""
    around = {
        "alone": lambda: inner,
        "chain": lambda: inner | RunnableLambda(collect, acollect),
        "lambda": lambda: RunnableLambda(lambda x: inner.invoke(x), lambda x: inner.ainvoke(x)),
        "sync lambda": lambda: RunnableLambda(lambda x: inner.invoke(x)),
        "parallel": lambda: RunnableParallel(a=inner, b=RunnablePassthrough()),
        "batch": lambda: RunnableLambda(lambda x: inner.batch([x, x])),
        "retry": lambda: inner.with_retry(stop_after_attempt=2),
        "fallbacks": lambda: inner.with_fallbacks([RunnablePassthrough()]),
        "map": lambda: RunnableLambda(lambda x: [x], name="list") | inner.map(),
    }
    return around[kind]()


PLACES = ["alone", "chain", "lambda", "sync lambda", "parallel", "batch", "retry", "fallbacks",
          "map"]  # fmt: skip
everywhere = pytest.mark.parametrize("place", PLACES)


@every_colour
@everywhere
@pytest.mark.parametrize("typed", [False, True], ids=["dicts", "typed"])
def test_the_start_of_a_tool_is_seen_before_its_body_goes_on(typed, place, colour):
    def body(doors: Any) -> None:
        gate = Gate()

        @tool
        def waiting(x: str) -> str:
            """Wait for the consumer."""
            gate.wait()
            return x

        events = watch(doors, _in(place, waiting), "x", typed=typed)

        def is_start(event: Any) -> bool:
            if typed:
                return bool(event.kind == "start" and event.run.name == "waiting")
            return bool(event["event"] == "on_tool_start")

        until(events, is_start)
        assert not gate.passed
        gate.open()
        assert events.rest(), "the tool's end is missing"
        assert gate.passed

    colour.run(body, LIMIT)


@pytest.mark.parametrize("place", [p for p in PLACES if p not in ("sync lambda", "batch")])
def test_the_same_of_an_async_tool(place):
    def body(doors: Any) -> None:
        gate = Gate()

        @tool
        async def waiting(x: str) -> str:
            """Wait for the consumer."""
            await gate.await_()
            return x

        events = watch(doors, _in(place, waiting), "x")
        until(events, lambda event: event["event"] == "on_tool_start")
        assert not gate.passed
        gate.open()
        assert events.rest()[-1]["event"].endswith("_end")
        assert gate.passed

    ASYNC.run(body, LIMIT)


@every_colour
@everywhere
def test_a_first_token_is_seen_while_the_model_still_speaks(place, colour):
    def body(doors: Any) -> None:
        gate = Gate()
        model = Gated(gate=gate) | StrOutputParser()
        events = watch(doors, _in(place, model), "x")
        seen = until(events, lambda event: event["event"] == "on_chat_model_stream")
        assert seen[-1]["data"]["chunk"].content == "first "
        assert not gate.passed
        gate.open()
        rest = events.rest()
        assert "second" in [
            event["data"]["chunk"].content
            for event in rest if event["event"] == "on_chat_model_stream"
        ]  # fmt: skip

    colour.run(body, LIMIT)


@every_colour
def test_a_first_token_is_seen_while_the_next_step_waits(colour):
    """The model has gone on to its second token, the function has none: it needs them all."""

    def body(doors: Any) -> None:
        gate, entered = Gate(), []

        def needs_all(text: str) -> str:
            entered.append(text)
            gate.wait()
            return text

        chain = _told("a b c") | StrOutputParser() | needs_all
        events = watch(doors, chain, "x")
        until(events, lambda event: event["event"] == "on_chat_model_stream")
        assert not gate.passed
        until(events, lambda e: e["event"] == "on_chain_start" and e["name"] == "needs_all")
        gate.open()
        assert events.rest()[-1]["data"]["output"] == "a b c"
        assert entered == ["a b c"]

    colour.run(body, LIMIT)


def _told(text: str) -> Any:
    from headrace.language_models import GenericFakeChatModel

    return GenericFakeChatModel(messages=iter([text]))


@every_colour
def test_a_chunk_of_a_generator_is_seen_before_it_makes_the_next(colour):
    def body(doors: Any) -> None:
        gates = [Gate() for _ in range(3)]

        def slow(_: Any) -> Any:
            for number, gate in enumerate(gates):
                yield str(number)
                gate.wait()

        async def aslow(_: Any) -> Any:
            for number, gate in enumerate(gates):
                yield str(number)
                await gate.await_()

        for afunc in (aslow, None):
            gates = [Gate() for _ in range(3)]
            step = RunnableLambda(slow, afunc, name="slow")
            events = watch(doors, step | RunnableLambda(collect, acollect), "x")
            for number, gate in enumerate(gates):
                seen = until(
                    events, lambda e: e["event"] == "on_chain_stream" and e["name"] == "slow"
                )
                assert seen[-1]["data"]["chunk"] == str(number)
                assert not gate.passed
                gate.open()
            assert events.rest()[-1]["data"]["output"] == "012"

    colour.run(body, LIMIT)


@every_colour
def test_a_custom_event_is_seen_before_its_sender_goes_on(colour):
    def body(doors: Any) -> None:
        for asynchronous in (True, False):
            gate = Gate()

            def tells(x: Any, config: RunnableConfig, gate: Gate = gate) -> Any:
                dispatch_custom_event("half", {"x": x}, config=config)
                gate.wait()
                return x

            async def atells(x: Any, config: RunnableConfig, gate: Gate = gate) -> Any:
                await adispatch_custom_event("half", {"x": x}, config=config)
                await gate.await_()
                return x

            step = RunnableLambda(tells, atells if asynchronous else None)
            events = watch(doors, step, "x")
            seen = until(events, lambda event: event["event"] == "on_custom_event")
            assert seen[-1]["data"] == {"x": "x"}
            assert not gate.passed
            gate.open()
            assert events.rest()[-1]["event"] == "on_chain_end"

    colour.run(body, LIMIT)


class _Waiting(BaseRetriever):
    gate: Any

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> Any:
        self.gate.wait()
        return []


@every_colour
def test_the_start_of_a_retriever_is_seen_before_it_answers(colour):
    def body(doors: Any) -> None:
        gate = Gate()
        events = watch(doors, _Waiting(gate=gate) | RunnableLambda(str), "x")
        until(events, lambda event: event["event"] == "on_retriever_start")
        assert not gate.passed
        gate.open()
        assert events.rest()[-1]["data"]["output"] == "[]"

    colour.run(body, LIMIT)


@every_colour
def test_an_end_is_seen_while_a_sibling_still_works(colour):
    def body(doors: Any) -> None:
        gate = Gate()

        def waits(x: Any) -> Any:
            gate.wait()
            return x

        async def awaits(x: Any) -> Any:
            await gate.await_()
            return x

        quick = RunnableLambda(collect, acollect, name="quick")
        fan = RunnableParallel(slow=RunnableLambda(waits, awaits, name="slow"), quick=quick)
        events = watch(doors, fan, "x")
        until(events, lambda e: e["event"] == "on_chain_end" and e["name"] == "quick")
        assert not gate.passed
        gate.open()
        assert events.rest()[-1]["event"] == "on_chain_end"

    colour.run(body, LIMIT)


@every_colour
@pytest.mark.parametrize("typed", [False, True], ids=["dicts", "typed"])
def test_nothing_runs_before_the_first_event_is_asked_for(typed, colour):
    def body(doors: Any) -> None:
        def enters(chunks: Any) -> Any:
            with LEDGER.body("enters"):
                yield from chunks

        events = watch(doors, RunnableGenerator(enters, name="enters"), "x", typed=typed)
        events.pause(0.02)
        assert not LEDGER.entered
        events.close()
        assert not LEDGER.entered, "closing ran it"
        assert events.next() is END, "a closed view gave an event"

    if not colour.asynchronous:
        colour.run(body, LIMIT)
        return

    def async_body(doors: Any) -> None:
        async def enters(chunks: Any) -> Any:
            with LEDGER.body("enters"):
                async for chunk in chunks:
                    await asyncio.sleep(0)
                    yield chunk

        events = watch(doors, RunnableGenerator(enters, name="enters"), "x", typed=typed)
        events.pause(0.02)
        assert not LEDGER.entered
        events.close()
        assert not LEDGER.entered, "closing ran it"
        assert events.next() is END, "a closed view gave an event"

    colour.run(async_body, LIMIT)
