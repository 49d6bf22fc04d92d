"""`BaseExampleSelector`: variables in, examples out; and how variables become a text to compare."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from headrace.runnables.configs import run_in_executor

__all__ = ["BaseExampleSelector", "as_texts"]

_TEXTUAL = (str, int, float)  # what has a short text of its own; lists of messages have none


class BaseExampleSelector(ABC):
    """Base of selectors. Give `select_examples` and `add_example`.

    The async methods call the sync ones in a worker thread, unless a subclass writes them.
    """

    @abstractmethod
    def add_example(self, example: dict[str, Any]) -> Any:
        """Add an example to choose from."""

    async def aadd_example(self, example: dict[str, Any]) -> Any:
        """`add_example` without blocking the event loop."""
        return await run_in_executor(None, self.add_example, example)

    @abstractmethod
    def select_examples(self, input_variables: dict[str, Any]) -> list[dict[str, Any]]:
        """The examples for these variables, in the order in which they are to be shown."""

    async def aselect_examples(self, input_variables: dict[str, Any]) -> list[dict[str, Any]]:
        """`select_examples` without blocking the event loop."""
        return await run_in_executor(None, self.select_examples, input_variables)


def as_texts(values: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The values of these names that are texts or numbers, as texts: a chat's history is none."""
    return [str(values[name]) for name in names if isinstance(values[name], _TEXTUAL)]
