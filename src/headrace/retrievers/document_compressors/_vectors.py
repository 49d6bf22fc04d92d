"""The embeddings of documents' texts, each made once inside of an `embedding_once` block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from headrace.documents import Document
from headrace.embeddings import Embeddings

__all__ = ["avectors_of", "embedding_once", "vectors_of"]

_Known = dict[tuple[int, str], Sequence[float]]

# By the embeddings' id and the text. The embeddings live as long as the block: its parts have them.
_known: ContextVar[_Known | None] = ContextVar("headrace_embedded", default=None)


@contextmanager
def embedding_once() -> Iterator[None]:
    """Inside of it a text is embedded once by the same embeddings."""
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def vectors_of(embeddings: Embeddings, documents: Sequence[Document]) -> list[Any]:
    """One for each document, in order; `(n, d)`."""
    known, new = _lacking(embeddings, documents)
    if new:
        _keep(known, embeddings, new, embeddings.embed_documents(new))
    return [known[id(embeddings), each.page_content] for each in documents]


async def avectors_of(embeddings: Embeddings, documents: Sequence[Document]) -> list[Any]:
    """`vectors_of`, async."""
    known, new = _lacking(embeddings, documents)
    if new:
        _keep(known, embeddings, new, await embeddings.aembed_documents(new))
    return [known[id(embeddings), each.page_content] for each in documents]


def _lacking(embeddings: Embeddings, documents: Sequence[Document]) -> tuple[_Known, list[str]]:
    shared = _known.get()
    known = {} if shared is None else shared
    texts = dict.fromkeys(each.page_content for each in documents)
    return known, [text for text in texts if (id(embeddings), text) not in known]


def _keep(known: _Known, embeddings: Embeddings, texts: list[str], vectors: Any) -> None:
    for text, vector in zip(texts, vectors, strict=True):
        known[id(embeddings), text] = vector
