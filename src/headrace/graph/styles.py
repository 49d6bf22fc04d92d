"""How pictures of graphs look: the names and defaults that users of this vocabulary know.

Colours are CSS declarations as Mermaid's `classDef` takes them (`fill:#f2f0ff,stroke:#333`); the
local drawings read `fill`, `stroke` and `color` from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["CurveStyle", "MermaidDrawMethod", "NodeStyles"]


class CurveStyle(Enum):
    """The curves that Mermaid knows for edges."""

    BASIS = "basis"
    BUMP_X = "bumpX"
    BUMP_Y = "bumpY"
    CARDINAL = "cardinal"
    CATMULL_ROM = "catmullRom"
    LINEAR = "linear"
    MONOTONE_X = "monotoneX"
    MONOTONE_Y = "monotoneY"
    NATURAL = "natural"
    STEP = "step"
    STEP_AFTER = "stepAfter"
    STEP_BEFORE = "stepBefore"


class MermaidDrawMethod(Enum):
    """Who makes a picture of a graph. Headrace does it itself; the other two are known by name so
    that asking for them gets an answer."""

    LOCAL = "local"
    API = "api"
    PYPPETEER = "pyppeteer"


@dataclass
class NodeStyles:
    """Looks by kind of node: ordinary ones, the first, the last, those that wait for their whole
    input."""

    default: str = "fill:#f2f0ff,line-height:1.2"
    first: str = "fill-opacity:0"
    last: str = "fill:#bfb6fc"
    barrier: str = "fill:#ffe8cc,stroke:#d9480f,stroke-width:2px,line-height:1.2"
