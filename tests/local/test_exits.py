"""How a process with the model ends: at once, with its own exit code, and without a word."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.local import engine as engine_module
from headrace.local.engine import load

Python = Callable[[str], subprocess.Popen[str]]

HEAD = """
import asyncio, os, sys, threading
from headrace.local.engine import load
from headrace.errors import ModelError
engine = load(W, n_ctx=1024)
def ask(**more):
    return {"messages": [{"role": "user", "content": "Tell me a long story"}], "max_tokens": 900,
            "temperature": 1.0, "logit_bias": [[2, False]], **more}
"""

ENDINGS = {
    "a stream still open": (0, "stream = engine.stream(ask()); next(stream)"),
    "sys.exit in mid-stream": (3, "for chunk in engine.stream(ask()): sys.exit(3)"),
    "a daemon thread in mid-stream": (
        0,
        """
started = threading.Event()
def read():
    for chunk in engine.stream(ask()): started.set()
threading.Thread(target=read, daemon=True).start()
started.wait()""",
    ),
    "a daemon thread in the queue": (
        0,
        """
streams = [engine.stream(ask()) for _ in "ab"]
for stream in streams: next(stream)
threading.Thread(target=lambda: list(engine.stream(ask())), daemon=True).start()
while not engine.slots.waiting: pass""",
    ),
    "a loop closed over an open stream": (
        0,
        """
loop = asyncio.new_event_loop()
stream = engine.astream(ask())
loop.run_until_complete(anext(stream))
loop.close()""",
    ),
    "asyncio.run over an open stream": (
        0,
        """
async def main():
    async for chunk in engine.astream(ask()): return
asyncio.run(main())""",
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_exit_while_generating(python: Python, ending: str):
    code, program = ENDINGS[ending]
    process = python(HEAD + program)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, "", "")


INTERRUPTED = {
    "load": """
print('.', flush=True)
load(W, n_ctx=2048)""",
    "tokens": "for chunk in engine.stream(ask()): print('.', flush=True)",
    "prompt": """
print('.', flush=True)
list(engine.stream(ask(messages=[{"role": "user", "content": "fox " * 900}])))""",
    "async": """
async def main():
    async for chunk in engine.astream(ask()): print('.', flush=True)
asyncio.run(main())""",
}


@pytest.mark.parametrize("what", INTERRUPTED)
def test_ctrl_c_ends_the_process_fast(python: Python, what: str):
    process = python(HEAD + INTERRUPTED[what])
    assert process.stdout is not None
    assert process.stdout.readline() == ".\n"
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    # A worker that does not end is given up after this many seconds; none may need that.
    assert time.monotonic() - began < engine_module._FAREWELL
    assert process.returncode == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")


def _interrupted_before(start: Callable[..., object], *arguments: Any) -> None:
    raise KeyboardInterrupt


def _interrupted_after(start: Callable[..., object], *arguments: Any) -> None:
    start(*arguments)
    raise KeyboardInterrupt


@pytest.mark.parametrize("interrupted", [_interrupted_before, _interrupted_after])
def test_ctrl_c_while_a_loader_starts_leaves_no_load_behind(
    weights: Path, monkeypatch: pytest.MonkeyPatch, interrupted: Callable[..., None]
):
    """Else the exit would wait for a load that never ends."""
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda thread: interrupted(start, thread))
    monkeypatch.setattr(engine_module, "Engine", lambda settings: settings)
    monkeypatch.setattr(engine_module, "_engines", {})
    with pytest.raises(KeyboardInterrupt):
        load(weights, n_ctx=100)
    assert not engine_module._loads


def test_a_forked_child_loads_its_own_and_exits(python: Python):
    process = python(
        HEAD
        + """
import warnings
warnings.simplefilter("ignore")  # Python 3.12 warns of every fork beside threads
stream = engine.stream(ask()); next(stream)
if (child := os.fork()) == 0:
    for use in (lambda: list(stream), lambda: engine.complete(ask())):
        try: use()
        except ModelError as error: print("forked" in str(error), flush=True)
    own = load(W, n_ctx=1024)
    print(own is engine, own.complete(ask(max_tokens=3))["usage"]["completion_tokens"], flush=True)
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
stream.close()
print(engine.complete(ask(max_tokens=3))["usage"]["completion_tokens"])
"""
    )
    out, err = process.communicate(timeout=60)
    assert (out.split(), err, process.returncode) == (
        ["True", "True", "False", "3", "7", "3"],
        "",
        0,
    )


def test_importing_loads_nothing_heavy(python: Python):
    process = python(
        "import sys, headrace.local, headrace.local.engine\n"
        "print([name for name in ('xllamacpp', 'pydantic', 'numpy') if name in sys.modules])"
    )
    out, err = process.communicate(timeout=60)
    assert (out, err) == ("[]\n", "")
