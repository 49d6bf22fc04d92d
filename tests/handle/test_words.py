"""What a handle and its parts say of themselves, and to those who use them otherwise."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from handle.handles import Scripted, opened
from headrace.callbacks import RunCancelledError
from headrace.errors import ConfigError, InputError
from headrace.runnables import RunnableLambda
from headrace.timing import Timings
from headrace.views import Filter, Subscription, Typed
from laws.colours import every_colour


@every_colour
def test_parts_say_how_much_came_and_how_to_get_it(colour):
    def body(doors):
        model = Scripted(chunks=["a", "b", "c"], gated=True)
        with opened(doors, model) as handle:
            run = handle.run
            assert "live run of Scripted, not started" in repr(run)
            assert repr(run.text).startswith("<run.text, not read yet: ")
            assert ("await" if doors.asynchronous else ".get()") in repr(run.text)
            events = run.events(policy="coalesce")
            iterator = handle.iterate(run.text)
            model.go()
            assert handle.next(iterator) == "a"
            assert "running" in repr(run)
            model.go(2)
            handle.output()
            assert "<run.text, 3 items came, 2 wait: " in repr(run.text)
            assert "<run.events(), 11 items came, 7 wait: " in repr(events)
            assert "<run.text, not read yet" in repr(run.text.with_policy("coalesce"))
            assert "Scripted, over: " in repr(run)
            handle.rest(iterator)
        assert "0 wait" in repr(run.text)

    colour.run(body)


@every_colour
@pytest.mark.parametrize("how", ["stop", "cancel", "leave"])
def test_a_handle_says_what_ended_it(colour, how):
    def body(doors):
        with opened(doors, Scripted(chunks=["a"])) as handle:
            if how != "leave":
                getattr(handle.run, how)()
        told = {"leave": "leaving its block"}.get(how, f"{how}()")
        assert f"over (ended by {told})" in repr(handle.run)

    colour.run(body)


@every_colour
def test_a_handle_says_that_its_run_failed(colour):
    def body(doors):
        with opened(doors, RunnableLambda(lambda text: 1 / 0)) as handle:
            with pytest.raises(ZeroDivisionError):
                handle.output()
            assert "over (it raised ZeroDivisionError)" in repr(handle.run)

    colour.run(body)


@every_colour
def test_what_cancelled_a_run_is_named(colour):
    def body(doors):
        model = Scripted(chunks=["a", "b"], gated=True)
        with opened(doors, model) as cancelled:
            model.go()
            text = cancelled.iterate(cancelled.run.text)
            assert cancelled.next(text) == "a"
            cancelled.run.cancel()
            model.go()
            with pytest.raises(RunCancelledError) as caught:
                cancelled.output()
        assert str(caught.value) == "The run 'Scripted' was cancelled by cancel(), before its end."
        again = pickle.loads(pickle.dumps(caught.value))
        assert (str(again), again.partial) == (str(caught.value), caught.value.partial)
        with opened(doors, Scripted(chunks=["a"])) as left:
            pass
        with pytest.raises(RunCancelledError) as caught:
            left.output()
        assert str(caught.value) == (
            "The run was ended with the block of its handle, before it had begun."
        )

    colour.run(body)


def test_an_output_that_is_not_awaited():
    async def main():
        async with Scripted(chunks=["a"]).open("x") as run:
            output = run.output
            assert "not started: await it" in repr(output)
            assert output  # as anything is
            for use in (len, list, lambda it: it[0], lambda it: "a" in it):
                with pytest.raises(TypeError, match=r"await run\.output") as caught:
                    use(output)
                assert isinstance(caught.value, InputError)
            return (await output).content

    assert asyncio.run(main()) == "a"


def test_a_part_of_an_async_handle_in_a_plain_loop():
    async def main():
        async with Scripted(chunks=["a"]).open("x") as run:
            with pytest.raises(TypeError, match=r"run\.text is part of an async handle") as caught:
                list(run.text)
            assert isinstance(caught.value, InputError)

    asyncio.run(main())


def test_what_open_gives_is_no_stream():
    with pytest.raises(TypeError, match="for a block") as caught:
        list(Scripted(chunks=["a"]).open("x"))
    assert isinstance(caught.value, InputError)

    async def main():
        async for _ in Scripted(chunks=["a"]).open("x"):
            raise AssertionError("it cannot be read")

    with pytest.raises(TypeError, match="for a block"):
        asyncio.run(main())


def test_timings_say_what_they_are():
    assert repr(Timings()) == "<Timings, outermost runs: 0; print it, or read .root and .runs>"


@pytest.mark.parametrize("limit", ["a", 2.5, 0, -1, True])
def test_a_limit_is_a_number_of_items(limit):
    with Scripted(chunks=["a"]).open("x") as run:
        for asked in (run.text.with_policy, lambda policy, n: run.events(policy=policy, limit=n)):
            with pytest.raises(ConfigError, match=f"limit is {limit!r}: give a whole number"):
                asked("block", limit)
    with pytest.raises(ConfigError, match=f"limit is {limit!r}: give a whole number"):
        Subscription(Typed(Filter()), limit)
