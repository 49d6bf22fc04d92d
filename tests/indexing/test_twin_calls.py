"""Plans of calls: what they call in each colour, and how they end."""

from __future__ import annotations

import asyncio

import pytest

from headrace._twins import THREAD, Call, arun, run
from laws.colours import every_colour


class Target:
    def get(self, value, *, plus=0):
        return ["sync", value + plus]

    async def aget(self, value, *, plus=0):
        return ["async", value + plus]

    def fail(self):
        raise KeyError("sync")

    async def afail(self):
        raise KeyError("async")


def drive(doors, plan):
    return doors.wait(arun(plan)) if doors.asynchronous else run(plan)


@every_colour
def test_a_plan_gets_what_its_calls_return_and_handles_what_they_raise(colour):
    name = "async" if colour.asynchronous else "sync"

    def plan(target):
        found = [(yield Call(target, "get", 1, plus=2))]
        try:
            yield Call(target, "fail")
        except KeyError as error:
            found.append(error.args[0])
        found.append((yield Call(THREAD, "do", sum, (1, 2))))
        return found

    def body(doors):
        assert drive(doors, plan(Target())) == [[name, 3], name, 3]

    colour.run(body)


@every_colour
def test_what_a_plan_does_not_handle_is_raised_as_it_is_and_the_plan_cleans_up(colour):
    def body(doors):
        ended = []

        def plan():
            try:
                yield Call(Target(), "fail")
            finally:
                ended.append(True)

        with pytest.raises(KeyError):
            drive(doors, plan())
        assert ended == [True]

        def ends_at_once():
            return 7
            yield

        assert drive(doors, ends_at_once()) == 7

    colour.run(body)


async def test_a_cancelled_plan_cleans_up():
    ended, begun = [], asyncio.Event()

    class Waits:
        async def await_(self):
            begun.set()
            await asyncio.Event().wait()

    def plan():
        try:
            yield Call(Waits(), "wait_")
        finally:
            ended.append(True)

    task = asyncio.create_task(arun(plan()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
