"""`VectorStore`, the base of stores, and `VectorStoreRetriever`, a store as a runnable.

A store writes `from_texts`, `similarity_search`, one of `add_texts` and `add_documents`, and what
else it can do; the rest is derived. Each async method calls its sync twin in a worker thread until
a store writes it. A search that a store does not have raises `UnsupportedError`.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import isnan
from numbers import Real
from typing import Any, ClassVar, NoReturn, Self

from pydantic import Field, model_validator

from headrace.documents import Document
from headrace.embeddings import Embeddings
from headrace.errors import HeadraceError, InputError
from headrace.retrievers.base import BaseRetriever, question_of
from headrace.runnables._repr import called
from headrace.runnables.configs import run_in_executor

__all__ = [
    "HalfWrittenError",
    "StoreFileError",
    "UnsupportedError",
    "VectorStore",
    "VectorStoreRetriever",
]

log = logging.getLogger("headrace")

# Search types, and the methods behind them.
_SEARCHES = {
    "similarity": "similarity_search",
    "similarity_score_threshold": "similarity_search_with_relevance_scores",
    "mmr": "max_marginal_relevance_search",
}


class UnsupportedError(HeadraceError, NotImplementedError):
    """A store does not have what was asked of it."""


class StoreFileError(HeadraceError, ValueError):
    """The file or folder of a store is not there, damaged, closed to this process, or something
    else."""


class HalfWrittenError(HeadraceError, RuntimeError):
    """This process was forked while another thread of its parent used the store, which it has half
    of."""


class VectorStore(ABC):
    """Texts with metadata, found again by the similarity of their embeddings to a query's."""

    def __repr__(self) -> str:
        given = {} if self.embeddings is None else {"embeddings": self.embeddings}
        return called(type(self).__name__, **given)

    @property
    def embeddings(self) -> Embeddings | None:
        """The embedding model, where the store has one."""
        return None

    def _unsupported(self, method: str) -> NoReturn:
        raise UnsupportedError(
            f"{type(self).__name__} has no {method}(): use a store that has it, or define it in a "
            "subclass."
        )

    # ---- making one ------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store of these texts. `metadatas` and `ids`: one for each text, in order."""

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
        if ids is not None:
            kwargs["ids"] = ids
        return await run_in_executor(None, cls.from_texts, texts, embedding, metadatas, **kwargs)

    @classmethod
    def from_documents(
        cls, documents: list[Document], embedding: Embeddings, **kwargs: Any
    ) -> Self:
        """A store of these documents, under their own ids where they have some."""
        texts, metadatas, kwargs = _taken_apart(documents, kwargs)
        return cls.from_texts(texts, embedding, metadatas=metadatas, **kwargs)

    @classmethod
    async def afrom_documents(
        cls, documents: list[Document], embedding: Embeddings, **kwargs: Any
    ) -> Self:
        """`from_documents`, async."""
        texts, metadatas, kwargs = _taken_apart(documents, kwargs)
        return await cls.afrom_texts(texts, embedding, metadatas=metadatas, **kwargs)

    # ---- what is in it ---------------------------------------------------------------------------

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Add texts; returns their ids. A text with the id of an older one replaces it.

        Args:
            texts: the texts.
            metadatas: one for each text, in order.
            ids: one for each text, in order; without any, the store makes them.

        Raises:
            InputError: as many metadatas or ids as texts are needed, and there are not.
        """
        if type(self).add_documents is VectorStore.add_documents:
            self._unsupported("add_texts")
        documents = put_together(texts, metadatas, ids)
        if ids is not None:
            kwargs["ids"] = ids
        return self.add_documents(documents, **kwargs)

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_texts`, async."""
        if ids is not None:
            kwargs["ids"] = ids
        if type(self).aadd_documents is not VectorStore.aadd_documents:
            return await self.aadd_documents(put_together(texts, metadatas, ids), **kwargs)
        return await run_in_executor(None, self.add_texts, texts, metadatas, **kwargs)

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Add documents; returns their ids: those in `ids`, else the documents' own, else new ones.

        A document with the id of an older one replaces it.
        """
        if type(self).add_texts is VectorStore.add_texts:
            self._unsupported("add_documents")
        texts, metadatas, kwargs = _taken_apart(documents, kwargs)
        return self.add_texts(texts, metadatas, **kwargs)

    async def aadd_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """`add_documents`, async."""
        if type(self).aadd_texts is not VectorStore.aadd_texts:
            texts, metadatas, kwargs = _taken_apart(documents, kwargs)
            return await self.aadd_texts(texts, metadatas, **kwargs)
        return await run_in_executor(None, self.add_documents, documents, **kwargs)

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Remove what has these ids. What a store does without ids, it says itself."""
        self._unsupported("delete")

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """`delete`, async."""
        return await run_in_executor(None, self.delete, ids, **kwargs)

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids; unknown ids are left out."""
        self._unsupported("get_by_ids")

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """`get_by_ids`, async."""
        return await run_in_executor(None, self.get_by_ids, ids)

    # ---- searching -------------------------------------------------------------------------------

    @abstractmethod
    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The `k` documents most similar to a text, best first."""

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """`similarity_search`, async."""
        return await run_in_executor(None, self.similarity_search, query, k=k, **kwargs)

    def similarity_search_with_score(self, *args: Any, **kwargs: Any) -> list[Scored]:
        """`similarity_search` with the store's own score, which may be a distance."""
        self._unsupported("similarity_search_with_score")

    async def asimilarity_search_with_score(self, *args: Any, **kwargs: Any) -> list[Scored]:
        """`similarity_search_with_score`, async."""
        return await run_in_executor(None, self.similarity_search_with_score, *args, **kwargs)

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """The `k` documents most similar to an embedding, best first."""
        self._unsupported("similarity_search_by_vector")

    async def asimilarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """`similarity_search_by_vector`, async."""
        return await run_in_executor(
            None, self.similarity_search_by_vector, embedding, k=k, **kwargs
        )

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        """The function from this store's score to a relevance between 0 and 1."""
        self._unsupported("_select_relevance_score_fn")

    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[Scored]:
        relevance = self._select_relevance_score_fn()
        found = self.similarity_search_with_score(query, k, **kwargs)
        return [(document, relevance(score)) for document, score in found]

    async def _asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[Scored]:
        relevance = self._select_relevance_score_fn()
        found = await self.asimilarity_search_with_score(query, k, **kwargs)
        return [(document, relevance(score)) for document, score in found]

    def similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, *, score_threshold: float | None = None, **kwargs: Any
    ) -> list[Scored]:
        """`similarity_search` with a relevance from 0 (none) to 1.

        Args:
            query: the text to search for.
            k: how many at most.
            score_threshold: leave out what is less relevant than this.
        """
        checked_threshold(score_threshold)
        found = self._similarity_search_with_relevance_scores(query, k=k, **kwargs)
        return _above(score_threshold, found)

    async def asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, *, score_threshold: float | None = None, **kwargs: Any
    ) -> list[Scored]:
        """`similarity_search_with_relevance_scores`, async."""
        checked_threshold(score_threshold)
        found = await self._asimilarity_search_with_relevance_scores(query, k=k, **kwargs)
        return _above(score_threshold, found)

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Documents that are similar to a text and not to each other.

        Args:
            query: the text to search for.
            k: how many.
            fetch_k: from how many most similar ones they are chosen.
            lambda_mult: 1 looks at the similarity to the query only, 0 at diversity only.
        """
        self._unsupported("max_marginal_relevance_search")

    async def amax_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """`max_marginal_relevance_search`, async."""
        kwargs = {"k": k, "fetch_k": fetch_k, "lambda_mult": lambda_mult, **kwargs}
        return await run_in_executor(None, self.max_marginal_relevance_search, query, **kwargs)

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search` for an embedding."""
        self._unsupported("max_marginal_relevance_search_by_vector")

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search_by_vector`, async."""
        kwargs = {"k": k, "fetch_k": fetch_k, "lambda_mult": lambda_mult, **kwargs}
        return await run_in_executor(
            None, self.max_marginal_relevance_search_by_vector, embedding, **kwargs
        )

    def search(self, query: str, search_type: str, **kwargs: Any) -> list[Document]:
        """The search named by `search_type`: "similarity", "mmr" (maximal marginal relevance) or
        "similarity_score_threshold" (with `score_threshold` among the keyword arguments)."""
        found = getattr(self, _method(search_type))(query, **kwargs)
        return _without_scores(found)

    async def asearch(self, query: str, search_type: str, **kwargs: Any) -> list[Document]:
        """`search`, async."""
        found = await getattr(self, f"a{_method(search_type)}")(query, **kwargs)
        return _without_scores(found)

    def _get_retriever_tags(self) -> list[str]:
        """What tells runs of this store's retrievers from others."""
        parts = [self] if self.embeddings is None else [self, self.embeddings]
        return [type(part).__name__ for part in parts]

    def as_retriever(self, **kwargs: Any) -> VectorStoreRetriever:
        """This store as a runnable from a question to a list of documents.

        Args:
            **kwargs: fields of `VectorStoreRetriever`: `search_type`, `search_kwargs`, `name`,
                `metadata`, and `tags` (by default the names of the store's and the embeddings'
                classes).
        """
        for name, value in kwargs.items():
            if name in _OF_SEARCHES:
                raise InputError(
                    f"as_retriever has no {name}=, which is of the search: give "
                    f"search_kwargs={{{name!r}: {value!r}}}."
                )
        tags = kwargs.pop("tags", None) or self._get_retriever_tags()
        return VectorStoreRetriever(vectorstore=self, tags=tags, **kwargs)


Scored = tuple[Document, float]
_OF_SEARCHES = frozenset({"k", "fetch_k", "lambda_mult", "score_threshold", "filter"})


class VectorStoreRetriever(BaseRetriever):
    """A store as a retriever; `VectorStore.as_retriever` makes one.

    Args:
        vectorstore: the store.
        search_type: "similarity", "mmr" or "similarity_score_threshold".
        search_kwargs: arguments of the search, for example `{"k": 2}`; those of a call add to them.
            "similarity_score_threshold" needs a "score_threshold" from 0 to 1 among them.
    """

    allowed_search_types: ClassVar[Collection[str]] = tuple(_SEARCHES)

    vectorstore: VectorStore
    search_type: str = "similarity"
    search_kwargs: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_search(self) -> Self:
        if self.search_type not in self.allowed_search_types:
            raise _unknown_search(self.search_type, self.allowed_search_types)
        threshold: Any = self.search_kwargs.get("score_threshold")
        is_share = is_number(threshold) and 0 <= threshold <= 1
        if self.search_type == "similarity_score_threshold" and not is_share:
            raise InputError(
                "search_type 'similarity_score_threshold' needs search_kwargs="
                f"{{'score_threshold': …}} with a number from 0 to 1; it is {threshold!r}."
            )
        return self

    def _get_relevant_documents(
        self, query: str, *, run_manager: Any, **kwargs: Any
    ) -> list[Document]:
        given = {**self.search_kwargs, **kwargs}
        return self.vectorstore.search(question_of(self, query), self.search_type, **given)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: Any, **kwargs: Any
    ) -> list[Document]:
        given = {**self.search_kwargs, **kwargs}
        return await self.vectorstore.asearch(question_of(self, query), self.search_type, **given)

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Add documents to the store; returns their ids."""
        return self.vectorstore.add_documents(documents, **kwargs)

    async def aadd_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """`add_documents`, async."""
        return await self.vectorstore.aadd_documents(documents, **kwargs)


# ---- inside --------------------------------------------------------------------------------------


def _method(search_type: str) -> str:
    if search_type not in _SEARCHES:
        raise _unknown_search(search_type, _SEARCHES)
    return _SEARCHES[search_type]


def _unknown_search(search_type: str, known: Iterable[str]) -> InputError:
    return InputError(f"search_type {search_type!r} is unknown: use one of {sorted(known)}.")


def is_number(value: Any) -> bool:
    """Whether it is one that can be compared; numpy's count too."""
    return not isinstance(value, bool) and isinstance(value, Real) and not isnan(value)


def checked_threshold(given: Any) -> float | None:
    """A `score_threshold`. Raises InputError for what is none."""
    if given is None or is_number(given):
        threshold: float | None = given
        return threshold
    raise InputError(f"score_threshold is {given!r}: give a number, or None for no limit.")


def _without_scores(found: Sequence[Any]) -> list[Document]:
    return [each[0] if isinstance(each, tuple) else each for each in found]


def _above(threshold: float | None, found: list[Scored]) -> list[Scored]:
    if threshold is None:
        return found
    kept = [(document, score) for document, score in found if score >= threshold]
    if found and not kept:
        best = max(score for _, score in found)
        log.warning(
            "No document reached the score_threshold of %s: the best one has %.3f.", threshold, best
        )
    return kept


def listed(documents: Any) -> list[Document]:
    """The documents, from a loader's `lazy_load()` too; another library's count as well.

    Raises:
        InputError: it is one document, or something in it is none.
    """
    if hasattr(documents, "page_content") or isinstance(documents, str):
        raise InputError(f"documents is {documents!r:.200}: give a list of documents.")
    found: list[Document] = list(documents)
    for each in found:
        if not hasattr(each, "page_content"):
            raise InputError(
                f"A store keeps documents, and one is {each!r:.200} ({type(each).__name__}): give "
                "Document(page_content=…), or hand texts to add_texts() or from_texts()."
            )
    return found


def listed_ids(ids: Any, method: str) -> list[str]:
    """The ids. Raises InputError for one id, or none, in place of a list."""
    if isinstance(ids, str) or not isinstance(ids, Iterable):
        raise InputError(f"{method}(ids={ids!r}): give a list of ids.")
    return list(ids)


def _taken_apart(
    documents: Iterable[Document], kwargs: Mapping[str, Any]
) -> tuple[list[str], list[dict[Any, Any]], dict[str, Any]]:
    """Texts, metadatas, and the arguments with the documents' ids where none are given."""
    arguments = dict(kwargs)
    documents = listed(documents)
    ids = [document.id for document in documents]
    if "ids" not in arguments and any(ids):
        arguments["ids"] = ids
    texts = [document.page_content for document in documents]
    return texts, [document.metadata for document in documents], arguments


def put_together(
    texts: Iterable[str],
    metadatas: Sequence[Mapping[str, Any]] | None,
    ids: Sequence[str | None] | None,
) -> list[Document]:
    given: Any = texts
    if isinstance(given, str) or not isinstance(given, Iterable):
        what = "the string " if isinstance(given, str) else ""
        raise InputError(f"texts is {what}{given!r:.200}: give a list of strings.")
    all_texts = list(texts)
    for name, given in (("metadatas", metadatas), ("ids", ids)):
        if isinstance(given, (str, Mapping)):
            raise InputError(f"{name} is {given!r:.200}: give a list, one for each text.")
        if given and len(given) != len(all_texts):
            raise InputError(
                f"There are {len(given)} {name} for {len(all_texts)} texts: give one for each text."
            )
    return [
        Document(text, metadatas[i] if metadatas else None, ids[i] if ids else None)
        for i, text in enumerate(all_texts)
    ]
