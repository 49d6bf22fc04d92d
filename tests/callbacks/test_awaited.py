"""Awaited observers: what they may invoke, what is kept for them, what takes a thread."""

from __future__ import annotations

import asyncio

import pytest

from headrace.callbacks import (
    AsyncBaseTracer,
    AsyncCallbackHandler,
    BaseCallbackHandler,
    BaseTracer,
    atrace_as_chain_group,
)
from headrace.callbacks import base as dispatch
from headrace.run import current_run
from headrace.runnables import RunnableGenerator, RunnableLambda
from laws.colours import both_drivers, every_colour
from laws.watchdog import watched

one = RunnableLambda(lambda x: x, name="one")


class Ends(AsyncCallbackHandler):
    def __init__(self):
        self.outputs = []

    async def on_chain_end(self, outputs, **kwargs):
        await asyncio.sleep(0)
        self.outputs.append(outputs)


# ---- what an awaited observer invokes -----------------------------------------------------------


@every_colour
def test_a_listener_may_invoke_with_the_config_it_was_given(colour):
    async def on_end(run, config):
        assert await one.ainvoke("log", config) == "log"
        assert [x async for x in one.astream("stream", config)] == ["stream"]
        assert await one.abatch(["b1", "b2"], config) == ["b1", "b2"]

    def body(doors):
        handler = Ends()
        chain = one | one.with_alisteners(on_end=on_end)
        assert doors.invoke(chain, 1, {"callbacks": [handler]}) == 1
        assert sorted(handler.outputs, key=str) == [1, 1, 1, "b1", "b2", "log", "stream"]

    colour.run(body, 5)


@both_drivers
def test_a_hook_may_invoke_with_the_config_of_the_run_it_is_told_of(colour):
    class Invokes(Ends):
        async def on_chain_end(self, outputs, **kwargs):
            await super().on_chain_end(outputs, **kwargs)
            if outputs == 1:
                await one.ainvoke("hook", self.config)

    def body(doors):
        handler = Invokes()

        def keeps(x, config):
            handler.config = config
            return x

        chain = RunnableLambda(keeps) | (lambda x: x + 1)
        assert doors.invoke(chain, 1, {"callbacks": [handler]}) == 2
        assert sorted(handler.outputs, key=str) == [1, 2, 2, "hook"]

    colour.run(body, 5)


@both_drivers
def test_a_listener_may_open_a_group_below_its_run(colour):
    async def on_end(run, config):
        async with atrace_as_chain_group("g", config["callbacks"]) as manager:
            await one.ainvoke("inside", {"callbacks": manager})
            await manager.on_chain_end("group")

    def body(doors):
        handler = Ends()
        chain = one | one.with_alisteners(on_end=on_end)
        assert doors.invoke(chain, 1, {"callbacks": [handler]}) == 1
        assert sorted(handler.outputs, key=str) == [1, 1, 1, "group", "inside"]

    colour.run(body, 5)


def test_two_trees_whose_observers_invoke_each_other_hang_nothing():
    async def main():
        handler = Ends()

        async def inner(run, config):
            await one.ainvoke("back", outside["config"])

        outside = {}

        async def outer(run, config):
            outside["config"] = config
            other = one | one.with_alisteners(on_end=inner)
            await other.ainvoke("other", {"callbacks": [Ends()]})

        chain = one | one.with_alisteners(on_end=outer)
        await chain.ainvoke(1, {"callbacks": [handler]})
        return handler.outputs

    with watched("two trees", 5):
        assert sorted(asyncio.run(main()), key=str) == [1, 1, 1, "back"]


def test_a_task_that_outlives_its_hook_tells_by_itself():
    async def main():
        handler, go_on, tasks = Ends(), asyncio.Event(), []

        async def later(config):
            await go_on.wait()
            await one.ainvoke("late", config)

        async def on_end(run, config):
            tasks.append(asyncio.create_task(later(config)))

        await (one | one.with_alisteners(on_end=on_end)).ainvoke(1, {"callbacks": [handler]})
        assert "late" not in handler.outputs
        go_on.set()
        await tasks[0]
        return handler.outputs[-1]

    with watched("a task that outlives its hook", 5):
        assert asyncio.run(main()) == "late"


