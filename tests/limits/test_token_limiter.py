"""`RateLimiter`: calls and tokens a minute on a clock of ours, and set right by what was used."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError
from headrace.language_models import BaseChatModel, BaseLLM, FakeListChatModel, FakeListLLM
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage
from headrace.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    Generation,
    LLMResult,
)
from headrace.rate_limiters import Place, RateLimiter
from laws.colours import every_colour
from limits.test_rate_limiter import Clock


def usage(tokens: int) -> Any:
    return {"input_tokens": tokens - 1, "output_tokens": 1, "total_tokens": tokens}


class Using(BaseChatModel):
    """Uses `tokens` a call, and says so; streams its usage in two parts."""

    tokens: int | None = 100

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        told = None if self.tokens is None else usage(self.tokens)
        return ChatResult(
            generations=[ChatGeneration(AIMessage("x" * 40, usage_metadata=told))] * 2
        )

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        for part in (10, (self.tokens or 0) - 10):
            told = None if self.tokens is None else usage(part)
            yield ChatGenerationChunk(AIMessageChunk("x" * 20, usage_metadata=told))


class UsingAsync(Using):
    async def _astream(self, messages: Any, stop: Any = None, **kw: Any) -> Any:
        for chunk in self._stream(messages):
            yield chunk


def limiter(clock: Any, **given: Any) -> RateLimiter:
    return RateLimiter(clock=clock, **given)


@every_colour
@pytest.mark.parametrize("kind", [Using, UsingAsync])
@pytest.mark.parametrize("door", ["invoke", "stream", "transform", "batch"])
def test_what_was_used_is_paid_by_the_next_call(colour, kind, door):
    def body(doors: Any) -> None:
        clock = Clock()
        limit = limiter(clock, tokens_per_minute=60, burst_seconds=20)
        model = kind(rate_limiter=limit)
        given: Any = ["hi"] if door == "batch" else "hi"
        getattr(doors, door)(model, given)  # from the full bucket: 20, of which 100 are used
        assert clock.slept == []
        assert limit._tokens.level == pytest.approx(-80)
        getattr(doors, door)(model, given)  # its estimate, 4, is there when 84 have come
        assert clock.slept == [pytest.approx(84)]
        assert limit._tokens.level == pytest.approx(4 - 100)

    colour.run(body)


@every_colour
def test_without_usage_the_answer_is_measured(colour):
    def body(doors: Any) -> None:
        for door, characters in (("invoke", 80), ("stream", 40)):
            clock = Clock()
            limit = limiter(clock, tokens_per_minute=6000)
            getattr(doors, door)(Using(tokens=None, rate_limiter=limit), "x" * 9)
            estimate = 3 + 3
            assert limit._tokens.level == 6000 - estimate - characters / 4
        clock = Clock()
        limit = limiter(clock, tokens_per_minute=6000)
        doors.invoke(FakeListLLM(responses=["x" * 41], rate_limiter=limit), "four")
        assert limit._tokens.level == 6000 - 1 - 11

    colour.run(body)


@every_colour
def test_a_stream_that_is_left_or_fails_pays_for_what_came(colour):
    class Failing(Using):
        def _stream(self, messages: Any, stop: Any = None, **kw: Any) -> Any:
            yield from list(super()._stream(messages))[:1]
            raise ConnectionError

    def body(doors: Any) -> None:
        limit = limiter(Clock(), tokens_per_minute=600)
        kind = UsingAsync if doors.asynchronous else Using  # a thread would run ahead
        stream = doors.open(kind(rate_limiter=limit), "hi")
        stream.next()
        stream.close()
        assert limit._tokens.level == 600 - 10
        with pytest.raises(ConnectionError):
            doors.stream(Failing(rate_limiter=limit), "hi")
        assert limit._tokens.level == 600 - 20

    colour.run(body)


@every_colour
def test_more_than_the_bucket_holds_waits_until_it_is_full(colour):
    def body(doors: Any) -> None:
        clock = Clock()
        limit = limiter(clock, tokens_per_minute=60, burst_seconds=10, estimate=lambda p: 1000)
        model = Using(tokens=1000, rate_limiter=limit)
        doors.invoke(model, "hi")
        doors.invoke(model, "hi")
        assert clock.slept == [pytest.approx(1000)]  # until the debt is paid and it is full again

    colour.run(body)


@every_colour
def test_several_models_share_one(colour):
    def body(doors: Any) -> None:
        clock = Clock()
        limit = limiter(clock, requests_per_minute=2)
        models = [FakeListChatModel(responses=["x"], rate_limiter=limit),
                  FakeListLLM(responses=["x"], rate_limiter=limit)]  # fmt: skip
        for model in models * 2:
            doors.invoke(model, "hi")
        assert clock.slept == [30, 30]

    colour.run(body)


@every_colour
def test_prompts_that_are_asked_together_are_one_call_and_all_their_tokens(colour):
    class Batched(BaseLLM):
        def _generate(self, prompts: Any, stop: Any = None, **kw: Any) -> Any:
            return LLMResult(generations=[[Generation("x" * 4)] for _ in prompts])

    def body(doors: Any) -> None:
        limit = limiter(Clock(), requests_per_minute=60, tokens_per_minute=60)
        doors.batch(Batched(rate_limiter=limit), ["x" * 8, "x" * 12])
        assert (limit._calls.level, limit._tokens.level) == (59, 60 - 5 - 2)

    colour.run(body)


def test_an_estimate_of_ones_own():
    seen: list[Any] = []

    def estimate(prompt: Any) -> int:
        seen.append(prompt)
        return 7

    limit = limiter(Clock(), tokens_per_minute=60, estimate=estimate)
    Using(rate_limiter=limit, tokens=9).invoke("hi")
    assert seen == [[HumanMessage("hi")]]
    assert limit._tokens.level == 60 - 9
    assert limit.estimate("x") == 7
    calls = limiter(Clock(), requests_per_minute=1, estimate=estimate)
    assert calls.estimate("x") is None  # only tokens are estimated
    calls.settle(1, 100)
    assert calls._calls.level == 1


def test_who_waits_for_nothing_gets_nothing():
    clock = Clock()
    limit = limiter(clock, requests_per_minute=60, tokens_per_minute=60, burst_seconds=10)
    assert limit.acquire(blocking=False, tokens=8)
    assert not limit.acquire(blocking=False, tokens=3)
    assert (limit._calls.level, limit._tokens.level) == (9, 2)  # a refusal takes nothing
    clock.now += 1
    assert limit.acquire(blocking=False, tokens=3)
    assert clock.slept == []


def test_a_small_call_does_not_overtake_a_large_one():
    limit = limiter(Clock(), tokens_per_minute=60)
    limit._waiting.append(Place(int))  # somebody who waits for more than there is
    assert not limit.acquire(blocking=False, tokens=1)
    limit._waiting.clear()
    assert limit.acquire(blocking=False, tokens=1)


def test_the_rate_holds_under_threads():
    limit = RateLimiter(tokens_per_minute=60_000, burst_seconds=0.01)  # 1000 a second, 10 at once
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(5):
                limit.acquire(tokens=5)
                limit.settle(5, 10)
        except BaseException as error:
            failures.append(error)

    begun = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not failures
    assert not limit._waiting
    assert time.monotonic() - begun >= (20 * 10 - 10 - 10) / 1000


@given(
    steps=st.lists(
        st.tuples(st.floats(0, 30), st.integers(0, 50), st.integers(0, 80)), max_size=25
    ),
    rate=st.floats(1, 600),
    burst=st.floats(1, 60),
)
def test_never_more_than_the_rate_and_one_bucket_allow(steps, rate, burst):
    """Of every stretch of time: what was used in it, less the last call (nobody knows beforehand
    what it will use), is at most a bucket and the rate."""
    clock = Clock()
    limit = limiter(clock, tokens_per_minute=rate, burst_seconds=burst)
    size = max(1.0, rate / 60 * burst)
    used: list[tuple[float, float]] = []
    for pause, estimate, real in steps:
        clock.now += pause
        limit.acquire(tokens=estimate)
        used.append((clock.now, real))
        limit.settle(estimate, real)
        assert limit._tokens.level <= size + 1e-6
    for start in range(len(used)):
        total = 0.0
        for now, real in used[start:]:
            allowed = size + (now - used[start][0]) * rate / 60
            assert total <= allowed + 1e-3
            total += real


def test_wrong_numbers_are_refused():
    with pytest.raises(ConfigError, match="give requests_per_minute, tokens_per_minute or both"):
        RateLimiter()
    for name in ("requests_per_minute", "tokens_per_minute", "burst_seconds"):
        given = {"requests_per_minute": 1, name: 0}
        for wrong in (0, -1, float("nan"), float("inf")):
            with pytest.raises(ConfigError, match=f"{name} is .*: give a number above 0"):
                RateLimiter(**{**given, name: wrong})
        for wrong in ("1", True):
            with pytest.raises(ConfigError, match=rf"{name} is .*: give a number"):
                RateLimiter(**{**given, name: wrong})


def test_copies_share_the_buckets_and_other_processes_get_some_like_them():
    limit = RateLimiter(requests_per_minute=3, tokens_per_minute=400, burst_seconds=5)
    model = Using(rate_limiter=limit)
    assert copy.deepcopy(model).rate_limiter is limit
    sent = pickle.loads(pickle.dumps(limit))
    assert (sent.requests_per_minute, sent.tokens_per_minute, sent.burst_seconds) == (3, 400, 5)
    assert repr(limit) == "RateLimiter(requests_per_minute=3, tokens_per_minute=400)"
