"""The token bucket: its arithmetic on a clock of ours, its queue, and once per call of a model."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError, ModelError, Timeout
from headrace.language_models import (
    LLM,
    BaseChatModel,
    FakeListChatModel,
    FakeListLLM,
    FakeStreamingListLLM,
    ParrotFakeChatModel,
)
from headrace.messages import AIMessage, AIMessageChunk
from headrace.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from headrace.rate_limiters import BaseRateLimiter, InMemoryRateLimiter, Place
from headrace.runnables import RunnableLambda, RunnableParallel
from laws.colours import every_colour


class Clock:
    """Time that passes only where somebody sleeps, and then at once."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


def limiter(clock: Any, rate: float = 2, size: float = 2) -> InMemoryRateLimiter:
    return InMemoryRateLimiter(requests_per_second=rate, max_bucket_size=size, clock=clock)


def test_an_empty_bucket_fills_from_the_first_question_on():
    clock = Clock()
    bucket = limiter(clock)
    assert bucket.available_tokens == 0.0
    clock.now += 100
    assert not bucket.acquire(blocking=False)  # now it begins
    for _ in range(2):
        clock.now += 0.25
        assert bucket.acquire(blocking=False) is (clock.now >= 1100.5)
    assert not bucket.acquire(blocking=False)
    clock.now += 0.75
    assert bucket.acquire(blocking=False)
    assert bucket.available_tokens == 0.5
    clock.now += 100
    assert [bucket.acquire(blocking=False) for _ in range(3)] == [True, True, False]


@given(
    steps=st.lists(st.floats(0, 5), max_size=30),
    rate=st.floats(0.1, 50),
    size=st.floats(1, 10),
)
def test_never_more_than_the_rate_and_the_bucket_allow(steps, rate, size):
    clock = Clock()
    bucket = limiter(clock, rate, size)
    bucket.acquire(blocking=False)
    taken: list[float] = []
    for step in steps:
        clock.now += step
        while bucket.acquire(blocking=False):
            taken.append(clock.now)
        assert 0 <= bucket.available_tokens < 1
    for start in range(len(taken)):
        for end in range(start, len(taken)):
            allowed = size + (taken[end] - taken[start]) * rate
            assert end - start + 1 <= allowed + 1e-6
    total = (clock.now - 1000.0) * rate
    assert len(taken) <= total + 1e-6


@every_colour
def test_who_waits_sleeps_once_until_the_token_is_there(colour):
    def body(doors: Any) -> None:
        clock = Clock()
        bucket = limiter(clock, rate=4, size=1)
        model = FakeListChatModel(responses=["x"] * 9, rate_limiter=bucket)
        for _ in range(3):
            doors.invoke(model, "hi")
        assert clock.slept == [0.25, 0.25, 0.25]
        clock.now += 10
        doors.invoke(model, "hi")
        assert len(clock.slept) == 3

    colour.run(body)


def test_threads_and_tasks_are_served_in_the_order_in_which_they_came():
    """Each begins to wait only when the one before it stands in the queue."""
    bucket = InMemoryRateLimiter(requests_per_second=100, max_bucket_size=1)
    bucket.acquire()
    order: list[int] = []
    first = Place(int)  # somebody who is never served holds the first place
    bucket._waiting.append(first)

    def sync(number: int) -> None:
        bucket.acquire()
        order.append(number)

    async def one(number: int) -> None:
        await bucket.aacquire()
        order.append(number)

    threads = [
        threading.Thread(target=sync, args=(n,))
        if n % 2
        else threading.Thread(target=lambda n=n: asyncio.run(one(n)))
        for n in range(6)
    ]
    for number, thread in enumerate(threads):
        thread.start()
        while len(bucket._waiting) < number + 2:
            time.sleep(0.0005)
    bucket._leave(first)
    for thread in threads:
        thread.join(5)
    assert order == list(range(6))
    assert not bucket._waiting


def stuck(bucket: InMemoryRateLimiter, waiters: int = 1) -> tuple[Any, list[Any]]:
    """Tasks that wait in a loop which nobody runs any more, and the loop."""
    loop = asyncio.new_event_loop()
    before = len(bucket._waiting)
    tasks = [loop.create_task(bucket.aacquire()) for _ in range(waiters)]
    while len(bucket._waiting) < before + waiters:
        loop.run_until_complete(asyncio.sleep(0))
    return loop, tasks


def dropped(tasks: list[Any]) -> None:
    """Silence for tasks that are meant to be left pending."""
    for task in tasks:
        task._log_destroy_pending = False
        task.get_coro().close()


