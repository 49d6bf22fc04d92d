"""How a live run ends: by itself, by an error, stopped, cancelled, left; what each leaves."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import anyio
import pytest

from handle.handles import END, Scripted, opened
from headrace.callbacks.arguments import RunCancelledError
from headrace.chat_history import InMemoryChatMessageHistory
from headrace.events import RunCancelled, RunEnded, RunFailed
from headrace.output_parsers import StrOutputParser
from headrace.runnables import RunnableLambda, RunnableParallel, RunnableWithMessageHistory
from laws.colours import every_colour, sync_colours

ENDS = (RunEnded, RunFailed, RunCancelled)


class Ends:
    """An observer of how runs end."""

    def __init__(self):
        self.events = []

    def on_event(self, event):
        if isinstance(event, ENDS):
            self.events.append(event)

    def kinds(self):
        return {event.path.rsplit("/")[-1]: event.kind for event in self.events}


@every_colour
def test_a_failure_comes_after_what_came_and_is_the_same_object_everywhere(colour):
    broken = OSError("broken")
    model = Scripted(chunks=["a", "b", broken])

    def body(doors):
        with opened(doors, model | StrOutputParser()) as handle:
            run = handle.run
            events = run.events()
            text = handle.iterate(run.text)
            assert [handle.next(text), handle.next(text)] == ["a", "b"]
            with pytest.raises(OSError) as one:
                handle.next(text)
            assert handle.next(text) is END
            raised = [one.value]
            for consume in (
                lambda: handle.read(run.text), lambda: handle.get(run.text), handle.output,
                lambda: handle.get(run.tool_calls), lambda: handle.read(events),
            ):  # fmt: skip
                with pytest.raises(OSError) as caught:
                    consume()
                raised.append(caught.value)
            assert all(error is broken for error in raised)
            late = handle.iterate(run.text)
            assert handle.next(late) == "ab"  # delivered first
        assert model._closed == model._begun

    colour.run(body)


@every_colour
@pytest.mark.parametrize("how", ["stop", "cancel"])
def test_stopped_and_cancelled(colour, how):
    def body(doors):
        model = Scripted(chunks=["a", "b", "c"], gated=True)
        ends = Ends()
        chain = model | StrOutputParser()
        with opened(doors, chain, config={"callbacks": [ends]}) as handle:
            run = handle.run
            told = run.events()
            text = handle.iterate(run.text)
            model.go(2)
            assert [handle.next(text), handle.next(text)] == ["a", "b"]
            getattr(run, how)()
            model.go(1)  # a blocking step is waited for
            assert handle.rest(text) in ([], ["c"])
            came = handle.get(run.text)
            assert came in ("ab", "abc")
            assert run.ended and model._closed == 1
            ended = "end" if how == "stop" else "cancelled"  # a stopped model has had its say
            assert handle.read(told)[-1].kind == ended
            if how == "stop":
                assert handle.output() == came
            else:
                with pytest.raises(
                    RunCancelledError, match=r"was cancelled by cancel\(\), before its end"
                ) as caught:
                    handle.output()
                assert caught.value.partial == came
            run.stop()  # there is nothing more to end
            run.cancel()
        assert list(ends.kinds().values()) == [ended] * 3
        assert len(ends.events) == 3

    colour.run(body)


@every_colour
def test_the_steps_behind_a_stopped_model_finish_on_what_came(colour):
    def body(doors):
        model = Scripted(chunks=["a"] * 2000)

        def length(message) -> dict[str, int]:
            return {"length": len(message.content)}

        chain = model | length
        with opened(doors, chain) as handle:
            text = handle.iterate(handle.run.text)
            assert handle.next(text) == "a"
            handle.run.stop()
            rest = handle.rest(text)
            assert handle.output() == {"length": 1 + len("".join(rest))}
            assert handle.output()["length"] < 1000
        assert model._closed == 1

    colour.run(body)


@every_colour
def test_a_model_that_is_asked_after_the_stop_ends_the_run(colour):
    """An agent that reads a stopped answer would ask on, with answers of one token."""

    def body(doors):
        first, second = Scripted(chunks=["a"] * 2000), Scripted(chunks=["b"] * 2000)
        with opened(doors, first | second | StrOutputParser()) as handle:
            told = handle.iterate(handle.run.events(include_types=["chat_model"]))
            while handle.next(told).kind != "chunk":
                pass
            handle.run.stop()
            handle.rest(told)
            assert handle.output() in (None, "", "b")
        assert (first._closed, second._closed) == (1, second._begun)

    colour.run(body)


@every_colour
@pytest.mark.parametrize("how", ["stop", "cancel"])
def test_stopped_before_it_began_it_never_begins(colour, how):
    def body(doors):
        model = Scripted(chunks=["a"])
        with opened(doors, model) as handle:
            getattr(handle.run, how)()
            assert handle.read(handle.run.text) == []
            assert handle.get(handle.run.tool_calls) == []
            if how == "stop":
                assert handle.output() is None
            else:
                with pytest.raises(RunCancelledError):
                    handle.output()
        assert model._begun == 0

    colour.run(body)


@every_colour
def test_leaving_the_block_early_closes_everything(colour):
    def body(doors):
        model = Scripted(chunks=["a"] * 5000)
        ends = Ends()
        with opened(doors, model | StrOutputParser(), config={"callbacks": [ends]}) as handle:
            run = handle.run
            text = handle.iterate(run.text)
            assert handle.next(text) == "a"
        assert (model._begun, model._closed) == (1, 1)
        assert model._given < 1000
        assert list(ends.kinds().values()) == ["cancelled"] * 3
        assert handle.next(text) is END
        assert set(handle.get(run.text)) == {"a"}
        with pytest.raises(RunCancelledError):
            handle.output()

    colour.run(body)


@every_colour
def test_left_without_consumption_and_read_afterwards(colour):
    def body(doors):
        model = Scripted(chunks=["a"])
        with opened(doors, model) as handle:
            pass
        assert handle.read(handle.run.text) == []
        with pytest.raises(
            RunCancelledError, match="ended with the block of its handle, before it"
        ):
            handle.output()
        assert model._begun == 0

    colour.run(body)


@every_colour
def test_after_the_end_everything_is_still_there(colour):
    def body(doors):
        with opened(doors, Scripted(chunks=["a", "b"])) as handle:
            handle.output()
        assert handle.get(handle.run.text) == "ab"
        assert handle.read(handle.run.text) == ["ab"]
        assert handle.output().content == "ab"

    colour.run(body)


@every_colour
def test_an_error_in_the_body_ends_the_run_and_is_raised(colour):
    def body(doors):
        model = Scripted(chunks=["a"] * 1000)
        with pytest.raises(KeyError, match="mine"), opened(doors, model) as handle:
            handle.next(handle.iterate(handle.run.text))
            raise KeyError("mine")
        assert model._closed == 1

    colour.run(body)


@every_colour
def test_stop_in_the_middle_of_branches_keeps_what_came_of_each(colour):
    def body(doors):
        one = Scripted(chunks=["a"] * 2000)
        chain = RunnableParallel(a=one | StrOutputParser(), b=RunnableLambda(len))
        with opened(doors, chain) as handle:
            chunks = handle.iterate(handle.run.chunks)
            while "a" not in handle.next(chunks):
                pass
            handle.run.stop()
            handle.rest(chunks)
            output = handle.output()
            assert set(output["a"]) == {"a"}
            assert len(output["a"]) < 2000
        assert one._closed == 1

    colour.run(body)


@every_colour
def test_history_of_a_stopped_run(colour):
    """The part that came is the answer."""

    def body(doors):
        store = InMemoryChatMessageHistory()
        model = Scripted(chunks=["a", "b", "c"], gated=True)
        chain = RunnableWithMessageHistory(model, lambda session_id: store)
        with opened(doors, chain, config={"configurable": {"session_id": "1"}}) as handle:
            text = handle.iterate(handle.run.text)
            model.go(2)
            assert [handle.next(text), handle.next(text)] == ["a", "b"]
            handle.run.stop()
            model.go(1)
            came = handle.output().content
            assert came in ("ab", "abc")
        asked, answer = store.messages
        assert (asked.content, answer.content) == ("x", came)
        assert answer.response_metadata == {}

    colour.run(body)


@sync_colours
def test_cancelled_from_another_thread_while_the_consumer_waits(colour):
    def body(doors):
        model = Scripted(chunks=["a", "b"], gated=True)
        with opened(doors, model) as handle:
            text = handle.iterate(handle.run.text)
            model.go()
            assert handle.next(text) == "a"

            def other():
                handle.run.cancel()
                model.go()

            thread = threading.Thread(target=other)
            thread.start()
            assert handle.rest(text) in ([], ["b"])
            thread.join()
        assert model._closed == 1

    colour.run(body)


@sync_colours
def test_consumers_in_other_threads_end_with_the_block(colour):
    def body(doors):
        model = Scripted(chunks=["a", "b"], gated=True)
        got = []
        with opened(doors, model) as handle:
            text = handle.run.text
            first = handle.iterate(text)
            model.go()
            assert handle.next(first) == "a"
            threads = [threading.Thread(target=lambda: got.append(text.get())) for _ in range(3)]
            threads += [
                threading.Thread(target=lambda: got.append("".join(text))) for _ in range(3)
            ]
            for thread in threads:
                thread.start()
            model.go()
        for thread in threads:
            thread.join()
        assert len(got) == 6

    colour.run(body)


def test_async_cancellation_of_the_task_around_the_block():
    model = Scripted(chunks=["a", "b"], gated=True)
    ends = Ends()

    async def reads(arrived):
        async with model.open("x", {"callbacks": [ends]}) as run:
            async for _ in run.text:
                arrived.set()

    async def main():
        arrived = asyncio.Event()
        task = asyncio.create_task(reads(arrived))
        model.go()
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert (model._closed, list(ends.kinds().values())) == (1, ["cancelled"])


def test_async_timeout_around_one_read_leaves_the_run_alive():
    model = Scripted(chunks=["a", "b"], gated=True)

    async def main():
        async with model.open("x") as run:
            text = aiter(run.text)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await anext(text)
            model.go(2)
            assert [delta async for delta in text] == ["a", "b"]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await asyncio.sleep(1)
            assert (await run.output).content == "ab"

    asyncio.run(main())


def test_async_run_that_is_cancelled_as_it_begins():
    model = Scripted(chunks=["a"])

    async def main():
        async with model.open("x") as run:
            run._start()  # the task has not had its first turn
            run.cancel()
            assert [delta async for delta in run.text] == []
        assert model._begun == 0

    asyncio.run(main())


def test_a_step_that_cancels_itself_is_an_error_to_consumers():
    async def gives_up(value):
        raise asyncio.CancelledError

    async def main():
        async with RunnableLambda(gives_up).open("x") as run:
            with pytest.raises(RunCancelledError):
                await run.output
            with pytest.raises(RunCancelledError):
                await run.text

    asyncio.run(main())


def test_broken_out_of_consumers_leave_nothing():
    model = Scripted(chunks=["a"] * 2000)

    async def main():
        async with model.open("x") as run:
            async for _ in run.text:
                break
            assert (await run.text) == "a" * 2000  # nobody holds it up

    asyncio.run(main())
    with model.open("x") as run:
        for _ in run.text:
            break
        assert run.text.get() == "a" * 2000


class Messy(Scripted):
    """Fails as it is closed."""

    def _stream(self, *args, **kwargs):
        try:
            yield from super()._stream(*args, **kwargs)
        finally:
            raise OSError("messy")

    async def _astream(self, *args, **kwargs):
        try:
            async for chunk in super()._astream(*args, **kwargs):
                yield chunk
        finally:
            raise OSError("messy")


def test_an_error_while_closing_is_raised_as_the_block_is_left():
    model = Messy(chunks=["a"] * 1000)
    with pytest.raises(OSError, match="messy"), model.open("x") as run:
        next(iter(run.text))

    async def main():
        async with model.open("x") as run:
            await anext(aiter(run.text))

    with pytest.raises(OSError, match="messy"):
        asyncio.run(main())

    def fails():
        with model.open("x") as run:
            next(iter(run.text))
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        fails()
    assert "messy" in caught.value.__notes__[0]


def test_in_a_scope_that_is_cancelled_already():
    ends = Ends()

    async def main():
        model = Scripted(chunks=["a"] * 5000)
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with model.open("x", {"callbacks": [ends]}) as run:
                async for _ in run.text:
                    raise AssertionError("nothing comes")
        assert scope.cancelled_caught
        assert run.ended
        with anyio.CancelScope() as scope:
            async with model.open("x", {"callbacks": [ends]}) as run:
                async for _ in run.text:
                    scope.cancel()
                    await asyncio.sleep(0)
        assert (run.ended, model._closed) == (True, model._begun)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert [event.kind for event in ends.events] == ["cancelled"] * 2


class Held(str):
    """A string that can be referred to weakly."""


@every_colour
def test_nothing_is_kept_of_runs_that_are_over(colour):
    def body(doors):
        seen = []
        for number in range(60):
            value = Held("x")
            seen.append(weakref.ref(value))
            chain = Scripted(chunks=["a"] * 5) | StrOutputParser()
            with opened(doors, chain, value) as handle:
                text, events = handle.iterate(handle.run.text), handle.run.events()
                handle.next(text)
                if number % 3:
                    handle.run.cancel()
                elif number % 2:
                    handle.read(events)
            del value, chain, handle, text, events
        gc.collect()
        assert not any(ref() for ref in seen)

    colour.run(body)
