"""`DocumentIndex`: a retriever that keeps the documents it finds, by their ids."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from headrace.documents import Document
from headrace.retrievers import BaseRetriever
from headrace.runnables.configs import run_in_executor

from .results import DeleteResponse, UpsertResponse

__all__ = ["DocumentIndex"]


class DocumentIndex(BaseRetriever):
    """Base of document indexes: write `upsert`, `delete`, `get` and `_get_relevant_documents`; the
    async ones then run them in worker threads."""

    @abstractmethod
    def upsert(self, items: Sequence[Document], /, **kwargs: Any) -> UpsertResponse:
        """Keep documents under their ids, in place of what is there; without an id they get one."""

    @abstractmethod
    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> DeleteResponse:
        """Take out the documents with these ids.

        Raises:
            InputError: no ids are given.
        """

    @abstractmethod
    def get(self, ids: Sequence[str], /, **kwargs: Any) -> list[Document]:
        """The documents with these ids; unknown ids are left out."""

    async def aupsert(self, items: Sequence[Document], /, **kwargs: Any) -> UpsertResponse:
        """`upsert`, async."""
        return await run_in_executor(None, self.upsert, items, **kwargs)

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> DeleteResponse:
        """`delete`, async."""
        return await run_in_executor(None, self.delete, ids, **kwargs)

    async def aget(self, ids: Sequence[str], /, **kwargs: Any) -> list[Document]:
        """`get`, async."""
        return await run_in_executor(None, self.get, ids, **kwargs)
