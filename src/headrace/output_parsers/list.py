"""`CommaSeparatedListOutputParser`: a list whose elements come out as each is complete."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from .. import _async, _sync
from ..flow import Machine
from ..run import Run
from ..shapes import Flow, Kwargs, Pieces
from .base import BaseOutputParser, text_of

__all__ = ["CommaSeparatedListOutputParser"]


class CommaSeparatedListOutputParser(BaseOutputParser[list[str]]):
    """Comma-separated text to a list of strings, by the rules of CSV.

    An element in double quotes may hold commas, line breaks and doubled quotes; a line break ends
    an element too; spaces before an element are dropped. Streaming, each chunk is a list of one
    element, as soon as what ends it is there; an empty text gives an empty list.
    """

    def parse(self, text: str) -> list[str]:
        """The elements of `text`."""
        machine = _Elements()
        pieces = [*machine.feed(text), *machine.finish()]
        return [element for piece in pieces for element in piece]

    @property
    def _own_words(self) -> bool:
        """Whether a subclass parses in its own way; then only the whole text will do."""
        cls = type(self)
        own = cls.parse is not CommaSeparatedListOutputParser.parse
        return own or cls.parse_result is not BaseOutputParser.parse_result

    def _start(self, fold: Any) -> Machine | None:
        return super()._start(fold) if self._own_words else _Elements()

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        if self._own_words:
            return super()._open(source, run, kw)
        return _sync.run_machine(self, source, _Elements())

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        if self._own_words:
            return super()._aopen(source, run, kw)
        return _async.run_machine(self, source, _Elements())

    @property
    def _many(self) -> Pieces:  # type: ignore[override]
        return Pieces.NONE if self._own_words else Pieces.SURE

    def _flow(self) -> Flow:
        return Flow("barrier" if self._own_words else "streams")

    def get_format_instructions(self) -> str:
        return "Answer with values separated by commas and nothing else, like this: `red, green`."

    @property
    def _type(self) -> str:
        return "comma-separated-list"


_MARK = re.compile(r'[",\r\n]')


class _Elements:
    """The machine: text in, `[element]` out where one is complete; each character is read once."""

    __slots__ = ("_any", "_began", "_closing", "_in_row", "_parts", "_quoted")

    def __init__(self) -> None:
        self._any = False  # an element has been given
        self._in_row = False  # something of this line has been read: its end ends an element
        self._fresh()

    def _fresh(self) -> None:
        self._parts: list[str] = []
        self._began = False  # past the spaces that come before an element
        self._quoted = False
        self._closing = False  # a quote inside quotes: their end, or the first of two

    def feed(self, chunk: Any) -> Iterable[list[str]]:
        text, at = text_of(chunk), 0
        done: list[list[str]] = []
        for mark in _MARK.finditer(text):
            self._add(text[at : mark.start()])
            at = mark.end()
            if mark[0] == '"':
                self._quote()
            elif self._quoted and not self._closing:
                self._parts.append(mark[0])
            elif mark[0] == ",":
                done.append(self._element())
                self._in_row = True
            elif self._in_row:  # the end of a line, unless it is an empty one
                done.append(self._element())
                self._in_row = False
        self._add(text[at:])
        return done

    def finish(self) -> Iterable[list[str]]:
        if self._in_row:
            yield self._element()
        elif not self._any:
            yield []

    def _add(self, text: str) -> None:
        if not text:
            return
        self._in_row = True
        if self._closing:
            self._quoted = self._closing = False
        if not self._began:
            text = text.lstrip(" ")
            self._began = bool(text)
        self._parts.append(text)

    def _quote(self) -> None:
        self._in_row = True
        if self._quoted:
            if self._closing:
                self._parts.append('"')
            self._closing = not self._closing
        elif self._began:
            self._parts.append('"')
        else:
            self._began = self._quoted = True

    def _element(self) -> list[str]:
        element = "".join(self._parts)
        self._any = True
        self._fresh()
        return [element]
