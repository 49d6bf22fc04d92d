"""Headrace's types reach a program that only has it installed (PEP 561)."""

import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

PROGRAM = """\
from typing import assert_type

from headrace.runnables import RunnableLambda

assert_type(RunnableLambda(len).invoke("a"), int)
RunnableLambda(len).invoke(3)
"""


def test_the_marker_is_in_the_package() -> None:
    assert (files("headrace") / "py.typed").is_file()


@pytest.mark.slow
def test_mypy_of_a_program_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = {key: value for key, value in os.environ.items() if key != "MYPYPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "program.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert [line.split(": ")[:2] for line in done.stdout.splitlines()[:-1]] == [
        ["program.py:6", "error"]
    ], done.stdout + done.stderr
