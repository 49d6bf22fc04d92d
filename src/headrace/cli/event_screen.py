"""The live tree on a terminal, drawn with rich: what runs, what it says, how it stands.

`TreeView.lines` makes lines that fit a width and a height: where the tree is taller, what runs and
what ended last stays, and the rest is counted. `LiveTree` draws them, at most twelve times a
second, in a thread of its own: events only change the tree.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from operator import attrgetter
from time import monotonic
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from headrace.events import Event

from .event_text import brief, clean, took
from .event_tree import Row, State, Tree

__all__ = ["LiveTree", "TreeView"]

_PAUSE = 1 / 12  # seconds between two pictures
_ROOM_FOR_WORDS = 50  # columns below which a state is its sign and no word
_ECHO = 2  # columns that stay free: a terminal writes ^C there, and must not begin a new line
_SHOW_CURSOR = b"\x1b[?25h"

_STYLES = {
    State.RUNNING: "cyan",
    State.DONE: "green",
    State.FAILED: "red",
    State.CANCELLED: "yellow",
    State.RETRIED: "yellow",
    State.TOLD: "magenta",
}


class _Signs(NamedTuple):
    """What trees are drawn with."""

    states: dict[State, str]
    guides: tuple[str, str, str, str]  # a child, the last child, beside children, below the last


_UNICODE = _Signs(dict(zip(State, "●✓✗■↻◆", strict=True)), ("├─ ", "└─ ", "│  ", "   "))
_SPELT = str.maketrans({"…": "~", "→": ">", "·": "-", "×": "x", "↺": "<"})
_ASCII = _Signs(dict(zip(State, "*+x#~!", strict=True)), ("|- ", "`- ", "|  ", "   "))


class _Detail(NamedTuple):
    """How many lines of what they say are shown of rows that run, and of others."""

    running: int
    others: int


_ALL = (_Detail(3, 3), _Detail(3, 1), _Detail(1, 1), _Detail(3, 0), _Detail(1, 0))
_PART = (_Detail(3, 1), _Detail(3, 0), _Detail(1, 0), _Detail(0, 0))
_FINAL = _Detail(3, 3)


class TreeView:
    """Makes lines of a tree.

    Args:
        ascii_only: the terminal's encoding has no lines and signs to draw with.
    """

    def __init__(self, tree: Tree, console: Console, *, ascii_only: bool = False) -> None:
        self._tree, self._console = tree, console
        self._signs = _ASCII if ascii_only else _UNICODE

    def final(self, width: int) -> list[Text]:
        """All of it."""
        return list(self._draw(None, _FINAL, width, monotonic()))

    def lines(self, width: int, height: int) -> list[Text]:
        """As much of it as has room."""
        now, tree = monotonic(), self._tree
        if tree.count <= height:
            for detail in _ALL:
                lines = _at_most(height, self._draw(None, detail, width, now))
                if lines is not None:
                    return lines
        shown = self._chosen(height - 1)
        hidden = self._hidden(shown, width)
        for detail in _PART:
            lines = _at_most(height - 1, self._draw(shown, detail, width, now))
            if lines is not None:
                return [*lines, hidden]
        return [hidden]

    # ------------------------------------------------------------- which rows

    def _chosen(self, room: int) -> set[Row]:
        """What runs, what says something first, then what ended last; each with what it is in."""
        shown: set[Row] = set()
        lines = 0
        running = self._tree.running.values()
        parents = {row.parent for row in running}
        leaves = sorted((row for row in running if row not in parents), key=_is_silent)
        for row in (*leaves, *reversed(self._tree.recent)):
            more: list[Row] = []
            above: Row | None = row
            while above is not None and above not in shown:
                more.append(above)
                above = above.parent
            height = sum(map(_height, more))
            if lines + height <= room:
                lines += height
                shown.update(more)
            if lines == room:
                break
        return shown or _innermost(next(iter(leaves), None), room)

    def _hidden(self, shown: set[Row], width: int) -> Text:
        counts = self._tree.states.copy()
        counts.subtract(row.state for row in shown)
        parts = [f"{counts[state]} {state.value}" for state in State if counts[state] > 0]
        line = Text(f"… {self._tree.count - len(shown)} more: {', '.join(parts)}", "dim")
        line.truncate(width, overflow="ellipsis")
        return self._written(line)

    # ------------------------------------------------------------- lines

    def _written(self, line: Text) -> Text:
        """The line as the terminal can write it: a character for a character."""
        if self._signs is _ASCII:
            line.plain = line.plain.translate(_SPELT).encode("ascii", "replace").decode()
        return line

    def _draw(
        self, shown: set[Row] | None, detail: _Detail, width: int, now: float
    ) -> Iterator[Text]:
        return map(self._written, self._drawn(shown, detail, width, now))

    def _drawn(
        self, shown: set[Row] | None, detail: _Detail, width: int, now: float
    ) -> Iterator[Text]:
        def those(rows: Iterable[Row]) -> list[Row]:
            return [row for row in rows if shown is None or row in shown]

        child, last, beside, below = self._signs.guides
        roots: Iterable[Row] = self._tree.roots
        if shown is not None:
            tops = (row for row in shown if row.parent not in shown)
            roots = sorted(tops, key=attrgetter("place"))
        stack = [(row, "", "") for row in reversed(list(roots))]
        while stack:
            row, first, rest = stack.pop()
            first, rest = _short(first, width), _short(rest, width)
            children = those(row.children)
            yield self._head(row, first, width, now)
            bar = Text(rest + (beside if children else below)[:2], "dim")
            yield from self._body(row, bar, detail, width)
            for number, inner in enumerate(reversed(children)):
                guide, under = (child, beside) if number else (last, below)
                stack.append((inner, rest + guide, rest + under))

    def _head(self, row: Row, guides: str, width: int, now: float) -> Text:
        style, sign = _STYLES[row.state], self._signs.states[row.state]
        line = Text.assemble((guides, "dim"), (f"{sign} ", style))
        if row.where:
            line.append(f"{_last_cells(brief(row.where), min(60, width // 2))}: ", "dim")
        line.append(brief(row.name, 60), "bold")
        if row.input:
            line.append(f"  {row.input}", "bright_black")
        right = Text()
        if row.state is State.TOLD:
            right.append(row.note, "dim")
        else:
            word = f"{row.state.value} " if width >= _ROOM_FOR_WORDS else ""
            right.append(word, style)
            right.append(f"{took(row.seconds(now)):>7}", "dim")
        room = max(width - right.cell_len - 2, 1)
        line.truncate(room, overflow="ellipsis", pad=True)
        return Text.assemble(line, "  ", right)

    def _body(self, row: Row, bar: Text, detail: _Detail, width: int) -> Iterator[Text]:
        room = max(width - bar.cell_len, 1)
        if row.state is not State.TOLD and row.note and row.state is State.RUNNING:
            yield self._one(bar, row.note, "yellow", room)
        count = detail.running if row.state is State.RUNNING else detail.others
        if count and row.tells():
            # What a run makes of what others gave that stand below it, is shown in short.
            for text in self._said(row, room, 1 if row.children else count):
                yield Text.assemble(bar, text)
        failure = row.failure()
        if failure:
            yield self._one(bar, failure, _STYLES[row.state], room)

    def _one(self, bar: Text, text: str, style: str, room: int) -> Text:
        line = Text(text, style)
        line.truncate(room, overflow="ellipsis")
        return Text.assemble(bar, line)

    def _said(self, row: Row, room: int, count: int) -> list[Text]:
        """The last lines of a text, the first ones of a value."""
        if not row.said.is_text:
            lines = self._wrapped(brief(row.said.value, room * count), room)
            if len(lines) > count:
                lines[count - 1].truncate(room - 1)
                lines[count - 1].append("…")
            return lines[:count]
        found: list[Text] = []
        for paragraph in reversed(clean(row.said.text).rstrip().split("\n")):
            if len(found) > count:
                break
            if paragraph.strip():
                found[:0] = self._wrapped(paragraph, room)
        if len(found) <= count and not row.said.cut:
            return found
        if count == 1:  # the last line by itself may be a word
            return [Text(_last_cells(" ".join(line.plain for line in found[-2:]), room))]
        found = found[-count:]
        found[0] = Text(_last_cells(found[0].plain, room, more=True))
        return found

    def _wrapped(self, text: str, room: int) -> list[Text]:
        lines = list(Text(text).wrap(self._console, room))
        for line in lines:
            line.rstrip()
        return lines


def _is_silent(row: Row) -> bool:
    return not row.tells()


def _height(row: Row) -> int:
    """Lines of a row when little of it is shown."""
    if row.state is State.RUNNING:
        return 1 + row.tells() + (row.note != "")
    return 1 + (row.failure() != "")


def _innermost(row: Row | None, room: int) -> set[Row]:
    """As much as fits of a row that is too deep, from the inside."""
    shown: set[Row] = set()
    while row is not None and (room := room - _height(row)) >= 0:
        shown.add(row)
        row = row.parent
    return shown


def _last_cells(text: str, room: int, *, more: bool = False) -> str:
    """The end of a text that fits, with a … before it if there is more before."""
    if not more and cell_len(text) <= room:
        return text
    while cell_len(text) > room - 1:
        text = text[max(cell_len(text) - room + 1, 2) // 2 :]  # no character is wider than 2
    word, blank, rest = text.partition(" ")
    return f"…{rest if blank and len(word) < room // 4 else text}"


def _short(guides: str, width: int) -> str:
    """Guides of a very deep row leave half of the width."""
    room = width // 2
    return guides if cell_len(guides) <= room else guides[-room:]


def _at_most(height: int, lines: Iterable[Text]) -> list[Text] | None:
    """The lines, unless there are more than `height`."""
    taken: list[Text] = []
    for line in lines:
        if len(taken) == height:
            return None
        taken.append(line)
    return taken


class LiveTree:
    """The tree on standard output, which is a terminal. In a `with` block: its picture stays, with
    what still runs shown as cancelled, when the block is left or `interrupt` is called."""

    def __init__(self, tree: Tree) -> None:
        self._console = Console(
            file=sys.stdout, force_terminal=True, highlight=False, markup=False, emoji=False
        )
        ascii_only = self._console.options.ascii_only
        self._tree, self._view = tree, TreeView(tree, self._console, ascii_only=ascii_only)
        self._live = Live(
            console=self._console, auto_refresh=False, redirect_stderr=sys.stderr.isatty()
        )
        self._lock = threading.Lock()  # held by whoever reads or changes the tree
        self._over = threading.Event()
        self._interrupted = False
        self._failure: Exception | None = None
        self._painter = threading.Thread(target=self._paint, name="painter", daemon=True)

    def __enter__(self) -> LiveTree:
        self._live.start()
        self._painter.start()
        return self

    def __exit__(self, *about: object) -> None:
        self._over.set()
        self._painter.join()
        if self._failure is not None:
            raise self._failure

    def feed(self, event: Event) -> None:
        with self._lock:
            self._tree.feed(event)

    def interrupt(self) -> None:
        """For a signal's handler: takes no lock, and the thread that draws does the rest."""
        # If a step never stops, the process ends without any more ado: not without its cursor.
        os.write(self._console.file.fileno(), _SHOW_CURSOR)
        self._interrupted = True

    def _paint(self) -> None:
        last: list[Text] = []
        try:
            while not (self._over.wait(_PAUSE) or self._interrupted):
                with self._lock:
                    width, height = self._console.size
                    lines = self._view.lines(max(width - _ECHO, 1), max(height - 1, 1))
                if lines != last:
                    self._live.update(Group(*lines), refresh=True)
                    last = lines
            with self._lock:
                self._tree.cancel()
                lines = self._view.final(max(self._console.size.width - _ECHO, 1))
            self._live.update(Group(*lines))
        except Exception as error:
            self._failure = error
        finally:
            self._live.stop()
