"""`BaseLoader` and `BaseBlobParser`, the bases of what makes documents.

A loader writes `lazy_load`, a generator, so that a large source need not fit into memory; the rest
is derived from it. The async methods run it in one worker thread, a few documents ahead, until a
loader writes `alazy_load`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from typing import Any, Protocol

from headrace._bridge import stream_in_thread
from headrace.documents import Document
from headrace.errors import ConfigError
from headrace.flow import Once

from .blobs import Blob

__all__ = ["BaseBlobParser", "BaseLoader"]


class _Splitter(Protocol):
    def split_documents(self, documents: Iterable[Document]) -> list[Document]: ...


class NoLoadError(ConfigError, NotImplementedError):
    """A loader has neither `lazy_load` nor `load`."""


class BaseLoader(ABC):  # noqa: B024  # a loader may write `load` alone
    """Base of loaders: write `lazy_load`, or else `load`."""

    def lazy_load(self) -> Iterator[Document]:
        """The documents, one after another, each read when it is asked for.

        Raises:
            NotImplementedError: (a ConfigError) the loader has neither this nor `load`.
        """
        if type(self).load is not BaseLoader.load:
            return iter(self.load())
        raise NoLoadError(f"{type(self).__name__} has no lazy_load(): write it, as a generator.")

    def load(self) -> list[Document]:
        """All documents."""
        return list(self.lazy_load())

    async def alazy_load(self) -> AsyncIterator[Document]:
        """`lazy_load` without blocking the event loop."""
        stream: Any = stream_in_thread(self, lambda _: self.lazy_load(), Once(None))
        async with aclosing(stream) as documents:
            async for document in documents:
                yield document

    async def aload(self) -> list[Document]:
        """All documents, without blocking the event loop."""
        stream: Any = self.alazy_load()
        async with aclosing(stream) as documents:
            return [each async for each in documents]

    def load_and_split(self, text_splitter: _Splitter | None = None) -> list[Document]:
        """All documents in pieces.

        Args:
            text_splitter: what splits them; by default a `RecursiveCharacterTextSplitter()`.
        """
        if text_splitter is None:
            from headrace.text_splitters import RecursiveCharacterTextSplitter

            text_splitter = RecursiveCharacterTextSplitter()
        return text_splitter.split_documents(self.load())


class BaseBlobParser(ABC):
    """Base of parsers, which make documents of raw data wherever it came from."""

    @abstractmethod
    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """The documents in a blob, one after another."""

    def parse(self, blob: Blob) -> list[Document]:
        """All documents in a blob."""
        return list(self.lazy_parse(blob))
