"""`EncoderBackedStore`: a store of bytes, used for keys and values of other kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from .base import BaseStore

__all__ = ["EncoderBackedStore"]

K = TypeVar("K")
V = TypeVar("V")


class EncoderBackedStore(BaseStore[K, V], Generic[K, V]):
    """Keys and values are turned into those of another store and back.

    Args:
        store: where they are kept; usually a `ByteStore`.
        key_encoder: makes a key of the store's from one of ours. It need not be reversible:
            `yield_keys` gives the store's.
        value_serializer: makes what is kept.
        value_deserializer: makes the value again; None is as if the key were not there, and what it
            raises comes out of `mget`.
    """

    def __init__(
        self,
        store: BaseStore[str, Any],
        key_encoder: Callable[[K], str],
        value_serializer: Callable[[V], bytes],
        value_deserializer: Callable[[Any], V | None],
    ) -> None:
        self.store = store
        self.key_encoder = key_encoder
        self.value_serializer = value_serializer
        self.value_deserializer = value_deserializer

    def _keys(self, keys: Sequence[K]) -> list[str]:
        return [self.key_encoder(key) for key in keys]

    def _pairs(self, pairs: Sequence[tuple[K, V]]) -> list[tuple[str, bytes]]:
        return [(self.key_encoder(key), self.value_serializer(value)) for key, value in pairs]

    def _values(self, kept: Sequence[Any]) -> list[V | None]:
        return [None if value is None else self.value_deserializer(value) for value in kept]

    def mget(self, keys: Sequence[K]) -> list[V | None]:
        return self._values(self.store.mget(self._keys(keys)))

    async def amget(self, keys: Sequence[K]) -> list[V | None]:
        return self._values(await self.store.amget(self._keys(keys)))

    def mset(self, key_value_pairs: Sequence[tuple[K, V]]) -> None:
        self.store.mset(self._pairs(key_value_pairs))

    async def amset(self, key_value_pairs: Sequence[tuple[K, V]]) -> None:
        await self.store.amset(self._pairs(key_value_pairs))

    def mdelete(self, keys: Sequence[K]) -> None:
        self.store.mdelete(self._keys(keys))

    async def amdelete(self, keys: Sequence[K]) -> None:
        await self.store.amdelete(self._keys(keys))

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[K] | Iterator[str]:
        return self.store.yield_keys(prefix=prefix)
