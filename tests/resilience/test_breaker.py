"""Circuit breakers: when they open, what probes do, what says nothing; in all colours."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from headrace.errors import CircuitOpenError, ConfigError
from headrace.resilience import CircuitBreaker, circuit_breaker, retryable
from headrace.runnables import RunnableGenerator, RunnableLambda, RunnablePassthrough, each
from laws.colours import every_colour
from laws.events import check_events
from laws.ledger import LEDGER, Recorder, Source


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def breaker(clock: Clock, failures: int = 2, **given: Any) -> CircuitBreaker:
    return CircuitBreaker(failures, clock=clock, **{"within": 10.0, "cooldown": 5.0, **given})


class Service:
    """Fails while `error` is set, before or after its first chunk."""

    def __init__(self, error: Any = None, late: bool = False) -> None:
        self.error, self.late = error, late
        self.calls = 0

    def stream(self, chunks: Any) -> Any:
        with LEDGER.body("service"):
            self.calls += 1
            text = "".join(chunks)
            if self.error is not None and not self.late:
                raise self.error
            yield text
            if self.error is not None:
                raise self.error
            yield "!"


def guarded(service: Service, shared: CircuitBreaker) -> Any:
    return circuit_breaker(RunnableGenerator(service.stream), shared)


@every_colour
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("door", ["invoke", "stream", "transform"])
def test_it_opens_closes_and_asks_nobody_meanwhile(colour, late, door):
    def body(doors: Any) -> None:
        clock, service = Clock(), Service(ConnectionError("down"), late)
        shared = breaker(clock)
        step = guarded(service, shared)

        def call() -> Any:
            made = getattr(doors, door)(step, "ab")
            return made if door == "invoke" else "".join(made)

        for state in ("closed", "open"):
            with pytest.raises(ConnectionError) as caught:
                call()
            assert caught.value is service.error
            assert shared.state == state
        clock.now = 2.0
        with pytest.raises(CircuitOpenError, match="2 calls failed within 10 s") as refused:
            call()
        assert refused.value.retry_after == 3.0
        assert service.calls == 2
        clock.now = 5.0
        assert shared.state == "half_open"
        with pytest.raises(ConnectionError):
            call()
        assert shared.state == "open"
        clock.now = 10.0
        service.error = None
        assert call() == "ab!"
        assert shared.state == "closed"
        assert call() == "ab!"

    colour.run(body)


@every_colour
def test_a_probe_that_is_left_gives_its_place_back(colour):
    def body(doors: Any) -> None:
        clock, service = Clock(), Service(ConnectionError())
        shared = breaker(clock, 1)
        step = guarded(service, shared)
        with pytest.raises(ConnectionError):
            doors.stream(step, "a")
        clock.now, service.error = 5.0, None
        stream = doors.open(step, "a")
        assert stream.next() == "a"
        with pytest.raises(CircuitOpenError) as refused:
            doors.stream(step, "b")
        assert refused.value.retry_after == 5.0
        stream.close()
        assert shared.state == "half_open"
        assert doors.stream(step, "b") == ["b", "!"]
        assert shared.state == "closed"

    colour.run(body)


@every_colour
def test_what_says_nothing_about_the_service(colour):
    def body(doors: Any) -> None:
        clock = Clock()
        shared = breaker(clock, 1, counts=(OSError,))
        step = circuit_breaker(RunnableLambda(lambda x: 1 / x), shared)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                doors.invoke(step, 0)
        assert shared.state == "closed"
        loud = circuit_breaker(
            RunnableLambda(lambda x: 1 / x), breaker(clock, 1, counts=lambda error: True)
        )
        with pytest.raises(ZeroDivisionError):
            doors.invoke(loud, 0)
        assert loud.breaker.state == "open"

    colour.run(body)


@every_colour
def test_failures_long_ago_do_not_count(colour):
    def body(doors: Any) -> None:
        clock, service = Clock(), Service(ConnectionError())
        shared = breaker(clock)
        for now, state in [(0.0, "closed"), (11.0, "closed"), (22.0, "closed"), (30.0, "open")]:
            clock.now = now
            with pytest.raises(ConnectionError):
                doors.invoke(guarded(service, shared), "a")
            assert shared.state == state

    colour.run(body)


@every_colour
def test_with_a_fallback_and_in_a_chain(colour):
    def body(doors: Any) -> None:
        clock, service = Clock(), Service(ConnectionError())
        shared = breaker(clock, 1, name="the service")
        seen = Recorder()
        step = guarded(service, shared).with_fallbacks([RunnablePassthrough()])
        chain = RunnablePassthrough() | step | each(str.upper)
        assert doors.stream(chain, "ab") == ["AB"]
        assert doors.stream(chain, "ab", seen.config) == ["AB"]
        assert service.calls == 1
        check_events(seen.events)
        with pytest.raises(CircuitOpenError, match="of the service is open"):
            doors.invoke(guarded(service, shared), "ab")

    colour.run(body)


@every_colour
def test_a_probe_whose_input_fails_gives_its_place_back(colour):
    def body(doors: Any) -> None:
        clock = Clock()
        shared = breaker(clock, 1)
        shared.call().ended(False)
        clock.now = 5.0
        step = guarded(Service(), shared)
        for _ in range(2):
            source = Source("ab", fail_at=1, fail=ConnectionError("upstream"))
            stream = doors.open_transform(step, source)
            with pytest.raises(ConnectionError, match="upstream"):
                stream.rest()
        assert shared.state == "half_open"

    colour.run(body)


async def test_a_cancelled_probe_gives_its_place_back():
    clock = Clock()
    shared = breaker(clock, 1)
    gate = asyncio.Event()

    async def slow(value: Any) -> Any:
        if value == "fail":
            raise ConnectionError
        await gate.wait()
        return value

    step = circuit_breaker(RunnableLambda(slow), shared)
    with pytest.raises(ConnectionError):
        await step.ainvoke("fail")
    clock.now = 5.0
    for door in (step.ainvoke, lambda value: anext(step.astream(value))):
        task = asyncio.ensure_future(door("slow"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(CircuitOpenError):
            await step.ainvoke("other")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert shared.state == "half_open"
    gate.set()
    assert await step.ainvoke("well") == "well"
    assert shared.state == "closed"


def test_several_probes_must_all_go_well():
    clock = Clock()
    shared = breaker(clock, 1, probes=2)
    shared.call().ended(False)
    clock.now = 5.0
    first, second = shared.call(), shared.call()
    with pytest.raises(CircuitOpenError):
        shared.call()
    first.ended(True)
    with pytest.raises(CircuitOpenError):
        shared.call()
    assert shared.state == "half_open"
    second.ended(True)
    second.ended(False)  # the first time counts
    assert shared.state == "closed"


def test_a_call_from_before_has_no_say():
    clock = Clock()
    shared = breaker(clock, 1)
    slow, late = shared.call(), shared.call()
    shared.call().ended(False)
    slow.ended(True)
    assert shared.state == "open"
    clock.now = 5.0
    probe = shared.call()
    late.ended(False)
    assert shared.state == "half_open"
    probe.ended(True)
    assert shared.state == "closed"


def test_threads_share_it():
    clock = Clock()
    shared = breaker(clock, 1, probes=3)
    shared.call().ended(False)
    clock.now = 5.0
    start = threading.Barrier(8)
    let_in: list[Any] = []

    def ask() -> None:
        start.wait()
        try:
            let_in.append(shared.call())
        except CircuitOpenError:
            let_in.append(None)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(call is not None for call in let_in) == 3


class Breaking(RuleBasedStateMachine):
    """Against a plain model of it: which calls are let in, and when it is open."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.shared = breaker(self.clock, 2, probes=2)
        self.failed: list[float] = []
        self.opened: float | None = None
        self.era = self.running = self.good = 0

    @property
    def expected(self) -> str:
        if self.opened is None:
            return "closed"
        return "open" if self.clock.now < self.opened + 5 else "half_open"

    @rule(target=calls)
    def call(self) -> Any:
        may = self.expected == "closed" or (
            self.expected == "half_open" and self.running + self.good < 2
        )
        probe = self.opened is not None
        try:
            made = self.shared.call()
        except CircuitOpenError as error:
            assert not may
            assert 0 < error.retry_after <= 5
            return None
        assert may
        self.running += probe
        return made, self.era, probe

    @rule(call=consumes(calls), good=st.sampled_from([True, False, None]))
    def end(self, call: Any, good: Any) -> None:
        if call is None:
            return
        made, era, probe = call
        made.ended(good)
        if era != self.era:
            return
        if probe:
            self.running -= 1
            self.good += good is True
            if good is False:
                self.turn(self.clock.now)
            elif self.good == 2:
                self.turn(None)
        elif good is False:
            self.failed.append(self.clock.now)
            if len([at for at in self.failed if self.clock.now - at <= 10]) >= 2:
                self.turn(self.clock.now)

    def turn(self, opened: float | None) -> None:
        self.opened, self.failed = opened, []
        self.era += 1
        self.running = self.good = 0

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @invariant()
    def same_state(self) -> None:
        assert self.shared.state == self.expected


