"""Retry: what is tried again, how often, after how long; before the first chunk and in batches."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
import tenacity

from headrace import _async_plan, _sync_plan
from headrace.errors import ConfigError
from headrace.events import RunFailed, RunStarted
from headrace.runnables import RunnableGenerator, RunnableLambda, RunnableRetry
from laws.colours import both_drivers, every_colour, sync_colours
from laws.events import check_events
from laws.ledger import LEDGER, Recorder, Source

NO_WAIT: dict[str, Any] = {"wait_exponential_jitter": False}


class Failing:
    """Fails the first `times` calls for each input, with `error`; counts the calls for each."""

    def __init__(self, times: int, error: Any = None) -> None:
        self.times, self.error = times, error or ConnectionError("again")
        self.calls: dict[Any, int] = {}
        self._lock = threading.Lock()

    def __call__(self, value: Any) -> Any:
        with self._lock:
            self.calls[value] = self.calls.get(value, 0) + 1
        if self.calls[value] <= self.times:
            raise self.error
        return value

    def stream(self, chunks: Any) -> Any:
        """Fails before its first chunk, after it has read its input."""
        with LEDGER.body("stream"):
            given = list(chunks)
            self("".join(given))
            yield from given


@pytest.fixture(autouse=True)
def no_time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses asked for, none of them made."""
    slept: list[float] = []

    async def asleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(_sync_plan, "time", SimpleNamespace(sleep=slept.append))
    monkeypatch.setattr(
        _async_plan, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": asleep})
    )
    return slept


# ---- what is tried again ------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream", "transform"])
@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_three_tries_by_default_in_every_door(colour, door, times):
    def body(doors: Any) -> None:
        failing, seen = Failing(times), Recorder()
        retried = RunnableGenerator(failing.stream).with_retry(**NO_WAIT)
        value = ["a", "b"] if door == "transform" else "ab"

        def call() -> Any:
            made = getattr(doors, door)(retried, value, seen.config)
            return made if door == "invoke" else "".join(made)

        if times == 3:
            with pytest.raises(ConnectionError, match="again") as caught:
                call()
            assert caught.value is failing.error
        else:
            assert call() == "ab"
        assert failing.calls == {"ab": min(times + 1, 3)}
        check_events(seen.events)
        tries = [e.run for e in seen.events if isinstance(e, RunStarted)][1:]
        tags = [tag for run in tries for tag in run.all_tags if tag.startswith("retry:")]
        assert tags == [f"retry:attempt:{n}" for n in range(2, min(times + 1, 3) + 1)]
        assert sum(isinstance(e, RunFailed) for e in seen.events) == (4 if times == 3 else times)

    colour.run(body)


@every_colour
@pytest.mark.parametrize(
    ("chosen", "calls"),
    [
        ((Exception,), 2),
        ((OSError,), 2),
        ((ValueError, OSError), 2),
        ((ValueError,), 1),
        (ConnectionError, 2),
        (lambda error: "again" in str(error), 2),
        (lambda error: False, 1),
    ],
)
def test_types_and_predicates(colour, chosen, calls):
    def body(doors: Any) -> None:
        failing = Failing(9)
        retried = RunnableLambda(failing).with_retry(
            retry_if_exception_type=chosen, stop_after_attempt=2, **NO_WAIT
        )
        with pytest.raises(ConnectionError):
            doors.invoke(retried, "x")
        assert failing.calls == {"x": calls}
        with pytest.raises(ConnectionError):
            doors.stream(retried, "y")
        assert failing.calls["y"] == calls

    colour.run(body)


@every_colour
def test_after_the_first_chunk_the_failure_is_raised_as_it_is(colour):
    error = ConnectionError("cut")
    calls: list[int] = []

    def cut(chunks: Any) -> Any:
        calls.append(1)
        yield "a"
        raise error

    def body(doors: Any) -> None:
        calls.clear()
        stream = doors.open(RunnableGenerator(cut).with_retry(**NO_WAIT), "x")
        assert stream.next() == "a"
        with pytest.raises(ConnectionError) as caught:
            stream.next()
        assert caught.value is error
        assert len(calls) == 1

    colour.run(body)


@every_colour
def test_an_empty_stream_is_no_failure(colour):
    calls: list[int] = []

    def empty(chunks: Any) -> Any:
        calls.append(1)
        yield from ()

    def body(doors: Any) -> None:
        calls.clear()
        retried = RunnableGenerator(empty).with_retry(**NO_WAIT)
        assert doors.stream(retried, "x") == []
        assert doors.transform(retried, ["x"]) == []
        assert len(calls) == 2

    colour.run(body)


@every_colour
def test_a_failing_input_is_not_tried_again(colour):
    error = ConnectionError("upstream")

    def body(doors: Any) -> None:
        failing = Failing(0)
        source = Source("abc", fail_at=1, fail=error)
        stream = doors.open_transform(
            RunnableGenerator(failing.stream).with_retry(**NO_WAIT), source
        )
        with pytest.raises(ConnectionError) as caught:
            stream.rest()
        assert caught.value is error
        assert (failing.calls, source.pulls) == ({}, 2)

    colour.run(body)


