"""Chat models under policies, seen through handles, histories, and as values that travel."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from headrace.errors import CircuitOpenError, ConfigError, ServerError, Timeout
from headrace.events import RunCancelled, RunChunk, RunEnded
from headrace.merge import merge
from headrace.messages import AIMessage, HumanMessage
from headrace.output_parsers import StrOutputParser
from headrace.resilience import Reset, circuit_breaker, race
from headrace.runnables import RunnableLambda, RunnableParallel
from laws.colours import both_drivers, every_colour
from laws.events import check_events
from laws.ledger import LEDGER, Recorder
from survival.models import Going, Speaker
from survival.pieces import AGAIN, LONG, WHOLE, WORDS, WRAPS, every_wrap

GOES_ON: dict[str, Any] = {"when": "continue", **AGAIN}
PLACES: dict[str, Any] = {
    "alone": lambda r: r,
    "parsed": lambda r: r | StrOutputParser(),
    "parallel": lambda r: RunnableParallel(a=r),
}
every_place = pytest.mark.parametrize("place", list(PLACES))


@every_place
@pytest.mark.parametrize("back", [0, 100])
@pytest.mark.parametrize("at", range(5))
def test_a_handle_on_an_answer_that_is_continued(place, back, at):
    """What is said again is left out of the handle's text as of the answer."""

    def made() -> Any:
        model = Going(fails={(1, at): ServerError("down")}, said=[], back=back)
        return PLACES[place](model.with_retry(**GOES_ON))

    with made().open("x") as run:
        assert merge(list(run.text)) == WHOLE
    with made().open("x") as run:
        assert run.text.get() == WHOLE


@every_place
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_handle_on_a_race(place, asynchronous):
    """ "None of its chunks is seen": the loser's text is not in the handle's."""

    def made() -> Any:
        return PLACES[place](race(Speaker(said=[]), Speaker(said=[])))

    async def main() -> list[str]:
        async with made().open("x") as run:
            return [delta async for delta in run.text]

    for _ in range(5):
        if asynchronous:
            assert "".join(asyncio.run(main())) == WHOLE
        else:
            with made().open("x") as run:
                assert "".join(run.text) == WHOLE
            with made().open("x") as run:
                assert run.text.get() == WHOLE


@every_place
def test_events_of_a_race_tell_of_one_end(place):
    """One model has an end, and its text is the answer; the loser has none, whatever it began."""

    async def main() -> list[Any]:
        chain = PLACES[place](race(Speaker(said=[]), Speaker(said=[])))
        return [event async for event in chain.astream_events("x")]

    events = asyncio.run(main())
    ends = [e for e in events if e["event"] == "on_chat_model_end"]
    assert [e["data"]["output"].content for e in ends] == [WHOLE]


WAYS: dict[str, Any] = {
    "restart": {"when": "restart"},
    "resets": {"when": "restart", "resets": True},
    "continue": {"when": "continue"},
}


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("around", [False, True])
@every_colour
def test_a_history_holds_the_answer_once(colour, way, around):
    from headrace.chat_history import InMemoryChatMessageHistory
    from headrace.runnables import RunnableWithMessageHistory

    def body(doors: Any) -> None:
        for at in range(5):
            if around and way == "continue":
                continue  # what is around a history is no chat model
            store = InMemoryChatMessageHistory()
            model = Going(fails={(1, at): ServerError("down")}, said=[])
            inner: Any = model if around else model.with_retry(**WAYS[way], **AGAIN)
            chain: Any = RunnableWithMessageHistory(inner, lambda session_id, store=store: store)
            chain = chain.with_retry(**WAYS[way], **AGAIN) if around else chain
            config = {"configurable": {"session_id": "s"}}
            got = merge(doors.stream(chain, [HumanMessage("hello")], config))
            assert got.content == WHOLE
            assert [m.content for m in store.messages] == ["hello", WHOLE], (at, store.messages)

    colour.run(body)


class Gated(Going):
    """A speaker that waits before word number `at`, from 0, until the gate is opened."""

    at: int = 0
    gate: Any = None

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        for number, chunk in enumerate(super()._stream(*args, **kwargs)):
            if number == self.at:
                assert self.gate.wait(10), "nobody opened the gate"
            yield chunk


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("words", [0, 1, 2, 3])
def test_stop_is_no_failure(way, asynchronous, words):
    """A model that speaks ends after its next chunk, and nobody asks it again. One that has begun
    and has said nothing does not speak: the run is ended as a whole, and its output is None."""
    gate = Event()
    model = Gated(said=[], at=words, gate=gate)
    chain = model.with_retry(**WAYS[way], **AGAIN)
    heard: list[Any] = []

    def hear(run: Any, event: Any) -> None:
        of_model = event.run.run_type == "chat_model"
        heard.append(event)
        told = sum(isinstance(e, RunChunk) and e.run is event.run for e in heard)
        if of_model and told == words and not gate.is_set():
            run.stop()
            gate.set()

    async def main() -> Any:
        async with chain.open("x") as run:
            async for event in run.events():
                hear(run, event)
            return await run.output

    LEDGER.reset()
    if asynchronous:
        output = asyncio.run(main())
    else:
        with chain.open("x") as run:
            for event in run.events():
                hear(run, event)
            output = run.output
    assert len(model.said) == 1
    assert not LEDGER.still_open
    if words:
        assert output.content == "".join(WORDS[: words + 1])
        assert isinstance(heard[-1], RunEnded)
    else:
        assert output is None
        assert isinstance(heard[-1], RunCancelled)


