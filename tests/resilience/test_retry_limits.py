"""What bounds a retry: `retry_after`, `max_total`, budgets, and which failures are transient."""

from __future__ import annotations

import asyncio
import copy
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import _async_plan, _sync_plan, errors
from headrace.errors import (
    AuthenticationError,
    BadRequestError,
    CircuitOpenError,
    ConfigError,
    IncompleteStream,
    InputError,
    OverloadedError,
    RateLimitError,
    ServerError,
    StreamError,
    Timeout,
)
from headrace.events import RunRetried
from headrace.resilience import RetryBudget, retryable
from headrace.runnables import RunnableLambda, retry
from laws.colours import every_colour
from laws.ledger import Recorder


class Time:
    """Seconds that pass while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(_sync_plan, "pause", lambda seconds, _: made.sleep(seconds), raising=False)
    monkeypatch.setattr(_sync_plan, "time", SimpleNamespace(sleep=made.sleep), raising=False)
    slow = SimpleNamespace(**{**vars(asyncio), "sleep": made.asleep})
    monkeypatch.setattr(_async_plan, "asyncio", slow)
    monkeypatch.setattr(retry, "monotonic", made)
    return made


class Failing:
    """Fails with these errors, one after the other; takes `takes` seconds for each call."""

    def __init__(self, *errors: Exception, clock: Any = None, takes: float = 0.0) -> None:
        self.errors = list(errors)
        self.clock, self.takes = clock, takes
        self.calls = 0

    def __call__(self, value: str) -> str:
        self.calls += 1
        if self.clock is not None:
            self.clock.now += self.takes
        if self.errors:
            raise self.errors.pop(0)
        return value


def limited(seconds: Any) -> RateLimitError:
    return RateLimitError("slower", retry_after=seconds)


# ---- retry_after --------------------------------------------------------------------------------


@every_colour
def test_it_waits_as_long_as_the_error_says(colour, clock):
    def body(doors: Any) -> None:
        clock.slept.clear()
        seen = Recorder()
        step = RunnableLambda(Failing(limited(7.5), limited(0), limited(None)))
        policy = step.with_retry(wait_exponential_jitter=False, stop_after_attempt=4)
        assert doors.invoke(policy, "x", seen.config) == "x"
        assert clock.slept == [7.5]
        assert [e.delay for e in seen.events if isinstance(e, RunRetried)] == [7.5, 0.0, 0.0]

    colour.run(body)


@every_colour
def test_with_jitter_not_all_come_back_at_the_same_moment(colour, clock):
    def body(doors: Any) -> None:
        clock.slept.clear()
        for _ in range(9):
            policy = RunnableLambda(Failing(limited(7.5))).with_retry(
                exponential_jitter_params={"initial": 0.1, "jitter": 2.0}
            )
            assert doors.invoke(policy, "x") == "x"
        assert all(7.5 <= pause <= 9.5 for pause in clock.slept)
        assert len(set(clock.slept)) > 1
        clock.slept.clear()
        policy = RunnableLambda(Failing(limited(0.5))).with_retry(
            exponential_jitter_params={"initial": 3.0, "jitter": 0.0}
        )
        doors.invoke(policy, "x")
        assert clock.slept == [3.0]  # its own pause is the longer one

    colour.run(body)


@every_colour
@pytest.mark.parametrize("wrong", ["soon", True, -1, float("nan")])
def test_what_is_no_number_of_seconds_is_not_waited_for(colour, clock, wrong):
    def body(doors: Any) -> None:
        clock.slept.clear()
        policy = RunnableLambda(Failing(limited(wrong))).with_retry(wait_exponential_jitter=False)
        assert doors.invoke(policy, "x") == "x"
        assert clock.slept == []

    colour.run(body)


@every_colour
def test_a_wait_that_nobody_would_wait_for_is_raised_at_once(colour, clock):
    def body(doors: Any) -> None:
        clock.slept.clear()
        failing = Failing(limited(61))
        policy = RunnableLambda(failing).with_retry(wait_exponential_jitter=False)
        with pytest.raises(RateLimitError):
            doors.invoke(policy, "x")
        assert (failing.calls, clock.slept) == (1, [])
        longer = RunnableLambda(Failing(limited(61))).with_retry(
            wait_exponential_jitter=False, max_total=70
        )
        assert doors.invoke(longer, "x") == "x"
        assert clock.slept == [61]

    colour.run(body)


# ---- max_total ----------------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_no_try_begins_later_than_max_total(colour, clock, door):
    def body(doors: Any) -> None:
        failing = Failing(*[OSError()] * 9, clock=clock, takes=3.0)
        policy = RunnableLambda(failing).with_retry(
            exponential_jitter_params={"initial": 1.0, "exp_base": 1.0, "jitter": 0.0},
            stop_after_attempt=9,
            max_total=10.0,
        )
        with pytest.raises(OSError):
            getattr(doors, door)(policy, "x")
        assert failing.calls == 3  # at 0, 4 and 8; the next would begin at 12

    colour.run(body)


@pytest.mark.parametrize("wrong", [0, -1, "5", True])
def test_max_total_is_a_number_of_seconds(wrong):
    with pytest.raises(ConfigError, match="max_total is"):
        RunnableLambda(str).with_retry(max_total=wrong)


# ---- budgets ------------------------------------------------------------------------------------


@every_colour
def test_a_budget_is_shared_by_all_runs(colour, clock):
    def body(doors: Any) -> None:
        budget = RetryBudget(ratio=0.5, min_per_second=0, burst=2, clock=clock)

        def call(*errors: Exception) -> int:
            failing = Failing(*errors)
            policy = RunnableLambda(failing).with_retry(
                wait_exponential_jitter=False, retry_budget=budget
            )
            try:
                doors.stream(policy, "x")
            except OSError as error:
                assert any("is used up" in note for note in error.__notes__)
            return failing.calls

        assert [call(OSError()), call(OSError())] == [2, 2]
        # 2 - 1 + 0.5 - 1 = 0.5 and 0.5 of this run: one more
        assert [call(OSError()), call(OSError()), call(OSError())] == [2, 1, 2]

    colour.run(body)


def test_time_fills_a_budget_up_to_its_burst():
    now = Time()
    budget = RetryBudget(ratio=0, min_per_second=0.5, burst=3, clock=now)
    assert [budget.take() for _ in range(4)] == [True, True, True, False]
    now.now += 2
    assert [budget.take() for _ in range(2)] == [True, False]
    now.now += 999
    assert [budget.take() for _ in range(4)] == [True, True, True, False]


@given(
    st.lists(st.sampled_from(["call", "take"]), max_size=60),
    st.floats(0, 2),
    st.floats(1, 5),
)
def test_no_more_tries_than_the_budget_gives(steps, ratio, burst):
    budget = RetryBudget(ratio=ratio, min_per_second=0, burst=burst, clock=Time())
    calls = tries = 0
    for step in steps:
        if step == "call":
            budget.called()
            calls += 1
        else:
            tries += budget.take()
        assert tries <= burst + ratio * calls + 1e-6


@pytest.mark.parametrize(
    "given", [{"ratio": -1}, {"burst": 0.5}, {"min_per_second": "1"}, {"ratio": float("inf")}]
)
def test_budgets_that_make_no_sense(given):
    with pytest.raises(ConfigError, match=f"{next(iter(given))} is"):
        RetryBudget(**given)


def test_a_copied_chain_has_the_same_budget():
    budget = RetryBudget(ratio=0.2, burst=3)
    policy = RunnableLambda(str).with_retry(retry_budget=budget)
    assert copy.deepcopy(policy).retry_budget is budget
    assert repr(pickle.loads(pickle.dumps(policy)).retry_budget) == repr(budget)
    assert repr(budget) == "RetryBudget(ratio=0.2, min_per_second=0.1, burst=3)"


# ---- which failures -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "worth"),
    [
        (RateLimitError(), True),
        (ServerError(), True),
        (OverloadedError(), True),
        (errors.ConnectionError(), True),
        (errors.ConnectionTimeout(), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (Timeout(), True),
        (StreamError(), True),
        (IncompleteStream(), True),
        (AuthenticationError(), False),
        (BadRequestError(), False),
        (CircuitOpenError(), False),
        (InputError(), False),
        (ValueError(), False),
        (OSError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
@every_colour
def test_transient(colour, clock, error, worth):
    def body(doors: Any) -> None:
        assert retryable(error) is worth
        failing = Failing(error)
        policy = RunnableLambda(failing).with_retry(
            retry_if_exception_type="transient", wait_exponential_jitter=False
        )
        if worth:
            assert doors.invoke(policy, "x") == "x"
        else:
            with pytest.raises(type(error)):
                doors.invoke(policy, "x")
        assert failing.calls == 1 + worth

    colour.run(body)