@every_colour
def test_the_input_is_read_once_and_replayed(colour):
    def body(doors: Any) -> None:
        failing, source = Failing(2), Source("abc")
        stream = doors.open_transform(
            RunnableGenerator(failing.stream).with_retry(**NO_WAIT), source
        )
        assert stream.rest() == list("abc")
        assert (failing.calls, source.pulls) == ({"abc": 3}, 3)

    colour.run(body)


@sync_colours
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()], ids=repr)
def test_what_ends_the_program_is_never_tried_again(colour, error):
    def body(doors: Any) -> None:
        failing = Failing(9, error)
        retried = RunnableLambda(failing).with_retry(
            retry_if_exception_type=lambda _: True, **NO_WAIT
        )
        for door in (doors.invoke, doors.stream):
            with pytest.raises(type(error)):
                door(retried, "x")
        assert failing.calls == {"x": 2}

    colour.run(body)


async def test_a_cancellation_is_never_tried_again():
    calls = []

    async def cancelled(_: Any) -> None:
        calls.append(1)
        raise asyncio.CancelledError

    retried = RunnableLambda(cancelled).with_retry(
        retry_if_exception_type=lambda _: True, **NO_WAIT
    )
    with pytest.raises(asyncio.CancelledError):
        await retried.ainvoke("x")
    with pytest.raises(asyncio.CancelledError):
        await anext(retried.astream("x"))
    assert len(calls) == 2


# ---- how long it waits --------------------------------------------------------------------------


@both_drivers
@pytest.mark.parametrize(
    "params",
    [{}, {"initial": 0.5, "jitter": 0.0}, {"initial": 2, "max": 5, "exp_base": 3, "jitter": 0}],
    ids=str,
)
def test_the_pauses_are_those_of_tenacity(colour, params, no_time):
    def body(doors: Any) -> None:
        no_time.clear()
        retried = RunnableLambda(Failing(4)).with_retry(
            stop_after_attempt=5, exponential_jitter_params=params or None
        )
        assert doors.invoke(retried, "x") == "x"
        wait = tenacity.wait_exponential_jitter
        if params.get("jitter", 1) == 0:
            first, base, top = params["initial"], params.get("exp_base", 2), params.get("max", 60)
            assert no_time == [min(first * base**n, top) for n in range(4)]
        else:
            assert len(no_time) == 4
            assert all(2**n <= pause <= 2**n + 1 for n, pause in enumerate(no_time))
            assert wait(jitter=0)(SimpleNamespace(attempt_number=3)) == 4

    colour.run(body)


@every_colour
def test_no_pause_without_jitter_after_success_or_after_the_last_try(colour, no_time):
    def body(doors: Any) -> None:
        no_time.clear()
        doors.invoke(RunnableLambda(Failing(2)).with_retry(**NO_WAIT), "x")
        doors.invoke(RunnableLambda(Failing(0)).with_retry(), "x")
        assert no_time == []
        with pytest.raises(ConnectionError):
            doors.invoke(RunnableLambda(Failing(9)).with_retry(stop_after_attempt=2), "x")
        assert len(no_time) == 1

    colour.run(body)


def test_wrong_arguments_are_named_when_the_chain_is_made():
    step = RunnableLambda(str)
    with pytest.raises(ConfigError, match="0 attempts"):
        step.with_retry(stop_after_attempt=0)
    with pytest.raises(ConfigError, match=r"exponential_jitter_params.*'intial'.*initial, max"):
        step.with_retry(exponential_jitter_params={"intial": 1})
    for number in ("3", 2.5, None, True):
        with pytest.raises(ConfigError, match=r"stop_after_attempt is .*give a whole number"):
            step.with_retry(stop_after_attempt=number)
    for value in ("1", None, -1, float("nan"), True):
        with pytest.raises(ConfigError, match=r"exponential_jitter_params\['max'\] is"):
            step.with_retry(exponential_jitter_params={"max": value})
    with pytest.raises(ConfigError, match=r"exponential_jitter_params is 3: give a dict"):
        step.with_retry(exponential_jitter_params=3)
    for wrong in ("ValueError", ("ValueError",), (OSError, 3), None, int):
        with pytest.raises(ConfigError, match=r"and that is no exception class.*or a predicate"):
            step.with_retry(retry_if_exception_type=wrong)
    for never in (KeyboardInterrupt, (OSError, asyncio.CancelledError), BaseException):
        with pytest.raises(ConfigError, match="cancellations and interrupts are never handled"):
            step.with_retry(retry_if_exception_type=never)
    with pytest.raises(ConfigError, match="retry_if is 3"):
        RunnableRetry(bound=step, retry_if=3)
    assert RunnableRetry(bound=step, retry_exception_types=OSError).retry_exception_types == (
        OSError,
    )
    assert RunnableRetry(bound=step, max_attempt_number=1).max_attempt_number == 1


