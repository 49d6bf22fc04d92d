"""`ContextualCompressionRetriever`: what another retriever finds, and a compressor leaves of it.

ContextualCompressionRetriever(
    base_retriever=store.as_retriever(search_kwargs={"k": 20}),
    base_compressor=EmbeddingsFilter(embeddings=embeddings, k=4),
)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import field_validator

from headrace import _async, _sync
from headrace.documents import Document
from headrace.shapes import Node

from ._below import Asking, as_retriever, documents_of
from .document_compressors.base import BaseDocumentCompressor, acompressed, compressed

__all__ = ["ContextualCompressionRetriever"]


class ContextualCompressionRetriever(Asking):
    """Finds documents by `base_retriever`, then hands them with the question to `base_compressor`,
    which leaves out, cuts or sorts. Keyword arguments of a call, `k` too, go to the retriever.

    A compressor's models are runs below this one's. Without documents it is not asked.

    Args:
        base_retriever: a retriever, or another runnable from a text to documents.
        base_compressor: what is done with the documents.
    """

    base_compressor: BaseDocumentCompressor
    base_retriever: Any

    @field_validator("base_compressor", mode="before")
    @classmethod
    def _can_compress(cls, given: Any) -> Any:
        if not isinstance(given, BaseDocumentCompressor):
            raise ValueError(
                f"The base_compressor of {cls.__name__} is {given!r:.200} "
                f"({type(given).__name__}): give a BaseDocumentCompressor; a splitter or another "
                "transformer goes into DocumentCompressorPipeline(transformers=[…])."
            )
        return given

    @field_validator("base_retriever")
    @classmethod
    def _can_be_asked(cls, given: Any) -> Any:
        return as_retriever(given, f"the base_retriever of {cls.__name__}")

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("base_retriever", self.base_retriever), *self.base_compressor._children()]

    def _get_relevant_documents(
        self, query: str, *, run_manager: Any, **kwargs: Any
    ) -> list[Document]:
        asked = self.base_retriever
        found = _sync.value_step(asked, query, run_manager.run, kwargs, "base_retriever")
        documents = documents_of(found, asked)
        if not documents:
            return []
        return list(compressed(self.base_compressor, documents, query, run_manager.get_child()))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: Any, **kwargs: Any
    ) -> list[Document]:
        asked = self.base_retriever
        found = await _async.value_step(asked, query, run_manager.run, kwargs, "base_retriever")
        documents = documents_of(found, asked)
        if not documents:
            return []
        child = run_manager.get_child()
        return list(await acompressed(self.base_compressor, documents, query, child))