def test_a_closed_loop_at_the_head_holds_nobody_up_who_comes_later():
    bucket = InMemoryRateLimiter(requests_per_second=200, max_bucket_size=1)
    bucket.acquire()
    loop, tasks = stuck(bucket, 2)
    loop.close()
    assert bucket.acquire()
    assert asyncio.run(bucket.aacquire())
    assert not bucket._waiting
    dropped(tasks)  # what they do at their end finds the queue as it is
    assert bucket.acquire()


@pytest.mark.parametrize("kind", ["thread", "task"])
def test_a_loop_that_is_closed_while_others_stand_behind_it(kind):
    bucket = InMemoryRateLimiter(requests_per_second=200, max_bucket_size=1)
    bucket.acquire()
    loop, tasks = stuck(bucket)
    served: list[str] = []

    def wait() -> None:
        if kind == "task":
            asyncio.run(bucket.aacquire())
        else:
            bucket.acquire()
        served.append(kind)

    threads = [threading.Thread(target=wait, daemon=True) for _ in range(2)]
    for number, thread in enumerate(threads):
        thread.start()
        while len(bucket._waiting) < number + 2:
            time.sleep(0.0005)
    loop.close()
    for thread in threads:
        thread.join(5)
    assert served == [kind, kind]
    assert not bucket._waiting
    dropped(tasks)


def test_a_closed_loop_in_the_middle_is_passed_over():
    bucket = InMemoryRateLimiter(requests_per_second=200, max_bucket_size=1)
    bucket.acquire()
    first = Place(int)
    bucket._waiting.append(first)
    loop, tasks = stuck(bucket)
    woken: list[str] = []
    last = Place(lambda: woken.append("last"))
    bucket._waiting.append(last)
    loop.close()
    bucket._leave(first)
    assert woken == ["last"]
    assert list(bucket._waiting) == [last]
    dropped(tasks)


def test_a_loop_that_closes_at_the_moment_of_its_turn_is_passed_over():
    class Closing:
        def is_closed(self) -> bool:
            return False

    def refuse() -> None:
        raise RuntimeError("Event loop is closed")

    bucket = limiter(Clock())
    first, gone, last = Place(int), Place(refuse, Closing()), Place(int)
    bucket._waiting.extend([first, gone, last])
    bucket._leave(first)
    assert list(bucket._waiting) == [last]


async def test_whoever_gives_up_leaves_the_queue_to_the_next():
    bucket = InMemoryRateLimiter(requests_per_second=50, max_bucket_size=1)
    await bucket.aacquire()
    tasks = [asyncio.create_task(bucket.aacquire()) for _ in range(4)]
    while len(bucket._waiting) < 4:  # noqa: ASYNC110 - each task takes its place in a turn
        await asyncio.sleep(0)
    assert not await bucket.aacquire(blocking=False)  # nobody overtakes
    tasks[0].cancel()
    tasks[2].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [d is True for d in done] == [False, True, False, True]
    assert not bucket._waiting


def test_the_rate_holds_under_threads():
    bucket = InMemoryRateLimiter(requests_per_second=200, max_bucket_size=1)
    taken: list[float] = []

    def work() -> None:
        for _ in range(5):
            bucket.acquire()
            taken.append(time.monotonic())

    begun = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(taken) == 20
    assert max(taken) - begun >= 20 / 200 - 0.001


def test_wrong_numbers_are_refused():
    for rate in (0, -1, float("nan")):
        with pytest.raises(ConfigError, match="requests_per_second"):
            InMemoryRateLimiter(requests_per_second=rate)
    for name in ("requests_per_second", "check_every_n_seconds", "max_bucket_size"):
        for wrong in ("1", None, True):
            with pytest.raises(ConfigError, match=rf"{name} is .*: give a number"):
                InMemoryRateLimiter(**{name: wrong})
    with pytest.raises(ConfigError, match=r"max_bucket_size is 0\.5"):
        InMemoryRateLimiter(max_bucket_size=0.5)


def test_copies_share_the_bucket_and_other_processes_get_one_like_it():
    bucket = InMemoryRateLimiter(requests_per_second=3, max_bucket_size=4)
    model = FakeListChatModel(responses=["x"], rate_limiter=bucket)
    assert copy.deepcopy(model).rate_limiter is bucket
    assert model.model_copy().rate_limiter is bucket
    sent = pickle.loads(pickle.dumps(bucket))
    assert (sent.requests_per_second, sent.max_bucket_size) == (3, 4)
    assert "rate_limiter" not in model.model_dump()
    assert repr(bucket) == "InMemoryRateLimiter(requests_per_second=3, max_bucket_size=4)"


