"""A process that runs an agent and may be killed: `python -m agents.killable`, orders on stdin.

An order is a line of JSON; it is done in a fork of this process, which has nothing in memory but
what was imported. The answer is a line of JSON too: what the fork wrote, or the signal that it died
of. While it runs, the fork passes *places*: each SQL statement of the saver (so there are places in
the middle of a transaction), before and after each append, the beginning, the middle and the end of
a tool, before and after the model speaks, and its tokens. At the place whose number is ordered it
kills itself with SIGKILL; or it is killed after some seconds, wherever it is.

What the tool and the model do is written to a file before they do anything else, a line each.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agents.scripted import Scripted, call, says
from headrace.agents import SqliteSaver, ThreadConflictError, create_agent
from headrace.tools import tool

CONFIG = {"configurable": {"thread_id": "t1"}}
SCRIPT = [
    says("First.", call("pay", "p1", n=1), call("pay", "p2", n=2)),
    says("Next.", call("pay", "p3", n=3)),
    says("Done."),
]


class Places:
    """Counts the places that are passed; at one of them the process dies."""

    def __init__(self, folder: Path, deadly: int | None) -> None:
        self.passed = 0
        self.deadly = deadly
        self.done = folder / "done"
        self._lock = threading.Lock()

    def here(self) -> None:
        with self._lock:
            if self.passed == self.deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            self.passed += 1

    def did(self, what: str) -> None:
        handle = os.open(self.done, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{what}\n".encode())
        os.close(handle)


class Saver(SqliteSaver):
    def __init__(self, path: Path, places: Places) -> None:
        super().__init__(path)
        self._places = places

    def append(self, thread_id: str, start: int, rows: Any) -> None:
        self._places.here()
        super().append(thread_id, start, rows)
        self._places.here()

    def _opened(self) -> Any:
        connection = super()._opened()
        connection.execute("PRAGMA synchronous = OFF")  # of use against power cuts only, and slow
        connection.set_trace_callback(lambda statement: self._places.here())
        return connection


class Model(Scripted):
    places: Any

    def _generate(self, messages: Any, *args: Any, **kw: Any) -> Any:
        self._says(messages)
        made = super()._generate(messages, *args, **kw)
        self.places.here()
        return made

    def _stream(self, messages: Any, *args: Any, **kw: Any) -> Iterator[Any]:
        self._says(messages)
        for chunk in super()._stream(messages, *args, **kw):
            self.places.here()
            yield chunk

    async def _astream(self, messages: Any, *args: Any, **kw: Any) -> Any:
        for chunk in self._stream(messages, *args, **kw):
            yield chunk

    def _says(self, messages: Any) -> None:
        self.places.did(f"model {sum(m.type == 'ai' for m in messages)}")
        self.places.here()


def agent_of(order: dict[str, Any], places: Places) -> Any:
    @tool
    def pay(n: int) -> str:
        """Pay."""
        places.here()
        places.did(f"p{n}")
        places.here()
        if order.get("waits_in") == n:
            print(json.dumps({"waits_in": n}), flush=True)
            threading.Event().wait(60)
        return f"paid {n}"

    @tool("pay")
    async def apay(n: int) -> str:
        """Pay."""
        places.here()
        places.did(f"p{n}")
        await asyncio.sleep(0)
        places.here()
        return f"paid {n}"

    path = places.done.parent / "threads.db"
    settings: dict[str, Any] = {"saver": Saver(path, places), **order.get("settings", {})}
    if order.get("hook"):
        settings["after_model"] = lambda state: {"seen": state.get("seen", 0) + 1}
    model = Model(script=SCRIPT, places=places)
    return create_agent(model, [apay if order["way"].startswith("a") else pay], **settings)


async def _read(agent: Any, value: Any) -> None:
    async for _ in agent.astream(value, CONFIG, stream_mode="messages"):
        pass


WAYS = {
    "invoke": lambda agent, value: agent.invoke(value, CONFIG),
    "stream": lambda agent, value: list(agent.stream(value, CONFIG, stream_mode="messages")),
    "ainvoke": lambda agent, value: asyncio.run(agent.ainvoke(value, CONFIG)),
    "astream": lambda agent, value: asyncio.run(_read(agent, value)),
}


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Goes on in the thread, or begins it, as a program does that knows nothing else."""
    places = Places(Path(order["folder"]), order.get("deadly"))
    agent = agent_of(order, places)
    begun = agent.get_state(CONFIG).messages
    try:
        WAYS[order["way"]](agent, None if begun else "Go")
    except ThreadConflictError as error:
        return {"conflict": str(error)}
    finally:
        agent.saver.close()
    modules = [name for name in sys.modules if name.startswith(("headrace.", "asyncio", "sqlite3"))]
    return {"passed": places.passed, "modules": modules}


def serve() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        for module in order.get("imports", ()):  # so that no fork has to
            importlib.import_module(module)
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(told)
            code = 1
            try:
                os.write(tell, json.dumps(run(order)).encode())
                code = 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        os.close(tell)
        if order.get("tells_pid"):
            print(json.dumps({"pid": child}), flush=True)
        with os.fdopen(told, "rb") as pipe:
            if "killed_after" in order:
                select.select([pipe], [], [], order["killed_after"])
                os.kill(child, signal.SIGKILL)  # nobody has waited for it: the id is still its own
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            print(json.dumps({"signal": os.WTERMSIG(status)}), flush=True)
        else:
            print(said.decode() or json.dumps({"exit": os.WEXITSTATUS(status)}), flush=True)


if __name__ == "__main__":
    serve()
