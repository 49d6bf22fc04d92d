"""`with_hedge`: the second starts when the first is slow or has failed; the first chunk wins."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from headrace import _sync_race
from headrace.errors import ConfigError, HeadraceWarning
from headrace.events import RunCancelled, RunChunk, RunEnded, RunFailed, RunStarted, RunWon
from headrace.resilience import RunnableWithHedge
from headrace.runnables import Runnable, RunnableLambda, RunnablePassthrough
from laws.colours import ASYNC, END, every_colour, sync_colours
from laws.events import check_events
from laws.ledger import LEDGER, Recorder, Source
from resilience.virtual import answers, clock, steps

__all__ = ["clock"]

DOORS = pytest.mark.parametrize("door", ["invoke", "stream", "transform"])


def asked(doors: Any, door: str, runnable: Any, config: Any = None) -> Any:
    value = ["x", "y"] if door == "transform" else "xy"
    made = (
        getattr(doors, door)(runnable, value, config)
        if config
        else getattr(doors, door)(runnable, value)
    )
    return made if door == "invoke" else "".join(made)


# ---- who starts, who wins -----------------------------------------------------------------------


@every_colour
@DOORS
@pytest.mark.parametrize(
    ("first", "second", "gives", "tries", "after"),
    [
        ((0.5, "a", 9, "b"), ("c",), "ab", ["first"], 9.5),  # in time, however slow afterwards
        ((5, "a"), (1, "c", 1, "d"), "cd", ["first", "second"], 2.8),
        ((1.5, "a", 1, "b"), (1, "c"), "ab", ["first", "second"], 2.5),  # late, but still the first
        ((ValueError("wrong"),), (1, "c"), "c", ["first", "second"], 1),  # the second at once
        ((0.3, ValueError("wrong")), (1, "c"), "c", ["first", "second"], 1.3),
        ((5, "a"), (1, ValueError("wrong")), "a", ["first", "second"], 5),  # the first decides
        ((2, ValueError("wrong")), (3, "c"), "c", ["first", "second"], 3.8),
    ],
    ids=str,
)
def test_who_starts_when_and_who_wins(colour, clock, door, first, second, gives, tries, after):
    def body(doors: Any) -> None:
        clock.tries.clear()
        begun = clock.now
        hedged = steps(clock, *first, name="first").with_hedge(
            steps(clock, *second, name="second"), after=0.8
        )
        assert asked(doors, door, hedged) == gives
        assert clock.tries == tries
        assert clock.now - begun == pytest.approx(after)
        assert not LEDGER.still_open

    colour.run(body)


@every_colour
def test_the_same_again_by_default(colour, clock):
    class Slow(Runnable[str, str]):
        """Its first call is slow."""

        calls = 0

        def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
            return f"answer {self.call(9)}"

        def call(self, seconds: float) -> int:
            self.calls += 1
            if (number := self.calls) == 1:
                clock.sleep(seconds)
            return number

    def body(doors: Any) -> None:
        begun = clock.now
        slow = Slow()
        assert doors.invoke(slow.with_hedge(after=2), "x") == "answer 2"
        assert slow.calls == 2
        assert clock.now - begun == pytest.approx(2)

    colour.run(body)


@every_colour
def test_whole_answers_race_as_wholes(colour, clock):
    def body(doors: Any) -> None:
        begun = clock.now
        hedged = answers(clock, 5, "slow").with_hedge(answers(clock, 1, "quick"), after=1)
        assert doors.invoke(hedged, "x") == "quick"
        assert doors.stream(hedged, "x") == ["quick"]
        assert clock.now - begun == pytest.approx(4)

    colour.run(body)


@every_colour
@DOORS
def test_when_both_fail_the_first_ones_failure_is_raised_and_tells_of_the_other(
    colour, clock, door
):
    def body(doors: Any) -> None:
        first, second = ValueError("first"), KeyError("second")
        for plan in ((0.1, first), (3, first)):  # before the second starts, after it has failed
            hedged = steps(clock, *plan).with_hedge(steps(clock, 0.5, second), after=1)
            with pytest.raises(ValueError) as caught:
                asked(doors, door, hedged)
            assert caught.value is first
            assert any("KeyError('second')" in note for note in first.__notes__)
            del first.__notes__

    colour.run(body)


@every_colour
def test_after_its_first_chunk_the_winner_decides(colour, clock):
    def body(doors: Any) -> None:
        wrong = ValueError("wrong")
        hedged = steps(clock, 2, "a", 1, wrong).with_hedge(steps(clock, 5, "b"), after=1)
        stream = doors.open(hedged, "x")
        assert stream.next() == "a"
        with pytest.raises(ValueError) as caught:
            stream.next()
        assert caught.value is wrong
        assert not hasattr(wrong, "__notes__") or "failed as well" not in str(wrong.__notes__)

    colour.run(body)


@every_colour
def test_an_empty_stream_is_an_answer(colour, clock):
    def body(doors: Any) -> None:
        hedged = steps(clock, 0.5).with_hedge(steps(clock, "b", name="other"), after=1)
        assert doors.stream(hedged, "x") == []
        assert "other" not in clock.tries

    colour.run(body)


@every_colour
def test_time_is_counted_from_when_the_input_is_there(colour, clock):
    def body(doors: Any) -> None:
        clock.tries.clear()
        chain = steps(clock, 5, "in", name="input") | steps(clock, 0.5, "a", name="one").with_hedge(
            after=1
        )
        assert doors.stream(chain, "x") == ["a"]
        assert clock.tries == ["input", "one"]

    colour.run(body)


# ---- the loser ----------------------------------------------------------------------------------


@every_colour
def test_the_loser_is_cancelled_in_the_events_and_nothing_of_it_is_delivered(colour, clock):
    def body(doors: Any) -> None:
        seen = Recorder()
        hedged = steps(clock, 5, "a", name="slow").with_hedge(
            steps(clock, 1, "b", 0, "c", name="quick"), after=1
        )
        assert doors.stream(
            hedged,
            "x",
        ) == ["b", "c"]
        stream = doors.open(hedged, "x", seen.config)
        assert [stream.next(), stream.next(), stream.next()] == ["b", "c", END]
        check_events(seen.events)
        own = {
            name: [type(e) for e in seen.events if e.run.name == name and e.run.parent_ids]
            for name in ("slow", "quick")
        }
        assert own == {
            "slow": [RunStarted, RunCancelled],
            "quick": [RunStarted, RunChunk, RunChunk, RunEnded],
        }
        assert next(e.run.tag for e in seen.events if e.run.name == "quick") == "hedge"

    colour.run(body)


@every_colour
def test_the_loser_does_not_go_on_beside_the_winner(colour, clock):
    def body(doors: Any) -> None:
        hedged = steps(clock, 5, "a", name="slow").with_hedge(
            steps(clock, 1, "b", 1, "c", 1, "d", name="quick"), after=1
        )
        stream = doors.open(hedged, "x")
        assert [stream.next(), stream.next()] == ["b", "c"]
        assert LEDGER.still_open == ["quick"]
        stream.close()

    colour.run(body)


@every_colour
@pytest.mark.parametrize("pulled", [0, 1, 2])
def test_closed_at_any_chunk_all_are_closed(colour, clock, pulled):
    def body(doors: Any) -> None:
        seen = Recorder()
        hedged = steps(clock, 5, "a").with_hedge(
            steps(clock, 1, "b", 1, "c", 100, "d", name="other"), after=1
        )
        source = Source("xy")
        stream = doors.open_transform(hedged, source, seen.config)
        for _ in range(pulled):
            stream.next()
        stream.close()
        assert not LEDGER.still_open
        assert source.pulled_while_leaving == 0
        if pulled:
            check_events(seen.events)
            ends = [type(e) for e in seen.events if not isinstance(e, (RunStarted, RunChunk))]
            assert ends == [RunWon] + [RunCancelled] * 3

    colour.run(body)


@sync_colours
def test_a_loser_that_cannot_be_broken_off_does_not_hold_the_winner_up(colour, clock):
    def body(doors: Any) -> None:
        begun = clock.now
        stuck = steps(clock, 1000, "a", stubborn=True, name="stuck")
        hedged = stuck.with_hedge(steps(clock, 1, "b", name="quick"), after=1)
        stream = doors.open(hedged, "x")
        assert stream.next() == "b"
        assert clock.now - begun == pytest.approx(2)
        with pytest.warns(HeadraceWarning, match="1 blocked thread did not come back"):
            assert stream.next() is END
        assert clock.now - begun == pytest.approx(2 + _sync_race.GRACE)
        clock.wake_all()

    colour.run(body)


@sync_colours
def test_a_loser_that_goes_on_for_a_while_stops_at_its_next_chunk(colour, clock):
    def body(doors: Any) -> None:
        clock.tries.clear()
        busy = steps(clock, 2.5, "a", 0.1, "never", stubborn=True, name="busy")
        hedged = busy.with_hedge(steps(clock, 1, "b", name="quick"), after=1)
        assert doors.stream(hedged, "x") == ["b"]
        assert not LEDGER.still_open

    colour.run(body)


# ---- with others --------------------------------------------------------------------------------


def test_under_max_concurrency_it_waits_for_its_turn_and_never_for_ever(clock):
    """Async alone: the clock does not see a thread that waits for a permit."""

    def body(doors: Any) -> None:
        slow = steps(clock, 3, "a", name="slow")
        hedged = slow.with_hedge(steps(clock, 1, "b", name="quick"), after=1)
        # one at a time: the second may only begin when the first has ended
        assert doors.batch(hedged, ["x"] * 3, {"max_concurrency": 1}) == ["a"] * 3
        assert doors.batch(hedged, ["x"] * 3, {"max_concurrency": 9}) == ["b"] * 3

    ASYNC.run(body)


@every_colour
def test_inside_a_timeout_and_around_one(colour, clock):
    def body(doors: Any) -> None:
        slow, slower = steps(clock, 5, "a"), steps(clock, 9, "b")
        begun = clock.now
        with pytest.raises(TimeoutError):
            doors.stream(slow.with_hedge(slower, after=1).with_timeout(first_chunk=3), "x")
        assert clock.now - begun == pytest.approx(3)
        assert not LEDGER.still_open
        timed = slow.with_timeout(first_chunk=2).with_hedge(slower.with_timeout(total=3), after=1)
        with pytest.raises(TimeoutError, match="first chunk within 2 s"):
            doors.stream(timed, "x")

    colour.run(body)


# ---- about itself -------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [-1, "1", True, float("nan"), None])
def test_after_is_checked(after):
    with pytest.raises(ConfigError, match="after is"):
        RunnablePassthrough().with_hedge(after=after)


def upper(text: str) -> str:
    return text.upper()


def length(text: str) -> int:
    return len(text)


def test_what_it_says_of_itself():
    alone = RunnableLambda(upper).with_hedge(after=60)
    both = RunnableLambda(upper).with_hedge(RunnableLambda(length), after=60)
    assert isinstance(both, RunnableWithHedge)
    assert repr(alone) == "RunnableWithHedge(RunnableLambda(upper), after=60)"
    assert "other=RunnableLambda(length)" in repr(both)
    for hedged in (alone, both):
        assert pickle.loads(pickle.dumps(hedged)) == hedged
        assert copy.deepcopy(hedged) == hedged
        assert hedged.invoke("a") == "A"
        assert hedged.get_name().startswith("RunnableWithHedge<upper")
        assert hedged.InputType is str
        assert "upper" in hedged.get_graph().draw_mermaid()
    assert alone != both
    assert both.get_name() == "RunnableWithHedge<upper,length>"
    assert alone.get_output_jsonschema()["type"] == "string"
    kinds = both.get_output_jsonschema()["anyOf"]
    assert {kind["type"] for kind in kinds} == {"string", "integer"}
    name = "RunnableWithHedge<upper,length>"
    paths = [name, f"{name}/upper", f"{name}/hedge:length"]
    assert [step.path for step in both.explain()] == paths


@every_colour
def test_arguments_of_a_call_go_to_both(colour):
    def body(doors: Any) -> None:
        def failing(text: str, mark: str) -> str:
            raise ConnectionError(mark)

        loud = RunnableLambda(lambda text, mark: text + mark)
        hedged = RunnableLambda(failing).with_hedge(loud, after=60)
        assert doors.invoke(hedged, "a", mark="!") == "a!"
        assert doors.stream(hedged.bind(mark="?"), "a") == ["a?"]
        seen = Recorder()
        doors.invoke(hedged, "a", seen.config, mark="!")
        check_events(seen.events)
        assert sum(isinstance(e, RunFailed) for e in seen.events) == 1

    colour.run(body)
