r"""Regular expressions of a schema, in the words that llama.cpp's grammar has for them.

llama.cpp holds strings to a `pattern` only where it is anchored at both ends and uses no short
names of classes; of any other it lets every string pass, with a warning. It takes `.` and `[^a]` at
their word, too: a quotation mark matches, ends the JSON string, and what follows is no JSON. So:

| in the schema | for llama.cpp |
|---|---|
| `\d`, `\w`, `\s`, also in classes | `[0-9]`, `[A-Za-z0-9_]`, `[ ]` |
| `.`, `\D`, `\W`, `\S`, `[^a]` | without what JSON must escape |
| `\/`, `\-` and the like | the character itself, where it has no other meaning |
| `+?`, `*?`, `??` | `+`, `*`, `?`: which match is meant makes no difference |
| no `^`, no `$` | anything there |

Anything else goes as it is. Whoever reads the answer validates it against the schema as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["bounded", "for_grammar", "with_patterns"]

_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": " "}
_UNSAFE = r"\"\\\n\r\t"  # what a JSON string cannot hold as it is
_ANYTHING = f"[^{_UNSAFE}]"
_MEANT = frozenset(r"\.[](){}*+?|^$") | frozenset("nrt")  # escapes that llama.cpp knows
_VALUES = frozenset(("const", "default", "enum", "examples"))
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[*+?}]\?|.", re.DOTALL)


def with_patterns(schema: Any) -> Any:
    """A JSON schema with its patterns in llama.cpp's words; the same one where it has none."""
    if isinstance(schema, list):
        return [with_patterns(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: for_grammar(value)
        if key == "pattern" and isinstance(value, str)
        else value
        if key in _VALUES
        else with_patterns(value)
        for key, value in schema.items()
    }


def for_grammar(pattern: str) -> str:
    """The pattern, anchored; see the table above."""
    tokens = _TOKEN.findall(pattern)
    if _has_sides(tokens):  # each with anchors of its own
        return pattern
    head, tail = tokens[:1] == ["^"], tokens[-1:] == ["$"]
    inner = tokens[head : len(tokens) - tail]
    before, after = "" if head else f"{_ANYTHING}*", "" if tail else f"{_ANYTHING}*"
    return f"^{before}{''.join(map(_translated, inner))}{after}$"


def bounded(pattern: str, least: int, most: int | None) -> str | None:
    r"""The pattern for texts of `least` to `most` characters: `^\d+$` for up to 4 is `^\d{1,4}$`.

    Done for a row of characters and classes, anchored at both ends, of which one comes now
    more, now less often. None for others.
    """
    tokens = _TOKEN.findall(pattern)
    if tokens[:1] != ["^"] or tokens[-1:] != ["$"]:
        return None
    row = _row(tokens[1:-1])
    if row is None:
        return None
    loose = [each for each in row if each[1] != each[2]]
    if not loose or (len(loose) > 1 and all(high is not None for _, _, high in loose)):
        shortest, longest = sum(low for _, low, _ in row), sum(high or 0 for _, _, high in row)
        return pattern if shortest >= least and (most is None or longest <= most) else None
    if len(loose) > 1:
        return None
    (one,) = loose
    _, low, high = one
    others = sum(each[1] for each in row if each is not one)
    low = max(low, least - others)
    if most is not None:
        high = most - others if high is None else min(high, most - others)
    if high is not None and low > high:
        return None
    said = [_times(each[0], *((low, high) if each is one else each[1:])) for each in row]
    return f"^{''.join(said)}$"


def _times(one: str, low: int, high: int | None) -> str:
    if low == high:
        return one if low == 1 else f"{one}{{{low}}}"
    return f"{one}{{{low},{'' if high is None else high}}}"


_TIMES: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


def _row(tokens: list[str]) -> list[tuple[str, int, int | None]] | None:
    """Characters and classes with how often each comes; None where there is more than that."""
    text, row = "".join(tokens), []
    while text:
        found = _ONE.match(text)
        if found is None:
            return None
        one, times = found["one"], found["times"] or ""
        text = text[found.end() :]
        if times[:1] in _TIMES:
            low, high = _TIMES[times[0]]
        else:
            numbers = times.rstrip("?").strip("{}").split(",")
            low = int(numbers[0] or 0) if times else 1
            high = low if len(numbers) == 1 else int(numbers[1]) if numbers[1] else None
        row.append((one, low, high))
    return row


_ONE = re.compile(
    r"(?P<one>\\[^bBAZ0-9pPuxk]|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\(){}\[\]|*+?^$])"
    r"(?P<times>[*+?]\??|\{\d*(?:,\d*)?\}\??)?",
    re.DOTALL,
)


def _has_sides(tokens: list[str]) -> bool:
    """Whether there is a `|` outside of brackets."""
    depth = 0
    for token in tokens:
        depth += (token == "(") - (token == ")")
        if token == "|" and depth == 0:
            return True
    return False


def _translated(token: str) -> str:
    if token[0] == "[" and len(token) > 1:
        return _class(token)
    if token == ".":
        return _ANYTHING
    if len(token) == 2 and token[1] == "?" and token[0] in "*+?}":
        return token[0]
    if token[0] != "\\":
        return token
    name = token[1]
    if name in _CLASSES:
        return f"[{_CLASSES[name]}]"
    if name.isupper() and name.lower() in _CLASSES:
        return f"[^{_CLASSES[name.lower()]}{_UNSAFE}]"
    return token if name in _MEANT or name.isalnum() else name


def _class(token: str) -> str:
    inside = re.sub(r"\\([dws])", lambda found: _CLASSES[found[1]], token[1:-1])
    if inside.startswith("^"):
        return f"[{inside}{_UNSAFE}]"
    return f"[{inside}]"