@every_wrap
@every_colour
def test_a_model_is_asked_as_it_would_be_without(colour, wrap):
    """`invoke` and `stream` give one message with one id, its usage and its calls."""

    def body(doors: Any) -> None:
        for door in ("invoke", "stream"):
            model = Speaker(said=[], calls_tool=True)
            got = getattr(doors, door)(WRAPS[wrap](model), "x")
            message = merge(got) if door == "stream" else got
            assert isinstance(message, AIMessage)
            assert (message.content, message.id) == (WHOLE, "id-1")
            assert [call["id"] for call in message.tool_calls] == ["call-1"]
            assert message.usage_metadata == {
                "input_tokens": 10,
                "output_tokens": 1,
                "total_tokens": 11,
            }
            assert len(model.said) == 1
            if door == "stream":
                assert {chunk.id for chunk in got} == {"id-1"}
                assert [chunk.chunk_position for chunk in got].count("last") == 1

    colour.run(body)


@every_colour
def test_what_was_bound_goes_with_every_try(colour):
    def body(doors: Any) -> None:
        asked: list[Any] = []

        class Noting(Going):
            def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any):
                asked.append((stop, kw))
                return super()._stream(messages, stop, run_manager, **kw)

        for way in WAYS.values():
            asked.clear()
            model = Noting(fails={(1, 2): ServerError("down")}, said=[])
            chain = model.bind(stop=["§"], mood="good").with_retry(**way, **AGAIN)
            assert merge(doors.stream(chain, "x")).content == WHOLE
            assert asked == [(["§"], {"mood": "good"})] * 2

    colour.run(body)


@every_colour
@pytest.mark.parametrize("at", range(5))
def test_policies_of_one_kind_in_each_other(colour, at):
    """Two tries of the first, then the second model, each going on with what was said."""

    def body(doors: Any) -> None:
        fails = {(1, at): ServerError("a"), (2, 1): ServerError("b"), (3, 0): ServerError("c")}
        first, second = Going(fails=fails, said=[]), Going(said=[])
        inner = first.with_retry(stop_after_attempt=3, **GOES_ON)
        seen = Recorder()
        try:
            chain = inner.with_fallbacks([second], when="continue")
        except ConfigError as refused:  # when it is built, and with what to do instead
            assert 'when="restart"' in str(refused)
            chain = inner.with_fallbacks([second], when="restart")
        got = doors.stream(chain, "x", seen.config)
        assert merge(got).content == WHOLE
        assert len({chunk.id for chunk in got}) == 1
        check_events(seen.events)

    colour.run(body)


ERRORS: list[Any] = [
    Timeout("late", which="idle", seconds=0.5, partial="The "),
    CircuitOpenError("open", retry_after=2.5),
    ServerError("down", partial="x", provider="p", status=500, retry_after=1.0),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("again", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_errors_travel(error, again):
    same = again(error)
    assert type(same) is type(error)
    assert str(same) == str(error)
    for name in ("which", "seconds", "partial", "retry_after", "status", "provider"):
        assert getattr(same, name, None) == getattr(error, name, None)


def test_a_reset_travels():
    reset = pickle.loads(pickle.dumps(Reset(1, ServerError("down"), 3)))
    assert (reset.attempt, reset.discarded, str(reset.error)) == (1, 3, "down")
    assert merge(["a", reset, "b"]) == "b"


@both_drivers
@every_wrap
def test_batches_of_parallels_with_one_permit(colour, wrap):
    """Law 8: never a deadlock at 1, and never more than one leaf at work."""

    def body(doors: Any) -> None:
        at_work, most = [0], [0]

        def answer(value: str) -> str:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
            at_work[0] -= 1
            return value.upper()

        leaf = WRAPS[wrap](RunnableLambda(answer))
        nested = RunnableParallel(a=leaf, b=leaf | RunnableParallel(c=leaf, d=leaf))
        out = doors.batch(
            WRAPS[wrap](StrOutputParser() | leaf) | nested, list("abc"), {"max_concurrency": 1}
        )
        assert out == [{"a": v, "b": {"c": v, "d": v}} for v in "ABC"]
        assert most == [1]

    colour.run(body)


@every_colour
def test_a_failure_is_put_into_the_next_ones_input(colour):
    def body(doors: Any) -> None:
        error = ServerError("down")

        def first(value: Any) -> Any:
            raise error

        given: list[Any] = []
        second = RunnableLambda(lambda value: given.append(value) or "ok")
        for when in ("before_first_chunk", "restart"):
            chain = RunnableLambda(first).with_fallbacks([second], exception_key="why", when=when)
            assert doors.stream(chain, {"q": 1}) == ["ok"]
            assert doors.invoke(chain, {"q": 1}) == "ok"
        assert given == [{"q": 1, "why": error}] * 4

    colour.run(body)


@every_colour
def test_a_breaker_told_by_a_model_in_the_middle_of_its_answer(colour):
    def body(doors: Any) -> None:
        model = Speaker(fails={(1, 3): ServerError("down")}, said=[])
        chain = circuit_breaker(model, failures=1, cooldown=LONG)
        stream, got = doors.open(chain, "x"), []
        with pytest.raises(ServerError):
            while len(got) < 9:
                got.append(stream.next())
        assert merge(got).content == "".join(WORDS[:3])
        with pytest.raises(CircuitOpenError):
            doors.invoke(chain, "x")

    colour.run(body)
