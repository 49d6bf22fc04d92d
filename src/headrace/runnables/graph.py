"""`headrace.graph` under the path at which users of this vocabulary look for it.

Graphs are views of runnables and live above them: what is here is imported when it is asked for.
"""

# ruff: noqa: F822 - made by __getattr__
# pyright: reportUnsupportedDunderAll=false
from __future__ import annotations

from importlib import import_module
from typing import Any

from .._lazy import listed

__all__ = [
    "Branch",
    "CurveStyle",
    "Edge",
    "Graph",
    "LabelsDict",
    "MermaidDrawMethod",
    "Node",
    "NodeStyles",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("headrace.graph"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return listed(globals(), __all__)
