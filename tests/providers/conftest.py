"""Recordings name models of their time; that Anthropic's SDK warns of old ones is no fault."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
OLD_MODEL = pytest.mark.filterwarnings("ignore:The model 'claude:DeprecationWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(OLD_MODEL)
