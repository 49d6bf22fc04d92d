"""Runnables to draw, and what can be read from drawings."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from headrace.language_models import FakeListChatModel
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.runnables import RunnableBranch, RunnableLambda, RunnablePassthrough, RunnableSequence

SVG = "{http://www.w3.org/2000/svg}"


def prompt() -> ChatPromptTemplate:
    return ChatPromptTemplate.from_template("about {topic}")


def model() -> FakeListChatModel:
    return FakeListChatModel(responses=["a"])


def shout(value: Any) -> Any:
    return value


def is_long(value: Any) -> bool:
    return len(value) > 3


def branch() -> RunnableBranch[Any, Any]:
    return RunnableBranch(
        (is_long, shout),
        (lambda text: "?" in text, StrOutputParser()),
        RunnablePassthrough(),
    )


def deep(depth: int) -> Any:
    chain: Any = RunnableLambda(shout)
    for _ in range(depth):
        chain = chain.with_retry()
    return chain


def long(steps: int) -> Any:
    return RunnableSequence(*(RunnableLambda(shout) for _ in range(steps)))


CHAINS = {
    "single": lambda: StrOutputParser(),
    "sequence": lambda: prompt() | model() | StrOutputParser(),
    "parallel": lambda: prompt() | {"a": model(), "b": shout, "c": RunnablePassthrough()},
    "one arm": lambda: prompt() | {"a": model()} | shout,
    "assign": lambda: RunnablePassthrough.assign(a=shout, b=model()) | shout,
    "branch": lambda: prompt() | model() | StrOutputParser() | branch() | shout,
    "fallbacks": lambda: (prompt() | model()).with_fallbacks([shout, model()]) | StrOutputParser(),
    "nested": lambda: (
        {
            "left": (prompt() | model().with_retry()).with_retry(),
            "right": {"a": branch(), "b": RunnableLambda(shout).map()},
        }
        | RunnableLambda(shout)
    ),
}


def edges(graph: Any) -> list[tuple[str, str, str | None]]:
    """Edges by the names of their nodes, with what they say."""
    named = graph.reid()
    name = {id: id.rpartition(":")[2] for id in named.nodes}
    return [
        (name[edge.source], name[edge.target], edge.data and str(edge.data)) for edge in named.edges
    ]


class Drawn:
    """An SVG image, read again."""

    def __init__(self, svg: str) -> None:
        self.root = ElementTree.fromstring(svg)
        self.size = tuple(float(part) for part in self.root.attrib["viewBox"].split()[2:])
        rects = [rect for rect in self.root.iter(f"{SVG}rect") if "x" in rect.attrib]
        self.rects = [
            tuple(float(r.attrib[k]) for k in ("x", "y", "width", "height")) for r in rects
        ]
        self.nodes = [
            box for box, r in zip(self.rects, rects, strict=True) if r.get("class") == "node"
        ]
        self.frames = [
            box for box, r in zip(self.rects, rects, strict=True) if r.get("stroke-dasharray")
        ]
        self.texts = [text.text or "" for text in self.root.iter(f"{SVG}text")]

    def text_spans(self) -> list[tuple[float, float, float]]:
        """Left, right and baseline of each text, in a font of Helvetica's widths."""
        spans = []
        for text in self.root.iter(f"{SVG}text"):
            wide = _width(text.text or "") * float(text.attrib["font-size"])
            x, y = float(text.attrib["x"]), float(text.attrib["y"])
            left = x - wide / 2 if text.get("text-anchor") == "middle" else x
            spans.append((left, left + wide, y))
        return spans


_NARROW = re.compile(r"[iljtfrI .,:;!'|()\[\]/-]")


def _width(text: str) -> float:
    # Helvetica: 0.22 to 0.33 for narrow characters, 0.5 to 0.56 for small letters, up to 0.78.
    return sum(0.3 if _NARROW.match(c) else 0.7 if c.isupper() else 0.55 for c in text)


def overlapping(boxes: list[tuple[float, ...]]) -> list[Any]:
    found = []
    for number, (x, y, w, h) in enumerate(boxes):
        for ox, oy, ow, oh in boxes[number + 1 :]:
            if x < ox + ow and ox < x + w and y < oy + oh and oy < y + h:
                found.append(((x, y, w, h), (ox, oy, ow, oh)))
    return found
