"""The laws of the design, tested over one registry in four colours. Every wait is bounded."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator

import pytest

from laws import effort, watchdog


@pytest.fixture(autouse=True)
def bounded(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that runs no body of its own (see `colours.py`) is still not allowed to hang."""
    limit = watchdog.LIMIT * max(1.0, effort.EFFORT)
    with watchdog.watched(request.node.nodeid, limit):
        yield


def pytest_sessionfinish(session: pytest.Session) -> None:
    # What hung has threads that never end, and the interpreter waits for those of a pool.
    if watchdog.hung:
        faulthandler.dump_traceback_later(5, exit=True)
