"""Rate limiters on a clock of our own: every door takes once a call, sharing models share.

And what only `RateLimiter` does: tokens a minute, set right by what an answer used.
"""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError
from headrace.messages import HumanMessage
from headrace.output_parsers import StrOutputParser
from headrace.rate_limiters import BaseRateLimiter, InMemoryRateLimiter, RateLimiter
from headrace.runnables import RunnableLambda
from laws.colours import every_colour
from text_side.kit import (
    TEXTS,
    Clock,
    Counting,
    CountingAsync,
    Echo,
    Several,
    Whole,
    events,
    log_state,
    told,
)

MODELS = pytest.mark.parametrize("kind", [Counting, CountingAsync, Whole, Echo])
TEXT = "".join(TEXTS)


def bucket(clock, rate=2.0, size=1.0):
    return InMemoryRateLimiter(requests_per_second=rate, max_bucket_size=size, clock=clock)


class Tally(BaseRateLimiter):
    """A limiter of a user's own: never waits, counts."""

    def __init__(self):
        self.taken = []
        self.lock = threading.Lock()

    def acquire(self, *, blocking=True):
        with self.lock:
            self.taken.append("sync")
        return True

    async def aacquire(self, *, blocking=True):
        self.taken.append("async")
        return True


# ---- every door ---------------------------------------------------------------------------------


@every_colour
@MODELS
def test_each_door_takes_once(colour, kind):
    def body(doors):
        tally = Tally()
        model = kind(rate_limiter=tally, cache=False)
        doors.invoke(model, "a")
        assert len(tally.taken) == 1
        doors.stream(model, "a")
        assert len(tally.taken) == 2
        doors.batch(model, ["a", "b", "c"])
        assert len(tally.taken) == 5
        doors.as_completed(model, ["a", "b"])
        assert len(tally.taken) == 7
        doors.transform(model, ["a", "b"])
        assert len(tally.taken) == 8
        doors.invoke(RunnableLambda(lambda x: x) | model | StrOutputParser(), "a")
        assert len(tally.taken) == 9
        assert set(tally.taken) == {"async" if doors.asynchronous else "sync"}

    colour.run(body)


@every_colour
@MODELS
def test_calls_come_at_the_rate(colour, kind):
    def body(doors):
        clock = Clock()
        model = kind(rate_limiter=bucket(clock, rate=2), cache=False)
        for _ in range(3):
            doors.invoke(model, "a")
            doors.stream(model, "a")
        assert sum(clock.slept) == pytest.approx(3.0)  # six calls, half a second each

    colour.run(body)


@every_colour
def test_a_batch_comes_at_the_rate(colour):
    def body(doors):
        clock = Clock()
        model = Counting(rate_limiter=bucket(clock, rate=4))
        doors.batch(model, [str(n) for n in range(8)], {"max_concurrency": 1})
        assert clock.now - 50.0 == pytest.approx(2.0)
        answers = doors.batch(model, [str(n) for n in range(4)])
        assert [answer.content for answer in answers] == [TEXT] * 4
        assert len(model.asked) == 12

    colour.run(body)


@every_colour
def test_a_stream_that_is_never_read_takes_nothing(colour):
    def body(doors):
        tally = Tally()
        doors.open(Counting(rate_limiter=tally), "a").close()
        assert tally.taken == []

    colour.run(body)


@every_colour
def test_models_that_share_a_limiter_share_its_rate(colour):
    def body(doors):
        clock = Clock()
        shared = bucket(clock, rate=1)
        one, two = Counting(rate_limiter=shared), Echo(rate_limiter=shared)
        doors.invoke(one, "a")
        doors.invoke(two, "a")
        doors.stream(one, "a")
        assert clock.now - 50.0 == pytest.approx(3.0)

    colour.run(body)


@every_colour
def test_models_with_limiters_of_their_own_do_not_wait_for_each_other(colour):
    def body(doors):
        clock = Clock()
        one = Counting(rate_limiter=RateLimiter(requests_per_minute=1, clock=clock))
        two = Counting(rate_limiter=RateLimiter(requests_per_minute=1, clock=clock))
        doors.invoke(one, "a")
        doors.invoke(two, "a")
        assert clock.slept == []

    colour.run(body)


@every_colour
def test_retries_take_each_time(colour):
    def body(doors):
        tally = Tally()
        model = Counting(rate_limiter=tally, fail_at=0)
        retried = model.with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
        with pytest.raises(RuntimeError):
            doors.invoke(retried, "a")
        assert len(tally.taken) == 3

    colour.run(body)


@every_colour
def test_a_bound_model_keeps_its_limiter(colour):
    def body(doors):
        tally = Tally()
        model = Counting(rate_limiter=tally).bind(stop=["x"])
        doors.invoke(model, "a")
        doors.stream(model.with_config(tags=["t"]), "a")
        assert len(tally.taken) == 2

    colour.run(body)


