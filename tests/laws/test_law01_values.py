"""Laws 1 and 2: one value, whichever door, colour, cut of the input, observed or not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st

from headrace.errors import AsyncOnlyError
from headrace.events import RunChunk, RunEnded
from laws.colours import ASYNC, COLOURS, SYNC, Colour, sync_colours
from laws.effort import examples
from laws.entry import Entry
from laws.events import check_events, root_end, roots
from laws.ledger import Recorder
from laws.registry import ENTRIES

# Inputs are tiny and few: shrinking a failure would cost more than it tells.
few = examples(3, phases=[Phase.explicit, Phase.generate])


def runs_in(entry: Entry, colour: Colour) -> bool:
    return colour.asynchronous or not entry.async_only


CASES = [(e, c) for c in COLOURS for e in ENTRIES]


@pytest.mark.parametrize(("entry", "colour"), [(e, c) for e, c in CASES if runs_in(e, c)], ids=repr)
@few
@given(data=st.data())
def test_every_door_gives_the_same_value(entry, colour, data):
    given_value = data.draw(entry.kind.values)

    def body(doors: Any) -> None:
        value = entry.view(doors.invoke(entry.make(), given_value))
        if entry.expect is not None:
            assert value == entry.expect(given_value)
        assert entry.merged(doors.stream(entry.make(), given_value)) == value
        assert entry.merged(doors.transform(entry.make(), [given_value])) == value
        assert [entry.view(v) for v in doors.batch(entry.make(), [given_value])] == [value]

    colour.run(body)


@pytest.mark.parametrize(("entry", "colour"), [(e, c) for e, c in CASES if runs_in(e, c)], ids=repr)
@few
@given(data=st.data())
def test_observers_see_the_value_and_change_nothing(entry, colour, data):
    given_value = data.draw(entry.kind.values)

    def body(doors: Any) -> None:
        bare_value = entry.view(doors.invoke(entry.make(), given_value))
        bare_chunks = doors.stream(entry.make(), given_value)
        if doors.names["invoke"] not in entry.own:
            seen = Recorder()
            assert entry.view(doors.invoke(entry.make(), given_value, seen.config)) == bare_value
            check_events(seen.events)
            end = root_end(seen.events)
            assert isinstance(end, RunEnded)
            assert entry.view(end.output) == bare_value
            assert end.input == given_value
        if doors.names["stream"] not in entry.own:
            seen = Recorder()
            chunks = doors.stream(entry.make(), given_value, seen.config)
            check_events(seen.events)
            assert entry.view(root_end(seen.events).output) == bare_value == entry.merged(chunks)
            if not entry.fans:
                assert list(map(entry.view, chunks)) == list(map(entry.view, bare_chunks))
            (own,) = roots(seen.events)
            reported = [event.chunk for event in own if isinstance(event, RunChunk)]
            assert reported == chunks, "reported and given differ"

    colour.run(body)


@pytest.mark.parametrize(
    ("entry", "colour"), [(e, c) for e, c in CASES if runs_in(e, c) and not e.sensitive], ids=repr
)
@few
@given(data=st.data())
def test_cutting_the_input_changes_nothing(entry, colour, data):
    given_value = data.draw(entry.kind.values)
    pieces = entry.kind.cut(given_value, data.draw)
    observed = data.draw(st.booleans())

    def body(doors: Any) -> None:
        observed_ = observed and doors.names["transform"] not in entry.own
        seen = Recorder()
        config = seen.config if observed_ else None
        value = entry.view(doors.invoke(entry.make(), given_value))
        assert entry.merged(doors.transform(entry.make(), pieces, config)) == value
        if observed_:
            check_events(seen.events)
            end = root_end(seen.events)
            assert entry.view(end.output) == value
            assert end.input == given_value

    colour.run(body)


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.sensitive], ids=repr)
def test_a_chunkwise_step_sees_the_chunks_as_they_come(entry):
    """What law 2 leaves out is left out for a reason: these entries do depend on the cut."""
    outputs = {
        entry.merged(SYNC.run(lambda d, p=pieces: d.transform(entry.make(), p)))
        for pieces in (["abc"], ["a", "bc"])
    }
    assert len(outputs) == 2


@pytest.mark.parametrize("entry", [e for e in ENTRIES if not e.async_only], ids=repr)
def test_an_empty_input_stream_is_the_same_in_both_colours(entry):
    def body(doors: Any) -> Any:
        try:
            # sorted: which of two branches is first is chance
            return sorted(repr(entry.view(c)) for c in doors.transform(entry.make(), []))
        except Exception as error:
            return type(error)  # where two branches fail, it is the text of the first

    assert SYNC.run(body) == ASYNC.run(body)


@sync_colours
@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.async_only], ids=repr)
def test_a_sync_call_of_an_async_only_step_says_so_when_the_stream_opens(entry, colour):
    pulled = []

    def feed() -> Any:
        pulled.append(1)
        yield "a"

    def body(doors: Any) -> None:
        runnable = entry.make()
        name = "aexclaim|aspell|aswap|arelay|OnlyAinvoke|OnlyAstream|OnlyAtransform"
        with pytest.raises(AsyncOnlyError, match=f"({name}).*ainvoke|astream"):
            doors.invoke(runnable, "a")
        with pytest.raises(AsyncOnlyError, match=f"({name}).*ainvoke|astream"):
            doors.open(runnable, "a").next()
        with pytest.raises(AsyncOnlyError):
            next(runnable.transform(feed()))
        with pytest.raises(AsyncOnlyError):
            doors.batch(runnable, ["a"])
        assert not pulled, "the input was pulled before the step that cannot run was found"

    colour.run(body)
