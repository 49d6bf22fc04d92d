"""`FAISS`: documents in this process, their vectors in an index of the faiss library.

    store = FAISS.from_texts(["harrison worked at kensho"], embedding=LocalEmbeddings())
    store.similarity_search("where did harrison work?", k=1)
    store.save_local("folder")
    store = FAISS.load_local("folder", LocalEmbeddings())

A document has a position in the index and keeps it. One that is deleted or replaced is marked and
no longer found; when most positions are marked, a new index is made beside the old one. Searches
run side by side, in C++ without Python's lock; adding waits for the searches under way, and making
a new index holds nobody up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock
from typing import Any, Self

from headrace._fork import told_after_fork
from headrace.documents import Document
from headrace.embeddings import Embeddings
from headrace.errors import InputError
from headrace.runnables.configs import run_in_executor

from ._faiss_index import IndexSettings, VectorIndex, faiss_module
from ._faiss_rows import Table, unit, vectors_of
from ._folder import load, save
from .base import StoreFileError, listed_ids, put_together
from .distances import DistanceStrategy, as_good, relevance, strategy
from .embedding_store import EmbeddingStore, Nearest, names_of
from .filters import Filter, predicate
from .similarity import Vector

__all__ = ["FAISS"]

_FORM = "headrace.faiss 1"


class FAISS(EmbeddingStore):
    """A vector store over faiss. Safe to use from many threads and tasks.

    The score of a search is the squared Euclidean distance ("l2": less is nearer), the cosine or
    the inner product (more is nearer). A search with a `filter`, a dict (see `filters`) or a
    function of a document's metadata, asks the filter of every document and is exact among those it
    lets through, so `fetch_k` is needed for maximal marginal relevance only. `score_threshold`
    leaves out what has a worse score, or, where relevances are asked for, a smaller relevance.

    Args:
        embedding_function: the model that makes the vectors.
        index: "flat" compares every vector and is exact. "ivf" searches the cells near the query
            once there are 1,482 vectors (or 39 for each of `nlist` cells), and all of them before
            that. "hnsw" walks a graph; adding costs a hundred times as much as with the others, and
            what is deleted keeps its memory until half of the index is deleted.
        distance_strategy: "l2", "cosine" or "inner_product", or a `DistanceStrategy`.
        normalize_L2: compare vectors as if they were 1 long; "cosine" always does.
        relevance_score_fn: from a score to a relevance from 0 to 1, in place of `relevance`.
        nlist: cells of an ivf index; by default the root of the number of vectors.
        nprobe: cells that are searched; by default an eighth of them, and 16 at least.
        M: links of each vector of an hnsw index, each way.
        ef_construction: candidates for those links, when a vector is added.
        ef_search: candidates of a search.

    Raises:
        InputError: one of these is no good.
        MissingExtraError: (when something is added) faiss is not installed.
    """

    def __init__(
        self,
        embedding_function: Embeddings,
        index: str = "flat",
        *,
        distance_strategy: DistanceStrategy | str = "l2",
        normalize_L2: bool = False,
        relevance_score_fn: Callable[[float], float] | None = None,
        nlist: int | None = None,
        nprobe: int | None = None,
        M: int = 32,
        ef_construction: int = 200,
        ef_search: int = 64,
    ) -> None:
        super().__init__(embedding_function)
        self.relevance_score_fn = relevance_score_fn
        self._settings = IndexSettings(
            kind=index,
            distance=strategy(distance_strategy),
            normalized=normalize_L2,
            nlist=nlist,
            nprobe=nprobe,
            M=M,
            ef_construction=ef_construction,
            ef_search=ef_search,
        )
        self._table: Table | None = None  # another one when the index is made anew
        self._forked()
        told_after_fork(self)

    def _forked(self) -> None:
        self._changing = Lock()  # one change at a time; searches do not wait for it

    @property
    def index(self) -> Any:
        """The index of faiss, to look at; None while nothing was added."""
        table = self._table
        return table.index.index if table else None

    @property
    def index_to_docstore_id(self) -> dict[int, str]:
        """The documents' ids by position in the index, without those that were deleted."""
        table = self._table
        return table.ids() if table else {}

    @property
    def distance_strategy(self) -> DistanceStrategy:
        """How vectors are compared."""
        return self._settings.distance

    # ---- what is in it ---------------------------------------------------------------------------

    @classmethod
    def from_embeddings(
        cls,
        text_embeddings: Iterable[tuple[str, Vector]],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store of texts whose vectors are known; see `add_embeddings`."""
        store = cls(embedding, **kwargs)
        store.add_embeddings(text_embeddings, metadatas, ids)
        return store

    @classmethod
    async def afrom_embeddings(
        cls,
        text_embeddings: Iterable[tuple[str, Vector]],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """`from_embeddings`, async."""
        return await run_in_executor(
            None, cls.from_embeddings, text_embeddings, embedding, metadatas, ids, **kwargs
        )

    def add_embeddings(
        self,
        text_embeddings: Iterable[tuple[str, Vector]],
        metadatas: list[dict[str, Any]] | None = None,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Add texts with vectors that were made before by the store's model; returns their ids.

        Raises:
            InputError: as for `add_documents`.
        """
        pairs = _pairs(text_embeddings)
        documents = put_together([text for text, _ in pairs], metadatas, ids)
        names = names_of(documents, None)
        if documents:
            self._put_checked(names, documents, [vector for _, vector in pairs])
        return names

    def _put(
        self, names: list[str], documents: Sequence[Document], vectors: Sequence[Vector]
    ) -> None:
        last = {name: i for i, name in enumerate(names)}  # of one id, the last
        rows = vectors_of(vectors)
        if len(last) < len(names):
            rows = rows[list(last.values())]
        if self._settings.of_unit_vectors:
            rows = unit(rows)
        named = {
            name: Document(documents[i].page_content, documents[i].metadata, name)
            for name, i in last.items()
        }
        with self._changing:
            self._change(named, rows)

    def _change(self, documents: Mapping[str, Document], rows: Any) -> None:
        """Put these in, in place of those of the same id; `self._changing` is held."""
        table = self._table
        if table is None:
            self._table = Table.of(self._settings, list(documents.values()), rows)
            return
        table.check_dimension(rows.shape[1])
        if table.outgrown(len(rows)):
            self._table = table.anew(documents, rows)
        else:
            table.put(documents, rows)

    def delete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> bool:
        """Remove the documents with these ids; unknown ones are no error.

        Raises:
            InputError: no ids are given.
        """
        ids = listed_ids(ids, "delete")
        with self._changing:
            if self._table is not None:
                self._table.remove(ids)
                if self._table.mostly_gone:
                    self._table = self._table.anew() if self._table.positions else None
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in their order; unknown ids are left out."""
        ids = listed_ids(ids, "get_by_ids")
        table = self._table
        return table.get(ids) if table else []

    def merge_from(self, target: FAISS) -> None:
        """Add the documents and vectors of another store, which stays as it is. A document with the
        id of one here replaces it.

        Raises:
            InputError: the stores' dimensions or distances differ, or the other is no FAISS.
        """
        if not isinstance(target, FAISS):
            raise InputError(
                f"merge_from() takes another FAISS, not {target!r:.200} "
                f"({type(target).__name__}): add_documents() takes documents from anywhere."
            )
        ours, theirs = self._settings, target._settings
        if (ours.distance, ours.of_unit_vectors) != (theirs.distance, theirs.of_unit_vectors):
            raise InputError(
                f"These stores do not compare alike ({_compared(ours)}, {_compared(theirs)}): make "
                "both with the same distance_strategy and normalize_L2."
            )
        table = target._table
        documents, rows = table.snapshot() if table else ({}, None)
        if documents and target is not self:
            with self._changing:
                self._change(documents, rows)

    async def amerge_from(self, target: FAISS) -> None:
        """`merge_from`, in a thread."""
        await run_in_executor(None, self.merge_from, target)

    # ---- searching -------------------------------------------------------------------------------

    def _nearest(
        self, vector: Vector, k: int, *, filter: Filter | None = None, vectors: bool = False
    ) -> Nearest:
        allows = None if filter is None else predicate(filter)
        query = vectors_of([vector])
        table = self._table
        if table is None:
            return Nearest([], [])
        table.check_dimension(query.shape[1])
        if self._settings.of_unit_vectors:
            query = unit(query)
            if not query.any():
                raise InputError(
                    "The query's embedding is all zeros, so it is similar to nothing: check the "
                    "embedding model and the query."
                )
        return table.search(query, k, allows, with_vectors=vectors)

    def _check_filter(self, filter: Any) -> None:
        if filter is not None:
            predicate(filter)

    def _reaches(self, score: float, threshold: float) -> bool:
        return as_good(self._settings.distance, score, threshold)

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        distance = self._settings.distance
        return self.relevance_score_fn or (lambda score: relevance(distance, score, squared=True))

    # ---- files -----------------------------------------------------------------------------------

    def save_local(self, folder_path: str | Path, index_name: str = "index") -> None:
        """Save documents, vectors and settings; a crash leaves what was saved before, or all this.

        A folder holds a manifest `index_name.json`, the vectors in faiss's format and the documents
        as lines of JSON. Searches go on while it is saved. Metadata comes back as JSON has it: a
        tuple as a list, a key that is a number as a string.

        Raises:
            InputError: a document's metadata cannot be written as JSON, the name is no file's, or
                the folder is a file.
            OSError: as the file system gives it; what was saved before is still there.
        """
        with self._changing:
            table = self._table
            about = {"settings": asdict(self._settings), "rows": table.count if table else 0}
            parts = table.parts() if table else {}
            save(Path(folder_path), index_name, _FORM, about, parts)

    async def asave_local(self, folder_path: str | Path, index_name: str = "index") -> None:
        """`save_local`, in a thread."""
        await run_in_executor(None, self.save_local, folder_path, index_name)

    @classmethod
    def load_local(
        cls,
        folder_path: str | Path,
        embeddings: Embeddings,
        index_name: str = "index",
        *,
        allow_dangerous_deserialization: bool = False,
        relevance_score_fn: Callable[[float], float] | None = None,
        nprobe: int | None = None,
        ef_search: int | None = None,
    ) -> Self:
        """A store that `save_local` wrote. Give the embedding model it was made with.

        Args:
            folder_path: the folder.
            embeddings: the model.
            index_name: the name it was saved under.
            allow_dangerous_deserialization: without meaning: what is saved is data, and nothing in
                it is executed.
            relevance_score_fn: as for the class.
            nprobe: as for the class, if it is to be another than that of the store saved.
            ef_search: likewise.

        Raises:
            StoreFileError: nothing is saved there, it is damaged, or it is a pickle of LangChain's.
        """
        faiss_module()
        folder = Path(folder_path)
        _refuse_pickle(folder, index_name)
        settings, table = load(folder, index_name, _FORM, _read)
        store = cls(embeddings, relevance_score_fn=relevance_score_fn)
        store._settings = replace(
            settings,
            nprobe=settings.nprobe if nprobe is None else nprobe,
            ef_search=settings.ef_search if ef_search is None else ef_search,
        )
        if table is not None:
            table.index.settings = store._settings
        store._table = table
        return store

    @classmethod
    async def aload_local(
        cls, folder_path: str | Path, embeddings: Embeddings, index_name: str = "index", **kw: Any
    ) -> Self:
        """`load_local`, in a thread."""
        return await run_in_executor(
            None, cls.load_local, folder_path, embeddings, index_name, **kw
        )


def _pairs(given: Iterable[Any]) -> list[tuple[str, Vector]]:
    pairs = list(given)
    wrong = next(
        (each for each in pairs if not isinstance(each, (tuple, list)) or len(each) != 2), None
    )
    if wrong is not None:
        raise InputError(
            f"text_embeddings holds {wrong!r:.200}: give pairs of a text and its vector, for "
            "example zip(texts, vectors)."
        )
    return pairs


def _compared(settings: IndexSettings) -> str:
    vectors = "vectors made 1 long" if settings.of_unit_vectors else "vectors as they are"
    return f"{settings.distance.value}, {vectors}"


def _read(manifest: Mapping[str, Any], part: Any) -> tuple[IndexSettings, Table | None]:
    try:
        given = dict(manifest["settings"])
        settings = IndexSettings(**{**given, "distance": strategy(given["distance"])})
        if not manifest["parts"]:
            return settings, None
        with part("faiss") as file:
            index = VectorIndex.read(settings, file.read)
        with part("jsonl") as file:
            documents = [_document(line) for line in file]
        if not len(documents) == index.count == manifest["rows"]:
            raise ValueError(f"it has {index.count} vectors and {len(documents)} documents")
    except StoreFileError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise StoreFileError(f"What is saved there is no store of FAISS: {error}.") from error
    return settings, Table(index, documents)


def _document(line: bytes) -> Document | None:
    """A line of JSON; null stands for a document that was deleted."""
    record = json.loads(line.decode("utf-8", "surrogatepass"))
    return record and Document(record["text"], record["metadata"], record["id"])


def _refuse_pickle(folder: Path, name: str) -> None:
    pickled = folder / f"{name}.pkl"
    if pickled.exists() and not (folder / f"{name}.json").exists():
        raise StoreFileError(
            f"{str(pickled)!r} is a pickle, as LangChain's FAISS.save_local writes it, and loading "
            "a pickle runs whatever code is in it, so it is not loaded here. If you trust it, load "
            "it with LangChain once, hand each text with `old.index.reconstruct(i)` to "
            "FAISS.from_embeddings(), and save that."
        )
