"""The Redis server of `history/conftest.py`, and a cache of either kind that Headrace has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.caches import BaseCache, InMemoryCache, SQLiteCache
from history.conftest import redis_url

__all__ = ["redis_url"]


@pytest.fixture(params=["memory", "file"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseCache]:
    if request.param == "memory":
        yield InMemoryCache()
        return
    file = SQLiteCache(tmp_path / "answers.db")
    yield file
    file.close()
