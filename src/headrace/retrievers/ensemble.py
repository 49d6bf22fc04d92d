"""`EnsembleRetriever` and `MergerRetriever`: several retrievers asked at once, one list.

    hybrid = EnsembleRetriever(retrievers=[bm25, store.as_retriever()], weights=[0.4, 0.6])

Each is asked in a lane of its own (threads, in async runs tasks), and `config["max_concurrency"]`
bounds how many at a time. Where one fails, its error is raised when the others have ended; in async
runs they are cancelled first. One that may fail is `retriever.with_fallbacks([lambda query: []])`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Hashable, Sequence
from itertools import chain, zip_longest
from typing import Any

from pydantic import Field, field_validator

from headrace import _async, _async_fan, _sync, _sync_fan
from headrace.documents import Document
from headrace.errors import ConfigError, InputError
from headrace.run import Run
from headrace.shapes import Kwargs, Node

from ._below import Asking, as_retriever, at_most, documents_of

__all__ = ["EnsembleRetriever", "MergerRetriever"]

_LANES = 64  # at most at once, where the config sets no bound


class _Several(Asking):
    """Retrievers that are asked the same question, and `_merged`: what becomes of their answers."""

    retrievers: list[Any]
    k: int | None = Field(default=None, ge=1)

    @field_validator("retrievers")
    @classmethod
    def _can_be_asked(cls, given: list[Any]) -> list[Any]:
        if not given:
            raise ValueError(f"{cls.__name__} has no retriever to ask: give one at least.")
        return [as_retriever(r, f"retrievers[{n}] of {cls.__name__}") for n, r in enumerate(given)]

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [(_tag(number), each) for number, each in enumerate(self.retrievers)]

    @abstractmethod
    def _merged(self, lists: list[list[Document]]) -> list[Document]:
        """One list out of one for each retriever, in their order."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: Any, k: int | None = None, **kwargs: Any
    ) -> list[Document]:
        most = at_most(k, self.k)
        return self._merged(self._asked(query, run_manager.run, kwargs))[:most]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: Any, k: int | None = None, **kwargs: Any
    ) -> list[Document]:
        most = at_most(k, self.k)
        return self._merged(await self._aasked(query, run_manager.run, kwargs))[:most]

    def _asked(self, query: str, run: Run, kw: Kwargs) -> list[list[Document]]:
        def work(number: int) -> list[Document]:
            asked = self.retrievers[number]
            found = _sync.value_step(asked, query, run, kw, _tag(number))
            return documents_of(found, asked)

        return _sync_fan.gather(work, len(self.retrievers), gate=run.gate, workers=_LANES)

    async def _aasked(self, query: str, run: Run, kw: Kwargs) -> list[list[Document]]:
        async def work(number: int) -> list[Document]:
            asked = self.retrievers[number]
            found = await _async.value_step(asked, query, run, kw, _tag(number))
            return documents_of(found, asked)

        return await _async_fan.gather(work, len(self.retrievers), gate=run.gate)


def _tag(number: int) -> str:
    return f"retriever_{number + 1}"


class EnsembleRetriever(_Several):
    """What several retrievers find, by reciprocal rank fusion: a document's score is the sum of
    `weight / (c + rank)` over the lists that it is in, ranks from 1 (Cormack, Clarke and Buettcher:
    Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods, SIGIR 2009).
    Of documents with equal scores, the one seen first comes first.

    `invoke(question, k=…)` bounds what comes out; other keyword arguments go to the retrievers.

    Args:
        retrievers: what to ask: retrievers, or other runnables from a text to documents.
        weights: one for each retriever, in order; by default they are equal and add up to 1.
        c: the larger, the less the first ranks stand out.
        id_key: which documents are the same: those with the same value of this key in their
            metadata; by default those with the same text. The one seen first is kept.
        k: how many documents to give at most; by default all.

    Raises:
        InputError: on a call: a document's metadata lack `id_key`, or a part gave no documents.
    """

    weights: list[float] = Field(default_factory=list)
    c: int = Field(default=60, ge=0)
    id_key: str | None = None

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        count = len(self.retrievers)
        if not self.weights:
            self.weights = [1 / count] * count
        elif len(self.weights) != count:
            raise ConfigError(
                f"EnsembleRetriever got {len(self.weights)} weights for {count} retrievers: give "
                "one for each, in their order."
            )
        elif not all(map(math.isfinite, self.weights)) or max(self.weights) <= 0:
            raise ConfigError(
                f"The weights of an EnsembleRetriever are {self.weights}: give finite numbers, one "
                "of them above 0 at least."
            )

    def weighted_reciprocal_rank(self, doc_lists: list[list[Document]]) -> list[Document]:
        """One list, best first, out of one for each retriever, in their order.

        Raises:
            InputError: as many lists as weights are needed, and there are not.
        """
        if len(doc_lists) != len(self.weights):
            raise InputError(
                f"There are {len(doc_lists)} lists to fuse and {len(self.weights)} weights: give "
                "one list for each retriever."
            )
        scores: dict[Hashable, float] = {}
        first: dict[Hashable, Document] = {}
        for found, weight in zip(doc_lists, self.weights, strict=True):
            for rank, document in enumerate(found, start=1):
                same = self._identity(document)
                scores[same] = scores.get(same, 0.0) + weight / (self.c + rank)
                first.setdefault(same, document)
        return [first[same] for same in sorted(first, key=scores.__getitem__, reverse=True)]

    def _merged(self, lists: list[list[Document]]) -> list[Document]:
        return self.weighted_reciprocal_rank(lists)

    def _identity(self, document: Document) -> Hashable:
        if self.id_key is None:
            return document.page_content
        if self.id_key not in document.metadata:
            raise InputError(
                f"EnsembleRetriever(id_key={self.id_key!r}) tells documents apart by that key, and "
                f"the metadata of {document.page_content!r:.60} have only "
                f"{sorted(map(str, document.metadata))}."
            )
        identity: Hashable = document.metadata[self.id_key]
        return identity


class MergerRetriever(_Several):
    """What several retrievers find, in turns: the first document of each, then the second of each.

    One that several find comes several times: an `EmbeddingsRedundantFilter` behind it, or an
    `EnsembleRetriever` in its place, gives each once.

    Args:
        retrievers: what to ask: retrievers, or other runnables from a text to documents.
        k: how many documents to give at most; by default all.
    """

    def _merged(self, lists: list[list[Document]]) -> list[Document]:
        return [d for d in chain.from_iterable(zip_longest(*lists)) if d is not None]
