"""Tries: the output is that of the try that went well, and of that alone; also nested."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import RateLimitError, ServerError
from headrace.events import RunRetried, StreamReset
from headrace.merge import merge
from headrace.resilience import Reset, RetryBudget
from headrace.runnables import RunnableGenerator, RunnableLambda, each
from laws.colours import SYNC, both_drivers, every_colour
from laws.events import check_events
from laws.ledger import LEDGER, Recorder
from survival.pieces import AGAIN, WHOLE, WORDS, Service, text

CUTS = st.lists(st.integers(0, 4), max_size=4)


def failing(cuts: list[int]) -> Service:
    fails: Any = {(n + 1, cut): ServerError(f"{n + 1}") for n, cut in enumerate(cuts)}
    return Service(fails=fails, tagged=True)


def of_call(call: int) -> str:
    return "".join(f"{call}:{word}" for word in WORDS)


@given(cuts=CUTS, tries=st.integers(1, 5), resets=st.booleans())
def test_the_output_is_that_of_the_last_try(cuts, tries, resets):
    def body(doors: Any) -> None:
        service, seen = failing(cuts), Recorder()
        chain = service.runnable.with_retry(
            when="restart", resets=resets, stop_after_attempt=tries, **AGAIN
        )
        got: list[Any] = []
        stream = doors.open(chain, "x", seen.config)
        try:
            while (chunk := stream.next()) is not None and repr(chunk) != "END":
                got.append(chunk)
        except ServerError as error:
            assert str(error) == str(tries)
            assert tries <= len(cuts)
            assert resets or not got, "held back, and the last try did not end well"
        else:
            assert tries > len(cuts)
            assert merge(got) == of_call(len(cuts) + 1)
        told = [chunk for chunk in got if isinstance(chunk, Reset)]
        again = min(len(cuts), tries - 1)
        if resets:
            assert [chunk.attempt for chunk in told] == [
                n + 1 for n, cut in enumerate(cuts[:again]) if cut
            ]
            assert [chunk.discarded for chunk in told] == [c for c in cuts[:again] if c]
        else:
            assert not told
        assert service.calls == again + 1
        check_events(seen.events)
        resets_told = [e for e in seen.events if isinstance(e, StreamReset)]
        assert len(resets_told) == again
        assert len([e for e in seen.events if isinstance(e, RunRetried)]) == again

    SYNC.run(body)


@given(cuts=CUTS, resets=st.booleans())
def test_the_fallback_that_works_is_the_output(cuts, resets):
    def body(doors: Any) -> None:
        service, seen = failing(cuts), Recorder()
        others = [service.runnable for _ in range(4)]
        chain = service.runnable.with_fallbacks(others, when="restart", resets=resets)
        got = doors.stream(chain, "x", seen.config)
        assert merge(got) == of_call(len(cuts) + 1)
        assert resets or all(isinstance(chunk, str) for chunk in got)
        check_events(seen.events)

    SYNC.run(body)


@given(cuts=CUTS)
def test_before_the_first_chunk_only(cuts):
    """What was shown is the beginning of one try."""

    def body(doors: Any) -> None:
        service = failing(cuts)
        stream, got = (
            doors.open(service.runnable.with_retry(stop_after_attempt=5, **AGAIN), "x"),
            [],
        )
        silent = next((n for n, cut in enumerate(cuts) if cut), len(cuts))
        fails = silent < len(cuts)
        try:
            got.extend(stream.rest())
            assert not fails
            assert text(got) == of_call(silent + 1)
        except ServerError as error:
            assert fails
            assert str(error) == str(silent + 1)
        assert service.calls == silent + 1

    SYNC.run(body)


@every_colour
@pytest.mark.parametrize("inner", ["before_first_chunk", "restart"])
@pytest.mark.parametrize("outer", ["before_first_chunk", "restart"])
@pytest.mark.parametrize("resets", [False, True])
def test_retries_in_retries(colour, inner, outer, resets):
    """The inner one gives up after two tries, the outer one starts it again."""

    def body(doors: Any) -> None:
        for at in range(len(WORDS) + 1):
            fails = {(n, at): ServerError(str(n)) for n in (1, 2)}
            service, seen = Service(fails=fails, tagged=True), Recorder()
            both = [
                {"when": when, "resets": resets and when == "restart"} for when in (inner, outer)
            ]
            chain = service.runnable.with_retry(stop_after_attempt=2, **AGAIN, **both[0])
            chain = chain.with_retry(stop_after_attempt=3, **AGAIN, **both[1])
            # A part of the first try has been shown, and nobody may take it back. (An inner one
            # holds back: the outer one reads it, and has not asked for resets.)
            lost = at > 0 and inner == outer == "before_first_chunk"
            try:
                got = merge(doors.stream(chain, "x", seen.config))
            except ServerError:
                assert lost, f"at {at}"
            else:
                assert not lost
                assert got == of_call(service.calls), f"at {at}"
            check_events(seen.events)
            assert not LEDGER.still_open

    colour.run(body)


@every_colour
def test_a_chain_that_is_tried_again_starts_its_steps_again(colour):
    """The failure is behind the service: in a step that reads it."""

    def body(doors: Any) -> None:
        service, calls = Service(tagged=True), [0]

        def later(chunks: Any) -> Any:
            with LEDGER.body("later"):
                calls[0] += 1
                for number, chunk in enumerate(chunks):
                    if calls[0] < 3 and number == calls[0]:
                        raise ServerError("late")
                    yield chunk

        seen = Recorder()
        chain = (service.runnable | RunnableGenerator(later)).with_retry(when="restart", **AGAIN)
        assert merge(doors.stream(chain | each(str), "x", seen.config)) == of_call(3)
        check_events(seen.events)

    colour.run(body)


@every_colour
@pytest.mark.parametrize("resets", [False, True])
def test_left_at_each_chunk_of_each_try(colour, resets):
    def body(doors: Any) -> None:
        for taken in range(1, 8):
            service, seen = failing([2, 3]), Recorder()
            chain = service.runnable.with_retry(when="restart", resets=resets, **AGAIN)
            stream = doors.open(chain, "x", seen.config)
            for _ in range(taken):
                stream.next()
            stream.close()
            assert not LEDGER.still_open
            check_events(seen.events)

    colour.run(body)


@every_colour
def test_the_input_of_each_try_is_whole(colour):
    """Streamed in, read once, given to every try."""

    def body(doors: Any) -> None:
        service = failing([2, 0, 1])
        chain = service.runnable.with_retry(when="restart", stop_after_attempt=4, **AGAIN)
        assert merge(doors.transform(chain, ["a", "b", "c"])) == of_call(4)
        assert ["".join(given) for given in service.inputs] == ["abc"] * 4

    colour.run(body)


@every_colour
def test_a_batch_tries_each_of_its_own(colour):
    def body(doors: Any) -> None:
        calls: dict[str, int] = {}

        def answer(value: str) -> str:
            calls[value] = calls.get(value, 0) + 1
            if calls[value] <= int(value):
                raise ServerError(value)
            return value * 2

        for limit in (1, 3, None):
            for door in (doors.batch, doors.as_completed):
                for when in ("before_first_chunk", "restart"):
                    calls.clear()
                    chain = RunnableLambda(answer).with_retry(when=when, **AGAIN)
                    out = door(
                        chain, list("0123"), {"max_concurrency": limit}, return_exceptions=True
                    )
                    out = dict(out) if door == doors.as_completed else dict(enumerate(out))
                    assert [out[n] for n in range(3)] == ["00", "11", "22"]
                    assert isinstance(out[3], ServerError)
                    assert calls == {"0": 1, "1": 2, "2": 3, "3": 3}

    colour.run(body)


# ---- how long, how often -------------------------------------------------------------------------


@every_colour
def test_one_that_asks_for_longer_than_max_total_is_raised_at_once(colour):
    def body(doors: Any) -> None:
        for when in ("before_first_chunk", "restart"):
            error = RateLimitError("slow down", retry_after=50.0)
            service = Service(fails={(1, 0): error})
            chain = service.runnable.with_retry(when=when, max_total=20)
            with pytest.raises(RateLimitError) as caught:
                doors.stream(chain, "x")
            assert caught.value is error
            assert service.calls == 1

    colour.run(body)


@every_colour
@pytest.mark.parametrize("when", ["before_first_chunk", "restart"])
def test_a_budget_bounds_all_who_share_it(colour, when):
    def body(doors: Any) -> None:
        now = [0.0]
        budget = RetryBudget(ratio=0.0, min_per_second=1.0, burst=2.0, clock=lambda: now[0])
        error = ServerError("down")
        services = [Service(fails={(n, 0): error for n in range(1, 9)}) for _ in range(2)]
        for service in services:
            chain = service.runnable.with_retry(
                when=when, retry_budget=budget, stop_after_attempt=9, **AGAIN
            )
            with pytest.raises(ServerError) as caught:
                doors.stream(chain, "x")
            assert caught.value is error
        assert [service.calls for service in services] == [3, 1]
        now[0] = 1.0
        with pytest.raises(ServerError):
            doors.invoke(services[1].runnable.with_retry(retry_budget=budget, **AGAIN), "x")
        assert services[1].calls == 3

    colour.run(body)


@both_drivers
def test_an_error_that_is_not_transient_is_not_tried_again(colour):
    def body(doors: Any) -> None:
        for error, calls in ((KeyError("x"), 1), (ServerError("x"), 2)):
            service = Service(fails={(1, 1): error})
            chain = service.runnable.with_retry(
                retry_if_exception_type="transient", when="restart", **AGAIN
            )
            try:
                assert merge(doors.stream(chain, "x")) == WHOLE
            except KeyError:
                assert calls == 1
            assert service.calls == calls

    colour.run(body)
