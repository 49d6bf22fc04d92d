"""`with_timeout`: which limit fires, when, with what had come; and that nothing is left behind."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any

import pytest

from headrace import _sync_race
from headrace.errors import ConfigError, HeadraceWarning, Timeout
from headrace.events import RunCancelled, RunChunk, RunEnded, RunFailed, RunStarted
from headrace.resilience import RunnableWithTimeout
from headrace.runnables import (
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from laws.colours import ASYNC, END, every_colour, sync_colours
from laws.events import check_events
from laws.ledger import LEDGER, Recorder, Source
from resilience.virtual import VirtualClock, answers, clock, steps

__all__ = ["clock"]


def taken(doors: Any, runnable: Any, config: Any = None) -> tuple[list[Any], Timeout]:
    """What came before the timeout, and the timeout."""
    chunks: list[Any] = []
    stream = doors.open(runnable, "x", config)
    with pytest.raises(Timeout) as caught:
        while (chunk := stream.next()) is not END:
            chunks.append(chunk)
    assert not LEDGER.still_open, "the error came before every finally had run"
    assert stream.next() is END
    return chunks, caught.value


# ---- which limit, and when ----------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize(
    ("limits", "plan", "which", "came", "after"),
    [
        ({"first_chunk": 2}, (3, "a"), "first_chunk", "", 2),
        ({"first_chunk": 2, "total": 9}, (3, "a"), "first_chunk", "", 2),
        ({"first_chunk": 2}, (1, "a", 8, "b"), None, "ab", 9),
        ({"idle": 2}, (9, "a", 1, "b", 3, "c"), "idle", "ab", 12),
        ({"idle": 2}, (9, "a", 1.5, "b", 1.5, "c", 1.5), None, "abc", 13.5),
        ({"idle": 2}, ("a", 3), "idle", "a", 2),  # the end is waited for like a chunk
        ({"total": 4}, (5, "a"), "total", "", 4),
        ({"total": 4}, (1, "a", 1, "b", 3), "total", "ab", 4),
        ({"total": 4, "idle": 2}, ("a", 1, "b", 3, "c"), "idle", "ab", 3),
        ({"total": 4, "idle": 2}, ("a", 1, "b", 1.5, "c", 1.9, "d"), "total", "abc", 4),
        ({"first_chunk": 5, "idle": 1}, (4, "a", 2, "b"), "idle", "a", 5),
        ({"first_chunk": 1, "idle": 1, "total": 1}, (), None, "", 0),
    ],
    ids=str,
)
def test_which_limit_fires_and_when(colour, clock, limits, plan, which, came, after):
    def body(doors: Any) -> None:
        begun = clock.now
        timed = steps(clock, *plan).with_timeout(**limits)
        if which is None:
            assert "".join(doors.stream(timed, "x")) == came
        else:
            chunks, error = taken(doors, timed)
            assert "".join(chunks) == came
            assert (error.which, error.seconds) == (which, limits[which])
            assert error.partial == (came or None)
            assert "steps" in str(error)
            assert f"{limits[which]:g} s" in str(error)
            assert isinstance(error, TimeoutError)
        assert clock.now - begun == pytest.approx(after)
        clock.tries.clear()

    colour.run(body)


@every_colour
def test_what_the_reader_does_counts_for_total_only(colour, clock):
    def body(doors: Any) -> None:
        stream = doors.open(steps(clock, "a", 1, "b").with_timeout(idle=2), "x")
        assert stream.next() == "a"
        clock.now += 100
        assert stream.rest() == ["b"]
        pieces = steps(clock, "a", "b", "c").with_timeout(total=5)
        stream = doors.open(pieces, "x")
        assert stream.next() == "a"
        clock.now += 4
        assert stream.next() == "b"
        clock.now += 1
        with pytest.raises(Timeout) as caught:
            stream.next()
        assert (caught.value.which, caught.value.partial) == ("total", "ab")
        source = Source("abc")
        stream = doors.open_transform(RunnablePassthrough().with_timeout(total=5), source)
        assert stream.next() == "a"
        clock.now += 5
        with pytest.raises(Timeout):
            stream.next()
        assert source.pulls == 1  # what would come too late is not asked for

    colour.run(body)


@every_colour
def test_nothing_is_pulled_ahead_and_nothing_runs_before_the_first_pull(colour, clock):
    def body(doors: Any) -> None:
        source = Source("abcdef")
        timed = RunnablePassthrough().with_timeout(idle=5)
        stream = doors.open_transform(timed, source)
        assert source.pulls == 0
        assert [stream.next(), stream.next()] == ["a", "b"]
        stream.pause(0.002)
        assert source.pulls == 2
        stream.close()
        assert source.pulls == 2
        stream = doors.open_transform(timed, unread := Source("abc"))
        stream.close()
        assert unread.pulls == 0

    colour.run(body)


# ---- invoke -------------------------------------------------------------------------------------


@every_colour
def test_invoke_of_what_streams_is_its_fold_and_has_the_same_limits(colour, clock):
    def body(doors: Any) -> None:
        made = steps(clock, 1, "a", 3, "b")
        assert doors.invoke(made.with_timeout(first_chunk=2, idle=4, total=5), "x") == "ab"
        for limits, which in (({"first_chunk": 0.5}, "first_chunk"), ({"idle": 2}, "idle")):
            with pytest.raises(Timeout) as caught:
                doors.invoke(made.with_timeout(**limits), "x")
            assert caught.value.which == which
            assert caught.value.partial == ("a" if which == "idle" else None)

    colour.run(body)


@every_colour
def test_a_whole_answer_is_the_first_chunk_and_has_no_idle(colour, clock):
    def body(doors: Any) -> None:
        made = answers(clock, 3, "yes")
        assert doors.invoke(made.with_timeout(idle=1), "x") == "yes"
        assert doors.stream(made.with_timeout(first_chunk=4, idle=1), "x") == ["yes"]
        for limits in ({"first_chunk": 2}, {"total": 2}, {"first_chunk": 2, "total": 3}):
            begun = clock.now
            with pytest.raises(Timeout) as caught:
                doors.invoke(made.with_timeout(**limits), "x")
            assert caught.value.which == next(iter(limits))
            assert caught.value.partial is None
            assert clock.now - begun == pytest.approx(2)

    colour.run(body)


@every_colour
def test_in_a_batch_each_has_its_own_time(colour, clock):
    def slow(number: int) -> int:
        clock.sleep(number)
        return number

    async def aslow(number: int) -> int:
        await asyncio.sleep(number)
        return number

    def body(doors: Any) -> None:
        timed = RunnableLambda(slow, aslow).with_timeout(total=5.5)
        out = doors.batch(timed, [1, 9, 3], {"max_concurrency": 1}, return_exceptions=True)
        assert out[0] == 1
        assert out[2] == 3
        assert isinstance(out[1], Timeout)

    colour.run(body)


# ---- what it leaves behind ----------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("pulled", [0, 1, 2])
def test_closed_at_any_chunk(colour, clock, pulled):
    def body(doors: Any) -> None:
        seen = Recorder()
        timed = steps(clock, "a", 1, "b", 100, "c").with_timeout(idle=50, total=200)
        stream = doors.open(timed, "x", seen.config)
        for _ in range(pulled):
            stream.next()
        stream.close()
        assert not LEDGER.still_open
        if pulled:
            check_events(seen.events)
            assert sum(isinstance(e, RunCancelled) for e in seen.events) == 2

    colour.run(body)


@every_colour
def test_events_and_the_note(colour, clock):
    def body(doors: Any) -> None:
        seen = Recorder()
        timed = steps(clock, "a", 9, "b", name="slow").with_timeout(idle=2)
        chain = RunnablePassthrough() | timed
        _, error = taken(doors, chain, seen.config)
        check_events(seen.events)
        inner = [e for e in seen.events if e.run.path.count("slow") == 2]
        assert [type(e) for e in inner] == [RunStarted, RunChunk, RunCancelled]
        outer = [e for e in seen.events if e.run.path.count("slow") == 1]
        assert [type(e) for e in outer] == [RunStarted, RunChunk, RunFailed]
        assert outer[-1].error is error
        assert error.__notes__ == ["In step RunnableSequence/2:RunnableWithTimeout<slow>"]

    colour.run(body)


@every_colour
def test_a_failure_is_raised_as_it_is(colour, clock):
    def body(doors: Any) -> None:
        wrong = ValueError("wrong")
        stream = doors.open(steps(clock, "a", 1, wrong).with_timeout(idle=5), "x")
        assert stream.next() == "a"
        with pytest.raises(ValueError) as caught:
            stream.next()
        assert caught.value is wrong
        with pytest.raises(ValueError) as caught:
            doors.invoke(answers(clock, 1, wrong).with_timeout(total=5), "x")
        assert caught.value is wrong

    colour.run(body)


@every_colour
def test_around_and_inside_of_others(colour, clock):
    def body(doors: Any) -> None:
        begun = clock.now
        retried = (
            steps(clock, 9, "a")
            .with_timeout(first_chunk=2)
            .with_retry(wait_exponential_jitter=False, stop_after_attempt=3)
        )
        with pytest.raises(Timeout):
            doors.stream(retried, "x")
        assert clock.now - begun == pytest.approx(6)
        other = steps(clock, 1, "b", name="other")
        fallen = steps(clock, 9, "a").with_timeout(first_chunk=2).with_fallbacks([other])
        assert doors.stream(fallen, "x") == ["b"]
        twice = steps(clock, 3, "a", 3, "b").with_timeout(idle=5).with_timeout(total=4)
        _, error = taken(doors, twice)
        assert (error.which, error.partial) == ("total", "a")

    colour.run(body)


def test_around_and_inside_of_a_parallel(clock):
    """Async alone: the clock does not see a thread that waits for the lanes of a fan-out."""

    def body(doors: Any) -> None:
        begun = clock.now
        beside = RunnableParallel(
            a=steps(clock, 1, "a").with_timeout(total=2), b=steps(clock, 5, "b", name="late")
        ).with_timeout(total=3)
        chunks, error = taken(doors, beside)
        assert chunks == [{"a": "a"}]
        assert error.partial == {"a": "a"}
        assert clock.now - begun == pytest.approx(3)

    ASYNC.run(body)


def test_a_cancellation_from_outside_is_not_taken_for_the_timers(clock):
    async def main() -> None:
        timed = steps(clock, 5, "a").with_timeout(total=9)

        async def read() -> list[Any]:
            return [chunk async for chunk in timed.astream("x")]

        task = asyncio.create_task(read())
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        late = asyncio.create_task(read())
        asyncio.get_running_loop().call_at(clock.now + 9, late.cancel)  # both at one moment
        timed = steps(clock, 50, "a").with_timeout(total=9)
        with pytest.raises(asyncio.CancelledError):
            await late
        assert late.cancelling() == 1
        async with asyncio.timeout(20):  # and an outer timeout still works
            with pytest.raises(Timeout):
                await timed.ainvoke("x")
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(3):
                await timed.ainvoke("x")
        assert not isinstance(caught.value, Timeout)
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]

    asyncio.run(main())


def test_a_pull_that_swallows_the_cancellation_times_out_all_the_same(clock):
    async def stubborn(chunks: Any) -> Any:
        try:
            await asyncio.sleep(50)
        except asyncio.CancelledError:
            yield "late"

    async def main() -> None:
        timed = RunnableGenerator(stubborn).with_timeout(first_chunk=1)
        with pytest.raises(Timeout) as caught:
            [chunk async for chunk in timed.astream("x")]
        assert caught.value.partial is None
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]

    asyncio.run(main())


def test_no_task_and_one_timer_for_a_stream(clock):
    async def letters(chunks: Any) -> Any:
        for _ in range(500):
            yield "a"
            await asyncio.sleep(0.01)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        tasks, timers = [], []
        loop.set_task_factory(
            lambda loop, coro, **kw: tasks.append(coro) or asyncio.Task(coro, loop=loop, **kw)
        )
        call_at = loop.call_at

        def watched(when: float, call: Any, *args: Any, **kw: Any) -> Any:
            if getattr(call, "__name__", "") == "_tick":
                timers.append(call)
            return call_at(when, call, *args, **kw)

        loop.call_at = watched  # type: ignore[method-assign]
        timed = RunnableGenerator(letters).with_timeout(idle=1)
        assert len([chunk async for chunk in timed.astream("x")]) == 500
        assert tasks == []
        assert 1 <= len(timers) <= 7  # five seconds, one of idle time

    asyncio.run(main())


@sync_colours
def test_a_thread_that_cannot_be_broken_off_is_awaited_for_a_while(colour, clock):
    def body(doors: Any) -> None:
        begun = clock.now
        stuck = steps(clock, "a", 1000, "b", stubborn=True).with_timeout(idle=2)
        stream = doors.open(stuck, "x")
        assert stream.next() == "a"
        with pytest.raises(Timeout) as caught:
            stream.next()
        assert clock.now - begun == pytest.approx(2 + _sync_race.GRACE)
        assert any("did not come back within 1 s" in note for note in caught.value.__notes__)
        assert LEDGER.still_open == ["steps"]
        clock.wake_all()

    colour.run(body)


@sync_colours
def test_one_that_comes_back_in_time_leaves_no_note(colour, clock):
    def body(doors: Any) -> None:
        begun = clock.now
        timed = steps(clock, 2.5, "a", stubborn=True).with_timeout(first_chunk=2)
        _, error = taken(doors, timed)
        assert clock.now - begun == pytest.approx(2.5)
        assert not hasattr(error, "__notes__")

    colour.run(body)


def blocking(clock: VirtualClock, *, stubborn: bool) -> list[Any]:
    """A generator and a function, with no async body, that block for a long time."""

    def piecewise(chunks: Any) -> Any:
        with LEDGER.body("piecewise"):
            yield from chunks
            clock.sleep(1000, stubborn=stubborn)
            yield "late"

    def whole(value: Any) -> Any:
        with LEDGER.body("whole"):
            clock.sleep(1000, stubborn=stubborn)
            return "late"

    return [RunnableGenerator(piecewise), RunnableLambda(whole)]


@every_colour
def test_blocking_code_that_can_be_broken_off_ends_at_once(colour, clock):
    """In an async run it is in a worker thread as well."""

    def body(doors: Any) -> None:
        for made in blocking(clock, stubborn=False):
            begun = clock.now
            _, error = taken(doors, made.with_timeout(idle=2, first_chunk=2))
            assert clock.now - begun == pytest.approx(2)
            assert not hasattr(error, "__notes__")
            with pytest.raises(Timeout):
                doors.invoke(made.with_timeout(total=2), "x")
            assert not LEDGER.still_open

    colour.run(body)


def test_blocking_code_in_an_async_run_is_awaited_for_a_while(clock):
    def body(doors: Any) -> None:
        for made in blocking(clock, stubborn=True):
            for door in (doors.stream, doors.invoke):
                begun = clock.now
                told = pytest.warns(HeadraceWarning, match="1 s of being given up")
                with told, pytest.raises(Timeout):
                    door(made.with_timeout(total=2), "x")
                assert clock.now - begun == pytest.approx(2 + _sync_race.GRACE)
                clock.wake_all()

    ASYNC.run(body)


@pytest.mark.parametrize("width", [1, 2])
def test_blocking_branches_in_an_async_run_are_awaited_for_a_while(clock, width):
    """The fan-out passes on why it is cancelled."""

    def body(doors: Any) -> None:
        for made in blocking(clock, stubborn=True):
            fan = RunnableParallel({f"branch{n}": made for n in range(width)})
            for door in (doors.stream, doors.invoke):
                begun = clock.now
                told = pytest.warns(HeadraceWarning, match="1 s of being given up")
                with told, pytest.raises(Timeout):
                    door(fan.with_timeout(total=2), "x")
                assert clock.now - begun == pytest.approx(2 + _sync_race.GRACE)
                clock.wake_all()

    ASYNC.run(body)


@pytest.mark.parametrize("fan", [False, True])
def test_what_is_late_between_two_chunks_is_not_awaited_for_long_either(clock, fan):
    """In an async run; its thread has gone on by itself."""

    def pieces(chunks: Any) -> Any:
        with LEDGER.body("pieces"):
            "".join(chunks)
            yield "a"
            clock.sleep(1000, stubborn=True)

    def body(doors: Any) -> None:
        made = RunnableGenerator(pieces)
        chain = RunnableParallel(one=made, two=made) if fan else made
        stream = doors.open(chain.with_timeout(total=2), "x")
        stream.next()
        begun = clock.now
        clock.now += 2
        with pytest.warns(HeadraceWarning, match="1 s of being given up"), pytest.raises(Timeout):
            while stream.next() is not END:
                clock.now += 2
        # A chunk may come before the limit is seen: not exact, but far from the 1000 of the body.
        assert 2 + _sync_race.GRACE <= clock.now - begun < 20
        clock.wake_all()

    ASYNC.run(body)


# ---- about itself -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({}, "no limit"),
        ({"idle": 0}, "idle is 0: give a number of seconds, more than 0"),
        ({"total": -1}, "total is -1"),
        ({"first_chunk": "1"}, r"first_chunk is '1' \(str\)"),
        ({"total": True}, "total is True"),
        ({"total": float("nan")}, "total is nan"),
        ({"idle": float("inf")}, "idle is inf"),
    ],
)
def test_limits_are_checked_when_they_are_given(limits, says):
    with pytest.raises(ConfigError, match=says):
        RunnablePassthrough().with_timeout(**limits)


def upper(text: str) -> str:
    return text.upper()


def test_what_it_says_of_itself():
    timed = RunnableLambda(upper).with_timeout(idle=1.5, total=9)
    assert isinstance(timed, RunnableWithTimeout)
    assert repr(timed) == "RunnableWithTimeout(RunnableLambda(upper), idle=1.5, total=9)"
    assert pickle.loads(pickle.dumps(timed)) == timed
    assert copy.deepcopy(timed) == timed != RunnableLambda(upper).with_timeout(idle=2, total=9)
    assert pickle.loads(pickle.dumps(timed)).invoke("a") == "A"
    name = "RunnableWithTimeout<upper>"
    assert timed.get_name() == name
    assert [step.path for step in timed.explain()] == [name, f"{name}/upper"]
    assert timed.InputType is str
    assert timed.get_output_jsonschema()["type"] == "string"
    assert "upper" in timed.get_graph().draw_mermaid()


@every_colour
def test_arguments_of_a_call_go_to_what_is_timed(colour):
    def body(doors: Any) -> None:
        loud = RunnableLambda(lambda text, mark: text + mark).with_timeout(total=60)
        assert doors.invoke(loud, "a", mark="!") == "a!"
        assert doors.stream(loud.bind(mark="?"), "a") == ["a?"]

    colour.run(body)


@every_colour
def test_an_ended_run_is_told_as_ended(colour, clock: VirtualClock):
    def body(doors: Any) -> None:
        seen = Recorder()
        timed = answers(clock, 1, "yes").with_timeout(total=5)
        assert doors.invoke(timed, "x", seen.config) == "yes"
        check_events(seen.events)
        assert [type(e) for e in seen.events] == [RunStarted, RunStarted, RunEnded, RunEnded]

    colour.run(body)
