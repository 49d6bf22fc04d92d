"""`RecordManager`: remembers what a store holds: keys, the source of each, and when it was seen.

    record      a key, its group (the source it came from) and the time at which it was last seen
    settled     the store holds what the record says. One that is not settled is left by a run that
                was interrupted: the store may hold it or not

Indexing tells a manager before it changes the store (`expect_change`) and after (`update`,
`delete_keys`). In between the keys are not settled: `exists` says no, so they are written again if
their source gives them, and `list_keys` lists them, so they are deleted if it does not. Either way
a run after an interrupted one ends with the right store.

Times are seconds since 1970 by whatever clock the manager has. A time that it gives must be later
than all that it has written, whatever the computer's clock does: what is older than the start of a
run is deleted.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, TypedDict, TypeVar

from headrace._fork import told_after_fork
from headrace.errors import InputError
from headrace.runnables.configs import run_in_executor

from .claims import Claim, NoClaim, ThreadClaim

__all__ = ["TICK", "InMemoryRecordManager", "Record", "RecordManager", "check_groups"]

T = TypeVar("T")

TICK = 1e-6  # seconds between two times; a float of today's time holds four times as fine


class RecordManager(ABC):
    """Base of record managers. Write the sync methods; the async ones then use worker threads.

    `expect_change` and `claim` may be left out: then a run that is interrupted between changing the
    store and writing it down can leave documents behind that nobody knows of, and two runs at once
    are the caller's care.

    Args:
        namespace: whose records these are: a store, in words that nobody else uses.
    """

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    @abstractmethod
    def create_schema(self) -> None:
        """Make what records are kept in, where that has to be made."""

    @abstractmethod
    def get_time(self) -> float:
        """A time later than that of every record there is."""

    @abstractmethod
    def update(
        self,
        keys: Sequence[str],
        *,
        group_ids: Sequence[str | None] | None = None,
        time_at_least: float | None = None,
    ) -> None:
        """Write down that the store holds these keys, seen now; or, of keys that are there, that
        they have been seen again.

        Args:
            keys: the keys.
            group_ids: the group of each, in order.
            time_at_least: a time that the records' must not be before, by this manager's clock.

        Raises:
            InputError: there are not as many groups as keys.
        """

    @abstractmethod
    def exists(self, keys: Sequence[str]) -> list[bool]:
        """Whether the store holds each of these keys, for certain."""

    @abstractmethod
    def list_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """Keys of all records, settled or not, or of some of them, in no order that matters.

        Args:
            before: only those last seen before this time.
            after: only those last seen after this time.
            group_ids: only those of these groups.
            limit: so many at most.
        """

    @abstractmethod
    def delete_keys(self, keys: Sequence[str]) -> None:
        """Forget these keys: the store no longer holds them."""

    def expect_change(
        self, keys: Sequence[str], *, group_ids: Sequence[str | None] | None = None
    ) -> None:
        """Write down that what the store holds under these keys is about to change: until `update`
        or `delete_keys`, they are not settled. Keys that are unknown are seen now, in these groups;
        of those that are known nothing else changes."""
        return

    def claim(self) -> Claim:
        """The right to change this namespace, to be taken and released."""
        return NoClaim()

    # ---- async -----------------------------------------------------------------------------------

    async def _aside(self, method: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a method without blocking the event loop."""
        return await run_in_executor(None, method, *args, **kwargs)

    async def acreate_schema(self) -> None:
        """`create_schema` without blocking the event loop."""
        await self._aside(self.create_schema)

    async def aget_time(self) -> float:
        """`get_time` without blocking the event loop."""
        return await self._aside(self.get_time)

    async def aupdate(
        self,
        keys: Sequence[str],
        *,
        group_ids: Sequence[str | None] | None = None,
        time_at_least: float | None = None,
    ) -> None:
        """`update` without blocking the event loop."""
        await self._aside(self.update, keys, group_ids=group_ids, time_at_least=time_at_least)

    async def aexists(self, keys: Sequence[str]) -> list[bool]:
        """`exists` without blocking the event loop."""
        return await self._aside(self.exists, keys)

    async def alist_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """`list_keys` without blocking the event loop."""
        return await self._aside(
            self.list_keys, before=before, after=after, group_ids=group_ids, limit=limit
        )

    async def adelete_keys(self, keys: Sequence[str]) -> None:
        """`delete_keys` without blocking the event loop."""
        await self._aside(self.delete_keys, keys)

    async def aexpect_change(
        self, keys: Sequence[str], *, group_ids: Sequence[str | None] | None = None
    ) -> None:
        """`expect_change` without blocking the event loop."""
        await self._aside(self.expect_change, keys, group_ids=group_ids)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.namespace!r})"


