"""What is shown of values, chunks and errors: short, in one colour, without control codes.

Nothing here reads more of a value than it shows, so a large input costs as little as a small one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from headrace.documents import Document
from headrace.errors import HeadraceError
from headrace.messages import BaseMessage
from headrace.outputs import Generation
from headrace.prompt_values import PromptValue

__all__ = ["Said", "brief", "clean", "message_of", "took"]

_KEPT = 1024  # characters of a growing text: at least so many of its last, for the tree
_FIRST = 256  # and so many of its first, for a line about it
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def clean(text: str) -> str:
    """A text that moves no cursor and breaks no encoding: what would becomes a space or a �.
    Line feeds stay."""
    return _CONTROL.sub(lambda found: " " if found[0].isspace() else "\ufffd", text)


def brief(value: Any, limit: int = 200) -> str:
    """A value in one line of at most `limit` characters, of which the last is … if there is more.

    Text is shown as it is, messages as `role: text`, other things as compact JSON as far as JSON
    knows them.
    """
    taken, room = [], limit
    for piece in _outer(value, limit + 1):
        taken.append(piece)
        room -= len(piece)
        if room < 0:
            break
    line = " ".join(clean("".join(taken)).split())
    return line if room >= 0 and len(line) <= limit else f"{line[: limit - 1]}…"


def message_of(error: BaseException) -> str:
    """An error in one line. Headrace's own are sentences; others need their class's name."""
    text, kind = brief(str(error), 400), type(error).__name__
    if isinstance(error, HeadraceError) and text:
        return text
    return f"{kind}: {text}" if text else kind


def took(seconds: float) -> str:
    """A time in at most 7 characters."""
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f} ms" if seconds >= 0.0005 else "<1 ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02} h"


# ---- values --------------------------------------------------------------------------------------


def _outer(value: Any, limit: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value[: 2 * limit]  # twice: runs of blanks become one
    elif isinstance(value, PromptValue):
        yield from _joined(value.to_messages(), limit)
    elif isinstance(value, list) and value and isinstance(value[0], BaseMessage):
        yield from _joined(value, limit)
    elif isinstance(value, BaseMessage):
        yield from _joined([value], limit)
    elif isinstance(value, Generation):
        yield value.text[: 2 * limit]
    else:
        yield from _inner(value, limit, 0)


def _joined(messages: list[Any], limit: int) -> Iterator[str]:
    for number, message in enumerate(messages):
        separator = " · " if number else ""
        if isinstance(message, BaseMessage):
            role = message.type.removesuffix("MessageChunk").lower()
            yield f"{separator}{role}: {text_of_message(message)[: 2 * limit]}"
        else:
            yield separator
            yield from _inner(message, limit, 1)


def _inner(value: Any, limit: int, depth: int) -> Iterator[str]:
    if depth > 8:
        yield "…"
    elif isinstance(value, str):
        yield json.dumps(value[: 2 * limit], ensure_ascii=False)
    elif value is None or isinstance(value, (bool, int, float)):
        yield json.dumps(value)
    elif isinstance(value, Mapping):
        yield from _grouped("{}", (_entry(*item, limit, depth) for item in value.items()))
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from _grouped("[]", (_inner(item, limit, depth + 1) for item in value))
    elif isinstance(value, Document):
        yield json.dumps(value.page_content[: 2 * limit], ensure_ascii=False)
    elif isinstance(value, (BaseMessage, PromptValue)):
        yield from _outer(value, limit)
    else:
        yield repr(value)[: 2 * limit]


def _entry(key: Any, value: Any, limit: int, depth: int) -> Iterator[str]:
    name = json.dumps(key, ensure_ascii=False) if isinstance(key, str) else repr(key)
    return chain((f"{name}: ",), _inner(value, limit, depth + 1))


def _grouped(brackets: str, items: Iterator[Iterator[str]]) -> Iterator[str]:
    yield brackets[0]
    for number, item in enumerate(items):
        if number:
            yield ", "
        yield from item
    yield brackets[1]


def text_of_message(message: BaseMessage) -> str:
    """A message's text, then its tool calls; of a chunk, what of them it brings."""
    text = message.text
    pieces = getattr(message, "tool_call_chunks", None)
    if pieces is None:
        calls = getattr(message, "tool_calls", None) or ()
        shown = [f"→ {call['name']} {brief(call['args'])}" for call in calls]
        return "\n".join(filter(None, (text, *shown)))
    for piece in pieces:
        name = piece.get("name")
        text += (f"\n→ {name} " if name else "") + (piece.get("args") or "")
    return text


class Said:
    """What a run has given so far: a text that grows, of which both ends are kept, or a value."""

    __slots__ = ("_first", "_has_value", "_start", "text", "value")

    def __init__(self) -> None:
        self.text = ""
        self._first = ""  # the beginning, where it is forgotten
        self._start = 0  # how many characters before `text` are forgotten
        self.value: Any = None
        self._has_value = False

    @property
    def is_text(self) -> bool:
        return not self._has_value

    @property
    def cut(self) -> bool:
        """Whether the beginning of the text is forgotten."""
        return self._start > 0

    def __bool__(self) -> bool:
        return self._has_value or bool(self.text)

    def add(self, chunk: Any) -> None:
        """The next chunk: text is appended, of other values the latest counts."""
        if isinstance(chunk, str):
            piece = chunk
        elif isinstance(chunk, BaseMessage):
            piece = text_of_message(chunk)
        elif isinstance(chunk, Generation):
            piece = chunk.text
        else:
            self.value, self._has_value = chunk, True
            return
        self.text += piece
        if len(self.text) > 2 * _KEPT:
            self._first = self._first or self.text[:_FIRST]
            self._start += len(self.text) - _KEPT
            self.text = self.text[-_KEPT:]

    def end(self, output: Any) -> None:
        """The whole of it: what the chunks of a value add up to, or all, where none came."""
        if self._has_value or not self.text:
            self._has_value = False
            self.text, self._start = "", 0
            self.add(output)

    def short(self, limit: int = 200) -> str:
        """In one line, from its beginning."""
        if self._has_value:
            return brief(self.value, limit)
        return brief(f"{self._first}…" if self._start else self.text, limit)

    def repeats(self, other: Said) -> bool:
        """Whether this text is the beginning of another, as that of a parser behind its model."""
        if self._has_value or other._has_value:
            return self._has_value and other._has_value and self.value is other.value
        begin = max(self._start, other._start)
        mine, others = self.text[begin - self._start :], other.text[begin - other._start :]
        return bool(mine) and others.startswith(mine)
