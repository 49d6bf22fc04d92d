"""The real model, loaded once for all tests here; its weights come into the user's cache once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from headrace.local.engine import Engine, load
from headrace.local.weights import ensure_weights

SRC = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="session")
def weights() -> Path:
    return ensure_weights()


@pytest.fixture(scope="session")
def engine(weights: Path) -> Engine:
    """Two slots, as ChatLocal has by default (and shared with it)."""
    return load(weights)


@pytest.fixture
def narrow(weights: Path) -> Iterator[Engine]:
    """An engine with one slot and a small context, unloaded afterwards."""
    engine = load(weights, n_ctx=512, n_parallel=1)
    yield engine
    engine.close()


@pytest.fixture
def python(weights: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a program in a fresh interpreter; `W` is the path of the weights."""
    started: list[subprocess.Popen[str]] = []

    def run(program: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(SRC)}
        process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-c", f"W = {str(weights)!r}\n{program}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Wait for what threads do, in the event loop; 10 s at most."""

    async def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "it never happened"
            await asyncio.sleep(0.001)

    return wait