class Record(TypedDict):
    """A record of `InMemoryRecordManager`."""

    group_id: str | None
    updated_at: float
    settled: bool


class InMemoryRecordManager(RecordManager):
    """Records in memory, for stores that live no longer than this process.

    Attributes:
        records: the records by their keys, in the order in which the keys came.
    """

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.records: dict[str, Record] = {}
        # The keys of each group, so that cleaning up after a source does not look at all others.
        self._groups: defaultdict[str | None, dict[str, None]] = defaultdict(dict)
        self._latest = 0.0
        self._lock = threading.Lock()  # of the records
        told_after_fork(self)

    def _forked(self) -> None:
        if self._lock.locked():  # another thread of the parent was changing them
            self._lock = threading.Lock()
            self._groups.clear()
            for key, record in self.records.items():
                self._groups[record["group_id"]][key] = None

    def create_schema(self) -> None:
        """There is nothing to make."""

    def get_time(self) -> float:
        with self._lock:
            self._latest = max(time.time(), self._latest + TICK)
            return self._latest

    def update(
        self,
        keys: Sequence[str],
        *,
        group_ids: Sequence[str | None] | None = None,
        time_at_least: float | None = None,
    ) -> None:
        groups = check_groups(keys, group_ids)
        seen = max(self.get_time(), time_at_least or 0.0)
        with self._lock:
            self._latest = max(self._latest, seen)
            for key, group in zip(keys, groups, strict=True):
                self._put(key, {"group_id": group, "updated_at": seen, "settled": True})

    def exists(self, keys: Sequence[str]) -> list[bool]:
        with self._lock:
            found = [self.records.get(key) for key in keys]
            return [record is not None and record["settled"] for record in found]

    def list_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        with self._lock:
            if group_ids is None:
                some: Iterable[str] = self.records
            else:
                groups = dict.fromkeys(group_ids)
                some = (key for group in groups for key in self._groups.get(group, ()))
            found = (
                key
                for key in some
                if (before is None or self.records[key]["updated_at"] < before)
                and (after is None or self.records[key]["updated_at"] > after)
            )
            return list(islice(found, limit))

    def delete_keys(self, keys: Sequence[str]) -> None:
        with self._lock:
            for key in keys:
                self._drop(key)

    def expect_change(
        self, keys: Sequence[str], *, group_ids: Sequence[str | None] | None = None
    ) -> None:
        groups = check_groups(keys, group_ids)
        seen = self.get_time()
        with self._lock:
            for key, group in zip(keys, groups, strict=True):
                if key in self.records:
                    self.records[key]["settled"] = False
                else:
                    self._put(key, {"group_id": group, "updated_at": seen, "settled": False})

    def claim(self) -> Claim:
        return ThreadClaim(self)

    def _put(self, key: str, record: Record) -> None:
        old = self.records.get(key)
        if old is not None and old["group_id"] != record["group_id"]:
            del self._groups[old["group_id"]][key]
        self.records[key] = record
        self._groups[record["group_id"]][key] = None

    def _drop(self, key: str) -> None:
        record = self.records.pop(key, None)
        if record is not None:
            del self._groups[record["group_id"]][key]

    async def _aside(self, method: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return method(*args, **kwargs)  # too quick to be worth a thread


def check_groups(
    keys: Sequence[str], group_ids: Sequence[str | None] | None
) -> Sequence[str | None]:
    """A group for each key."""
    if group_ids is None:
        return [None] * len(keys)
    if len(group_ids) != len(keys):
        raise InputError(
            f"There are {len(group_ids)} group_ids for {len(keys)} keys: give one for each."
        )
    return group_ids
