"""Where the boxes of a graph stand: layers from top to bottom, subgraphs in frames, no overlaps.

Units are those of the sizes given (characters or pixels), y grows downwards. Each subgraph is laid
out by itself and then stands in the one around it as one box. The text of an edge is a box too, of
which only the text is drawn. grandalf (Sugiyama's method) chooses the order in the layers and the
x coordinates; a last pass moves apart what is too close.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import MissingExtraError
from .structure import Structure

__all__ = ["Box", "Layout", "Line", "Spacing", "lay_out"]

Size = tuple[float, float]
Point = tuple[float, float]
_NODE, _FRAME, _TEXT = "node", "frame", "text"
_Key = tuple[str, str]  # what kind of thing, and its id


class Spacing(NamedTuple):
    """Sizes of what is drawn. `x` is None for the narrowest box's width; `frame` is the room
    within a frame at its sides and bottom, `title` that at its top."""

    box: Callable[[str], Size]  # of a node, by id
    text: Callable[[str], Size]  # of an edge's text
    frame_width: Callable[[str], float]  # what a frame's title needs
    x: float | None
    y: float
    frame: Point
    title: float


@dataclass
class Box:
    """A rectangle by its upper left corner. `kind`: "node" (`id`: the node's), "frame" (`id`: the
    subgraph's) or "text" (`id`: what an edge says)."""

    kind: str
    id: str
    x: float
    y: float
    w: float
    h: float

    @property
    def middle(self) -> Point:
        return self.x + self.w / 2, self.y + self.h / 2


@dataclass
class Line:
    """A part of an edge through points; `arrow`: its last point is the edge's end. `loop`: the edge
    leads back to where it comes from."""

    points: list[Point]
    dotted: bool
    arrow: bool
    loop: bool = False


@dataclass
class Layout:
    """Boxes, frames before what stands in them, and lines, all at or right of and below (0, 0)."""

    boxes: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    @property
    def nodes(self) -> dict[str, Box]:
        return {box.id: box for box in self.boxes if box.kind == _NODE}

    def moved(self, dx: float, dy: float) -> Layout:
        for box in self.boxes:
            box.x, box.y = box.x + dx, box.y + dy
        for line in self.lines:
            line.points = [(x + dx, y + dy) for x, y in line.points]
        return self

    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        points = [point for line in self.lines for point in line.points]
        points += [point for b in self.boxes for point in ((b.x, b.y), (b.x + b.w, b.y + b.h))]
        xs, ys = [x for x, _ in points] or [0.0], [y for _, y in points] or [0.0]
        return min(xs), min(ys), max(xs), max(ys)


class _Link(NamedTuple):
    """An edge between two things of one level, and the nodes it is really between."""

    source: _Key
    target: _Key
    ends: tuple[str, str]
    text: str
    dotted: bool


def lay_out(graph: Structure, spacing: Spacing) -> Layout:
    """Place a graph's nodes, frames and edges.

    Raises:
        MissingExtraError: grandalf is not installed.
    """
    return _Levels(graph, spacing).level("")


class _Levels:
    """The graph, subgraph by subgraph."""

    def __init__(self, graph: Structure, spacing: Spacing) -> None:
        self._spacing = spacing
        self._members: dict[str, list[_Key]] = defaultdict(list)
        self._links: dict[str, list[_Link]] = defaultdict(list)
        for id in graph.nodes:
            self._enter((_NODE, id))
        texts: dict[tuple[str, str, bool], list[str]] = defaultdict(list)
        for source, target, data, conditional in graph.edges:
            said = texts[source, target, conditional]  # edges that run together are one
            if data is not None and str(data) not in said:
                said.append(str(data))
        for (source, target, dotted), said in texts.items():
            level, one, other = _level_of(source, target)
            link = _Link(one, other, (source, target), ", ".join(said), dotted)
            self._links[level].append(link)

    def _enter(self, key: _Key) -> None:
        while True:
            outer = key[1].rpartition(":")[0]
            known = key in self._members[outer] if key[0] == _FRAME else False
            if known:
                return
            self._members[outer].append(key)
            if not outer:
                return
            key = (_FRAME, outer)

    def level(self, prefix: str) -> Layout:
        """The inside of a subgraph ("": the graph)."""
        inner: dict[_Key, Layout] = {}
        sizes: dict[_Key, Size] = {}
        for key in self._members[prefix]:
            if key[0] == _FRAME:
                inner[key] = self._framed(key[1])
                _, _, right, bottom = inner[key].bounds()
                sizes[key] = right, bottom
            else:
                sizes[key] = self._spacing.box(key[1])
        arrows: dict[tuple[_Key, _Key], list[_Link]] = defaultdict(list)
        ways: list[tuple[_Key, _Key]] = []
        for link in self._links[prefix]:
            if link.source != link.target:
                stops = self._stops(link, sizes)
                ways += itertools.pairwise(stops)
                for way in itertools.pairwise(stops):
                    arrows[way].append(link)
        middles, bends = _arrange(sizes, ways, self._spacing)
        layout = Layout()
        for key, (x, y) in middles.items():
            w, h = sizes[key]
            if key in inner:
                placed = inner[key].moved(x - w / 2, y - h / 2)
                layout.boxes += placed.boxes
                layout.lines += placed.lines
            else:
                id = key[1].partition("\0")[0]
                layout.boxes.append(Box(key[0], id, x - w / 2, y - h / 2, w, h))
        self._draw_lines(layout, arrows, bends, middles, sizes)
        self._draw_loops(layout, prefix)
        left, top, _, _ = layout.bounds()
        return layout if not prefix else layout.moved(-left, -top)

    def _framed(self, prefix: str) -> Layout:
        inside = self.level(prefix)
        _, _, right, bottom = inside.bounds()
        (side, below), title = self._spacing.frame, self._spacing.title
        width = max(right + 2 * side, self._spacing.frame_width(prefix.rpartition(":")[2]))
        inside.moved((width - right) / 2, title)
        frame = Box(_FRAME, prefix, 0, 0, width, bottom + title + below)
        inside.boxes.insert(0, frame)
        return inside

    def _stops(self, link: _Link, sizes: dict[_Key, Size]) -> list[_Key]:
        """What an edge passes: its text has a place of its own."""
        if not link.text:
            return [link.source, link.target]
        key = (_TEXT, f"{link.text}\0{len(sizes)}")
        sizes[key] = self._spacing.text(link.text)
        return [link.source, key, link.target]

    def _draw_lines(
        self,
        layout: Layout,
        arrows: Mapping[tuple[_Key, _Key], list[_Link]],
        bends: Mapping[tuple[_Key, _Key], list[Point]],
        middles: Mapping[_Key, Point],
        sizes: Mapping[_Key, Size],
    ) -> None:
        nodes = layout.nodes
        for (source, target), links in arrows.items():
            down = middles[source][1] <= middles[target][1]
            for link in links:
                points = list(bends[source, target])
                points.insert(0, _port(middles[source], sizes[source], down))
                points.append(_port(middles[target], sizes[target], not down))
                if source[0] == _FRAME:
                    points.insert(0, _side(nodes[link.ends[0]], down))
                if target[0] == _FRAME:
                    points.append(_side(nodes[link.ends[1]], not down))
                layout.lines.append(Line(points, link.dotted, target[0] != _TEXT))

    def _draw_loops(self, layout: Layout, prefix: str) -> None:
        nodes = layout.nodes
        for link in self._links[prefix]:
            if link.ends[0] == link.ends[1]:
                box = nodes[link.ends[0]]
                right, (_, y), reach = box.x + box.w, box.middle, self._spacing.y
                points = [(right, y), (right + reach, y), (right + reach, box.y + box.h)]
                points += [(box.x + box.w / 2, box.y + box.h + reach / 2)]
                points += [(box.x + box.w / 2, box.y + box.h)]
                layout.lines.append(Line(points, link.dotted, True, loop=True))


def _level_of(source: str, target: str) -> tuple[str, _Key, _Key]:
    """The innermost subgraph that holds both nodes, and what of it each of them is or is in."""
    one, other = source.split(":"), target.split(":")
    depth = 0
    while depth < min(len(one), len(other)) - 1 and one[depth] == other[depth]:
        depth += 1

    def member(parts: list[str], id: str) -> _Key:
        is_node = len(parts) == depth + 1
        return (_NODE, id) if is_node else (_FRAME, ":".join(parts[: depth + 1]))

    return ":".join(one[:depth]), member(one, source), member(other, target)


def _port(middle: Point, size: Size, below: bool) -> Point:
    return middle[0], middle[1] + (size[1] / 2 if below else -size[1] / 2)


def _side(box: Box, below: bool) -> Point:
    return _port(box.middle, (box.w, box.h), below)


# ---- one level ----------------------------------------------------------------------------------

_Way = tuple[_Key, _Key]


def _arrange(
    sizes: Mapping[_Key, Size], ways: list[_Way], spacing: Spacing
) -> tuple[dict[_Key, Point], dict[_Way, list[Point]]]:
    """The middle of each thing, and the points at which lines pass the layers between."""
    graphs, layouts = _grandalf()
    vertices = {key: graphs.Vertex(key) for key in sizes}
    for key, vertex in vertices.items():
        vertex.view = _View(*sizes[key])
    back = _backward(list(sizes), ways)
    # A way there and a way back are one line in the layout.
    forward = dict.fromkeys((b, a) if (a, b) in back else (a, b) for a, b in ways)
    edges = {way: graphs.Edge(vertices[way[0]], vertices[way[1]]) for way in forward}
    graph = graphs.Graph(list(vertices.values()), list(edges.values()))
    number = {key: at for at, key in enumerate(sizes)}
    bends: dict[_Way, list[Point]] = {}
    left = None
    # Things that hang together have layers of their own and stand beside the others, in order.
    for core in sorted(graph.C, key=lambda core: min(number[each.data] for each in core.sV)):
        inside = {each.data for each in core.sV}
        keys = [key for key in sizes if key in inside]
        sugiyama = layouts.SugiyamaLayout(core)
        _place(sugiyama, keys, [way for way in forward if way[0] in inside], spacing)
        views = [vertices[key].view for key in keys]
        shift = 0.0 if left is None else left - min(view.xy[0] - view.w / 2 for view in views)
        for layer in sugiyama.layers:
            for each in layer:
                each.view.xy = (each.view.xy[0] + shift, each.view.xy[1])
        left = max(view.xy[0] + view.w / 2 for view in views) + (spacing.x or 4)
        for way in ways:
            if way[0] in inside and way not in bends:
                one, other = way[::-1] if way in back else way
                points = _through(sugiyama, vertices[one], vertices[other], edges[one, other])
                bends[way] = points[::-1] if way in back else points
    middles = {key: vertex.view.xy for key, vertex in vertices.items()}
    return middles, bends


def _backward(keys: list[_Key], ways: list[_Way]) -> set[_Way]:
    """The ways that close a circle, when one walks from those things that none leads to."""
    out: dict[_Key, list[_Key]] = {key: [] for key in keys}
    for one, other in ways:
        out[one].append(other)
    led_to = {other for _, other in ways}
    starts = [key for key in keys if key not in led_to] + keys
    on_path: set[_Key] = set()
    done: set[_Key] = set()
    back: set[_Way] = set()
    for start in starts:
        if start in done:
            continue
        stack = [(start, iter(out[start]))]
        on_path.add(start)
        while stack:
            here, rest = stack[-1]
            ahead = next(rest, None)
            if ahead is None:
                stack.pop()
                on_path.discard(here)
                done.add(here)
            elif ahead in on_path:
                back.add((here, ahead))
            elif ahead not in done:
                on_path.add(ahead)
                stack.append((ahead, iter(out[ahead])))
    return back


class _View:
    """What grandalf wants to know of a box, and tells of it."""

    def __init__(self, w: float, h: float) -> None:
        self.w, self.h = w, h
        self.xy: Point = (0.0, 0.0)


def _place(sugiyama: Any, keys: list[_Key], ways: list[_Way], spacing: Spacing) -> None:
    """Layers for things that hang together; the ways have no circle."""
    roots = [vertex for vertex in sugiyama.g.sV if not vertex.e_in()]
    sugiyama.init_all(roots=roots, inverted_edges=[])
    _keep_order(sugiyama, keys, ways)
    sugiyama.yspace = spacing.y
    narrowest = min(vertex.view.w for vertex in sugiyama.g.sV)
    sugiyama.xspace = narrowest if spacing.x is None else spacing.x
    sugiyama.draw()
    _move_apart(sugiyama, 2 if spacing.x is None else spacing.x)


def _keep_order(sugiyama: Any, keys: list[_Key], ways: list[_Way]) -> None:
    """Begin with the order in which things are met walking down the graph, so that arms stand as
    they were given; what crosses is then turned."""
    out: dict[_Key, list[_Key]] = {key: [] for key in keys}
    for one, other in ways:
        out[one].append(other)
    led_to = {other for _, other in ways}
    met: dict[_Key, int] = {}
    parent: dict[_Key, _Key] = {}
    todo = [key for key in reversed(keys) if key not in led_to]
    while todo:
        key = todo.pop()
        if key in met:
            continue
        met[key] = len(met)
        for other in reversed(out[key]):
            if other not in met:
                parent[other] = key
                todo.append(other)
    places = {sugiyama.grx[vertex]: met[vertex.data] for vertex in sugiyama.g.sV}
    for edge, between in sugiyama.ctrls.items():
        source, target = (vertex.data for vertex in edge.v)
        place = met[target] if parent.get(target) == source else met[source]
        for dummy in between.values():
            places.setdefault(sugiyama.grx[dummy], place)
    for layer in sugiyama.layers:
        layer.sort(key=lambda each: places[sugiyama.grx[each]])
    for layer in sugiyama.layers:
        layer.setup(sugiyama)


def _through(sugiyama: Any, source: Any, target: Any, edge: Any) -> list[Point]:
    """The points of a line between its ends: straight down through each layer, so that it slants
    only between layers, where nothing stands."""
    passed = {sugiyama.grx[source].rank: source, sugiyama.grx[target].rank: target}
    passed.update(sugiyama.ctrls.get(edge, {}))
    points: list[Point] = []
    for rank in sorted(passed):
        x, y = passed[rank].view.xy
        half = max(each.view.h for each in sugiyama.layers[rank]) / 2
        points += [(x, y - half), (x, y + half)]
    return points[1:-1]


def _move_apart(sugiyama: Any, gap: float) -> None:
    """What overlaps in a layer moves to the right."""
    for layer in sugiyama.layers:
        reach = None
        for vertex in layer:
            view = vertex.view
            dummy = bool(sugiyama.grx[vertex].dummy)
            half = 0.5 if dummy else view.w / 2
            x, y = view.xy
            if reach is not None and x - half < reach + gap:
                x = reach + gap + half
            view.xy = (x, y)
            reach = x + half


def _grandalf() -> tuple[Any, Any]:
    try:
        from grandalf import graphs, layouts
    except ImportError as error:
        raise MissingExtraError(
            "grandalf", extra="graph", purpose="A picture of a graph"
        ) from error
    return graphs, layouts
