"""What a step of an agent costs: frames, tasks and threads, counted."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from pydantic import Field

from agents.scripted import Scripted, call, says
from headrace import _threads
from headrace.agents import create_agent
from headrace.tools import tool
from laws.colours import both_drivers


@tool
def look(n: int) -> int:
    """Look."""
    return n


@tool
async def alook(n: int) -> int:
    """Look."""
    return n


def frames() -> list[str]:
    """The functions of Headrace that stand over the caller, the outermost first."""
    found, frame = [], sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename.replace("\\", "/")
        if "/src/headrace/" in file:
            found.append(frame.f_code.co_name)
        frame = frame.f_back  # type: ignore[assignment]
    return found[::-1]


class Watched(Scripted):
    """Writes down what stands over it at each chunk."""

    over: list[Any] = Field(default_factory=list, exclude=True)

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        for piece in super()._stream(messages, **kw):
            self.over.append(frames())
            yield piece

    async def _astream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any):
        async for piece in super()._astream(messages, **kw):
            self.over.append(frames())
            yield piece


@both_drivers
def test_frames_over_a_token(colour):
    def body(doors):
        model = Watched(script=[says("abcdefgh")])
        doors.stream(create_agent(model).bind(stream_mode="messages"), "Go")
        chunks = "_achunks" if doors.asynchronous else "_chunks"
        assert model.over[-1] == ["stream_root", "run_machine", "run_plan", chunks]

    colour.run(body)


LANES = {
    "one-call": (1, {}, 0),
    "three-calls": (3, {}, 3),
    "two-lanes": (3, {"max_concurrency": 2}, 2),
    "one-lane": (3, {"max_concurrency": 1}, 0),
    "not-parallel": (3, {"parallel_tool_calls": False}, 0),
}


@both_drivers
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("stream", [False, True], ids=["invoke", "stream"])
def test_tasks_and_threads(colour, lanes, stream, monkeypatch):
    """One lane is where its reader is; several have a task or a thread each."""
    calls, settings, expected = LANES[lanes]
    submitted: list[Any] = []
    tasks: list[Any] = []
    submit = _threads.submit

    def counted(job: Any, **how: Any) -> None:
        submitted.append(job)
        submit(job, **how)

    def made(loop: Any, coroutine: Any, **kw: Any) -> Any:
        tasks.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **kw)

    monkeypatch.setattr(_threads, "submit", counted)

    def body(doors):
        own = alook if doors.asynchronous else look
        steps = [
            says("", *(call(own.name, f"{step}-{n}", n=n) for n in range(calls)))
            for step in range(4)
        ]
        agent = create_agent(Scripted(script=[*steps, says("Done.")]), [own], **settings)
        if not doors.asynchronous:
            assert list(agent.stream("Go")) if stream else agent.invoke("Go")
            assert (len(tasks), len(submitted)) == (0, 4 * expected)
            return

        async def run() -> None:
            asyncio.get_running_loop().set_task_factory(made)
            try:
                if stream:
                    assert [chunk async for chunk in agent.astream("Go")]
                else:
                    await agent.ainvoke("Go")
            finally:
                asyncio.get_running_loop().set_task_factory(None)

        doors.wait(run())
        assert (len(tasks), len(submitted)) == (4 * expected, 0)

    colour.run(body)


def test_growth_is_linear():
    """Twice the steps call at most about twice the functions."""

    def calls_of(steps: int) -> int:
        script = [says("", call("look", f"l{n}", n=n)) for n in range(steps)]
        # the model reads the whole conversation; the agent does not
        agent = create_agent(Unread(script=[*script, says("Done.")]), [look], max_steps=999)
        agent.invoke("Go")
        count = 0

        def hear(frame: Any, event: str, arg: Any) -> None:
            nonlocal count
            count += event == "call" and "/headrace/agents/" in frame.f_code.co_filename

        sys.setprofile(hear)
        try:
            agent.invoke("Go")
        finally:
            sys.setprofile(None)
        return count

    small, large = calls_of(20), calls_of(40)
    assert large <= 2.2 * small
    assert large / 40 < 75  # functions of the agent's for one step


class Unread(Scripted):
    """Takes its next line by the number of messages."""

    def _line(self, messages: Any, kwargs: Any) -> Any:
        return self.script[len(messages) // 2].model_copy()
