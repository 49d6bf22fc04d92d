"""The real model, loaded once for all tests here; its weights come into the user's cache once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
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
def narrow(weights: Path):
    """An engine with one slot and a small context, unloaded afterwards."""
    engine = load(weights, n_ctx=512, n_parallel=1)
    yield engine
    engine.close()


@pytest.fixture
def python(weights: Path) -> Callable[[str], subprocess.Popen[str]]:
    """Start a program in a fresh interpreter; `W` is the path of the weights."""

    def run(program: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(SRC)}
        return subprocess.Popen(
            [sys.executable, "-X", "dev", "-c", f"W = {str(weights)!r}\n{program}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )

    return run
