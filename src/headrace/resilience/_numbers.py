"""Numbers that policies are given, checked where they are made."""

from __future__ import annotations

from math import inf, isfinite
from typing import Any

from ..errors import ConfigError

__all__ = ["check_number", "check_whole", "seconds"]


def check_whole(unit: str = "", /, **given: Any) -> None:
    """Raises ConfigError for what is no whole number of at least 1."""
    for name, number in given.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ConfigError(f"{name} is {number!r}: give a whole number of at least 1{unit}.")


def check_number(least: float | None = None, unit: str = "", /, **given: Any) -> None:
    """Raises ConfigError for what is no finite number of at least `least`; None: above 0."""
    wanted = "above 0" if least is None else f"of at least {least:g}"
    for name, number in given.items():
        real = isinstance(number, (int, float)) and not isinstance(number, bool)
        if not real or not number < inf or not (number > 0 if least is None else number >= least):
            raise ConfigError(f"{name} is {number!r}: give a number {wanted}{unit}.")


def seconds(name: str, given: Any, *, zero: bool = False) -> float:
    """`given`, a number of seconds above 0, or 0 too. Raises ConfigError for anything else."""
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise ConfigError(
            f"{name} is {given!r} ({type(given).__name__}): give a number of seconds."
        )
    if not isfinite(given) or given < 0 or (given == 0 and not zero):
        least = "0 or more" if zero else "more than 0"
        raise ConfigError(f"{name} is {given!r}: give a number of seconds, {least}.")
    return given
