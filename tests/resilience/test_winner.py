"""Who has won a race or a hedge, in every view."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from headrace.cli.event_tree import State, Tree
from headrace.events import RunCancelled, RunEnded, RunStarted, RunWon
from headrace.resilience import race
from headrace.runnables import RunnableGenerator, RunnableLambda
from headrace.views.codec import from_json, to_json
from laws.colours import every_colour
from laws.events import check_events
from laws.ledger import Recorder
from resilience.virtual import clock, steps

__all__ = ["clock"]


def again(chunks: Iterator[str]) -> Iterator[str]:
    yield from chunks


async def aagain(chunks: AsyncIterator[str]) -> AsyncIterator[str]:
    async for chunk in chunks:
        yield chunk


SAME: Any = RunnableGenerator(again, aagain, name="same")


def contests(clock: Any) -> dict[str, tuple[Any, str, str]]:
    """Of each the contest, who wins, and who is given up."""
    late, soon = steps(clock, 9, "a", name="late"), steps(clock, 1, "b", 1, "c", name="soon")
    named = soon.with_config(run_name="mine")
    return {
        "race": (race(late, soon), "race:2:soon", "race:1:late"),
        "hedge": (late.with_hedge(soon, after=1), "hedge:soon", "late"),
        "first": (soon.with_hedge(late, after=0.5), "soon", "hedge:late"),
        "named": (race(named, late), "race:1:mine", "race:2:late"),
    }


def viewed(doors: Any, view: str, runnable: Any, **how: Any) -> list[Any]:
    """All that a view of `runnable` gives, in the colour of the doors."""
    if not hasattr(doors, "wait"):
        return list(getattr(runnable, view)("x", **how))

    async def collect() -> list[Any]:
        return [each async for each in getattr(runnable, f"a{view}")("x", **how)]

    return doors.wait(collect())


KINDS = ("race", "hedge", "first", "named")


@every_colour
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_typed_events_say_who_has_won(colour, clock, kind, door):
    def body(doors: Any) -> None:
        contest, winner, loser = contests(clock)[kind]
        seen = Recorder()
        got = getattr(doors, door)(SAME | contest | SAME, "x", seen.config)
        assert "".join(got) == "bc"
        check_events(seen.events)
        (won,) = [event for event in seen.events if isinstance(event, RunWon)]
        assert won.winner == winner
        ends = {
            event.path.removeprefix(f"{won.path}/"): type(event)
            for event in seen.events
            if event.run.parent_ids[-1:] == [won.run.id] and not isinstance(event, RunStarted)
        }
        assert ends == {winner: RunEnded, loser: RunCancelled}
        assert from_json(to_json(won)).winner == winner

    colour.run(body)


@every_colour
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outermost", [True, False])
def test_dicts_say_so_at_the_end(colour, clock, kind, outermost):
    def body(doors: Any) -> None:
        contest, winner, _ = contests(clock)[kind]
        chain = contest if outermost else contest | SAME
        told = viewed(doors, "stream_events", chain)
        own = [event for event in told if event["name"] == contest.get_name()]
        assert [event["metadata"] for event in own] == [{}] * 3 + [{"winner": winner}]
        others = [event["metadata"] for event in told if event not in own]
        assert others and not any(others)  # it is not handed down
        if not outermost:
            log = viewed(doors, "stream_log", chain, diff=False)[-1].state["logs"]
            assert log[contest.get_name()]["metadata"] == {"winner": winner}
            json.dumps(log)

    colour.run(body)


def test_nobody_has_won_where_all_fail():
    def fail(text: str) -> str:
        raise ValueError(text)

    seen = Recorder()
    with pytest.raises(ValueError):
        race(RunnableLambda(fail), RunnableLambda(fail)).invoke("x", seen.config)
    check_events(seen.events)
    assert not [event for event in seen.events if isinstance(event, RunWon)]


def test_the_tree_of_the_command_line(clock):
    contest, _, _ = contests(clock)["hedge"]
    tree = Tree()
    for event in contest.stream_typed("x"):
        tree.feed(event)
    (top,) = tree.roots
    rows = [(row.where, row.name, row.state) for row in top.children]
    assert rows == [("", "late", State.CANCELLED), ("hedge", "soon", State.DONE)]
