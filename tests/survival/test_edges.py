"""What else user code does in a stream that is to survive: context, threads, `finally`."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import ConfigError, ServerError, Timeout
from headrace.merge import merge
from headrace.resilience import race
from headrace.runnables import RunnableGenerator, RunnableLambda
from laws.colours import ASYNC, SYNC, both_drivers, every_colour, sync_colours
from laws.events import check_events
from laws.ledger import LEDGER, Recorder, Source
from survival.pieces import AGAIN, LONG, WHOLE, WORDS, WRAPS, Service, every_wrap, text

VAR: contextvars.ContextVar[str] = contextvars.ContextVar("survival", default="unset")


@every_wrap
@sync_colours
def test_the_callers_context_is_seen(colour, wrap):
    """In another thread, too."""

    def body(doors: Any) -> None:
        seen: list[str] = []

        def service(chunks: Any) -> Any:
            list(chunks)
            for word in WORDS:
                seen.append(VAR.get())
                yield word

        token = VAR.set("caller")
        try:
            chain = WRAPS[wrap](RunnableGenerator(service))
            assert text(doors.stream(chain, "x")) == WHOLE
            assert seen == ["caller"] * len(WORDS)
        finally:
            VAR.reset(token)

    colour.run(body)


@every_wrap
def test_the_callers_context_is_seen_async(wrap):
    seen: list[str] = []

    async def service(chunks: Any) -> AsyncIterator[str]:
        async for _ in chunks:
            pass
        for word in WORDS:
            seen.append(VAR.get())
            yield word

    async def main() -> None:
        VAR.set("caller")
        chain = WRAPS[wrap](RunnableGenerator(service))
        assert await chain.ainvoke("x") == WHOLE
        assert seen == ["caller"] * len(WORDS)

    asyncio.run(main())


@every_wrap
@every_colour
def test_a_stream_stays_in_its_thread(colour, wrap):
    """From its first line to its `finally`: a connection of SQLite's would mind."""

    def body(doors: Any) -> None:
        for taken in (2, 9):
            threads: set[int] = set()

            def service(chunks: Any, threads: set[int] = threads) -> Any:
                try:
                    list(chunks)
                    for word in WORDS:
                        threads.add(threading.get_ident())
                        yield word
                finally:
                    threads.add(threading.get_ident())

            stream = doors.open(WRAPS[wrap](RunnableGenerator(service)), "x")
            for _ in range(taken):
                stream.next()
            stream.close()
            assert len(threads) == 1

    colour.run(body)


@every_wrap
@every_colour
def test_runs_of_nested_calls_hang_below(colour, wrap):
    def body(doors: Any) -> None:
        inner, seen = RunnableLambda(str.upper, name="inner"), Recorder()

        def outer(value: str) -> str:
            return inner.invoke(value)

        chain = WRAPS[wrap](RunnableLambda(outer, name="outer"))
        assert text(doors.stream(chain, "x", seen.config)) == "X"
        check_events(seen.events)
        (path,) = {e.run.path for e in seen.events if e.run.name == "inner"}
        assert "/outer/" in path.replace(":outer", "/outer") or path.endswith("outer/inner")

    colour.run(body)


@every_wrap
@both_drivers
def test_an_error_in_a_finally_is_not_lost(colour, wrap):
    """At the end of the stream, where nothing else went wrong."""

    def body(doors: Any) -> None:
        error = KeyError("finally")

        def service(chunks: Any) -> Any:
            list(chunks)
            try:
                yield from WORDS
            finally:
                raise error

        seen = Recorder()
        with pytest.raises(KeyError) as caught:
            doors.stream(WRAPS[wrap](RunnableGenerator(service)), "x", seen.config)
        assert caught.value is error
        check_events(seen.events)

    colour.run(body)


@every_wrap
@both_drivers
@pytest.mark.parametrize("at", [0, 2])
def test_errors_that_look_like_the_machinerys_own(colour, wrap, at):
    """Builtin exceptions that loops and drivers use themselves are user code's here."""

    def body(doors: Any) -> None:
        for error in (TimeoutError("mine"), StopAsyncIteration("mine"), EOFError("mine")):
            service = Service(fails={(1, at): error})
            with pytest.raises((type(error), RuntimeError)) as caught:
                doors.stream(WRAPS[wrap](service.runnable), "x")
            chained = (caught.value, caught.value.__cause__, caught.value.__context__)
            assert error in chained
            assert not isinstance(caught.value, Timeout)
            assert not LEDGER.still_open

    colour.run(body)


class Stop(BaseException):
    """As KeyboardInterrupt and SystemExit are: no `Exception`."""


@every_wrap
@both_drivers
@pytest.mark.parametrize("at", [0, 2])
def test_what_is_no_exception_goes_through_and_is_not_tried_again(colour, wrap, at):
    def body(doors: Any) -> None:
        service, seen = Service(fails={(1, at): Stop("now")}), Recorder()
        with pytest.raises(Stop):
            doors.stream(WRAPS[wrap](service.runnable), "x", seen.config)
        assert service.calls == 1
        assert not LEDGER.still_open
        check_events(seen.events)

    colour.run(body)


@every_wrap
@every_colour
@pytest.mark.parametrize("at", [0, 1])
def test_a_source_that_fails(colour, wrap, at):
    """The input stream breaks: that error, and nobody asks it a second time."""

    def body(doors: Any) -> None:
        error = KeyError("source")
        source = Source(["a", "b"], fail_at=at, fail=error)
        with pytest.raises(KeyError) as caught:
            doors.open_transform(WRAPS[wrap](Service().runnable), source).rest()
        assert caught.value is error
        assert source.pulls == at + 1
        assert not LEDGER.still_open

    colour.run(body)