# ---- in models ----------------------------------------------------------------------------------


class Counting(BaseRateLimiter):
    def __init__(self, grant: bool = True) -> None:
        self.asked: list[str] = []
        self.grant = grant

    def acquire(self, *, blocking: bool = True) -> bool:
        self.asked.append(f"sync {blocking}")
        return self.grant

    async def aacquire(self, *, blocking: bool = True) -> bool:
        self.asked.append(f"async {blocking}")
        return self.grant


class OnlyStream(BaseChatModel):
    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        for piece in "abc":
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))


class OnlyAstream(BaseChatModel):
    async def _astream(self, messages: Any, stop: Any = None, **kw: Any) -> Any:
        for piece in "abc":
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))


class OnlyGenerate(BaseChatModel):
    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("abc"))])


class OnlyCall(LLM):
    def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kw: Any) -> str:
        return "abc"


MODELS = {
    "chat": lambda **kw: FakeListChatModel(responses=["abc"], **kw),
    "parrot": ParrotFakeChatModel,
    "llm": lambda **kw: FakeListLLM(responses=["abc"], **kw),
    "streaming-llm": lambda **kw: FakeStreamingListLLM(responses=["abc"], **kw),
    "only-stream": OnlyStream,
    "only-astream": OnlyAstream,
    "only-generate": OnlyGenerate,
    "only-call": OnlyCall,
    "not-streaming": lambda **kw: FakeListChatModel(
        responses=["abc"], disable_streaming=True, **kw
    ),
}


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream", "transform", "batch", "as_completed"])
@pytest.mark.parametrize("model", MODELS)
def test_asked_once_for_each_call(colour, model, door):
    if model == "only-astream" and not colour.asynchronous:
        return  # it has no sync doors

    def body(doors: Any) -> None:
        limit = Counting()
        made = MODELS[model](rate_limiter=limit)
        several = door in ("batch", "as_completed")
        getattr(doors, door)(made, ["hi", "ho", "hu"] if several else "hi")
        own = "async" if doors.asynchronous else "sync"
        assert limit.asked == [f"{own} True"] * (3 if several else 1)

    colour.run(body)


@every_colour
def test_asked_at_each_try_and_not_before_the_stream_is_read(colour):
    def body(doors: Any) -> None:
        limit = Counting()
        model = FakeListChatModel(responses=["abc"], rate_limiter=limit)
        stream = doors.open(model, "hi")
        stream.close()
        assert limit.asked == []

        def unlucky(message: Any) -> Any:
            if len(limit.asked) < 3:
                raise ConnectionError
            return message

        doors.invoke((model | unlucky).with_retry(wait_exponential_jitter=False), "hi")
        assert len(limit.asked) == 3

    colour.run(body)


@every_colour
def test_a_limiter_that_gives_up_waiting(colour):
    def body(doors: Any) -> None:
        model = FakeListChatModel(responses=["abc"], rate_limiter=Counting(grant=False))
        for door in (doors.invoke, doors.stream):
            with pytest.raises(ModelError, match="granted no call to FakeListChatModel"):
                door(model, "hi")

    colour.run(body)


@every_colour
def test_whoever_waits_for_the_rate_lends_its_slot(colour):
    """At max_concurrency=1 other work goes on while a model waits for its token."""

    def body(doors: Any) -> None:
        order: list[str] = []

        def note(value: Any) -> Any:
            order.append(str(value))
            return value

        bucket = InMemoryRateLimiter(requests_per_second=20, max_bucket_size=1)
        model = FakeListChatModel(responses=["x"], rate_limiter=bucket) | (lambda m: note("model"))
        pair = {"a": model, "b": RunnableLambda(lambda _: note("other"))}
        doors.batch(RunnableLambda(str) | pair, ["x"], {"max_concurrency": 1})
        assert order == ["other", "model"]

    colour.run(body)


def test_a_wait_whose_work_is_given_up_ends_at_once():
    """Both who is first and sleeps, and who waits behind."""
    bucket = InMemoryRateLimiter(requests_per_second=0.001)
    chain = RunnableLambda(lambda value: bucket.acquire())
    began = time.monotonic()
    with pytest.raises(Timeout):
        RunnableParallel(first=chain, second=chain).with_timeout(total=0.05).invoke("x")
    assert time.monotonic() - began < 0.9
    assert not bucket._waiting
