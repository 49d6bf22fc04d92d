"""What indexing says it did, what stores say they did, and the error where they did not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from headrace.errors import HeadraceError

__all__ = ["DeleteResponse", "IndexingException", "IndexingResult", "UpsertResponse"]


class IndexingException(HeadraceError, RuntimeError):
    """A store did not take, or did not delete, what it was told to. Run the indexing again: it goes
    on from there."""


class IndexingResult(TypedDict):
    """What became of the documents, in numbers of documents."""

    num_added: int
    """Written, and not in the store before."""
    num_updated: int
    """Written again, because of `force_update`."""
    num_deleted: int
    """Taken out, because their source no longer gives them."""
    num_skipped: int
    """Left alone: the store has them, or the same batch held them twice."""


class UpsertResponse(TypedDict):
    """What a document index says of documents that it was to keep: their ids, in order."""

    succeeded: list[str]
    failed: list[str]


class DeleteResponse(TypedDict, total=False):
    """What a document index says of documents that it was to delete. One that it did not have is
    neither deleted nor failed."""

    num_deleted: int
    succeeded: Sequence[str]
    failed: Sequence[str]
    num_failed: int
