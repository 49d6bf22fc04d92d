"""`InMemoryDocumentIndex`: documents in a dict, found by how often they hold the query. For tests
and examples."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from headrace.documents import Document
from headrace.errors import InputError

from .document_index import DocumentIndex
from .results import DeleteResponse, UpsertResponse

__all__ = ["InMemoryDocumentIndex"]


class InMemoryDocumentIndex(DocumentIndex):
    """Documents in memory.

    Args:
        store: the documents by their ids.
        top_k: how many a query finds; those that hold it most often come first, then older ones.
    """

    store: dict[str, Document] = Field(default_factory=dict)
    top_k: int = Field(default=4, ge=0)

    def upsert(self, items: Sequence[Document], /, **kwargs: Any) -> UpsertResponse:
        kept = [item.model_copy(update={"id": item.id or str(uuid.uuid4())}) for item in items]
        ids = [str(item.id) for item in kept]
        self.store.update(zip(ids, kept, strict=True))
        return {"succeeded": ids, "failed": []}

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> DeleteResponse:
        if ids is None:
            raise InputError("delete() was given no ids: give those of the documents to delete.")
        gone = [each for each in ids if self.store.pop(each, None) is not None]
        return {"succeeded": gone, "num_deleted": len(gone), "failed": [], "num_failed": 0}

    def get(self, ids: Sequence[str], /, **kwargs: Any) -> list[Document]:
        found = [self.store.get(each) for each in ids]
        return [document.model_copy() for document in found if document is not None]

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        often = [(document.page_content.count(query), document) for document in self.store.values()]
        often.sort(key=lambda pair: pair[0], reverse=True)  # of equals the older one first
        return [document.model_copy() for _, document in often[: self.top_k]]
