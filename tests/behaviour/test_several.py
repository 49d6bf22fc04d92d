"""Several views at once: beside each other in one loop, and one inside a run that another one
watches."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
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
    answering,
    collect,
    endless,
    parents,
    relay,
    until,
    watch,
)
from headrace.output_parsers import StrOutputParser
from headrace.runnables import RunnableLambda, RunnableParallel
from laws.colours import ASYNC, SYNC, every_colour
from laws.events import check_events

typed_or_not = pytest.mark.parametrize("typed", [False, True], ids=["dicts", "typed"])


def _own(number: int) -> Any:
    inner = RunnableLambda(collect, acollect, name=f"inner {number}")

    async def acall(x: Any) -> Any:
        return await inner.ainvoke(x)

    calls = RunnableLambda(lambda x: inner.invoke(x), acall, name=f"calls {number}")
    return (endless([], f"source {number}", stop=20) | calls).with_config(run_name=f"all {number}")


def _expected(number: int) -> list[list[str]]:
    top = f"all {number}"
    return sorted([[top], [top, f"source {number}"], [top, f"calls {number}"],
                   [top, f"calls {number}", f"inner {number}"]])  # fmt: skip


def test_many_in_one_loop():
    async def one(number: int) -> None:
        seen = []
        async for event in _own(number).astream_events("x"):
            seen.append(event)
            await asyncio.sleep(0)
        assert sorted(parents(seen)) == _expected(number)

    async def main() -> None:
        await asyncio.gather(*map(one, range(30)))

    ASYNC.run(lambda doors: doors.wait(main()), LIMIT)


@every_colour
@typed_or_not
def test_taken_in_turns(typed, colour):
    def body(doors: Any) -> None:
        views = [watch(doors, _own(number), "x", typed=typed) for number in range(5)]
        seen: list[list[Any]] = [[] for _ in views]
        open_ = set(range(5))
        while open_:
            for number in sorted(open_):
                event = views[number].next()
                if event is END:
                    open_.discard(number)
                else:
                    seen[number].append(event)
        for number in range(5):
            assert sorted(parents(seen[number])) == _expected(number)

    colour.run(body, LIMIT)


@every_colour
@pytest.mark.parametrize("order", ["first opened", "last opened"])
def test_left_in_any_order(order, colour):
    def body(doors: Any) -> None:
        kept = [Recorder() for _ in range(4)]
        views = [watch(doors, endless([], f"e{n}"), "x", kept[n].config) for n in range(4)]
        for view in views:
            until(view, lambda event: event["event"] == "on_chain_stream")
        numbers = range(4) if order == "first opened" else reversed(range(4))
        for number in numbers:
            close = views[number]._chunks
            doors.wait(close.aclose()) if doors.asynchronous else close.close()
            assert not LEDGER.open[f"e{number}"]
            check_events(kept[number].events)

    colour.run(body, LIMIT)


# ------------------------------------------------------------------ one inside another


def _inside(seen: list[Any], inner: Any, how: str) -> Any:
    """A function that watches a run of its own."""

    async def awatches(x: Any) -> int:
        async for event in inner.astream_events(x):
            seen.append(event)  # noqa: PERF401 - kept when it is left
        return len(seen)

    async def watches_blocking(x: Any) -> int:
        seen.extend(inner.stream_events(x))
        return len(seen)

    def watches(x: Any) -> int:
        seen.extend(inner.stream_events(x))
        return len(seen)

    def own_loop(x: Any) -> int:
        return asyncio.run(awatches(x))

    def loop_in_thread(x: Any) -> int:
        import contextvars

        run = contextvars.copy_context().run
        thread = threading.Thread(target=run, args=(own_loop, x))
        thread.start()
        thread.join()
        return len(seen)

    body = {"sync": watches, "async": awatches, "blocking in async": watches_blocking,
            "loop in a thread": loop_in_thread}[how]  # fmt: skip
    return RunnableLambda(body, name="watches")


INSIDE = [
    pytest.param(how, colour, id=f"{how}-{colour}")
    for how, colours in {
        "sync": [SYNC, ASYNC], "async": [ASYNC], "blocking in async": [ASYNC],
        "loop in a thread": [SYNC, ASYNC],
    }.items() for colour in colours
]  # fmt: skip


@pytest.mark.parametrize(("how", "colour"), INSIDE)
@pytest.mark.parametrize("size", [5, 3 * HELD])
@typed_or_not
def test_both_see_the_inner_runs_once(typed, size, how, colour):
    """Also where the inner run is longer than what may wait for the outer consumer."""

    def body(doors: Any) -> None:
        within: list[Any] = []
        inner = (endless([], "source", stop=size) | relay("last")).with_config(run_name="inner")
        kept = Recorder()
        outer = _inside(within, inner, how)
        seen = watch(doors, outer, "x", kept.config, typed=typed).rest()
        below = [["inner"], ["inner", "source"], ["inner", "last"]]
        assert sorted(parents(seen)) == sorted([["watches"], *(["watches", *b] for b in below)])
        check_events(kept.events)
        chunks = [e["data"]["chunk"] for e in within
                  if e["event"] == "on_chain_stream" and e["name"] == "source"]  # fmt: skip
        assert chunks == [f"{number} " for number in range(size)]
        if typed:
            again = [e.chunk for e in seen if e.kind == "chunk" and e.run.name == "source"]
        else:
            again = [e["data"]["chunk"] for e in seen
                     if e["event"] == "on_chain_stream" and e["name"] == "source"]  # fmt: skip
        assert again == chunks
        ids = {(e["run_id"], e["event"]) for e in within if not e["event"].endswith("_stream")}
        assert len(ids) == 6

    colour.run(body, LIMIT)


@every_colour
def test_left_while_one_is_inside_another(colour):
    def body(doors: Any) -> None:
        for asynchronous in (doors.asynchronous, False):
            within: list[Any] = []
            how = "async" if asynchronous else "sync"
            kept = Recorder()
            outer = _inside(within, endless([]), how)
            events = watch(doors, outer, "x", kept.config)
            until(events, lambda event: event["name"] == "endless")
            events.close()
            assert not LEDGER.still_open
            check_events(kept.events)
            before = len(within)
            events.pause(0.005)
            assert len(within) == before

    colour.run(body, LIMIT)


@pytest.mark.parametrize("kind", ["invoke", "stream", "batch", "parallel", "sequence of parallels"])
def test_a_sync_call_on_the_loops_thread_does_not_wait_for_the_consumer(kind):
    """The consumer cannot take events while the loop stands still: waiting for it is a deadlock,
    also for the worker threads of a batch or of branches."""
    tokens, models = 3 * HELD, {"invoke": 1, "stream": 1, "batch": 3}.get(kind, 2)

    def calls(x: Any) -> Any:
        model = Endless(made=[], stop_at=tokens) | StrOutputParser()
        fan = RunnableParallel(a=model, b=model)
        return {
            "invoke": lambda: model.invoke(x),
            "stream": lambda: "".join(model.stream(x)),
            "batch": lambda: model.batch([x, x, x]),
            "parallel": lambda: fan.invoke(x),
            "sequence of parallels": lambda: list((fan | RunnableLambda(collect)).stream(x)),
        }[kind]()

    async def body(x: Any) -> Any:
        return calls(x)

    def run(doors: Any) -> None:
        events = watch(doors, RunnableLambda(body, name="body"), "x").rest()
        streams = [e["data"]["chunk"].content for e in events
                   if e["event"] == "on_chat_model_stream"]  # fmt: skip
        assert len([text for text in streams if text]) == models * tokens
        assert events[-1]["event"] == "on_chain_end"

    ASYNC.run(run, LIMIT)


@every_colour
def test_a_consumer_that_is_itself_a_step(colour):
    """A generator step that watches a chain and passes its tokens on."""

    def body(doors: Any) -> None:
        model = answering("abcdef") | StrOutputParser()

        def tokens(x: Any) -> Any:
            for event in model.stream_events(x):
                if event["event"] == "on_parser_stream":
                    yield event["data"]["chunk"]

        async def atokens(x: Any) -> Any:
            async with aclosing(model.astream_events(x)) as events:
                async for event in events:
                    if event["event"] == "on_parser_stream":
                        yield event["data"]["chunk"]

        for afunc in (atokens, None):
            chain = RunnableLambda(tokens, afunc, name="tokens") | relay()
            assert doors.stream(chain, "x") == list("abcdef")
            seen = watch(doors, chain, "x").rest()
            names = [path[-1] for path in parents(seen)]
            assert sorted(names) == sorted(
                ["RunnableSequence", "tokens", "relay", "RunnableSequence", "model",
                 "StrOutputParser"])  # fmt: skip
            stream = doors.open(chain, "x")
            assert stream.next() == "a"
            stream.close()

    colour.run(body, LIMIT)
