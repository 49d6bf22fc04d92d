"""After a thousand watched runs, a third of them left early, nothing of them is kept."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import aclosing
from typing import Any

import pytest

from behaviour.pieces import END, LIMIT, watch
from headrace.callbacks import BaseCallbackHandler
from headrace.runnables import RunnableGenerator, RunnableLambda
from laws.colours import ASYNC, SYNC, every_colour

RUNS = 1000


class Weak:
    """An input, or a chunk; only weak references to it are kept."""

    def __init__(self, refs: list[Any]) -> None:
        refs.append(weakref.ref(self))

    def __add__(self, other: Any) -> Any:
        return other


def _pass(chunks: Any) -> Any:
    yield from chunks


async def _apass(chunks: Any) -> Any:
    async for chunk in chunks:
        yield chunk


def chain(refs: list[Any]) -> Any:
    def make(given: Any) -> Any:
        for _ in range(4):
            yield Weak(refs)

    async def amake(given: Any) -> Any:
        for _ in range(4):
            await asyncio.sleep(0)
            yield Weak(refs)

    return RunnableLambda(make, amake, name="make") | RunnableGenerator(_pass, _apass)


class Hears(BaseCallbackHandler):
    def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
        pass

    def on_chain_end(self, *args: Any, **kwargs: Any) -> None:
        pass

    def on_chain_error(self, *args: Any, **kwargs: Any) -> None:
        pass


def alive(refs: list[Any]) -> int:
    gc.collect()
    return sum(ref() is not None for ref in refs)


def runs(doors: Any, number: int, config: Any = None, typed: bool = False) -> list[Any]:
    refs: list[Any] = []
    made = chain(refs)  # one chain for all
    for turn in range(number):
        events = watch(doors, made, Weak(refs), config, typed=typed)
        doors.opened.clear()  # the test's own
        if turn % 3:
            events.rest()
            continue
        for _ in range(turn % 7):
            if events.next() is END:
                break
        events.close()
    del events
    return refs


@pytest.mark.parametrize("colour", [SYNC, ASYNC], ids=repr)
def test_a_thousand_runs(colour):
    def body(doors: Any) -> None:
        refs = runs(doors, RUNS)
        assert len(refs) > 3 * RUNS
        assert not alive(refs)

    colour.run(body, LIMIT)


@every_colour
@pytest.mark.parametrize("typed", [False, True], ids=["dicts", "typed"])
def test_with_a_handler(typed, colour):
    def body(doors: Any) -> None:
        refs = runs(doors, 60, {"callbacks": [Hears()]}, typed)
        assert not alive(refs)

    colour.run(body, LIMIT)


@every_colour
def test_runs_that_fail(colour):
    def body(doors: Any) -> None:
        refs: list[Any] = []

        def fail(chunks: Any) -> Any:
            for number, chunk in enumerate(chunks):
                if number == 2:
                    raise ValueError("third")
                yield chunk

        made = chain(refs) | fail
        for _ in range(50):
            events = watch(doors, made, Weak(refs))
            doors.opened.clear()
            with pytest.raises(ValueError, match="third"):
                events.rest()
        del events
        assert not alive(refs)

    colour.run(body, LIMIT)


def test_tasks_that_are_cancelled():
    refs: list[Any] = []

    async def read(made: Any) -> None:
        async with aclosing(made.astream_events(Weak(refs))) as events:
            async for _ in events:
                await asyncio.sleep(0)

    def body(doors: Any) -> None:
        async def main() -> None:
            made = chain(refs)
            for turn in range(200):
                task = asyncio.create_task(read(made))
                for _ in range(turn % 10):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                del task

        doors.wait(main())
        assert len(refs) > 200
        assert not alive(refs)

    ASYNC.run(body, LIMIT)


@every_colour
def test_a_view_that_is_never_started_keeps_nothing(colour):
    def body(doors: Any) -> None:
        refs: list[Any] = []
        for _ in range(20):
            events = watch(doors, chain(refs), Weak(refs))
            events.close()
            doors.opened.clear()
        del events
        assert not alive(refs)

    colour.run(body, LIMIT)
