"""A handler that raises: in the log by its name and out of the way, or raised where it asks for
it; the same in every colour."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from behaviour.pieces import END, LEDGER, Recorder, answering, watch
from headrace.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from headrace.output_parsers import StrOutputParser
from headrace.runnables import RunnableLambda, RunnableParallel
from headrace.tools import tool
from laws.colours import every_colour

HOOKS = ["on_chain_start", "on_chain_end", "on_chain_error", "on_chat_model_start",
         "on_llm_new_token", "on_llm_end", "on_tool_start", "on_tool_end", "on_retry",
         "on_custom_event"]  # fmt: skip


class Clumsy(Exception):
    pass


def clumsy(hook: str, waits: bool, raises: bool) -> tuple[Any, Clumsy]:
    """A handler that fails in a hook, sync or awaited."""
    error = Clumsy(hook)

    def fail(self: Any, *args: Any, **kwargs: Any) -> None:
        raise error

    async def afail(self: Any, *args: Any, **kwargs: Any) -> None:
        raise error

    base = AsyncCallbackHandler if waits else BaseCallbackHandler
    made = type("ClumsyHandler", (base,), {hook: afail if waits else fail, "raise_error": raises})
    return made(), error


def program() -> Any:
    """Something of everything: model, parser, tool, retry, a custom event, a branch that fails."""
    from headrace.callbacks import dispatch_custom_event

    calls: list[int] = []

    def flaky(text: str) -> str:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("once")
        return text

    @tool
    def loud(text: str) -> str:
        """Say it loudly."""
        return text.upper()

    def tells(text: str) -> str:
        dispatch_custom_event("told", text)
        return text

    retried = RunnableLambda(flaky).with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    fast = RunnableLambda(tells) | loud
    return answering("abc") | StrOutputParser() | RunnableParallel(a=fast) | (
        RunnableLambda(lambda value: value["a"]) | fast | retried
    )  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A retry without its second of waiting."""
    import asyncio
    import time

    nap, asleep = time.sleep, asyncio.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: nap(min(seconds, 0.002)))
    monkeypatch.setattr(asyncio, "sleep", lambda seconds, *a: asleep(min(seconds, 0.002), *a))


def bare(events: list[Any]) -> list[Any]:
    """Events without what differs from run to run, their order across threads included."""
    return sorted((e["event"], e["name"], str(_output(e["data"]))) for e in events)


def _output(data: Any) -> Any:
    output = data.get("output", "") if isinstance(data, dict) else data
    return getattr(output, "content", output)


@every_colour
@pytest.mark.parametrize("waits", [False, True], ids=["sync", "awaited"])
@pytest.mark.parametrize("hook", HOOKS)
def test_it_is_logged_and_the_stream_goes_on(hook, waits, colour, caplog):
    def body(doors: Any) -> None:
        expected = bare(watch(doors, program(), "x").rest())
        handler, _ = clumsy(hook, waits, raises=False)
        kept = Recorder()
        events = watch(doors, program(), "x", {"callbacks": [handler, kept]})
        assert bare(events.rest()) == expected
        assert kept.events[-1].kind == "end"

    with caplog.at_level(logging.WARNING):
        colour.run(body)
    told = [record for record in caplog.records if "ClumsyHandler" in record.getMessage()]
    assert told, f"not in the log: {caplog.text}"
    assert all(hook in r.getMessage() or hook in str(r.exc_info) for r in told), caplog.text


@every_colour
@pytest.mark.parametrize("watched", [True, False], ids=["watched", "streamed"])
@pytest.mark.parametrize("waits", [False, True], ids=["sync", "awaited"])
@pytest.mark.parametrize("hook", [h for h in HOOKS if h not in ("on_chain_error", "on_retry")])
def test_with_raise_error_it_is_the_consumers(hook, waits, watched, colour):
    def body(doors: Any) -> None:
        handler, error = clumsy(hook, waits, raises=True)
        kept = Recorder()
        config = {"callbacks": [handler, kept]}
        with pytest.raises(Clumsy) as caught:
            if watched:
                watch(doors, program(), "x", config).rest()
            else:
                stream = doors.open(program(), "x", config)
                while stream.next() is not END:
                    pass
        assert caught.value is error
        assert not LEDGER.still_open
        started = {event.run.id for event in kept.events if event.kind == "start"}
        ended = [e.run.id for e in kept.events if e.kind in ("end", "error", "cancelled")]
        assert sorted(ended) == sorted(started), "a start without its end, or with two"

    colour.run(body)


class Observing:
    """An observer that is no handler."""

    def on_event(self, event: Any) -> None:
        raise Clumsy(event.kind)


@every_colour
def test_an_observer_that_raises_is_logged_too(colour, caplog):
    def body(doors: Any) -> None:
        expected = bare(watch(doors, program(), "x").rest())
        assert bare(watch(doors, program(), "x", {"callbacks": [Observing()]}).rest()) == expected

    with caplog.at_level(logging.WARNING):
        colour.run(body)
    assert "Observing" in caplog.text


@every_colour
def test_the_other_handlers_hear_everything(colour, caplog):
    def body(doors: Any) -> None:
        told: list[list[Any]] = []
        for callbacks in ([], [clumsy(hook, False, False)[0] for hook in HOOKS]):
            kept = Recorder()
            doors.stream(program(), "x", {"callbacks": [*callbacks, kept]})
            told.append(sorted((e.kind, e.run.name) for e in kept.events))
        assert told[0] == told[1]

    with caplog.at_level(logging.CRITICAL):
        colour.run(body)
