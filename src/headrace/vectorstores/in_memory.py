"""`InMemoryVectorStore`: documents and their vectors in a dict, compared one by one.

Exact and simple: a search costs a multiplication for each number of each vector. Some ten thousand
documents are searched in milliseconds where numpy is installed, some hundred where it is not.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import nlargest
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeAlias

from headrace.documents import Document
from headrace.embeddings import Embeddings
from headrace.errors import InputError
from headrace.runnables.configs import run_in_executor

from .base import VectorStore
from .similarity import Rows, Vector, length, most_relevant

__all__ = ["InMemoryVectorStore"]

Filter: TypeAlias = Callable[[Document], bool]
Record: TypeAlias = dict[str, Any]
Hit: TypeAlias = tuple[Record, float]

_FIELDS = {"id", "vector", "text", "metadata"}


class InMemoryVectorStore(VectorStore):
    """A vector store in this process.

        store = InMemoryVectorStore(embedding)
        store.add_texts(["harrison worked at kensho", "harrison likes spicy food"])
        store.similarity_search("where did harrison work?", k=1)

    The score is the cosine similarity, from -1 to 1; of documents with the same score the one added
    first comes first. Searches take `filter`, a function of a `Document` that says whether it may
    be found. Safe to use from several threads.

    Args:
        embedding: the model that makes the vectors.
    """

    def __init__(self, embedding: Embeddings) -> None:
        self.embedding = embedding
        self.store: dict[str, Record] = {}
        """By id: `id`, `vector`, `text`, `metadata`. To read; the methods below write it."""
        self._state: object = object()  # another one after each change
        self._prepared: tuple[object, list[Record], Rows] | None = None

    @property
    def embeddings(self) -> Embeddings:
        return self.embedding

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store of these texts; see `add_texts`."""
        store = cls(embedding)
        store.add_texts(texts, metadatas, ids=ids, **kwargs)
        return store

    @classmethod
    async def afrom_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """`from_texts`, async."""
        store = cls(embedding)
        await store.aadd_texts(texts, metadatas, ids=ids, **kwargs)
        return store

    # ---- what is in it ---------------------------------------------------------------------------

    def add_documents(
        self, documents: list[Document], ids: list[str] | None = None, **kwargs: Any
    ) -> list[str]:
        """Add documents, or replace those of the same id; all of them or, on an error, none.

        Raises:
            InputError: there are more or fewer ids than documents, or the embedding model gave
                vectors that do not go with each other or with those in the store.
        """
        names = _names(documents, ids)
        vectors = self.embedding.embed_documents([d.page_content for d in documents])
        return self._put(names, documents, vectors)

    async def aadd_documents(
        self, documents: list[Document], ids: list[str] | None = None, **kwargs: Any
    ) -> list[str]:
        """`add_documents`, async."""
        names = _names(documents, ids)
        vectors = await self.embedding.aembed_documents([d.page_content for d in documents])
        return self._put(names, documents, vectors)

    def delete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> None:
        """Remove the documents with these ids; unknown ids, and no ids at all, remove nothing."""
        for each in ids or ():
            self.store.pop(each, None)
        self._state = object()

    async def adelete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> None:
        """`delete`, async."""
        self.delete(ids)

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in their order; unknown ids are left out."""
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
    ) -> list[str]:
        if len(vectors) != len(documents):
            raise InputError(
                f"{type(self.embedding).__name__} gave {len(vectors)} vectors for "
                f"{len(documents)} texts: embed_documents must give one for each text."
            )
        dimension = next((len(record["vector"]) for record in self.store.values()), None)
        for vector in vectors:
            length(vector)
            dimension = len(vector) if dimension is None else dimension
            self._check_dimension(vector, dimension)
        for name, document, vector in zip(names, documents, vectors, strict=True):
            self.store[name] = {
                "id": name,
                "vector": [float(x) for x in vector],
                "text": document.page_content,
                "metadata": dict(document.metadata),
            }
        self._state = object()
        return names

    def _check_dimension(self, vector: Vector, dimension: int) -> None:
        if len(vector) != dimension:
            raise InputError(
                f"The embedding has {len(vector)} dimensions and those in the store have "
                f"{dimension}: use the model that the store was filled with."
            )

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

    def _hits(self, vector: Vector, k: int, filter: Filter | None) -> list[Hit]:
        """The `k` best records with their scores, best first."""
        _check_count("k", k)
        if filter is not None and not callable(filter):
            raise InputError(
                f"filter is {filter!r}: give a function, for example "
                "`lambda document: document.metadata['year'] > 2020`."
            )
        records, rows = self._rows()
        if not records:
            return []
        size = length(vector)
        self._check_dimension(vector, rows.dimension)
        if not size:
            raise InputError(
                "The query's embedding is all zeros, so it is similar to nothing: check the "
                "embedding model and the query."
            )
        scores = rows.cosines(vector)
        if filter is None:
            best = nlargest(k, range(len(records)), key=scores.__getitem__)
            return [(records[i], scores[i]) for i in best]
        return list(islice(_filtered(records, scores, filter), k))

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The `k` documents most similar to an embedding, best first, and their similarities.

        Raises:
            InputError: `k` is no number of documents, or the embedding is not of the dimension of
                those in the store.
        """
        return [(_document(record), score) for record, score in self._hits(embedding, k, filter)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The `k` documents most similar to a text, best first, and their similarities."""
        vector = self.embedding.embed_query(query)
        return self.similarity_search_with_score_by_vector(vector, k, **kwargs)

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """`similarity_search_with_score`, async; the comparing is done in a thread."""
        vector = await self.embedding.aembed_query(query)
        return await run_in_executor(
            None, self.similarity_search_with_score_by_vector, vector, k, **kwargs
        )

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """The `k` documents most similar to an embedding, best first."""
        found = self.similarity_search_with_score_by_vector(embedding, k, **kwargs)
        return [document for document, _ in found]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The `k` documents most similar to a text, best first."""
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """`similarity_search`, async."""
        found = await self.asimilarity_search_with_score(query, k, **kwargs)
        return [document for document, _ in found]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return _relevance

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Of the `fetch_k` most similar documents, `k` that are not similar to each other.

        Raises:
            InputError: `k` or `fetch_k` is no number of documents, or `lambda_mult` is not between
                0 and 1.
        """
        _check_count("k", k)
        _check_count("fetch_k", fetch_k)
        if not 0 <= lambda_mult <= 1:
            raise InputError(f"lambda_mult is {lambda_mult!r}: give a number from 0 to 1.")
        hits = self._hits(embedding, fetch_k, filter)
        rows = Rows([record["vector"] for record, _ in hits])
        chosen = most_relevant([score for _, score in hits], rows, k, lambda_mult)
        return [_document(hits[i][0]) for i in chosen]

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """`max_marginal_relevance_search_by_vector` for a text."""
        vector = self.embedding.embed_query(query)
        return self.max_marginal_relevance_search_by_vector(
            vector, k, fetch_k, lambda_mult, **kwargs
        )

    async def amax_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """`max_marginal_relevance_search`, async."""
        vector = await self.embedding.aembed_query(query)
        return await self.amax_marginal_relevance_search_by_vector(
            vector, k, fetch_k, lambda_mult, **kwargs
        )


def _names(documents: Sequence[Document], ids: Sequence[str | None] | None) -> list[str]:
    """An id for each document: the given one, else its own, else a new one."""
    if ids and len(ids) != len(documents):
        raise InputError(
            f"There are {len(ids)} ids for {len(documents)} documents: give one for each."
        )
    given = ids or [document.id for document in documents]
    return [each or str(uuid.uuid4()) for each in given]


def _document(record: Mapping[str, Any]) -> Document:
    return Document(record["text"], record["metadata"], record["id"])


def _filtered(records: Sequence[Record], scores: Sequence[float], filter: Filter) -> Iterator[Hit]:
    """The records that a filter lets through, best first; it is asked only as far as is read."""
    for i in sorted(range(len(records)), key=scores.__getitem__, reverse=True):
        if filter(_document(records[i])):
            yield records[i], scores[i]


def _check_count(name: str, count: Any) -> None:
    if not hasattr(count, "__index__") or count < 0:  # numpy's integers count too
        raise InputError(f"{name} is {count!r}: give the number of documents you want, 0 or more.")


def _relevance(similarity: float) -> float:
    """Documents that point away from the query are as irrelevant as unrelated ones."""
    return max(0.0, similarity)
