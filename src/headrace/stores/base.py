"""`BaseStore`: what maps keys to values, many at a time.

Write the four sync methods; the async ones then run them in a worker thread. All take and give
several at once, because a store elsewhere answers a hundred questions as fast as one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Generic, TypeAlias, TypeVar

from headrace._bridge import stream_in_thread
from headrace.errors import InputError
from headrace.flow import Once
from headrace.runnables.configs import run_in_executor

__all__ = ["BaseStore", "ByteStore", "InvalidKeyException"]

K = TypeVar("K")
V = TypeVar("V")


class InvalidKeyException(InputError):
    """A store cannot have such a key."""


class BaseStore(ABC, Generic[K, V]):
    """Base of stores."""

    @abstractmethod
    def mget(self, keys: Sequence[K]) -> list[V | None]:
        """The value of each key, in order; None for a key that is not there."""

    @abstractmethod
    def mset(self, key_value_pairs: Sequence[tuple[K, V]]) -> None:
        """Keep these values, in place of those that are there under the same keys."""

    @abstractmethod
    def mdelete(self, keys: Sequence[K]) -> None:
        """Forget these keys; those that are not there are passed over."""

    @abstractmethod
    def yield_keys(self, *, prefix: str | None = None) -> Iterator[K] | Iterator[str]:
        """The keys, or those that begin with `prefix`, in no particular order."""

    async def amget(self, keys: Sequence[K]) -> list[V | None]:
        """`mget` without blocking the event loop."""
        return await run_in_executor(None, self.mget, keys)

    async def amset(self, key_value_pairs: Sequence[tuple[K, V]]) -> None:
        """`mset` without blocking the event loop."""
        await run_in_executor(None, self.mset, key_value_pairs)

    async def amdelete(self, keys: Sequence[K]) -> None:
        """`mdelete` without blocking the event loop."""
        await run_in_executor(None, self.mdelete, keys)

    async def ayield_keys(self, *, prefix: str | None = None) -> AsyncIterator[K]:
        """`yield_keys` without blocking the event loop."""
        opened: Any = stream_in_thread(self, lambda _: self.yield_keys(prefix=prefix), Once(None))
        async with aclosing(opened) as keys:
            async for key in keys:
                yield key


ByteStore: TypeAlias = BaseStore[str, bytes]
"""What caches are kept in: strings to bytes."""
