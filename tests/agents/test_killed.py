"""A process that is killed, by SIGKILL, at any place of a run: another one goes on from its file,
makes no call whose answer was kept, and comes to the same conversation."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.killable import CONFIG, SCRIPT
from agents.scripted import Scripted
from headrace.agents import SqliteSaver, ThreadConflictError, create_agent
from headrace.messages import AIMessage, ToolMessage
from headrace.tools import tool

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ONE_BY_ONE = {"settings": {"parallel_tool_calls": False}}
KILLED = {"signal": signal.SIGKILL}
DONE = ["Go", "First.", "paid 1", "paid 2", "Next.", "paid 3", "Done."]


class Server:
    """A process that runs agents in forks; see `killable.py`."""

    def __init__(self) -> None:
        path = os.pathsep.join(str(ROOT / each) for each in ("src", "tests"))
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "agents.killable"],
            env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def order(self, folder: Path, **order: Any) -> None:
        pipe: Any = self._process.stdin
        pipe.write(json.dumps({"folder": str(folder), **order}) + "\n")
        pipe.flush()

    def answer(self) -> Any:
        pipe: Any = self._process.stdout
        return json.loads(pipe.readline())

    def run(self, folder: Path, **order: Any) -> Any:
        self.order(folder, **order)
        return self.answer()

    def stop(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server()
    folder = tmp_path_factory.mktemp("first")
    modules = server.run(folder, way="ainvoke", **ONE_BY_ONE)["modules"]
    check(folder, [], kept(folder), [])
    server.run(folder, way="invoke", imports=modules)  # once, and not in each fork
    yield server
    server.stop()


def kept(folder: Path) -> list[Any]:
    with SqliteSaver(folder / "threads.db") as saver:
        return saver.messages("t1")


def done(folder: Path) -> list[str]:
    file = folder / "done"
    return file.read_text().split("\n")[:-1] if file.exists() else []


def check(folder: Path, before: list[Any], after: list[Any], did: list[str]) -> None:
    """`before`, `did`: what was kept, and what had been done, when the process died."""
    assert [m.content for m in after] == DONE
    assert [m for m in after if m.id in {m.id for m in before}] == before  # nothing is rewritten
    again = done(folder)[len(did) :]
    answered = {m.tool_call_id for m in before if isinstance(m, ToolMessage)}
    said = sum(isinstance(m, AIMessage) for m in before)
    wanted = {"p1", "p2", "p3"} - answered | {f"model {n}" for n in range(said, 3)}
    assert sorted(again) == sorted(wanted)


def die_everywhere(server: Server, tmp_path: Path, first: int, step: int, **order: Any) -> int:
    """Runs that die, the first of them at the first of these places, the next a step later, and
    runs that go on; how many."""
    turn = 0
    for turn in range(1000):
        folder = tmp_path / str(turn)
        folder.mkdir()
        deadly = first + turn * step
        found = server.run(folder, deadly=deadly, **order)
        if found != KILLED:
            assert found["passed"] <= deadly
            break
        before, did = kept(folder), done(folder)
        assert "passed" in server.run(folder, **order)
        check(folder, before, kept(folder), did)
        assert [file.name for file in folder.glob("*.lock")] == []
    assert [m.content for m in kept(folder)] == DONE
    assert sorted(done(folder)) == ["model 0", "model 1", "model 2", "p1", "p2", "p3"]
    return turn


@pytest.mark.parametrize(
    ("way", "first", "step"),
    [("invoke", 0, 1), ("stream", 0, 4), ("ainvoke", 1, 4), ("astream", 2, 4)],
)
def test_killed_at_each_place(server, tmp_path, way, first, step):
    turns = die_everywhere(server, tmp_path, first, step, way=way, **ONE_BY_ONE)
    assert turns * step > 50


@pytest.mark.parametrize("way", ["stream", "ainvoke"])
def test_killed_while_calls_are_made_at_once(server, tmp_path, way):
    assert die_everywhere(server, tmp_path, 0, 4, way=way) > 10


def test_hooks_that_have_not_seen_a_message_see_it(server, tmp_path):
    """Killed at each place, too: what hooks add to the state is kept, and none of them is left out.
    A hook whose process died before its update was kept is called again."""
    order = {"way": "invoke", "hook": True, **ONE_BY_ONE}
    for deadly in range(0, 1000, 5):
        folder = tmp_path / str(deadly)
        folder.mkdir()
        found = server.run(folder, deadly=deadly, **order)
        if found == KILLED:
            server.run(folder, **order)
        with SqliteSaver(folder / "threads.db") as saver:
            agent = create_agent(Scripted(script=SCRIPT), saver=saver)
            seen = agent.get_state(CONFIG).values["seen"]
        # an update that was kept, and a mark after it that was not: the hook is called again
        assert seen in (3, 4)
        if found != KILLED:
            assert seen == 3 and deadly > 50
            break


def test_killed_from_outside_at_any_time(server, tmp_path):
    generator = random.Random(7)
    killed = 0
    for turn in range(8):
        folder = tmp_path / str(turn)
        folder.mkdir()
        found = server.run(folder, way="stream", killed_after=generator.uniform(0.0, 0.08))
        killed += found == KILLED
        before, did = kept(folder), done(folder)
        server.run(folder, way="invoke")
        check(folder, before, kept(folder), did)
    assert killed


def test_one_process_at_a_time(server, tmp_path):
    server.order(tmp_path, way="invoke", waits_in=3, tells_pid=True)
    pid = server.answer()["pid"]
    try:
        assert server.answer() == {"waits_in": 3}
        before, did = kept(tmp_path), done(tmp_path)
        assert [m.content for m in before] == DONE[:5] and did[-1] == "p3"
        with SqliteSaver(tmp_path / "threads.db") as saver:
            model = Scripted(script=SCRIPT)

            @tool
            def pay(n: int) -> str:
                """Pay."""
                raise AssertionError

            agent = create_agent(model, [pay], saver=saver)
            for value in (None, "Hello?"):
                with pytest.raises(ThreadConflictError, match="in use"):
                    agent.invoke(value, CONFIG)
            with pytest.raises(ThreadConflictError, match="in use"):
                agent.update_state(CONFIG, "Hello?")
            assert agent.get_state(CONFIG).next == ("tools",)  # looking is free
    finally:
        os.kill(pid, signal.SIGKILL)
        assert server.answer() == KILLED
    assert model.asked == []
    server.run(tmp_path, way="invoke")
    check(tmp_path, before, kept(tmp_path), did)
