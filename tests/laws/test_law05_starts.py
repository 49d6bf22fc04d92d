"""Law 5 where steps feed each other: what feeds a step starts before it, observing pulls nothing,
and a step that never had anything, nor showed anything, reports nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from headrace.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from laws.colours import SYNC, both_drivers, every_colour
from laws.events import check_events
from laws.ledger import Recorder


def _named(name: str, *, first: str | None = None, fails: bool = False) -> Any:
    """A generator that hands on what it reads; `first`: what it yields before it reads; `fails`:
    after its first chunk."""

    def sync(chunks: Iterator[Any]) -> Iterator[Any]:
        if first is not None:
            yield first
        for chunk in chunks:
            yield chunk
            if fails:
                raise ValueError(name)

    async def async_(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        if first is not None:
            yield first
        async for chunk in chunks:
            yield chunk
            if fails:
                raise ValueError(name)

    return RunnableGenerator(sync, async_, name=name)


def _told(seen: Recorder) -> list[str]:
    """The events of the steps, in short."""
    signs = {
        "RunStarted": "+",
        "RunChunk": ".",
        "RunEnded": "-",
        "RunFailed": "!",
        "RunCancelled": "~",
    }
    steps = [event for event in seen.events if event.run.name in "abc"]
    return [event.run.name + signs[type(event).__name__] for event in steps]


# What a row of steps reports: each one's start is told when it has something, or shows something.
REPORTS: dict[str, tuple[Any, list[str]]] = {
    "what feeds a step starts first": (
        lambda: _named("a") | _named("b"),
        ["a+", "a.", "b+", "b.", "a-", "b-"],
    ),
    "it yields before it reads": (
        lambda: _named("a") | _named("b", first="x"),
        ["b+", "b.", "a+", "a.", "b.", "a-", "b-"],
    ),
    "a part of it does": (
        lambda: _named("a") | (_named("b", first="x") | _named("c")).with_retry(),
        ["b+", "b.", "c+", "c.", "a+", "a.", "b.", "c.", "a-", "b-", "c-"],
    ),
}


@both_drivers
@pytest.mark.parametrize("row", REPORTS)
def test_when_a_start_is_told(row, colour):
    make, wanted = REPORTS[row]

    def body(doors: Any) -> None:
        seen = Recorder()
        doors.stream(make(), "x", seen.config)
        check_events(seen.events)
        assert _told(seen) == wanted

    colour.run(body)


@both_drivers
def test_a_step_whose_input_fails_at_once_reports_nothing(colour):
    """In `stream` no more than in `invoke`, which does not come to it."""

    def fails(value: Any) -> Any:
        raise ValueError(value)

    def body(doors: Any) -> None:
        for way in ("invoke", "stream"):
            seen = Recorder()
            with pytest.raises(ValueError, match="x"):
                getattr(doors, way)(
                    RunnableLambda(fails, name="a") | _named("b") | _named("c"), "x", seen.config
                )
            check_events(seen.events)
            assert _told(seen) == ["a+", "a!"]
            seen = Recorder()
            with pytest.raises(ValueError, match="a"):
                getattr(doors, way)(_named("a", fails=True) | _named("b"), "x", seen.config)
            check_events(seen.events)
            assert _told(seen) == ["a+", "a.", "b+", "b.", "a!", "b!"]

    colour.run(body)


@pytest.mark.parametrize("reads", [True, False])
def test_a_step_that_reads_when_it_is_opened(reads):
    """Its start comes after the root's, and it is ended whether or not anybody reads it."""
    last = _named("b") if reads else RunnableGenerator(lambda chunks: iter("x"), name="b")

    def sort(chunks: Iterator[str]) -> Iterator[str]:
        return iter(sorted(chunks))

    eager = RunnableGenerator(sort, name="a")

    def body(doors: Any) -> None:
        seen = Recorder()
        assert doors.stream(_named("c") | eager | last, "cab", seen.config)
        check_events(seen.events)
        assert ("a." in _told(seen)) is reads

    SYNC.run(body)


@every_colour
def test_a_branch_that_shows_something_before_it_reads(colour):
    """Its start is told from its own lane, after its parent's, which nothing has reached yet."""

    def body(doors: Any) -> None:
        for _ in range(20):
            seen = Recorder()
            fan = RunnableParallel(a=_named("a", first="x"), b=_named("b", first="y"))
            doors.stream(_named("c") | fan, "z", seen.config)
            check_events(seen.events)
            told = _told(seen)
            for name in "ab":
                assert [one for one in told if one[0] == name] == [name + sign for sign in "+..-"]

    colour.run(body)
