"""A graph in Mermaid's flowchart language.

Nodes of a subgraph stand in it with the edges between them; an edge between subgraphs stands in
the innermost one that holds both its ends. What Mermaid would read as its own signs is escaped, in
names as well as in labels.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from .describe import label_of, metadata_lines
from .parts import Edge, Node
from .structure import Structure
from .styles import CurveStyle, NodeStyles

__all__ = ["mermaid_text", "safe_id"]

_ENTITIES = {
    "#": "#35;",
    "[": "#91;",
    "]": "#93;",
    "(": "#40;",
    ")": "#41;",
    "{": "#123;",
    "}": "#125;",
    '"': "#quot;",
    "<": "#60;",
    ">": "#62;",
    "|": "#124;",
    ";": "#59;",
    "%": "#37;",
    "\\": "#92;",
    "\r": " ",
    "\n": " ",
}
_ESCAPES = str.maketrans(_ENTITIES)
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_EMPHASIS = ("*", "_", "`")  # a name between these would be Markdown
_RESERVED = re.compile(
    r"(?i)end|default|subgraph|graph|flowchart|click|style|linkstyle|classdef|class"
)


def mermaid_text(
    graph: Structure,
    *,
    with_styles: bool,
    curve: CurveStyle,
    styles: NodeStyles,
    wrap: int,
    frontmatter: Mapping[str, Any],
) -> str:
    """See `Graph.draw_mermaid`; the graph's ids are readable already."""
    writer = _Writer(graph, with_styles, wrap)
    lines = ["graph TD;", *writer.inside("")]
    if with_styles:
        looks = asdict(styles)
        if not any(node.kind == "barrier" for node in graph.nodes.values()):
            del looks["barrier"]
        lines += [f"\tclassDef {name} {look}" for name, look in looks.items()]
        config = dict(frontmatter.get("config") or {})
        config["flowchart"] = {**config.get("flowchart", {}), "curve": curve.value}
        lines = ["---", *_yaml({**frontmatter, "config": config}), "---", *lines]
    return "\n".join(lines) + "\n"


class _Writer:
    """The lines of a graph, subgraph by subgraph."""

    def __init__(self, graph: Structure, with_styles: bool, wrap: int) -> None:
        self._with_styles = with_styles
        self._wrap = wrap
        ends = {"first": graph.first_node(), "last": graph.last_node()}
        self._ends = {node.id: kind for kind, node in ends.items() if node is not None}
        self._nodes: dict[str, list[Node]] = {}
        self._edges: dict[str, list[Edge]] = {}
        # Subgraphs by the one they stand in; those that edges name come first, as they are met.
        self._subgraphs: dict[str, list[str]] = {}
        for edge in graph.edges:
            prefix = _shared(edge)
            self._edges.setdefault(prefix, []).append(edge)
            if edge.source != edge.target:
                self._enter(prefix)
        for id, node in graph.nodes.items():
            prefix = id.rpartition(":")[0]
            self._nodes.setdefault(prefix, []).append(node)
            if with_styles:
                self._enter(prefix)
        every = [prefix for inside in self._subgraphs.values() for prefix in inside]
        self._count = Counter(prefix.rpartition(":")[2] for prefix in every)

    def _enter(self, prefix: str) -> None:
        while prefix:
            outer = prefix.rpartition(":")[0]
            known = self._subgraphs.setdefault(outer, [])
            if prefix in known:
                return
            known.append(prefix)
            prefix = outer

    def inside(self, start: str) -> Iterator[str]:
        """The lines of everything in a subgraph ("": the graph). Its own stack, so that depth is
        no matter."""
        todo: list[str | None] = [start]
        while todo:
            prefix = todo.pop()
            if prefix is None:
                yield "\tend"
                continue
            if prefix:
                yield f"\tsubgraph {self._title(prefix)}"
            if self._with_styles:
                yield from map(self._node, self._nodes.get(prefix, ()))
            yield from map(self._edge, self._edges.get(prefix, ()))
            if prefix:
                todo.append(None)
            todo += reversed(self._subgraphs.get(prefix, []))

    def _title(self, prefix: str) -> str:
        name = prefix.rpartition(":")[2]
        id = name if self._count[name] == 1 else prefix
        if id == name and _PLAIN.fullmatch(name) and not _RESERVED.fullmatch(name):
            return name
        return f'{_node_id(id)}["{_label(name)}"]'

    def _node(self, node: Node) -> str:
        name = label_of(node)
        label = _label(name)
        if name[:1] in _EMPHASIS and name[-1:] in _EMPHASIS:
            label = f"<p>{label}</p>"
        about = [_label(line) for line in metadata_lines(node.metadata or {})]
        if about:
            label += "<hr/><small><em>" + "\n".join(about) + "</em></small>"
        id = _node_id(node.id)
        end = self._ends.get(node.id)
        if end is None:
            return f"\t{id}({label}){':::barrier' if node.kind == 'barrier' else ''}"
        also = f"\n\tclass {id} barrier;" if node.kind == "barrier" else ""
        return f"\t{id}([{label}]):::{end}{also}"

    def _edge(self, edge: Edge) -> str:
        source, target = _node_id(edge.source), _node_id(edge.target)
        if edge.data is None:
            return f"\t{source} {'-.->' if edge.conditional else '-->'} {target};"
        words = str(edge.data).split()
        step = max(self._wrap, 1)
        rows = [" ".join(words[at : at + step]) for at in range(0, len(words), step)] or [""]
        text = "&nbsp<br>&nbsp".join(_label(row).replace("--", "#45;#45;") for row in rows)
        before, after = ("-.", ".->") if edge.conditional else ("--", "-->")
        return f"\t{source} {before} &nbsp;{text}&nbsp; {after} {target};"


