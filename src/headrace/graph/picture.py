"""A graph as a picture: rectangles, texts and curves in pixels, before anybody paints them.

`svg.py` and `png.py` paint the same shapes, so that the two images agree. What waits for its whole
input has two bars before its name, like a pause sign, and a legend.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

from ..runnables import Runnable
from .describe import label_of, metadata_lines, one_line
from .layout import Box, Line, Spacing, lay_out
from .parts import LabelsDict, Node
from .structure import Structure
from .styles import NodeStyles

__all__ = ["Curve", "Picture", "Rect", "Text", "picture"]

_SIZE, _SMALL = 14.0, 11.0  # of fonts, in pixels
_ROW = 15.0  # height of a line of metadata
_INK, _GREY, _FRAME = "#212529", "#495057", "#868e96"
_BAR_W, _BAR_H, _BARS = 3.0, 12.0, 15.0  # a bar, and what both take with the gap behind them
_TIP = 9.0  # of an arrow
_LEGEND = "waits for its whole input"
_LONGEST, _LONGEST_TITLE = 60, 30  # characters, of a name and of a frame's title


@dataclass
class Rect:
    """A rectangle with round corners. Colours are CSS's; None: not painted."""

    x: float
    y: float
    w: float
    h: float
    radius: float
    fill: str | None
    stroke: str | None
    width: float = 1.0
    dashed: bool = False
    node: str | None = None  # the id of the node whose box it is


@dataclass
class Text:
    """One line of text around (x, y), or right of x if not `centred`. `room`: the width it may
    take."""

    x: float
    y: float
    text: str
    size: float
    color: str
    room: float
    centred: bool = True


@dataclass
class Curve:
    """From point to point, leaving and reaching each one vertically; with an arrow's tip at its
    end."""

    points: list[tuple[float, float]]
    dashed: bool
    arrow: bool
    straight: bool = False
    color: str = "#495057"

    @property
    def tip(self) -> list[tuple[float, float]]:
        """The corners of the arrow's tip, if it has one."""
        x, y = self.points[-1]
        back = -7 if len(self.points) < 2 or self.points[-2][1] <= y else 7
        return [(x, y), (x - 4, y + back), (x + 4, y + back)] if self.arrow else []


@dataclass
class Picture:
    """Shapes in the order in which they are painted, within (0, 0) and (width, height)."""

    width: float = 0.0
    height: float = 0.0
    shapes: list[Rect | Text | Curve] = field(default_factory=list)


def picture(
    graph: Structure,
    labels: LabelsDict | None,
    styles: NodeStyles,
    padding: float = 10.0,
    readable: Callable[[str], str] = str,
) -> Picture:
    """The shapes of a graph, with `padding` around them; `readable` makes a text one that the
    painter can write.

    Raises:
        MissingExtraError: grandalf is not installed.
    """
    return _Painter(graph, labels, styles, readable).paint(padding)


