"""The leak check of conftest.py: it sees each kind of leak, and nothing where there is none.

The fixture that watches every test hands out what it has found so far; these tests leak, look at
it, and clean up (or they would fail for it).
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing

import pytest


async def numbers():
    for n in range(3):
        yield n


async def relay():
    async for n in numbers():
        yield n


@pytest.fixture
def found(nothing_left_running):
    """Sentences about the leaks so far; emptied afterwards, so that the test itself passes."""
    yield nothing_left_running.found
    nothing_left_running.found.clear()


def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    thread.join()


@pytest.mark.parametrize("run", [asyncio.run, lambda main: in_thread(asyncio.run, main)])
def test_a_task_left_to_the_end_of_its_loop_is_found(run, found):
    async def main():
        task = asyncio.create_task(asyncio.sleep(60), name="forgotten")
        await asyncio.sleep(0)
        assert not task.done()

    run(main())
    assert len(found) == 1
    assert "forgotten" in found[0]


async def test_a_generator_that_a_break_dropped_is_found(found):
    async for _ in numbers():
        break
    assert len(found) == 1
    assert "dropped without aclose(): numbers" in found[0]


async def test_an_inner_generator_that_the_outer_one_did_not_close_is_found(found):
    async with aclosing(relay()) as stream:
        await anext(stream)
    assert len(found) == 1
    assert "dropped without aclose(): numbers" in found[0]


def test_a_generator_still_open_when_its_loop_closes_is_found(found):
    stream = numbers()

    async def main():
        await anext(stream)

    asyncio.run(main())
    assert len(found) == 1
    assert "still open: numbers" in found[0]


def test_a_generator_driven_by_hand_is_found(found, nothing_left_running):
    stream = numbers()
    with pytest.raises(StopIteration):
        anext(stream).send(None)
    nothing_left_running.test_ended()
    assert len(found) == 1
    assert "still open: numbers" in found[0]
    with pytest.raises(StopIteration):
        stream.aclose().send(None)


@pytest.mark.parametrize(("name", "daemon"), [("worker", False), ("headrace-stream-1", True)])
def test_a_thread_left_alive_is_found(name, daemon, found, nothing_left_running):
    go = threading.Event()
    thread = threading.Thread(target=go.wait, name=name, daemon=daemon)
    thread.start()
    nothing_left_running.test_ended()
    go.set()
    thread.join()
    assert len(found) == 1
    assert f"thread still alive: <Thread({name}" in found[0]


def test_pool_workers_and_foreign_daemons_may_stay(found, nothing_left_running):
    go = threading.Event()
    threads = [
        threading.Thread(target=go.wait, name="headrace-pool_0"),
        threading.Thread(target=go.wait, name="AnyIO worker thread"),
        threading.Thread(target=go.wait, name="somebody-else", daemon=True),
    ]
    for thread in threads:
        thread.start()
    nothing_left_running.test_ended()
    assert found == []
    go.set()
    for thread in threads:
        thread.join()


async def test_what_is_finished_or_closed_is_no_leak(found):
    assert [n async for n in relay()] == [0, 1, 2]
    async with aclosing(numbers()) as stream:
        assert await anext(stream) == 0
    await asyncio.create_task(asyncio.sleep(0))
    await asyncio.to_thread(int)
    assert found == []
