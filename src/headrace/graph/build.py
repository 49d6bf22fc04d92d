"""From a runnable to its graph: a view of `_children()`, by the `_layout` of each class.

| layout | its parts stand | example |
|---|---|---|
| `"step"` | nowhere: it is one box | a model, a prompt |
| `"row"` | one after the other | a sequence |
| `"side"` | side by side, between its input and its output | a parallel |
| `"along"` | as those of its only part, with the input beside them | assign |
| `"one"` | behind a choice, on conditional edges | a branch, fallbacks |
| `"inside"` | in a subgraph that is called like it | retry, history |

What only chooses or adds settings (a binding) is looked through. Where a user's class has a
`get_graph` of its own, that is what is shown of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..runnables import Runnable, RunnableLambda, RunnablePassthrough
from ..runnables._again import Again
from .depends import runnables_in
from .describe import one_line
from .model import Graph
from .parts import Node, is_uuid

__all__ = ["build_graph"]

_LONGEST_LABEL = 48  # characters of a condition
_CONDITION = re.compile(r"condition:(\d+)")


def build_graph(runnable: Any, config: Mapping[str, Any] | None = None) -> Graph:
    """What `Runnable.get_graph` gives: the runnable's parts between its input and its output."""
    builder = _Builder(runnable)
    builder.draw(runnable, config, _Ask(True, True))
    return builder.graph


class _Ask(NamedTuple):
    """What is wanted of a part: its input before it, its output behind it, a name."""

    start: bool = False
    end: bool = False
    name: str | None = None


class _Part(NamedTuple):
    """The nodes through which a part is entered and left."""

    entries: list[Node]
    exits: list[Node]


