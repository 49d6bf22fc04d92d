"""`MarkdownHeaderTextSplitter`: the sections of a Markdown text, each with the headings over it.

A section is cut at a heading, and at nothing else: `RecursiveCharacterTextSplitter` cuts what is
too long, and keeps the headings in the metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from headrace.document_transformers import BaseDocumentTransformer
from headrace.documents import Document
from headrace.errors import ConfigError, InputError

__all__ = ["MarkdownHeaderTextSplitter"]

_FENCES = ("```", "~~~")
_BETWEEN = "  \n"  # blocks of a section are joined by it: a line break in Markdown


class _Heading(NamedTuple):
    level: int
    name: str | None  # its key in the metadata; None for none
    text: str


class _Block(NamedTuple):
    """Lines with nothing between them, and the headings they are under."""

    text: str
    metadata: dict[str, str]


class MarkdownHeaderTextSplitter(BaseDocumentTransformer):
    """Cuts Markdown at headings and puts them into the metadata of what is under them.

    Args:
        headers_to_split_on: pairs of a heading's mark and the metadata key for its text, e.g.
            `[("#", "Header 1"), ("##", "Header 2")]`.
        return_each_line: one document for each block of lines, rather than for each section.
        strip_headers: leave headings out of the text.
        custom_header_patterns: what else is a heading, and of which level: `{"**": 1}` for a line
            like `**Title**`. It must stand in `headers_to_split_on` too.

    Raises:
        ConfigError: a heading to split on is no such pair.
    """

    def __init__(
        self,
        headers_to_split_on: Sequence[tuple[str, str | None]],
        return_each_line: bool = False,
        strip_headers: bool = True,
        custom_header_patterns: Mapping[str, int] | None = None,
    ) -> None:
        for pair in list[Any](headers_to_split_on):
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise ConfigError(
                    f'{pair!r} is nothing to split on: give pairs such as ("##", "Header 2").'
                )
        self.return_each_line = return_each_line
        self.headers_to_split_on = sorted(
            headers_to_split_on, key=lambda pair: len(pair[0]), reverse=True
        )
        self.strip_headers = strip_headers
        self.custom_header_patterns = dict(custom_header_patterns or {})
        self._custom = {mark: _enclosed_by(mark) for mark in self.custom_header_patterns}

    def split_text(self, text: str) -> list[Document]:
        """The sections of a text, in order."""
        if not isinstance(text, str):
            raise InputError(
                f"MarkdownHeaderTextSplitter splits strings, and this is {text!r:.200} "
                f"({type(text).__name__})."
            )
        blocks: Iterable[_Block] = self._blocks(text)
        if not self.return_each_line:
            blocks = self._sections(blocks)
        return [Document(block.text, block.metadata) for block in blocks]

    def split_documents(self, documents: Iterable[Document]) -> list[Document]:
        """The sections of documents. Their metadata is kept, with the headings added to it."""
        return [
            Document(section.page_content, {**document.metadata, **section.metadata})
            for document in documents
            for section in self.split_text(document.page_content)
        ]

    def transform_documents(
        self, documents: Sequence[Document], **kwargs: Any
    ) -> Sequence[Document]:
        """`split_documents`."""
        return self.split_documents(documents)

    # ---- lines to blocks --------------------------------------------------------------------

    def _blocks(self, text: str) -> Iterator[_Block]:
        """Lines between headings and empty lines; code in fences is never cut."""
        headings: list[_Heading] = []
        lines: list[str] = []
        fence: str | None = None
        for raw in text.split("\n"):
            line = _visible(raw)
            opens = _opening(line) if fence is None else None
            closes = fence is not None and line.startswith(fence)
            fence = opens or (None if closes else fence)
            if fence is not None:
                lines.append(line if opens else raw.rstrip("\r"))
                continue
            found = self._heading(line)
            if found is None and line:
                lines.append(line)
                continue
            if lines:
                yield _Block("\n".join(lines), _metadata(headings))
                lines = []
            if found is not None:
                _under(headings, found)
                lines = [] if self.strip_headers else [line]
        if lines:
            yield _Block("\n".join(lines), _metadata(headings))

    def _heading(self, line: str) -> _Heading | None:
        """The heading that a line is, if it is one to split on."""
        for mark, name in self.headers_to_split_on:
            custom = self._custom.get(mark)
            enclosed = custom.match(line) if custom else None
            if enclosed and not _says_something(enclosed[1], mark):
                enclosed = None
            plain = line.startswith(mark) and line[len(mark) : len(mark) + 1] in ("", " ")
            if not plain and not enclosed:
                continue
            level = self.custom_header_patterns.get(mark, mark.count("#"))
            inside = enclosed[1] if enclosed else line[len(mark) :]
            return _Heading(level, name, inside.strip())
        return None

    # ---- blocks to sections -----------------------------------------------------------------

    def _sections(self, blocks: Iterable[_Block]) -> Iterator[_Block]:
        """Neighbouring blocks under the same headings, joined. A heading with nothing under it but
        finer headings goes with the first of these."""
        held: list[str] = []
        about: dict[str, str] = {}
        for block in blocks:
            if held and about != block.metadata and not self._leads(held[-1], about, block):
                yield _Block(_BETWEEN.join(held), about)
                held = []
            held.append(block.text)
            about = block.metadata
        if held:
            yield _Block(_BETWEEN.join(held), about)

    def _leads(self, text: str, about: Mapping[str, str], block: _Block) -> bool:
        last = text.rpartition("\n")[2]
        return not self.strip_headers and len(about) < len(block.metadata) and last[:1] == "#"


def _visible(line: str) -> str:
    """A line without white space around it, and without what is not seen, such as a byte order
    mark; tabs between words stay."""
    line = line.strip()
    if line.isprintable():
        return line
    return "".join(each for each in line if each.isprintable() or each == "\t")


def _opening(line: str) -> str | None:
    """The fence that a line opens; code that closes on its own line opens none."""
    for fence in _FENCES:
        if line.startswith(fence) and (fence == "~~~" or line.count(fence) == 1):
            return fence
    return None


def _enclosed_by(mark: str) -> re.Pattern[str]:
    mark = re.escape(mark)
    return re.compile(f"^{mark}(?!{mark})(.+?)(?<!{mark}){mark}$")


def _says_something(text: str, mark: str) -> bool:
    rest = text.replace(" ", "").strip()
    return any(character not in mark for character in rest)


def _under(headings: list[_Heading], new: _Heading) -> None:
    """Go on under a heading: those of its level, and finer ones, are over."""
    if new.name is None:  # it cuts, and is not told of
        return
    while headings and headings[-1].level >= new.level:
        headings.pop()
    headings.append(new)


def _metadata(headings: Iterable[_Heading]) -> dict[str, str]:
    return {each.name: each.text for each in headings if each.name is not None}
