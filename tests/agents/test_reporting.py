"""What tools report reaches the stream while they work, also behind functions around their calls.

Tools wait at gates that the reader opens when it has what they reported: a stream that holds it
back would leave the tool waiting, and the tool says so in its answer.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from agents.scripted import Scripted, call, says
from headrace.agents import InMemorySaver, create_agent
from headrace.tools import BaseTool, tool
from headrace.tools.progress import Progress
from laws.colours import END, both_drivers, every_colour

LIMIT = 5.0  # seconds for a reader to open a gate; none of them is waited out
READY = "the gate was opened"


class Gates:
    """Of one run: a gate for each call, in either colour."""

    def __init__(self, asynchronous: bool) -> None:
        made = asyncio.Event if asynchronous else threading.Event
        self._gates: dict[str, Any] = {name: made() for name in "ab"}
        self.ended: list[str] = []  # calls whose tool has come to its end, or was closed

    def open(self, name: str) -> None:
        self._gates[name].set()

    def passed(self, name: str) -> str:
        return READY if self._gates[name].wait(LIMIT) else "too late"

    async def apassed(self, name: str) -> str:
        async with asyncio.timeout(LIMIT):
            await self._gates[name].wait()
        return READY


def plain_tool(gates: Gates) -> BaseTool:
    @tool
    def work(name: str):
        """Report, wait at a gate, report again."""
        try:
            yield f"{name} has begun"
            yield gates.passed(name)
        finally:
            gates.ended.append(name)

    return work


def async_tool(gates: Gates) -> BaseTool:
    @tool
    async def work(name: str):
        """Report, wait at a gate, report again."""
        try:
            yield f"{name} has begun"
            yield await gates.apassed(name)
        finally:
            gates.ended.append(name)

    return work


def plain_hook(asked: Any, run_tool: Any) -> Any:
    return run_tool(asked)


async def async_hook(asked: Any, run_tool: Any) -> Any:
    return await run_tool(asked)


HOOKS = {"no hook": None, "plain": plain_hook, "async": async_hook, "two": [plain_hook] * 2}
MODES = {"alone": "custom", "paired": ["custom", "updates"]}


def agent_of(doors: Any, hook: str, names: str, **more: Any) -> tuple[Any, Gates]:
    """An agent whose model calls the tool for each of the names. A tool waits in the colour of the
    thread that it is in: a plain hook makes it wait in a thread."""
    waits_in_loop = doors.asynchronous and hook in ("no hook", "async")
    gates = Gates(waits_in_loop)
    made = async_tool(gates) if waits_in_loop else plain_tool(gates)
    calls = [call("work", name, name=name) for name in names]
    script = [says("", *calls), says("Done.")]
    return create_agent(Scripted(script=script), [made], wrap_tool=HOOKS[hook], **more), gates


def hooks_for(doors: Any) -> list[str]:
    return [name for name in HOOKS if doors.asynchronous or name != "async"]


def progress(chunk: Any) -> Any:
    return chunk[1] if type(chunk) is tuple else chunk


@every_colour
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_a_report_comes_while_the_tool_works(colour, mode):
    def body(doors):
        for hook in hooks_for(doors):
            agent, gates = agent_of(doors, hook, "a")
            stream = doors.open(agent.bind(stream_mode=mode), "Go")
            first = stream.next()
            if mode != "custom":
                assert first[0] == "updates"
                first = stream.next()
            assert progress(first) == Progress("a has begun", "a"), hook
            gates.open("a")
            assert progress(stream.next()) == Progress(READY, "a"), hook
            rest = stream.rest()
            if mode == "custom":
                assert rest == []
            else:
                answer = rest[0][1]["tools"]["messages"][0]
                assert (answer.content, answer.tool_call_id) == (READY, "a")

    colour.run(body)


@every_colour
def test_reports_of_calls_side_by_side_come_while_they_work(colour):
    def body(doors):
        for hook in hooks_for(doors):
            agent, gates = agent_of(doors, hook, "ab")
            stream = doors.open(agent.bind(stream_mode="custom"), "Go")
            assert {stream.next().value, stream.next().value} == {"a has begun", "b has begun"}
            gates.open("b")
            assert stream.next() == Progress(READY, "b")
            gates.open("a")
            assert [*stream.rest()] == [Progress(READY, "a")]

    colour.run(body)


@every_colour
def test_one_after_the_other_where_only_one_may_work(colour):
    def body(doors):
        for hook in hooks_for(doors):
            for more in ({"max_concurrency": 1}, {"parallel_tool_calls": False}):
                agent, gates = agent_of(doors, hook, "ab", **more)
                stream = doors.open(agent.bind(stream_mode="custom"), "Go")
                for name in "ab":
                    assert stream.next() == Progress(f"{name} has begun", name)
                    gates.open(name)
                    assert stream.next() == Progress(READY, name)
                assert stream.next() is END

    colour.run(body)


@both_drivers
def test_a_bound_of_one_lets_a_hook_work_in_its_thread(colour):
    def body(doors):
        for hook in hooks_for(doors):
            agent, gates = agent_of(doors, hook, "ab")
            gates.open("a")
            gates.open("b")
            stream = doors.open(agent.bind(stream_mode="custom"), "Go", {"max_concurrency": 1})
            assert [each.tool_call_id for each in stream.rest()] == ["a", "a", "b", "b"]

    colour.run(body)


@every_colour
@pytest.mark.parametrize("names", ["a", "ab"], ids=["one call", "two calls"])
def test_a_reader_that_leaves_closes_the_tool_behind_a_hook(colour, names):
    def body(doors):
        for hook in hooks_for(doors):
            agent, gates = agent_of(doors, hook, names)
            stream = doors.open(agent.bind(stream_mode="custom"), "Go")
            for _ in names:
                stream.next()
            for name in names:  # a thread is waited for, so it must come to its end
                gates.open(name)
            stream.close()
            assert sorted(gates.ended) == sorted(names)

    colour.run(body)


@every_colour
def test_a_hook_that_tries_again_shows_the_reports_of_both_tries(colour):
    def body(doors):
        tries: list[int] = []

        @tool
        def shaky(n: int):
            """Fail once."""
            tries.append(n)
            yield f"try {len(tries)}"
            if len(tries) == 1:
                raise ValueError("again")
            yield "at last"

        def retry(asked: Any, run_tool: Any) -> Any:
            try:
                return run_tool(asked)
            except ValueError:
                return run_tool(asked)

        async def aretry(asked: Any, run_tool: Any) -> Any:
            try:
                return await run_tool(asked)
            except ValueError:
                return await run_tool(asked)

        script = [says("", call("shaky", "s", n=1)), says("Done.")]
        for hook in (retry, aretry) if doors.asynchronous else (retry,):
            tries.clear()
            agent = create_agent(Scripted(script=script), [shaky], wrap_tool=hook)
            seen = doors.stream(agent.bind(stream_mode=["custom", "updates"]), "Go")
            shown = [each.value for mode, each in seen if mode == "custom"]
            assert shown == ["try 1", "try 2", "at last"]
            assert seen[4][1]["tools"]["messages"][0].content == "at last"

    colour.run(body)


@every_colour
def test_a_failure_behind_a_hook_comes_after_what_was_reported(colour):
    def body(doors):
        @tool
        def breaks(n: int):
            """Report and fail."""
            yield "so far"
            raise ValueError("so far and no further")

        script = [says("", call("breaks", "b", n=1)), says("Done.")]
        for hook in (plain_hook, async_hook) if doors.asynchronous else (plain_hook,):
            agent = create_agent(
                Scripted(script=script), [breaks], wrap_tool=hook, on_error="raise"
            )
            stream = doors.open(agent.bind(stream_mode="custom"), "Go")
            assert stream.next() == Progress("so far", "b")
            with pytest.raises(ValueError, match="no further"):
                stream.next()
            told = create_agent(Scripted(script=script), [breaks], wrap_tool=hook)
            pairs = doors.stream(told.bind(stream_mode=["custom", "updates"]), "Go")
            assert [mode for mode, _ in pairs] == ["updates", "custom", "updates", "updates"]
            assert "no further" in pairs[2][1]["tools"]["messages"][0].content

    colour.run(body)


@every_colour
def test_more_reports_than_may_wait_for_a_reader(colour):
    def body(doors):
        @tool
        def counts(n: int):
            """Count."""
            yield from range(n)

        @tool
        async def acounts(n: int):
            """Count."""
            for each in range(n):
                yield each

        kinds = [(counts, plain_hook)]
        if doors.asynchronous:
            kinds += [(counts, async_hook), (acounts, async_hook)]
        for made, hook in kinds:
            script = [says("", call(made.name, "c", n=500)), says("Done.")]
            agent = create_agent(Scripted(script=script), [made], wrap_tool=hook)
            bound = agent.bind(stream_mode="custom")
            assert [each.value for each in doors.stream(bound, "Go")] == [*range(500)]
            stream = doors.open(bound, "Go")
            assert stream.next().value == 0
            stream.close()

    colour.run(body)


@every_colour
def test_what_a_hooked_tool_has_finished_is_kept_though_the_reader_left(colour):
    def body(doors):
        done: list[str] = []

        @tool
        def work(n: int):
            """Report, and end."""
            yield "all done"
            done.append("end")

        for hook in (plain_hook, async_hook) if doors.asynchronous else (plain_hook,):
            done.clear()
            script = [says("", call("work", "w", n=1)), says("Done.")]
            saver = InMemorySaver()
            agent = create_agent(Scripted(script=script), [work], wrap_tool=hook, saver=saver)
            config = {"configurable": {"thread_id": "1"}}
            stream = doors.open(agent.bind(stream_mode="custom"), "Go", config)
            assert stream.next().value == "all done"
            stream.close()
            kept = [m for m in saver.messages("1") if m.type == "tool"]
            assert len(kept) == len(done)  # finished: kept; broken off: to be made again
            state = doors.invoke(agent, None, config)
            assert state["messages"][-1].content == "Done."
            assert len(done) == 1

    colour.run(body)
