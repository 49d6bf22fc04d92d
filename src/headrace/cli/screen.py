"""What reaches the terminal or the pipe: chunks on standard output, remarks on standard error.

Each chunk is written and flushed by itself, as it is: no buffering, no wrapping, no colours.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import sys
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from headrace.flow import last
from headrace.messages import BaseMessage

__all__ = ["Chunks", "OutputClosed", "Screen", "as_json", "chunks_of", "remark", "remarks_width"]


Chunks: TypeAlias = Literal["parts", "elements", "values"]


def chunks_of(runnable: Any) -> Chunks:
    """What a runnable streams, by its last step: parts of the value, that add up to it; elements
    of it, each a value by itself; or the value so far, again and again."""
    step = runnable
    while True:
        steps = getattr(step, "steps", None)
        inner = steps[-1] if isinstance(steps, list) and steps else getattr(step, "bound", None)
        if inner is None:
            break
        step = inner
    if getattr(step, "_late", False) and not getattr(step, "diff", False):
        return "elements"
    return "values" if getattr(step, "_fold", None) is last else "parts"


class OutputClosed(Exception):
    """Whoever read standard output is gone."""


class Screen:
    """Writes chunks.

    Args:
        lines: each chunk is a line of JSON. Otherwise texts, and the texts of messages, follow each
            other as they are, and each other value is a line of JSON, or its repr.
        of: what the chunks are (see `chunks_of`): texts that are values by themselves have lines of
            their own, and a value so far that looks like the one before is not shown again.
    """

    def __init__(self, *, lines: bool = False, of: Chunks = "parts") -> None:
        self._lines = lines
        self._of = of
        self._last: str | None = None
        self._inside_line = False
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Text that the terminal's encoding lacks must not end a stream.
            sys.stdout.reconfigure(errors="backslashreplace")

    def show(self, chunk: Any) -> None:
        """Write one chunk.

        Raises:
            OutputClosed: nobody reads any more.
        """
        if self._lines:
            self._write(f"{as_json(chunk, repr)}\n")
        elif isinstance(chunk, str) and self._of == "parts":
            self._write(chunk)
        elif isinstance(chunk, BaseMessage):
            self._write(chunk.text)
        else:
            self.end_line()
            line = chunk if isinstance(chunk, str) else _shown(chunk)
            if self._of != "values" or line != self._last:
                self._write(f"{line}\n")
            self._last = line

    def end_line(self) -> None:
        """Begin a new line, unless one has just begun."""
        if self._inside_line:
            self._write("\n")

    def _write(self, text: str) -> None:
        if not text:
            return
        self._inside_line = not text.endswith("\n")
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise OutputClosed from error


def _shown(chunk: Any) -> str:
    try:
        return as_json(chunk, _refuse)
    except (TypeError, ValueError):
        return repr(chunk)


def _refuse(value: Any) -> Any:
    raise TypeError(f"{value!r} is nothing that JSON knows")


def as_json(value: Any, otherwise: Callable[[Any], Any]) -> str:
    """A value as one line of JSON; `otherwise` stands in for what JSON does not know."""

    def plain(inner: Any) -> Any:
        if hasattr(inner, "model_dump"):
            return inner.model_dump(mode="json")
        if dataclasses.is_dataclass(inner) and not isinstance(inner, type):
            return dataclasses.asdict(inner)
        if isinstance(inner, (set, frozenset)):
            return list(inner)
        return otherwise(inner)

    try:
        return json.dumps(value, ensure_ascii=False, default=plain)
    except (TypeError, ValueError):  # keys that JSON does not have, or circles
        return json.dumps(otherwise(value), ensure_ascii=False)


def remarks_width() -> int | None:
    """Columns of the terminal that shows remarks; None where there is none."""
    if not sys.stderr.isatty():
        return None
    try:
        # Not `shutil.get_terminal_size`: that asks standard output, which may be a pipe.
        said = int(os.environ.get("COLUMNS", "0"))
        return said or os.get_terminal_size(sys.stderr.fileno()).columns or None
    except (ValueError, OSError):
        return None


def remark(text: str) -> None:
    """A line about the output, on standard error; dim on a terminal.

    Raises:
        OutputClosed: nobody reads any more.
    """
    if sys.stderr.isatty() and "NO_COLOR" not in os.environ:
        text = f"\x1b[2m{text}\x1b[0m"
    if sys.stderr.isatty() and sys.stdout.isatty():
        text = f"\n{text}"  # apart from the output above it
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError as error:
        raise OutputClosed from error
