"""Hooks that are set on a handler or its class after the class was made, as tests of users do."""

from __future__ import annotations

import asyncio
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest

from headrace.callbacks import (
    AsyncCallbackHandler,
    BaseCallbackHandler,
    CallbackManager,
    RunCollectorCallbackHandler,
)
from headrace.events import RunChunk
from headrace.run import observed
from headrace.runnables import RunnableLambda
from laws.colours import every_colour

one = RunnableLambda(lambda x: x, name="one")


@every_colour
@pytest.mark.parametrize("mock", [Mock, MagicMock, AsyncMock])
@pytest.mark.parametrize("kind", [BaseCallbackHandler, AsyncCallbackHandler])
def test_a_mock_set_on_an_instance_is_called(colour, mock, kind):
    def body(doors):
        handler, other = kind(), kind()
        hook = handler.on_chain_start = mock()
        doors.invoke(one, "x", {"callbacks": [handler, other]})
        hook.assert_called_once()
        assert hook.call_args.args[1] == "x"
        if mock is AsyncMock:
            hook.assert_awaited_once()
        del handler.on_chain_start
        doors.invoke(one, "x", {"callbacks": [handler]})
        hook.assert_called_once()
        assert vars(handler) == {}

    colour.run(body)


@every_colour
def test_a_coroutine_hook_set_on_an_instance_is_awaited_in_the_loop_of_the_run(colour):
    def body(doors):
        loops, handler = [], BaseCallbackHandler()

        async def on_chain_end(outputs, **kwargs):
            await asyncio.sleep(0)
            loops.append(asyncio.get_running_loop())

        def here(x):
            try:
                return asyncio.get_running_loop()
            except RuntimeError:
                return None

        handler.on_chain_end = on_chain_end
        loop = doors.invoke(RunnableLambda(here), "x", {"callbacks": [handler]})
        assert len(loops) == 1
        if colour.asynchronous:
            assert loops == [handler_loop(doors)]
        else:
            assert loops != [loop]

    def handler_loop(doors):
        async def running():
            return asyncio.get_running_loop()

        return doors.wait(running())

    colour.run(body)


@every_colour
def test_a_hook_set_on_a_class_is_called_for_it_and_for_subclasses(colour, monkeypatch):
    class Handler(BaseCallbackHandler):
        pass

    class Below(Handler):
        pass

    def body(doors):
        handlers, seen = [Handler(), Below()], []
        doors.invoke(one, "x", {"callbacks": handlers})
        with monkeypatch.context() as patch:
            patch.setattr(Handler, "on_chain_end", lambda self, out, **kw: seen.append(self))
            doors.invoke(one, "x", {"callbacks": handlers})
            assert seen == handlers
            patch.setattr(Below, "ignore_chain", True)
            doors.invoke(one, "x", {"callbacks": handlers})
            assert seen == [*handlers, handlers[0]]
        doors.invoke(one, "x", {"callbacks": handlers})
        assert len(seen) == 3

    colour.run(body)


@every_colour
def test_a_coroutine_hook_set_on_a_class_is_awaited(colour):
    def body(doors):
        class Handler(BaseCallbackHandler):
            pass

        hook = Handler.on_chain_end = AsyncMock()
        doors.invoke(one, "x", {"callbacks": [Handler()]})
        hook.assert_awaited_once()

    colour.run(body)


@every_colour
def test_hooks_set_on_a_tracer_and_on_the_handlers_of_a_manager(colour):
    def body(doors):
        tracer, inside = RunCollectorCallbackHandler(), BaseCallbackHandler()
        tracer.on_chain_start, inside.on_chain_end = Mock(), Mock()
        callbacks = CallbackManager([tracer, inside])
        doors.invoke(one, "x", {"callbacks": callbacks})
        tracer.on_chain_start.assert_called_once()
        inside.on_chain_end.assert_called_once()
        assert [run.outputs for run in tracer.traced_runs] == [{"output": "x"}]

    colour.run(body)


def test_hooks_set_on_a_handler_of_a_block():
    handler = BaseCallbackHandler()
    handler.on_chain_end = Mock()
    with observed(handler):
        one.invoke("x")
    handler.on_chain_end.assert_called_once()


class TakesEvents:
    def on_event(self, event):
        self.seen.append(type(event).__name__)


class Mixed(TakesEvents, BaseCallbackHandler):
    pass


class Below(Mixed):
    def on_llm_end(self, response, **kwargs):
        raise AssertionError("no model runs")


class Traces(TakesEvents, RunCollectorCallbackHandler):
    pass


@every_colour
@pytest.mark.parametrize("kind", [Mixed, Below, Traces])
def test_who_takes_whole_events_hears_all(colour, kind):
    def body(doors):
        handler, late, on_one = kind(), BaseCallbackHandler(), BaseCallbackHandler()
        handler.seen, late.seen = [], []
        late_class = late.__class__ = type("Late", (BaseCallbackHandler,), {})
        late_class.on_event, on_one.on_event = TakesEvents.on_event, Mock()
        doors.stream(one, "x", {"callbacks": [handler, late, on_one]})
        assert handler.seen == late.seen == ["RunStarted", "RunChunk", "RunEnded"]
        assert on_one.on_event.call_count == 3

    colour.run(body)


@every_colour
def test_who_says_what_to_hear_gets_that(colour):
    class Picky(BaseCallbackHandler):
        def wants(self, run):
            return {RunChunk}

        on_event = TakesEvents.on_event

    def body(doors):
        handler = Picky()
        handler.seen = []
        doors.stream(one, "x", {"callbacks": [handler]})
        assert handler.seen == ["RunChunk"]

    colour.run(body)
