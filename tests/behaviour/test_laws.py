"""The laws of closing, errors and pairs of events, for random chains that are watched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviour.pieces import END, LEDGER, Recorder, parents, watch
from behaviour.programs import Broken, build, errors, programs
from headrace.events import RunCancelled, RunEnded, RunFailed
from laws.colours import every_colour
from laws.effort import examples
from laws.events import by_run, check_events, root_end

typed_or_not = st.booleans()


class Tells(Recorder):
    """Without what laws say nothing of."""

    def on_event(self, event: Any) -> None:
        if event.kind not in ("retry", "custom"):
            super().on_event(event)


def _plainly(doors: Any, program: Any) -> Any:
    """What comes out unobserved: the text, or the error object."""
    try:
        return "".join(doors.stream(build(program), "text"))
    except Broken as error:
        return error


@every_colour
@examples(60)
@given(program=programs(), typed=typed_or_not)
def test_to_the_end(colour, program, typed):
    def body(doors: Any) -> None:
        plain = _plainly(doors, program)
        kept = Tells()
        events = watch(doors, build(program), "text", kept.config, typed=typed)
        seen: list[Any] = []
        try:
            while (event := events.next()) is not END:
                seen.append(event)
        except Broken as error:
            assert any(error is one for one in errors(program)), "another object"
            assert isinstance(plain, Broken), "failed only when watched"
            assert isinstance(root_end(kept.events), RunFailed)
            assert root_end(kept.events).error is error
        else:
            assert not isinstance(plain, Broken), "failed only when not watched"
            end = root_end(kept.events)
            assert isinstance(end, RunEnded)
            assert (end.output or "") == plain
        assert not LEDGER.still_open
        check_events(kept.events)
        if typed:
            told = [e for e in seen if e.kind not in ("retry", "custom")]
            check_events(told)
            assert len(told) == len(kept.events)
        assert sorted(parents(seen)) == sorted(parents(kept.events))

    colour.run(body)


@every_colour
@examples(60)
@given(program=programs(), typed=typed_or_not, number=st.integers(0, 25))
def test_left_early(colour, program, typed, number):
    def body(doors: Any) -> None:
        kept = Tells()
        events = watch(doors, build(program), "text", kept.config, typed=typed)
        try:
            for _ in range(number):
                if events.next() is END:
                    break
        except Broken as error:
            assert any(error is one for one in errors(program)), "another object"
        try:
            events.close()
        except Broken as error:  # of a step that was at work when it was left
            assert any(error is one for one in errors(program)), "another object"
        assert not LEDGER.still_open, "closed, and still open"
        before = len(kept.events)
        if number == 0:
            assert not before
            assert not LEDGER.entered
            return
        check_events(kept.events)
        events.pause(0)
        assert len(kept.events) == before, "told of something after it was closed"
        assert events.next() is END

    colour.run(body)


@every_colour
@examples(40)
@given(program=programs(broken=False), number=st.integers(2, 4))
def test_every_run_that_was_open_is_cancelled_once(colour, program, number):
    """The last step never ends, so the root is open when the consumer leaves."""
    from behaviour.pieces import endless

    def body(doors: Any) -> None:
        kept = Tells()
        whole = build(program) | endless([])
        events = watch(doors, whole, "text", kept.config, include_names=["endless"])
        for _ in range(number):
            assert events.next() is not END
        events.close()
        check_events(kept.events)
        ends = {own[0].run.name: type(own[-1]) for own in by_run(kept.events).values()}
        assert isinstance(root_end(kept.events), RunCancelled)
        assert ends["endless"] is RunCancelled
        last = [own[-1] for own in by_run(kept.events).values()]
        assert sum(isinstance(e, RunCancelled) for e in last) == 2

    colour.run(body)


@every_colour
@pytest.mark.parametrize("typed", [False, True], ids=["dicts", "typed"])
@pytest.mark.parametrize("place", ["alone", "row", "calls", "blocks", "parallel", "tool"])
def test_an_error_at_each_chunk_comes_after_the_events_before_it(place, typed, colour):
    """What had happened before it failed is delivered; then the error, that same object."""

    def body(doors: Any) -> None:
        for fail_at in range(5):
            error = Broken()
            source: Any = ("source", 5, fail_at, error)
            program: Any = {
                "alone": source,
                "row": ("row", ("short",), source, ("generator", 0, None)),
                "calls": ("calls", ("passing", source)),
                "blocks": ("blocks", ("passing", source)),
                "parallel": ("parallel", source, ("short",)),
                "tool": ("tool", ("passing", source)),
            }[place]
            kept = Tells()
            events = watch(doors, build(program), "text", kept.config, typed=typed)
            seen: list[Any] = []
            with pytest.raises(Broken) as caught:
                while (event := events.next()) is not END:
                    seen.append(event)
            assert caught.value is error
            check_events(kept.events)
            assert seen, "what happened before it is lost"
            assert len(parents(seen)) == len(parents(kept.events))
            if typed:
                assert sorted(e.seq for e in seen) == sorted(e.seq for e in kept.events)
            if place in ("alone", "row"):
                chunks = [c for c in map(_source_chunk, seen) if c is not None]
                assert chunks == [f"tex{n}" for n in range(fail_at)]

    colour.run(body)


def _source_chunk(event: Any) -> Any:
    if isinstance(event, dict):
        is_chunk = event["event"] == "on_chain_stream" and event["name"] == "source"
        return event["data"]["chunk"] if is_chunk else None
    return event.chunk if event.kind == "chunk" and event.run.name == "source" else None
