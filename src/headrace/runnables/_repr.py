"""How runnables and their settings are shown: as the call that makes them, over several lines where
a part takes several, and the same in every process (no addresses, sets in order).
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable
from functools import partial
from types import FunctionType
from typing import Any

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+(?=[ >])")
_BRACKETS: dict[Any, str] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}"}


def called(made: str, /, *parts: Any, **settings: Any) -> str:
    """`made(part, setting=…)`."""
    texts = [shown(part) for part in parts]
    texts += [f"{key}={shown(value)}" for key, value in settings.items()]
    return f"{made}{enclosed('()', texts)}"


def shown(value: Any) -> str:
    """The repr of a part or a setting."""
    kind = type(value)
    if kind is dict:
        return enclosed("{}", [f"{key!r}: {shown(item)}" for key, item in value.items()])
    if kind in _BRACKETS:
        texts = [shown(item) for item in value]
        if kind in (set, frozenset):
            texts = sorted(texts)
            return enclosed("{}", texts) if texts else f"{kind.__name__}()"
        return enclosed(_BRACKETS[kind], [*texts[:-1], f"{texts[-1]},"] if _lone(value) else texts)
    if kind is FunctionType:
        return function_shown(value)
    return _ADDRESS.sub("", repr(value))


def _lone(value: Any) -> bool:
    return type(value) is tuple and len(value) == 1


def enclosed(brackets: str, texts: Iterable[str]) -> str:
    """The texts in brackets: in a row, or one under the other where one has several lines."""
    texts = list(texts)
    if not any("\n" in text for text in texts):
        return f"{brackets[0]}{', '.join(texts)}{brackets[1]}"
    inside = textwrap.indent(",\n".join(texts), "  ")
    return f"{brackets[0]}\n{inside}\n{brackets[1]}"


def name_of(*functions: Any) -> str | None:
    """The name of the first of these that has one of its own; None for a lambda."""
    for function in functions:
        inner = getattr(function, "func", function) if isinstance(function, partial) else function
        name = getattr(inner, "__name__", None)
        if name is not None:
            return None if name == "<lambda>" else str(name)
    return None


def function_shown(function: Any) -> str:
    """A function's name; the source of a lambda, if it is the only one in its lines."""
    name = name_of(function)
    if name is not None:
        return name
    if getattr(function, "__name__", None) != "<lambda>":
        return type(function).__name__
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)).strip())
    except (OSError, SyntaxError):  # typed at a prompt, or part of a larger expression
        return "..."
    found = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
    return found[0] if len(found) == 1 else "..."
