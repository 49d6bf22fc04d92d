"""Modules that are imported when they are first used: a program without async never loads asyncio,
which is a sixth of the time that importing a chain takes, nor a parser that it does not name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

__all__ = ["Lazy", "later"]


class Lazy:
    """Stands for the module of that name; each attribute is looked up once and kept."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value


def later(package: str, homes: Mapping[str, str], name: str) -> Any:
    """For a package's `__getattr__`: a public name out of the module that `homes` gives for it."""
    if name not in homes:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return getattr(import_module(f"{package}.{homes[name]}"), name)