Breaking.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_like_a_plain_model = Breaking.TestCase


@pytest.mark.parametrize(
    "given",
    [{"failures": 0}, {"failures": 1.5}, {"probes": True}, {"within": 0}, {"cooldown": "1"}],
)
def test_settings_that_make_no_sense(given):
    with pytest.raises(ConfigError, match=f"{next(iter(given))} is"):
        CircuitBreaker(**given)


def test_what_is_no_breaker():
    with pytest.raises(ConfigError, match="no exception class"):
        CircuitBreaker(counts="all")
    with pytest.raises(ConfigError, match="The breaker is 5"):
        circuit_breaker(RunnablePassthrough(), 5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"got a breaker and \['failures'\]"):
        circuit_breaker(RunnablePassthrough(), CircuitBreaker(), failures=2)


def test_copies_share_it_and_processes_do_not():
    shared = CircuitBreaker(3, name="s")
    step = circuit_breaker(RunnablePassthrough(), shared)
    assert copy.deepcopy(step).breaker is shared
    assert copy.copy(step).breaker is shared
    again = pickle.loads(pickle.dumps(step))
    assert repr(again) == repr(step)
    assert again.breaker.counts is retryable
    told = "CircuitBreaker(3, within=30.0, cooldown=10.0, probes=1, name='s')"
    assert repr(step) == f"circuit_breaker(RunnablePassthrough(), {told})"
    own = circuit_breaker(RunnablePassthrough(), failures=7)
    assert own.breaker.failures == 7
    assert [row.kind for row in step.explain()] == ["streams", "streams"]
