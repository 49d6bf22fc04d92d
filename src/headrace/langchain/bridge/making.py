"""Adapters that need other adapters: `choosing.py` enters its two choices here, so that no file of
this package imports it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["here", "makers", "there"]

makers: dict[str, Callable[[Any], Any]] = {}


def here(thing: Any) -> Any:
    """A thing of LangChain's, adapted; see `from_langchain`."""
    return makers["here"](thing)


def there(thing: Any) -> Any:
    """A thing of ours, adapted; see `as_langchain`."""
    return makers["there"](thing)
