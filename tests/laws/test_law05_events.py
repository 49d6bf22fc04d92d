"""Law 5 and contract *Context*: starts and ends pair up, under the right parent, with nothing
passed by hand. (Every other law's tests hold their recordings to `check_events`, too.)"""

from __future__ import annotations

import asyncio
import threading
import uuid
from contextlib import aclosing
from typing import Any

import pytest

from headrace.events import RunStarted
from headrace.runnables import (
    Runnable,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    chain,
    ensure_config,
    run_in_executor,
)
from laws.colours import ASYNC, SYNC, both_drivers, every_colour
from laws.events import check_events, roots
from laws.ledger import Recorder


def paths(seen: Recorder) -> list[str]:
    return [event.run.path for event in seen.events if isinstance(event, RunStarted)]


def started(seen: Recorder) -> list[str]:
    return [event.run.name for event in seen.events if isinstance(event, RunStarted)]


inner = RunnableLambda(lambda text: text + "!", name="inner")


@chain
def invokes(text: str) -> str:
    return inner.invoke(text)


@chain
async def ainvokes(text: str) -> str:
    return await inner.ainvoke(text)


@chain
def streams(text: str) -> str:
    return "".join(inner.stream(text))


@chain
def batches(text: str) -> str:
    return inner.batch([text, text])[1]


@chain
def in_thread(text: str) -> str:
    """A thread of the user's own inherits nothing by itself (Python): he copies the context."""
    from contextvars import copy_context

    result: list[str] = []
    context = copy_context()
    worker = threading.Thread(target=lambda: result.append(context.run(inner.invoke, text)))
    worker.start()
    worker.join()
    return result[0]


@chain
async def in_task(text: str) -> str:
    return await asyncio.create_task(inner.ainvoke(text))


@chain
async def in_executor(text: str) -> str:
    return await run_in_executor(None, inner.invoke, text)


@chain
def passes_config(text: str, config: Any) -> str:
    return inner.invoke(text, config)


def _generates(chunks: Any) -> Any:
    for chunk in chunks:
        yield inner.invoke(chunk)


async def _agenerates(chunks: Any) -> Any:
    async for chunk in chunks:
        yield await inner.ainvoke(chunk)


class Door(Runnable[str, str]):
    def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
        return inner.invoke(input)


class DoorWithConfig(Runnable[str, str]):
    def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
        return inner.invoke(input, config)


CALLERS: dict[str, Any] = {
    "invokes": invokes,
    "streams": streams,
    "batches": batches,
    "in_thread": in_thread,
    "passes_config": passes_config,
    "generates": RunnableGenerator(_generates, name="generates"),
    "generates-both": RunnableGenerator(_generates, _agenerates, name="generates"),
    "door": Door(),
    "door-config": DoorWithConfig(),
    "told": RunnablePassthrough(inner.invoke, name="told"),
}
ASYNC_CALLERS: dict[str, Any] = {
    "ainvokes": ainvokes,
    "in_task": in_task,
    "in_executor": in_executor,
    "agenerates": RunnableGenerator(_agenerates, name="agenerates"),
}


def _check_inner(doors: Any, caller: Any, way: str) -> None:
    seen = Recorder()
    graph = RunnablePassthrough() | {"x": caller, "y": RunnablePassthrough()}
    getattr(doors, way)(graph, "a", seen.config)
    check_events(seen.events)
    found = [event.run for event in seen.events if event.run.name == "inner"]
    assert found, f"inner was not seen: {paths(seen)}"
    assert all(f"/x:{caller.get_name()}/" in run.path for run in found), paths(seen)


@every_colour
@pytest.mark.parametrize("way", ["invoke", "stream"])
@pytest.mark.parametrize("caller", CALLERS)
def test_what_user_code_calls_is_its_child(caller, way, colour):
    colour.run(lambda doors: _check_inner(doors, CALLERS[caller], way))


@pytest.mark.parametrize("way", ["invoke", "stream"])
@pytest.mark.parametrize("caller", ASYNC_CALLERS)
def test_what_async_user_code_calls_is_its_child(caller, way):
    ASYNC.run(lambda doors: _check_inner(doors, ASYNC_CALLERS[caller], way))


