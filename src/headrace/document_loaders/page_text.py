"""The text of a web page as it is read, of BeautifulSoup's tree. Nothing recurses: pages nest deep.

White space is one space, as a browser shows it, but for preformatted text. Which elements begin
lines is a fact of the HTML standard ("Rendering", section 15.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

__all__ = ["page_text"]

# What stands between an element and what is around it.
_PARAGRAPH, _LINE, _CELL = "\n\n", "\n", " | "
_PARAGRAPHS = (
    "address article aside blockquote body center details dialog dir div dl fieldset figure footer "
    "form h1 h2 h3 h4 h5 h6 header hgroup hr main menu nav ol p pre search section table ul"
)
_LINES = "br caption dd dt figcaption legend li option summary tbody tfoot thead tr"
_BREAKS: dict[str, str] = {
    **dict.fromkeys(_PARAGRAPHS.split(), _PARAGRAPH),
    **dict.fromkeys(_LINES.split(), _LINE),
}
_CELLS = ("td", "th")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_VERBATIM = ("pre", "textarea", "listing")
_UNSEEN = (
    "script", "style", "template", "noscript", "head", "title", "iframe", "object", "svg",
    "canvas", "audio", "video", "datalist",
)  # fmt: skip
_SPACE = re.compile(r"[ \t\n\r\f]+")


class _Page:
    """Text that is being put together: what has to stand before the next words is remembered."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.headings: list[str] = []
        self._before = ""
        self._heading: int | None = None  # where the one begins that is being read

    def break_off(self, how: str) -> None:
        """Whatever comes next stands apart that much, at least."""
        if self.parts and _weight(how) > _weight(self._before):
            self._before = how

    def words(self, text: str) -> None:
        """Text whose white space is nothing but space."""
        text = _SPACE.sub(" ", text)
        inside = text.strip(" ")
        if text.startswith(" "):
            self.break_off(" ")
        if inside:
            self.verbatim(inside)
        if text.endswith(" "):
            self.break_off(" ")

    def verbatim(self, text: str) -> None:
        """Text as it is."""
        self.parts += self._before, text
        self._before = ""

    def heading_begins(self) -> None:
        self.heading_ends()  # one that was never closed
        self._heading = len(self.parts)

    def heading_ends(self) -> None:
        if self._heading is not None:
            text = " ".join("".join(self.parts[self._heading :]).split())
            self.headings += [text] if text else []
            self._heading = None


def _weight(how: str) -> int:
    return len(how) + 9 * how.count("\n")


def page_text(root: Any) -> tuple[str, list[str]]:
    """The text under a tag, and its headings in order."""
    page = _Page()
    open_tags: list[tuple[Any, Iterator[Any]]] = [(root, iter(root.children))]
    verbatim = 0
    while open_tags:
        tag, children = open_tags[-1]
        child = next(children, None)
        if child is None:
            open_tags.pop()
            verbatim -= tag.name in _VERBATIM
            _close(page, tag.name)
        elif getattr(child, "children", None) is None:
            _put(page, child, verbatim > 0)
        elif child.name not in _UNSEEN:
            _open(page, child.name)
            verbatim += child.name in _VERBATIM
            open_tags.append((child, iter(child.children)))
    return "".join(page.parts).strip(), page.headings


def _open(page: _Page, name: str) -> None:
    # A cell stands apart from the one before it, and a row's first from the row before.
    page.break_off(_CELL if name in _CELLS else _BREAKS.get(name, ""))
    if name in _HEADINGS:
        page.heading_begins()


def _close(page: _Page, name: str) -> None:
    if name in _HEADINGS:
        page.heading_ends()
    page.break_off(_BREAKS.get(name, ""))


def _put(page: _Page, string: Any, verbatim: bool) -> None:
    # Comments, declarations and the like are strings of other classes.
    if type(string).__name__ not in ("NavigableString", "CData", "RubyTextString"):
        return
    if verbatim:
        page.verbatim(str(string).strip("\n"))
    else:
        page.words(str(string))