class _Painter:
    def __init__(
        self,
        graph: Structure,
        labels: LabelsDict | None,
        styles: NodeStyles,
        readable: Callable[[str], str],
    ) -> None:
        self._graph = graph
        self._readable = readable
        given: Mapping[str, str] = labels["nodes"] if labels else {}
        self._edges: Mapping[str, str] = labels["edges"] if labels else {}
        self._names = {
            id: self._line(given.get(id, label_of(node))) for id, node in graph.nodes.items()
        }
        self._about = {
            id: [self._line(line) for line in metadata_lines(node.metadata or {})]
            for id, node in graph.nodes.items()
        }
        self._looks = {kind: _declarations(look) for kind, look in asdict(styles).items()}
        ends = {"first": graph.first_node(), "last": graph.last_node()}
        self._ends = {node.id: kind for kind, node in ends.items() if node is not None}

    def paint(self, padding: float) -> Picture:
        spacing = Spacing(
            box=self._size,
            text=lambda text: (text_width(self._said(text), _SMALL) + 12, _SMALL + 8),
            # A line comes in at the middle: the title stands left of it.
            frame_width=lambda title: 2 * (text_width(self._title(title), _SMALL) + 20),
            x=28.0,
            y=40.0,
            frame=(18.0, 18.0),
            title=34.0,
        )
        layout = lay_out(self._graph, spacing)
        left, top, right, bottom = layout.bounds()
        layout.moved(padding - left, padding - top)
        made = Picture(right - left + 2 * padding, bottom - top + 2 * padding)
        for box in layout.boxes:
            if box.kind == "frame":
                self._frame(made, box)
        for line in layout.lines:
            made.shapes.append(_curve(line))
        for box in layout.boxes:
            if box.kind == "node":
                self._box(made, box, self._graph.nodes[box.id])
            elif box.kind == "text":
                # A line that has nowhere else to go passes behind the text.
                made.shapes.append(
                    Rect(box.x + 4, box.y + 3, box.w - 8, box.h - 6, 3.0, "#ffffffe6", None)
                )
                text = Text(*box.middle, self._said(box.id), _SMALL, _GREY, box.w)
                made.shapes.append(text)
        if any(node.kind == "barrier" for node in self._graph.nodes.values()):
            self._legend(made, padding)
        return made

    def _line(self, text: str, longest: int = _LONGEST) -> str:
        return self._readable(one_line(text, longest))

    def _title(self, text: str) -> str:
        return self._line(text, _LONGEST_TITLE)

    def _said(self, text: str) -> str:
        return self._line(self._edges.get(text, text))

    def _size(self, id: str) -> tuple[float, float]:
        bars = 2 * _BARS if self._graph.nodes[id].kind == "barrier" else 0.0
        about = self._about[id]
        wide = text_width(self._names[id], _SIZE) + bars
        wide = max(wide, *(text_width(line, _SMALL) for line in about)) if about else wide
        return wide + 32, 36 + _ROW * len(about)

    def _box(self, made: Picture, box: Box, node: Node) -> None:
        waits = node.kind == "barrier"
        look = self._looks["barrier" if waits else self._ends.get(node.id, "default")]
        is_step = isinstance(node.data, Runnable)
        rect = _rect(look, box.x, box.y, box.w, box.h, 6.0 if is_step else box.h / 2)
        rect.node = node.id
        made.shapes.append(rect)
        about = self._about[node.id]
        x, y = box.middle
        y -= _ROW * len(about) / 2
        ink = look.get("color", _INK)
        if waits:
            self._bars(made, box.x + 14, y)
        room = box.w - 16 - (2 * _BARS + 8 if waits else 0)
        made.shapes.append(Text(x, y, self._names[node.id], _SIZE, ink, room))
        for number, line in enumerate(about, 1):
            below = Text(box.middle[0], y + 3 + _ROW * number, line, _SMALL, _GREY, box.w - 16)
            made.shapes.append(below)

    def _bars(self, made: Picture, x: float, y: float) -> None:
        colour = self._looks["barrier"].get("stroke", _INK)
        for at in (x, x + 2 * _BAR_W):
            made.shapes.append(Rect(at, y - _BAR_H / 2, _BAR_W, _BAR_H, 0.0, colour, None))

    def _frame(self, made: Picture, box: Box) -> None:
        made.shapes.append(Rect(box.x, box.y, box.w, box.h, 8.0, "#00000008", _FRAME, dashed=True))
        title = self._title(box.id.rpartition(":")[2])
        made.shapes.append(
            Text(box.x + 12, box.y + 14, title, _SMALL, _GREY, box.w - 16, centred=False)
        )

    def _legend(self, made: Picture, padding: float) -> None:
        y = made.height + 6
        wide = text_width(_LEGEND, _SMALL)
        self._bars(made, padding, y)
        text = Text(padding + _BARS, y, _LEGEND, _SMALL, _GREY, wide + 8, centred=False)
        made.shapes.append(text)
        made.height = y + _SMALL + padding
        made.width = max(made.width, wide + _BARS + 2 * padding + 8)


def _curve(line: Line) -> Curve:
    points = [line.points[0]]
    for point in line.points[1:]:
        if point != points[-1]:
            points.append(point)
    if line.arrow and not line.loop and len(points) > 1:
        (x, y), before = points[-1], points[-2][1]
        tip = min(_TIP, abs(y - before) / 2)
        points.insert(-1, (x, y - tip if before <= y else y + tip))  # it arrives straight
    return Curve(points, line.dotted, line.arrow, straight=line.loop)


def _rect(look: Mapping[str, str], x: float, y: float, w: float, h: float, radius: float) -> Rect:
    fill: str | None = look.get("fill", "#ffffff")
    if look.get("fill-opacity") == "0" or fill == "none":
        fill = None
    width = re.match(r"[\d.]+", look.get("stroke-width", "1"))
    stroke = look.get("stroke", "#9a8fd8")
    return Rect(x, y, w, h, radius, fill, stroke, float(width[0]) if width else 1.0)


def _declarations(look: str) -> dict[str, str]:
    """`fill:#fff,stroke:rgb(1,2,3)` as a dict."""
    parts = re.split(r"[,;](?![^(]*\))", look)
    pairs = (part.partition(":") for part in parts if ":" in part)
    return {key.strip(): value.strip() for key, _, value in pairs}


# Widths of characters in parts of the font's size, rather too large than too small.
_WIDTHS = (
    ("iIjl.,:;'|!`", 0.3),
    ('ftr()[]{}/\\- "*', 0.4),
    ("mwMW@%", 0.95),
    ("—…", 1.0),
)
_BY_SIGN = {sign: width for signs, width in _WIDTHS for sign in signs}


def text_width(text: str, size: float) -> float:
    """About how wide a text is in a sans-serif font of that size, in pixels."""
    return size * sum(map(_sign_width, text))


def _sign_width(sign: str) -> float:
    known = _BY_SIGN.get(sign)
    if known is not None:
        return known
    if unicodedata.combining(sign):
        return 0.0
    if unicodedata.east_asian_width(sign) in "WF":
        return 1.05
    return 0.72 if sign.isupper() else 0.57
