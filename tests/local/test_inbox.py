"""The hand-over from a thread to an event loop: nothing lost, one wake-up per batch."""

from __future__ import annotations

import asyncio
import threading

import pytest

from headrace.local.inbox import Inbox


async def test_a_busy_loop_is_called_once_for_all_that_came():
    inbox: Inbox[int] = Inbox(asyncio.get_running_loop())

    def work() -> None:
        for number in range(1000):
            inbox.put(number)
        inbox.end()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()  # the loop is busy meanwhile
    assert await inbox.take() == list(range(1000))
    assert await inbox.take() == []
    assert inbox.calls == 1


async def test_nothing_is_lost_or_reordered_however_the_two_interleave():
    for _ in range(20):
        inbox: Inbox[int] = Inbox(asyncio.get_running_loop())

        def work(inbox: Inbox[int] = inbox) -> None:
            for number in range(500):
                inbox.put(number)
            inbox.end()

        thread = threading.Thread(target=work)
        thread.start()
        got: list[int] = []
        while batch := await asyncio.wait_for(inbox.take(), 5):
            got += batch
        thread.join()
        assert got == list(range(500))
        assert inbox.calls <= 501


async def test_the_end_is_awaited_under_cancellation():
    inbox: Inbox[int] = Inbox(asyncio.get_running_loop())
    task = asyncio.create_task(inbox.ended())
    await asyncio.sleep(0)
    task.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()
    inbox.end()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


def test_a_closed_loop_ends_the_work_not_the_thread():
    loop = asyncio.new_event_loop()
    inbox: Inbox[int] = Inbox(loop)
    loop.close()
    with pytest.raises(RuntimeError):
        inbox.put(1)
    inbox._called = False
    inbox.end()
    assert inbox.done
