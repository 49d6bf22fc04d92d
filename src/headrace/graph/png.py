"""A picture as PNG, painted with Pillow: no browser, no network.

Drawn twice as large as the SVG, and once more as large to be scaled down, which smooths lines. A
huge picture is drawn smaller, so that it fits into memory.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from .fonts import Fonts
from .picture import Curve, Picture, Rect, Text

__all__ = ["png_bytes"]

_SCALE, _SMOOTH = 2.0, 2
_MOST_PIXELS = 24_000_000  # of the image that is drawn, before it is scaled down
_STEPS = 16  # straight pieces of a curve
_DASH, _GAP = 4.0, 3.0


def png_bytes(picture: Picture, background: str | None, fonts: Fonts) -> bytes:
    """The image; `background` is a CSS colour, or None for a transparent one.

    Raises:
        InputError: there is no such colour.
    """
    from PIL import Image

    fonts.choose("".join(shape.text for shape in picture.shapes if isinstance(shape, Text)))
    brush = _Brush(picture, background, fonts)
    paint: dict[type, Any] = {Rect: brush.rect, Text: brush.text, Curve: brush.curve}
    for shape in picture.shapes:
        paint[type(shape)](shape)
    size = (max(1, brush.image.width // _SMOOTH), max(1, brush.image.height // _SMOOTH))
    file = io.BytesIO()
    brush.image.resize(size, Image.Resampling.LANCZOS).save(file, "PNG", optimize=False)
    return file.getvalue()


class _Brush:
    """Paints shapes on an image of its own, `scale` of whose pixels are one of the picture's."""

    def __init__(self, picture: Picture, background: str | None, fonts: Fonts) -> None:
        from PIL import Image, ImageDraw

        area = max(picture.width * picture.height, 1.0)
        self._scale = min(_SCALE * _SMOOTH, math.sqrt(_MOST_PIXELS / area))
        wide, high = picture.width * self._scale, picture.height * self._scale
        size = max(2, math.ceil(wide)), max(2, math.ceil(high))
        colour = (255, 255, 255, 0) if background is None else _colour(background)
        # Without an alpha channel, what is half transparent blends with what is there.
        mode = "RGBA" if len(colour) == 4 and colour[3] < 255 else "RGB"
        self.image = Image.new(mode, size, colour)
        self._draw = ImageDraw.Draw(self.image, "RGBA")
        self._fonts = fonts

    def rect(self, rect: Rect) -> None:
        corners = [self._at(rect.x, rect.y), self._at(rect.x + rect.w, rect.y + rect.h)]
        radius = min(rect.radius, rect.w / 2, rect.h / 2) * self._scale
        fill = None if rect.fill is None else _colour(rect.fill)
        solid = None if rect.stroke is None or rect.dashed else _colour(rect.stroke)
        width = max(1, round(rect.width * self._scale)) if solid else 0
        self._draw.rounded_rectangle(corners, radius, fill, solid, width)
        if rect.dashed and rect.stroke is not None:
            x, y, right, bottom = rect.x, rect.y, rect.x + rect.w, rect.y + rect.h
            self._dashes([(x, y), (right, y), (right, bottom), (x, bottom), (x, y)], rect.stroke)

    def text(self, text: Text) -> None:
        size, room = text.size * self._scale, text.room * self._scale
        wide = _length(self._fonts.runs(text.text, size))
        runs = self._fonts.runs(text.text, size * min(1.0, room / max(wide, 1.0)))
        x, y = self._at(text.x, text.y)
        x -= _length(runs) / 2 if text.centred else 0
        y += text.size * 0.35 * self._scale  # to the line that characters stand on
        for part, font in runs:
            self._draw.text((x, y), part, fill=_colour(text.color), font=font, anchor="ls")
            x += font.getlength(part)

    def curve(self, curve: Curve) -> None:
        points = curve.points if curve.straight else _flat(curve.points)
        (self._dashes if curve.dashed else self._stroke)(points, curve.color)
        if curve.tip:
            self._draw.polygon([self._at(*corner) for corner in curve.tip], fill=curve.color)

    def _stroke(self, points: Sequence[tuple[float, float]], colour: str) -> None:
        width = max(1, round(1.2 * self._scale))
        line = [self._at(x, y) for x, y in points]
        self._draw.line(line, fill=_colour(colour), width=width, joint="curve")

    def _dashes(self, points: Sequence[tuple[float, float]], colour: str) -> None:
        """A dashed line, whose dashes go on around corners."""
        walked, dash = 0.0, [points[0]]
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            length = math.dist((x0, y0), (x1, y1))
            done = 0.0
            while length - done > 1e-6:
                painting = walked < _DASH
                left = (_DASH if painting else _DASH + _GAP) - walked
                step = min(left, length - done)
                done, walked = done + step, walked + step
                here = (x0 + (x1 - x0) * done / length, y0 + (y1 - y0) * done / length)
                dash.append(here)
                if step == left:
                    if painting:
                        self._stroke(dash, colour)
                    dash = [here]
                    walked = walked if painting else 0.0
        if len(dash) > 1 and walked < _DASH:
            self._stroke(dash, colour)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return x * self._scale, y * self._scale


def _length(runs: list[tuple[str, Any]]) -> float:
    return sum(float(font.getlength(part)) for part, font in runs)


def _flat(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points of curves that leave and reach each given point vertically."""
    flat = [points[0]]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x0 == x1:
            flat.append((x1, y1))
            continue
        for step in range(1, _STEPS + 1):
            t = step / _STEPS
            # Bernstein's weights of a cubic with its control points half way down.
            near, far = (1 - t) ** 2 * (1 + 2 * t), t * t * (3 - 2 * t)
            first, second = 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t * t
            half = (y0 + y1) / 2
            y = (1 - t) ** 3 * y0 + (first + second) * half + t**3 * y1
            flat.append((near * x0 + far * x1, y))
    return flat


def _colour(name: str) -> tuple[int, ...]:
    from PIL import ImageColor

    try:
        return ImageColor.getrgb(name)
    except ValueError as error:
        raise InputError(
            f"{name!r} is no colour: give a name such as 'white', or '#rrggbb'."
        ) from error
