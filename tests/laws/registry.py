"""One registry with an instance (or several) of every Runnable class of the package.

The laws are tested over it (`test_law*.py`); `test_registry.py` fails for a class that is missing.
Add a combinator to `registry_runnables.py`, a component to `registry_components.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from laws.entry import Entry
from laws.registry_agents import AGENTS
from laws.registry_components import COMPONENTS
from laws.registry_react import REACT
from laws.registry_retrieval import RETRIEVAL
from laws.registry_runnables import RUNNABLES

ENTRIES: list[Entry] = [*RUNNABLES, *COMPONENTS, *AGENTS, *REACT, *RETRIEVAL]


def classes_in(runnable: Any) -> Iterator[type]:
    """The classes of a runnable and of the parts it is made of."""
    yield type(runnable)
    for _, part in runnable._children():
        yield from classes_in(part)
