"""`ProviderEmbeddings`: what the embedding models of all providers share.

A vendor's class says `_request` (one batch of texts to the SDK's arguments), `_whole_answer` and
`_awhole_answer` (which call the SDK), `_vectors` (an answer to vectors), and what its SDK's
exceptions mean. Batches are asked one after the other in sync code, a few at a time in async code.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from headrace.embeddings import Embeddings
from headrace.errors import InputError, ProviderError

from .advice import EMBEDDING_ADVICE
from .answer import MISSHAPEN
from .errors import Fault
from .keys import cleaned
from .provider import Call, Provider, cause_of, named

__all__ = ["ProviderEmbeddings"]

Vectors = list[list[float]]


class ProviderEmbeddings(Provider, Embeddings):
    """Base of the providers' embedding models.

    Args:
        model: its name, as the provider knows it (also `model_name`).
        batch_size: texts in one request (also `chunk_size`).
        max_concurrency: requests at a time in async code.
        dimensions: length of the vectors, where the model has a choice.
        See `ProviderChatModel` for the others.

    Raises:
        MissingExtraError: the provider's SDK is not installed; when the model is made.
        InputError: something is no text, or an empty one where the provider refuses that.
        ProviderError: what the provider said instead of an answer.
    """

    _advice: ClassVar[Mapping[str, str]] = EMBEDDING_ADVICE
    _most: ClassVar[int] = 1000
    """Texts in one request, at most and by default."""

    model: str = Field(validation_alias=AliasChoices("model", "model_name"))
    batch_size: int | None = named("batch_size", "chunk_size", ge=1)
    max_concurrency: int = Field(default=4, ge=1)
    dimensions: int | None = Field(default=None, ge=1)

    # ---- what vendors write ---------------------------------------------------------------------

    @abstractmethod
    def _request(self, texts: Sequence[str], *, query: bool) -> dict[str, Any]:
        """The SDK's arguments for one batch; `query`: it is searched for, not searched in."""

    @abstractmethod
    def _whole_answer(self, client: Any, call: Call) -> Mapping[str, Any]:
        """The answer to a request, as the wire has it."""

    @abstractmethod
    async def _awhole_answer(self, client: Any, call: Call) -> Mapping[str, Any]:
        """`_whole_answer`, async."""

    @abstractmethod
    def _vectors(self, answer: Mapping[str, Any]) -> Vectors:
        """The vectors in an answer, in the order of the texts."""

    # ---- what users call ------------------------------------------------------------------------

    def embed_documents(self, texts: list[str]) -> Vectors:
        """One vector for each text, in order."""
        return [vector for batch in self._batches(texts) for vector in self._embedded(batch)]

    def embed_query(self, text: str) -> list[float]:
        """The vector of a text that is searched for."""
        (vector,) = self._embedded(_texts([text]), query=True)
        return vector

    async def aembed_documents(self, texts: list[str]) -> Vectors:
        """`embed_documents`, async: `max_concurrency` requests at a time."""
        room = asyncio.Semaphore(self.max_concurrency)

        async def embedded(batch: Sequence[str]) -> Vectors:
            async with room:
                return await self._aembedded(batch)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(embedded(batch)) for batch in self._batches(texts)]
        except ExceptionGroup as failures:  # the first cancelled the others
            raise failures.exceptions[0] from failures.exceptions[0].__cause__
        return [vector for task in tasks for vector in task.result()]

    async def aembed_query(self, text: str) -> list[float]:
        """`embed_query`, async."""
        (vector,) = await self._aembedded(_texts([text]), query=True)
        return vector

    # ---- inside ---------------------------------------------------------------------------------

    def _batches(self, texts: Sequence[str]) -> list[Sequence[str]]:
        checked = _texts(texts)
        size = min(self.batch_size or self._most, self._most)
        return [checked[start : start + size] for start in range(0, len(checked), size)]

    def _embedded(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        call = Call(self._request(texts, query=query))
        try:
            return self._read(self._whole_answer(self._client(), call), texts, call)
        except Exception as error:
            raise self._failure(error, call) from cause_of(error)

    async def _aembedded(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        call = Call(self._request(texts, query=query))
        try:
            answer = await self._awhole_answer(await self._aclient(), call)
            return self._read(answer, texts, call)
        except Exception as error:
            raise self._failure(error, call) from cause_of(error)

    def _read(self, answer: Any, texts: Sequence[str], call: Call) -> Vectors:
        """The vectors in an answer, or the error that it tells of, or is."""
        if isinstance(answer, Mapping) and answer.get("error"):
            raise self._error(Fault(None, answer, call.headers), call)
        try:
            vectors = self._vectors(answer)
        except MISSHAPEN as error:
            said = repr(cleaned(answer, self._secrets()))
            raise ProviderError(
                f"{self.provider} sent what is not as its API documents for embeddings: check "
                f"base_url, and that {self.model!r} is a model for embeddings. It sent {said:.300}",
                provider=self.provider,
                status=call.status,
                request_id=call.request_id,
            ) from error
        return self._checked(vectors, texts, call)

    def _checked(self, vectors: Vectors, texts: Sequence[str], call: Call) -> Vectors:
        came = len([vector for vector in vectors if vector])
        if came != len(texts) or len(vectors) != came:
            empty = len(vectors) - came
            raise ProviderError(
                f"{self.provider} gave {came} vectors for {len(texts)} texts"
                f"{f', and {empty} without numbers' if empty else ''}: its model {self.model!r} "
                "does not answer as an embedding model does; check its name and base_url.",
                provider=self.provider,
                status=call.status,
                request_id=call.request_id,
            )
        return vectors


def _texts(texts: Sequence[str]) -> Sequence[str]:
    if isinstance(texts, str):
        raise InputError(
            f"embed_documents got the text {texts!r:.200}: give a list, or use embed_query."
        )
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(
                f"An embedding model reads texts; at place {place} is {text!r:.200} "
                f"({type(text).__name__})."
            )
    return texts
