"""A graph in characters: boxes, lines of `*` (`.` for one of several ways), frames for subgraphs.

A box with `=` above and below waits for its whole input; a legend says so where there is one. A
character counts as one column; wide ones (Chinese, emoji) as the two that terminals give them.

Lines go down and across, never through a box: from the middle of a border to the middle of one,
and across in rows of their own between two layers. Lines that only meet at their ends cross with a
gap on either side.
"""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections import defaultdict
from typing import NamedTuple

from .describe import label_of, one_line
from .layout import Box, Layout, Line, Spacing, lay_out
from .structure import Structure

__all__ = ["ascii_text", "columns_of"]

_LEGEND = "[=] waits for its whole input"
_TINY = 1e-6  # what sums of fractions are off
_GAP = 3  # rows between layers
_MOST_ROWS = 9  # for lines across, in one gap
# From roomy to narrow: the longest name, and the columns between boxes (None: the narrowest box's).
_ROOMS: tuple[tuple[int, int | None], ...] = (
    (60, None),
    (60, 3),
    (40, 3),
    (28, 3),
    (20, 3),
    (16, 2),
)


def ascii_text(graph: Structure, width: int | None = None) -> str:
    """See `Graph.draw_ascii`."""
    tried: list[str] = []
    for longest, gap in _ROOMS if graph.nodes else ():
        drawn = _drawn(graph, longest, gap)
        if width is None or max(columns_of(line.rstrip()) for line in drawn.split("\n")) <= width:
            return drawn
        tried.append(drawn)
    return tried[1] if tried else ""  # names are not cut for nothing


def _drawn(graph: Structure, longest: int, gap: int | None) -> str:
    names = {id: one_line(label_of(node), longest) for id, node in graph.nodes.items()}

    def said(text: str) -> str:
        return one_line(text, longest)

    spacing = Spacing(
        box=lambda id: (columns_of(names[id]) + 4, 3),
        text=lambda text: (columns_of(said(text)) + 2, 1),
        frame_width=lambda title: columns_of(said(title)) + 6,
        x=gap,
        y=_GAP,
        frame=(2, 2),
        title=3,
    )
    layout = lay_out(graph, spacing)
    rows = _rows_across(layout)
    if rows > 1:
        layout = lay_out(graph, spacing._replace(y=1 + 2 * min(rows, _MOST_ROWS)))
    canvas = _Canvas(layout)
    canvas.lines(layout.lines)
    barriers = {id for id, node in graph.nodes.items() if node.kind == "barrier"}
    for box in layout.boxes:
        if box.kind == "frame":
            canvas.frame(box, said(box.id.rpartition(":")[2]))
        elif box.kind == "text":
            canvas.text(*canvas.at(box.x, box.y), f" {said(box.id)} ")
        else:
            canvas.box(box, names[box.id], "=" if box.id in barriers else "-")
    return canvas.shown() + (f"\n\n{_LEGEND}" if barriers else "")


def columns_of(text: str) -> int:
    """How many columns a text takes on a terminal."""
    return sum(_columns(sign) for sign in text)


def _cell(at: float) -> int:
    return math.floor(at + _TINY)


def _columns(sign: str) -> int:
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


# ---- lines --------------------------------------------------------------------------------------


class _Way(NamedTuple):
    """A part of a line from row `top` to before row `bottom`, from one column to another."""

    top: int
    bottom: int
    start: int
    end: int
    sign: str


def _ways(lines: list[Line]) -> dict[tuple[int, int], list[_Way]]:
    """The parts of the lines by the rows that they pass; loops are none."""
    found: dict[tuple[int, int], list[_Way]] = defaultdict(list)
    for line in lines:
        for one, other in itertools.pairwise([] if line.loop else line.points):
            (x0, top), (x1, bottom) = sorted(
                ((_cell(x), _cell(y + 0.5)) for x, y in (one, other)),
                key=lambda point: point[1],
            )
            way = _Way(top, bottom, x0, x1, "." if line.dotted else "*")
            if bottom > top and way not in found[top, bottom]:
                found[top, bottom].append(way)
    return found


def _rows_across(layout: Layout) -> int:
    """How many rows for lines across the fullest gap between layers needs."""
    return max((max(_nets(ways).values()) + 1 for ways in _ways(layout.lines).values()), default=0)


