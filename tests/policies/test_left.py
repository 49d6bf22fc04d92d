"""A plan is told when its consumer leaves and may do its last work; the exception goes on."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from headrace.errors import HeadraceError
from headrace.events import RunCancelled, RunEnded, RunFailed, RunStarted
from headrace.flow import Collect, Emit, Forward, Outcome, Read, Sleep
from headrace.runnables import Runnable, RunnableGenerator, RunnableLambda
from headrace.shapes import Plan
from laws.colours import every_colour, sync_colours
from laws.events import check_events
from laws.ledger import LEDGER, Recorder, Source


class Told(Plan, Runnable[Any, Any]):
    """Hands its input on through `bound`; told that it was left, asks for `last`, one by one."""

    def __init__(self, bound: Any, *last: Any) -> None:
        self.bound, self.last = bound, last
        self.outcomes: list[Outcome] = []
        self.had: list[Any] = []

    def _plan(self, run: Any, kw: Any) -> Any:
        outcome = yield Forward(self.bound, keep=self.had)
        self.outcomes.append(outcome)
        if outcome.left is not None:
            for command in self.last:
                self.outcomes.append((yield command))

    def _children(self) -> Any:
        return [("", self.bound)]

    @property
    def left(self) -> BaseException | None:
        return self.outcomes[0].left


LOG: list[str] = []


@pytest.fixture(autouse=True)
def log() -> list[str]:
    LOG.clear()
    return LOG


def letters(chunks: Any) -> Any:
    try:
        with LEDGER.body("letters"):
            yield from chunks
    finally:
        LOG.append("child closed")


async def aletters(chunks: Any) -> Any:
    try:
        with LEDGER.body("letters"):
            async for chunk in chunks:
                await asyncio.sleep(0)
                yield chunk
    finally:
        LOG.append("child closed")


def child() -> Any:
    return RunnableGenerator(letters, aletters)


def saved(value: Any) -> str:
    LOG.append(f"saved {value}")
    return "done"


async def asaved(value: Any) -> str:
    LOG.append("saving")
    for _ in range(20):
        await asyncio.sleep(0)
    return saved(value)


def save(value: Any) -> Any:
    return Collect(RunnableLambda(saved, asaved, name="save"), value=value)


# ---- closing -----------------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("observed", [False, True])
def test_closed_in_the_middle_the_plan_does_its_last_work_after_the_child_is_closed(
    colour, observed, log
):
    def body(doors: Any) -> None:
        log.clear()
        seen = Recorder()
        plan, source = Told(child(), save(1), save(2)), Source("abcdef")
        stream = doors.open_transform(plan, source, seen.config if observed else None)
        assert [stream.next(), stream.next()] == ["a", "b"]
        pulled = source.pulls
        stream.close()
        kept = [line for line in log if line != "saving"]
        assert kept == ["child closed", "saved 1", "saved 2"]
        assert isinstance(plan.left, GeneratorExit)
        assert plan.outcomes[0].started
        assert plan.had == ["a", "b"]
        assert [o.value for o in plan.outcomes[1:]] == ["done", "done"]
        assert source.pulls == pulled
        if observed:
            check_events(seen.events)
            ends = [(type(e), e.run.name) for e in seen.events if not isinstance(e, RunStarted)]
            ends = [end for end in ends if end[0] in (RunEnded, RunCancelled, RunFailed)]
            assert ends == [
                (RunCancelled, "letters"),
                (RunEnded, "save"),
                (RunEnded, "save"),
                (RunCancelled, "Told"),
            ]

    colour.run(body)


@every_colour
def test_a_plan_that_does_not_look_ends_as_before(colour, log):
    def body(doors: Any) -> None:
        log.clear()
        stream = doors.open(Told(child()), "abc")
        assert stream.next() == "abc"
        stream.close()
        assert log == ["child closed"]

    colour.run(body)


@every_colour
def test_nothing_is_said_to_a_plan_whose_child_has_ended_or_not_begun(colour, log):
    def body(doors: Any) -> None:
        plan = Told(child(), save(1))
        stream = doors.open(plan, "abc")
        assert stream.rest() == ["abc"]
        stream.close()
        assert plan.left is None
        plan = Told(child(), save(1))
        doors.open(plan, "abc").close()
        assert plan.outcomes == []

    colour.run(body)
    assert "saved 1" not in log


@every_colour
def test_read_gives_what_had_come_of_the_input_and_pulls_nothing(colour):
    def body(doors: Any) -> None:
        whole = Told(child(), Read())
        stream = doors.open(whole, "abc")
        stream.next()
        stream.close()
        assert whole.outcomes[1].value == "abc"
        source, plan = Source("abcdef"), Told(child(), Read())
        stream = doors.open_transform(plan, source)
        stream.next()
        pulled = source.pulls
        stream.close()
        assert source.pulls == pulled
        assert len(plan.outcomes) == 2  # given once a chunk was handed on, input is not kept

    colour.run(body)


@every_colour
@pytest.mark.parametrize("wrong", [Forward(RunnableLambda(str)), Emit("x"), Sleep(0.0)], ids=type)
def test_a_plan_that_goes_on_handing_on_is_told_off(colour, wrong):
    def body(doors: Any) -> None:
        stream = doors.open(Told(child(), wrong), "abc")
        stream.next()
        with pytest.raises(HeadraceError, match=r"Told asked for .* after its consumer had left"):
            stream.close()

    colour.run(body)


@every_colour
def test_what_fails_in_the_last_work_is_the_plans_to_raise_and_is_not_lost(colour):
    class Raising(Told):
        def _plan(self, run: Any, kw: Any) -> Any:
            yield Forward(self.bound)
            outcome = yield self.last[0]
            raise outcome.error

    def broken(_: Any) -> None:
        raise ConnectionError("disk full")

    def body(doors: Any) -> None:
        stream = doors.open(Raising(child(), Collect(RunnableLambda(broken), value=1)), "abc")
        stream.next()
        with pytest.raises(ConnectionError, match="disk full") as caught:
            stream.close()
        assert "GeneratorExit" in "".join(traceback.format_exception(caught.value))

    colour.run(body)


@every_colour
def test_a_child_that_fails_while_it_is_closed_does_not_hide_that_the_consumer_left(colour, log):
    def stubborn(chunks: Any) -> Any:
        try:
            yield from chunks
        finally:
            raise ConnectionError("cannot close")

    async def astubborn(chunks: Any) -> Any:
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            raise ConnectionError("cannot close")

    class Resuming(Told):
        """Would hand on more, were the child's failure taken for one of its own."""

        def _plan(self, run: Any, kw: Any) -> Any:
            outcome = yield Forward(self.bound, keep=self.had)
            self.outcomes.append(outcome)
            if outcome.left is not None:
                yield save(self.had)
            elif outcome.error is not None:
                yield Emit("resumed")

    def body(doors: Any) -> None:
        log.clear()
        for plan in (Resuming, Told):
            made = plan(RunnableGenerator(stubborn, astubborn), save(["a"]))
            stream = doors.open_transform(made, Source("abc"))
            assert stream.next() == "a"
            with pytest.raises(ConnectionError, match="cannot close"):
                stream.close()
            assert isinstance(made.left, GeneratorExit)
        assert log[-1] == "saved ['a']"

    colour.run(body)


