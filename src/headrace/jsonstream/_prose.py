"""Where the JSON begins in what a model says: before it prose, a Markdown fence, or nothing.

`Opening` is fed pieces of any size and answers with the text from the first character of the JSON
value on, once it is sure of it. The first value wins:

- At the start of the text, and after a fence (three backticks, with or without a word such as
  `json`), any value begins at once; blanks and backticks before it are skipped.
- Anywhere else in prose, only an object or an array begins, and only one that looks like one. The
  opening bracket with what is after it, a character or a literal, must be a row of `_SURE`, or a
  row of `_LIKELY` at the start of a line or after a colon: `[1]` in a sentence is a footnote, also
  where no other JSON comes. A footnote taken for the answer would be worse than the error.
"""

from __future__ import annotations

import re

from headrace.jsonstream._lexical import LITERALS

__all__ = ["Opening"]

_SKIP = re.compile(r"[\s`\ufeff]*")
_WORD = re.compile(r"[A-Za-z][\w+#.\-]*")
_SIGNS = re.compile(r"[{\[`]")
_LOOK = re.compile(r"([{\[])\s*([A-Za-z]++(?=[\s,\]]|\Z)|\S?)")
_AT_ONCE = frozenset('{["0123456789')

_SURE = frozenset({'{"', '["', "[{"})
_LIKELY = frozenset(
    {"{}", "[]", "[[", "[-", *(f"[{begun}" for begun in (*"0123456789", *LITERALS[False]))}
)

_BEFORE_LIKELY = frozenset(":\n\r")
_LITERAL_BEGUN = frozenset(word[:end] for word in LITERALS[False] for end in range(len(word) + 1))

# The longest language name after a fence, and more than the longest literal.
_LONGEST_WORD = 32


class Opening:
    """Finds the first character of the JSON in a text that is fed to it piece by piece."""

    __slots__ = ("_before", "_fenced", "_prose", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[str] = []  # seen, undecided: what comes next tells
        self._prose = False
        self._fenced = False  # a fence was the last thing seen
        self._before = ""  # the last character that is not a space or a tab

    def feed(self, text: str) -> str | None:
        """The text from the value's first character on, or None while it has not been found."""
        if self._waiting:
            word = self._waiting[0][-1].isalnum()  # whose end a blank would be
            self._waiting.append(text)
            if text.isspace() and not word:
                return None
            text = "".join(self._waiting)
            self._waiting.clear()
        pos: int | None = 0
        while pos is not None:
            start, pos = self._in_prose(text, pos) if self._prose else self._at_start(text, pos)
            if start is not None:
                return text[start:]
        return None

    def finish(self) -> str:
        """What was still undecided and, as the text ends here, is a value after all."""
        word = "".join(self._waiting).strip()
        return word if not self._prose and word in LITERALS[False] else ""

    def _at_start(self, text: str, pos: int) -> tuple[int | None, int | None]:
        """Look for any value: (its start, None), or (None, where to go on)."""
        match = _SKIP.match(text, pos)
        at = match.end() if match is not None else pos
        self._fenced = self._fenced or "`" in text[pos:at]
        if at == len(text):
            return None, None
        if text[at] in _AT_ONCE:
            return at, None
        if text[at] == "-":
            if at + 1 == len(text):
                return self._wait(text, at)
            if text[at + 1] in "0123456789I":
                return at, None
        word = _WORD.match(text, at)
        if word is None or word.end() - at > _LONGEST_WORD:
            self._prose = True
            return None, at
        if word.end() == len(text):
            return self._wait(text, at)
        if word[0] in LITERALS[False]:
            return at, None
        self._prose, self._fenced = not self._fenced, False
        self._before = word[0][-1]
        return None, word.end()

    def _in_prose(self, text: str, pos: int) -> tuple[int | None, int | None]:
        """Look for a fence or for a bracket that opens JSON; results as in `_at_start`."""
        sign = _SIGNS.search(text, pos)
        if sign is None:
            self._remember(text, pos, len(text))
            return None, None
        at = sign.start()
        self._remember(text, pos, at)
        look = _LOOK.match(text, at)
        if look is None:  # a backtick
            ticks = text[at : at + 3]
            if ticks == "```":
                self._prose, self._fenced = False, True
                return None, at + 3
            if at + len(ticks) == len(text) and not ticks.strip("`"):
                return self._wait(text, at)
        elif look.end() == len(text) and look[2] in _LITERAL_BEGUN:
            return self._wait(text, at)
        else:
            pair = look[1] + look[2]
            if pair in _SURE or (pair in _LIKELY and self._before in _BEFORE_LIKELY):
                return at, None
        self._before = text[at]
        return None, at + 1

    def _remember(self, text: str, pos: int, end: int) -> None:
        """Keep the last character before `end` that is not a space or a tab."""
        prose = text[pos:end].rstrip(" \t")
        if prose:
            self._before = prose[-1]

    def _wait(self, text: str, at: int) -> tuple[None, None]:
        """Keep the undecided rest of the piece for the next one."""
        self._waiting.append(text[at:])
        return None, None
