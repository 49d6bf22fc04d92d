"""Splitters that cut at separators: one separator, or the coarsest of several that does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

from headrace.errors import ConfigError

from .base import TextSplitter
from .languages import Language, separators_of
from .pieces import Keep, Piece, cut, place

__all__ = ["CharacterTextSplitter", "RecursiveCharacterTextSplitter"]


class _Separator(NamedTuple):
    given: str
    pattern: re.Pattern[str] | None  # None: between all characters
    is_regex: bool


def _compiled(given: str, is_regex: bool) -> _Separator:
    if not isinstance(given, str):
        raise ConfigError(
            f"A separator is a string; received {given!r} ({type(given).__name__}): give what to "
            'cut at, e.g. "\\n\\n", or "" to cut anywhere.'
        )
    try:
        pattern = re.compile(given if is_regex else re.escape(given)) if given else None
    except re.error as error:
        raise ConfigError(
            f"The separator {given!r} is no regular expression ({error}): mend it, or leave out "
            "is_separator_regex."
        ) from error
    return _Separator(given, pattern, is_regex)


class _AtSeparators(TextSplitter):
    """What both have in common: pieces, and chunks made of them."""

    def _pieces(self, text: str, separator: _Separator) -> list[Piece]:
        """A text cut at a separator and measured."""
        length, plain = self._length_function, self._length_function is len
        gap = 0 if self._keep_separator else length(separator.given)
        pieces: list[Piece] = []
        for start, end in cut(text, separator.pattern, self._keep_separator):
            size = end - start if plain else length(text[start:end])
            if separator.is_regex and not self._keep_separator and pieces:
                gap = length(text[pieces[-1].end : start])
            pieces.append(Piece(start, end, size, gap))
        return pieces

    def _chunks(
        self, text: str, pieces: list[Piece], separator: _Separator
    ) -> Iterator[tuple[str, int]]:
        """Pieces joined to chunks, each with where it begins in the text."""
        joint = "" if self._keep_separator or separator.is_regex else separator.given
        for run in self._runs(pieces):
            if joint:
                # Where there were several in a row, one is left.
                chunk = joint.join([text[piece.start : piece.end] for piece in run])
            else:
                # A pattern is nothing to join with: what it matched is, and stands there.
                chunk = text[run[0].start : run[-1].end]
            skipped = 0
            if self._strip_whitespace:
                skipped = len(chunk) - len(chunk.lstrip())
                chunk = chunk.strip()
            if chunk:
                start = place(run, joint, skipped) if joint else run[0].start + skipped
                yield chunk, start


class CharacterTextSplitter(_AtSeparators):
    r"""Cuts at one separator. What lies between two of them is never cut, however long it is.

    Args:
        separator: what to cut at; "" cuts anywhere.
        is_separator_regex: whether it is a regular expression.
        kwargs: as for `TextSplitter`.

    Raises:
        ConfigError: an argument is no good.
    """

    def __init__(
        self, separator: str = "\n\n", is_separator_regex: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._separator = separator
        self._is_separator_regex = is_separator_regex
        self._cut_at = _compiled(separator, is_separator_regex)

    def split_text(self, text: str) -> list[str]:
        self._check_text(text)
        return [chunk for chunk, _ in self.locate(text)]

    def locate(self, text: str) -> Iterator[tuple[str, int]]:
        yield from self._chunks(text, self._pieces(text, self._cut_at), self._cut_at)


class RecursiveCharacterTextSplitter(_AtSeparators):
    r"""Cuts at the first of its separators that a text has; what is still too long, at the next.

    So paragraphs stay whole where they fit into a chunk, else lines, else words.

    Args:
        separators: the coarsest first; "" cuts anywhere. By default `["\n\n", "\n", " ", ""]`.
        keep_separator: as for `TextSplitter`.
        is_separator_regex: whether they are regular expressions.
        kwargs: as for `TextSplitter`.

    Raises:
        ConfigError: an argument is no good.
    """

    def __init__(
        self,
        separators: list[str] | None = None,
        keep_separator: Keep = True,
        is_separator_regex: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(keep_separator=keep_separator, **kwargs)
        if isinstance(separators, str):
            raise ConfigError(
                f"separators is the string {separators!r}: give a list, [{separators!r}, …], or "
                "take CharacterTextSplitter, which cuts at one separator."
            )
        if separators is not None and not isinstance(separators, (list, tuple)):
            raise ConfigError(
                f"separators is {separators!r}: give a list of strings; the length of chunks is "
                "chunk_size=…."
            )
        self._separators = separators or ["\n\n", "\n", " ", ""]
        self._is_separator_regex = is_separator_regex
        self._cut_at = [_compiled(each, is_separator_regex) for each in self._separators]

    @classmethod
    def from_language(cls, language: Language, **kwargs: Any) -> Self:
        """A splitter for source code or markup.

        Args:
            language: whose definitions, statements or headings to cut at.
            kwargs: the splitter's other arguments.
        """
        return cls(separators=separators_of(language), is_separator_regex=True, **kwargs)

    @staticmethod
    def get_separators_for_language(language: Language) -> list[str]:
        """What to cut a language at, the coarsest first: regular expressions."""
        return separators_of(language)

    def split_text(self, text: str) -> list[str]:
        self._check_text(text)
        return [chunk for chunk, _ in self.locate(text)]

    def locate(self, text: str) -> Iterator[tuple[str, int]]:
        yield from self._cut(text, 0, 0)

    def _cut(self, text: str, begun: int, level: int) -> Iterator[tuple[str, int]]:
        """The chunks of a part that begins there, by the separators from a level on."""
        separator, finer = self._separator_for(text, level)
        fitting: list[Piece] = []
        for piece in self._pieces(text, separator):
            if piece.length < self._chunk_size:
                fitting.append(piece)
                continue
            yield from _moved(self._chunks(text, fitting, separator), begun)
            fitting = []
            part = text[piece.start : piece.end]
            if finer is None:
                yield part, begun + piece.start
            else:
                yield from self._cut(part, begun + piece.start, finer)
        yield from _moved(self._chunks(text, fitting, separator), begun)

    def _separator_for(self, text: str, level: int) -> tuple[_Separator, int | None]:
        """The first that the text has, and from which level on there are finer ones."""
        for at in range(level, len(self._cut_at)):
            separator = self._cut_at[at]
            if separator.pattern is None:
                return separator, None
            if separator.pattern.search(text):
                return separator, at + 1 if at + 1 < len(self._cut_at) else None
        return self._cut_at[-1], None


def _moved(chunks: Iterator[tuple[str, int]], by: int) -> Iterator[tuple[str, int]]:
    return ((chunk, start + by) for chunk, start in chunks)
