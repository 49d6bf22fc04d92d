"""Observed runs, tested from what is promised of them. Every wait is bounded, as in the laws."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator

import pytest

from behaviour.pieces import LIMIT, Epoch
from laws import effort, watchdog


@pytest.fixture(autouse=True)
def bounded(request: pytest.FixtureRequest) -> Iterator[None]:
    with watchdog.watched(request.node.nodeid, LIMIT * max(1.0, effort.EFFORT)):
        try:
            yield
        finally:
            Epoch.number += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    # What hung has threads that never end, and the interpreter waits for those of a pool.
    if watchdog.hung:
        faulthandler.dump_traceback_later(5, exit=True)
