"""A tool's progress where runs are looked at from outside: typed events, a live run, recordings,
spans, the tree of the command line, LangChain's handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from headrace.cli.event_tree import Row, State, Tree
from headrace.events import ToolProgress
from headrace.langchain import as_langchain
from headrace.otel import instrument
from headrace.record import record, replay
from headrace.runnables import RunnableLambda
from headrace.tools import tool
from langchain_bridge.parts import Heard
from laws.colours import both_drivers, every_colour

CALL = {"type": "tool_call", "id": "c1", "name": "count", "args": {"n": 2}}


@tool
def count(n: int) -> Iterator[Any]:
    """Count."""
    for number in range(n):
        yield {"done": number}
    return "counted"


chain = RunnableLambda(lambda _: CALL).with_config(run_name="ask") | count
TOLD = [({"done": 0}, "c1"), ({"done": 1}, "c1")]


def progress(events: Any) -> list[Any]:
    return [(e.value, e.tool_call_id) for e in events if isinstance(e, ToolProgress)]


@both_drivers
def test_typed_events(colour):
    def body(doors: Any) -> None:
        def typed(**options: Any) -> list[Any]:
            if not doors.asynchronous:
                return list(chain.stream_typed("x", **options))

            async def collected() -> list[Any]:
                return [event async for event in chain.astream_typed("x", **options)]

            return doors.wait(collected())

        assert progress(typed()) == TOLD
        assert progress(typed(include_types=["tool"])) == TOLD
        assert progress(typed(exclude_types=["tool"])) == []

    colour.run(body)


def test_a_live_run():
    with chain.open("x") as run:
        assert progress(run.events()) == TOLD
        assert run.output.content == "counted"


def test_a_live_run_async():
    async def body() -> None:
        async with chain.open("x") as run:
            assert progress([event async for event in run.events()]) == TOLD

    asyncio.run(body())


@every_colour
def test_recordings(colour, tmp_path: Path):
    file = tmp_path / "run.jsonl"

    def body(doors: Any) -> None:
        with record(file):
            # an event loop has the context that it was made in
            answer = doors.invoke(chain, "x") if not doors.asynchronous else None
        if doors.asynchronous:

            async def recorded() -> Any:
                with record(file):
                    return await chain.ainvoke("x")

            answer = doors.wait(recorded())
        back = replay(file)
        assert progress(back.events()) == TOLD
        assert doors.invoke(back.as_runnable(), "x") == answer

    colour.run(body)


@pytest.mark.parametrize("content", [False, True], ids=["bare", "content"])
def test_spans(content: bool):
    kept = InMemorySpanExporter()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(kept))
    with instrument(tracers, content=content):
        chain.invoke("x")
        count.invoke({"n": 1})
    of_tools = [span for span in kept.get_finished_spans() if span.name.endswith("count")]
    told = [[(e.name, dict(e.attributes or {})) for e in span.events] for span in of_tools]
    of_chain = [event for event in told[0] if event[0] == "headrace.progress"]
    alone = [event for event in told[1] if event[0] == "headrace.progress"]
    values = [{"headrace.progress.value": f'{{"done": {n}}}'} if content else {} for n in (0, 1)]
    assert of_chain == [
        ("headrace.progress", {"gen_ai.tool.call.id": "c1", **value}) for value in values
    ]
    assert alone == [("headrace.progress", values[0])]


def rows(tree: Tree) -> list[str]:
    def lines(row: Row, depth: int) -> Iterator[str]:
        yield f"{'  ' * depth}{row.name} {row.state.value} {row.note}".rstrip()
        for child in row.children:
            yield from lines(child, depth + 1)

    return [line for row in tree.roots for line in lines(row, 0)]


def test_the_tree_of_the_command_line():
    tree = Tree()
    news = [row for event in chain.stream_typed("x") for row in tree.feed(event)]
    assert rows(tree) == [
        "RunnableSequence done",
        "  ask done",
        "  count done",
        "    progress told ×2",
    ]
    (told,) = {row for row in news if row.state is State.TOLD}
    assert told.input is not None and "'done': 1" in told.input.replace('"', "'")


@both_drivers
def test_handlers_of_langchain(colour):
    def body(doors: Any) -> None:
        heard = Heard()
        doors.invoke(as_langchain(chain), "x", {"callbacks": [heard]})
        assert heard.custom == [
            ("tool_progress", {"value": value, "tool_call_id": id}) for value, id in TOLD
        ]

    colour.run(body)
