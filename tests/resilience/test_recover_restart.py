"""`when="restart"` of retry and fallbacks: held back, or with resets for a reader that asked."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError
from headrace.events import RunChunk, RunRetried, StreamReset
from headrace.language_models import FakeListChatModel
from headrace.merge import merge
from headrace.resilience import Reset
from headrace.resilience.recover import forgetting
from headrace.runnables import (
    RunnableGenerator,
    RunnableLambda,
    RunnablePassthrough,
    RunnableRetry,
    each,
)
from laws.colours import every_colour
from laws.events import check_events, root_end
from laws.ledger import LEDGER, Recorder, Source

AGAIN: dict[str, Any] = {"wait_exponential_jitter": False}


class Cut:
    """Gives the letters of its input, and fails after `at` of them in its first `times` tries."""

    def __init__(self, times: int = 1, at: int = 2, error: Any = None) -> None:
        self.times, self.at = times, at
        self.error = error or ConnectionError("cut")
        self.tries = 0

    def stream(self, chunks: Iterator[str]) -> Iterator[str]:
        with LEDGER.body("cut"):
            self.tries += 1
            fails = self.tries <= self.times
            for number, letter in enumerate("".join(chunks)):
                if fails and number == self.at:
                    raise self.error
                yield letter


def cut(*args: Any, **kw: Any) -> tuple[Any, Any]:
    made = Cut(*args, **kw)
    return made, RunnableGenerator(made.stream)


@every_colour
@pytest.mark.parametrize("door", ["stream", "transform", "invoke"])
@pytest.mark.parametrize("times", [0, 1, 2])
def test_held_back_the_reader_gets_one_clean_stream(colour, door, times):
    def body(doors: Any) -> None:
        made, step = cut(times)
        policy = step.with_retry(when="restart", **AGAIN)
        value = ["he", "llo"] if door == "transform" else "hello"
        got = getattr(doors, door)(policy, value)
        assert got == ("hello" if door == "invoke" else list("hello"))
        assert made.tries == times + 1

    colour.run(body)


@every_colour
def test_with_resets_the_reader_is_told_what_to_discard(colour):
    def body(doors: Any) -> None:
        made, step = cut(2)
        policy = step.with_retry(when="restart", resets=True, **AGAIN)
        stream = doors.open(policy, "hello")
        assert [stream.next() for _ in range(3)] == ["h", "e", Reset(1, made.error, 2)]
        rest = stream.rest()
        assert rest == ["h", "e", Reset(2, made.error, 2), *"hello"]
        assert merge(["h", "e", Reset(1, made.error, 2), *rest]) == "hello"
        made.tries = 0
        assert doors.invoke(policy, "hello") == "hello"
        made.tries = 0
        assert doors.transform(policy, ["he", "llo"])[-5:] == list("hello")

    colour.run(body)


@every_colour
def test_a_step_behind_it_has_not_asked_for_resets(colour):
    def body(doors: Any) -> None:
        made, step = cut(2)
        policy = step.with_retry(when="restart", resets=True, **AGAIN)
        assert doors.stream(policy | each(str.upper), "hello") == list("HELLO")
        made.tries = 0
        assert doors.stream(RunnablePassthrough() | policy, "hello") == list("hello")
        made.tries = 0
        named = policy.with_config(run_name="named")  # nobody reads it but the caller
        assert sum(isinstance(chunk, Reset) for chunk in doors.stream(named, "hello")) == 2

    colour.run(body)


@every_colour
@pytest.mark.parametrize("resets", [False, True])
def test_when_no_try_is_left_the_failure_is_raised_as_it_is(colour, resets):
    def body(doors: Any) -> None:
        made, step = cut(9)
        policy = step.with_retry(when="restart", resets=resets, stop_after_attempt=2, **AGAIN)
        stream = doors.open(policy, "hello")
        with pytest.raises(ConnectionError) as caught:
            stream.rest()
        assert caught.value is made.error
        assert made.tries == 2

    colour.run(body)


@every_colour
@pytest.mark.parametrize("resets", [False, True])
def test_what_is_not_worth_another_try_is_raised(colour, resets):
    def body(doors: Any) -> None:
        made, step = cut(1, error=ValueError("no"))
        policy = step.with_retry(
            when="restart", resets=resets, retry_if_exception_type=OSError, **AGAIN
        )
        with pytest.raises(ValueError, match="no") as caught:
            doors.stream(policy, "hello")
        assert caught.value is made.error
        assert made.tries == 1

    colour.run(body)


@every_colour
def test_a_failing_input_is_no_failure_of_the_step(colour):
    def body(doors: Any) -> None:
        made, step = cut(0)
        error = ConnectionError("upstream")
        source = Source("abc", fail_at=1, fail=error)
        stream = doors.open_transform(step.with_retry(when="restart", **AGAIN), source)
        with pytest.raises(ConnectionError) as caught:
            stream.rest()
        assert caught.value is error
        assert (made.tries, source.pulls) == (0, 2)

    colour.run(body)


@every_colour
@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_left_anywhere_it_closes_what_it_had_open(colour, resets, after):
    def body(doors: Any) -> None:
        _, step = cut(1)
        policy = step.with_retry(when="restart", resets=resets, **AGAIN)
        stream = doors.open(policy, "hello")
        for _ in range(after):
            stream.next()
        stream.close()
        assert not LEDGER.still_open

    colour.run(body)


@every_colour
@pytest.mark.parametrize("resets", [False, True])
def test_events_tell_of_each_restart(colour, resets):
    def body(doors: Any) -> None:
        made, step = cut(2)
        seen = Recorder()
        policy = step.with_retry(when="restart", resets=resets, **AGAIN)
        chunks = doors.stream(policy, "hello", seen.config)
        check_events(seen.events)
        told = [event for event in seen.events if isinstance(event, (RunRetried, StreamReset))]
        assert [type(event) for event in told] == [RunRetried, StreamReset] * 2
        resets_told = [event for event in told if isinstance(event, StreamReset)]
        out = 2 if resets else 0
        assert [(e.attempt, e.discarded, e.error) for e in resets_told] == [
            (1, out, made.error),
            (2, out, made.error),
        ]
        end = root_end(seen.events)
        assert end.output == "hello"
        own = [e.chunk for e in seen.events if isinstance(e, RunChunk) and e.run is end.run]
        assert own == chunks

    colour.run(body)


async def test_event_dicts_have_a_kind_of_their_own():
    made, step = cut(1)
    policy = step.with_retry(when="restart", resets=True, **AGAIN)
    events = [event async for event in policy.astream_events("hello")]
    root = events[0]["run_id"]
    (reset,) = [event for event in events if event["event"] == "on_chain_reset"]
    assert reset["run_id"] == root
    assert reset["data"] == {"attempt": 1, "error": made.error, "discarded": 2}
    assert events[-1]["data"] == {"output": "hello"}
    made.tries = 0
    log = None
    async for patch in policy.astream_log("hello"):
        log = patch if log is None else log + patch
    assert log is not None
    assert log.state["final_output"] == "hello"
    assert log.state["streamed_output"] == ["h", "e", Reset(1, made.error, 2), *"hello"]


@every_colour
@pytest.mark.parametrize("resets", [False, True])
def test_fallbacks_take_over_after_chunks(colour, resets):
    def body(doors: Any) -> None:
        made, step = cut(9)
        other = RunnableGenerator(Cut(0).stream) | each(str.upper)
        policy = step.with_fallbacks([other], when="restart", resets=resets)
        wanted = list("HELLO")
        if resets:
            wanted = ["h", "e", Reset(1, made.error, 2), *wanted]
        assert doors.stream(policy, "hello") == wanted
        assert doors.stream(policy | str.lower, "hello") == ["hello"]
        assert doors.invoke(policy, "hello") == "HELLO"
        both = step.with_fallbacks([step], when="restart", resets=resets)
        stream = doors.open(both, "hello")
        with pytest.raises(ConnectionError) as caught:
            stream.rest()
        assert caught.value is made.error

    colour.run(body)


@every_colour
def test_the_failure_is_put_into_the_input_of_a_fallback(colour):
    def body(doors: Any) -> None:
        error = ConnectionError("cut")

        def half(chunks: Any) -> Any:
            list(chunks)
            yield "half"
            raise error

        told = RunnableLambda(lambda given: repr(given["why"]) + given["x"])
        policy = RunnableGenerator(half).with_fallbacks([told], exception_key="why", when="restart")
        assert doors.stream(policy, {"x": "!"}) == [repr(error) + "!"]

    colour.run(body)


@every_colour
def test_policies_inside_policies(colour):
    def body(doors: Any) -> None:
        made, step = cut(3)
        inner = step.with_retry(when="restart", stop_after_attempt=2, **AGAIN)
        outer = inner.with_retry(when="restart", resets=True, stop_after_attempt=2, **AGAIN)
        assert doors.stream(outer, "hello") == list("hello")  # nothing was out of the inner one
        assert made.tries == 4

    colour.run(body)


def test_a_fold_of_the_steps_own_counts_what_came_since():
    fold = forgetting(SimpleNamespace(told=[lambda chunks: ("folded", chunks)])).fold
    assert fold([1, Reset(1, OSError(), 1), 2, 3]) == ("folded", [2, 3])
    assert fold([1]) == ("folded", [1])


@given(st.lists(st.integers(0, 4), max_size=4), st.text(min_size=5, max_size=9))
def test_whatever_fails_where_the_sum_is_the_answer(places, text):
    cuts = iter(places)

    def stream(chunks: Iterator[str]) -> Iterator[str]:
        stop = next(cuts, None)
        for number, letter in enumerate("".join(chunks)):
            if number == stop:
                raise OSError
            yield letter

    policy = RunnableGenerator(stream).with_retry(
        when="restart", resets=True, stop_after_attempt=9, **AGAIN
    )
    chunks = list(policy.stream(text))
    assert merge(chunks) == text
    said = [chunk.discarded for chunk in chunks if isinstance(chunk, Reset)]
    assert said == [place for place in places if place > 0]


def test_what_explain_says():
    _, step = cut()
    held = step.with_retry(when="restart").explain()
    assert [row.kind for row in held] == ["barrier", "streams"]
    assert "resets=True" in held.steps[0].advice
    assert next(iter(step.with_retry(when="restart", resets=True).explain())).kind == "source"
    assert next(iter(step.with_retry().explain())).kind == "streams"


def test_settings_that_make_no_sense_are_refused():
    _, step = cut()
    with pytest.raises(ConfigError, match="when is 'later'"):
        step.with_retry(when="later")
    with pytest.raises(ConfigError, match="resets=True with when='before_first_chunk'"):
        step.with_retry(resets=True)
    with pytest.raises(ConfigError, match="resets=True with when='continue'"):
        step.with_fallbacks([step], resets=True, when="continue")


def test_copies_reprs_and_equality():
    policy = RunnablePassthrough().with_retry(when="restart", resets=True)
    for again in (copy.deepcopy(policy), pickle.loads(pickle.dumps(policy)), copy.copy(policy)):
        assert again == policy
        assert list(again.stream("x")) == ["x"]
    assert policy != RunnablePassthrough().with_retry(when="restart")
    assert repr(policy).endswith("max_attempt_number=3, when='restart', resets=True)")
    assert "when" not in repr(RunnablePassthrough().with_retry())
    assert isinstance(policy, RunnableRetry)
    assert repr(Reset(1, OSError("x"), 2)) == "Reset(attempt=1, error=OSError('x'), discarded=2)"
    assert Reset(1, OSError(), 2) != 1


def test_a_subclass_keeps_its_step_from_resets():
    class Mine(RunnableRetry[Any, Any]):
        pass

    made, step = cut(1)
    policy = Mine(bound=step, when="restart", resets=True, wait_exponential_jitter=False)
    assert sum(isinstance(chunk, Reset) for chunk in policy.stream("hello")) == 1
    made.tries = 0
    assert list((policy | each(str.upper)).stream("hello")) == list("HELLO")


class Speaking(FakeListChatModel):
    """Breaks off after three letters in its first `times` calls."""

    times: int = 1

    def _stream(self, *args: Any, **kw: Any) -> Any:
        self.times -= 1
        for number, chunk in enumerate(super()._stream(*args, **kw)):
            if number == 3 and self.times >= 0:
                raise ConnectionError("cut")
            yield chunk


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("parsed", [False, True])
def test_a_handle_counts_what_came_since(resets, parsed):
    model = Speaking(responses=["hello"])
    policy: Any = model.with_retry(when="restart", resets=resets, **AGAIN)
    if parsed:
        policy = policy | (lambda message: [message.content])
    with policy.open("go") as run:
        chunks = list(run.chunks)
        assert run.text.get() == "hello"
        assert [block["text"] for block in run.blocks.get()] == ["hello"]
        assert (run.output if parsed else [run.output.content]) == ["hello"]
    assert sum(isinstance(chunk, Reset) for chunk in chunks) == (resets and not parsed)
