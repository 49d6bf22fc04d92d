"""What the words after `headrace stream` (or `events`) mean: which is the TARGET, what the INPUT.

| words | TARGET | INPUT |
|---|---|---|
| one that looks like a target | it | missing: an error |
| one other | the embedded model | it |
| two | the first | the second |
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from .outcome import UsageError
from .target import looks_like_target

__all__ = ["Given", "read_input", "sort_out"]


class Given(NamedTuple):
    """An input. `doubt`: why a text that starts like JSON is none, or ""."""

    value: Any
    doubt: str = ""


def sort_out(words: Sequence[str], command: str = "stream") -> tuple[str | None, str]:
    """The TARGET (None: the embedded model) and the INPUT as it was typed.

    Args:
        command: what the words stand behind, for complaints.

    Raises:
        UsageError: there is no INPUT, or there are too many words.
    """
    if len(words) == 2:
        return words[0], words[1]
    if len(words) > 2:
        raise UsageError(
            f"`headrace {command}` takes at most a TARGET and an INPUT, and got {len(words)} "
            "words: put an INPUT of several words in quotes."
        )
    if not words:
        raise UsageError(
            "INPUT is missing: give a text, JSON, or - to read standard input, as in "
            f'`headrace {command} "what color is the sky?"`.'
        )
    if looks_like_target(words[0]):
        raise UsageError(
            f"INPUT is missing: give it after the TARGET {words[0]!r}, as text, JSON, or - to read "
            f"standard input. (If {words[0]!r} is the INPUT itself: pipe it to "
            f"`headrace {command} -`.)"
        )
    return None, words[0]


def read_input(word: str, *, as_text: bool) -> Given:
    """The input that a word stands for.

    Raises:
        UsageError: standard input is no text.
    """
    text = _standard_input() if word == "-" else word
    if as_text or not text.lstrip().startswith(("{", "[")):
        return Given(text)
    try:
        return Given(json.loads(text))
    except ValueError as error:
        return Given(text, f"The INPUT starts like JSON but was taken as text: {error}")


def _standard_input() -> str:
    try:
        return sys.stdin.read().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"Standard input is not text in {error.encoding} (byte {error.start}: "
            f"{error.reason}): convert it first."
        ) from error
