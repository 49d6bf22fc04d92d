"""`CallInPieces`: a function call of Gemini's whose arguments come in pieces.

Vertex AI sends them so where `streamFunctionCallArguments` asks for it: each piece names the place
of a value (a JSON path) and gives it, or, of a text, some more of it. Source:
https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

__all__ = ["CallInPieces"]

_STEP: Final = re.compile(r"\[(\d+)\]|\[['\"](.+?)['\"]\]|([^.\[\]$]+)")
_VALUES: Final = ("stringValue", "numberValue", "boolValue", "nullValue")


class CallInPieces:
    """The call so far."""

    __slots__ = ("args", "id", "name", "signature")

    def __init__(self) -> None:
        self.id: str | None = None
        self.name: str | None = None
        self.signature: str | None = None
        self.args: dict[str, Any] = {}

    def feed(self, call: Mapping[str, Any], signature: str | None) -> None:
        """A further piece."""
        self.id = self.id or call.get("id")
        self.name = self.name or call.get("name")
        self.signature = self.signature or signature
        self.args.update(call.get("args") or {})
        for piece in call.get("partialArgs") or ():
            kind = next((name for name in _VALUES if name in piece), None)
            if kind is not None:
                value = None if kind == "nullValue" else piece[kind]
                self._put(_steps(piece.get("jsonPath") or ""), value)

    def _put(self, steps: list[str | int], value: Any) -> None:
        if not steps:
            return
        holder: Any = self.args
        for step, following in pairwise(steps):
            holder = _held(holder, step, [] if isinstance(following, int) else {})
        before = _held(holder, steps[-1], None)
        if isinstance(before, str) and isinstance(value, str):
            value = before + value
        holder[steps[-1]] = value


def _steps(path: str) -> list[str | int]:
    """`$.a[0].b` as the steps to that place."""
    found = (match.groups() for match in _STEP.finditer(path))
    return [int(number) if number else quoted or key for number, quoted, key in found]


def _held(holder: Any, step: Any, otherwise: Any) -> Any:
    """What is at a step; `otherwise` is put there where nothing is."""
    if isinstance(holder, list):
        while len(holder) <= step:
            holder.append(None)
        if holder[step] is None:
            holder[step] = otherwise
        return holder[step]
    return holder.setdefault(step, otherwise)
