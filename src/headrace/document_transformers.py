"""`BaseDocumentTransformer`: what makes other documents of documents.

Splitters are such, and so are filters and reorderings between a retriever and a prompt. One writes
`transform_documents`; its async twin runs that in a worker thread until a transformer has its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any

from headrace._bridge import call_in_thread
from headrace.documents import Document

__all__ = ["BaseDocumentTransformer"]


class BaseDocumentTransformer(ABC):
    """Base of what takes documents and gives documents: write `transform_documents`."""

    @abstractmethod
    def transform_documents(
        self, documents: Sequence[Document], **kwargs: Any
    ) -> Sequence[Document]:
        """Other documents, made of these."""

    async def atransform_documents(
        self, documents: Sequence[Document], **kwargs: Any
    ) -> Sequence[Document]:
        """`transform_documents` without blocking the event loop."""
        work = partial(self.transform_documents, **kwargs)
        return await call_in_thread(work, documents)  # type: ignore[no-any-return]
