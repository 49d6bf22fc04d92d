"""The files under a path, and the passages in them: what `headrace index` puts into a store.

    find(path, [], store)          which files there are, sorted, and which are left out
    passages(file, splitting)      a file as documents, none longer than a chunk

A passage begins with the headings that lead to it, as its author would have said where it is, and
knows its place:

    source    the file, absolute
    headings  those that lead to it (Markdown)
    line      where it begins, from 1 (text, code, Markdown)
    page      the page, from 0 (PDF)
    row       the row, from 0 (CSV); seq_num: the value, from 1 (JSON)
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from headrace.document_loaders import MarkdownLoader, TextLoader
from headrace.document_loaders.directory import LOADERS, MakeLoader
from headrace.documents import Document
from headrace.text_splitters import Language, RecursiveCharacterTextSplitter

__all__ = ["HEADING", "Found", "find", "fits", "passages"]

HEADING = " › "  # between a heading and the finer one below it

_LOADERS: Mapping[str, MakeLoader] = {
    **LOADERS,
    **dict.fromkeys([".md", ".markdown"], partial(MarkdownLoader, mode="sections")),
}
# Folders of what others wrote, or what is made again at any time.
_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})
_SAMPLE = 1 << 13  # bytes by which text is told from something else
_PLACES = ("line", "page", "row", "seq_num")
# What else to cut at than paragraphs and lines. Markdown comes in sections already.
_LANGUAGES: Mapping[str, Language] = {
    ".c": Language.C, ".h": Language.C, ".cc": Language.CPP, ".cpp": Language.CPP,
    ".hpp": Language.CPP, ".cs": Language.CSHARP, ".go": Language.GO, ".hs": Language.HASKELL,
    ".java": Language.JAVA, ".js": Language.JS, ".kt": Language.KOTLIN, ".lua": Language.LUA,
    ".php": Language.PHP, ".py": Language.PYTHON, ".pyi": Language.PYTHON, ".rb": Language.RUBY,
    ".rs": Language.RUST, ".rst": Language.RST, ".scala": Language.SCALA, ".swift": Language.SWIFT,
    ".tex": Language.LATEX, ".ts": Language.TS,
}  # fmt: skip


@dataclass(slots=True)
class Found:
    """Files to read, and by their endings, how many others there are; folders that cannot be
    looked into, and why."""

    files: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    closed: dict[str, str] = field(default_factory=dict)


def find(path: Path, globs: Sequence[str], apart: Path) -> Found:
    """What there is to read.

    Args:
        path: a file, or a folder, both absolute; its hidden files and others' are left out.
        globs: patterns of which files; none: all whose kind is known.
        apart: a folder to leave out, the store's.
    """
    found = Found()
    if path.is_file():
        found.files.append(path)
        return found
    for file in _walk(path, apart, found.closed):
        inside = file.relative_to(path)
        if globs and not fits(inside, globs):
            continue
        # A pattern asks for its files: then they need only be text.
        if _loader(file) is not None or ((globs or not file.suffix) and _is_text(file)):
            found.files.append(file)
        else:
            found.others[file.suffix or file.name] += 1
    return found


def fits(inside: Path, globs: Sequence[str]) -> bool:
    """Whether a path fits one of these patterns, counted from its end; `**/` before one of them is
    of no effect, as all folders are looked into."""
    return any(inside.match(each.removeprefix("**/")) for each in globs)


def passages(file: Path, chunk_size: int) -> list[Document]:
    """The passages of a file, in order.

    Args:
        file: absolute.
        chunk_size: how many characters a passage has at most, besides the headings.

    Raises:
        LoadError: it is not what its name says, or no text.
        MissingExtraError: what reads it is not installed.
        OSError: it cannot be read.
    """
    make = _loader(file) or TextLoader
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what is wrong is raised besides
    splitter = _splitter(file.suffix.lower(), chunk_size)
    by_line = make is TextLoader or file.suffix.lower() in (".md", ".markdown")
    found: dict[tuple[str, str], Document] = {}  # one line may hold the same text twice
    for document in make(str(file)).lazy_load():
        known = document.metadata
        about = {key: known[key] for key in _PLACES if key in known}
        trail = [str(each) for each in known.get("headings", ())] if by_line else []
        if trail:
            about["headings"] = trail
        line, reached = known.get("line", 1), 0
        for text, start in splitter.locate(document.page_content):
            place = dict(about)
            if by_line:
                at = max(start, reached)
                line += document.page_content.count("\n", reached, at)
                reached = at
                place["line"] = line
            if not _says_something(text, trail):
                continue
            content = f"{HEADING.join(trail)}\n\n{text}" if trail else text
            passage = Document(content, {"source": str(file), **place})
            found[content, repr(place)] = passage
    return list(found.values())


def _says_something(text: str, headings: Sequence[str]) -> bool:
    """Whether there are words in a passage, other than its heading."""
    if headings and text.startswith("#"):
        text = text.partition("\n")[2]
    return any(map(str.isalnum, text))


def _splitter(suffix: str, chunk_size: int) -> RecursiveCharacterTextSplitter:
    sizes: dict[str, Any] = {"chunk_size": chunk_size, "chunk_overlap": chunk_size // 10}
    language = _LANGUAGES.get(suffix)
    if language is None:
        return RecursiveCharacterTextSplitter(**sizes)
    return RecursiveCharacterTextSplitter.from_language(language, **sizes)


# ---- files --------------------------------------------------------------------------------------


def _walk(root: Path, apart: Path, closed: dict[str, str]) -> Iterator[Path]:
    """The files of a folder, sorted by path."""

    def refused(error: OSError) -> None:
        closed[str(error.filename)] = error.strerror or type(error).__name__

    files: list[Path] = []
    for folder, folders, names in os.walk(root, onerror=refused):
        here = Path(folder)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and name not in _SKIPPED and here / name != apart
        ]
        files += [here / name for name in names if not name.startswith(".")]
    return iter(sorted(file for file in files if file.is_file()))


def _loader(file: Path) -> MakeLoader | None:
    return _LOADERS.get(file.suffix.lower())


def _is_text(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            start = opened.read(_SAMPLE)
        # The sample may end inside of a character.
        return b"\0" not in start and bool(start[:-3].decode() or start.decode())
    except UnicodeDecodeError as error:
        return error.start >= _SAMPLE - 6
    except OSError:
        return True  # that it cannot be read is said when it is