@every_wrap
@every_colour
def test_chunks_that_are_false_are_chunks(colour, wrap):
    def body(doors: Any) -> None:
        if wrap == "guard":
            return
        for words in (["", "a"], [None, 1], [0, 0], [{}, {"a": 1}], [[], [1]], [False]):
            chain = WRAPS[wrap](Service(words).runnable)
            assert doors.stream(chain, "x") == words
            assert doors.stream(WRAPS[wrap](Service(words).runnable), None) == words

    colour.run(body)


@every_wrap
@every_colour
def test_an_empty_stream_is_no_failure(colour, wrap):
    def body(doors: Any) -> None:
        service, seen = Service([]), Recorder()
        chain = WRAPS[wrap](service.runnable)
        if wrap == "race":
            chain = race(service.runnable, Service([]).runnable)
        assert doors.stream(chain, "x", seen.config) == []
        check_events(seen.events)
        assert service.calls == 1

    colour.run(body)


@every_wrap
@every_colour
def test_one_runnable_in_two_streams_at_once(colour, wrap):
    def body(doors: Any) -> None:
        chain = WRAPS[wrap](Service().runnable)
        if wrap == "limited":
            chain = WRAPS["timeout"](Service().runnable)
        one, two = doors.open(chain, "x"), doors.open(chain, "x")
        got: Any = ([], [])
        for _ in range(9):
            for stream, words in zip((one, two), got, strict=True):
                if isinstance(chunk := stream.next(), str):
                    words.append(chunk)
        assert [text(words) for words in got] == [WHOLE, WHOLE]

    colour.run(body)


@settings(max_examples=60)
@given(
    wraps=st.lists(st.sampled_from([w for w in WRAPS if w != "limited"]), max_size=4),
    at=st.integers(0, 4),
    asynchronous=st.booleans(),
    door=st.sampled_from(["stream", "invoke"]),
)
def test_any_nesting_recovers_with_a_restart_around_it(wraps, at, asynchronous, door):
    def body(doors: Any) -> None:
        service, seen = Service(fails={(1, at): ServerError("down")}), Recorder()
        chain = service.runnable
        for wrap in wraps:
            chain = WRAPS[wrap](chain)
        # A fallback that never answers, or a race with one, makes another error of it.
        chain = chain.with_retry(when="restart", **AGAIN)
        got = getattr(doors, door)(chain, "x", seen.config)
        assert (merge(got) if door == "stream" else got) == WHOLE
        assert not LEDGER.still_open
        check_events(seen.events)

    (ASYNC if asynchronous else SYNC).run(body)


@settings(max_examples=60)
@given(
    wraps=st.lists(st.sampled_from(list(WRAPS)), min_size=1, max_size=5),
    taken=st.integers(0, 5),
    asynchronous=st.booleans(),
)
def test_any_nesting_left_at_any_chunk(wraps, taken, asynchronous):
    def body(doors: Any) -> None:
        service, seen = Service(), Recorder()
        chain = service.runnable
        for wrap in wraps:
            chain = WRAPS[wrap](chain)
        stream = doors.open(chain, "x", seen.config)
        for _ in range(taken):
            stream.next()
        stream.close()
        assert not LEDGER.still_open
        if taken:
            check_events(seen.events)

    (ASYNC if asynchronous else SYNC).run(body)


def plain() -> Any:
    return RunnableLambda(str.upper)


WRONG: dict[str, Any] = {
    "no limit": lambda: plain().with_timeout(),
    "a negative limit": lambda: plain().with_timeout(idle=-1),
    "a negative after": lambda: plain().with_hedge(after=-1),
    "a race of one": lambda: race(plain()),
    "a race of none": lambda: race(),
    "another when": lambda: plain().with_retry(when="later"),
    "another when of fallbacks": lambda: plain().with_fallbacks([plain()], when="later"),
    "resets without restart": lambda: plain().with_retry(resets=True),
    "resets with continue": lambda: plain().with_fallbacks([plain()], when="continue", resets=True),
    "no try": lambda: plain().with_retry(stop_after_attempt=0),
    "another word": lambda: plain().with_retry(retry_if_exception_type="sometimes"),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_what_cannot_be_is_refused_when_it_is_built(name):
    with pytest.raises((ConfigError, TypeError, ValueError)):
        WRONG[name]()


@sync_colours
def test_an_inner_limit_is_the_one_that_is_named(colour):
    def body(doors: Any) -> None:
        service = Service(blocks=[(1, 1)])
        chain = service.runnable.with_timeout(idle=0.005).with_timeout(total=LONG)
        with pytest.raises(Timeout) as caught:
            doors.stream(chain.with_retry(retry_if_exception_type=(KeyError,)), "x")
        assert (caught.value.which, caught.value.partial) == ("idle", WORDS[0])

    colour.run(body)


def test_an_async_finally_that_takes_its_time_is_awaited():
    """Given up for real: when the error is there, every `finally` has run, the slow ones too."""
    done: list[str] = []

    async def service(chunks: Any) -> AsyncIterator[str]:
        async for _ in chunks:
            pass
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            await asyncio.sleep(0.002)
            done.append("done")

    async def main() -> None:
        chain = RunnableGenerator(service)
        with pytest.raises(Timeout):
            await chain.with_timeout(idle=0.005).ainvoke("x")
        assert done == ["done"]
        with pytest.raises(Timeout):
            await race(chain, chain).with_timeout(total=0.01).ainvoke("x")
        assert len(done) >= 2

    asyncio.run(main())
    assert len(done) == 3
