"""`DocumentCompressorPipeline`: compressors and transformers, one after the other.

DocumentCompressorPipeline(transformers=[
    RecursiveCharacterTextSplitter(chunk_size=300, chunk_overlap=0),
    EmbeddingsRedundantFilter(embeddings=embeddings),
    EmbeddingsFilter(embeddings=embeddings, k=6),
])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import field_validator

from headrace.documents import Document
from headrace.shapes import Node

from ._vectors import embedding_once
from .base import BaseDocumentCompressor, acompressed, compressed

__all__ = ["DocumentCompressorPipeline"]


class DocumentCompressorPipeline(BaseDocumentCompressor):
    """Hands the documents through its parts. Those that embed texts by the same embeddings embed
    each text once.

    Args:
        transformers: compressors, which are given the question, and what has
            `transform_documents(documents)`, for example text splitters, which are not.
    """

    transformers: list[Any]

    @field_validator("transformers")
    @classmethod
    def _can_transform(cls, given: list[Any]) -> list[Any]:
        for number, each in enumerate(given):
            if isinstance(each, type) or not (_compresses(each) or _transforms(each)):
                raise ValueError(
                    f"transformers[{number}] of {cls.__name__} is {each!r:.120}: give a compressor "
                    "(it has compress_documents) or a transformer (transform_documents)."
                )
        return given

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        """What its parts leave."""
        with embedding_once():
            for each in self.transformers:
                if _compresses(each):
                    documents = compressed(each, documents, query, callbacks)
                else:
                    documents = each.transform_documents(documents)
        return documents

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        """`compress_documents`, async."""
        with embedding_once():
            for each in self.transformers:
                if _compresses(each):
                    documents = await acompressed(each, documents, query, callbacks)
                else:
                    documents = await each.atransform_documents(documents)
        return documents

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        parts = [each for each in self.transformers if isinstance(each, BaseDocumentCompressor)]
        return [child for part in parts for child in part._children()]


def _compresses(part: Any) -> bool:
    return callable(getattr(part, "compress_documents", None))


def _transforms(part: Any) -> bool:
    return callable(getattr(part, "transform_documents", None))