@every_colour
def test_generate_takes_once_a_prompt(colour):
    def body(doors):
        tally = Tally()
        model = Counting(rate_limiter=tally)
        conversations = [[HumanMessage("a")], [HumanMessage("b")]]
        if doors.asynchronous:
            doors.wait(model.agenerate(conversations))
        else:
            model.generate(conversations)
        assert len(tally.taken) == 2

    colour.run(body)


class Refusing(Tally):
    def acquire(self, *, blocking=True):
        raise TimeoutError("no more today")

    async def aacquire(self, *, blocking=True):
        raise TimeoutError("no more today")


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_a_limiter_that_raises_stops_the_call(colour, door):
    def body(doors):
        model = Counting(rate_limiter=Refusing())
        with pytest.raises(TimeoutError, match="no more today"):
            getattr(doors, door)(model, "a")
        assert model.asked == []

    colour.run(body)


@pytest.mark.parametrize("limiter", ["fast", object(), 3])
def test_what_is_no_limiter_is_refused(limiter):
    with pytest.raises(ValueError, match="rate_limiter"):
        Counting(rate_limiter=limiter)


# ---- waiting ------------------------------------------------------------------------------------


async def test_a_cancelled_waiter_takes_nothing():
    limiter = InMemoryRateLimiter(requests_per_second=50, max_bucket_size=1)
    model = CountingAsync(rate_limiter=limiter)
    tasks = [asyncio.create_task(model.ainvoke(str(n))) for n in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(done[1], asyncio.CancelledError)
    assert len(model.asked) == 3


def test_it_can_be_asked_without_waiting():
    clock = Clock()
    limiter = RateLimiter(requests_per_minute=2, clock=clock)
    assert [limiter.acquire(blocking=False) for _ in range(3)] == [True, True, False]
    clock.now += 30
    assert limiter.acquire(blocking=False)
    assert clock.slept == []


async def test_it_can_be_asked_without_waiting_async():
    clock = Clock()
    limiter = InMemoryRateLimiter(requests_per_second=1, max_bucket_size=1, clock=clock)
    assert not await limiter.aacquire(blocking=False)
    clock.now += 1
    assert await limiter.aacquire(blocking=False)
    assert clock.slept == []


@given(
    st.floats(0.1, 100),
    st.floats(1, 20),
    st.lists(st.floats(0, 10), min_size=1, max_size=25),
)
def test_never_more_than_the_rate_and_one_bucket(rate, size, pauses):
    clock = Clock()
    limiter = InMemoryRateLimiter(requests_per_second=rate, max_bucket_size=size, clock=clock)
    begun = clock.now
    for number, pause in enumerate(pauses, start=1):
        clock.now += pause
        limiter.acquire()
        assert number <= (clock.now - begun) * rate + size + 1e-6


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"requests_per_minute": 0},
        {"tokens_per_minute": -1},
        {"requests_per_minute": float("nan")},
        {"requests_per_minute": 1, "burst_seconds": 0},
    ],
)
def test_a_limit_that_is_none_is_refused(given):
    with pytest.raises(ConfigError):
        RateLimiter(**given)


# ---- tokens a minute ----------------------------------------------------------------------------


def per_minute(clock, tokens=600, burst=60.0, **more):
    return RateLimiter(tokens_per_minute=tokens, burst_seconds=burst, clock=clock, **more)


def using(tokens, kind=Counting, **more):
    """A model whose streamed answer says that it used so many tokens, in two reports."""
    pieces = [
        {"content": "a", "usage_metadata": told(tokens - 1, 0)},
        {"content": "b", "usage_metadata": told(0, 1)},
    ]
    return kind(pieces=pieces, **more)


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream", "batch"])
def test_real_usage_is_what_counts(colour, door):
    def ask(doors, model):
        doors.batch(model, ["a"]) if door == "batch" else getattr(doors, door)(model, "a")

    def body(doors):
        clock = Clock()
        model = using(600, rate_limiter=per_minute(clock, estimate=lambda prompt: 1))
        ask(doors, model)  # the bucket was full: 600 are gone
        assert clock.slept == []
        ask(doors, model)  # 1 token a tenth of a second
        assert clock.now - 50.0 == pytest.approx(0.1)
        ask(doors, model)  # in debt by 599 + what this call needs
        assert clock.now - 50.0 == pytest.approx(0.1 + 60.0, abs=0.2)

    colour.run(body)


@every_colour
def test_an_estimate_that_was_too_high_is_given_back(colour):
    def body(doors):
        clock = Clock()
        model = using(10, rate_limiter=per_minute(clock, estimate=lambda prompt: 500))
        for _ in range(5):
            doors.invoke(model, "a")
            doors.stream(model, "a")
        assert clock.slept == []  # ten calls of ten tokens, of 600

    colour.run(body)


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_a_call_that_failed_does_not_hold_tokens_for_ever(colour, door):
    """What it really used is not known; the bucket must at most be short of the estimate."""

    def body(doors):
        clock = Clock()
        limiter = per_minute(clock, estimate=lambda prompt: 100)
        with pytest.raises(RuntimeError):
            getattr(doors, door)(Counting(rate_limiter=limiter, fail_at=0), "a")
        assert limiter.acquire(blocking=False, tokens=500)

    colour.run(body)


