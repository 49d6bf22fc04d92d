"""`TokenTextSplitter`: chunks of so many tokens each, cut between tokens.

Chunks are spans of the text. Where a character is made of several tokens, as many emoji are, a
chunk ends before it or after it, so that all of its bytes stay together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from headrace.errors import ConfigError

from .base import TextSplitter
from .counting import Special, tiktoken_encoding

__all__ = ["TokenTextSplitter", "Tokenizer", "split_text_on_tokens"]

# Where the tokens of a text begin and end in it. Tokens that share a character have its place.
Places = Sequence[tuple[int, int]]


class TokenTextSplitter(TextSplitter):
    """Cuts every `chunk_size` tokens, wherever that is. `chunk_overlap` counts tokens as well.

    Args:
        encoding_name: an encoding of tiktoken, which may fetch it over the network.
        model_name: or the model whose encoding it is.
        allowed_special: special tokens that a text may have in it, as such.
        disallowed_special: those that are an error.
        tokenizer: instead, a tokenizer at hand: of tokenizers, of transformers (a fast one), or an
            encoding of tiktoken.
        kwargs: as for `TextSplitter`; white space stays, for it belongs to tokens.

    Raises:
        MissingExtraError: tiktoken is needed and not installed.
        ConfigError: an argument is no good.
    """

    def __init__(
        self,
        encoding_name: str = "gpt2",
        model_name: str | None = None,
        allowed_special: Special | None = None,
        disallowed_special: Special = "all",
        *,
        tokenizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self._chunk_overlap == self._chunk_size:
            raise ConfigError(
                f"chunk_overlap and chunk_size are both {self._chunk_size}: each chunk would be "
                "the same. Give a smaller overlap."
            )
        if tokenizer is None:
            tokenizer = tiktoken_encoding(encoding_name, model_name)
        self._tokenizer = tokenizer
        self._allowed_special = allowed_special or set()
        self._disallowed_special = disallowed_special
        self._places_of = self._reader(tokenizer)

    @classmethod
    def from_tiktoken_encoder(
        cls,
        encoding_name: str = "gpt2",
        model_name: str | None = None,
        allowed_special: Special | None = None,
        disallowed_special: Special = "all",
        **kwargs: Any,
    ) -> Self:
        """The same as the constructor with these arguments."""
        return cls(encoding_name, model_name, allowed_special, disallowed_special, **kwargs)

    @classmethod
    def from_tokenizer(cls, tokenizer: Any, **kwargs: Any) -> Self:
        """The same as the constructor with `tokenizer`."""
        return cls(tokenizer=tokenizer, **kwargs)

    def split_text(self, text: str) -> list[str]:
        self._check_text(text)
        return [chunk for chunk, _ in self.locate(text)]

    def locate(self, text: str) -> Iterator[tuple[str, int]]:
        for start, end in _windows(self._places_of(text), self._chunk_size, self._chunk_overlap):
            if text[start:end]:
                yield text[start:end], start

    def _reader(self, tokenizer: Any) -> Callable[[str], Places]:
        """What finds the places of tokens, for a kind of tokenizer."""
        if callable(getattr(tokenizer, "decode_tokens_bytes", None)):
            return self._by_bytes
        if callable(getattr(tokenizer, "encode_batch", None)):
            return lambda text: tokenizer.encode(text, add_special_tokens=False).offsets
        if getattr(tokenizer, "is_fast", False):
            return self._by_mapping
        raise ConfigError(
            f"{tokenizer!r:.200} does not say where its tokens are: give an encoding of tiktoken, "
            "or a tokenizer of tokenizers or transformers (a fast one)."
        )

    def _by_mapping(self, text: str) -> Places:
        found = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return found["offset_mapping"]  # type: ignore[no-any-return]

    def _by_bytes(self, text: str) -> Places:
        encoding = self._tokenizer
        ids = encoding.encode(
            text,
            allowed_special=self._allowed_special,
            disallowed_special=self._disallowed_special,
        )
        # Where each character begins, in bytes; a token's place is that of its characters.
        begins, at = [], 0
        for character in text:
            begins.append(at)
            at += len(character.encode("utf-8", "surrogatepass"))
        places, at = [], 0
        for token in encoding.decode_tokens_bytes(ids):
            last = at + len(token) - 1
            places.append((bisect_right(begins, at) - 1, bisect_right(begins, last)))
            at += len(token)
        return places


def _windows(places: Places, size: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Spans of so many tokens each, in characters; the next begins `overlap` tokens before."""
    first, count = 0, len(places)
    while first < count:
        last = _whole(places, first, min(first + size, count))
        yield places[first][0], places[last - 1][1]
        if last == count:
            return
        first = _whole(places, first, last - overlap)


def _whole(places: Places, first: int, cut: int) -> int:
    """The cut moved to where no character is cut in two: back, or on if that leaves nothing."""
    count = len(places)

    def splits(at: int) -> bool:
        return 0 < at < count and places[at][0] < places[at - 1][1]

    moved = cut
    while moved > first and splits(moved):
        moved -= 1
    if moved <= first:
        moved = max(cut, first + 1)
        while splits(moved):
            moved += 1
    return moved


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer as two functions, with the sizes of chunks.

    Args:
        chunk_overlap: how many tokens the next chunk repeats.
        tokens_per_chunk: how many a chunk has, at most.
        decode: the text of tokens.
        encode: the tokens of a text.
    """

    chunk_overlap: int
    tokens_per_chunk: int
    decode: Callable[[list[int]], str]
    encode: Callable[[str], list[int]]


def split_text_on_tokens(*, text: str, tokenizer: Tokenizer) -> list[str]:
    """The chunks of a text as its tokenizer decodes them.

    Raises:
        ConfigError: chunks overlap by all they have.
    """
    size, overlap = tokenizer.tokens_per_chunk, tokenizer.chunk_overlap
    if size <= overlap:
        raise ConfigError(
            f"chunk_overlap is {overlap} and tokens_per_chunk {size}: give a smaller overlap."
        )
    tokens = tokenizer.encode(text)
    # The last chunk is the one that reaches the end: another would only repeat what it has.
    begins = range(0, max(len(tokens) - overlap, 1), size - overlap) if tokens else ()
    decoded = (tokenizer.decode(tokens[begin : begin + size]) for begin in begins)
    return [chunk for chunk in decoded if chunk]
