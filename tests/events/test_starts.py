"""A step that speaks before it has read anything starts before it speaks, in every view."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headrace.runnables import RunnableGenerator


def _handed_on(chunks):
    yield from chunks


async def _ahanded_on(chunks):
    async for chunk in chunks:
        yield chunk


def _early(chunks):
    yield "early"
    yield from chunks


async def _aearly(chunks):
    yield "early"
    async for chunk in chunks:
        yield chunk


def chain() -> Any:
    first = RunnableGenerator(_handed_on, _ahanded_on, name="first")
    return first | RunnableGenerator(_early, _aearly, name="second")


def of_events(events: list[Any]) -> list[str]:
    return [each["event"] for each in events if each["name"] == "second"]


def of_patches(patches: list[Any]) -> list[str]:
    ops = [op for patch in patches for op in patch.ops]
    return [op["path"] for op in ops if op["path"].startswith("/logs/second")]


def of_typed(events: list[Any]) -> list[str]:
    return [type(each).__name__ for each in events if each.run.name == "second"]


def handle_events(steps: Any) -> list[Any]:
    with steps.open("a") as run:
        return list(run.events())


async def ahandle_events(steps: Any) -> list[Any]:
    async with steps.open("a") as run:
        return [each async for each in run.events()]


async def listed(stream: Any) -> list[Any]:
    return [each async for each in stream]


TOLD = ["on_chain_start", "on_chain_stream", "on_chain_stream", "on_chain_end"]
TYPED = ["RunStarted", "RunChunk", "RunChunk", "RunEnded"]
VIEWS: dict[str, tuple[Any, Any, Any, list[str]]] = {
    "event dicts": (
        lambda steps: list(steps.stream_events("a")),
        lambda steps: listed(steps.astream_events("a")),
        of_events,
        TOLD,
    ),
    "typed events": (
        lambda steps: list(steps.stream_typed("a")),
        lambda steps: listed(steps.astream_typed("a")),
        of_typed,
        TYPED,
    ),
    "a handle": (handle_events, ahandle_events, of_typed, TYPED),
}


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("view", VIEWS)
def test_the_start_comes_first(view, colour):
    sync, async_, read, wanted = VIEWS[view]
    found = sync(chain()) if colour == "sync" else asyncio.run(async_(chain()))
    assert read(found) == wanted


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_the_log_has_an_entry_for_it_before_its_chunks(colour):
    steps = chain()
    logs = steps.stream_log("a") if colour == "sync" else None
    patches = list(logs) if logs is not None else asyncio.run(listed(steps.astream_log("a")))
    paths = of_patches(patches)
    assert paths[0] == "/logs/second"
    assert "/logs/second/streamed_output/-" in paths[1:]


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_ids_in_event_dicts_are_those_of_the_runs(colour):
    """Their text is made without the ids themselves."""
    steps = chain()
    if colour == "sync":
        typed = list(steps.stream_typed("a"))
    else:
        typed = asyncio.run(listed(steps.astream_typed("a")))
    for event in typed:
        run = event.run
        assert run.keys == [str(each) for each in (*run.parent_ids, run.id)]
        assert run.id.version == 4
