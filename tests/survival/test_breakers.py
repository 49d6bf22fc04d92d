"""Circuit breakers and limits: what counts, what comes back, and who waits; clocks are virtual."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headrace.errors import BadRequestError, CircuitOpenError, ConfigError, ServerError
from headrace.resilience import (
    CircuitBreaker,
    ConcurrencyLimit,
    circuit_breaker,
    limited,
    race,
    shared_limiter,
)
from headrace.runnables import RunnableLambda, RunnableParallel
from laws.colours import both_drivers, every_colour
from laws.events import check_events
from laws.ledger import LEDGER, Recorder
from survival.pieces import AGAIN, LONG, WHOLE, Service, text


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def breaker(clock: Clock, **more: Any) -> CircuitBreaker:
    return CircuitBreaker(**{"failures": 1, "cooldown": 10, "clock": clock, **more})


@every_colour
def test_a_probe_that_is_left_comes_back(colour):
    def body(doors: Any) -> None:
        clock = Clock()
        shared = breaker(clock)
        service = Service(fails={(1, 0): ServerError("down")})
        chain = circuit_breaker(service.runnable, shared)
        with pytest.raises(ServerError):
            doors.invoke(chain, "x")
        clock.now = 10
        for taken in (1, 2):
            stream = doors.open(chain, "x")
            for _ in range(taken):
                stream.next()
            with pytest.raises(CircuitOpenError):
                doors.invoke(chain, "y")  # the only probe is out
            stream.close()
        assert doors.invoke(chain, "x") == WHOLE
        assert doors.invoke(chain, "x") == WHOLE

    colour.run(body)


@every_colour
@pytest.mark.parametrize("at", range(5))
def test_a_probe_that_fails_opens_it_again(colour, at):
    def body(doors: Any) -> None:
        clock = Clock()
        shared = breaker(clock)
        fails = {(1, 0): ServerError("a"), (2, at): ServerError("b")}
        service = Service(fails=fails)
        chain, seen = circuit_breaker(service.runnable, shared), Recorder()
        with pytest.raises(ServerError):
            doors.invoke(chain, "x")
        clock.now = 10
        with pytest.raises(ServerError):
            doors.stream(chain, "x", seen.config)
        check_events(seen.events)
        clock.now = 19
        with pytest.raises(CircuitOpenError) as caught:
            doors.invoke(chain, "x")
        assert caught.value.retry_after == 1
        clock.now = 20
        assert text(doors.stream(chain, "x")) == WHOLE

    colour.run(body)


@every_colour
def test_failures_must_come_within_the_time(colour):
    def body(doors: Any) -> None:
        clock = Clock()
        shared = breaker(clock, failures=2, within=5)
        fails = {(n, 1): ServerError("down") for n in (1, 2, 3)}
        chain = circuit_breaker(Service(fails=fails).runnable, shared)
        for now in (0, 6, 12):
            clock.now = now
            with pytest.raises(ServerError):
                doors.stream(chain, "x")
        assert doors.invoke(chain, "x") == WHOLE

    colour.run(body)


@every_colour
def test_what_the_request_is_to_blame_for_does_not_count(colour):
    def body(doors: Any) -> None:
        shared = breaker(Clock())
        errors = [BadRequestError("yours"), KeyError("code"), ValueError("code")]
        fails = {(n, n - 1): error for n, error in enumerate(errors, 1)}
        chain = circuit_breaker(Service(fails=fails).runnable, shared)
        for error in errors:
            with pytest.raises(type(error)) as caught:
                doors.stream(chain, "x")
            assert caught.value is error
        assert doors.invoke(chain, "x") == WHOLE

    colour.run(body)


@every_colour
def test_who_leaves_or_loses_is_no_failure(colour):
    def body(doors: Any) -> None:
        shared = breaker(Clock(), counts=(Exception,))
        for _ in range(3):
            stream = doors.open(circuit_breaker(Service().runnable, shared), "x")
            stream.next()
            stream.close()
            slow = circuit_breaker(Service(blocks=[(1, 0)]).runnable, shared)
            assert doors.invoke(race(slow, Service().runnable), "x") == WHOLE
        assert doors.invoke(circuit_breaker(Service().runnable, shared), "x") == WHOLE

    colour.run(body)


@every_colour
def test_an_open_circuit_lets_the_fallback_answer(colour):
    def body(doors: Any) -> None:
        shared = breaker(Clock())
        service = Service(fails={(1, 2): ServerError("down")})
        for when in ("before_first_chunk", "restart"):
            other, seen = Service(tagged=True), Recorder()
            guarded = circuit_breaker(service.runnable, shared)
            if when == "before_first_chunk":
                with pytest.raises(ServerError):
                    doors.stream(guarded, "x")
            chain = guarded.with_fallbacks([other.runnable], when=when)
            assert text(doors.stream(chain, "x", seen.config)).startswith("1:The ")
            check_events(seen.events)
            assert doors.invoke(chain, "x").startswith("2:The ")
            assert service.calls == 1

    colour.run(body)


@every_colour
def test_tries_within_and_around(colour):
    """Around the tries it counts one failure, within it each."""

    def body(doors: Any) -> None:
        def down() -> Service:
            return Service(fails={(n, 0): ServerError("down") for n in range(1, 9)})

        around, within = down(), down()
        shared = breaker(Clock(), failures=2)
        chain = circuit_breaker(around.runnable.with_retry(**AGAIN), shared)
        for _ in range(2):
            with pytest.raises(ServerError):
                doors.invoke(chain, "x")
        with pytest.raises(CircuitOpenError):
            doors.invoke(chain, "x")
        assert around.calls == 6
        shared = breaker(Clock(), failures=2)
        chain = circuit_breaker(within.runnable, shared).with_retry(
            retry_if_exception_type=(ServerError,), stop_after_attempt=5, **AGAIN
        )
        with pytest.raises(CircuitOpenError):
            doors.stream(chain, "x")
        assert within.calls == 2

    colour.run(body)


# ---- limits --------------------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("calls", [1, 2])
def test_no_more_than_so_many_at_a_time(colour, calls):
    def body(doors: Any) -> None:
        limit, most = ConcurrencyLimit(calls), []

        def answer(value: int) -> int:
            most.append(limit.busy)
            if value == 3:
                raise KeyError(value)
            return value

        chain = limited(RunnableLambda(answer), limit)
        out = doors.batch(chain, list(range(8)), return_exceptions=True)
        assert [value for value in out if isinstance(value, int)] == [0, 1, 2, 4, 5, 6, 7]
        assert isinstance(out[3], KeyError)
        assert max(most) <= calls
        assert limit.busy == 0
        both = RunnableParallel(a=chain, b=chain, c=chain)
        assert doors.invoke(both, 1) == {"a": 1, "b": 1, "c": 1}
        assert limit.busy == 0

    colour.run(body)


@both_drivers
def test_as_completed_that_is_left_gives_back_what_it_took(colour):
    def body(doors: Any) -> None:
        limit = ConcurrencyLimit(2)
        chain = limited(Service().runnable, limit)
        stream = doors.open_as_completed(chain, ["x"] * 6)
        stream.next()
        stream.close()
        assert limit.busy == 0
        assert doors.invoke(chain, "x") == WHOLE

    colour.run(body)


@both_drivers
def test_one_chain_may_use_a_limit_twice(colour):
    """ "Steps of one chain may share a limiter: the one before has ended by then." """

    def body(doors: Any) -> None:
        limit = ConcurrencyLimit(1)
        first, second = Service(), Service()
        chain = limited(first.runnable, limit) | limited(second.runnable, limit)
        assert text(doors.stream(chain, "x")) == WHOLE
        assert "".join(second.inputs[0]) == WHOLE
        assert doors.invoke(chain | chain, "x") == WHOLE
        assert limit.busy == 0

    colour.run(body)


@pytest.mark.parametrize("door", ["ainvoke", "astream", "abatch"])
def test_cancelled_while_it_waits_for_its_place(door):
    limit, service = ConcurrencyLimit(1), Service()
    chain = limited(service.runnable, limit)

    async def use() -> Any:
        if door == "astream":
            return [chunk async for chunk in chain.astream("x")]
        return await getattr(chain, door)(["x"] if door == "abatch" else "x")

    async def main() -> None:
        assert await limit.aacquire()
        task = asyncio.create_task(use())
        for _ in range(20):
            await asyncio.sleep(0)
        assert service.calls == 0
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert limit.busy == 1
        limit.release()
        assert limit.busy == 0
        assert await asyncio.wait_for(use(), 5)

    asyncio.run(main())


@every_colour
def test_a_wait_for_a_place_that_is_given_up(colour):
    """A timeout around: the place is not taken afterwards."""
    from headrace.errors import Timeout

    def body(doors: Any) -> None:
        limit, service = ConcurrencyLimit(1), Service()
        chain = limited(service.runnable, limit).with_timeout(first_chunk=0.01)
        assert limit.acquire()
        with pytest.raises(Timeout):
            doors.stream(chain, "x")
        limit.release()
        assert limit.busy == 0
        assert service.calls == 0
        assert doors.invoke(limited(service.runnable, limit).with_timeout(total=LONG), "x") == WHOLE

    colour.run(body)


def test_a_shared_limiter_is_one():
    key = "survival: a key"
    one = shared_limiter(key, calls=3)
    assert shared_limiter(key) is one
    assert shared_limiter(key, calls=3) is one
    with pytest.raises(ConfigError):
        shared_limiter(key, calls=4)
    with pytest.raises(ConfigError):
        shared_limiter(key, calls=3, requests_per_minute=5)
    with pytest.raises(ConfigError):
        shared_limiter("survival: never made")


@pytest.mark.parametrize("calls", [0, -1])
def test_no_limit_of_none(calls):
    with pytest.raises(ConfigError):
        ConcurrencyLimit(calls)


@pytest.mark.parametrize(
    "wrong", [{"failures": 0}, {"probes": 0}, {"cooldown": -1}, {"within": -1}]
)
def test_a_breaker_with_impossible_numbers(wrong):
    with pytest.raises(ConfigError):
        CircuitBreaker(**wrong)


@every_colour
def test_nothing_is_left_open_by_a_refusal(colour):
    def body(doors: Any) -> None:
        shared, seen = breaker(Clock()), Recorder()
        chain = circuit_breaker(Service(fails={(1, 0): ServerError("x")}).runnable, shared)
        with pytest.raises(ServerError):
            doors.invoke(chain, "x")
        with pytest.raises(CircuitOpenError):
            doors.stream(Service().runnable | chain, "x", seen.config)
        assert not LEDGER.still_open
        check_events(seen.events)

    colour.run(body)
