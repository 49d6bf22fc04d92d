"""`index` and `aindex`: bring documents into a store, and take out what their sources dropped.

    index(loader, SQLiteRecordManager("handbook", "records.sql"), store,
          cleanup="incremental", source_id_key="source")
    # {"num_added": 2, "num_updated": 0, "num_deleted": 1, "num_skipped": 40}

Documents are known by their content (`keys.py`), so one that has not changed is neither embedded
nor written again. One batch after another is written, and cleaned up after if that is asked for.

The order of steps is what makes a run good that follows an interrupted one: the records are told of
a change, the store is changed, the records are told that it was (`records.py`). Each batch, and
each batch of deletions, is made under a claim on the records, so that runs at the same time, in one
process or several, take turns and none deletes what another is just writing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Sequence,
    Sized,
)
from contextlib import aclosing, contextmanager
from itertools import islice
from typing import Any, Literal, TypeAlias

from headrace._bridge import stream_in_thread
from headrace._progress import bar
from headrace._twins import Call, Plan, arun, run
from headrace.document_loaders.base import BaseLoader
from headrace.documents import Document
from headrace.errors import AsyncOnlyError, InputError
from headrace.flow import Once
from headrace.vectorstores.base import VectorStore

from .claims import Claim
from .document_index import DocumentIndex
from .keys import KeyEncoder, key_maker
from .records import RecordManager
from .results import IndexingException, IndexingResult

__all__ = ["aindex", "index"]

Cleanup: TypeAlias = Literal["incremental", "full", "scoped_full"] | None
SourceIdKey: TypeAlias = str | Callable[[Document], str | None] | None
Progress: TypeAlias = bool | Callable[[IndexingResult], None]
Source: TypeAlias = BaseLoader | Iterable[Document]
AsyncSource: TypeAlias = Source | AsyncIterable[Document]

_CLEANUPS = ("incremental", "full", "scoped_full", None)
_BY_SOURCE = ("incremental", "scoped_full")
_TURN = 0.01  # seconds until a claim that another run has is asked for again


def index(
    docs_source: Source,
    record_manager: RecordManager,
    vector_store: VectorStore | DocumentIndex,
    *,
    batch_size: int = 100,
    cleanup: Cleanup = None,
    source_id_key: SourceIdKey = None,
    cleanup_batch_size: int = 1_000,
    force_update: bool = False,
    key_encoder: KeyEncoder = "sha256",
    upsert_kwargs: dict[str, Any] | None = None,
    progress: Progress = False,
) -> IndexingResult:
    """Bring documents into a store; those that are in it already are left alone.

    If it raises, or the process dies, what was written is in order: run it again.

    Args:
        docs_source: a loader, or documents. A generator is closed when the run ends.
        record_manager: what remembers what the store holds. One namespace for each store.
        vector_store: the store. It must be able to delete, and keep documents under given ids.
        batch_size: how many documents are looked at, embedded and written at a time.
        cleanup: which documents of earlier runs are taken out:
            None: none.
            "incremental": those whose source is seen in this run and no longer gives them; as soon
            as a batch comes without that source, so that old and new versions are found together
            for a short time only. Have the documents of a source come one after another: those
            that come back to it later are taken out first, then written anew.
            "full": all that this run does not give, at its end. Give everything there is.
            "scoped_full": of the sources seen in this run, what it does not give, at its end.
        source_id_key: what says which source a document is from: a key of its metadata, or a
            function. Needed for "incremental" and "scoped_full".
        cleanup_batch_size: how many documents are taken out at a time.
        force_update: write documents again that are there, e.g. with another embedding model.
        key_encoder: what documents are known by: a hash of text and metadata ("sha256", "sha512",
            "blake2b" or "sha1"), or a function of yours.
        upsert_kwargs: further arguments of the store's `add_documents` or `upsert`.
        progress: True draws a progress bar; or a function that is called after each batch with the
            numbers so far.

    Returns:
        How many documents were added, updated, deleted and skipped.

    Raises:
        InputError: an argument is no good; a document has no source where one is needed, or
            metadata that cannot be written as JSON.
        AsyncOnlyError: the documents come from an async source: use `aindex`.
        IndexingException: the store did not take, or did not delete, what it was told to.
    """
    job = _Job(
        record_manager, vector_store, batch_size, cleanup, source_id_key, cleanup_batch_size,
        force_update, key_encoder, upsert_kwargs,
    )  # fmt: skip
    documents = _opened(docs_source)
    try:
        run(job.begin())
        with _shown(progress, docs_source) as show:
            while batch := list(islice(documents, batch_size)):
                run(job.batch(batch))
                show(job.result, len(batch))
            run(job.end())
            show(job.result, 0)
    finally:
        close = getattr(documents, "close", None)
        if close is not None:
            close()
    return job.result


async def aindex(
    docs_source: AsyncSource,
    record_manager: RecordManager,
    vector_store: VectorStore | DocumentIndex,
    *,
    batch_size: int = 100,
    cleanup: Cleanup = None,
    source_id_key: SourceIdKey = None,
    cleanup_batch_size: int = 1_000,
    force_update: bool = False,
    key_encoder: KeyEncoder = "sha256",
    upsert_kwargs: dict[str, Any] | None = None,
    progress: Progress = False,
) -> IndexingResult:
    """`index`, by the async methods of the store, the records and the loader.

    `docs_source` may also be an async iterable; one that is not is read in a worker thread.
    """
    job = _Job(
        record_manager, vector_store, batch_size, cleanup, source_id_key, cleanup_batch_size,
        force_update, key_encoder, upsert_kwargs,
    )  # fmt: skip
    async with aclosing(_abatches(_aopened(docs_source), batch_size)) as batches:
        await arun(job.begin())
        with _shown(progress, docs_source) as show:
            async for batch in batches:
                await arun(job.batch(batch))
                show(job.result, len(batch))
            await arun(job.end())
            show(job.result, 0)
    return job.result


# ---- what is done, without colour ----------------------------------------------------------------


class _Job:
    """One run of indexing."""

    def __init__(
        self,
        records: RecordManager,
        store: VectorStore | DocumentIndex,
        batch_size: int,
        cleanup: Cleanup,
        source_id_key: SourceIdKey,
        cleanup_batch_size: int,
        force_update: bool,
        key_encoder: KeyEncoder,
        upsert_kwargs: dict[str, Any] | None,
    ) -> None:
        _check_count("batch_size", batch_size)
        _check_count("cleanup_batch_size", cleanup_batch_size)
        _check_cleanup(cleanup, source_id_key)
        _check_records(records)
        _check_store(store)
        self.records, self.store = records, store
        self.batch_size, self.cleanup_batch_size = batch_size, cleanup_batch_size
        self.cleanup, self.force_update = cleanup, force_update
        self.key_of = key_maker(key_encoder)
        self.source_of = _source_reader(source_id_key, cleanup in _BY_SOURCE)
        self.upsert_kwargs = upsert_kwargs or {}
        self.sources: dict[str, None] = {}  # seen in this run and not cleaned up after, in order
        self.started = 0.0
        self.result = IndexingResult(num_added=0, num_updated=0, num_skipped=0, num_deleted=0)

    def begin(self) -> Plan[None]:
        self.started = yield Call(self.records, "get_time")

    def batch(self, given: Sequence[Document]) -> Plan[None]:
        """Write some documents; with incremental clean-up, take out what their sources dropped."""
        documents: dict[str, Document] = {}
        sources: dict[str, str | None] = {}
        for document in given:
            _check_document(document)
            key = self.key_of(document)
            if key not in documents:
                documents[key] = Document(document.page_content, document.metadata, key)
                sources[key] = self.source_of(document)
        self.result["num_skipped"] += len(given) - len(documents)
        yield from self._in_turn(self._write(documents, sources))
        seen = dict.fromkeys(source for source in sources.values() if source is not None)
        if self.cleanup == "incremental":
            # A source may go on in the next batch: only those that this one has left are done.
            left = [source for source in self.sources if source not in seen]
            self.sources = seen
            yield from self._clean(left)
        else:
            self.sources.update(seen)

    def end(self) -> Plan[None]:
        if self.cleanup == "full":
            yield from self._clean(None)
        elif self.cleanup is not None:
            yield from self._clean(list(self.sources))

    def _in_turn(self, work: Plan[Any]) -> Plan[Any]:
        """The work, while no other run changes the same records and their store."""
        claim = self.records.claim()
        while not claim.take():
            yield Call(_Turn, "wait_", claim)
        try:
            return (yield from work)
        finally:
            claim.release()

    def _write(self, documents: dict[str, Document], sources: dict[str, str | None]) -> Plan[None]:
        keys = list(documents)
        groups = [sources[key] for key in keys]
        there = yield Call(self.records, "exists", keys)
        known = {key for key, has in zip(keys, there, strict=True) if has}
        new = [key for key in keys if self.force_update or key not in known]
        if new:
            of_new = [sources[key] for key in new]
            yield Call(self.records, "expect_change", new, group_ids=of_new)
            yield from self._put([documents[key] for key in new], new)
        # Those that are known too: they have been seen again.
        yield Call(self.records, "update", keys, group_ids=groups, time_at_least=self.started)
        updated = len(known.intersection(new))
        self.result["num_added"] += len(new) - updated
        self.result["num_updated"] += updated
        self.result["num_skipped"] += len(keys) - len(new)

    def _put(self, documents: list[Document], keys: list[str]) -> Plan[None]:
        if isinstance(self.store, DocumentIndex):
            said = yield Call(self.store, "upsert", documents, **self.upsert_kwargs)
            failed = said.get("failed")
            if failed:
                raise IndexingException(
                    f"{type(self.store).__name__} did not take {len(failed)} of {len(keys)} "
                    f"documents, the first of them {failed[0]!r}: see to it, and index again."
                )
            return
        yield Call(
            self.store, "add_documents", documents, ids=keys, batch_size=self.batch_size,
            **self.upsert_kwargs,
        )  # fmt: skip

    def _clean(self, groups: list[str] | None) -> Plan[None]:
        """Take out what was last seen before this run: of these sources, or (None) of all."""
        if groups is not None and not groups:
            return
        before: list[str] = []
        while keys := (yield from self._in_turn(self._delete_some(groups))):
            if keys == before:
                raise IndexingException(
                    f"{self.records!r} still lists keys that it was told to delete, {keys[0]!r} "
                    "the first of them: its delete_keys() must forget them."
                )
            before = keys
            self.result["num_deleted"] += len(keys)

    def _delete_some(self, groups: list[str] | None) -> Plan[list[str]]:
        keys: list[str] = yield Call(
            self.records, "list_keys", before=self.started, group_ids=groups,
            limit=self.cleanup_batch_size,
        )  # fmt: skip
        if keys:
            yield Call(self.records, "expect_change", keys)
            said = yield Call(self.store, "delete", keys)
            if said is False or (isinstance(said, dict) and _failed(said)):
                raise IndexingException(
                    f"{type(self.store).__name__} did not delete what it was told to, {keys[0]!r} "
                    "the first of it: see to it, and index again."
                )
            yield Call(self.records, "delete_keys", keys)
        return keys


class _Turn:
    """Waiting for one's turn, in both colours."""

    @staticmethod
    def wait_(claim: Claim) -> None:
        if claim.is_held_here():
            raise AsyncOnlyError(
                "Indexing that is under way in this thread has these records, and cannot go on "
                "while this index() waits for it: use aindex() in async code, and do not index "
                "from inside of a store."
            )
        time.sleep(_TURN)

    @staticmethod
    async def await_(claim: Claim) -> None:
        await asyncio.sleep(_TURN)


