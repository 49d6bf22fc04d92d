"""`ThinkTags`: text whose beginning is what the model thinks, between `<think>` and `</think>`.

    feed("<thi"), feed("nk>so"), feed("</think>\\n\\nHi")  ->  [], [(True, "so")], [(False, "Hi")]

Models of the DeepSeek-R1 kind write so, where the server does not take it apart. A tag may be cut
anywhere; no more than a tag is held back. Only the first thing in an answer counts as a tag.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ThinkTags"]

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


class ThinkTags:
    """Takes an answer's text apart: `feed` pieces, then `finish`."""

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"  # then "thinking", "after" (blank lines), "text"

    def feed(self, text: str) -> list[tuple[bool, str]]:
        """The pieces that are certain now: whether it is thought, and the text."""
        out: list[tuple[bool, str]] = []
        self._held += text
        while self._step(out):
            continue
        return out

    def finish(self) -> list[tuple[bool, str]]:
        """What was held back."""
        held, self._held = self._held, ""
        return [(self._state == "thinking", held)] if held and self._state != "after" else []

    def _step(self, out: list[tuple[bool, str]]) -> bool:
        """Whether there may be more to do."""
        held = self._held
        if self._state == "start":
            stripped = held.lstrip()
            if stripped.startswith(_OPEN):
                self._held = stripped.removeprefix(_OPEN).removeprefix("\n")
                self._state = "thinking"
                return True
            if _OPEN.startswith(stripped):
                return False
            self._state = "text"
            return True
        if self._state == "thinking":
            return self._think(held, out)
        if self._state == "after":
            held = held.lstrip()
            self._held = held
            if not held:
                return False
            self._state = "text"
        self._held = ""
        if held:
            out.append((False, held))
        return False

    def _think(self, held: str, out: list[tuple[bool, str]]) -> bool:
        thought, tag, rest = held.partition(_CLOSE)
        if tag:
            self._held, self._state = rest, "after"
        else:
            keep = next((n for n in range(len(_CLOSE) - 1, 0, -1) if held.endswith(_CLOSE[:n])), 0)
            thought, self._held = held[: len(held) - keep], held[len(held) - keep :]
        if thought:
            out.append((True, thought))
        return bool(tag)
