"""Custom events: reported through the run they come from; a warning where there is none."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from headrace.callbacks import (
    AsyncCallbackHandler,
    BaseCallbackHandler,
    CallbackManager,
    adispatch_custom_event,
    dispatch_custom_event,
)
from headrace.callbacks import manager as managers
from headrace.errors import HeadraceWarning, NoRunWarning
from headrace.runnables import RunnableConfig, RunnableGenerator, RunnableLambda
from laws.colours import every_colour


class Hears(BaseCallbackHandler):
    def __init__(self):
        self.heard = []

    def on_custom_event(self, name, data, *, run_id, tags=None, metadata=None):
        self.heard.append((name, data, run_id, tags, metadata))


class HearsAwaited(AsyncCallbackHandler):
    def __init__(self):
        self.heard = []

    async def on_custom_event(self, name, data, *, run_id, tags=None, metadata=None):
        await asyncio.sleep(0)
        self.heard.append((name, data, run_id, tags, metadata))


class Deaf(Hears):
    ignore_custom_event = True


both_kinds = pytest.mark.parametrize("kind", [Hears, HearsAwaited])


def reports(x):
    dispatch_custom_event("halfway", {"at": x})
    return x


async def areports(x):
    await adispatch_custom_event("halfway", {"at": x})
    return x


twice = RunnableLambda(reports, afunc=areports)


@every_colour
@both_kinds
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_an_event_comes_with_the_id_tags_and_metadata_of_its_run(colour, kind, way):
    def body(doors):
        handler, run_id = kind(), uuid4()
        config = {"callbacks": [handler], "run_id": run_id, "tags": ["t"], "metadata": {"m": 1}}
        getattr(doors, way)(twice, 5, config)
        assert handler.heard == [("halfway", {"at": 5}, run_id, ["t"], {"m": 1})]

    colour.run(body)


@every_colour
def test_a_config_that_is_handed_on_finds_the_run_in_a_thread_of_ones_own(colour):
    def elsewhere(x, config: RunnableConfig):
        def work():
            dispatch_custom_event("from a thread", x, config=config)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return x

    def body(doors):
        handler, deaf, run_id = Hears(), Deaf(), uuid4()
        doors.invoke(RunnableLambda(elsewhere), 5, {"callbacks": [handler, deaf], "run_id": run_id})
        assert [(name, told) for name, _, told, *_ in handler.heard] == [("from a thread", run_id)]
        assert deaf.heard == []

    colour.run(body)


@every_colour
def test_threads_with_the_context_find_the_run(colour):
    def pooled(x):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(contextvars.copy_context().run, reports, x).result()
        return x

    async def threaded(x):
        await asyncio.to_thread(reports, x)
        return x

    def body(doors):
        handler, run_id = Hears(), uuid4()
        step = RunnableLambda(pooled, afunc=threaded)
        doors.invoke(step, 5, {"callbacks": [handler], "run_id": run_id})
        assert [told for _, _, told, *_ in handler.heard] == [run_id]

    colour.run(body)


async def gathered(x):
    async def part(n):
        await asyncio.sleep(0)
        await areports(n)

    await asyncio.gather(part(1), asyncio.create_task(part(2)), asyncio.to_thread(reports, 3))
    return x


def spread(x):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(reports, [1, 2]))
    return x


def generates(chunks):
    for chunk in chunks:
        yield spread(reports(chunk))


async def agenerates(chunks):
    async for chunk in chunks:
        yield await gathered(reports(chunk))


@every_colour
@pytest.mark.parametrize(
    "step",
    [
        RunnableLambda(reports, afunc=areports),
        RunnableLambda(spread, afunc=gathered),
        RunnableLambda(lambda x, config: spread(x)),
        RunnableGenerator(generates, agenerates),
        RunnableLambda(spread, afunc=gathered) | RunnableGenerator(generates, agenerates),
    ],
    ids=["plain", "tasks and threads", "with a config", "generator", "chain"],
)
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_inside_an_unobserved_run_nothing_is_said(colour, step, way):
    def body(doors):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            getattr(doors, way)(step, 5)

    colour.run(body)


def test_the_config_of_an_unobserved_run_says_so_in_any_thread():
    seen = []

    def leaves(x, config: RunnableConfig):
        seen.append(config)
        return x

    RunnableLambda(leaves).invoke(1)
    dispatch_custom_event("late", 1, config=seen[0])  # warnings are errors here


def test_outside_any_run_there_is_a_warning_that_points_at_the_call():
    with pytest.warns(NoRunWarning, match="'lost' was dispatched outside any run") as caught:
        dispatch_custom_event("lost", 1)
    assert caught[0].filename == __file__
    assert issubclass(NoRunWarning, HeadraceWarning)

    async def main():
        await adispatch_custom_event("lost", 2)

    with pytest.warns(NoRunWarning) as caught:
        asyncio.run(main())
    assert caught[0].filename == __file__


def test_handlers_in_a_config_without_a_run_are_not_told_and_that_is_said():
    handler = Hears()
    with pytest.warns(NoRunWarning):
        dispatch_custom_event("lost", 1, config={"callbacks": [handler]})
    assert handler.heard == []


def test_between_the_chunks_of_a_stream_is_outside():
    stream = RunnableGenerator(generates).stream(1)
    assert next(stream) == 1
    with pytest.warns(NoRunWarning):
        dispatch_custom_event("between", 1)
    stream.close()


def test_a_manager_reports_for_its_handlers():
    handler = Hears()
    manager = CallbackManager([handler], tags=["t"])
    manager.on_custom_event("by hand", 1)
    ((name, data, _, tags, metadata),) = handler.heard
    assert (name, data, tags, metadata) == ("by hand", 1, ["t"], {})
    assert managers.dispatch_custom_event is dispatch_custom_event


@every_colour
def test_views_show_them_and_handlers_in_views_hear_them(colour):
    def body(doors):
        handler = Hears()
        config = {"callbacks": [handler]}
        if doors.asynchronous:

            async def main():
                return [e async for e in twice.astream_events(5, config, version="v2")]

            events = doors.wait(main())
        else:
            events = list(twice.stream_events(5, config, version="v2"))
        (custom,) = [e for e in events if e["event"] == "on_custom_event"]
        assert (custom["name"], custom["data"]) == ("halfway", {"at": 5})
        assert [name for name, *_ in handler.heard] == ["halfway"]

    colour.run(body)


def test_the_warning_points_at_the_users_line():
    """Also where the coroutine is a task of its own, which the event loop calls."""

    async def awaits():
        await adispatch_custom_event("lost", 1)

    async def makes_a_task():
        await asyncio.create_task(adispatch_custom_event("lost", 1))

    ways = [
        lambda: dispatch_custom_event("lost", 1),
        lambda: asyncio.run(awaits()),
        lambda: asyncio.run(adispatch_custom_event("lost", 1)),
        lambda: asyncio.run(makes_a_task()),
    ]
    for way in ways:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            way()
        assert [(w.category, w.filename) for w in caught] == [(NoRunWarning, __file__)]
