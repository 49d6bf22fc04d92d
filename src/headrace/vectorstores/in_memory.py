"""`InMemoryVectorStore`: documents and their vectors in a dict, compared one by one.

Exact and simple: a search costs a multiplication for each number of each vector. Some ten thousand
documents are searched in milliseconds where numpy is installed, some hundred where it is not.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import nlargest
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeAlias

from headrace.documents import Document
from headrace.embeddings import Embeddings
from headrace.errors import InputError

from .base import listed_ids
from .embedding_store import EmbeddingStore, Nearest, check_dimension
from .filters import parsed, predicate
from .similarity import Rows, Vector

__all__ = ["InMemoryVectorStore"]

Filter: TypeAlias = Callable[[Document], bool] | Mapping[str, Any]
Record: TypeAlias = dict[str, Any]
Hit: TypeAlias = tuple[Record, float]

_FIELDS = {"id", "vector", "text", "metadata"}


class InMemoryVectorStore(EmbeddingStore):
    """A vector store in this process.

        store = InMemoryVectorStore(embedding)
        store.add_texts(["harrison worked at kensho", "harrison likes spicy food"])
        store.similarity_search("where did harrison work?", k=1)

    The score is the cosine similarity, from -1 to 1; of documents with the same score the one added
    first comes first. Searches take `filter`, a function of a `Document` that says whether it may
    be found, or a dict of what its metadata are to be, as for the other stores (see `filters`).
    Safe to use from several threads.

    Args:
        embedding: the model that makes the vectors.
    """

    def __init__(self, embedding: Embeddings) -> None:
        super().__init__(embedding)
        self.store: dict[str, Record] = {}
        """By id: `id`, `vector`, `text`, `metadata`. To read; the methods below write it."""
        self._state: object = object()  # another one after each change
        self._prepared: tuple[object, list[Record], Rows] | None = None

    # ---- what is in it ---------------------------------------------------------------------------

    def delete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> None:
        """Remove the documents with these ids; unknown ids, and no ids at all, remove nothing."""
        for each in listed_ids(ids or (), "delete"):
            self.store.pop(each, None)
        self._state = object()

    async def adelete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> None:
        """`delete`, async."""
        self.delete(ids)

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in their order; unknown ids are left out."""
        ids = listed_ids(ids, "get_by_ids")
        return [_document(self.store[each]) for each in ids if each in self.store]

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """`get_by_ids`, async."""
        return self.get_by_ids(ids)

    def dump(self, path: str | os.PathLike[str]) -> None:
        """Write the documents and vectors to a JSON file; a crash leaves the old file or the new.

        Raises:
            InputError: a document's metadata cannot be written as JSON.
        """
        target = Path(path)
        try:
            text = json.dumps(self.store, indent=2)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"The store cannot be written as JSON ({error}): keep strings, numbers, lists and "
                "dicts in the documents' metadata."
            ) from error
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{target.name}.", dir=target.parent)
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str], embedding: Embeddings, **kwargs: Any) -> Self:
        """A store from a file that `dump` wrote. Give the embedding model it was made with.

        Raises:
            InputError: the file holds something else.
        """
        try:
            records = json.loads(Path(path).read_text(encoding="utf-8"))
            if not all(record.keys() == _FIELDS for record in records.values()):
                raise ValueError("its records have other fields")
        except (ValueError, AttributeError) as error:
            raise InputError(
                f"{str(path)!r} is not a file that InMemoryVectorStore.dump() wrote: {error}."
            ) from error
        store = cls(embedding, **kwargs)
        store.store = records
        return store

    def _put(
        self, names: list[str], documents: Sequence[Document], vectors: Sequence[Vector]
    ) -> None:
        dimension = next((len(record["vector"]) for record in self.store.values()), None)
        for vector in vectors:
            check_dimension(vector, dimension)
            dimension = len(vector)
        for name, document, vector in zip(names, documents, vectors, strict=True):
            self.store[name] = {
                "id": name,
                "vector": [float(x) for x in vector],
                "text": document.page_content,
                "metadata": dict(document.metadata),
            }
        self._state = object()

    # ---- searching -------------------------------------------------------------------------------

    def _rows(self) -> tuple[list[Record], Rows]:
        """The records, and their vectors made ready; kept until the store changes."""
        prepared, state = self._prepared, self._state
        # `store` is a public dict: a change of its size, made by hand, is noticed too.
        if prepared and prepared[0] is state and len(prepared[1]) == len(self.store):
            return prepared[1:]
        records = list(self.store.values())
        rows = Rows([record["vector"] for record in records])
        self._prepared = (state, records, rows)
        return records, rows

    def _nearest(
        self, vector: Vector, k: int, *, filter: Filter | None = None, vectors: bool = False
    ) -> Nearest:
        records, rows = self._rows()
        if not records:
            return Nearest([], [])
        if not check_dimension(vector, rows.dimension):
            raise InputError(
                "The query's embedding is all zeros, so it is similar to nothing: check the "
                "embedding model and the query."
            )
        scores = rows.cosines(vector)
        if filter is None:
            best = nlargest(k, range(len(records)), key=scores.__getitem__)
            hits = [(records[i], scores[i]) for i in best]
        else:
            hits = list(islice(_filtered(records, scores, _allows(filter)), k))
        return Nearest(
            [_document(record) for record, _ in hits],
            [score for _, score in hits],
            [record["vector"] for record, _ in hits] if vectors else (),
        )

    def _check_filter(self, filter: Any) -> None:
        if filter is None or callable(filter):
            return
        if not isinstance(filter, Mapping):
            raise InputError(
                f"filter is {filter!r}: give a dict, for example {{'year': {{'$gt': 2020}}}}, or a "
                "function, for example `lambda document: document.metadata['year'] > 2020`."
            )
        parsed(filter)

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return _relevance


def _document(record: Mapping[str, Any]) -> Document:
    return Document(record["text"], record["metadata"], record["id"])


def _allows(filter: Filter) -> Callable[[Document], bool]:
    """The filter as a function of a document."""
    if not isinstance(filter, Mapping):
        return filter
    holds = predicate(filter)
    return lambda document: holds(document.metadata)


def _filtered(
    records: Sequence[Record], scores: Sequence[float], allows: Callable[[Document], bool]
) -> Iterator[Hit]:
    """The records that a filter lets through, best first; it is asked only as far as is read."""
    for i in sorted(range(len(records)), key=scores.__getitem__, reverse=True):
        if allows(_document(records[i])):
            yield records[i], scores[i]


def _relevance(similarity: float) -> float:
    """Documents that point away from the query are as irrelevant as unrelated ones."""
    return max(0.0, similarity)
