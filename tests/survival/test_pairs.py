"""Every combinator in every other one: seen through, left, and broken at each chunk."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import CircuitOpenError
from headrace.resilience import CircuitBreaker, circuit_breaker
from laws.colours import both_drivers, every_colour
from laws.events import check_events
from laws.ledger import Recorder
from survival.pieces import WHOLE, WORDS, WRAPS, Service, every_pair, every_wrap, text


@every_pair
@both_drivers
def test_nothing_is_seen_while_nothing_goes_wrong(colour, outer, inner):
    def body(doors: Any) -> None:
        service, seen = Service(), Recorder()
        made = WRAPS[outer](WRAPS[inner](service.runnable))
        assert text(doors.stream(made, "x", seen.config)) == WHOLE
        check_events(seen.events)
        assert doors.invoke(made, "x") == WHOLE
        assert text(doors.transform(made, ["x", "y"])) == WHOLE
        assert doors.batch(made, ["x", "y"], {"max_concurrency": 1}) == [WHOLE, WHOLE]
        assert service.calls == 5
        assert service.inputs[0] == ["x"]
        assert "".join(service.inputs[2]) == "xy"

    colour.run(body)


@every_pair
@both_drivers
def test_left_at_each_chunk(colour, outer, inner):
    def body(doors: Any) -> None:
        for taken in range(len(WORDS) + 1):
            service, seen = Service(), Recorder()
            made = WRAPS[outer](WRAPS[inner](service.runnable))
            stream = doors.open(made, "x", seen.config)
            for _ in range(taken):
                stream.next()
            given = service.given
            stream.close()
            assert service.given == given, "closing pulled another chunk"
            assert not _open(), f"open after close at {taken}"
            if taken:
                check_events(seen.events)

    colour.run(body)


def _open() -> list[str]:
    from laws.ledger import LEDGER

    return LEDGER.still_open


@every_pair
@both_drivers
def test_an_error_at_each_chunk_comes_through_as_it_is(colour, outer, inner):
    """One that no policy here handles: not before its first chunk either, where a race goes on."""

    def body(doors: Any) -> None:
        for place in range(1, len(WORDS) + 1):
            error = KeyError("mine")
            service, seen = Service(fails={(1, place): error}), Recorder()
            made = WRAPS[outer](WRAPS[inner](service.runnable))
            stream, got = doors.open(made, "x", seen.config), []
            with pytest.raises(KeyError) as caught:
                while len(got) <= len(WORDS):
                    got.append(stream.next())
            assert caught.value is error
            assert any("service" in note for note in error.__notes__), error.__notes__
            assert WHOLE.startswith(text(got))
            assert not _open()
            check_events(seen.events)
            assert service.calls == 1

    colour.run(body)


@every_wrap
@every_colour
def test_an_error_before_the_first_chunk_is_the_services_own(colour, wrap):
    def body(doors: Any) -> None:
        for door in ("invoke", "stream", "transform"):
            error = KeyError("mine")
            service = Service(fails={(1, 0): error})
            with pytest.raises(KeyError) as caught:
                getattr(doors, door)(WRAPS[wrap](service.runnable), "x")
            assert caught.value is error
            assert not _open()

    colour.run(body)


@every_wrap
@every_colour
def test_left_before_the_first_chunk_nothing_has_run(colour, wrap):
    def body(doors: Any) -> None:
        service = Service()
        stream = doors.open(WRAPS[wrap](service.runnable), "x")
        stream.close()
        assert service.calls == 0

    colour.run(body)


@every_wrap
@every_colour
def test_a_batch_where_some_fail(colour, wrap):
    """`out[i]` is that of `in[i]`, an error where it failed."""

    def body(doors: Any) -> None:
        def answer(value: str) -> str:
            if value == "bad":
                raise KeyError(value)
            return value.upper()

        from headrace.runnables import RunnableLambda

        made = WRAPS[wrap](RunnableLambda(answer))
        inputs = ["a", "bad", "b", "bad", "c"]
        for limit in (1, 2, None):
            out = doors.batch(made, inputs, {"max_concurrency": limit}, return_exceptions=True)
            assert [out[0], out[2], out[4]] == ["A", "B", "C"]
            assert type(out[1]) is KeyError
            assert type(out[3]) is KeyError
            pairs = doors.as_completed(
                made, inputs, {"max_concurrency": limit}, return_exceptions=True
            )
            assert {i: o for i, o in pairs if i % 2 == 0} == {0: "A", 2: "B", 4: "C"}

    colour.run(body)


@every_wrap
@every_colour
def test_a_permit_and_a_probe_come_back_however_it_ended(colour, wrap):
    """The same runnable again and again: left, failed, whole."""

    def body(doors: Any) -> None:
        service = Service(fails={(2, 1): KeyError("mine"), (4, 2): KeyError("mine")})
        made = WRAPS["limited"](WRAPS[wrap](service.runnable))
        stream = doors.open(made, "x")
        stream.next()
        stream.close()
        for _ in range(2):
            with pytest.raises(KeyError):
                doors.stream(made, "x")
            assert doors.invoke(made, "x") == WHOLE

    colour.run(body)


@every_wrap
@every_colour
def test_a_breaker_around_it_counts_what_comes_through(colour, wrap):
    def body(doors: Any) -> None:
        now = [0.0]
        breaker = CircuitBreaker(
            failures=2, cooldown=10, counts=(KeyError,), clock=lambda: now[0], name="s"
        )
        service = Service(fails={(1, 1): KeyError("a"), (2, 2): KeyError("b")})
        made = circuit_breaker(WRAPS[wrap](service.runnable), breaker)
        for _ in range(2):
            with pytest.raises(KeyError):
                doors.stream(made, "x")
        with pytest.raises(CircuitOpenError) as caught:
            doors.invoke(made, "x")
        assert caught.value.retry_after == 10
        assert service.calls == 2
        now[0] = 10.0
        assert doors.invoke(made, "x") == WHOLE
        assert text(doors.stream(made, "x")) == WHOLE

    colour.run(body)
