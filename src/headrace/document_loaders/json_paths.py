"""Paths into JSON in jq's words: `.`, `.messages[].content`, `.["a key"]`, `.items[0]`.

Paths are followed here. Any other program of jq is run by jq itself, the package of that name.
Source: the jq 1.7 manual, "Basic filters".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, TypeAlias

from headrace.errors import ConfigError, MissingExtraError

__all__ = ["PathError", "Program", "compiled"]

Program: TypeAlias = Callable[[Any], Iterator[Any]]
"""From a value to what is found in it, in order."""

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_STEP = re.compile(
    rf"""\.(?P<name>[A-Za-z_]\w*) | \.(?P<quoted>{_QUOTED})
       | \.?\[\s*(?P<key>{_QUOTED})\s*\] | \.?\[\s*(?P<index>-?\d+)\s*\] | (?P<each>\.?\[\s*\])""",
    re.VERBOSE,
)


class PathError(ValueError):
    """A value is not what a path leads into."""


def compiled(program: str) -> Program:
    """What runs a program of jq.

    Raises:
        MissingExtraError: it is more than a path, and jq is not installed.
        ConfigError: jq does not understand it.
    """
    steps = _steps(program.strip())
    if steps is not None:
        return lambda value: reduce(_followed, steps, iter((value,)))
    return _by_jq(program)


def _steps(program: str) -> list[Any] | None:
    """The keys and indexes of a path, with None for "each"; or None if it is no path."""
    if program == ".":
        return []
    steps: list[Any] = []
    at = 0
    while at < len(program):
        match = _STEP.match(program, at)
        if match is None or (at == 0 and program[0] != "."):
            return None
        kind, found = match.lastgroup, match[match.lastgroup or 0]
        if kind == "name":
            steps.append(found)
        elif kind == "index":
            steps.append(int(found))
        else:
            steps.append(None if kind == "each" else json.loads(found))
        at = match.end()
    return steps or None


def _followed(values: Iterator[Any], step: Any) -> Iterator[Any]:
    for value in values:
        if step is None:
            yield from _each(value)
        elif value is None:
            yield None
        elif isinstance(step, str) and isinstance(value, dict):
            yield value.get(step)
        elif isinstance(step, int) and isinstance(value, list):
            yield value[step] if -len(value) <= step < len(value) else None
        else:
            raise PathError(f"cannot look up {step!r} in {_kind(value)}")


def _each(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        return iter(value.values())
    if isinstance(value, list):
        return iter(value)
    raise PathError(f"cannot go through {_kind(value)} with []")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")


def _by_jq(program: str) -> Program:
    try:
        import jq  # type: ignore[import-not-found]  # it has no types
    except ImportError as error:
        raise MissingExtraError("jq", extra="jq", purpose=f"The program {program!r}") from error
    try:
        machine = jq.compile(program)
    except ValueError as error:
        why = " ".join(str(error).split())
        raise ConfigError(f"jq does not understand {program!r}: {why}.") from error

    def run(value: Any) -> Iterator[Any]:
        try:
            yield from machine.input_value(value)
        except ValueError as error:
            raise PathError(str(error)) from error

    return run
