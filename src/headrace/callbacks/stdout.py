"""Handlers that print what goes on, for a look at a run in a terminal."""

from __future__ import annotations

import sys
from typing import Any

from .base import BaseCallbackHandler

__all__ = ["StdOutCallbackHandler", "StreamingStdOutCallbackHandler", "coloured"]

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "pink": 35, "cyan": 36}
_BOLD, _PLAIN = "\033[1m", "\033[0m"


def coloured(text: str, color: str | None) -> str:
    """A text between the escape sequences of a colour; as it is, where there is none."""
    code = _COLOURS.get(color or "")
    return text if code is None else f"\033[{code}m{text}{_PLAIN}"


def _write(text: str, color: str | None = None, end: str = "") -> None:
    sys.stdout.write(coloured(text, color) + end)
    sys.stdout.flush()


class StdOutCallbackHandler(BaseCallbackHandler):
    """Prints when chains start and end, and what tools and agents say.

    Args:
        color: red, green, yellow, blue, pink, cyan or None, for that text.
    """

    def __init__(self, color: str | None = None) -> None:
        self.color = color

    def _write(self, text: str, color: str | None = None, end: str = "") -> None:
        _write(text, color, end)

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        self._write(f"\n\n{_BOLD}> Entering {kwargs.get('name') or 'a chain'}{_PLAIN}", end="\n")

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        self._write(f"\n{_BOLD}> Chain is done.{_PLAIN}", end="\n")

    def on_agent_action(self, action: Any, color: str | None = None, **kwargs: Any) -> None:
        self._write(action.log, color or self.color)

    def on_agent_finish(self, finish: Any, color: str | None = None, **kwargs: Any) -> None:
        self._write(finish.log, color or self.color, end="\n")

    def on_tool_end(self, output: Any, color: str | None = None, **kwargs: Any) -> None:
        before, after = kwargs.get("observation_prefix"), kwargs.get("llm_prefix")
        if before is not None:
            self._write(f"\n{before}")
        self._write(str(output), color or self.color)
        if after is not None:
            self._write(f"\n{after}")

    def on_text(self, text: str, color: str | None = None, end: str = "", **kwargs: Any) -> None:
        self._write(text, color or self.color, end)


class StreamingStdOutCallbackHandler(BaseCallbackHandler):
    """Prints each piece of a model's stream as it arrives."""

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        _write(str(token))
