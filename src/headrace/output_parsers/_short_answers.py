"""Short answers: what parsers of one word, date or yes-and-no share."""

from __future__ import annotations

__all__ = ["around", "bare", "shown"]

_SHOWN = 200  # characters of an output in an error
_AROUND = " \t\r\n\"'`*"


def bare(text: str) -> str:
    """An answer without what models put around it: quotes, backticks, stars, a final dot."""
    return text.strip(_AROUND).removesuffix(".").strip(_AROUND)


def shown(text: str) -> str:
    """An output as an error shows it."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def around(text: str, position: int) -> str:
    """Of an output, what an error at a position of it shows: all of a short one."""
    if len(text) <= _SHOWN:
        return repr(text)
    start = max(0, min(position - _SHOWN // 2, len(text) - _SHOWN))
    end = start + _SHOWN
    before, after = "…" * (start > 0), "…" * (end < len(text))
    part = repr(f"{before}{text[start:end]}{after}")
    return f"{part} (characters {start:,} to {end:,} of {len(text):,})"
