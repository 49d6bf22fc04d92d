"""A picture as SVG: one file, no script, no font and no image from elsewhere."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from .picture import Curve, Picture, Rect, Text

__all__ = ["svg_text"]

_FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


def svg_text(picture: Picture, background: str | None) -> str:
    """The image; `background` is a CSS colour, or None for none."""
    wide, high = _number(picture.width), _number(picture.height)
    root = Element("svg", xmlns="http://www.w3.org/2000/svg", width=wide, height=high)
    root.set("viewBox", f"0 0 {wide} {high}")
    root.set("font-family", _FONTS)
    if background is not None:
        SubElement(root, "rect", width="100%", height="100%", fill=background)
    paint = {Rect: _rect, Text: _text, Curve: _curve}
    for shape in picture.shapes:
        paint[type(shape)](root, shape)  # type: ignore[operator]
    return tostring(root, encoding="unicode") + "\n"


def _rect(root: Element, rect: Rect) -> None:
    element = SubElement(
        root, "rect", x=_number(rect.x), y=_number(rect.y), width=_number(rect.w),
        height=_number(rect.h), rx=_number(rect.radius),
    )  # fmt: skip
    fill = rect.fill or "none"
    if len(fill) == 9 and fill.startswith("#"):  # not every viewer knows #rrggbbaa
        element.set("fill-opacity", f"{int(fill[7:], 16) / 255:.3f}")
        fill = fill[:7]
    element.set("fill", fill)
    if rect.stroke is not None:
        element.set("stroke", rect.stroke)
        element.set("stroke-width", _number(rect.width))
    if rect.dashed:
        element.set("stroke-dasharray", "4 3")
    if rect.node is not None:
        element.set("class", "node")


def _text(root: Element, text: Text) -> None:
    element = SubElement(
        root, "text", x=_number(text.x), y=_number(text.y + text.size * 0.35), fill=text.color
    )
    element.set("font-size", _number(text.size))
    if text.centred:
        element.set("text-anchor", "middle")
    element.text = text.text


def _curve(root: Element, curve: Curve) -> None:
    (x, y), *rest = curve.points
    path = [f"M {_number(x)} {_number(y)}"]
    for to_x, to_y in rest:
        if curve.straight or to_x == x:
            path.append(f"L {_number(to_x)} {_number(to_y)}")
        else:
            half = _number((y + to_y) / 2)
            path.append(
                f"C {_number(x)} {half} {_number(to_x)} {half} {_number(to_x)} {_number(to_y)}"
            )
        x, y = to_x, to_y
    line = SubElement(root, "path", d=" ".join(path), fill="none", stroke=curve.color)
    line.set("stroke-width", "1.2")
    if curve.dashed:
        line.set("stroke-dasharray", "4 3")
    if curve.tip:
        corners = (f"{_number(x)},{_number(y)}" for x, y in curve.tip)
        SubElement(root, "polygon", points=" ".join(corners), fill=curve.color)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
