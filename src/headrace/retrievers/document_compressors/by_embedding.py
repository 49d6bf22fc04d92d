"""Filters that compare embeddings: `EmbeddingsFilter` and `EmbeddingsRedundantFilter`.

Likeness is the cosine, from -1 to 1, unless a `similarity_fn` says otherwise: a function of two
lists of vectors, `(m, d)` and `(n, d)`, that gives `(m, n)` numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from headrace.document_transformers import BaseDocumentTransformer
from headrace.documents import Document
from headrace.embeddings import Embeddings
from headrace.errors import ConfigError

from ._vectors import avectors_of, vectors_of
from .base import BaseDocumentCompressor

__all__ = ["EmbeddingsFilter", "EmbeddingsRedundantFilter"]

Similarity = Callable[[Any, Any], Any]


class EmbeddingsFilter(BaseDocumentCompressor):
    """Leaves the documents that are most like the question.

    Args:
        embeddings: embeds the question and the documents' texts.
        k: how many to leave at most, the most similar first; None: as many as reach the threshold,
            in the order in which they were found.
        similarity_threshold: leave out what is no more similar than this.
        similarity_fn: see above; by default the cosine.

    Raises:
        ValidationError: both `k` and `similarity_threshold` are None, or a cosine cannot be that.
    """

    embeddings: Embeddings
    similarity_fn: Similarity | None = None
    k: int | None = Field(default=20, ge=1)
    similarity_threshold: float | None = None

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        if self.k is None and self.similarity_threshold is None:
            raise ConfigError("EmbeddingsFilter needs k, similarity_threshold, or both.")
        if self.similarity_threshold is not None:
            _check_threshold(self, self.similarity_threshold)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        """The documents that are most like the question."""
        vectors = vectors_of(self.embeddings, documents)
        return self._left(documents, vectors, self.embeddings.embed_query(query))

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        """`compress_documents`, async."""
        vectors = await avectors_of(self.embeddings, documents)
        return self._left(documents, vectors, await self.embeddings.aembed_query(query))

    def _left(
        self, documents: Sequence[Document], vectors: Sequence[Any], query: Any
    ) -> list[Document]:
        if not documents:
            return []
        scores = _likeness(self.similarity_fn, vectors)(query)
        rows = list(range(len(documents)))
        if self.k is not None:
            rows = sorted(rows, key=scores.__getitem__, reverse=True)[: self.k]
        least = self.similarity_threshold
        return [documents[row] for row in rows if least is None or scores[row] > least]


class EmbeddingsRedundantFilter(BaseDocumentTransformer, BaseModel):
    """Leaves out documents that say again what one before them says. It needs no question, so it is
    no compressor, but may be among the parts of a `DocumentCompressorPipeline`.

    Args:
        embeddings: embeds the documents' texts.
        similarity_threshold: how similar two may be at most for both to stay.
        similarity_fn: see above; by default the cosine.
    """

    model_config: ClassVar[ConfigDict] = BaseDocumentCompressor.model_config

    embeddings: Embeddings
    similarity_fn: Similarity | None = None
    similarity_threshold: float = 0.95

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        _check_threshold(self, self.similarity_threshold)

    def transform_documents(
        self, documents: Sequence[Document], **kwargs: Any
    ) -> Sequence[Document]:
        """The documents that differ, in their order."""
        return self._left(documents, vectors_of(self.embeddings, documents))

    async def atransform_documents(
        self, documents: Sequence[Document], **kwargs: Any
    ) -> Sequence[Document]:
        """`transform_documents`, async."""
        return self._left(documents, await avectors_of(self.embeddings, documents))

    def _left(self, documents: Sequence[Document], vectors: Sequence[Any]) -> list[Document]:
        left = []
        again = [False] * len(documents)
        likeness = _likeness(self.similarity_fn, vectors)
        for row, document in enumerate(documents):
            if again[row]:
                continue
            left.append(document)
            scores = likeness(vectors[row])
            for other in range(row + 1, len(documents)):
                again[other] = again[other] or scores[other] > self.similarity_threshold
        return left


def _check_threshold(of: Any, given: float) -> None:
    """A function of the user's may rate as it likes; a cosine cannot be more than 1."""
    if of.similarity_fn is None and not -1 <= given <= 1:
        raise ConfigError(
            f"similarity_threshold of {type(of).__name__} is {given}: it is compared with a "
            "cosine, so give a number from -1 to 1."
        )


def _likeness(
    similarity: Similarity | None, vectors: Sequence[Any]
) -> Callable[[Any], Sequence[float]]:
    """From a vector to how like it each of `vectors` is."""
    if similarity is not None:
        return lambda one: [float(score) for score in similarity([one], list(vectors))[0]]
    from headrace.vectorstores.similarity import Rows

    return Rows(vectors).cosines
