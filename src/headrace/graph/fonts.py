"""Fonts for PNGs: the one that is asked for, Pillow's own, and the usual ones of the machine.

A text is never drawn as boxes: characters that the picture's font lacks are taken from another one,
and those that none has are written as Python would, as in `\\u68c0`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from ..errors import InputError, MissingExtraError

__all__ = ["Fonts"]

# By the names of their files, which Pillow looks for where systems keep fonts. Widely used scripts
# first; then Chinese, Japanese and Korean; then symbols.
_USUAL = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf",
    "arial.ttf", "segoeui.ttf", "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf", "PingFang.ttc", "Hiragino Sans GB.ttc", "msyh.ttc", "malgun.ttf",
    "Symbola.ttf", "NotoEmoji-Regular.ttf", "seguiemj.ttf",
)  # fmt: skip
_TRIAL = 20.0  # the size at which glyphs are compared
_NO_CHARACTER = "\U0010fffe"  # in no font, so that it is drawn as what is missing


class Fonts:
    """The fonts for one picture.

    Raises:
        MissingExtraError: Pillow is not installed.
        InputError: there is no such font.
    """

    def __init__(self, asked: str | None) -> None:
        try:
            from PIL import ImageFont
        except ImportError as error:
            raise MissingExtraError("pillow", extra="graph", purpose="A PNG of a graph") from error
        if asked is not None:
            try:
                ImageFont.truetype(asked)
            except OSError as error:
                raise InputError(
                    f"There is no font {asked!r}: give the path of a TrueType or OpenType file, or "
                    "leave it out for one of this machine."
                ) from error
        self._first = asked
        self._main = asked

    def readable(self, text: str) -> str:
        """The text without characters that no font has."""
        return "".join(
            sign if any(map(_has, self._names(), itertools.repeat(sign))) else _number(sign)
            for sign in text
        )

    def choose(self, text: str) -> None:
        """From now on write with the first font that has most of the text's characters."""
        signs = set(text)
        if self._first is None:
            best = -1
            for name in self._names():
                known = sum(_has(name, sign) for sign in signs)
                if known > best:
                    best, self._main = known, name
                if known == len(signs):
                    return

    def runs(self, text: str, size: float) -> list[tuple[str, Any]]:
        """The text in parts, each with the font that has it."""
        parts = itertools.groupby(text, self._owner)
        return [("".join(signs), _font(name, max(1.0, round(size, 1)))) for name, signs in parts]

    def _owner(self, sign: str) -> str | None:
        if _has(self._main, sign):
            return self._main
        return next((name for name in self._names() if _has(name, sign)), self._main)

    def _names(self) -> Iterator[str | None]:
        """Where to look; None is Pillow's own."""
        if self._first is not None:
            yield self._first
        yield None
        yield from _USUAL


@cache
def _has(name: str | None, sign: str) -> bool:
    font = _font(name, _TRIAL)
    return font is not None and (sign.isspace() or _look(font, sign) != _missing(name))


@cache
def _missing(name: str | None) -> Any:
    return _look(_font(name, _TRIAL), _NO_CHARACTER)


def _look(font: Any, sign: str) -> Any:
    mask = font.getmask(sign)
    return mask.size, bytes(mask)


@lru_cache(256)  # a picture's few sizes; a font that is not there is looked for once
def _font(name: str | None, size: float) -> Any:
    """A font, or None if the machine has none of that name."""
    from PIL import ImageFont

    if name is None:
        return ImageFont.load_default(size)
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


def _number(sign: str) -> str:
    return sign.encode("ascii", "backslashreplace").decode("ascii")