# ---- tracers with coroutine hooks ---------------------------------------------------------------


class Kept(BaseTracer):
    def __init__(self):
        super().__init__()
        self.log = []

    def _persist_run(self, run):
        self.log.append(run.outputs)


class KeptAwaited(AsyncBaseTracer):
    def __init__(self):
        super().__init__()
        self.log = []

    async def _persist_run(self, run):
        await asyncio.sleep(0)
        self.log.append(run.outputs)


@every_colour
@pytest.mark.parametrize("kind", [Kept, KeptAwaited])
def test_a_tracer_with_a_coroutine_hook_goes_on_tracing(colour, kind):
    class WithHook(kind):
        async def on_chain_start(self, serialized, inputs, **kwargs):
            await asyncio.sleep(0)
            self.log.append(inputs)

    def body(doors):
        tracer = WithHook()
        doors.invoke(one, "x", {"callbacks": [tracer]})
        assert tracer.log == ["x", {"output": "x"}]

    colour.run(body)


@every_colour
def test_a_handler_with_a_way_of_its_own_to_be_told_keeps_it(colour):
    class Own(BaseCallbackHandler):
        def __init__(self):
            self.log = []

        def on_event(self, event):
            self.log.append(type(event).__name__)

        async def aon_event(self, event):
            self.log.append(type(event).__name__)

        async def on_llm_end(self, response, **kwargs):
            raise AssertionError("no model runs")

    def body(doors):
        handler = Own()
        doors.stream(one, "x", {"callbacks": [handler]})
        assert handler.log == ["RunStarted", "RunChunk", "RunEnded"]

    colour.run(body)


# ---- what is kept, what is finished in a thread -------------------------------------------------


class OnlyModels(AsyncCallbackHandler):
    async def on_llm_end(self, response, **kwargs):
        raise AssertionError("no model runs")


class OnlyEnds(AsyncBaseTracer):
    async def _persist_run(self, run):
        pass


@pytest.mark.parametrize("kind", [OnlyModels, OnlyEnds])
def test_chunks_that_nobody_wants_are_not_kept_until_somebody_comes_by(kind):
    waiting = []

    def pieces(_):
        for _ in range(50):
            yield 1

    many = RunnableGenerator(pieces)

    def reads(x):
        waiting.extend(len(current_run().pending) for _ in many.stream(x))

    async def main():
        await RunnableLambda(reads).ainvoke(1, {"callbacks": [kind()]})

    asyncio.run(main())
    assert len(waiting) == 50
    # the start of `reads` is told before it is called; that of `many` is all that may wait
    assert max(waiting) <= (1 if kind is OnlyEnds else 0)


@both_drivers
def test_a_tracer_takes_a_thread_only_for_what_is_awaitable(colour, monkeypatch):
    finished = []
    real = dispatch.finish_in_thread
    monkeypatch.setattr(dispatch, "finish_in_thread", lambda x: (finished.append(x), real(x))[1])

    def body(doors):
        tracer = KeptAwaited()
        doors.transform(one | one, list("abcdef"), {"callbacks": [tracer]})
        assert tracer.log == [{"output": "abcdef"}]
        assert len(finished) == (0 if colour.asynchronous else 1)
        finished.clear()

    colour.run(body)


@every_colour
def test_a_handler_is_handed_only_what_it_has_a_hook_for(colour, monkeypatch):
    handed = []

    class Starts(BaseCallbackHandler):
        def on_chain_start(self, serialized, inputs, **kwargs):
            handed.append("hook")

    def handle(self, event):
        handed.append(type(event).__name__)
        return plain(self, event)

    plain = BaseCallbackHandler._call_hook
    monkeypatch.setattr(BaseCallbackHandler, "_call_hook", handle)

    def body(doors):
        doors.stream(one, "x", {"callbacks": [Starts()]})
        assert handed == ["RunStarted", "hook"]
        handed.clear()

    colour.run(body)
