"""`EmbeddingStore`: a store with an embedding model, in both colours, over two methods.

A store writes `_put` (texts and their vectors go in) and `_nearest` (what is close to a vector).
Everything public is here, once: the model is asked by its sync or async method, and what a store
does is called as it is or in a worker thread.
"""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Self

from headrace.documents import Document
from headrace.embeddings import Embeddings
from headrace.embeddings.base import checked_model
from headrace.errors import InputError
from headrace.runnables.configs import run_in_executor

from .base import Scored, VectorStore, checked_threshold, is_number, listed
from .similarity import Rows, Vector, length, most_relevant

__all__ = ["EmbeddingStore", "Nearest", "check_count", "check_dimension", "names_of"]


class Nearest(NamedTuple):
    """What is close to a vector, best first; `vectors` is empty where it was not asked for."""

    documents: list[Document]
    scores: list[float]
    vectors: Sequence[Vector] = ()


class EmbeddingStore(VectorStore):
    """A store that makes the vectors of its texts itself.

    Args:
        embedding: the model that makes them.

    Raises:
        ConfigError: it cannot embed.
    """

    def __init__(self, embedding: Embeddings) -> None:
        self.embedding = checked_model(embedding, type(self).__name__)

    @property
    def embeddings(self) -> Embeddings:
        return self.embedding

    # ---- what a store writes ---------------------------------------------------------------------

    @abstractmethod
    def _put(
        self, names: list[str], documents: Sequence[Document], vectors: Sequence[Vector]
    ) -> None:
        """Add documents under these ids, or replace those that have them: all or, on an error,
        none. Of documents with one id the last is kept."""

    @abstractmethod
    def _nearest(
        self, vector: Vector, k: int, *, filter: Any = None, vectors: bool = False
    ) -> Nearest:
        """The `k` documents that are closest to a vector; with their own `vectors` if asked for."""

    def _check_filter(self, filter: Any) -> None:
        """Refuse what is no filter of this store, before anything is embedded."""

    def _reaches(self, score: float, threshold: float) -> bool:
        """Whether a score is as good as another; a store whose scores are distances says so."""
        return score >= threshold

    # ---- making one ------------------------------------------------------------------------------

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store of these texts; see `add_texts`. The rest goes to the class."""
        store = cls(embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    async def afrom_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """`from_texts`, async."""
        store = cls(embedding, **kwargs)
        await store.aadd_texts(texts, metadatas, ids=ids)
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
        documents = listed(documents)
        names = names_of(documents, ids)
        if documents:
            vectors = self.embedding.embed_documents([d.page_content for d in documents])
            self._put_checked(names, documents, vectors)
        return names

    async def aadd_documents(
        self, documents: list[Document], ids: list[str] | None = None, **kwargs: Any
    ) -> list[str]:
        """`add_documents`, async; the storing is done in a thread."""
        documents = listed(documents)
        names = names_of(documents, ids)
        if documents:
            vectors = await self.embedding.aembed_documents([d.page_content for d in documents])
            await run_in_executor(None, self._put_checked, names, documents, vectors)
        return names

    def _put_checked(
        self, names: list[str], documents: Sequence[Document], vectors: Sequence[Vector]
    ) -> None:
        if len(vectors) != len(documents):
            raise InputError(
                f"{type(self.embedding).__name__} gave {len(vectors)} vectors for "
                f"{len(documents)} texts: embed_documents must give one for each text."
            )
        self._put(names, documents, vectors)

    # ---- searching -------------------------------------------------------------------------------

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, filter: Any = None, **kwargs: Any
    ) -> list[Scored]:
        """The `k` documents most similar to an embedding, best first, and the store's scores.

        Args:
            embedding: the vector of what is searched for.
            k: how many at most.
            filter: which documents may be found; each store says what it takes.
            **kwargs: `score_threshold` leaves out what has a worse score. `fetch_k` is taken and
                not needed: what is filtered out does not count.

        Raises:
            InputError: `k` is no number of documents, the filter is none, or the embedding is not
                of the dimension of those in the store.
        """
        return self._scored(embedding, k, filter, self._checked_search(k, filter, kwargs))

    async def asimilarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, filter: Any = None, **kwargs: Any
    ) -> list[Scored]:
        """`similarity_search_with_score_by_vector`, async; the comparing is done in a thread."""
        return await run_in_executor(
            None, self.similarity_search_with_score_by_vector, embedding, k, filter, **kwargs
        )

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Any = None, **kwargs: Any
    ) -> list[Scored]:
        """The `k` documents most similar to a text, best first, and the store's scores."""
        threshold = self._checked_search(k, filter, kwargs)
        vector = self.embedding.embed_query(_text(query))
        return self._scored(vector, k, filter, threshold)

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, filter: Any = None, **kwargs: Any
    ) -> list[Scored]:
        """`similarity_search_with_score`, async."""
        threshold = self._checked_search(k, filter, kwargs)
        vector = await self.embedding.aembed_query(_text(query))
        return await run_in_executor(None, self._scored, vector, k, filter, threshold)

    def _checked_search(self, k: Any, filter: Any, kwargs: Mapping[str, Any]) -> float | None:
        """What a search is given, refused before anything is embedded; its `score_threshold`."""
        check_count("k", k)
        self._check_filter(filter)
        return _threshold(kwargs)

    def _scored(self, vector: Vector, k: int, filter: Any, threshold: float | None) -> list[Scored]:
        found = self._nearest(vector, k, filter=filter)
        scored = zip(found.documents, found.scores, strict=True)
        return [each for each in scored if threshold is None or self._reaches(each[1], threshold)]

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Any = None, **kwargs: Any
    ) -> list[Document]:
        """The `k` documents most similar to an embedding, best first."""
        found = self.similarity_search_with_score_by_vector(embedding, k, filter, **kwargs)
        return [document for document, _ in found]

    def similarity_search(
        self, query: str, k: int = 4, filter: Any = None, **kwargs: Any
    ) -> list[Document]:
        """The `k` documents most similar to a text, best first."""
        found = self.similarity_search_with_score(query, k, filter, **kwargs)
        return [document for document, _ in found]

    async def asimilarity_search(
        self, query: str, k: int = 4, filter: Any = None, **kwargs: Any
    ) -> list[Document]:
        """`similarity_search`, async."""
        found = await self.asimilarity_search_with_score(query, k, filter, **kwargs)
        return [document for document, _ in found]

    # ---- maximal marginal relevance --------------------------------------------------------------

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Any = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Of the `fetch_k` most similar documents, `k` that are not similar to each other.

        Similar means the cosine here, whatever the store's distance is.

        Raises:
            InputError: `k` or `fetch_k` is no number of documents, `lambda_mult` is not between 0
                and 1, or the filter is none.
        """
        self._checked_choice(k, fetch_k, lambda_mult, {"filter": filter, **kwargs})
        return self._chosen(embedding, k, fetch_k, lambda_mult, filter)

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """`max_marginal_relevance_search_by_vector` for a text."""
        self._checked_choice(k, fetch_k, lambda_mult, kwargs)
        vector = self.embedding.embed_query(_text(query))
        return self._chosen(vector, k, fetch_k, lambda_mult, kwargs.get("filter"))

    async def amax_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """`max_marginal_relevance_search`, async."""
        self._checked_choice(k, fetch_k, lambda_mult, kwargs)
        vector = await self.embedding.aembed_query(_text(query))
        given = (vector, k, fetch_k, lambda_mult, kwargs.get("filter"))
        return await run_in_executor(None, self._chosen, *given)

    def _checked_choice(
        self, k: Any, fetch_k: Any, lambda_mult: Any, kwargs: Mapping[str, Any]
    ) -> None:
        """As `_checked_search`, for maximal marginal relevance."""
        check_count("k", k)
        check_count("fetch_k", fetch_k, least=1)
        if not is_number(lambda_mult) or not 0 <= lambda_mult <= 1:
            raise InputError(f"lambda_mult is {lambda_mult!r}: give a number from 0 to 1.")
        self._check_filter(kwargs.get("filter"))
        _threshold(kwargs, known=("filter",))

    def _chosen(
        self, vector: Vector, k: int, fetch_k: int, lambda_mult: float, filter: Any
    ) -> list[Document]:
        found = self._nearest(vector, fetch_k, filter=filter, vectors=True)
        if not found.documents:
            return []
        rows = Rows(found.vectors)
        chosen = most_relevant(rows.cosines(vector), rows, k, lambda_mult)
        return [found.documents[i] for i in chosen]


# ---- checks, for stores --------------------------------------------------------------------------


def _text(query: Any) -> str:
    """What is searched for. Raises InputError for what is no text."""
    if isinstance(query, str):
        return query
    raise InputError(
        f"A store is searched for a text, and the query is {query!r:.200} "
        f"({type(query).__name__}): give a string, or a vector to …_by_vector()."
    )


def check_count(name: str, count: Any, least: int = 0) -> None:
    """Refuse what is no number of documents."""
    # numpy's integers count too
    if isinstance(count, bool) or not hasattr(count, "__index__") or count < least:
        raise InputError(
            f"{name} is {count!r}: give the number of documents you want, {least} or more."
        )


def _threshold(
    kwargs: Mapping[str, Any], known: Collection[str] = ("score_threshold", "fetch_k")
) -> float | None:
    """The `score_threshold` among what a search was given beside its own arguments."""
    unknown = sorted(set(kwargs) - set(known))
    if unknown:
        names = ", ".join(dict.fromkeys(("k", "filter", *known)))
        raise InputError(f"A search was given {unknown[0]!r}, which it does not know: use {names}.")
    return checked_threshold(kwargs.get("score_threshold"))


def check_dimension(vector: Vector, dimension: int | None) -> float:
    """The length of a vector that goes with those in the store, if there are any.

    Raises:
        InputError: it has another dimension, or is no vector of finite numbers.
    """
    size = length(vector)
    if dimension is not None and len(vector) != dimension:
        raise InputError(
            f"The embedding has {len(vector)} dimensions and those in the store have "
            f"{dimension}: use the model that the store was filled with."
        )
    return size


def names_of(documents: Sequence[Document], ids: Sequence[str | None] | None) -> list[str]:
    """An id for each document: the given one, else its own, else a new one."""
    if isinstance(ids, str):
        raise InputError(f"ids is the string {ids!r:.200}: give a list, one for each document.")
    if ids and len(ids) != len(documents):
        raise InputError(
            f"There are {len(ids)} ids for {len(documents)} documents: give one for each."
        )
    given = ids or [document.id for document in documents]
    return [str(each) if each else str(uuid.uuid4()) for each in given]
