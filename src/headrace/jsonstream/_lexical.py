"""The words of JSON: numbers, literals and escapes, as regular expressions and pure functions.

Nothing here remembers anything. A token may be cut by the end of a piece, so each function says
how much of it is sure: `scalar` reads the longest prefix that is a value, `escape` tells an escape
that is cut from one that is wrong.
Source of the grammar: RFC 8259. `NaN`, `Infinity` and `-Infinity`, which Python's `json` reads
and models write, are added unless strict.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, Final

__all__ = [
    "BLANK_ENDS",
    "CUT",
    "LITERALS",
    "NOTHING",
    "NO_ENDS",
    "SHORT",
    "TOKEN",
    "Nothing",
    "escape",
    "expected_after",
    "scalar",
    "without_end",
]


class Nothing(Enum):
    """The type of `NOTHING`, which stands where no JSON value has begun (`None` is a value)."""

    NOTHING = "NOTHING"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final = Nothing.NOTHING

# What may stand between a string that is cut and the text around the JSON.
_ENDS: Final = "`" + "".join(c for c in map(chr, range(0x3001)) if c.isspace())
BLANK_ENDS: Final = frozenset(_ENDS)
NO_ENDS: Final[frozenset[str]] = frozenset()

# A number or a literal, however wrong: what stands between two delimiters.
TOKEN = re.compile(r"[0-9A-Za-z+.\-]*")

LITERALS: Final[dict[bool, dict[str, Any]]] = {
    True: {"true": True, "false": False, "null": None},
    False: {
        **{"true": True, "false": False, "null": None},
        **{"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")},
    },
}
# What stands there of a literal that is cut: no value yet, and all of it can still be right.
_BEGUN: Final = {
    strict: {word[:end]: None for word in words for end in range(1, len(word))}
    for strict, words in LITERALS.items()
}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NUMBER_BEGUN = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:(?<=[0-9])[eE][+-]?[0-9]*)?)?")

CUT: Final = -1
_ESCAPE = re.compile(r'\\(?:(["\\/bfnrt])|u([0-9a-fA-F]{4}))')
_ESCAPE_LENGTH: Final = 6  # characters of the longest
_ESCAPE_BEGUN = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
SHORT: Final = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}


def scalar(token: str, *, strict: bool) -> tuple[Any, int, bool]:
    """The value of a token's longest valid prefix.

    Returns:
        The value (`NOTHING` where no prefix is one), the length of what can still be right, and
        whether the whole token is that value.

    Raises:
        ValueError: an integer with more digits than `sys.get_int_max_str_digits()`.
    """
    literals = LITERALS[strict]
    if token in literals:
        return literals[token], len(token), True
    if token in _BEGUN[strict]:
        return NOTHING, len(token), False
    match = _NUMBER.match(token)
    if match is not None:
        digits = match[0]
        value: Any = int(digits) if match.lastindex is None else float(digits)
        if len(digits) == len(token):
            return value, len(token), True
        begun = _NUMBER_BEGUN.match(token)
        right = begun.end() if begun is not None else match.end()
        return value, right, False
    for word, value in literals.items():
        if token.startswith(word):
            return value, len(word), False
    # At most ten characters long, so a walk is fine.
    right = max(_common(token, word) for word in (*literals, "-0"))
    return NOTHING, right, False


def expected_after(begun: str, *, strict: bool) -> str:
    """What is expected where a number or a literal goes wrong or is cut, `begun` being what is
    right of it; empty where nothing is."""
    if not begun:
        return ""
    if begun[0] in "-0123456789":
        return "the rest of a number"
    part = "end" if begun in LITERALS[strict] else "rest"
    return f"the {part} of the word {begun!r}"


def _common(token: str, word: str) -> int:
    """How many characters the two begin with in common."""
    same = 0
    for ours, theirs in zip(token, word, strict=False):
        if ours != theirs:
            break
        same += 1
    return same


def escape(text: str, pos: int) -> tuple[str, int]:
    """Read the escape at `text[pos]`, a backslash; a surrogate pair is one escape.

    Returns:
        The character and the position after it. The position is `CUT` where the text ends too
        early to tell, and the character is empty where the escape is wrong.
    """
    if len(text) - pos < _ESCAPE_LENGTH and _ESCAPE_BEGUN.match(text, pos) is not None:
        return "", CUT
    match = _ESCAPE.match(text, pos)
    if match is None:
        return "", pos
    short = match[1]
    if short is not None:
        return SHORT[short], match.end()
    code, end = int(match[2], 16), match.end()
    if not 0xD800 <= code < 0xDC00:
        return chr(code), end
    # A high surrogate is a character only with the low one that may follow it.
    low = _ESCAPE.match(text, end)
    if low is None:
        cut = end == len(text) or _ESCAPE_BEGUN.match(text, end) is not None
        return chr(code), CUT if cut else end
    if low[2] is not None and 0xDC00 <= (half := int(low[2], 16)) < 0xE000:
        return chr(0x10000 + ((code - 0xD800) << 10) + (half - 0xDC00)), low.end()
    return chr(code), end


def without_end(text: str) -> str:
    """The text without the blanks and backticks that may stand between it and its surroundings."""
    return text.rstrip(_ENDS)
