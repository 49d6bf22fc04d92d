"""`race(a, b, …)`: all start at once, the first chunk wins, the others are given up for real."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
import warnings
from typing import Any

import pytest

from headrace._gate import Gate
from headrace._threads import breakable
from headrace.errors import ConfigError
from headrace.events import RunCancelled, RunEnded, RunFailed, RunStarted
from headrace.resilience import RunnableRace, race
from headrace.runnables import (
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from laws.colours import ASYNC, END, every_colour, sync_colours
from laws.events import check_events
from laws.ledger import LEDGER, Recorder, Source
from resilience.virtual import answers, clock, steps

__all__ = ["clock"]


@every_colour
@pytest.mark.parametrize(
    ("plans", "gives", "after"),
    [
        (((3, "a"), (1, "b", 5, "c"), (2, "d")), "bc", 6),
        (((3, "a"), (1, ValueError("wrong")), (2, "d")), "d", 2),
        (((ValueError("wrong"),), (4, "b")), "b", 4),
        (((1,), (2, "b")), "", 1),  # ended well, with nothing
        ((("a", 1, "b"), (0.5, "c")), "ab", 1),
    ],
    ids=str,
)
def test_the_first_chunk_wins(colour, clock, plans, gives, after):
    def body(doors: Any) -> None:
        clock.tries.clear()
        begun = clock.now
        runners = [steps(clock, *plan, name=f"n{n}") for n, plan in enumerate(plans)]
        assert "".join(doors.stream(race(*runners), "x")) == gives
        assert clock.now - begun == pytest.approx(after)
        names = {runner.name for runner in runners}
        # where one has a chunk at once, the others may be given up before they have begun
        assert set(clock.tries) == names or plans[0][0] == "a"
        assert doors.invoke(race(*runners), "x") == (gives or None)

    colour.run(body)


@every_colour
def test_whole_answers(colour, clock):
    def body(doors: Any) -> None:
        begun = clock.now
        two = race(answers(clock, 3, "slow"), answers(clock, 1, "quick"))
        assert doors.invoke(two, "x") == "quick"
        assert clock.now - begun == pytest.approx(1)
        mixed = race(answers(clock, 3, "whole"), steps(clock, 1, "a", 9, "b"))
        assert doors.invoke(mixed, "x") == "ab"

    colour.run(body)


@every_colour
def test_all_fail(colour, clock):
    def body(doors: Any) -> None:
        errors = [ValueError("one"), KeyError("two"), OSError("three")]
        seen = Recorder()
        runners = [steps(clock, 3 - n, error) for n, error in enumerate(errors)]
        stream = doors.open(race(*runners), "x", seen.config)
        with pytest.raises(ValueError) as caught:
            stream.next()
        assert caught.value is errors[0]
        told = "\n".join(errors[0].__notes__)
        assert "KeyError('two')" in told
        assert "OSError('three')" in told
        assert "/race:1:steps" in told
        check_events(seen.events)
        assert sum(isinstance(e, RunFailed) for e in seen.events) == 4

    colour.run(body)


@every_colour
def test_what_is_no_failure_ends_the_race(colour, clock):
    class Stop(BaseException):
        pass

    def body(doors: Any) -> None:
        stop = Stop()
        stream = doors.open(race(steps(clock, 1, stop), steps(clock, 5, "b")), "x")
        with pytest.raises(Stop) as caught:
            stream.next()
        assert caught.value is stop
        assert not LEDGER.still_open

    colour.run(body)


@every_colour
@pytest.mark.parametrize("pulled", [0, 1, 2, 3])
def test_closed_at_any_chunk(colour, clock, pulled):
    def body(doors: Any) -> None:
        seen = Recorder()
        runners = [steps(clock, 1 + n, "a", 1, "b", 1, "c", 1, "d") for n in range(3)]
        chain = race(*runners) | RunnablePassthrough()
        stream = doors.open_transform(chain, Source("xyz"), seen.config)
        for _ in range(pulled):
            stream.next()
        stream.close()
        assert not LEDGER.still_open
        if pulled:
            check_events(seen.events)
            assert sum(isinstance(e, RunCancelled) for e in seen.events) == 6

    colour.run(body)


@every_colour
def test_losers_have_ended_when_the_stream_has(colour, clock):
    def body(doors: Any) -> None:
        seen = Recorder()
        runners = [steps(clock, 9, "a", name="one"), steps(clock, 1, "b", name="two")]
        assert doors.invoke(race(*runners), "x", seen.config) == "b"
        check_events(seen.events)
        ends = {e.run.name: type(e) for e in seen.events if not isinstance(e, RunStarted)}
        assert ends["one"] is RunCancelled
        assert ends["two"] is RunEnded
        assert {e.run.tag for e in seen.events if e.run.name == "one"} == {"race:1"}

    colour.run(body)


def test_nested_and_one_at_a_time(clock):
    """Async alone: the clock does not see a thread that waits for a permit."""

    def body(doors: Any) -> None:
        inner = race(steps(clock, 1, "a"), steps(clock, 1, "a"))
        nested = race(inner, RunnablePassthrough() | inner) | RunnablePassthrough()
        for limit in (None, 1, 2):
            out = doors.batch(nested, ["x"] * 4, {"max_concurrency": limit})
            assert out == ["a"] * 4

    ASYNC.run(body)


@every_colour
@pytest.mark.parametrize("limit", [None, 1, 2])
def test_beside_and_before_lanes_under_a_limit(colour, limit):
    """Without the clock: a fan-out's own waiting cannot be seen by it."""

    def letters(chunks: Any) -> Any:
        with LEDGER.body("letters"):
            for _ in chunks:
                continue
            yield from "abcde"

    async def aletters(chunks: Any) -> Any:
        with LEDGER.body("letters"):
            async for _ in chunks:
                await asyncio.sleep(0)
            for letter in "abcde":
                yield letter

    def body(doors: Any) -> None:
        made = RunnableGenerator(letters, aletters)
        ran = race(made, made)
        fan = RunnableParallel(a=made, b=ran, c=made.with_timeout(idle=60))
        config = {"max_concurrency": limit}
        for _ in range(5):
            merged: dict[str, str] = {}
            stream = doors.open(ran | fan, "x", config)
            while (chunk := stream.next()) is not END:
                for key, text in chunk.items():
                    merged[key] = merged.get(key, "") + text
            assert merged == dict.fromkeys("abc", "abcde")
            stream = doors.open(fan | ran, "x", config)
            stream.next()
            stream.close()
            assert not LEDGER.still_open
            outs = doors.batch(ran | fan, ["x"] * 3, config)
            assert outs == [dict.fromkeys("abc", "abcde")] * 3

    colour.run(body)


