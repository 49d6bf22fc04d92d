"""The models are made up; that Anthropic's SDK warns of some names is no fault.

Every dialect is tested in the sync colour. In async, one is for each transport and SDK: those of
`TWINS` have all their async code from another one, and are left out where that one is in. Only
`test_life.py`, which is about clients, keeps them in.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
OLD_MODEL = pytest.mark.filterwarnings("ignore:The model 'claude:DeprecationWarning")
TWINS = {"together": "openai", "fireworks": "openai", "nvidia": "openai", "vertex": "gemini"}
ABOUT_CLIENTS = "test_life.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    for item in ours:
        item.add_marker(OLD_MODEL)
    kept = {_asked(item) for item in ours}
    doubled = {item for item in ours if _is_doubled(item, kept)}
    items[:] = [item for item in items if item not in doubled]


def _is_doubled(item: pytest.Item, kept: set[tuple[str, str, str]]) -> bool:
    """Whether its dialect's twin is asked the same, by the same test, in the same colour."""
    test, dialect, colour = _asked(item)
    is_one = colour == "async" and item.path.name != ABOUT_CLIENTS
    return is_one and (test, TWINS.get(dialect, ""), colour) in kept


def _asked(item: pytest.Item) -> tuple[str, str, str]:
    given = getattr(getattr(item, "callspec", None), "params", {})
    test = item.nodeid.split("[")[0]
    return test, str(given.get("dialect", "")), str(given.get("colour", ""))
