"""mypy and pyright, both strict, agree with what the files of this folder say.

`assert_type` pins what a right chain is inferred as; in `rejected.py` a `type: ignore` marks each
line that must be an error. Both tools run once, on the folder and on a copy of `rejected.py`
without its marks: there they must report exactly the lines that were marked.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REJECTED = (HERE / "rejected.py").read_text()
_MARK = re.compile(r"  # type: ignore\[([\w-]+)\]$", re.MULTILINE)

# A cache of its own: that of `make lint`, which asks with other options, stays as it is.
MYPY = ["--strict", "--follow-imports=silent", "--no-error-summary", "--cache-dir",
        ".mypy_cache/typing"]  # fmt: skip

Errors = set[tuple[str, int, str]]


def marked() -> dict[int, str]:
    """The marked lines of `rejected.py`, with mypy's code for each."""
    lines = enumerate(REJECTED.splitlines(), 1)
    return {number: mark[1] for number, line in lines if (mark := _MARK.search(line))}


def start(*command: str) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, stdout=pipe, stderr=pipe, text=True
    )


def of_mypy(output: str) -> Errors:
    found = re.findall(r"^(\S+?):(\d+): error: .*\[([\w-]+)\]$", output, re.MULTILINE)
    return {(Path(path).name, int(line), code) for path, line, code in found}


def of_pyright(output: str) -> Errors:
    found: list[dict[str, Any]] = json.loads(output)["generalDiagnostics"]
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1, each.get("rule", ""))
        for each in found
    }


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What mypy and pyright print; at work at the same time."""
    copy = tmp_path_factory.mktemp("types") / "unmarked.py"
    copy.write_text(_MARK.sub("", REJECTED))
    paths = [str(HERE.relative_to(ROOT)), str(copy)]
    tools = [
        start("mypy", *MYPY, *paths),
        start("pyright", "--pythonpath", sys.executable, "--outputjson", *paths),
    ]
    mypy, pyright = (tool.communicate(timeout=120) for tool in tools)
    assert [tool.returncode for tool in tools] == [1, 1], (mypy, pyright)  # 2: it did not run
    return mypy[0], pyright[0]


@pytest.mark.slow
def test_mypy(outputs: tuple[str, str]) -> None:
    found = of_mypy(outputs[0])
    assert found == {("unmarked.py", line, code) for line, code in marked().items()}


@pytest.mark.slow
def test_pyright(outputs: tuple[str, str]) -> None:
    found = of_pyright(outputs[1])
    assert {(name, line) for name, line, _ in found} == {("unmarked.py", line) for line in marked()}


@pytest.mark.slow
def test_all_files_are_read(outputs: tuple[str, str]) -> None:
    analyzed: int = json.loads(outputs[1])["summary"]["filesAnalyzed"]
    assert analyzed == len(list(HERE.glob("*.py"))) + 1


def test_there_are_marks_of_every_kind() -> None:
    codes = set(marked().values())
    assert {"operator", "dict-item", "arg-type", "attr-defined", "assignment"} <= codes
