"""The command over targets written into a temporary folder: in real processes, where signals,
pipes or pace matter, and in this one, where many command lines are tried."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headrace.cli import main

SRC = Path(__file__).parents[2] / "src"
PATIENCE = 60  # seconds until a process that should have ended counts as hanging


class Process(subprocess.Popen):
    """A running command; everything it says is bytes."""

    def said(self) -> tuple[int, str, str]:
        """Exit code, standard output and standard error, when it has ended."""
        out, err = self.communicate(timeout=PATIENCE)
        return self.returncode, (out or b"").decode(), (err or b"").decode()

    def read(self, count: int) -> str:
        """The next `count` bytes of standard output, or what there is before its end."""
        read = b""
        while len(read) < count and (piece := self.stdout.read(count - len(read))):
            read += piece
        return read.decode()

    def leave(self, pipe: str) -> None:
        """Close our end of a pipe."""
        getattr(self, pipe).close()
        setattr(self, pipe, None)

    def press_ctrl_c(self) -> None:
        """What a terminal does: SIGINT to every process of the group."""
        os.killpg(self.pid, signal.SIGINT)


class Command:
    """`headrace` in a folder of targets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": str(SRC), "COLUMNS": "100"}
        for name in ("NO_COLOR", "FORCE_COLOR", "TERMINAL_WIDTH"):
            self.environment.pop(name, None)
        self.started: list[Process] = []

    def write(self, source: str, name: str = "demo.py") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return path

    def start(self, *arguments: str, before: str = "", **options) -> Process:
        """Start it; `before` is code to run in its process first."""
        program = ["-m", "headrace.cli"]
        if before:
            main = "import sys\nfrom headrace.cli import main\nsys.exit(main(sys.argv[1:]))"
            program = ["-c", f"{before}\n{main}"]
        options = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "bufsize": 0,
            "cwd": self.folder,
            "env": self.environment,
            "start_new_session": True,
            **options,
        }
        process = Process([sys.executable, "-W", "error", *program, *arguments], **options)
        self.started.append(process)
        return process

    def __call__(self, *arguments: str, given: str = "", **options) -> tuple[int, str, str]:
        """Run it to its end with `given` on standard input."""
        process = self.start(*arguments, **options)
        out, err = process.communicate(given.encode(), timeout=PATIENCE)
        return process.returncode, (out or b"").decode(), (err or b"").decode()


@pytest.fixture
def headrace(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path)
    yield command
    for process in command.started:
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None and tmp_path in Path(file).parents:
            del sys.modules[name]


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`headrace` in this process: exit code, standard output and standard error."""

    def run(*arguments: str, given: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        return (main(arguments), *capsys.readouterr())

    return run
