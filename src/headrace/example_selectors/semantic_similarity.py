"""Selectors that search a vector store: the examples most like the input, or such that differ.

An example is stored as a document: its text is what is compared, its metadata are the example.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from headrace.documents import Document
from headrace.embeddings import Embeddings
from headrace.errors import InputError
from headrace.example_selectors.base import BaseExampleSelector, as_texts
from headrace.vectorstores import VectorStore

__all__ = [
    "MaxMarginalRelevanceExampleSelector",
    "SemanticSimilarityExampleSelector",
    "sorted_values",
]


def sorted_values(values: Mapping[str, Any]) -> list[Any]:
    """The values of a dict in the order of its sorted keys."""
    return [values[name] for name in sorted(values)]


class _VectorStoreExampleSelector(BaseExampleSelector, BaseModel):
    """What both selectors share.

    Args:
        vectorstore: where the examples are.
        k: how many examples to choose, at most.
        example_keys: which keys of an example to give; all by default.
        input_keys: which variables are compared, of examples and inputs; by default all that are
            texts or numbers.
        vectorstore_kwargs: further arguments of the search.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, defer_build=True
    )

    vectorstore: VectorStore
    k: int = 4
    example_keys: list[str] | None = None
    input_keys: list[str] | None = None
    vectorstore_kwargs: dict[str, Any] | None = None

    def _search(self) -> dict[str, Any]:
        """The arguments of a search."""
        return {"k": self.k, **(self.vectorstore_kwargs or {})}

    def add_example(self, example: dict[str, Any]) -> str:
        """Add an example; gives the id of its document."""
        text = _text(example, self.input_keys)
        return self.vectorstore.add_texts([text], metadatas=[dict(example)])[0]

    async def aadd_example(self, example: dict[str, Any]) -> str:
        """`add_example`, async."""
        text = _text(example, self.input_keys)
        return (await self.vectorstore.aadd_texts([text], metadatas=[dict(example)]))[0]

    def _examples(self, documents: Iterable[Document]) -> list[dict[str, Any]]:
        found = [dict(document.metadata) for document in documents]
        keys = self.example_keys
        return [_only(example, keys, "example") for example in found] if keys else found

    @classmethod
    def from_examples(
        cls,
        examples: Sequence[dict[str, Any]],
        embeddings: Embeddings,
        vectorstore_cls: type[VectorStore],
        k: int = 4,
        input_keys: list[str] | None = None,
        *,
        example_keys: list[str] | None = None,
        vectorstore_kwargs: dict[str, Any] | None = None,
        fetch_k: int | None = None,
        **vectorstore_cls_kwargs: Any,
    ) -> Self:
        """A selector over a new store, which is made with `vectorstore_cls_kwargs`."""
        texts = [_text(example, input_keys) for example in examples]
        metadatas = [dict(example) for example in examples]
        store = vectorstore_cls.from_texts(
            texts, embeddings, metadatas=metadatas, **vectorstore_cls_kwargs
        )
        return cls._over(store, k, input_keys, example_keys, vectorstore_kwargs, fetch_k)

    @classmethod
    async def afrom_examples(
        cls,
        examples: Sequence[dict[str, Any]],
        embeddings: Embeddings,
        vectorstore_cls: type[VectorStore],
        k: int = 4,
        input_keys: list[str] | None = None,
        *,
        example_keys: list[str] | None = None,
        vectorstore_kwargs: dict[str, Any] | None = None,
        fetch_k: int | None = None,
        **vectorstore_cls_kwargs: Any,
    ) -> Self:
        """`from_examples`, async."""
        texts = [_text(example, input_keys) for example in examples]
        metadatas = [dict(example) for example in examples]
        store = await vectorstore_cls.afrom_texts(
            texts, embeddings, metadatas=metadatas, **vectorstore_cls_kwargs
        )
        return cls._over(store, k, input_keys, example_keys, vectorstore_kwargs, fetch_k)

    @classmethod
    def _over(
        cls, store: Any, k: int, inputs: Any, keys: Any, more: Any, fetch_k: int | None
    ) -> Self:
        given = {} if fetch_k is None else {"fetch_k": fetch_k}
        return cls(
            vectorstore=store,
            k=k,
            input_keys=inputs,
            example_keys=keys,
            vectorstore_kwargs=more,
            **given,
        )


class SemanticSimilarityExampleSelector(_VectorStoreExampleSelector):
    """The examples whose texts are most like the input's."""

    def select_examples(self, input_variables: dict[str, Any]) -> list[dict[str, Any]]:
        """The `k` most similar examples, the most similar one first."""
        text = _text(input_variables, self.input_keys)
        return self._examples(self.vectorstore.similarity_search(text, **self._search()))

    async def aselect_examples(self, input_variables: dict[str, Any]) -> list[dict[str, Any]]:
        """`select_examples`, async: it awaits the store."""
        text = _text(input_variables, self.input_keys)
        return self._examples(await self.vectorstore.asimilarity_search(text, **self._search()))


class MaxMarginalRelevanceExampleSelector(_VectorStoreExampleSelector):
    """Examples that are like the input and unlike each other (maximal marginal relevance).

    Args:
        fetch_k: from how many most similar ones they are chosen.
    """

    fetch_k: int = 20

    def _search(self) -> dict[str, Any]:
        return {"k": self.k, "fetch_k": self.fetch_k, **(self.vectorstore_kwargs or {})}

    def select_examples(self, input_variables: dict[str, Any]) -> list[dict[str, Any]]:
        """At most `k` examples, in the order in which they were chosen."""
        text = _text(input_variables, self.input_keys)
        search = self.vectorstore.max_marginal_relevance_search
        return self._examples(search(text, **self._search()))

    async def aselect_examples(self, input_variables: dict[str, Any]) -> list[dict[str, Any]]:
        """`select_examples`, async: it awaits the store."""
        text = _text(input_variables, self.input_keys)
        search = self.vectorstore.amax_marginal_relevance_search
        return self._examples(await search(text, **self._search()))


def _text(values: Mapping[str, Any], keys: Sequence[str] | None) -> str:
    """What is compared of an example or an input: its values, in the order of the sorted keys."""
    if keys:
        return " ".join(str(value) for value in sorted_values(_only(values, keys, "input")))
    return " ".join(as_texts(values, sorted(values)))


def _only(values: Mapping[str, Any], keys: Sequence[str], side: str) -> dict[str, Any]:
    missing = [key for key in keys if key not in values]
    if missing:
        raise InputError(
            f"{side}_keys={list(keys)} names {missing}, which these variables or this example "
            f"lack; they have {sorted(values)}."
        )
    return {key: values[key] for key in keys}
