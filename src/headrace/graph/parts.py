"""What graphs are made of: nodes, edges, and what they are called.

Node ids are strings; an id `a:b:c` places node `c` in subgraph `b` of subgraph `a`. Ids that are
UUIDs are nobody's choice: pictures and JSON replace them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypedDict
from uuid import UUID

from ..runnables import Runnable

__all__ = ["Branch", "Edge", "LabelsDict", "Node", "Stringifiable", "is_uuid", "shown_name"]


class Stringifiable(Protocol):
    """What has a text."""

    def __str__(self) -> str: ...


class LabelsDict(TypedDict):
    """Texts to show instead of the usual ones: for nodes by id, for edges by what they say."""

    nodes: dict[str, str]
    edges: dict[str, str]


class Edge(NamedTuple):
    """From `source` to `target` (node ids). `data` is what it says; `conditional`: it is one of
    several ways."""

    source: str
    target: str
    data: Stringifiable | None = None
    conditional: bool = False

    def copy(self, *, source: str | None = None, target: str | None = None) -> Edge:
        """The same edge between other nodes."""
        return self._replace(source=source or self.source, target=target or self.target)


class Node(NamedTuple):
    """A runnable, a schema (a pydantic model class), or nothing but a name.

    `kind` is what it does to a stream, in the words of `explain()`: `"streams"`, `"barrier"`,
    `"source"`; "" where nobody knows.
    """

    id: str
    name: str
    data: Any
    metadata: dict[str, Any] | None
    kind: str = ""

    def copy(self, *, id: str | None = None, name: str | None = None) -> Node:
        """The same node under another id or name."""
        return self._replace(id=id or self.id, name=name or self.name)


class Branch(NamedTuple):
    """A choice: what decides, and to which node ids its answers lead."""

    condition: Callable[..., str]
    ends: dict[str, str] | None


def is_uuid(id: str) -> bool:
    """Whether an id was made up."""
    try:
        UUID(id)
    except ValueError:
        return False
    return True


def shown_name(id: str, data: Any) -> str:
    """What a node with that id is called: by the id, unless it was made up."""
    if data is None or not is_uuid(id):
        return id
    if isinstance(data, Runnable):
        return data.get_name().removeprefix("Runnable")
    name = getattr(data, "__name__", None) or type(data).__name__
    return str(name).removeprefix("Runnable")