def _failed(said: dict[str, Any]) -> bool:
    return bool(said.get("num_failed") or said.get("failed"))


# ---- arguments -----------------------------------------------------------------------------------


def _check_count(name: str, count: Any) -> None:
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InputError(f"{name} is {count!r}: give a number of documents, 1 or more.")


def _check_cleanup(cleanup: Any, source_id_key: Any) -> None:
    if cleanup not in _CLEANUPS:
        raise InputError(
            f"cleanup is {cleanup!r}: give 'incremental', 'full', 'scoped_full' or None."
        )
    if cleanup in _BY_SOURCE and source_id_key is None:
        raise InputError(
            f"cleanup={cleanup!r} goes by the sources of documents: give source_id_key, the key "
            "of the metadata that says where a document is from, or a function."
        )


def _check_records(records: Any) -> None:
    # Those of others count, if they have the methods.
    if isinstance(records, type) or not hasattr(records, "expect_change"):
        raise InputError(
            f"What the store holds is remembered by a RecordManager, not {records!r:.200} "
            f"({type(records).__name__}): give e.g. SQLiteRecordManager('handbook', 'records.sql')."
        )


def _check_store(store: Any) -> None:
    if isinstance(store, DocumentIndex):
        return
    if not isinstance(store, VectorStore):
        raise InputError(
            f"Documents are indexed into a VectorStore or a DocumentIndex, not {store!r:.200}."
        )
    kind = type(store)
    # Patched on an instance, a method is there.
    own = {"delete", "adelete", "add_documents", "aadd_documents"}.intersection(vars(store))
    if kind.delete is VectorStore.delete and kind.adelete is VectorStore.adelete and not own:
        raise InputError(
            f"{kind.__name__} has no delete(), which indexing needs: define it, or use a store "
            "that has it."
        )