@every_colour
def test_a_stream_left_in_the_middle_has_taken_its_estimate(colour):
    def body(doors):
        clock = Clock()
        limiter = per_minute(clock, estimate=lambda prompt: 100)
        stream = doors.open(Counting(rate_limiter=limiter), "a")
        stream.next()
        stream.close()
        assert not limiter.acquire(blocking=False, tokens=600)
        assert limiter.acquire(blocking=False, tokens=400)

    colour.run(body)


@every_colour
def test_both_limits_hold(colour):
    def body(doors):
        clock = Clock()
        limiter = RateLimiter(
            requests_per_minute=2,
            tokens_per_minute=6000,
            clock=clock,
            estimate=lambda prompt: 1,
        )
        model = using(10, rate_limiter=limiter)
        for _ in range(3):
            doors.invoke(model, "a")
        assert clock.now - 50.0 == pytest.approx(30.0)

    colour.run(body)


@every_colour
def test_tokens_are_shared_between_models(colour):
    def body(doors):
        clock = Clock()
        shared = per_minute(clock, estimate=lambda prompt: 1)
        one, two = (using(300, kind, rate_limiter=shared) for kind in (Counting, CountingAsync))
        doors.invoke(one, "a")
        doors.stream(two, "a")
        assert clock.slept == []
        doors.invoke(one, "a")
        assert clock.now - 50.0 == pytest.approx(0.1, abs=0.01)

    colour.run(body)


@every_colour
def test_the_estimate_sees_the_messages(colour):
    def body(doors):
        seen = []
        limiter = per_minute(Clock(), estimate=lambda prompt: seen.append(prompt) or 1)
        doors.invoke(Counting(rate_limiter=limiter), [("system", "s"), ("human", "h")])
        doors.invoke(Echo(rate_limiter=limiter), "text")
        assert [message.content for message in seen[0]] == ["s", "h"]
        assert seen[1] in ("text", ["text"])

    colour.run(body)


# ---- threads, loops, and models that tell no usage ----------------------------------------------


def test_threads_share_a_bucket_fairly():
    limiter = InMemoryRateLimiter(requests_per_second=200, max_bucket_size=1)
    model = Counting(rate_limiter=limiter)
    begun = time.monotonic()
    threads = [threading.Thread(target=model.invoke, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begun >= 7 / 200
    assert len(model.asked) == 8


def test_loops_and_threads_share_one_limiter():
    tally = InMemoryRateLimiter(requests_per_second=500, max_bucket_size=2)
    model = CountingAsync(rate_limiter=tally)

    async def several():
        await asyncio.gather(*(model.ainvoke(str(n)) for n in range(3)))

    threads = [
        threading.Thread(target=lambda: asyncio.run(several())),
        threading.Thread(target=lambda: [model.invoke("s") for _ in range(3)]),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(model.asked) == 6


@every_colour
@pytest.mark.parametrize("kind", [Echo, Several])
def test_a_model_that_tells_no_usage_pays_for_its_length(colour, kind):
    """Without usage the answer's length counts: a long answer must cost more than a short one."""

    def body(doors):
        left = []
        for prompt in ("x", "x" * 4000):
            clock = Clock()
            limiter = per_minute(clock, tokens=6000, estimate=lambda prompt: 1)
            doors.invoke(kind(rate_limiter=limiter), prompt)
            takes = 0
            while limiter.acquire(blocking=False, tokens=10):
                takes += 10
            left.append(takes)
        assert left[0] > left[1] + 500

    colour.run(body)


@every_colour
def test_generate_is_corrected_by_usage_too(colour):
    def body(doors):
        clock = Clock()
        limiter = per_minute(clock, estimate=lambda prompt: 1)
        model = using(250, rate_limiter=limiter)
        given_ = [[HumanMessage("a")], [HumanMessage("b")]]
        if doors.asynchronous:
            doors.wait(model.agenerate(given_))
        else:
            model.generate(given_)
        assert limiter.acquire(blocking=False, tokens=90)
        assert not limiter.acquire(blocking=False, tokens=90)

    colour.run(body)


@every_colour
def test_inside_of_a_function_the_limit_holds_as_well(colour):
    def body(doors):
        clock = Clock()
        model = Counting(rate_limiter=bucket(clock, rate=1))
        if doors.asynchronous:

            async def twice(text):
                await model.ainvoke(text)
                return (await model.ainvoke(text)).content
        else:

            def twice(text):
                model.invoke(text)
                return model.invoke(text).content

        assert doors.invoke(RunnableLambda(twice), "a") == TEXT
        assert clock.now - 50.0 == pytest.approx(2.0)

    colour.run(body)


@every_colour
def test_events_and_logs_do_not_take_twice(colour):
    def body(doors):
        tally = Tally()
        model = Counting(rate_limiter=tally)
        events(doors, model | StrOutputParser(), "a")
        log_state(doors, model | StrOutputParser(), "a")
        assert len(tally.taken) == 2

    colour.run(body)
