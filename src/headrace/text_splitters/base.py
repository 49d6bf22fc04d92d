"""`TextSplitter`, the base of what cuts texts into chunks.

A splitter writes `split_text`, or `locate`, which says for each chunk where it begins; the rest is
derived from that one.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from numbers import Real
from typing import Any, Self

from headrace.document_transformers import BaseDocumentTransformer
from headrace.documents import Document
from headrace.errors import ConfigError, InputError

from .counting import Special, counter, tiktoken_counter, tiktoken_encoding
from .pieces import Keep, Piece, runs

__all__ = ["TextSplitter"]

_logger = logging.getLogger("headrace")


class TextSplitter(BaseDocumentTransformer, ABC):
    """Base of splitters.

    Args:
        chunk_size: how long a chunk may be, in what `length_function` counts. One is longer only
            if there is nothing in it to cut at.
        chunk_overlap: how much of a chunk, at most, the next one repeats.
        length_function: how long a text is; by default its characters.
        keep_separator: whether what was cut at stays, at the start of a chunk (True or "start") or
            at its end ("end").
        add_start_index: put where a chunk begins in its text into its metadata: "start_index".
        strip_whitespace: take white space off both ends of each chunk.

    Raises:
        ConfigError: the sizes do not fit together.
    """

    def __init__(
        self,
        chunk_size: int = 4000,
        chunk_overlap: int = 200,
        length_function: Callable[[str], int] = len,
        keep_separator: Keep = False,
        add_start_index: bool = False,
        strip_whitespace: bool = True,
    ) -> None:
        sizes: dict[str, Any] = {"chunk_size": chunk_size, "chunk_overlap": chunk_overlap}
        for name, size in sizes.items():
            if isinstance(size, bool) or not isinstance(size, Real) or size != size:
                raise ConfigError(
                    f"{name} is {size!r} ({type(size).__name__}): give a number, e.g. 200."
                )
        if not callable(length_function):
            raise ConfigError(
                f"length_function is {length_function!r} ({type(length_function).__name__}): give "
                "a function from a text to its length, e.g. len."
            )
        if chunk_size <= 0:
            raise ConfigError(f"chunk_size is {chunk_size!r}: give a number above 0.")
        if chunk_overlap < 0:
            raise ConfigError(f"chunk_overlap is {chunk_overlap!r}: give 0 or more.")
        if chunk_overlap > chunk_size:
            raise ConfigError(
                f"chunk_overlap is {chunk_overlap}, and a chunk has {chunk_size} at most "
                "(chunk_size): give a smaller overlap, or larger chunks."
            )
        if keep_separator not in (True, False, "start", "end"):
            raise ConfigError(
                f"keep_separator is {keep_separator!r}: give True, False, 'start' or 'end'."
            )
        self._chunk_size = chunk_size
        self._chunk_overlap = chunk_overlap
        self._length_function = length_function
        self._keep_separator: Keep = keep_separator
        self._add_start_index = add_start_index
        self._strip_whitespace = strip_whitespace

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Who writes split_text alone means it: an inherited `locate` would go around it.
        if "split_text" in vars(cls) and "locate" not in vars(cls):
            cls.locate = TextSplitter.locate  # type: ignore[method-assign]

    # ---- what it cuts ----------------------------------------------------------------------

    @abstractmethod
    def split_text(self, text: str) -> list[str]:
        """The chunks of a text, in order."""

    def locate(self, text: str) -> Iterator[tuple[str, int]]:
        """The chunks of a text, each with where it begins in it, or -1 where it is not found."""
        begun = -1
        for chunk in self.split_text(text):
            found = text.find(chunk, begun + 1)
            begun = max(begun, found)
            yield chunk, found

    def create_documents(
        self, texts: Sequence[str], metadatas: Sequence[Mapping[Any, Any]] | None = None
    ) -> list[Document]:
        """The chunks of several texts as documents.

        Args:
            texts: what to cut.
            metadatas: what is known about each of them; each of its chunks gets a copy.

        Raises:
            InputError: there are not as many metadatas as texts.
        """
        if isinstance(texts, str):
            raise InputError(f"texts is the string {texts!r:.200}: give a list of strings.")
        texts = list(texts)
        known = list(metadatas) if metadatas else [{}] * len(texts)
        if len(known) != len(texts):
            raise InputError(
                f"create_documents() was given {len(texts)} texts and {len(known)} metadatas: "
                "give as many of these, or none."
            )
        pairs = zip(texts, known, strict=True)
        return [each for text, metadata in pairs for each in self._documents(text, metadata)]

    def split_documents(self, documents: Iterable[Document]) -> list[Document]:
        """The chunks of documents, with their metadata."""
        return list(self.lazy_split_documents(documents))

    def lazy_split_documents(self, documents: Iterable[Document]) -> Iterator[Document]:
        """`split_documents`, one chunk after another: `lazy_load()` of a loader goes in, and
        nothing is kept. Closing it closes what it reads from."""
        if hasattr(documents, "page_content"):
            raise InputError(f"documents is {documents!r:.200}: give a list of documents.")
        try:
            for document in documents:
                if not hasattr(document, "page_content"):
                    raise InputError(
                        f"Documents are split, and one is {document!r:.200} "
                        f"({type(document).__name__}): split_text() and create_documents() take "
                        "texts."
                    )
                yield from self._documents(document.page_content, document.metadata)
        finally:
            close = getattr(documents, "close", None)
            if close is not None:
                close()

    def transform_documents(
        self, documents: Sequence[Document], **kwargs: Any
    ) -> Sequence[Document]:
        """`split_documents`."""
        return self.split_documents(documents)

    def _documents(self, text: str, metadata: Mapping[Any, Any]) -> Iterator[Document]:
        self._check_text(text)
        for chunk, start in self.locate(text):
            about = deepcopy(dict(metadata))
            if self._add_start_index:
                about["start_index"] = start
            yield Document(chunk, about)

    def _check_text(self, text: Any) -> None:
        if not isinstance(text, str):
            raise InputError(
                f"{type(self).__name__} splits strings, and this is {text!r:.200} "
                f"({type(text).__name__})."
            )

    # ---- for splitters that cut first and join then -----------------------------------------

    def _runs(self, pieces: Iterable[Piece]) -> Iterator[Sequence[Piece]]:
        """Runs of pieces, each a chunk. What is too long, and cannot be helped, is logged."""
        for run in runs(pieces, self._chunk_size, self._chunk_overlap):
            longest = max(piece.length for piece in run)
            if longest > self._chunk_size:
                _logger.warning(
                    "%s made a chunk of %d where chunk_size is %d: there is nothing to cut it at.",
                    type(self).__name__, longest, self._chunk_size,
                )  # fmt: skip
            yield run

    def _merge_splits(self, splits: Iterable[str], separator: str) -> list[str]:
        """Chunks, made of pieces that a subclass has cut, with the separator between them."""
        parts = list(splits)
        gap = self._length_function(separator)
        pieces = [Piece(n, n + 1, self._length_function(each), gap) for n, each in enumerate(parts)]
        joined = (separator.join(parts[p.start] for p in run) for run in self._runs(pieces))
        chunks = (each.strip() if self._strip_whitespace else each for each in joined)
        return [chunk for chunk in chunks if chunk]

    # ---- measured in tokens -----------------------------------------------------------------

    @classmethod
    def from_tiktoken_encoder(
        cls,
        encoding_name: str = "gpt2",
        model_name: str | None = None,
        allowed_special: Special | None = None,
        disallowed_special: Special = "all",
        **kwargs: Any,
    ) -> Self:
        """A splitter whose lengths are OpenAI's tokens.

        Args:
            encoding_name: an encoding of tiktoken, which may fetch it over the network.
            model_name: or the model whose encoding it is.
            allowed_special: special tokens that a text may have in it, as such.
            disallowed_special: those that are an error.
            kwargs: the splitter's other arguments.

        Raises:
            MissingExtraError: tiktoken is not installed.
        """
        encoding = tiktoken_encoding(encoding_name, model_name)
        count = tiktoken_counter(encoding, allowed_special or set(), disallowed_special)
        return cls(length_function=count, **kwargs)

    @classmethod
    def from_tokenizer(cls, tokenizer: Any, **kwargs: Any) -> Self:
        """A splitter whose lengths are the tokens of a tokenizer.

        Args:
            tokenizer: of transformers, tokenizers or tiktoken; or a model, such as `ChatLocal()`,
                whose `get_num_tokens` is asked.
            kwargs: the splitter's other arguments.

        Raises:
            ConfigError: it is none of these.
        """
        return cls(length_function=counter(tokenizer), **kwargs)

    @classmethod
    def from_huggingface_tokenizer(cls, tokenizer: Any, **kwargs: Any) -> Self:
        """The same as `from_tokenizer`."""
        return cls.from_tokenizer(tokenizer, **kwargs)