@sync_colours
def test_what_can_be_broken_off_is_and_its_run_is_cancelled(colour):
    """Real waiting, which only the breaking off ends."""

    def hanging(chunks: Any) -> Any:
        with LEDGER.body("hanging"):
            over = threading.Event()
            with breakable(over.set):
                yield from chunks
                over.wait(30)
                raise ConnectionError("closed in the middle")

    def quick(chunks: Any) -> Any:
        yield from ["b" for _ in chunks]

    def body(doors: Any) -> None:
        seen = Recorder()
        stuck = RunnableLambda(lambda _: "x") | RunnableGenerator(hanging) | RunnableLambda(str)
        for runners in ((stuck, RunnableGenerator(quick)), (RunnableGenerator(quick), stuck)):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert doors.stream(
                    race(*runners),
                    "y",
                ) == ["b"]
        stream = doors.open(race(stuck, RunnableGenerator(quick)), "y", seen.config)
        assert stream.rest() == ["b"]
        check_events(seen.events)
        assert not any(isinstance(e, RunFailed) for e in seen.events)

    colour.run(body)


@sync_colours
def test_breaking_off_goes_down_through_lanes_and_pauses(colour):
    def hanging(value: Any) -> Any:
        with LEDGER.body("hanging"):
            over = threading.Event()
            with breakable(over.set):
                over.wait(30)
                raise ConnectionError("closed in the middle")

    def broken(value: Any) -> Any:
        raise ConnectionError("again")

    def body(doors: Any) -> None:
        fan = RunnableParallel(a=hanging, b=RunnableLambda(hanging).with_timeout(total=60))
        pausing = RunnableLambda(broken).with_retry(
            exponential_jitter_params={"initial": 30, "max": 60}
        )
        for stuck in (fan, pausing, race(fan, pausing), fan.with_hedge(pausing, after=0)):
            with pytest.raises(TimeoutError) as caught:
                doors.invoke(stuck.with_timeout(total=0.02), "x")
            assert "blocked" not in str(getattr(caught.value, "__notes__", ""))
            assert not LEDGER.still_open
            with pytest.raises(TimeoutError):
                doors.stream(stuck.with_timeout(first_chunk=0.02), "x")
            assert not LEDGER.still_open

    colour.run(body)


