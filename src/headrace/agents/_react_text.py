"""What a model writes in the form of ReAct, taken apart piece by piece, without I/O.

    I should look it up.            thought (a `Thought:` before it is taken for no more)
    Action: search                  action
    Action Input: {"query": "x"}    input, in pieces
    Observation: …                  nothing: what a model makes up of a result, and all behind it
    Final Answer: It is 42.         answer, in pieces

A word counts at the beginning of a line, in any case, with or without Markdown around it. White
space around a section is dropped. `feed(text)` gives the parts that are sure, the same ones at any
cut of the text but for where they are cut themselves.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Literal, NamedTuple, TypeAlias

__all__ = ["Kind", "Part", "Sections"]

Kind: TypeAlias = Literal["thought", "action", "input", "answer"]


class Part(NamedTuple):
    """A piece of a section."""

    kind: Kind
    text: str


# In a section, the words that count and what they begin; behind what is "over" comes nothing more.
# A line of an input or an answer may begin in many ways, a second call is one that was made up.
_NEXT: dict[Kind, dict[str, Kind | Literal["over"]]] = {
    "thought": {
        "thought": "thought",
        "action": "action",
        "final answer": "answer",
        "observation": "over",
    },
    "action": {
        "action input": "input",
        "observation": "over",
        "thought": "over",
        "final answer": "over",
    },
    "input": {"observation": "over", "thought": "over", "final answer": "over"},
    "answer": {"observation": "over"},
}
_DECORATION = " \t*_#>`"
_LONGEST = 40  # characters in which a word and what is around it have room
_NUMBERS = re.compile(r"[\d*_`]")


class Sections:
    """See the head of the file."""

    __slots__ = ("_at_line_start", "_fresh", "_held", "_kind", "_line", "_marks",
                 "_started", "over")  # fmt: skip

    def __init__(self) -> None:
        self._kind: Kind = "thought"
        self._started = False  # the section has more than white space
        self._fresh = True  # nothing but that has come behind the last word
        self._held = ""  # white space that counts if more comes
        self._line = ""  # the beginning of a line that may be one of the words
        self._at_line_start = True
        self._marks = 0  # asterisks that close those before the word
        self.over = False

    def feed(self, text: str) -> Iterator[Part]:
        """What the next piece of the text adds."""
        while text and not self.over:
            if self._at_line_start:
                text = yield from self._begin(text)
            else:
                line, newline, text = text.partition("\n")
                yield from self._said(line + newline)
                self._at_line_start = bool(newline)

    def finish(self) -> Iterator[Part]:
        """What was held back."""
        if self._line and not self.over:
            line, self._line = self._line, ""
            yield from self._said(line)

    def _begin(self, text: str) -> Generator[Part, None, str]:
        """Takes the beginning of a line as far as is needed to know it; gives the rest."""
        for at, sign in enumerate(text):
            self._line += sign
            word = self._word() if sign == ":" else None
            if word is not None:
                self._enter(word)
                return text[at + 1 :]
            if sign == "\n" or not self._may_be_a_word():
                line, self._line = self._line, ""
                self._at_line_start = sign == "\n"
                yield from self._said(line)
                return text[at + 1 :]
        return ""

    def _word(self) -> str | None:
        """The word that the line begins with, if it counts here."""
        word = " ".join(_NUMBERS.sub("", self._line[:-1].lstrip(_DECORATION)).lower().split())
        return word if word in _NEXT[self._kind] else None

    def _may_be_a_word(self) -> bool:
        body = self._line.lstrip(_DECORATION)
        if ":" in body or len(self._line) > _LONGEST:
            return False
        said = " ".join(_NUMBERS.sub("", body).lower().split())
        return any(word.startswith(said) for word in _NEXT[self._kind])

    def _enter(self, word: str) -> None:
        begins = _NEXT[self._kind][word]
        before = self._line[: len(self._line) - len(self._line.lstrip(_DECORATION))]
        inside = self._line[len(before) :]
        self._marks = max(0, before.count("*") - inside.count("*"))
        again = begins == self._kind and self._started  # a thought goes on in another line
        self._line, self._held = "", "\n" if again else ""
        self._started, self._fresh, self._at_line_start = again, True, False
        if begins == "over":
            self.over = True
        else:
            self._kind = begins

    def _said(self, text: str) -> Iterator[Part]:
        """Text of the section that is under way, without white space around all of it."""
        while self._marks and text.startswith("*"):
            text, self._marks = text[1:], self._marks - 1
        if text:
            self._marks = 0
        if self._fresh:
            text = text.lstrip()
            self._fresh = not text
        text = self._held + text if self._started else text
        told = text.rstrip()
        self._held = text[len(told) :]
        if told:
            self._started = True
            yield Part(self._kind, told)
