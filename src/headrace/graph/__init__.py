"""Graphs: what a runnable is made of, as data and as pictures.

`runnable.get_graph()` gives a `Graph`. Its text for Mermaid and its JSON need nothing more;
pictures (`draw_ascii`, `draw_svg`, `draw_png`) are drawn on this machine alone and need the extra
`graph`.
"""

from .model import Graph
from .parts import Branch, Edge, LabelsDict, Node
from .styles import CurveStyle, MermaidDrawMethod, NodeStyles

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