@every_colour
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_permit_is_lost_by_those_who_are_given_up(colour, limit):
    at_work: list[int] = []
    most: list[int] = []

    def leaf(text: str) -> str:
        with LEDGER.body("leaf"):
            at_work.append(1)
            most.append(len(at_work))
            at_work.pop()
            return text

    async def aleaf(text: str) -> str:
        with LEDGER.body("leaf"):
            at_work.append(1)
            most.append(len(at_work))
            try:
                await asyncio.sleep(0)
            finally:
                at_work.pop()
            return text

    def body(doors: Any) -> None:
        gate = Gate(limit)
        most.clear()
        made = RunnableLambda(leaf, aleaf)
        ran = race(made, made.with_timeout(total=60), made | made)
        config = {"max_concurrency": gate}
        for _ in range(5):
            inputs = [str(number) for number in range(12)]
            assert doors.batch(ran, inputs, config) == inputs
            stream = doors.open(ran | ran.with_hedge(after=0), "x", config)
            assert stream.next() == "x"
            stream.close()
        assert gate._free == limit
        assert not gate._waiters or not any(wake() for wake in gate._waiters)
        assert max(most) <= limit

    colour.run(body)


@every_colour
@pytest.mark.parametrize("kind", ["timeout", "race"])
def test_each_pull_works_under_the_permit_of_who_pulls(colour, kind):
    """Items of two batches read one stream; what it does for them fans out, which needs the permit
    that each has of its own."""
    gate = Gate(1)
    config = {"max_concurrency": gate}
    fan = RunnableParallel(a=RunnableLambda(str), b=RunnableLambda(str))

    def letters(chunks: Any) -> Any:
        with LEDGER.body("letters"):
            yield from chunks
            for letter in "bc":
                yield fan.invoke(letter, config)["a"]

    async def aletters(chunks: Any) -> Any:
        with LEDGER.body("letters"):
            async for chunk in chunks:
                yield chunk
            for letter in "bc":
                yield (await fan.ainvoke(letter, config))["a"]

    def body(doors: Any) -> None:
        made: Any = RunnableGenerator(letters, aletters)
        if kind == "race":
            made = race(made, made | RunnablePassthrough())
        else:
            made = made.with_timeout(idle=60)

        async def pulled() -> Any:
            stream = made.astream("x", config)
            first = await anext(stream)

            async def pull(_: int) -> Any:
                return await anext(stream)

            reader = RunnableLambda(pull)
            out = [await reader.abatch([1], config) for _ in range(2)]
            await stream.aclose()
            return [first, *out]

        if doors.asynchronous:
            out = doors.wait(pulled())
        else:
            stream = made.stream("x", config)
            first = next(stream)
            reader = RunnableLambda(lambda _: next(stream))
            out = [first, *(reader.batch([1], config) for _ in range(2))]
            stream.close()
        assert out == ["x", ["b"], ["c"]]
        assert gate._free == 1

    colour.run(body)


# ---- about itself -------------------------------------------------------------------------------


def upper(text: str) -> str:
    return text.upper()


def lower(text: str) -> str:
    return text.lower()


def test_what_it_says_of_itself():
    two = race(RunnableLambda(upper), lower)
    assert isinstance(two, RunnableRace)
    assert repr(two) == "race(RunnableLambda(upper), RunnableLambda(lower))"
    assert pickle.loads(pickle.dumps(two)) == two == copy.deepcopy(two)
    assert two.get_name() == "RunnableRace<upper,lower>"
    assert race(upper, lower, name="mine").get_name() == "mine"
    assert two.InputType is str
    assert two.get_output_jsonschema()["type"] == "string"
    root, first, second = two.explain()
    assert (root.kind, first.path) == ("barrier", "RunnableRace<upper,lower>/race:1:upper")
    assert second.label == "race:2"
    streams = race(RunnablePassthrough(), RunnableLambda(upper))
    assert next(iter(streams.explain())).kind == "source"
    assert {"upper", "lower"} <= {node.name for node in two.get_graph().nodes.values()}


@pytest.mark.parametrize("runnables", [(), (upper,)])
def test_one_alone_is_no_race(runnables):
    with pytest.raises(ConfigError, match=f"race\\(\\) got {len(runnables)}"):
        race(*runnables)


def test_an_async_only_runner_says_so_in_sync():
    async def only(text: str) -> str:
        return text

    two = race(RunnableLambda(upper), RunnableLambda(only))
    with pytest.raises(TypeError, match="only"):
        two.invoke("x")
    assert asyncio.run(two.ainvoke("x")) in ("X", "x")
