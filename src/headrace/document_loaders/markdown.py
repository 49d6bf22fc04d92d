"""`MarkdownLoader`: a Markdown file, whole or by sections, with its headings in the metadata.

The text stays Markdown, which models read and splitters cut. markdown-it-py finds the headings, so
a `#` inside of code is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from headrace.documents import Document
from headrace.errors import ConfigError

from .base import BaseLoader
from .blobs import PathLike
from .reading import checked, checked_path, read_text

__all__ = ["MarkdownLoader"]

_MODES = ("single", "sections")
# A first line `key: …` tells front matter from text between two rules.
_FRONT_MATTER = re.compile(
    r"---[ \t]*\n(?P<inside>(?=[\w-]+[ \t]*:).*?)^(?:---|\.\.\.)[ \t]*$\n?", re.S | re.M
)
_TITLE = re.compile(r"^title[ \t]*:[ \t]*(?P<title>.*?)[ \t]*$", re.M)


class _Heading(NamedTuple):
    line: int  # from 0
    level: int  # 1 to 6
    text: str


class MarkdownLoader(BaseLoader):
    """A Markdown file.

    Metadata: "source", the path as given; "title", if it has one: of the front matter, else its
    first heading; "headings": all of them, or of a section, those that lead to it; and of a
    section, "line", where it begins, from 1. Front matter is left out of the text.

    Args:
        file_path: the file.
        mode: "single" for one document, "sections" for one per heading.
        encoding: how its bytes are text. By default its byte order mark says so, else it is UTF-8.
        autodetect_encoding: guess the encoding if that one does not fit (extra "encodings").

    Raises:
        ConfigError: there is no such mode or encoding.
    """

    def __init__(
        self,
        file_path: PathLike,
        mode: Literal["single", "sections"] = "single",
        *,
        encoding: str | None = None,
        autodetect_encoding: bool = False,
    ) -> None:
        if mode not in _MODES:
            raise ConfigError(f"mode is {mode!r}: give 'single' or 'sections'.")
        checked(encoding)
        self.file_path = checked_path(file_path)
        self.mode = mode
        self.encoding = encoding
        self.autodetect_encoding = autodetect_encoding

    def lazy_load(self) -> Iterator[Document]:
        """The document, or its sections.

        Raises:
            LoadError: the file is no text in its encoding.
            OSError: it cannot be read.
        """
        whole = read_text(self.file_path, self.encoding, self.autodetect_encoding)
        front = _FRONT_MATTER.match(whole)
        text = whole[front.end() :] if front else whole
        headings = _headings(text)
        metadata: dict[str, Any] = {"source": str(self.file_path)}
        title = _title(front["inside"] if front else "", headings)
        if title:
            metadata["title"] = title
        if self.mode == "single":
            yield Document(
                text.lstrip("\n"), {**metadata, "headings": [each.text for each in headings]}
            )
            return
        skipped = whole[: front.end()].count("\n") if front else 0
        for line, path, section in _sections(text, headings):
            yield Document(section, {**metadata, "headings": path, "line": line + skipped + 1})


def _headings(text: str) -> list[_Heading]:
    """The headings that are not inside of lists or quotes."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").parse(text)
    return [
        _Heading(token.map[0], int(token.tag[1:]), _plain(inline.children or []))
        for token, inline in pairwise(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map
    ]


def _plain(children: list[Any]) -> str:
    """The text of a heading, without marks and links."""
    words = ("\n" if each.type.endswith("break") else each.content for each in children)
    return " ".join("".join(words).split())


def _title(front: str, headings: list[_Heading]) -> str:
    given = _TITLE.search(front)
    if given:
        return given["title"].strip("\"'")
    return headings[0].text if headings else ""


def _sections(text: str, headings: list[_Heading]) -> Iterator[tuple[int, list[str], str]]:
    """Where each section begins, the headings that lead to it, and its text, heading included."""
    lines = text.split("\n")
    path: list[_Heading] = []
    ends = [each.line for each in headings] + [len(lines)]
    before = "\n".join(lines[: ends[0]]).strip("\n")
    if before.strip():
        yield 0, [], before
    for heading, end in zip(headings, ends[1:], strict=True):
        path = [each for each in path if each.level < heading.level] + [heading]
        section = "\n".join(lines[heading.line : end]).strip("\n")
        yield heading.line, [each.text for each in path], section
