"""Projections of a live run as its consumers have them: iterated for deltas, asked for the whole.

Each iteration is a reader of its own at the hub, from its first step to its end, however it ends.
What is shown, and what of it is the past, is the view's affair (see `projections`); events have no
past, so a projection of them listens from the moment it is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from threading import get_ident
from typing import Any, Generic, NoReturn, TypeVar

from ..errors import InputError
from .readers import AsyncReader, Policy, Reader, SyncReader, checked_limit

__all__ = ["AsyncProjection", "NotIterableError", "Projection"]

T = TypeVar("T")
W = TypeVar("W")


class NotIterableError(InputError, TypeError):
    """Something is iterated, measured or indexed that has to be opened or awaited before."""


class _Projection(Generic[T, W]):
    """What both colours have. The counters are those of all iterations together."""

    _reader: type[Any]

    def __init__(
        self,
        run: Any,
        name: str,
        make: Any,
        policy: Policy = "block",
        limit: int | None = None,
    ) -> None:
        self._run, self._name, self._make = run, name, make
        self.policy, self.limit = policy, checked_limit(policy, limit)
        self._readers: list[Reader] = []
        self._early: Reader | None = None  # hears events before it is read
        self._hears = False  # whether there is nothing to know but by listening

    _advice: str  # how to get what it is

    def __repr__(self) -> str:
        came = f"{self.received} items came, {self.depth} wait" if self._readers else "not read yet"
        return f"<run.{self._name}, {came}: {self._advice}>"

    def with_policy(self, policy: Policy, limit: int | None = None) -> Any:
        """The same, for a consumer with another policy: "block", "drop_oldest", "coalesce" or
        "disconnect", at `limit` items that wait (256; for "coalesce" 1).

        Raises:
            ConfigError: another policy, a limit below 1.
        """
        new = type(self)(self._run, self._name, self._make, policy, limit)
        if self._hears:  # the new one hears instead
            new._listen()
            if self._early is not None:
                self._run._hub.remove(self._early)
                self._early = None
        return new

    def _new(self) -> Reader:
        reader: Reader = self._reader(self._run._hub, self._make(), self.policy, self.limit)
        self._readers.append(reader)
        return reader

    def _listen(self) -> None:
        """Hear from now on. Until somebody reads, what can be joined is, and nobody is held up or
        disconnected."""
        self._hears = True
        early = self._early = self._new()
        early.relax(self.policy != "drop_oldest")
        self._run._hub.add(early)

    def _opened(self, owner: Any) -> Reader:
        early, self._early = self._early, None
        hub = self._run._hub
        reader = early or self._new()
        reader.owner = owner
        if early is None:
            hub.add(reader)
        else:
            with hub.lock:
                reader.relax(reader.policy == "coalesce")
        self._run._start()
        return reader

    @property
    def depth(self) -> int:
        """How many items wait."""
        return sum(reader.depth for reader in self._readers)

    @property
    def received(self) -> int:
        """How many items came, before any was dropped or joined."""
        return sum(reader.received for reader in self._readers)

    @property
    def dropped(self) -> int:
        """How many items its consumers did not get."""
        return sum(reader.dropped for reader in self._readers)

    @property
    def coalesced(self) -> int:
        """How many items were joined to one that waited."""
        return sum(reader.coalesced for reader in self._readers)

    @property
    def disconnected(self) -> bool:
        """Whether a consumer was too slow."""
        return any(reader.disconnected for reader in self._readers)

    def _whole(self) -> Any:
        hub = self._run._hub
        hub.check()
        with hub.lock:
            return self._make().whole()


class Projection(_Projection[T, W]):
    """One thing that a run shows: iterate it for deltas, `get()` gives the whole."""

    _reader = SyncReader
    _advice = "iterate it for what is new, or .get() the whole"

    def __iter__(self) -> Iterator[T]:
        reader: Any = self._opened(get_ident())
        hub, items = reader.hub, reader.items
        try:
            while True:
                while items:
                    try:
                        item = items.popleft()
                    except IndexError:  # dropped just now
                        break
                    yield reader.taken(item)
                if reader.over and not items:
                    break
                reader.owner = get_ident()
                relaxed = hub.relax(reader.owner, reader)
                try:
                    reader.filled()
                finally:
                    hub.tighten(relaxed)
        finally:
            hub.remove(reader)
            items.clear()
        reader.check()

    def get(self) -> W:
        """The whole, when the run has ended: of events, those not read yet. Raises what the run
        raised."""
        if self._hears:
            return list(self)  # type: ignore[return-value]
        self._run._start()
        self._run._hub.wait_over()
        return self._whole()  # type: ignore[no-any-return]


class AsyncProjection(_Projection[T, W]):
    """`Projection` for `async for`; `await` it, or `get()`, for the whole."""

    _reader = AsyncReader
    _advice = "`async for` gives what is new, `await` the whole"

    def __aiter__(self) -> AsyncIterator[T]:
        return _Iteration(self)

    def __iter__(self) -> NoReturn:
        raise NotIterableError(
            f"run.{self._name} is part of an async handle: read it with `async for`, or open the "
            "run with `with` instead of `async with`."
        )

    async def get(self) -> W:
        """`Projection.get`."""
        if self._hears:
            return [item async for item in self]  # type: ignore[return-value]
        self._run._start()
        await self._run._hub.wait_over(asyncio.current_task())
        return self._whole()  # type: ignore[no-any-return]

    def __await__(self) -> Generator[Any, None, W]:
        return self.get().__await__()


class _Iteration(AsyncIterator[Any]):
    """One consumer. No generator: one that is left open would need a loop to be closed."""

    __slots__ = ("_over", "_projection", "_reader")

    def __init__(self, projection: AsyncProjection[Any, Any]) -> None:
        self._projection = projection
        self._reader: Any = None
        self._over = False

    async def __anext__(self) -> Any:
        reader = self._reader
        if reader is None:
            if self._over:
                raise StopAsyncIteration
            reader = self._reader = self._projection._opened(asyncio.current_task())
        items = reader.items
        while True:
            try:
                item = items.popleft()
            except IndexError:
                if reader.over and not items:
                    break
                await self._filled(reader)
            else:
                return reader.taken(item)
        await self.aclose()
        reader.check()
        raise StopAsyncIteration

    @staticmethod
    async def _filled(reader: Any) -> None:
        reader.owner = asyncio.current_task()
        relaxed = reader.hub.relax(reader.owner, reader)
        try:
            await reader.filled()
        finally:
            reader.resumed()
            if relaxed:
                reader.hub.tighten(relaxed)

    async def aclose(self) -> None:
        """Leave; the run does not wait for this consumer any more."""
        self._leave()

    def _leave(self) -> None:
        reader, self._reader, self._over = self._reader, None, True
        if reader is not None and not reader.over:
            reader.hub.remove(reader)
            reader.items.clear()

    def __del__(self) -> None:
        self._leave()