@every_colour
def test_the_consumer_s_own_calls_between_chunks_are_not_children(colour):
    """The context is entered around user code only: none of it is seen by the consumer."""

    def body(doors: Any) -> None:
        seen = Recorder()
        stream = doors.open(
            RunnableGenerator(_generates, _agenerates) | invokes, "abc", seen.config
        )
        stream.next()
        count = len(seen.events)
        assert doors.invoke(inner, "x") == "x!"
        assert not (ensure_config(None).get("callbacks") or [])
        assert len(seen.events) == count, f"the consumer's call was reported: {paths(seen)}"
        stream.rest()
        check_events(seen.events)

    colour.run(body)


def test_a_consumer_in_the_same_task_does_not_inherit_the_stream_s_context():
    """As above, in one coroutine: an async generator runs in the context of whoever pulls it."""

    def body(doors: Any) -> None:
        async def main() -> None:
            seen = Recorder()
            graph = RunnableGenerator(_agenerates) | {"a": ainvokes, "b": RunnablePassthrough()}
            async with aclosing(graph.astream("abc", seen.config)) as stream:
                async for _ in stream:
                    count = len(seen.events)
                    assert await inner.ainvoke("x") == "x!"
                    own = [e for e in seen.events[count:] if e.run.name == "inner"]
                    assert all("x" not in str(getattr(e, "input", "")) for e in own)
            check_events(seen.events)

        doors.wait(main())

    ASYNC.run(body)


@both_drivers
def test_ids_names_tags_and_metadata(colour):
    def body(doors: Any) -> None:
        for way in ("invoke", "stream"):
            seen, wanted = Recorder(), uuid.uuid4()
            graph = (
                inner.with_config(run_name="first", tags=["own"])
                | RunnableParallel(a=inner, b=RunnablePassthrough()).with_config(metadata={"m": 2})
            ).with_config(tags=["bound"])
            config = {
                **seen.config, "run_id": wanted, "run_name": "root", "tags": ["t"],
                "metadata": {"k": 1},
            }  # fmt: skip
            getattr(doors, way)(graph, "a", config)
            check_events(seen.events)
            runs = {event.run.path: event.run for event in seen.events}
            assert runs["root"].id == wanted
            assert {"t", "bound"} <= set(runs["root"].all_tags)
            first = runs["root/1:first"]
            assert {"t", "bound", "own", "seq:step:1"} <= set(first.all_tags)
            assert first.metadata == {"k": 1}
            branch = runs["root/2:RunnableParallel<a,b>/a:inner"]
            assert "map:key:a" in branch.all_tags
            assert "own" not in branch.all_tags
            assert branch.metadata == {"k": 1, "m": 2}
            ids = [run.id for run in runs.values()]
            assert len(set(ids)) == len(ids), "an id was given twice"

    colour.run(body)


@both_drivers
def test_each_input_of_a_batch_is_a_root_of_its_own(colour):
    def body(doors: Any) -> None:
        seen = Recorder()
        assert doors.batch(invokes | inner, ["a", "b", "c"], seen.config) == ["a!!", "b!!", "c!!"]
        check_events(seen.events, root_count=3)
        assert len({own[0].run.id for own in roots(seen.events)}) == 3

    colour.run(body)


def test_two_observers_see_the_same_events_in_the_same_order():
    def body(doors: Any) -> None:
        one, two = Recorder(), Recorder()
        doors.stream(inner | invokes, "a", {"callbacks": [one, two]})
        assert one.events == two.events
        check_events(one.events)

    SYNC.run(body)


def test_an_observer_bound_to_a_step_sees_that_step_and_below():
    def body(doors: Any) -> None:
        seen = Recorder()
        graph = inner | invokes.with_config(callbacks=[seen]) | inner
        doors.stream(graph, "a")
        assert started(seen) == ["invokes", "inner"]

    SYNC.run(body)


@both_drivers
def test_an_observer_sees_each_event_when_it_happens(colour):
    """Not at the end, and not late: when a chunk is in the consumer's hands, it was reported."""

    def body(doors: Any) -> None:
        seen = Recorder()
        graph = RunnableGenerator(_generates, _agenerates) | RunnablePassthrough()
        stream = doors.open(RunnableLambda(_spell, _aspell) | graph, "abc", seen.config)
        got = []
        for _ in range(3):
            got.append(stream.next())
            (own,) = roots(seen.events)
            assert [event.chunk for event in own[1:]] == got
        stream.rest()

    colour.run(body)


def _spell(text: str) -> Any:
    yield from text


async def _aspell(text: str) -> Any:
    for character in text:
        yield character
