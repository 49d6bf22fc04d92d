"""Cutting a text at separators and joining the pieces again until a chunk is full. Pure functions.

A piece is a span of the text, so that a chunk knows where it began. Both functions pass over what
they are given once.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

__all__ = ["Keep", "Piece", "cut", "place", "runs"]

Keep: TypeAlias = bool | Literal["start", "end"]


class Piece(NamedTuple):
    """A span of a text, which has no separator in it any more.

    Args:
        start: where it begins.
        end: where it ends.
        length: how long it is, by whatever lengths are measured with.
        gap: how long what joins it to the piece before it is.
    """

    start: int
    end: int
    length: int
    gap: int = 0


def cut(text: str, separator: re.Pattern[str] | None, keep: Keep) -> list[tuple[int, int]]:
    """The spans between separators, none of them empty.

    Args:
        text: what is cut.
        separator: what to cut at; None cuts after every character.
        keep: whether separators belong to spans, to the one after them ("start", True) or the one
            before ("end").
    """
    if separator is None:
        return [(at, at + 1) for at in range(len(text))]
    spans: list[tuple[int, int]] = []
    begun = 0
    for match in separator.finditer(text):
        start, end = match.span()
        spans.append((begun, end if keep == "end" else start))
        begun = start if keep and keep != "end" else end
    spans.append((begun, len(text)))
    return [span for span in spans if span[0] < span[1]]


def runs(pieces: Iterable[Piece], size: int, overlap: int) -> Iterator[Sequence[Piece]]:
    """Runs of neighbouring pieces, each as long as fits into a chunk.

    A piece that is longer than a chunk is a run of its own. The next run begins with as many of the
    last pieces of this one as are no longer than `overlap` together and leave room for one more.

    Args:
        pieces: all of a text, in order.
        size: how long a chunk may be.
        overlap: how much of it the next one may repeat.
    """
    held: deque[Piece] = deque()
    total = 0
    for piece in pieces:
        if held and total + piece.length + piece.gap > size:
            yield tuple(held)
            while total > overlap or (
                total > 0 and total + piece.length + (piece.gap if held else 0) > size
            ):
                total -= held.popleft().length
                total -= held[0].gap if held else 0
        total += piece.length + (piece.gap if held else 0)
        held.append(piece)
    if held:
        yield tuple(held)


def place(run: Sequence[Piece], joint: str, skipped: int) -> int:
    """Where in the text a chunk begins whose first `skipped` characters were stripped off.

    Args:
        run: its pieces.
        joint: what stands between them, in the chunk.
        skipped: fewer than the characters of pieces and joints together.
    """
    for piece in run:
        if skipped < piece.end - piece.start + len(joint):
            return piece.start + skipped
        skipped -= piece.end - piece.start + len(joint)
    return run[-1].end
