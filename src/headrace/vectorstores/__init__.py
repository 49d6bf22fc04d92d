"""Vector stores: texts found again by the meaning of a query. Nothing here needs numpy."""

from .base import UnsupportedError, VectorStore, VectorStoreRetriever
from .in_memory import InMemoryVectorStore

__all__ = ["InMemoryVectorStore", "UnsupportedError", "VectorStore", "VectorStoreRetriever"]
