"""However a consumer leaves, the run ends: the model's stream is closed when control returns, and
handlers are told once, of each run that was open, that it was cancelled."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from typing import Any

import anyio
import pytest

from behaviour.pieces import (
    END,
    LEDGER,
    LIMIT,
    WAIT,
    Endless,
    Recorder,
    acollect,
    collect,
    endless,
    relay,
    until,
    watch,
)
from headrace.callbacks import BaseCallbackHandler, RunCancelledError
from headrace.events import RunCancelled, RunEnded
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough
from headrace.tools import tool
from laws.colours import ASYNC, SYNC, every_colour, sync_colours
from laws.events import by_run, check_events, root_end


def _chain() -> Any:
    return ChatPromptTemplate.from_template("{x}") | Endless(made=[]) | StrOutputParser()


def _called() -> Any:
    inner = _chain()
    return RunnableLambda(lambda x: inner.invoke(x), lambda x: inner.ainvoke(x), name="called")


def _tool() -> Any:
    inner = _chain()

    @tool
    def works(x: str) -> str:
        """Ask."""
        return str(inner.invoke({"x": x}))

    return RunnableLambda(lambda x: works.invoke(x), name="blocking")


PLACES: dict[str, Any] = {
    "chain": _chain,
    "collected": lambda: _chain() | RunnableLambda(collect, acollect),
    "called": _called,
    "called by a blocking function": lambda: RunnableLambda(_chain().invoke, name="blocking"),
    "tool": _tool,
    "parallel": lambda: RunnableParallel(a=_chain(), b=_chain(), c=RunnablePassthrough()),
    "batch": lambda: RunnableLambda(lambda x: _chain().batch([x] * 3), name="batch"),
    "retry": lambda: _chain().with_retry(stop_after_attempt=2),
    "fallbacks": lambda: _chain().with_fallbacks([relay()]),
    "bound": lambda: _chain().with_config(tags=["t"]),
}
everywhere = pytest.mark.parametrize("place", PLACES)


def ended(kept: Recorder) -> None:
    """The run was cancelled, and everything in it is closed."""
    assert not LEDGER.still_open, f"still open: {LEDGER.still_open}"
    check_events(kept.events)
    assert isinstance(root_end(kept.events), RunCancelled)
    last = {own[0].run.name: own[-1] for own in by_run(kept.events).values()}
    assert isinstance(last["Endless"], RunCancelled)
    for own in by_run(kept.events).values():
        wanted = RunCancelled if own[0].run.run_type == "chat_model" else (RunCancelled, RunEnded)
        assert isinstance(own[-1], wanted), own[-1]


def is_token(event: Any) -> bool:
    return bool(event["event"] == "on_chat_model_stream")


def begun(doors: Any, place: str, kept: Recorder, **how: Any) -> Any:
    """A view whose model has begun to speak."""
    events = watch(doors, PLACES[place](), {"x": "x"}, kept.config, **how)
    until(events, is_token)
    assert LEDGER.open["model"]
    return events


# ------------------------------------------------------------------ every colour


@every_colour
@everywhere
def test_closed(place, colour):
    def body(doors: Any) -> None:
        kept = Recorder()
        events = begun(doors, place, kept)
        events.close()
        ended(kept)
        count = len(kept.events)
        events.close()
        assert events.next() is END
        assert len(kept.events) == count

    colour.run(body, LIMIT)


@every_colour
@everywhere
def test_closed_after_a_pause(place, colour):
    """The run is held at that moment: 256 events wait."""

    def body(doors: Any) -> None:
        kept = Recorder()
        events = begun(doors, place, kept)
        events.pause(0.02)
        events.close()
        ended(kept)

    colour.run(body, LIMIT)


@every_colour
@everywhere
def test_closed_when_the_view_takes_little(place, colour):
    """Nothing holds a run whose events are filtered out; it has to notice all the same."""

    def body(doors: Any) -> None:
        kept = Recorder()
        runnable = PLACES[place]()
        events = watch(doors, runnable, {"x": "x"}, kept.config, include_types=["prompt"])
        assert events.next()["event"] == "on_prompt_start"
        events.pause(0.01)
        events.close()
        ended(kept)

    colour.run(body, LIMIT)


class Told(BaseCallbackHandler):
    """Which hooks were called, by run."""

    def __init__(self) -> None:
        self.starts: list[Any] = []
        self.ends: list[Any] = []
        self.errors: list[Any] = []

    def on_chain_start(self, *args: Any, run_id: Any, **kwargs: Any) -> None:
        self.starts.append(run_id)

    def on_chat_model_start(self, *args: Any, run_id: Any, **kwargs: Any) -> None:
        self.starts.append(run_id)

    def on_chain_end(self, *args: Any, run_id: Any, **kwargs: Any) -> None:
        self.ends.append(run_id)

    def on_llm_end(self, *args: Any, run_id: Any, **kwargs: Any) -> None:
        self.ends.append(run_id)

    def on_chain_error(self, error: Any, *, run_id: Any, **kwargs: Any) -> None:
        self.errors.append((run_id, error))

    def on_llm_error(self, error: Any, *, run_id: Any, **kwargs: Any) -> None:
        self.errors.append((run_id, error))


@every_colour
def test_handlers_are_told_once_of_each_run(colour):
    def body(doors: Any) -> None:
        told = Told()
        events = watch(doors, _chain(), {"x": "x"}, {"callbacks": [told]})
        until(events, is_token)
        events.close()
        assert len(told.starts) == 4
        assert sorted([*told.ends, *(run for run, _ in told.errors)]) == sorted(told.starts)
        assert len(told.errors) == 3, "prompt ended; model, parser and chain did not"
        assert all(isinstance(error, RunCancelledError) for _, error in told.errors)

    colour.run(body, LIMIT)


@every_colour
@pytest.mark.parametrize("typed", [False, True], ids=["dicts", "typed"])
def test_closed_at_each_of_the_first_events(typed, colour):
    def body(doors: Any) -> None:
        for number in range(12):
            kept = Recorder()
            events = watch(doors, _chain(), {"x": "x"}, kept.config, typed=typed)
            for _ in range(number):
                events.next()
            events.close()
            assert not LEDGER.still_open
            if number:
                check_events(kept.events)
                assert isinstance(root_end(kept.events), RunCancelled)
            else:
                assert not kept.events

    colour.run(body, LIMIT)


# ------------------------------------------------------------------ sync


@sync_colours
@everywhere
def test_broken_out_of_and_deleted(place, colour):
    def body(doors: Any) -> None:
        kept = Recorder()
        events = PLACES[place]().stream_events({"x": "x"}, kept.config)
        for event in events:
            if is_token(event):
                break
        del events
        gc.collect()
        ended(kept)

    colour.run(body, LIMIT)


@sync_colours
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
@everywhere
def test_thrown_into(place, error, colour):
    def body(doors: Any) -> None:
        kept = Recorder()
        events = PLACES[place]().stream_events({"x": "x"}, kept.config)
        for event in events:
            if is_token(event):
                break
        thrown = error("left")
        with pytest.raises(error) as caught:
            events.throw(thrown)
        assert caught.value is thrown
        ended(kept)

    colour.run(body, LIMIT)


@pytest.mark.parametrize("place", ["chain", "called", "parallel", "batch"])
def test_ctrl_c_while_waiting_for_an_event(place):
    """No event of this run is shown, so the consumer waits; then the signal comes."""
    kept = Recorder()
    LEDGER.reset()
    main = threading.get_ident()
    spoke = threading.Event()

    def interrupt() -> None:
        assert spoke.wait(WAIT)
        signal.pthread_kill(main, signal.SIGINT)

    def on(event: Any) -> None:
        if event.kind == "chunk" and event.run.run_type == "chat_model":
            spoke.set()

    kept.on = on
    events = PLACES[place]().stream_events({"x": "x"}, kept.config, include_names=["nobody"])
    thread = threading.Thread(target=interrupt)
    with pytest.raises(KeyboardInterrupt):
        thread.start()
        next(events)
    thread.join()
    ended(kept)


# ------------------------------------------------------------------ async


async def _consume(events: Any, spoke: asyncio.Event) -> None:
    async for event in events:
        if is_token(event):
            spoke.set()


def _run(main: Any) -> None:
    """Like the async colour, for a coroutine function of its own."""

    def body(doors: Any) -> None:
        doors.wait(main())

    ASYNC.run(body, LIMIT)


@everywhere
@pytest.mark.parametrize("times", [1, 3], ids=["once", "again and again"])
def test_task_cancelled(times, place):
    async def main() -> None:
        kept, spoke = Recorder(), asyncio.Event()
        events = PLACES[place]().astream_events({"x": "x"}, kept.config)
        task = asyncio.create_task(_consume(events, spoke))
        await spoke.wait()
        task.cancel()
        for _ in range(times - 1):
            await asyncio.sleep(0)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ended(kept)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _run(main)


@everywhere
def test_task_cancelled_while_it_waits_for_an_event(place):
    async def main() -> None:
        kept, spoke = Recorder(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def on(event: Any) -> None:
            if event.kind == "chunk" and event.run.run_type == "chat_model":
                loop.call_soon_threadsafe(spoke.set)

        kept.on = on
        events = PLACES[place]().astream_events({"x": "x"}, kept.config, include_names=["nobody"])
        task = asyncio.create_task(_consume(events, asyncio.Event()))
        await spoke.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ended(kept)

    _run(main)


@everywhere
def test_timeout(place):
    async def main() -> None:
        kept, spoke = Recorder(), asyncio.Event()
        events = PLACES[place]().astream_events({"x": "x"}, kept.config)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.03):
                await _consume(events, spoke)
        assert spoke.is_set()
        ended(kept)

    _run(main)


@everywhere
def test_scope_that_is_cancelled_while_it_is_read(place):
    async def main() -> None:
        kept = Recorder()
        events = PLACES[place]().astream_events({"x": "x"}, kept.config)
        with anyio.CancelScope() as scope:
            async for event in events:
                if is_token(event):
                    scope.cancel()
                    await anyio.lowlevel.checkpoint()
                    raise AssertionError("the scope let it pass")
        assert scope.cancelled_caught
        await events.aclose()
        ended(kept)

    _run(main)


@everywhere
def test_read_on_in_a_scope_that_is_cancelled(place):
    """A cancelled scope cancels every wait in it, the waits of closing included."""

    async def main() -> None:
        kept = Recorder()
        events = PLACES[place]().astream_events({"x": "x"}, kept.config)
        async for event in events:
            if is_token(event):
                break
        with anyio.CancelScope() as scope:
            scope.cancel()
            async for _ in events:
                # a view with events at hand gives them without a wait that could be cancelled
                await anyio.lowlevel.checkpoint()
        await events.aclose()
        ended(kept)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _run(main)


@everywhere
def test_closed_in_a_scope_that_is_cancelled(place):
    async def main() -> None:
        kept = Recorder()
        events = PLACES[place]().astream_events({"x": "x"}, kept.config)
        async for event in events:
            if is_token(event):
                break
        with anyio.CancelScope() as scope:
            scope.cancel()
            await events.aclose()
        ended(kept)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _run(main)


@everywhere
def test_begun_in_a_scope_that_is_cancelled(place):
    async def main() -> None:
        kept = Recorder()
        events = PLACES[place]().astream_events({"x": "x"}, kept.config)
        with anyio.CancelScope() as scope:
            scope.cancel()
            async for _ in events:
                pass
        await events.aclose()
        assert not LEDGER.still_open
        if kept.events:
            check_events(kept.events)
            assert isinstance(root_end(kept.events), RunCancelled)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _run(main)


@pytest.mark.parametrize("how", ["aclose", "cancel", "scope", "aclose in scope", "cancel twice"])
@pytest.mark.parametrize("shape", ["alone", "called", "parallel", "between"])
def test_a_finally_that_waits_is_waited_for(shape, how):
    """What a step does to clean up may take a while: it is over when control returns."""

    async def main() -> None:
        closed: list[str] = []

        async def speaks(_: Any) -> Any:
            try:
                while True:
                    await asyncio.sleep(0.001)
                    yield "x"
            finally:
                for _ in range(5):
                    await asyncio.sleep(0.002)
                closed.append("yes")

        step = RunnableLambda(speaks, name="speaks")
        runnable: Any = {
            "alone": step,
            "called": RunnableLambda(_streams(step), name="called"),
            "parallel": RunnableParallel(a=step, b=RunnablePassthrough()),
            "between": RunnableLambda(collect, acollect) | step | relay(),
        }[shape]
        kept, begun = Recorder(), asyncio.Event()
        events = runnable.astream_events("x", kept.config)
        await _leave(events, how, begun)
        assert closed == ["yes"]
        check_events(kept.events)
        assert isinstance(root_end(kept.events), RunCancelled)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _run(main)


def _streams(step: Any) -> Any:
    async def body(x: Any) -> str:
        return "".join([chunk async for chunk in step.astream(x)])

    return body


async def _leave(events: Any, how: str, begun: asyncio.Event) -> None:
    async def read() -> None:
        async for event in events:
            if event["event"] == "on_chain_stream":
                begun.set()

    if how.startswith("cancel"):
        task = asyncio.create_task(read())
        await begun.wait()
        task.cancel()
        if how == "cancel twice":
            await asyncio.sleep(0.003)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return
    async for event in events:
        if event["event"] == "on_chain_stream":
            break
    with anyio.CancelScope() as scope:
        if how != "aclose":
            scope.cancel()
        if how == "scope":
            async for _ in events:
                pass
        else:
            await events.aclose()


@everywhere
@pytest.mark.allows_leaks(reason="the async generator is left to the garbage collector")
def test_async_broken_out_of_and_deleted(place):
    async def main() -> None:
        kept = Recorder()
        events = PLACES[place]().astream_events({"x": "x"}, kept.config)
        async for event in events:
            if is_token(event):
                break
        del events
        gc.collect()
        async with asyncio.timeout(WAIT):
            while asyncio.all_tasks() != {asyncio.current_task()}:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        ended(kept)

    _run(main)


@everywhere
@pytest.mark.allows_leaks(reason="the async generator is left to the loop that ends")
def test_async_broken_out_of_and_the_loop_ends(place):
    kept = Recorder()
    LEDGER.reset()
    left: list[Any] = []

    async def main() -> None:
        events = PLACES[place]().astream_events({"x": "x"}, kept.config)
        left.append(events)
        async for event in events:
            if is_token(event):
                break

    asyncio.run(main())
    ended(kept)


def test_an_error_of_the_consumer_ends_the_run():
    async def main() -> None:
        kept = Recorder()
        error = ValueError("mine")
        with pytest.raises(ValueError, match="mine") as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0))
                events = _chain().astream_events({"x": "x"}, kept.config)
                try:
                    async for event in events:
                        if is_token(event):
                            raise error
                except ValueError as seen:
                    await events.aclose()
                    held = seen
            raise held
        assert caught.value is error
        ended(kept)

    _run(main)


def test_a_step_that_fails_while_its_consumer_leaves_tells_so_in_each_colour_or_in_none():
    outcomes: dict[str, Any] = {}

    def body(doors: Any) -> None:
        gate = threading.Event()

        def fails(_: Any) -> Any:
            assert gate.wait(WAIT)
            raise ValueError("while leaving")

        events = watch(doors, RunnableLambda(fails), "x")
        events.next()
        events.pause(0.01)
        timer = threading.Timer(0.02, gate.set)
        timer.start()
        name = "async" if doors.asynchronous else "sync"
        try:
            events.close()
            outcomes[name] = None
        except ValueError as error:
            outcomes[name] = str(error)
        timer.join()

    for colour in (SYNC, ASYNC):
        colour.run(body, LIMIT)
    assert len(set(outcomes.values())) == 1, outcomes


@every_colour
def test_a_view_that_was_left_can_be_opened_again(colour):
    def body(doors: Any) -> None:
        made: list[int] = []
        chain = endless(made)
        for _ in range(3):
            kept = Recorder()
            events = watch(doors, chain, "x", kept.config)
            until(events, lambda event: event["event"] == "on_chain_stream")
            events.close()
            assert isinstance(root_end(kept.events), RunCancelled)
        assert not LEDGER.still_open

    colour.run(body, LIMIT)
