"""Nodes and edges, and what can be done to them; the part of a graph that is no picture."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

from ..errors import InputError
from ..runnables import Runnable
from .parts import Edge, Node, Stringifiable, is_uuid, shown_name

__all__ = ["Structure"]


@dataclass
class Structure:
    """Nodes by id, and edges. True if there are nodes."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.nodes)

    # ------------------------------------------------------------- building

    def next_id(self) -> str:
        """An id for a node that has none of its own."""
        return uuid4().hex

    def add_node(
        self,
        data: Any,
        id: str | None = None,
        *,
        metadata: dict[str, Any] | None = None,
        name: str | None = None,
        kind: str | None = None,
    ) -> Node:
        """Add a node for a runnable or a schema, and return it.

        `name` and `kind` are otherwise found out from `data`; a node with an id is named by it.

        Raises:
            InputError: the id is taken.
        """
        if id is not None and id in self.nodes:
            raise InputError(f"The graph has a node {id!r} already: choose another id.")
        chosen = id or self.next_id()
        if kind is None:
            kind = data._flow().kind if isinstance(data, Runnable) else ""
        node = Node(chosen, name or shown_name(chosen, data), data, metadata, kind)
        self.nodes[chosen] = node
        return node

    def remove_node(self, node: Node) -> None:
        """Take a node out, and its edges with it."""
        del self.nodes[node.id]
        self.edges = [edge for edge in self.edges if node.id not in (edge.source, edge.target)]

    def add_edge(
        self,
        source: Node,
        target: Node,
        data: Stringifiable | None = None,
        conditional: bool = False,
    ) -> Edge:
        """Add an edge between two of the graph's nodes, and return it.

        Raises:
            InputError: a node is not in the graph.
        """
        for node in (source, target):
            if node.id not in self.nodes:
                raise InputError(
                    f"The graph has no node {node.id!r} to draw an edge to or from: add it first."
                )
        edge = Edge(source.id, target.id, data, conditional)
        self.edges.append(edge)
        return edge

    def extend(self, graph: Structure, *, prefix: str = "") -> tuple[Node | None, Node | None]:
        """Add another graph's nodes and edges, unconnected, as subgraph `prefix` if one is given
        and any id there is more than a UUID.

        Returns:
            The first and the last node of what was added, as they are here.
        """
        if all(is_uuid(id) for id in graph.nodes):
            prefix = ""

        def here(id: str) -> str:
            return f"{prefix}:{id}" if prefix else id

        for id, node in graph.nodes.items():
            self.nodes[here(id)] = node.copy(id=here(id))
        self.edges += [
            edge.copy(source=here(edge[0]), target=here(edge[1])) for edge in graph.edges
        ]
        ends = graph.first_node(), graph.last_node()
        first, last = (None if node is None else node.copy(id=here(node.id)) for node in ends)
        return first, last

    def reid(self) -> Self:
        """The same graph with names in place of UUIDs, numbered where several nodes share one."""
        count = Counter(node.name for node in self.nodes.values())
        seen: Counter[str] = Counter()
        ids: dict[str, str] = {}
        taken = {id for id in self.nodes if not is_uuid(id)}
        for id, node in self.nodes.items():
            seen[node.name] += 1
            # A colon in a name says nothing about subgraphs.
            new = node.name.replace(":", "_")
            if count[node.name] > 1:
                new = f"{new}_{seen[node.name]}"
            if is_uuid(id):
                while new in taken:
                    new += "_"
                taken.add(new)
            ids[id] = new if is_uuid(id) else id
        return type(self)(
            {ids[id]: node.copy(id=ids[id]) for id, node in self.nodes.items()},
            [edge.copy(source=ids[edge[0]], target=ids[edge[1]]) for edge in self.edges],
        )

    # ------------------------------------------------------------- ends

    def first_node(self) -> Node | None:
        """The node that no edge leads to, if there is exactly one."""
        return self._end(1, None)

    def last_node(self) -> Node | None:
        """The node that no edge leaves, if there is exactly one."""
        return self._end(0, None)

    def _end(self, side: int, without: str | None) -> Node | None:
        """The only node that no edge has on that side (0: source, 1: target), without one."""
        met = {edge[side] for edge in self.edges if edge[1 - side] != without}
        found = [node for id, node in self.nodes.items() if id not in met and id != without]
        return found[0] if len(found) == 1 else None

    def trim_first_node(self) -> None:
        """Remove the first node, if it has one edge and another node is then the first."""
        self._trim(1)

    def trim_last_node(self) -> None:
        """Remove the last node, if it has one edge and another node is then the last."""
        self._trim(0)

    def _trim(self, side: int) -> None:
        node = self._end(side, None)
        if node is None or self._end(side, node.id) is None:
            return
        if len({edge for edge in self.edges if edge[1 - side] == node.id}) == 1:
            self.remove_node(node)
