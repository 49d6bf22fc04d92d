"""WordPiece: a text as the numbers of word pieces that BERT's uncased English models read.

    read_vocabulary()                         piece -> number, from the file beside this one
    WordPiece(vocabulary).numbers("Hello!")   [7592, 999]

The text is cleaned, lower-cased and freed of accents, cut at white space and around punctuation and
Chinese characters; each word then becomes the longest pieces that the vocabulary has, from its
start on (`##` begins a piece inside a word), or `[UNK]` where there are none.

Source: Devlin et al., "BERT" (2018), whose code defines it: `tokenization.py` in
google-research/bert on GitHub. The vocabulary is that of its uncased English models
(30,522 pieces, Apache-2.0). Names of special pieces that stand in a text are text.
"""

from __future__ import annotations

import lzma
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

__all__ = ["WordPiece", "read_vocabulary"]

_FILE = Path(__file__).with_name("uncased.vocab.xz")
_LONGEST = 100  # characters; a longer word is unknown
_REMEMBERED = 1 << 15  # words whose pieces are kept
_CHINESE = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


def read_vocabulary() -> dict[str, int]:
    """The pieces and their numbers; some 20 ms."""
    pieces = lzma.decompress(_FILE.read_bytes()).decode("utf-8").split("\n")
    return {piece: number for number, piece in enumerate(pieces) if piece}


class _Table(dict[int, str]):
    """For `str.translate`: what becomes of each character, found out when it is first seen."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        super().__init__()
        self._rule = rule

    def __missing__(self, number: int) -> str:
        made = self[number] = self._rule(chr(number))
        return made


def _cleaned(char: str) -> str:
    """Before accents are taken off: no control characters, spaces around Chinese ones."""
    if char in "\t\n\r":
        return " "
    if char == "\ufffd" or unicodedata.category(char).startswith("C"):
        return ""
    if char.isspace():
        return " "
    if any(first <= ord(char) <= last for first, last in _CHINESE):
        return f" {char} "
    return char


def _parted(char: str) -> str:
    """After it: no accents, small letters, spaces around punctuation. ASCII's symbols count."""
    kind = unicodedata.category(char)
    if kind == "Mn":
        return ""
    if kind.startswith("P") or (char < "\x7f" and char > " " and not char.isalnum()):
        return f" {char} "
    return char.lower()


_CLEANED, _PARTED = _Table(_cleaned), _Table(_parted)


class WordPiece:
    """Texts as numbers of pieces.

    Args:
        vocabulary: the number of each piece. `[UNK]`, `[CLS]`, `[SEP]` and `[PAD]` must be in it.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._numbers = vocabulary
        self._unknown = (vocabulary["[UNK]"],)
        self.start, self.end = vocabulary["[CLS]"], vocabulary["[SEP]"]
        self.padding = vocabulary["[PAD]"]
        self._word = lru_cache(_REMEMBERED)(self._pieces)

    def numbers(self, text: str) -> list[int]:
        """The pieces of a text, without those that begin and end one."""
        plain = unicodedata.normalize("NFD", text.translate(_CLEANED)).translate(_PARTED)
        return [number for word in plain.split() for number in self._word(word)]

    def _pieces(self, word: str) -> tuple[int, ...]:
        if len(word) > _LONGEST:
            return self._unknown
        found: list[int] = []
        start = 0
        while start < len(word):
            mark = "##" if start else ""
            for end in range(len(word), start, -1):
                number = self._numbers.get(mark + word[start:end])
                if number is not None:
                    break
            else:
                return self._unknown
            found.append(number)
            start = end
        return tuple(found)
