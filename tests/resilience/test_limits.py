"""Concurrency limits: how many calls are under way, who is next, and that places come back."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.errors import ConfigError, ModelError
from headrace.language_models import BaseChatModel
from headrace.messages import AIMessage, AIMessageChunk
from headrace.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from headrace.rate_limiters import BaseRateLimiter, RateLimiter
from headrace.resilience import ConcurrencyLimit, limited, race, shared_limiter
from headrace.resilience.limits import forget_limiters
from headrace.runnables import RunnableGenerator, RunnableLambda, RunnablePassthrough, each
from laws.colours import every_colour
from laws.events import check_events
from laws.ledger import LEDGER, Recorder
from limits.test_rate_limiter import Clock


@pytest.fixture(autouse=True)
def no_keys() -> Iterator[None]:
    forget_limiters()
    yield
    forget_limiters()


class Asked(BaseChatModel):
    """Says "ab" in two chunks, or fails where it is told to: "call", "start" or "middle"."""

    fails: str = ""
    most: list[int] = []  # noqa: RUF012 - a pydantic field: how many calls were under way, each time

    def _noted(self) -> None:
        assert isinstance(self.rate_limiter, ConcurrencyLimit)
        self.most.append(self.rate_limiter.busy)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        self._noted()
        if self.fails == "call":
            raise ModelError("call")
        return ChatResult(generations=[ChatGeneration(AIMessage("ab"))])

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        self._noted()
        if self.fails == "call":
            raise ModelError("call")
        return self._pieces()

    def _pieces(self) -> Any:
        if self.fails == "start":
            raise ModelError("start")
        yield ChatGenerationChunk(AIMessageChunk("a"))
        if self.fails == "middle":
            raise ModelError("middle")
        yield ChatGenerationChunk(AIMessageChunk("b"))


class AskedAsync(Asked):
    async def _agenerate(self, messages: Any, *args: Any, **kw: Any) -> Any:
        return self._generate(messages)

    async def _astream(self, messages: Any, *args: Any, **kw: Any) -> Any:
        for chunk in self._stream(messages):
            yield chunk


kinds = pytest.mark.parametrize("kind", [Asked, AskedAsync])


# ---- a model's calls ----------------------------------------------------------------------------


@every_colour
@kinds
@pytest.mark.parametrize("door", ["invoke", "stream", "transform", "batch"])
def test_a_call_holds_its_place_until_it_has_ended(colour, kind, door):
    def body(doors: Any) -> None:
        limit = ConcurrencyLimit(1)
        model = kind(rate_limiter=limit, most=[])
        value: Any = ["go"] * 3 if door in ("batch", "transform") else "go"
        for _ in range(3):
            getattr(doors, door)(model, value)
            assert limit.busy == 0
        assert set(model.most) == {1}

    colour.run(body)


@every_colour
@kinds
@pytest.mark.parametrize("fails", ["call", "start", "middle"])
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_a_failed_call_gives_its_place_back(colour, kind, fails, door):
    def body(doors: Any) -> None:
        limit = ConcurrencyLimit(1)
        model = kind(rate_limiter=limit, fails=fails, most=[])
        for _ in range(2):
            if door == "invoke" and fails != "call":
                assert doors.invoke(model, "go").content == "ab"
            else:
                with pytest.raises(ModelError, match=fails):
                    getattr(doors, door)(model, "go")
            assert limit.busy == 0
        again = model.with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
        with_other = again.with_fallbacks([kind(rate_limiter=limit, most=[])])
        assert doors.invoke(with_other, "go").content == "ab"
        assert limit.busy == 0

    colour.run(body)


@every_colour
@kinds
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_stream_that_is_left_gives_its_place_back(colour, kind, after):
    def body(doors: Any) -> None:
        limit = ConcurrencyLimit(1)
        model = kind(rate_limiter=limit, most=[])
        stream = doors.open(model, "go")
        for _ in range(after):
            stream.next()
        if kind is AskedAsync or not doors.asynchronous:  # else a thread reads ahead
            assert limit.busy == (1 if after else 0)
        stream.close()
        assert limit.busy == 0

    colour.run(body)


@every_colour
@kinds
def test_two_models_of_one_chain_do_not_wait_for_each_other(colour, kind):
    def body(doors: Any) -> None:
        limit = ConcurrencyLimit(1)
        first, second = kind(rate_limiter=limit, most=[]), kind(rate_limiter=limit, most=[])
        chain = first | (lambda message: message.content) | second
        assert "".join(chunk.content for chunk in doors.stream(chain, "go")) == "ab"
        assert doors.invoke(first | second, "go").content == "ab"
        assert limit.busy == 0

    colour.run(body)


# ---- the queue ----------------------------------------------------------------------------------


async def until(said: Any) -> None:
    for _ in range(2000):
        if said():
            return
        await asyncio.sleep(0.0005)
    raise AssertionError("it never came to that")


async def test_threads_and_tasks_are_served_in_the_order_in_which_they_came():
    limit = ConcurrencyLimit(1)
    assert limit.acquire()
    served: list[int] = []

    def in_thread(number: int) -> None:
        limit.acquire()
        served.append(number)

    async def in_task(number: int) -> None:
        await limit.aacquire()
        served.append(number)

    threads, tasks = [], []
    for number in range(6):
        if number % 2:
            threads.append(threading.Thread(target=in_thread, args=(number,)))
            threads[-1].start()
        else:
            tasks.append(asyncio.ensure_future(in_task(number)))
        await until(lambda n=number: len(limit._waiting) == n + 1)
    for number in range(6):
        assert served == list(range(number))
        limit.release()
        await until(lambda n=number: len(served) == n + 1)
    limit.release()
    for thread in threads:
        thread.join()
    await asyncio.gather(*tasks)
    assert (limit.busy, served) == (0, list(range(6)))


@pytest.mark.parametrize("when", ["waiting", "granted"])
async def test_a_cancelled_task_leaves_the_queue(when):
    limit = ConcurrencyLimit(1)
    await limit.aacquire()
    gone = asyncio.ensure_future(limit.aacquire())
    last = asyncio.ensure_future(limit.aacquire())
    await until(lambda: len(limit._waiting) == 2)
    if when == "granted":
        limit.release()
        gone.cancel()  # before it could run
    else:
        gone.cancel()
        await asyncio.sleep(0)
        assert len(limit._waiting) == 1
        limit.release()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert await last
    assert limit.busy == 1
    limit.release()
    assert limit.busy == 0


def test_a_task_whose_loop_was_closed_keeps_nobody_waiting():
    limit = ConcurrencyLimit(1)
    limit.acquire()
    loop = asyncio.new_event_loop()
    waiting = limit.aacquire()
    task = loop.create_task(waiting)
    loop.run_until_complete(asyncio.sleep(0))
    assert len(limit._waiting) == 1
    loop.close()
    done = threading.Event()

    def behind() -> None:
        limit.acquire()
        done.set()

    thread = threading.Thread(target=behind)
    thread.start()
    while len(limit._waiting) < 2 and not done.is_set():
        time.sleep(0.0005)
    limit.release()
    thread.join(5)
    assert done.is_set()
    assert limit.busy == 1
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    waiting.close()


async def test_who_waits_blocks_no_loop():
    limit = ConcurrencyLimit(2)
    most = 0
    under_way = 0

    async def call() -> None:
        nonlocal most, under_way
        await limit.aacquire()
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        limit.release()

    await asyncio.gather(*(call() for _ in range(20)))
    assert (most, limit.busy) == (2, 0)


async def test_without_waiting():
    limit = ConcurrencyLimit(1)
    assert limit.acquire(blocking=False)
    assert not limit.acquire(blocking=False)
    assert not await limit.aacquire(blocking=False)
    limit.release()
    assert await limit.aacquire(blocking=False)
    assert limit.busy == 1


# ---- with rates ---------------------------------------------------------------------------------


@every_colour
def test_a_rate_is_asked_as_well(colour):
    def body(doors: Any) -> None:
        clock = Clock()
        rate = RateLimiter(tokens_per_minute=60, burst_seconds=20, clock=clock)
        limit = ConcurrencyLimit(1, rate=rate)
        model = Asked(rate_limiter=limit, most=[])
        doors.invoke(model, "hi there")
        assert rate._tokens is not None
        left = rate._tokens.level
        assert left < 20  # the prompt's tokens, and those of the answer
        for _ in range(9):
            doors.stream(model, "hi there")
        assert clock.slept
        assert limit.busy == 0

    colour.run(body)


class Never(BaseRateLimiter):
    """Lets nobody go, or fails."""

    def __init__(self, error: Any = None) -> None:
        self.error = error
        self.released = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        if self.error is not None:
            raise self.error
        return False

    async def aacquire(self, *, blocking: bool = True) -> bool:
        return self.acquire()

    def release(self) -> None:
        self.released += 1


@every_colour
@pytest.mark.parametrize("error", [None, OSError("no")])
def test_what_the_rate_does_not_let_go_gives_its_place_back(colour, error):
    def body(doors: Any) -> None:
        rate = Never(error)
        limit = ConcurrencyLimit(1, rate=rate)
        model = Asked(rate_limiter=limit, most=[])
        with pytest.raises(ModelError if error is None else OSError):
            doors.invoke(model, "go")
        assert (limit.busy, rate.released) == (0, 0)

    colour.run(body)


# ---- by key -------------------------------------------------------------------------------------


def test_all_who_name_a_key_share_a_limiter():
    limit = shared_limiter("openai", calls=2, requests_per_minute=60)
    assert isinstance(limit, ConcurrencyLimit)
    assert shared_limiter("openai") is limit
    assert shared_limiter("openai", calls=2, requests_per_minute=60) is limit
    assert shared_limiter("other", calls=2) is not limit
    assert isinstance(shared_limiter("rates", tokens_per_minute=9), RateLimiter)
    model = Asked(rate_limiter=limit)
    assert copy.deepcopy(model).rate_limiter is limit


def test_keys_that_contradict_each_other():
    shared_limiter("openai", calls=2)
    with pytest.raises(ConfigError, match=r"was made with calls=2 and is asked for with calls=3"):
        shared_limiter("openai", calls=3)
    with pytest.raises(ConfigError, match="there is none of that key yet"):
        shared_limiter("mistral")


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2"])
def test_calls_is_a_whole_number(wrong):
    with pytest.raises(ConfigError, match="calls is"):
        ConcurrencyLimit(wrong)


def test_copies_and_reprs():
    rate = RateLimiter(requests_per_minute=60)
    limit = ConcurrencyLimit(2, rate=rate)
    assert copy.copy(limit) is copy.deepcopy(limit) is limit
    assert repr(pickle.loads(pickle.dumps(limit))) == repr(limit)
    assert repr(limit) == f"ConcurrencyLimit(2, rate={rate!r})"
    with pytest.raises(ConfigError, match="rate is 5"):
        ConcurrencyLimit(2, rate=5)  # type: ignore[arg-type]


# ---- any runnable -------------------------------------------------------------------------------


class Body:
    """User code that says how many calls were under way."""

    def __init__(self, limit: ConcurrencyLimit, error: Any = None) -> None:
        self.limit, self.error = limit, error
        self.seen: list[int] = []

    def stream(self, chunks: Any) -> Any:
        with LEDGER.body("limited"):
            text = "".join(chunks)
            self.seen.append(self.limit.busy)
            yield text
            if self.error is not None:
                raise self.error
            yield "!"


@every_colour
@pytest.mark.parametrize("observed", [False, True])
def test_any_runnable_under_a_limit(colour, observed):
    def body(doors: Any) -> None:
        limit = ConcurrencyLimit(1)
        made = Body(limit)
        step = limited(RunnableGenerator(made.stream), limit)
        seen = Recorder()
        config = seen.config if observed else None
        chain = step | step | each(str.upper)  # which share the one place
        assert "".join(doors.stream(chain, "ab", config)) == "AB!!"
        assert made.seen == [1, 1]
        if observed:
            check_events(seen.events)
        assert doors.invoke(chain, "ab", config and {**config}) == "AB!!"
        assert doors.batch(step, ["a", "b", "c"]) == ["a!", "b!", "c!"]
        assert set(made.seen) == {1}
        stream = doors.open(step, "ab")
        assert stream.next() == "ab"
        assert limit.busy == 1
        stream.close()
        assert limit.busy == 0
        assert not LEDGER.still_open

    colour.run(body)


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_one_that_fails_gives_its_place_back(colour, door):
    def body(doors: Any) -> None:
        limit = ConcurrencyLimit(1)
        error = OSError("no")
        step = limited(RunnableGenerator(Body(limit, error).stream), limit)
        for _ in range(2):
            with pytest.raises(OSError, match="no") as caught:
                getattr(doors, door)(step, "ab")
            assert caught.value is error
            assert limit.busy == 0
        assert any("limited" in note or "Body" in note or "stream" in note
                   for note in error.__notes__)  # fmt: skip

    colour.run(body)


async def test_a_cancelled_call_gives_its_place_back():
    limit = ConcurrencyLimit(1)

    async def forever(_: Any) -> None:
        await asyncio.Event().wait()

    step = limited(RunnableLambda(forever), limit)
    first = asyncio.ensure_future(step.ainvoke("x"))
    await until(lambda: limit.busy == 1)
    second = asyncio.ensure_future(anext(step.astream("x")))
    await until(lambda: len(limit._waiting) == 1)
    for task in (second, first):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (limit.busy, len(limit._waiting)) == (0, 0)


def test_what_is_no_limiter_and_how_one_is_shown():
    limit = ConcurrencyLimit(1)
    step = limited(RunnablePassthrough(), limit)
    assert repr(step) == "limited(RunnablePassthrough(), ConcurrencyLimit(1))"
    assert copy.deepcopy(step) == step
    assert repr(pickle.loads(pickle.dumps(step))) == repr(step)
    assert [row.kind for row in step.explain()] == ["source", "streams"]
    with pytest.raises(ConfigError, match=r"The limiter is 5 \(int\)"):
        limited(RunnablePassthrough(), 5)  # type: ignore[arg-type]


@every_colour
def test_the_loser_of_a_race_leaves_the_queue(colour):
    def body(doors: Any) -> None:
        limit = ConcurrencyLimit(1)
        assert limit.acquire()
        waits = limited(RunnablePassthrough(), limit)
        assert doors.invoke(race(RunnableLambda(str.upper), waits), "ab") == "AB"
        assert doors.stream(race(waits, RunnableLambda(str.upper)), "ab") == ["AB"]
        assert len(limit._waiting) == 0
        assert limit.busy == 1

    colour.run(body)
