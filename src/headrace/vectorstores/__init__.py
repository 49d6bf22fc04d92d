"""Vector stores: texts found again by the meaning of a query. Nothing here needs numpy but `FAISS`,
which is imported when it is first named, as is `SQLiteVec`."""

from typing import TYPE_CHECKING, Any

from headrace._lazy import later, listed

from .base import (
    HalfWrittenError,
    StoreFileError,
    UnsupportedError,
    VectorStore,
    VectorStoreRetriever,
)
from .in_memory import InMemoryVectorStore

if TYPE_CHECKING:
    from .distances import DistanceStrategy as DistanceStrategy
    from .faiss import FAISS as FAISS
    from .sqlite_vec import SQLiteVec as SQLiteVec

__all__ = [
    "FAISS",
    "DistanceStrategy",
    "HalfWrittenError",
    "InMemoryVectorStore",
    "SQLiteVec",
    "StoreFileError",
    "UnsupportedError",
    "VectorStore",
    "VectorStoreRetriever",
]

_HOMES = {"FAISS": "faiss", "DistanceStrategy": "distances", "SQLiteVec": "sqlite_vec"}


def __getattr__(name: str) -> Any:
    return later(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
