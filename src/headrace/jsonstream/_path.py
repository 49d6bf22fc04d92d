"""Selectors of places in a JSON value: `countries[*].name`.

A path is a tuple of keys (str) and indexes (int) from the root. A selector is a pattern of the
same length: `name` or `["a key"]` is that key, `[3]` that index, `[*]` any index, `.*` any key;
`$` for the root may stand first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from headrace.errors import InputError

__all__ = ["Path", "Selector", "place"]

Path = tuple[str | int, ...]

_PART = re.compile(
    r'\.?(?P<key>[^.\[\]"*]+)|\[(?P<index>\d+|\*)\]|\.?(?P<any>\*)'
    r'|\[(?P<quoted>"(?:[^"\\]|\\.)*")\]'
)


class Selector:
    """A parsed selector; `Selector("")` is the root."""

    __slots__ = ("parts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts: list[str | int | type] = []  # a type stands for any of its kind
        at = 1 if text.startswith("$") else 0
        while at < len(text):
            part = _PART.match(text, at)
            if part is None:
                raise InputError(
                    f"The path {text!r} cannot be read at character {at}: write keys and indexes "
                    'like countries[*].name, with other keys as ["a key"].'
                )
            self.parts.append(_part(part))
            at = part.end()

    def __repr__(self) -> str:
        return f"Selector({self.text!r})"

    def matches(self, stack: Sequence[Any], keys: Sequence[str | None]) -> bool:
        """Whether it selects the element that was just closed at the end of the open path."""
        if len(self.parts) != len(stack):
            return False
        for part, items, key in zip(self.parts, stack, keys, strict=True):
            step: str | int = key if key is not None else len(items) - (items is stack[-1])
            if part is not type(step) and part != step:
                return False
        return True


def place(stack: Sequence[Any], keys: Sequence[str | None]) -> Path:
    """The path of the element that was just closed at the end of the open path."""
    return tuple(
        (len(items) - (items is stack[-1])) if key is None else key
        for items, key in zip(stack, keys, strict=True)
    )


def _part(match: re.Match[str]) -> str | int | type:
    """What one step of a selector selects."""
    if match["key"] is not None:
        return match["key"]
    if match["quoted"] is not None:
        return str(json.loads(match["quoted"]))
    if match["any"] is not None:
        return str
    return int if match["index"] == "*" else int(match["index"])
