"""Selectors: what they choose, that they wait for nothing but the store, and as LangChain's do."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import langchain_core.embeddings
import langchain_core.example_selectors
import langchain_core.prompts
import langchain_core.vectorstores
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace.embeddings
import headrace.example_selectors
import headrace.prompts
import headrace.vectorstores
from headrace.embeddings import Embeddings
from headrace.errors import InputError
from headrace.example_selectors import (
    BaseExampleSelector,
    LengthBasedExampleSelector,
    MaxMarginalRelevanceExampleSelector,
    SemanticSimilarityExampleSelector,
    sorted_values,
)
from headrace.messages import HumanMessage
from headrace.prompts import PromptTemplate
from headrace.vectorstores import InMemoryVectorStore

WORDS = ["happy sad joy", "tall short size", "sunny rainy weather", "joy", "size weather"]
EXAMPLES = [{"input": text, "output": text.upper()} for text in WORDS]
AXES = ["joy", "size", "weather"]


def numbers(text: str) -> list[float]:
    """A text's place: how often it says each of the words above, and a little of its own, since
    what is equally near comes in another order there."""
    own = [0.011 * len(text), 0.0013 * (sum(map(ord, text)) % 97)]
    return [*(1.0 + text.count(word) for word in AXES), *own]


class Ours(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [numbers(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return numbers(text)


class Theirs(langchain_core.embeddings.Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [numbers(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return numbers(text)


def both(name: str) -> list[tuple[Any, Any, Any]]:
    """The class of that name, embeddings and the vector store, here and there."""
    here = getattr(headrace.example_selectors, name)
    there = getattr(langchain_core.example_selectors, name)
    return [
        (here, Ours(), InMemoryVectorStore),
        (there, Theirs(), langchain_core.vectorstores.InMemoryVectorStore),
    ]


SEARCHING = ["SemanticSimilarityExampleSelector", "MaxMarginalRelevanceExampleSelector"]
SETTINGS: list[dict[str, Any]] = [
    {"k": 1},
    {"k": 3},
    {"k": 9},
    {"k": 2, "input_keys": ["input"]},
    {"k": 2, "example_keys": ["output"]},
]
MORE: dict[str, dict[str, Any]] = {
    SEARCHING[0]: {"vectorstore_kwargs": {"filter": lambda doc: "joy" in doc.page_content}},
    SEARCHING[1]: {"k": 2, "fetch_k": 3},
}


@pytest.mark.parametrize("settings", [*SETTINGS, {}], ids=str)
@pytest.mark.parametrize("name", SEARCHING)
@pytest.mark.parametrize("query", ["joy", "weather size", "nothing of it"])
async def test_searching_as_there(name: str, settings: dict[str, Any], query: str) -> None:
    found, settings = [], settings or MORE[name]
    for cls, embeddings, store in both(name):
        selector = cls.from_examples(EXAMPLES, embeddings, store, **settings)
        selector.add_example({"input": "weather", "output": "WEATHER"})
        chosen = selector.select_examples({"input": query, "output": "?"})
        again = await cls.afrom_examples(EXAMPLES, embeddings, store, **settings)
        await again.aadd_example({"input": "weather", "output": "WEATHER"})
        assert await again.aselect_examples({"input": query, "output": "?"}) == chosen
        found.append(chosen)
    assert found[0] == found[1] != []


def test_difference_arguments_of_the_search_count_for_diversity_too() -> None:
    found = []
    for cls, embeddings, store in both("MaxMarginalRelevanceExampleSelector"):
        kwargs = {"filter": lambda doc: "joy" in doc.page_content}
        selector = cls.from_examples(EXAMPLES, embeddings, store, vectorstore_kwargs=kwargs)
        found.append([e["input"] for e in selector.select_examples({"input": "joy"})])
    assert sorted(found[0]) == ["happy sad joy", "joy"]
    assert len(found[1]) == 4  # ignored there


def test_diversity_shows() -> None:
    examples = [{"x": "joy joy joy"}, {"x": "joy joy"}, {"x": "size"}]
    near = SemanticSimilarityExampleSelector.from_examples(
        examples, Ours(), InMemoryVectorStore, k=2
    )
    apart = MaxMarginalRelevanceExampleSelector.from_examples(
        examples, Ours(), InMemoryVectorStore, k=2, fetch_k=3,
        vectorstore_kwargs={"lambda_mult": 0.1},
    )  # fmt: skip
    assert near.select_examples({"x": "joy"}) == [{"x": "joy joy"}, {"x": "joy joy joy"}]
    assert {"x": "size"} in apart.select_examples({"x": "joy"})
    few = apart.model_copy(update={"fetch_k": 2})
    assert {"x": "size"} not in few.select_examples({"x": "joy"})


def test_variables_that_are_no_text_are_not_compared() -> None:
    # A prompt hands all its variables over; a history among them is no part of the question.
    selector = SemanticSimilarityExampleSelector.from_examples(
        EXAMPLES, Ours(), InMemoryVectorStore, k=1
    )
    alone = selector.select_examples({"input": "joy"})
    assert selector.select_examples({"input": "joy", "h": [HumanMessage("size size")]}) == alone
    assert selector.select_examples({"input": 5}) != []


def test_keys_that_are_not_there_are_named() -> None:
    make = SemanticSimilarityExampleSelector.from_examples
    with pytest.raises(InputError, match=r"input_keys=\['nope'\].*\['input', 'output'\]"):
        make(EXAMPLES, Ours(), InMemoryVectorStore, input_keys=["nope"])
    selector = make(EXAMPLES, Ours(), InMemoryVectorStore, example_keys=["nope"])
    with pytest.raises(InputError, match=r"example_keys=\['nope'\]"):
        selector.select_examples({"input": "joy"})


def test_examples_are_copies() -> None:
    examples = [{"x": "joy"}]
    selector = SemanticSimilarityExampleSelector.from_examples(
        examples, Ours(), InMemoryVectorStore
    )
    selector.select_examples({"x": "joy"})[0]["x"] = "changed"
    examples[0]["x"] = "changed"
    assert selector.select_examples({"x": "joy"}) == [{"x": "joy"}]


class Slow(InMemoryVectorStore):
    """Only awaits: a selector that called a sync method would find nothing."""

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return await super().asimilarity_search(query, k, **kwargs)

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> Any:
        raise AssertionError("called in an async run")


async def test_the_store_is_awaited() -> None:
    selector = await SemanticSimilarityExampleSelector.afrom_examples(
        EXAMPLES, Ours(), Slow, k=1, input_keys=["input"]
    )
    assert await selector.aselect_examples({"input": "joy"}) == [EXAMPLES[3]]


# ---- by length ---------------------------------------------------------------------------------


@given(
    st.lists(st.text(alphabet="ab \n", max_size=8), max_size=5),
    st.text(alphabet="ab \n", max_size=8),
    st.integers(-1, 20),
)
def test_by_length_as_there(texts: list[str], query: str, length: int) -> None:
    chosen = []
    for lib, prompts in (
        (headrace.example_selectors, headrace.prompts),
        (langchain_core.example_selectors, langchain_core.prompts),
    ):
        selector = lib.LengthBasedExampleSelector(
            examples=[{"x": text} for text in texts],
            example_prompt=prompts.PromptTemplate.from_template("say {x}"),
            max_length=length,
        )
        selector.add_example({"x": "last"})
        chosen.append(selector.select_examples({"x": query}))
    assert chosen[0] == chosen[1]


async def test_by_length_with_a_measure_of_ones_own() -> None:
    selector = LengthBasedExampleSelector(
        examples=[{"x": "aaa"}, {"x": "bb"}, {"x": "c"}],
        example_prompt=PromptTemplate.from_template("{x}"),
        get_text_length=len,
        max_length=6,
    )
    assert selector.example_text_lengths == [3, 2, 1]
    assert selector.select_examples({"q": "!"}) == [{"x": "aaa"}, {"x": "bb"}]
    assert await selector.aselect_examples({"q": "!", "n": 5}) == [{"x": "aaa"}]
    await selector.aadd_example({"x": ""})
    assert selector.select_examples({})[-1] == {"x": "c"}
    with pytest.raises(KeyError):
        selector.add_example({"y": "not for this prompt"})
    assert len(selector.examples) == len(selector.example_text_lengths) == 4
    with pytest.raises(ValueError, match="max_lenght"):
        LengthBasedExampleSelector(
            examples=[], example_prompt=PromptTemplate.from_template("{x}"), max_lenght=1
        )


# ---- of one's own ------------------------------------------------------------------------------


class Own(BaseExampleSelector):
    def __init__(self) -> None:
        self.threads: list[str] = []

    def add_example(self, example: dict[str, Any]) -> str:
        self.threads.append(threading.current_thread().name)
        return "added"

    def select_examples(self, input_variables: dict[str, Any]) -> list[dict[str, Any]]:
        self.threads.append(threading.current_thread().name)
        return [input_variables]


async def test_a_sync_selector_blocks_no_event_loop() -> None:
    own = Own()
    assert await own.aselect_examples({"x": 1}) == [{"x": 1}]
    assert await own.aadd_example({"x": 1}) == "added"
    assert threading.current_thread().name not in own.threads


def test_sorted_values() -> None:
    assert sorted_values({"b": 1, "a": 2, "c": 3}) == [2, 1, 3]
    assert langchain_core.example_selectors.sorted_values({"b": "1", "a": "2"}) == ["2", "1"]