@sync_colours
def test_ctrl_c_in_the_child_is_told_and_goes_on_as_the_same_object(colour, log):
    pressed = KeyboardInterrupt("pressed")

    def interrupted(chunks: Any) -> Any:
        yield "a"
        raise pressed

    def body(doors: Any) -> None:
        plan = Told(RunnableGenerator(interrupted), save("part"))
        stream = doors.open(plan, "x")
        assert stream.next() == "a"
        with pytest.raises(KeyboardInterrupt) as caught:
            stream.next()
        assert caught.value is pressed
        assert plan.left is pressed

    colour.run(body)
    assert log[-1] == "saved part"


@sync_colours
def test_ctrl_c_in_invoke_is_told_as_well(colour, log):
    pressed = KeyboardInterrupt()

    def interrupted(_: Any) -> Any:
        raise pressed

    def body(doors: Any) -> None:
        plan = Told(RunnableLambda(interrupted), save("nothing"))
        with pytest.raises(KeyboardInterrupt) as caught:
            doors.invoke(plan, "x")
        assert caught.value is pressed
        assert (plan.left, plan.outcomes[0].started, plan.had) == (pressed, False, [])

    colour.run(body)
    assert log[-1] == "saved nothing"


@every_colour
def test_arguments_of_a_call_go_to_what_is_forwarded_and_not_to_the_plans_own_work(colour):
    class Asking(Told):
        def _plan(self, run: Any, kw: Any) -> Any:
            asked = yield Collect(RunnableLambda(len, name="asked"))
            assert asked.error is None
            yield Forward(self.bound)

    def body(doors: Any) -> None:
        loud = Asking(RunnableLambda(lambda text, mark: text + mark)).bind(mark="!")
        assert doors.invoke(loud, "a") == "a!"
        assert doors.stream(loud, "a") == ["a!"]

    colour.run(body)


