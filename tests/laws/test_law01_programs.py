"""Law 1 for random compositions: the value worked out by hand comes out of every door."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headrace import runnables
from headrace.events import RunEnded
from laws.colours import SYNC, both_drivers, every_colour
from laws.effort import examples
from laws.events import check_events, root_end
from laws.kinds import cut_text, texts
from laws.ledger import Recorder
from laws.programs import build, output, trees


@every_colour
@examples(30)
@given(tree=trees(), text=texts, data=st.data())
def test_programs_give_what_was_worked_out(colour, tree, text, data):
    pieces = cut_text(text, data.draw)
    expected = output(tree, text)

    def body(doors: Any) -> None:
        program = build(tree, runnables)
        assert doors.invoke(program, text) == expected
        assert "".join(doors.stream(program, text)) == expected
        assert "".join(doors.transform(program, pieces)) == expected

    colour.run(body)


@both_drivers
@examples(30)
@given(tree=trees(), text=texts)
def test_observed_programs_report_what_they_give(colour, tree, text):
    expected = output(tree, text)

    def body(doors: Any) -> None:
        program = build(tree, runnables)
        seen = Recorder()
        chunks = doors.stream(program, text, seen.config)
        assert chunks == doors.stream(program, text)
        check_events(seen.events)
        end = root_end(seen.events)
        assert isinstance(end, RunEnded)
        assert end.output == "".join(chunks) == expected
        seen = Recorder()
        assert doors.invoke(program, text, seen.config) == expected
        check_events(seen.events)
        assert root_end(seen.events).output == expected

    colour.run(body)


@examples(30)
@given(tree=trees(), text=texts)
def test_every_step_of_a_stream_reports_its_own_merge(tree, text):
    """What a run's chunks add up to is what its end event says, for each run below the root too."""

    def body(doors: Any) -> None:
        seen = Recorder()
        doors.stream(build(tree, runnables), text, seen.config)
        check_events(seen.events)
        from headrace.merge import merge
        from laws.events import by_run

        for own in by_run(seen.events).values():
            chunks = [event.chunk for event in own[1:-1]]
            if chunks:
                assert merge(chunks) == own[-1].output, own[0].run.path

    SYNC.run(body)
