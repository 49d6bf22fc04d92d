"""What a docstring says of a function and of its arguments: Google, NumPy and reST style.

    Args:                     Parameters                :param limit: How many.
        limit: How many.      ----------                :param str query: What to look for,
        query (str): What     limit : int                   in which words.
            to look for.          How many.

`docstring_parser` reads the styles; that of which it finds most is the docstring's. Only what is
for a model is kept: the arguments, and the description, which is what stands before the first
section; the paragraphs of it are joined by a space. As in LangChain, a section of Google's style
has an empty line before it, or is none.
"""

from __future__ import annotations

import inspect
import re
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from docstring_parser import Docstring as Parsed
    from docstring_parser.google import GoogleParser

__all__ = ["Docstring", "read_docstring"]

_MORE: Final = ("Keyword Args", "Keyword Arguments", "Other Parameters")
_GLUED = re.compile(rf"\S\n(?:Args|Arguments|Params|Parameters|{'|'.join(_MORE)}):[ \t]*$", re.M)


_TYPED = re.compile(
    r"^(:(?:param|parameter|arg|argument|key|keyword)) [^:\n]*[ \t](\*{0,2}\w+):", re.M
)
"""An argument in reST behind its type, which may be of any number of words."""


class Docstring(NamedTuple):
    """`arguments`: the description of each argument, by name; None where nothing is said of any.
    `summary`: what comes before, in one text."""

    summary: str
    arguments: dict[str, str] | None


def read_docstring(text: str | None) -> Docstring:
    """What a docstring says; one that breaks the rules of its style says nothing of arguments."""
    text = inspect.cleandoc(text or "")
    parsed = None if _GLUED.search(text) else _parsed(text)
    said = (text if parsed is None else parsed.description) or ""
    found = {
        name.strip().lstrip("*"): _joined((each.description or "").splitlines())
        for each in (parsed.params if parsed else ())
        for name in each.arg_name.split(",")
    }
    return Docstring(_joined(said.split("\n\n")), found or None)


def _joined(parts: list[str]) -> str:
    return " ".join(filter(None, map(str.strip, parts)))


def _parsed(text: str) -> Parsed | None:
    from docstring_parser import ParseError, numpydoc, rest

    found = []
    untyped = _TYPED.sub(r"\1 \2:", text)
    for read, given in ((_google().parse, text), (numpydoc.parse, text), (rest.parse, untyped)):
        try:
            found.append(read(given))
        except (ParseError, IndexError):  # of another style; the second of a line such as ": :"
            continue
    return max(found, key=lambda each: len(each.meta), default=None)


@cache
def _google() -> GoogleParser:
    from docstring_parser.google import DEFAULT_SECTIONS, GoogleParser, Section, SectionType

    more = [Section(title, "param", SectionType.MULTIPLE) for title in _MORE]
    return GoogleParser([*DEFAULT_SECTIONS, *more])
