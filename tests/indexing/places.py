"""Stores and records that tests look into, interrupt and share between processes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from headrace.documents import Document
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.indexing import InMemoryRecordManager, SQLiteRecordManager, aindex, index
from headrace.vectorstores import InMemoryVectorStore, VectorStore


def doc(text: str, source: str | None = None) -> Document:
    return Document(text, {} if source is None else {"source": source})


def store() -> InMemoryVectorStore:
    return InMemoryVectorStore(DeterministicFakeEmbedding(size=3))


def texts(place: InMemoryVectorStore) -> list[str]:
    return sorted(record["text"] for record in place.store.values())


def run_index(doors: Any, *args: Any, **kwargs: Any) -> Any:
    """`index` or `aindex`, by the colour."""
    if doors.asynchronous:
        return doors.wait(aindex(*args, **kwargs))
    return index(*args, **kwargs)


def call(doors: Any, target: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """A method, or its async twin, by the colour."""
    if doors.asynchronous:
        return doors.wait(getattr(target, f"a{name}")(*args, **kwargs))
    return getattr(target, name)(*args, **kwargs)


def counts(added: int = 0, updated: int = 0, skipped: int = 0, deleted: int = 0) -> dict[str, int]:
    return {
        "num_added": added,
        "num_updated": updated,
        "num_skipped": skipped,
        "num_deleted": deleted,
    }


class Died(BaseException):
    """As if the process had died."""


class Fuse:
    """Blows at the n-th step from when it was set."""

    def __init__(self) -> None:
        self.left: int | None = None

    def step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                self.blow()

    def blow(self) -> None:
        raise Died


class FragileStore(InMemoryVectorStore):
    """Steps before, amid and after each change."""

    fuse: Fuse

    def add_documents(self, documents: Any, ids: Any = None, **kwargs: Any) -> Any:
        self.fuse.step()
        half = len(documents) // 2
        super().add_documents(documents[:half], ids[:half])
        self.fuse.step()
        super().add_documents(documents[half:], ids[half:])
        self.fuse.step()
        return ids

    async def aadd_documents(self, documents: Any, ids: Any = None, **kwargs: Any) -> Any:
        return self.add_documents(documents, ids=ids)

    def delete(self, ids: Any = None, **kwargs: Any) -> Any:
        self.fuse.step()
        super().delete(ids[: len(ids) // 2])
        self.fuse.step()
        super().delete(ids)
        self.fuse.step()

    async def adelete(self, ids: Any = None, **kwargs: Any) -> Any:
        return self.delete(ids)


class FragileRecords(InMemoryRecordManager):
    """Steps before and after each change."""

    fuse: Fuse

    def update(self, *args: Any, **kwargs: Any) -> None:
        self.fuse.step()
        super().update(*args, **kwargs)
        self.fuse.step()

    def expect_change(self, *args: Any, **kwargs: Any) -> None:
        self.fuse.step()
        super().expect_change(*args, **kwargs)
        self.fuse.step()

    def delete_keys(self, *args: Any, **kwargs: Any) -> None:
        self.fuse.step()
        super().delete_keys(*args, **kwargs)
        self.fuse.step()


class FileStore(VectorStore):
    """Texts by id in a JSON file, read and rewritten whole by each change: what two processes do to
    it at the same time is lost, unless they take turns."""

    def __init__(self, path: Path, fuse: Fuse | None = None) -> None:
        self.path, self.fuse = path, fuse or Fuse()

    def read(self) -> dict[str, Any]:
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def _write(self, held: dict[str, Any]) -> None:
        beside = self.path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(held))
        self.fuse.step()
        os.replace(beside, self.path)
        self.fuse.step()

    def add_documents(self, documents: Any, ids: Any = None, **kwargs: Any) -> Any:
        held = self.read()
        for name, document in zip(ids, documents, strict=True):
            held[name] = [document.page_content, document.metadata["source"]]
        self._write(held)
        return ids

    def delete(self, ids: Any = None, **kwargs: Any) -> Any:
        self._write({name: text for name, text in self.read().items() if name not in ids})

    @classmethod
    def from_texts(cls, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def similarity_search(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


class FusedSQLite(SQLiteRecordManager):
    """Steps after each change."""

    fuse: Fuse

    def update(self, *args: Any, **kwargs: Any) -> None:
        super().update(*args, **kwargs)
        self.fuse.step()

    def expect_change(self, *args: Any, **kwargs: Any) -> None:
        super().expect_change(*args, **kwargs)
        self.fuse.step()

    def delete_keys(self, *args: Any, **kwargs: Any) -> None:
        super().delete_keys(*args, **kwargs)
        self.fuse.step()
