"""A store in a folder: passages, their vectors, and how they were made. What `headrace index` keeps
and `headrace ask` searches.

    folder/
        headrace.json       how passages are made: embedding model, characters in each
        index.*             passages and vectors, as `FAISS.save_local` keeps them
        unfinished/         vectors that a run has made and not saved yet
        lock                held by the run that changes the store

One rename in the end puts the new index in place of the old one, so a run that is killed leaves
what was there before. Which passages a store holds is read from it, and from nowhere else: a record
of its own could say otherwise. The vectors that a killed run has made are taken by the next one.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from headrace.documents import Document
from headrace.embeddings import CacheBackedEmbeddings, Embeddings
from headrace.errors import ConfigError, MissingExtraError
from headrace.indexing import IndexingResult, InMemoryRecordManager, index
from headrace.indexing.claims import FileClaim
from headrace.local import LocalEmbeddings
from headrace.stores import LocalFileStore
from headrace.vectorstores import FAISS, VectorStoreRetriever

__all__ = ["Library", "LibraryError", "Settings"]

_FORM = "headrace.library 1"
_SETTINGS, _INDEX, _UNFINISHED, _LOCK = "headrace.json", "index", "unfinished", "lock"
_FRESH = f"{_SETTINGS}.tmp"
_BATCH = 32  # passages between two steps of the progress bar
_AGAIN = "Index again into a new folder, or remove this one first."

Stale = Callable[[str], bool]
Progress = Callable[[int], None]


class LibraryError(ConfigError):
    """A folder is no store, or one that cannot be used."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the passages of a store are made."""

    embeddings: str
    chunk_size: int = 700  # characters; the embedding model reads some 900 at once


class Library:
    """A store that is open: made by `open` or `changing`."""

    def __init__(self, folder: Path, settings: Settings, embeddings: Embeddings) -> None:
        self.folder = folder
        self.settings = settings
        if (folder / f"{_INDEX}.json").exists():
            self._store = FAISS.load_local(folder, embeddings, _INDEX)
        else:
            self._store = FAISS(embeddings, distance_strategy="cosine")

    @classmethod
    def open(cls, folder: Path) -> Library:
        """The store in a folder, to be searched.

        Raises:
            LibraryError: there is none, or nothing in it, or it is of another version.
            StoreFileError: it is damaged.
            MissingExtraError: what it needs is not installed.
        """
        settings = _read(folder)
        if settings is None:
            there = f"{str(folder)!r} is no store" if folder.exists() else f"There is no {folder}"
            raise LibraryError(f"{there}: make one with `headrace index PATH --store DIR`.")
        library = cls(folder, settings, _model(folder, settings))
        if not library.count:
            raise LibraryError(
                f"There is nothing in the store {str(folder)!r} yet: run "
                f"`headrace index PATH --store {folder}`."
            )
        return library

    @classmethod
    @contextmanager
    def changing(cls, folder: Path, chunk_size: int | None = None) -> Iterator[Library]:
        """The store in a folder, made where there is none, to be changed by nobody else meanwhile.

        Args:
            folder: the folder.
            chunk_size: how long passages are from now on; None: as they have been.

        Raises:
            LibraryError: the folder is something else, or another run is changing it.
            StoreFileError: the store is damaged.
            MissingExtraError: what it needs is not installed.
        """
        settings = _read(folder) or _for_new(folder)
        model = _model(folder, settings)
        if chunk_size is not None:
            settings = replace(settings, chunk_size=chunk_size)
        claim = _claimed(folder)
        try:
            _write(folder, settings)
            vectors = LocalFileStore(folder / _UNFINISHED)
            yield cls(
                folder,
                settings,
                CacheBackedEmbeddings.from_bytes_store(model, vectors, namespace=model.model),
            )
        finally:
            claim.release()

    @staticmethod
    def is_at(folder: Path) -> bool:
        """Whether a folder is a store that can be used, or may become one (False).

        Raises:
            LibraryError: neither.
        """
        if _read(folder) is not None:
            return True
        _for_new(folder)
        return False

    @property
    def count(self) -> int:
        """How many passages there are."""
        return len(self._store.index_to_docstore_id)

    def sources(self) -> set[str]:
        """The files that the passages are from."""
        return {each.metadata["source"] for each in self._documents()}

    def retriever(self, k: int) -> VectorStoreRetriever:
        """What finds the `k` passages nearest to a question."""
        return self._store.as_retriever(search_kwargs={"k": k})

    def update(
        self, passages: Sequence[Document], stale: Stale | None, progress: Progress
    ) -> IndexingResult:
        """Bring passages in, take those of stale sources out that are not among them, and save.

        Args:
            passages: each with its "source".
            stale: whether the passages that a source had are to go unless they are given again;
                None: all stay.
            progress: told how many passages more are done.

        Raises:
            OSError: the store cannot be written; it is as it was.
        """
        done = 0

        def step(result: IndexingResult) -> None:
            nonlocal done
            seen = result["num_added"] + result["num_updated"] + result["num_skipped"]
            progress(seen - done)
            done = seen

        result = index(
            passages,
            self._records(stale),
            self._store,
            cleanup=None if stale is None else "full",
            batch_size=_BATCH,
            progress=step,
        )
        if result["num_added"] or result["num_deleted"]:
            self._store.save_local(self.folder, _INDEX)
        shutil.rmtree(self.folder / _UNFINISHED, ignore_errors=True)
        return result

    def _records(self, stale: Stale | None) -> InMemoryRecordManager:
        """What `index` is to know of the store. It takes out all that it knows and is not given, so
        where only some may go, it knows of no others."""
        records = InMemoryRecordManager(str(self.folder))
        known = [
            each for each in self._documents() if stale is None or stale(each.metadata["source"])
        ]
        records.update([str(each.id) for each in known])
        return records

    def _documents(self) -> list[Document]:
        return self._store.get_by_ids(list(self._store.index_to_docstore_id.values()))