# ---- cancelling ---------------------------------------------------------------------------------


async def until(line: str) -> None:
    while line not in LOG:  # noqa: ASYNC110 - turn by turn, so that nothing depends on time
        await asyncio.sleep(0)


async def read(chunks: Any) -> None:
    async for _ in chunks:
        LOG.append("chunk")  # noqa: PERF401 - as they come


async def consume(plan: Any, begun: asyncio.Event, config: Any = None) -> None:
    async with aclosing(plan.astream("abc", config)) as stream:
        async for _ in stream:
            begun.set()
            await asyncio.sleep(60)


async def waits(chunks: Any) -> Any:
    """Cancelled in the child, not at the consumer's own await."""
    async for chunk in chunks:
        yield chunk
    try:
        await asyncio.sleep(60)
    finally:
        LOG.append("child closed")


async def cancelled_once_saving(plan: Any, times: int, config: Any = None) -> asyncio.Task[None]:
    async def job() -> None:
        async with aclosing(plan.astream("abc", config)) as stream:
            await read(stream)

    task = asyncio.create_task(job())
    await until("chunk")
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.wait([task])
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return task


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("observed", [False, True])
async def test_cancelled_however_often_the_last_work_is_done_to_its_end(times, observed, log):
    seen = Recorder()
    plan = Told(RunnableGenerator(waits), save("part"))
    task = await cancelled_once_saving(plan, times, seen.config if observed else None)
    assert task.cancelled()
    assert log == ["chunk", "child closed", "saving", "saved part"]
    assert isinstance(plan.left, asyncio.CancelledError)
    if observed:
        check_events(seen.events)


async def test_the_cancellation_that_goes_on_is_the_one_that_came(log):
    caught: list[BaseException] = []
    plan = Told(RunnableGenerator(waits), save("part"))

    async def job() -> None:
        try:
            await read(plan.astream("abc"))
        except BaseException as error:
            caught.append(error)
            raise

    task = asyncio.create_task(job())
    await until("chunk")
    task.cancel("because")
    await asyncio.wait([task])
    assert task.cancelled()
    assert caught == [plan.left]
    assert plan.left.args == ("because",)


async def test_a_consumer_cancelled_between_chunks_closes_and_then_cancels(log):
    plan, begun = Told(child(), save("part")), asyncio.Event()
    task = asyncio.create_task(consume(plan, begun))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert log == ["child closed", "saving", "saved part"]
    assert isinstance(plan.left, GeneratorExit)


async def test_a_cancel_that_comes_while_closing_is_not_swallowed(log):
    plan, begun = Told(child(), save("part")), asyncio.Event()

    async def job() -> None:
        stream = plan.astream("abc")
        await anext(stream)
        begun.set()
        await stream.aclose()

    task = asyncio.create_task(job())
    await until("saving")
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert log[-1] == "saved part"


async def test_under_asyncio_timeout(log):
    plan = Told(RunnableGenerator(waits), save("part"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await read(plan.astream("abc"))
    assert log == ["chunk", "child closed", "saving", "saved part"]
    assert asyncio.current_task().cancelling() == 0


@pytest.mark.parametrize("within", ["child", "consumer"])
async def test_in_an_anyio_cancel_scope(within, log):
    plan = Told(RunnableGenerator(waits) if within == "child" else child(), save("part"))
    with anyio.CancelScope() as scope:
        async with aclosing(plan.astream("abc")) as stream:
            async for _ in stream:
                LOG.append("chunk")
                scope.cancel()
                if within == "consumer":
                    await anyio.sleep(60)
    assert scope.cancelled_caught
    assert log == ["chunk", "child closed", "saving", "saved part"]


async def test_ainvoke_cancelled_is_told_that_nothing_was_handed_on(log):
    async def slow(_: Any) -> None:
        LOG.append("begun")
        await asyncio.sleep(60)

    plan = Told(RunnableLambda(slow), save("nothing"))
    task = asyncio.create_task(plan.ainvoke("x"))
    await until("begun")
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert (plan.had, plan.outcomes[0].started) == ([], False)
    assert log == ["begun", "saving", "saved nothing"]


async def test_work_that_somebody_cancels_by_itself_ends_and_the_consumers_exception_goes_on(log):
    plan = Told(RunnableGenerator(waits), save("part"))

    task = asyncio.create_task(read(plan.astream("abc")))
    await until("chunk")
    task.cancel()
    await until("saving")
    for other in asyncio.all_tasks() - {asyncio.current_task()}:
        other.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert "saved part" not in log
