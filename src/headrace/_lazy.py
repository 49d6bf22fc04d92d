"""Modules that are imported when they are first used: a program without async never loads asyncio,
which is a sixth of the time that importing a chain takes, nor a parser that it does not name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from sys import modules
from typing import Any

__all__ = ["Lazy", "later", "listed"]


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


def listed(names: Mapping[str, Any], public: Iterable[str]) -> list[str]:
    """For a package's `__dir__`: what it is to be used for, its submodules, and the usual
    `__dunder__` names; not what it needs for itself.

    Args:
        names: the package's `globals()`.
        public: its `__all__`.
    """
    package = names["__name__"]
    inside = {name for name in names if f"{package}.{name}" in modules}
    return sorted({*public, *inside, *(name for name in names if name.startswith("__"))})