class _Builder:
    """Builds one graph. `root` is not asked for its own `get_graph`, which is what called."""

    def __init__(self, root: Any) -> None:
        self.graph = Graph()
        self._root = root
        self._prefix = ""  # the subgraph that is being drawn
        self._subgraphs: set[str] = set()
        self._under_way: set[int] = set()  # functions whose dependencies are being drawn

    def draw(self, node: Any, config: Any, ask: _Ask) -> _Part:
        """Add a runnable to the graph, apart from what is there."""
        while node._transparent and len(node._children()) == 1 and not self._is_users(node):
            inner = node._children()[0][1]
            if node.get_name() != inner.get_name():
                ask = ask._replace(name=ask.name or node.get_name())
            node, config = inner, _settings(node, config)
        if self._is_users(node):
            return self._own(node, config, ask)
        if isinstance(node, RunnableLambda):
            return self._function(node, config, ask)
        layout = _LAYOUTS.get(node._layout) if node._children() else None
        return (layout or _Builder._step)(self, node, config, ask)

    def _is_users(self, node: Any) -> bool:
        theirs = getattr(type(node), "get_graph", None) is not Runnable.get_graph
        return theirs and node is not self._root

    # ------------------------------------------------------------- layouts

    def _step(self, node: Any, config: Any, ask: _Ask) -> _Part:
        before = self._schemas(ask.start, node, config, "input")
        it = self._box(node, config, ask.name)
        behind = self._schemas(ask.end, node, config, "output")
        self._link(before, [it])
        self._link([it], behind)
        return _Part(before or [it], behind or [it])

    def _row(self, node: Any, config: Any, ask: _Ask) -> _Part:
        steps = [child for _, child in node._children()]
        first, last = 0, len(steps) - 1
        entries: list[Node] = []
        exits: list[Node] = []
        for number, step in enumerate(steps):
            part = self.draw(
                step, config, _Ask(ask.start and number == first, ask.end and number == last)
            )
            self._link(exits, part.entries)
            entries, exits = entries or part.entries, part.exits
        return _Part(entries, exits)

    def _side(self, node: Any, config: Any, ask: _Ask) -> _Part:
        return self._beside(node, [child for _, child in node._children()], config, ask)

    def _along(self, node: Any, config: Any, ask: _Ask) -> _Part:
        arms = [child for _, child in node._children()[0][1]._children()]
        # Schemas are called after whoever made them: here both ends are the node's.
        return self._beside(node, [*arms, RunnablePassthrough()], config, ask, named=True)

    def _beside(
        self, node: Any, arms: Sequence[Any], config: Any, ask: _Ask, *, named: bool = False
    ) -> _Part:
        several = len(arms) != 1  # one alone needs no fork
        before = self._schemas(ask.start or several, node, config, "input", named=named)
        behind = self._schemas(ask.end or several, node, config, "output", named=named)
        parts = [self._between(before, arm, config, behind) for arm in arms]
        if not arms:
            self._link(before, behind)
        return _Part(before or parts[0].entries, behind or parts[0].exits)

    def _between(self, before: list[Node], arm: Any, config: Any, behind: list[Node]) -> _Part:
        part = self.draw(arm, config, _Ask())
        self._link(before, part.entries)
        self._link(part.exits, behind)
        return part

    def _one(self, node: Any, config: Any, ask: _Ask) -> _Part:
        before = self._schemas(ask.start, node, config, "input")
        choice = self._box(node, config, ask.name, outermost=ask.start and ask.end)
        self._link(before, [choice])
        exits: list[Node] = []
        for label, arm in _arms(node._children()):
            part = self.draw(arm, config, _Ask())
            for entry in part.entries:
                self.graph.add_edge(choice, entry, label, conditional=True)
            exits += part.exits
        behind = self._schemas(ask.end, node, config, "output")
        self._link(exits, behind)
        return _Part(before or [choice], behind or exits)

    def _inside(self, node: Any, config: Any, ask: _Ask) -> _Part:
        before = self._schemas(ask.start, node, config, "input")
        outside = self._prefix
        held = isinstance(node, Again) and node.holds_back(outermost=ask.start and ask.end)
        title = _short(ask.name or _policy(node))
        self._prefix = self._subgraph(f"{title}, held back" if held else title)
        try:
            parts = [self.draw(child, config, _Ask()) for _, child in node._children()]
        finally:
            self._prefix = outside
        behind = self._schemas(ask.end, node, config, "output")
        entries = [entry for part in parts for entry in part.entries]
        exits = [exit for part in parts for exit in part.exits]
        self._link(before, entries)
        self._link(exits, behind)
        return _Part(before or entries, behind or exits)

    # ------------------------------------------------------------- functions, users' graphs

    def _function(self, node: Any, config: Any, ask: _Ask) -> _Part:
        """A function: with the runnables that it refers to between what goes in and comes out."""
        found = [] if id(node) in self._under_way else runnables_in(node)
        found = [each for each in found if id(each) not in self._under_way]
        if not found:
            return self._step(node, config, ask)
        self._under_way.add(id(node))
        try:
            before = self._schemas(True, node, config, "input", node._flow().kind)
            behind = self._schemas(True, node, config, "output")
            for each in found:
                self._between(before, each, None, behind)
        finally:
            self._under_way.discard(id(node))
        return _Part(before, behind)

    def _own(self, node: Any, config: Any, ask: _Ask) -> _Part:
        given = node.get_graph(config)
        graph = Graph(dict(given.nodes), list(given.edges))
        # Its ends are its input and output, unless they are steps themselves.
        first, last = graph.first_node(), graph.last_node()
        if not ask.start and first and not isinstance(first.data, Runnable):
            graph.trim_first_node()
        if not ask.end and last and not isinstance(last.data, Runnable):
            graph.trim_last_node()
        here = {id: self._again(each) for id, each in graph.nodes.items()}
        for edge in graph.edges:
            source, target = here[edge.source], here[edge.target]
            self.graph.add_edge(source, target, edge.data, edge.conditional)
        targets = {edge.target for edge in graph.edges}
        sources = {edge.source for edge in graph.edges}
        every = list(here.values())
        entries = [each for id, each in here.items() if id not in targets]
        exits = [each for id, each in here.items() if id not in sources]
        return _Part(entries or every[:1], exits or every[-1:])

    # ------------------------------------------------------------- nodes and edges

    def _box(self, node: Any, config: Any, name: str | None, *, outermost: bool = False) -> Node:
        name = _short(name or node.get_name())
        metadata = (config or {}).get("metadata") or None
        kind = node.flow_read(outermost=outermost).kind if isinstance(node, Again) else None
        return self.graph.add_node(node, self._id(name), metadata=metadata, name=name, kind=kind)

    def _schemas(
        self,
        wanted: bool,
        node: Any,
        config: Any,
        side: str,
        kind: str = "",
        *,
        named: bool = False,
    ) -> list[Node]:
        """A node for what goes into a runnable or comes out of it, if it is wanted; `named`: called
        after the runnable, not after its schema."""
        if not wanted:
            return []
        schema = _schema(node, config, side)
        name = _short(node.get_name(side) if named else schema.__name__)
        return [self.graph.add_node(schema, self._id(name), name=name, kind=kind)]

    def _again(self, node: Node) -> Node:
        """A node of another graph, in this one and under an id that is free."""
        if is_uuid(node.id):
            id = self._id(node.name)
        else:
            id = self._free(f"{self._prefix}:{node.id}" if self._prefix else node.id)
        new = node.copy(id=id or self.graph.next_id())
        self.graph.nodes[new.id] = new
        return new

    def _id(self, name: str) -> str | None:
        """The id of a node in the subgraph that is being drawn; None: it does not matter."""
        if not self._prefix:
            return None
        return self._free(f"{self._prefix}:{_flat(name)}")

    def _free(self, id: str) -> str:
        number, plain = 1, id
        while id in self.graph.nodes:
            number += 1
            id = f"{plain}_{number}"
        return id

    def _subgraph(self, name: str) -> str:
        number = 1
        path = plain = f"{self._prefix}:{_flat(name)}" if self._prefix else _flat(name)
        while path in self._subgraphs:
            number += 1
            path = f"{plain}_{number}"
        self._subgraphs.add(path)
        return path

    def _link(self, sources: Iterable[Node], targets: Sequence[Node]) -> None:
        for source in sources:
            for target in targets:
                self.graph.add_edge(source, target)


