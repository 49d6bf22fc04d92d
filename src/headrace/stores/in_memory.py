"""Stores in this process's memory, for its threads and tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Generic, TypeVar

from .base import BaseStore

__all__ = ["InMemoryBaseStore", "InMemoryByteStore", "InMemoryStore"]

V = TypeVar("V")


class InMemoryBaseStore(BaseStore[str, V], Generic[V]):
    """Values in a dict, which is the attribute `store`."""

    def __init__(self) -> None:
        self.store: dict[str, V] = {}

    def mget(self, keys: Sequence[str]) -> list[V | None]:
        return [self.store.get(key) for key in keys]

    def mset(self, key_value_pairs: Sequence[tuple[str, V]]) -> None:
        self.store.update(key_value_pairs)

    def mdelete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.store.pop(key, None)

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        # A copy: the store may change while its keys are read.
        return (key for key in list(self.store) if key.startswith(prefix or ""))

    # Too quick to be worth a thread.

    async def amget(self, keys: Sequence[str]) -> list[V | None]:
        return self.mget(keys)

    async def amset(self, key_value_pairs: Sequence[tuple[str, V]]) -> None:
        self.mset(key_value_pairs)

    async def amdelete(self, keys: Sequence[str]) -> None:
        self.mdelete(keys)

    async def ayield_keys(self, *, prefix: str | None = None) -> AsyncIterator[str]:
        for key in self.yield_keys(prefix=prefix):
            yield key


class InMemoryStore(InMemoryBaseStore[Any]):
    """Values of any kind in memory."""


class InMemoryByteStore(InMemoryBaseStore[bytes]):
    """Bytes in memory."""