def _nets(ways: list[_Way]) -> dict[tuple[_Way, ...], int]:
    """The lines of a gap that may share a row across, each group with the number of its row.

    That is where every upper end leads to every lower one; otherwise each upper end by itself.
    """
    groups: dict[frozenset[int], list[_Way]] = defaultdict(list)
    for start in dict.fromkeys(way.start for way in ways):
        own = [way for way in ways if way.start == start]
        groups[frozenset(way.end for way in own)] += own
    todo, rows = list(groups.values()), {}
    reach: list[list[tuple[int, int]]] = []
    while todo:
        # A line across stands above those whose lower ends are below its upper one.
        net = next((one for one in todo if not any(_below(one, other) for other in todo)), todo[0])
        todo.remove(net)
        left, right = _span(net)
        row = len(reach)
        while row and all(right < a or b < left for a, b in reach[row - 1]):
            row -= 1
        if row == len(reach):
            reach.append([])
        if left < right:
            reach[row].append((left, right))
        rows[tuple(net)] = row
    return rows


def _below(one: list[_Way], other: list[_Way]) -> bool:
    ends = {way.end for way in one}
    return one is not other and any(way.start in ends for way in other)


def _span(net: list[_Way]) -> tuple[int, int]:
    columns = [column for way in net for column in (way.start, way.end)]
    return min(columns), max(columns)


class _Canvas:
    """Rows of characters; a wide one leaves the cell behind it empty."""

    def __init__(self, layout: Layout) -> None:
        left, top, right, bottom = layout.bounds()
        layout.moved(-left, -top)
        wide = math.ceil(right) - math.floor(left) + 1
        self._rows = [[" "] * wide for _ in range(round(bottom - top))]

    def at(self, x: float, y: float) -> tuple[int, int]:
        """The cell of a corner."""
        return _cell(x + 0.5), _cell(y + 0.5)

    def put(self, x: int, y: int, sign: str) -> None:
        if 0 <= y < len(self._rows) and 0 <= x < len(self._rows[y]):
            self._rows[y][x] = sign

    def text(self, x: int, y: int, text: str) -> None:
        for sign in text:
            columns = _columns(sign)
            if columns == 0:  # belongs to the sign before it
                self._rows[y][x - 1] += sign
                continue
            self.put(x, y, sign)
            if columns == 2:
                self.put(x + 1, y, "")
            x += columns

    def box(self, box: Box, name: str, edge: str) -> None:
        x, y = self.at(box.x, box.y)
        if round(box.w) % 2 == 0:  # of its two middles, either will do for a line
            x = round(box.x)
        border = f"+{edge * (round(box.w) - 2)}+"
        for row, text in enumerate((border, f"| {name} |", border)):
            self.text(x, y + row, text)

    def frame(self, box: Box, title: str) -> None:
        x, y = self.at(box.x, box.y)
        right, bottom = (each - 1 for each in self.at(box.x + box.w, box.y + box.h))
        for row in range(y + 1, bottom):
            for column in (x, right):
                self.put(column, row, ":")
        for column in range(x, right + 1):
            for row in (y, bottom):
                self.put(column, row, ".")
        self.text(x + 2, y, f" {title} ")

    def lines(self, lines: list[Line]) -> None:
        for line in lines:
            if line.loop:
                self._loop(line)
        for (top, bottom), ways in _ways(lines).items():
            nets = _nets(ways)
            last = max(bottom - top - 2, 1)
            across = {net: top + min(1 + 2 * row, last) for net, row in nets.items()}
            for net, row in across.items():
                for way in net:
                    for x in range(min(way.start, way.end), max(way.start, way.end) + 1):
                        self.put(x, row, way.sign)
            for net, row in across.items():
                others = [(at, other) for other, at in across.items() if other is not net]
                for way in net:
                    for y in range(top, bottom):
                        x = way.start if y <= row else way.end
                        self._down(x, y, way.sign, [other for at, other in others if at == y])

    def _down(self, x: int, y: int, sign: str, crossed: list[tuple[_Way, ...]]) -> None:
        """A cell of a line down; a line across that it crosses stops on either side of it."""
        for net in crossed:
            left, right = _span(list(net))
            turns = {column for way in net for column in (way.start, way.end)}
            if left < x < right and x not in turns:
                for beside in {x - 1, x + 1} - turns:
                    self.put(beside, y, " ")
        self.put(x, y, sign)

    def _loop(self, line: Line) -> None:
        sign = "." if line.dotted else "*"
        (x, y), _, (_, bottom), *_, (end, _) = line.points
        left, right, below = _cell(end), _cell(x) + 2, _cell(bottom + 0.5)
        for row in range(_cell(y), below + 1):
            self.put(right, row, sign)
        for column in range(left, right + 1):
            self.put(column, below, sign)
        for column in range(_cell(x), right):
            self.put(column, _cell(y), sign)

    def shown(self) -> str:
        return "\n".join("".join(row) for row in self._rows)
