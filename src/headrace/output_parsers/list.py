"""Lists in text, whose elements come out as each is complete.

| parser                           | an element is                                                 |
|----------------------------------|---------------------------------------------------------------|
| `CommaSeparatedListOutputParser` | what stands between commas or line breaks, by CSV's rules     |
| `NumberedListOutputParser`       | the rest of a line after `1. `, wherever on the line that is  |
| `MarkdownListOutputParser`       | the rest of a line that begins with `- ` or `* `              |
| one of yours                     | the first group of each match that `parse_iter` gives         |

Streaming, each chunk is a list of one element; a text without an element gives `[]` once, so that
the chunks add up to what `invoke` gives. Each character is read a fixed number of times, however
the text is cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

from ..errors import ConfigError, InputError
from ..flow import Machine
from ._machines import MachineOutputParser, through
from .base import text_of

__all__ = [
    "CommaSeparatedListOutputParser",
    "ListOutputParser",
    "MarkdownListOutputParser",
    "NumberedListOutputParser",
]


class ListOutputParser(MachineOutputParser[list[str]]):
    """Text to a list of strings. Extension point: write `parse_iter(text)`, `parse(text)` or both.

    With `parse_iter` the parser streams: an element comes when the one after it has begun, since
    before that it may still grow, and the last one at the end. Text after the last complete element
    is searched again whenever it has grown by an eighth. A class that writes only `parse` needs the
    whole text, since nothing says where its elements end.
    """

    _streaming: ClassVar[tuple[str, ...]] = (*MachineOutputParser._streaming, "parse_iter")

    def parse(self, text: str) -> list[str]:
        """The elements of `text`: by default those that `parse_iter` gives."""
        return [_element(match) for match in self.parse_iter(text)]

    def parse_iter(self, text: str) -> Iterator[re.Match[str]]:
        """The matches in `text`, in order. The first group of each, or all of one without groups,
        is an element."""
        raise InputError(
            f"{type(self).__name__} does not say how to parse: define parse(text), or "
            "parse_iter(text) to stream."
        )

    def _machine(self) -> Machine:
        return _Matches(self.parse_iter)

    @property
    def _type(self) -> str:
        return "list"


class CommaSeparatedListOutputParser(ListOutputParser):
    """Comma-separated text to a list of strings, by the rules of CSV.

    An element in double quotes may hold commas, line breaks and doubled quotes; a line break ends
    an element too; spaces before an element are dropped. Streaming, an element comes as soon as
    what ends it is there; an empty text gives an empty list.
    """

    def parse(self, text: str) -> list[str]:
        """The elements of `text`."""
        return _joined(through(_Elements(), text))

    def _machine(self) -> Machine:
        return _Elements()

    def get_format_instructions(self) -> str:
        return "Answer with values separated by commas and nothing else, like this: `red, green`."

    @property
    def _type(self) -> str:
        return "comma-separated-list"


class _Usual(NamedTuple):
    """A default pattern, and the same written so that no character is looked at twice.

    alone: a mark whose element stands on the next line: the pattern's `\\s` is a line break, too.
    """

    pattern: str
    element: re.Pattern[str]
    alone: re.Pattern[str]


# A number is tried at its first digit only, the space before a bullet on the bullet's own line.
_NUMBERED = _Usual(
    r"\d+\.\s([^\n]+)",
    re.compile(r"(?<!\d)\d+\.\s([^\n]+)"),
    re.compile(r"(?<!\d)\d+\.\n\Z"),
)
_BULLETED = _Usual(
    r"^\s*[-*]\s([^\n]+)$",
    re.compile(r"^[^\S\n]*[-*]\s([^\n]+)", re.MULTILINE),
    re.compile(r"^[^\S\n]*[-*]\n\Z", re.MULTILINE),
)


class LineListOutputParser(ListOutputParser):
    """Base of those whose elements end with their line: `pattern` says what one looks like."""

    pattern: str

    _usual: ClassVar[_Usual]
    _flags: ClassVar[re.RegexFlag] = re.NOFLAG

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ConfigError(
                f"{type(self).__name__}(pattern={self.pattern!r}) is no regular expression: "
                f"{error}."
            ) from error

    def parse_iter(self, text: str) -> Iterator[re.Match[str]]:
        """The matches of `pattern` in `text`."""
        return re.finditer(self.pattern, text, self._flags)

    def _machine(self) -> Machine:
        own = type(self).parse_iter is not LineListOutputParser.parse_iter
        if own or self.pattern != self._usual.pattern:
            return super()._machine()
        return _Lines(self._usual.element, self._usual.alone)


class NumberedListOutputParser(LineListOutputParser):
    """A numbered list (`1. red`, one on each line) to a list of strings.

    Streaming, an element comes with the end of its line.

    Args:
        pattern: what an element looks like, its text as the first group. Another one than the
            default streams as `ListOutputParser` says.
    """

    pattern: str = _NUMBERED.pattern

    _usual: ClassVar[_Usual] = _NUMBERED

    def get_format_instructions(self) -> str:
        return "Answer with a numbered list, one item on each line, like this:\n\n1. red\n2. green"

    @property
    def _type(self) -> str:
        return "numbered-list"


class MarkdownListOutputParser(LineListOutputParser):
    """A Markdown list (`- red`, one on each line) to a list of strings.

    Streaming, an element comes with the end of its line.

    Args:
        pattern: what an element looks like, its text as the first group; `^` and `$` are the
            beginning and the end of a line. Another one than the default streams as
            `ListOutputParser` says.
    """

    pattern: str = _BULLETED.pattern

    _usual: ClassVar[_Usual] = _BULLETED
    _flags: ClassVar[re.RegexFlag] = re.MULTILINE

    def get_format_instructions(self) -> str:
        return "Answer with a Markdown list, one item on each line, like this:\n\n- red\n- green"

    @property
    def _type(self) -> str:
        return "markdown-list"


def _element(match: re.Match[str]) -> str:
    return match.group(1 if match.re.groups else 0)


def _joined(pieces: Iterable[list[str]]) -> list[str]:
    return [element for piece in pieces for element in piece]


class _Lines:
    """The machine of elements that end with their line: text in, `[element]` out."""

    __slots__ = ("_alone", "_any", "_pattern", "_rest")

    def __init__(self, pattern: re.Pattern[str], alone: re.Pattern[str]) -> None:
        self._pattern = pattern
        self._alone = alone
        self._rest: list[str] = []  # of the line that has not ended, and a mark alone before it
        self._any = False

    def feed(self, chunk: Any) -> Iterable[list[str]]:
        text = text_of(chunk)
        end = text.rfind("\n") + 1
        if not end:
            self._rest.append(text)
            return ()
        lines = "".join([*self._rest, text[:end]])
        self._rest = [text[end:]]
        at = 0
        found: list[list[str]] = []
        for match in self._pattern.finditer(lines):
            found.append([match.group(1)])
            at = match.end()
        self._any = self._any or bool(found)
        if (alone := self._last_line(lines, at)) is not None:
            self._rest.insert(0, alone)
        return found

    def _last_line(self, lines: str, at: int) -> str | None:
        start = max(at, lines.rfind("\n", 0, -1) + 1)
        match = self._alone.search(lines, start)
        return None if match is None else match[0]

    def finish(self) -> Iterable[list[str]]:
        for match in self._pattern.finditer("".join(self._rest)):
            self._any = True
            yield [match.group(1)]
        if not self._any:
            yield []


class _Matches:
    """The machine of any function from a text to matches: text in, `[element]` out."""

    __slots__ = ("_any", "_find", "_known", "_new", "_new_size", "_text")

    def __init__(self, find: Callable[[str], Iterator[re.Match[str]]]) -> None:
        self._find = find
        self._text = ""  # from the last complete match on, as what is around a match may count
        self._known = 0  # matches in it that have been given: that one, once there is one
        self._new: list[str] = []
        self._new_size = 0
        self._any = False

    def feed(self, chunk: Any) -> Iterable[list[str]]:
        text = text_of(chunk)
        self._new.append(text)
        self._new_size += len(text)
        if not text or self._new_size * 8 < len(self._text):
            return ()
        matches = self._matches()
        complete = matches[:-1]
        if complete:
            self._text = self._text[complete[-1].start() :]
            self._known = 1
        return self._given(complete)

    def finish(self) -> Iterable[list[str]]:
        yield from self._given(self._matches())
        if not self._any:
            yield []

    def _matches(self) -> list[re.Match[str]]:
        """Those that have not been given, the last of which may still grow."""
        self._text = "".join([self._text, *self._new])
        self._new, self._new_size = [], 0
        return list(self._find(self._text))[self._known :]

    def _given(self, matches: list[re.Match[str]]) -> list[list[str]]:
        self._any = self._any or bool(matches)
        return [[_element(match)] for match in matches]


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
