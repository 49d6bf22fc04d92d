"""Passages that were found: as a model reads them, and as they are shown."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from headrace.documents import Document

from .event_text import clean
from .gathering import HEADING

__all__ = ["as_value", "fitting", "place", "shown", "text_of"]

_WIDTH = 110  # columns of what is shown, at most
_LINES = 6  # lines of a passage
_INDENT = "  "
_ENOUGH = 20  # tokens: less of a passage is of no use


def fitting(texts: Sequence[str], room: int, count: Callable[[str], int]) -> list[str]:
    """As many of the texts, from the first on, as fit; the last of them may be cut at a word.

    Args:
        texts: what is to be read, the most important first.
        room: tokens.
        count: how many tokens a text has.
    """
    kept: list[str] = []
    for text in texts:
        size = count(text)
        if size > room:
            if room >= _ENOUGH:
                kept.append(_cut(text, room, count))
            break
        kept.append(text)
        room -= size
    return kept


def _cut(text: str, room: int, count: Callable[[str], int]) -> str:
    """The beginning of a text, with so many tokens at most."""
    low, high = 0, len(text)  # it fits up to low
    while low < high:
        middle = (low + high + 1) // 2
        if count(text[:middle]) <= room:
            low = middle
        else:
            high = middle - 1
    beginning = text[:low]
    return beginning if low == len(text) else beginning.rpartition(" ")[0] or beginning


def text_of(passage: Document) -> str:
    """What stands in the file, without the headings that lead to it."""
    trail = HEADING.join(passage.metadata.get("headings", ()))
    return passage.page_content.removeprefix(f"{trail}\n\n") if trail else passage.page_content


def place(passage: Document) -> str:
    """Where a passage is: file, line or page or row, and headings."""
    known = passage.metadata
    file = _short(known["source"])
    if "line" in known:
        file += f":{known['line']}"
    for key, word, first in (("page", "page", 1), ("row", "row", 1), ("seq_num", "value", 0)):
        if key in known:
            file += f", {word} {known[key] + first}"
    headings = known.get("headings")
    return f"{file}  {HEADING.join(headings)}" if headings else file


def shown(passages: Sequence[Document]) -> str:
    """All passages, each with its number and its place and some lines of it."""
    width = min(shutil.get_terminal_size((_WIDTH, 24)).columns, _WIDTH)
    parts = []
    for number, passage in enumerate(passages, 1):
        lines = _lines(text_of(passage), width - len(_INDENT))
        parts.append("\n".join([f"[{number}] {place(passage)}", *(_INDENT + one for one in lines)]))
    return clean("\n\n".join(parts)) + "\n"


def as_value(number: int, passage: Document) -> Mapping[str, Any]:
    """A passage as JSON has it: its metadata and its text."""
    known = {"file" if key == "source" else key: each for key, each in passage.metadata.items()}
    return {"number": number, **known, "text": text_of(passage)}


def _lines(text: str, width: int) -> list[str]:
    lines: list[str] = []
    for line in text.splitlines():
        if line.strip():
            indent = line[: len(line) - len(line.lstrip())][: width // 2]
            lines += wrap(line, width, subsequent_indent=indent)
        if len(lines) > _LINES:
            return [*lines[: _LINES - 1], f"{lines[_LINES - 1][: width - 2]} …"]
    return lines


def _short(file: str) -> str:
    """A path as from the current folder, where it is in there."""
    return file.removeprefix(f"{Path.cwd()}{os.sep}")
