"""Indexing: a vector store kept in step with its sources, without embedding again what is in it.

`index` and `aindex` do it; a `RecordManager` remembers what the store holds.
"""

from typing import TYPE_CHECKING, Any

from .._lazy import later, listed
from .records import InMemoryRecordManager, RecordManager
from .results import DeleteResponse, IndexingException, IndexingResult, UpsertResponse

if TYPE_CHECKING:
    from .api import aindex, index
    from .document_index import DocumentIndex
    from .in_memory import InMemoryDocumentIndex
    from .in_sqlite import RecordFileError, SQLiteRecordManager, SQLRecordManager

__all__ = [
    "DeleteResponse",
    "DocumentIndex",
    "InMemoryDocumentIndex",
    "InMemoryRecordManager",
    "IndexingException",
    "IndexingResult",
    "RecordFileError",
    "RecordManager",
    "SQLRecordManager",
    "SQLiteRecordManager",
    "UpsertResponse",
    "aindex",
    "index",
]

_LATER = {
    "DocumentIndex": "document_index",
    "InMemoryDocumentIndex": "in_memory",
    "RecordFileError": "in_sqlite",
    "SQLRecordManager": "in_sqlite",
    "SQLiteRecordManager": "in_sqlite",
    "aindex": "api",
    "index": "api",
}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
