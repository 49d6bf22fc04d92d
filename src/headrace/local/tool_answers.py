"""From the JSON that the embedded model writes to tool calls, piece by piece.

    {"name": "search", "arguments": {…}}            one call
    {"calls": [{"name": …, "arguments": …}, …]}     several
    {"answer": "…"}                                 no call but an answer

A sans-IO machine: `feed(text)` gives what the text adds, as content and tool-call chunks. The name
of a call comes in one chunk, as soon as it is there; its arguments follow as pieces of their JSON
text, as they are written; an answer as pieces of its text. Linear, and the same at any cut. The
grammar (`tooling`) holds the model to these forms; what is not of them is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from headrace.jsonstream import JsonStream
from headrace.messages import tool_call_chunk
from headrace.messages.tool_calls import ToolCallChunk

__all__ = ["AnswerReader"]


class AnswerReader:
    """Reads one answer. `id`: the answer's, from which those of the calls are made."""

    __slots__ = ("_answer", "_id", "_members", "_name", "_sent")

    def __init__(self) -> None:
        self._members = _Members()
        self._name: list[str] = []
        self._answer = JsonStream(prose=False)
        self._sent = 0  # characters of the answer

    def feed(self, text: str, id: str) -> tuple[str, list[ToolCallChunk]]:
        """What the next piece of the model's text adds: to the answer, and to the calls.

        Args:
            id: of the message; the calls' ids are `<id>-0`, `<id>-1` and so on.
        """
        content: list[str] = []
        chunks: list[ToolCallChunk] = []
        for place, key, raw, last in self._members.feed(text):
            if key == "answer":
                content.append(self._answered(raw))
            elif key == "arguments":
                chunks.append(tool_call_chunk(args=raw, index=place))
            elif key == "name":
                self._name.append(raw)
                if last:
                    name = json.loads("".join(self._name))
                    self._name.clear()
                    chunks.append(
                        tool_call_chunk(name=name, args="", id=f"{id}-{place}", index=place)
                    )
        return "".join(content), chunks

    def _answered(self, raw: str) -> str:
        self._answer.feed(raw)
        value = self._answer.value
        if not isinstance(value, str):
            return ""
        fresh = value[self._sent :]
        self._sent = len(value)
        return fresh


class _Piece(NamedTuple):
    """A piece of the raw text of a member's value; `place`: of its object, `last`: it ends here."""

    place: int
    key: str
    text: str
    last: bool


class _Members:
    """The raw texts of the members of the outermost object, or, where that has a list `calls`, of
    the objects in it; of strings, objects and arrays. Nothing but quotes and depth is looked at."""

    __slots__ = ("_depth", "_due", "_escaped", "_in_string", "_inside", "_key", "_level", "_place",
                 "_word")  # fmt: skip

    def __init__(self) -> None:
        self._depth = 0
        self._level = 1  # at which members are read; 3 within `calls`
        self._place = -1  # of the object whose members are read
        self._in_string = self._escaped = False
        self._word: list[str] = []  # the key that is being read
        self._key = ""
        self._due = False  # its value
        self._inside = False  # that value has begun

    def feed(self, text: str) -> Iterator[_Piece]:
        """The pieces of values in the next piece of the text."""
        start = 0
        for at, sign in enumerate(text):
            was_inside = self._inside
            over = self._in_text(sign) if self._in_string else self._in_structure(sign)
            if self._inside and not was_inside:
                start = at
            if over:
                self._inside = self._due = False
                yield _Piece(self._place, self._key, text[start : at + 1], True)
        if self._inside and text:
            yield _Piece(self._place, self._key, text[start:], False)

    def _in_text(self, sign: str) -> bool:
        """A character of a string; whether it ends a value."""
        if self._escaped:
            self._escaped = False
        elif sign == "\\":
            self._escaped = True
        elif sign == '"':
            self._in_string = False
            if self._inside:
                return self._depth == self._level
            self._key = json.loads(f'"{"".join(self._word)}"')
            return False
        if not self._inside:
            self._word.append(sign)
        return False

    def _in_structure(self, sign: str) -> bool:
        """A character outside of strings; whether it ends a value."""
        if sign == '"':
            self._in_string = True
            self._inside = self._inside or self._due
            self._word.clear()
        elif sign in "{[":
            self._open(sign)
        elif sign in "}]":
            self._depth -= 1
            return self._inside and self._depth == self._level
        elif not self._inside and sign in ":,":
            self._due = sign == ":" and self._depth == self._level
        return False

    def _open(self, sign: str) -> None:
        if not self._inside:
            if self._due and self._level == 1 and self._key == "calls":
                self._level, self._place, self._due = 3, -1, False
            elif self._due:
                self._inside = True
            elif sign == "{" and self._depth == self._level - 1:
                self._place += 1
        self._depth += 1