def safe_id(name: str) -> str:
    """A name as a Mermaid id: letters, digits, `_` and `-` stay, any other character becomes a
    backslash and its code point in hexadecimal."""
    return "".join(sign if _PLAIN.fullmatch(sign) else f"\\{ord(sign):x}" for sign in name)


def _node_id(id: str) -> str:
    if _RESERVED.fullmatch(id):  # a node called "end" would close a subgraph
        return f"\\{ord(id[0]):x}{id[1:]}"
    return safe_id(id)


def _label(text: str) -> str:
    return text.translate(_ESCAPES)


def _shared(edge: Edge) -> str:
    """The innermost subgraph that holds both ends; a node's own id is that of what it contains."""
    source, target = edge.source.split(":"), edge.target.split(":")
    if source == target:
        source.pop()
    shared: list[str] = []
    for one, other in zip(source, target, strict=False):
        if one != other:
            break
        shared.append(one)
    return ":".join(shared)


# ---- front matter -------------------------------------------------------------------------------

_YAML_PLAIN = re.compile(r"[A-Za-z_][\w./-]*( [\w./-]+)*")
_YAML_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"))


def _yaml(value: Any, indent: str = "") -> list[str]:
    """A mapping or list of plain values as lines of YAML, keys in order."""
    lines: list[str] = []
    is_mapping = isinstance(value, Mapping)
    for key, inner in sorted(value.items(), key=str) if is_mapping else enumerate(value):
        lead = f"{indent}{_scalar(key)}:" if is_mapping else f"{indent}-"
        if isinstance(inner, Mapping | list | tuple) and inner:
            lines += [lead, *_yaml(inner, indent + "  ")]
        else:
            lines.append(f"{lead} {_scalar(inner)}")
    return lines


def _scalar(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value, default=str)  # numbers, booleans, null, and what is empty
    if _YAML_PLAIN.fullmatch(value) and value.lower() not in _YAML_WORDS:
        return value
    if "\n" in value or not value.isprintable():
        return json.dumps(value)
    return "'" + value.replace("'", "''") + "'"