_LAYOUTS: Mapping[str, Callable[[_Builder, Any, Any, _Ask], _Part]] = {
    "row": _Builder._row,
    "side": _Builder._side,
    "along": _Builder._along,
    "one": _Builder._one,
    "inside": _Builder._inside,
}


# ---- what a runnable says -----------------------------------------------------------------------


def _settings(node: Any, config: Any) -> Any:
    """The config under what is looked through: with what that adds."""
    called = getattr(node, "_called", None)
    return config if called is None else called(config, {})[0]


def _schema(node: Any, config: Any, side: str) -> Any:
    ask = node.get_input_schema if side == "input" else node.get_output_schema
    try:
        return ask(config)
    except Exception:  # types that nobody can make a schema of do not take the picture away
        from pydantic import create_model

        name = node.get_name(side.title())
        return create_model("".join(sign if sign.isprintable() else "_" for sign in name))


def _arms(children: Iterable[tuple[str | None, Any]]) -> Iterator[tuple[str, Any]]:
    """The ways of a choice, each with when it is taken: by what its condition is called, or its
    label; unlabelled ones follow each other on failures."""
    condition, number = "", 0
    given = list(children)
    numbered = len(given) > 2  # one fallback needs no number
    for label, child in given:
        asked = _CONDITION.fullmatch(label or "")
        if asked:
            condition = _said(child) or f"condition {asked[1]}"
            continue
        number += 1
        failed = f"on error {number - 1}" if numbered else "on error"
        usual = "first" if number == 1 else failed
        yield condition or (label or "").removeprefix("branch:") or usual, child
        condition = ""


def _said(condition: Any) -> str:
    """What a condition is called, or the source of a lambda; "" where nobody knows."""
    said = condition.get_name()
    if said.startswith("RunnableLambda"):
        said = repr(condition).removeprefix("RunnableLambda(").removesuffix(")")
    if said == "...":  # several lambdas in one line
        return ""
    return one_line(said, _LONGEST_LABEL)


def _policy(node: Any) -> str:
    """What a frame is called; one that goes by the name of what is in it, by its kind."""
    name: str = node.get_name()
    kind = type(node).__name__
    by_parts = hasattr(type(node), "_written") and name.startswith(f"{kind}<")
    within = {child.get_name() for _, child in node._children()}
    return kind if by_parts or name in within else name


def _short(name: str) -> str:
    return name.removeprefix("Runnable") or name


def _flat(name: str) -> str:
    """A name as part of an id, in which a colon would begin a subgraph."""
    return name.replace(":", "_") or "_"
