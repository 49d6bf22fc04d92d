"""The queue for slots: order, leaving, both colours, and owners that vanish."""

from __future__ import annotations

import asyncio
import threading

import pytest

from headrace.local.slots import Slots, Ticket


def test_first_come_first_served_across_colours(until):
    slots, order = Slots(1), []
    first = Ticket()
    slots.acquire(first)

    def sync() -> None:
        ticket = Ticket()
        slots.acquire(ticket)
        order.append("sync")
        slots.release(ticket)

    async def main() -> None:
        ticket = Ticket()
        task = asyncio.create_task(slots.aacquire(ticket))
        await asyncio.sleep(0)
        thread = threading.Thread(target=sync)
        thread.start()
        await until(lambda: slots.waiting == 2)
        slots.release(first)
        await task
        order.append("async")
        assert order == ["async"] and slots.waiting == 1
        slots.release(ticket)
        thread.join()

    asyncio.run(main())
    assert order == ["async", "sync"]
    assert (slots.free, slots.waiting) == (1, 0)


def test_releasing_twice_frees_once():
    slots, ticket = Slots(2), Ticket()
    slots.acquire(ticket)
    assert slots.free == 1
    slots.release(ticket)
    slots.release(ticket)
    assert slots.free == 2


async def test_a_cancelled_wait_leaves_the_queue():
    slots, held, waiting, next_one = Slots(1), Ticket(), Ticket(), Ticket()
    slots.acquire(held)
    task = asyncio.create_task(slots.aacquire(waiting))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    slots.release(waiting)
    assert slots.waiting == 0 and slots.free == 0
    slots.release(held)
    await slots.aacquire(next_one)
    slots.release(next_one)
    assert slots.free == 1


async def test_cancelled_after_the_slot_was_handed_over_gives_it_on():
    slots, held, waiting = Slots(1), Ticket(), Ticket()
    slots.acquire(held)
    task = asyncio.create_task(slots.aacquire(waiting))
    await asyncio.sleep(0)
    slots.release(held)  # the slot is `waiting`'s now, its task does not know yet
    assert slots.free == 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    slots.release(waiting)
    assert slots.free == 1


def test_a_waiter_whose_loop_is_gone_is_passed_over():
    slots, held, behind = Slots(1), Ticket(), Ticket()
    slots.acquire(held)
    loop = asyncio.new_event_loop()
    gone = slots.aacquire(Ticket())
    with pytest.raises(TimeoutError):
        loop.run_until_complete(asyncio.wait_for(gone, 0.01))
    loop.close()
    assert slots.waiting == 1  # it never came to release its ticket
    thread = threading.Thread(target=slots.acquire, args=(behind,))
    thread.start()
    while slots.waiting < 2:
        pass
    slots.release(held)
    thread.join(5)
    assert not thread.is_alive()
    assert slots.free == 0
    slots.release(behind)
    assert slots.free == 1


def test_disbanding_wakes_everybody():
    slots, held = Slots(1), Ticket()
    slots.acquire(held)
    threads = [threading.Thread(target=slots.acquire, args=(Ticket(),)) for _ in "abc"]
    for thread in threads:
        thread.start()
    while slots.waiting < 3:
        pass
    slots.disband()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