# ---- the folder ---------------------------------------------------------------------------------


def _read(folder: Path) -> Settings | None:
    """The settings of the store in a folder; None where there is none."""
    file = folder / _SETTINGS
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise LibraryError(f"{str(file)!r} cannot be read: {error}. {_AGAIN}") from error
    form = found.pop("format", None) if isinstance(found, dict) else None
    if form != _FORM:
        raise LibraryError(
            f"The store {str(folder)!r} is of the format {form!r}, and this version of Headrace "
            f"reads {_FORM!r}. {_AGAIN}"
        )
    try:
        return Settings(**found)
    except TypeError as error:
        raise LibraryError(f"{str(file)!r} is damaged: {error}. {_AGAIN}") from error


def _for_new(folder: Path) -> Settings:
    """The settings of a store that is to be made in a folder, which must be empty."""
    if folder.exists() and not folder.is_dir():
        raise LibraryError(f"{str(folder)!r} is a file: give --store the folder of a store.")
    # What a run leaves that is killed before it has made a store is no hindrance.
    if folder.exists() and any(each.name not in (_LOCK, _FRESH) for each in folder.iterdir()):
        raise LibraryError(
            f"{str(folder)!r} has other things in it and is no store: give --store the folder of "
            "a store, or a new or empty one."
        )
    return Settings(LocalEmbeddings().model)


def _model(folder: Path, settings: Settings) -> LocalEmbeddings:
    if find_spec("faiss") is None:
        raise MissingExtraError("faiss-cpu", extra="faiss", purpose="A store")
    model = LocalEmbeddings()
    if model.model != settings.embeddings:
        raise LibraryError(
            f"The store {str(folder)!r} was made with the embedding model {settings.embeddings!r}, "
            f"and this version of Headrace has {model.model!r}. {_AGAIN}"
        )
    return model


def _claimed(folder: Path) -> FileClaim:
    """The right to change a folder, which is made where there is none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        claim = FileClaim((folder / _LOCK).absolute())
        if claim.take():
            return claim
    except OSError as error:
        raise LibraryError(f"The store {str(folder)!r} cannot be written to: {error}.") from error
    raise LibraryError(
        f"Another `headrace index` is changing {str(folder)!r}: try again when it has ended."
    )


def _write(folder: Path, settings: Settings) -> None:
    """Write the settings to the disk, unless that is what is there."""
    file, fresh = folder / _SETTINGS, folder / _FRESH
    text = json.dumps({"format": _FORM, **asdict(settings)}, indent=1) + "\n"
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    with fresh.open("w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    os.replace(fresh, file)