def _check_document(document: Any) -> None:
    if not isinstance(document, Document):
        raise InputError(
            f"Documents are indexed, and the source gave {document!r:.200} "
            f"({type(document).__name__})."
        )


def _source_reader(given: SourceIdKey, needed: bool) -> Callable[[Document], str | None]:
    """What says which source a document is from."""
    if given is None:
        return lambda document: None
    if not isinstance(given, str) and not callable(given):
        raise InputError(
            f"source_id_key is {given!r}: give a key of the metadata, or a function from a "
            "document to its source."
        )

    def source(document: Document) -> str | None:
        found = document.metadata.get(given) if isinstance(given, str) else given(document)
        if found is None and needed:
            what = f"no {given!r} in its metadata" if isinstance(given, str) else "no source"
            raise InputError(
                f"Source IDs are required for this clean-up, and the document that begins with "
                f"{document.page_content[:100]!r} has {what}."
            )
        return found if found is None else str(found)

    return source


# ---- documents -----------------------------------------------------------------------------------


def _opened(source: Any) -> Iterator[Document]:
    if isinstance(source, BaseLoader):
        return iter(source.lazy_load())
    if hasattr(source, "__aiter__") and not hasattr(source, "__iter__"):
        raise AsyncOnlyError(
            f"The documents come from an async source, {source!r:.200}: use aindex()."
        )
    return _iterated(source)