@every_colour
def test_a_predicate_that_fails_does_not_hide_the_failure(colour):
    def body(doors: Any) -> None:
        failure, wrong = OSError("the failure"), KeyError("of the predicate")

        def predicate(_: Any) -> bool:
            raise wrong

        chain = RunnableLambda(Failing(9, failure)).with_retry(retry_if_exception_type=predicate)
        for door in (doors.invoke, doors.stream):
            with pytest.raises(KeyError) as caught:
                door(chain, "x")
            assert caught.value is wrong
            assert caught.value.__cause__ is failure

    colour.run(body)


# ---- batches ------------------------------------------------------------------------------------


def mixed(value: int) -> int:
    return value


class Items:
    """Item n fails n % 4 times with an error worth another try, 13 always, 17 with another."""

    def __init__(self) -> None:
        self.calls: dict[int, int] = {}
        self._lock = threading.Lock()

    def __call__(self, item: int) -> str:
        with self._lock:
            self.calls[item] = n = self.calls.get(item, 0) + 1
        if item == 17:
            raise KeyError(item)
        if item == 13 or n <= item % 4:
            raise ConnectionError(item)
        return f"out {item}"


EXPECTED_CALLS = {i: 1 if i == 17 else 4 if i == 13 else i % 4 + 1 for i in range(20)}


@every_colour
@pytest.mark.parametrize("limit", [None, 1, 3])
@pytest.mark.parametrize("door", ["batch", "as_completed"])
def test_only_the_failed_items_again_each_at_its_place(colour, door, limit):
    def body(doors: Any) -> None:
        items = Items()
        retried = RunnableLambda(items).with_retry(
            retry_if_exception_type=(ConnectionError,), stop_after_attempt=4, **NO_WAIT
        )
        config = {"max_concurrency": limit} if limit else None
        made = getattr(doors, door)(retried, list(range(20)), config, return_exceptions=True)
        outputs = dict(enumerate(made)) if door == "batch" else dict(made)
        assert items.calls == EXPECTED_CALLS
        for item, output in outputs.items():
            if item in (13, 17):
                assert isinstance(output, ConnectionError if item == 13 else KeyError)
                assert output.args == (item,)
            else:
                assert output == f"out {item}"

    colour.run(body)


@every_colour
@pytest.mark.parametrize("door", ["batch", "as_completed"])
def test_a_failure_for_good_is_raised_without_return_exceptions(colour, door):
    def body(doors: Any) -> None:
        items = Items()
        retried = RunnableLambda(items).with_retry(
            retry_if_exception_type=(ConnectionError,), stop_after_attempt=4, **NO_WAIT
        )
        with pytest.raises(KeyError):
            getattr(doors, door)(retried, [0, 1, 17], {"max_concurrency": 1})
        assert items.calls[17] == 1
        good = [0, 1, 2, 3]
        assert doors.batch(retried, good) == [f"out {i}" for i in good]

    colour.run(body)


# ---- waiting gives way --------------------------------------------------------------------------


def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sync_plan, "time", time)
    monkeypatch.setattr(_async_plan, "asyncio", asyncio)


async def test_a_pause_ends_at_once_when_the_task_is_cancelled(monkeypatch):
    hasty(monkeypatch)
    failed = asyncio.Event()

    async def failing(_: Any) -> None:
        failed.set()
        raise ConnectionError

    retried = RunnableLambda(failing).with_retry(exponential_jitter_params={"initial": 50})
    for job in (retried.ainvoke("x"), anext(retried.astream("x")), retried.abatch(["x", "y"])):
        failed.clear()
        task = asyncio.ensure_future(job)
        await failed.wait()
        await asyncio.sleep(0)
        task.cancel()
        begun = time.monotonic()
        await asyncio.wait([task])
        assert task.cancelled()
        assert time.monotonic() - begun < 1


@both_drivers
def test_a_sleeping_retry_lends_its_slot(colour, monkeypatch):
    """At max_concurrency=1 the other item is worked on while the first one sleeps."""
    hasty(monkeypatch)
    order: list[str] = []

    def work(item: str) -> str:
        order.append(item)
        if item == "a" and order.count("a") == 1:
            raise ConnectionError
        return item

    def body(doors: Any) -> None:
        order.clear()
        retried = RunnableLambda(work).with_retry(
            exponential_jitter_params={"initial": 0.1, "jitter": 0}
        )
        pair = {
            "a": RunnableLambda(lambda _: "a") | retried,
            "b": RunnableLambda(lambda _: "b") | retried,
        }
        chain = RunnableLambda(str) | pair
        assert doors.batch(chain, ["x"], {"max_concurrency": 1}) == [{"a": "a", "b": "b"}]
        assert order == ["a", "b", "a"]

    colour.run(body)
