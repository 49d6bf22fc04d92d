"""Fallbacks: who takes over, on what input, in which doors; and recovery in mid-stream."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headrace.errors import ConfigError, InputError
from headrace.events import RunFailed
from headrace.flow import Forward
from headrace.runnables import Runnable, RunnableGenerator, RunnableLambda
from headrace.runnables.coerce import NotRunnableError
from headrace.shapes import Plan
from laws.colours import every_colour, sync_colours
from laws.events import check_events
from laws.ledger import Recorder, Source


def fails(error: BaseException) -> Any:
    def failing(value: Any) -> Any:
        raise error

    return RunnableLambda(failing)


def starts_and_fails(error: BaseException) -> Any:
    def failing(chunks: Any) -> Any:
        yield "a"
        raise error

    return RunnableGenerator(failing)


def reads_and_fails(error: BaseException) -> Any:
    def failing(chunks: Any) -> Any:
        next(chunks)
        next(chunks)
        raise error
        yield

    return RunnableGenerator(failing)


def relay(chunks: Any) -> Any:
    yield from chunks


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream", "transform", "batch", "as_completed"])
def test_the_first_that_works_answers(colour, door):
    def body(doors: Any) -> None:
        chain = fails(OSError(1)).with_fallbacks(
            [fails(KeyError(2)), RunnableLambda(str.upper), fails(ValueError(3))]
        )
        expected = {"invoke": "X", "stream": ["X"], "transform": ["X"], "batch": ["X", "Y"],
                    "as_completed": [(0, "X"), (1, "Y")]}  # fmt: skip
        value = ["x", "y"] if door in ("batch", "as_completed") else "x"
        made = getattr(doors, door)(chain, value)
        assert (sorted(made) if door == "as_completed" else made) == expected[door]

    colour.run(body)


@every_colour
def test_when_all_fail_the_first_failure_is_raised_everywhere(colour):
    def body(doors: Any) -> None:
        first, seen = OSError("first"), Recorder()
        chain = fails(first).with_fallbacks([fails(KeyError("second"))])
        for call in (
            lambda: doors.invoke(chain, "x"),
            lambda: doors.stream(chain, "x", seen.config),
            lambda: doors.transform(chain, ["x", "y"]),
            lambda: doors.batch(chain, ["x", "y"]),
            lambda: doors.as_completed(chain, ["x"]),
        ):
            with pytest.raises(OSError, match="first") as caught:
                call()
            assert caught.value is first
        check_events(seen.events)
        assert sum(isinstance(e, RunFailed) for e in seen.events) == 3
        assert doors.batch(chain, ["x"], return_exceptions=True) == [first]

    colour.run(body)


@every_colour
def test_failures_that_are_not_to_be_handled_are_raised(colour):
    def body(doors: Any) -> None:
        error = KeyError("mine")
        chain = fails(error).with_fallbacks(
            [RunnableLambda(str)], exceptions_to_handle=(OSError, ValueError)
        )
        for door in (doors.invoke, doors.stream):
            with pytest.raises(KeyError) as caught:
                door(chain, "x")
            assert caught.value is error

    colour.run(body)


@sync_colours
@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit(), SystemExit()], ids=repr)
def test_what_ends_the_program_is_never_handled(colour, error):
    def body(doors: Any) -> None:
        chain = fails(error).with_fallbacks(
            [RunnableLambda(str)], exceptions_to_handle=(Exception,)
        )
        for door in (doors.invoke, doors.stream):
            with pytest.raises(type(error)):
                door(chain, "x")

    colour.run(body)


async def test_a_cancellation_is_never_handled():
    async def cancelled(_: Any) -> None:
        raise asyncio.CancelledError

    chain = RunnableLambda(cancelled).with_fallbacks(
        [RunnableLambda(str)], exceptions_to_handle=(Exception,)
    )
    with pytest.raises(asyncio.CancelledError):
        await chain.ainvoke("x")
    with pytest.raises(asyncio.CancelledError):
        await anext(chain.astream("x"))


def test_wrong_arguments_are_named_when_the_chain_is_made():
    step = RunnableLambda(str)
    with pytest.raises(ConfigError, match=r"The fallbacks are .*write with_fallbacks\(\[…\]\)"):
        step.with_fallbacks(RunnableLambda(len))
    with pytest.raises(ConfigError, match=r"which is no list"):
        step.with_fallbacks(len)
    with pytest.raises(NotRunnableError, match=r"^3 \(int\), fallback 2, cannot"):
        step.with_fallbacks([len, 3])
    for wrong in ("ValueError", ("ValueError",), None, len):
        with pytest.raises(ConfigError, match=r"exceptions_to_handle holds .* no exception class"):
            step.with_fallbacks([len], exceptions_to_handle=wrong)
    for never in (BaseException, (OSError, KeyboardInterrupt), (asyncio.CancelledError,)):
        with pytest.raises(ConfigError, match="cancellations and interrupts are never handled"):
            step.with_fallbacks([len], exceptions_to_handle=never)


@every_colour
def test_one_class_alone_is_handled(colour):
    def body(doors: Any) -> None:
        chain = fails(OSError("x")).with_fallbacks(
            [RunnableLambda(str)], exceptions_to_handle=OSError
        )
        assert doors.invoke(chain, "y") == "y"

    colour.run(body)


@every_colour
def test_streaming_the_next_takes_over_before_the_first_chunk_and_not_after(colour):
    def body(doors: Any) -> None:
        error = ConnectionError("cut")
        relaying = RunnableGenerator(relay)
        source = Source("abcd")
        stream = doors.open_transform(reads_and_fails(error).with_fallbacks([relaying]), source)
        assert stream.rest() == list("abcd")
        assert source.pulls == 4
        stream = doors.open(starts_and_fails(error).with_fallbacks([relaying]), "x")
        assert stream.next() == "a"
        with pytest.raises(ConnectionError) as caught:
            stream.next()
        assert caught.value is error

    colour.run(body)


@every_colour
def test_an_empty_stream_is_no_failure(colour):
    def empty(chunks: Any) -> Any:
        yield from ()

    def body(doors: Any) -> None:
        chain = RunnableGenerator(empty).with_fallbacks([RunnableGenerator(relay)])
        assert doors.stream(chain, "x") == []

    colour.run(body)


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_the_failure_is_put_into_the_input(colour, door):
    got: list[Any] = []

    def failing(given: Any) -> Any:
        got.append(given)
        raise ConnectionError(len(got))

    def body(doors: Any) -> None:
        got.clear()
        given = {"x": 1}
        chain = RunnableLambda(failing).with_fallbacks(
            [RunnableLambda(failing), RunnableLambda(lambda g: [g["x"], g["why"].args])],
            exception_key="why",
        )
        made = getattr(doors, door)(chain, given)
        assert (made if door == "invoke" else made[0]) == [1, (2,)]
        assert given == {"x": 1}
        assert [list(g) for g in got] == [["x"], ["x", "why"]]
        with pytest.raises(InputError, match="must be a dict"):
            doors.invoke(chain, "text")

    colour.run(body)


class Items:
    def __init__(self, bad: Any) -> None:
        self.bad, self.calls = bad, []

    def __call__(self, item: int) -> str:
        self.calls.append(item)
        if item in self.bad:
            raise ConnectionError(item)
        return f"{min(self.bad, default=None)} {item}"


@every_colour
@pytest.mark.parametrize("limit", [None, 1, 2])
@pytest.mark.parametrize("door", ["batch", "as_completed"])
def test_in_a_batch_only_failed_items_go_on_each_at_its_place(colour, door, limit):
    def body(doors: Any) -> None:
        first, second, third = Items({1, 3, 5}), Items({3, 5}), Items({5})
        chain = RunnableLambda(first).with_fallbacks(
            [RunnableLambda(second), RunnableLambda(third)]
        )
        config = {"max_concurrency": limit} if limit else None
        made = getattr(doors, door)(chain, list(range(6)), config, return_exceptions=True)
        outputs = dict(enumerate(made)) if door == "batch" else dict(made)
        assert isinstance(outputs.pop(5), ConnectionError)
        assert outputs == {0: "1 0", 1: "3 1", 2: "1 2", 3: "5 3", 4: "1 4"}
        assert sorted(first.calls) == [0, 1, 2, 3, 4, 5]
        assert sorted(second.calls) == [1, 3, 5]
        assert sorted(third.calls) == [3, 5]

    colour.run(body)


# ---- the door for recovery in mid-stream --------------------------------------------------------


class Resuming(Plan, Runnable[Any, Any]):
    """Where the first breaks off, the second goes on from what has been handed on."""

    def __init__(self, first: Any, second: Any) -> None:
        self.first, self.second = first, second

    def _plan(self, run: Any, kw: Any) -> Any:
        had: list[Any] = []
        outcome = yield Forward(self.first, keep=had)
        while outcome.error is not None:
            outcome = yield Forward(self.second, "resume", value="".join(had), keep=had)

    def _children(self) -> Any:
        return [("first", self.first), ("second", self.second)]


@every_colour
@pytest.mark.parametrize("observed", [False, True])
def test_a_plan_resumes_in_mid_stream(colour, observed):
    whole = "abcdef"

    def body(doors: Any) -> None:
        breaks = [ConnectionError("once"), ConnectionError("twice")]

        def first(chunks: Any) -> Any:
            yield "a"
            yield "b"
            raise ConnectionError("cut")

        def second(chunks: Any) -> Any:
            (had,) = chunks
            for letter in whole[len(had) :]:
                yield letter
                if breaks:
                    raise breaks.pop()

        seen = Recorder()
        plan = Resuming(RunnableGenerator(first), RunnableGenerator(second))
        stream = doors.open_transform(plan, Source("xy"), seen.config if observed else None)
        assert stream.rest() == list(whole)
        if observed:
            check_events(seen.events)
            assert sum(isinstance(e, RunFailed) for e in seen.events) == 3
        assert (
            doors.invoke(Resuming(fails(OSError()), RunnableLambda(lambda had: had + "!")), "x")
            == "!"
        )

    colour.run(body)


@every_colour
def test_a_resumed_stream_can_be_left(colour):
    def endless(chunks: Any) -> Any:
        while True:
            yield "z"

    def body(doors: Any) -> None:
        plan = Resuming(starts_and_fails(OSError()), RunnableGenerator(endless))
        stream = doors.open(plan, "x")
        assert [stream.next(), stream.next(), stream.next()] == ["a", "z", "z"]
        stream.close()

    colour.run(body)