def _iterated(source: Any) -> Iterator[Document]:
    if isinstance(source, str | bytes | Document | dict) or not hasattr(source, "__iter__"):
        raise InputError(
            f"index() takes a loader, or an iterable of documents, not {source!r:.200} "
            f"({type(source).__name__})."
        )
    return iter(source)


def _aopened(source: Any) -> AsyncIterator[Document]:
    if isinstance(source, BaseLoader):
        return source.alazy_load()
    if hasattr(source, "__aiter__"):
        return source.__aiter__()  # type: ignore[no-any-return]
    documents = _iterated(source)
    if isinstance(source, list | tuple):
        return _listed(documents)
    return stream_in_thread(None, lambda _: documents, Once(None))


async def _listed(documents: Iterator[Document]) -> AsyncIterator[Document]:
    for document in documents:
        yield document


async def _abatches(
    documents: AsyncIterator[Document], size: int
) -> AsyncGenerator[list[Document]]:
    batch: list[Document] = []
    try:
        async for document in documents:
            batch.append(document)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch
    finally:
        aclose = getattr(documents, "aclose", None)
        if aclose is not None:
            await aclose()


# ---- progress ------------------------------------------------------------------------------------


@contextmanager
def _shown(progress: Progress, source: object) -> Iterator[Callable[[IndexingResult, int], None]]:
    """What is told, after each batch, the numbers so far and how many documents more were read."""
    if callable(progress):
        yield lambda result, more: progress(IndexingResult(**result))
        return
    total = len(source) if isinstance(source, Sized) else None
    with bar("Indexing", total=total, shown=bool(progress)) as step:
        yield lambda result, more: step(more)
