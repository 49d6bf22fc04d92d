"""`headrace graph`: a runnable's graph, on standard output or in a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from .outcome import UsageError
from .screen import OutputClosed, Screen, remark
from .target import load_target

__all__ = ["draw"]

_FORMATS: Mapping[str, Callable[[Any], str | bytes]] = {
    "ascii": lambda graph: f"{graph.draw_ascii()}\n",
    "mermaid": lambda graph: graph.draw_mermaid(),
    "svg": lambda graph: graph.draw_svg(),
    "png": lambda graph: graph.draw_png(),
    "json": lambda graph: f"{json.dumps(graph.to_json(with_kinds=True), indent=2, default=str)}\n",
}
_BY_ENDING = {
    ".txt": "ascii",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".svg": "svg",
    ".png": "png",
    ".json": "json",
}


def draw(target: str, *, format: str | None, output: str | None) -> None:
    """Write `runnable.get_graph()`.

    Args:
        target: a TARGET.
        format: a key of the table above; None: by the file's ending, else `"ascii"`.
        output: the file; None: standard output.

    Raises:
        UsageError: the file's ending says no format, or an image would go to a terminal.
    """
    chosen = format or ("ascii" if output is None else _format_of(output))
    if chosen == "png" and output is None and sys.stdout.isatty():
        raise UsageError(
            "A PNG is no text for a terminal: name a file for it, as in `-o graph.png`, or take "
            "another --format."
        )
    graph = load_target(target).get_graph()
    if chosen == "ascii" and output is None and sys.stdout.isatty():
        drawn: str | bytes = _within(graph, get_terminal_size().columns)
    else:
        drawn = _FORMATS[chosen](graph)
    if output is not None:
        _write(Path(output), drawn)
    elif isinstance(drawn, str):
        Screen().show(drawn)
    else:
        try:
            sys.stdout.buffer.write(drawn)
        except BrokenPipeError as error:
            raise OutputClosed from error


def _within(graph: Any, room: int) -> str:
    """The graph in characters; if it cannot be drawn as narrow as that, a remark says so."""
    from headrace.graph.ascii import columns_of

    lines = [line.rstrip() for line in graph.draw_ascii(width=room).split("\n")]
    wide = max(map(columns_of, lines))
    if wide > room:
        remark(
            f"The graph is {wide} columns wide, the terminal has {room}: write an image with "
            "`-o graph.svg`, or take `--format mermaid`."
        )
    return "\n".join(lines) + "\n"


def _format_of(output: str) -> str:
    ending = Path(output).suffix.lower()
    if ending not in _BY_ENDING:
        raise UsageError(
            f"The ending of {output!r} says no format: name it with --format, or end the file in "
            f"one of {', '.join(_BY_ENDING)}."
        )
    return _BY_ENDING[ending]


def _write(path: Path, drawn: str | bytes) -> None:
    data = drawn if isinstance(drawn, bytes) else drawn.encode("utf-8", "backslashreplace")
    path.write_bytes(data)
