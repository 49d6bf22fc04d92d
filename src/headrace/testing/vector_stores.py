"""`VectorStoreConformance`: what users expect of every vector store, as tests.

    class TestMyStore(VectorStoreConformance):
        def make_store(self, embedding):
            return MyStore(embedding)

Each call of `make_store` gives an empty store of its own. The model of the tests gives vectors of
length 1, so that stores with any distance put documents in the same order. Async methods are tested
with an event loop of the test's own.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any, ClassVar

import pytest

from headrace.documents import Document
from headrace.embeddings import Embeddings
from headrace.errors import HeadraceError
from headrace.vectorstores import VectorStore

__all__ = ["Directions", "VectorStoreConformance"]

_VECTORS: dict[str, list[float]] = {
    "north": [0.0, 1.0, 0.0],
    "northeast": [0.6, 0.8, 0.0],
    "east": [1.0, 0.0, 0.0],
    "south": [0.0, -1.0, 0.0],
    "up": [0.0, 0.28, 0.96],
    "wrong": [1.0, 0.0],
    "broken": [float("nan"), 1.0, 0.0],
}
_BY_NORTH = ["north", "northeast", "up", "east", "south"]  # cosines 1, 0.8, 0.28, 0, -1
_METADATAS = [{"n": i, "name": name} for i, name in enumerate(_BY_NORTH)]


class Directions(Embeddings):
    """Some words that are directions, as vectors in space; it counts the texts it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        self.asked.append(text)
        return list(_VECTORS[text])


def _texts(found: list[Any]) -> list[str]:
    documents = [each[0] if isinstance(each, tuple) else each for each in found]
    return [document.page_content for document in documents]


class VectorStoreConformance:
    """Derive from it, and write `make_store`. The attributes say what the store can do.

    searches_by_vector: `similarity_search_by_vector` works.
    tells_relevance: `similarity_search_with_relevance_scores` does.
    finds_diverse: `max_marginal_relevance_search` does.
    filters: filters that let through "northeast" and "east" alone, of documents that have
        `{"n": 0 … 4, "name": …}` as metadata, in the order of their similarity to "north".
    """

    searches_by_vector: ClassVar[bool] = True
    tells_relevance: ClassVar[bool] = True
    finds_diverse: ClassVar[bool] = True
    filters: ClassVar[tuple[Any, ...]] = ()

    def make_store(self, embedding: Embeddings) -> VectorStore:
        """An empty store under test."""
        raise NotImplementedError(f"{type(self).__name__} needs a make_store.")

    def filled(self) -> VectorStore:
        """A store of the five directions, with their names as ids, added in another order."""
        store = self.make_store(Directions())
        order = [3, 0, 4, 2, 1]
        texts = [_BY_NORTH[i] for i in order]
        assert store.add_texts(texts, [_METADATAS[i] for i in order], ids=texts) == texts
        return store

    def both(self, store: VectorStore, method: str, *args: Any, **kwargs: Any) -> Any:
        """What a method returns, which its async twin must return too."""
        returned = getattr(store, method)(*args, **kwargs)
        twin = asyncio.run(getattr(store, f"a{method}")(*args, **kwargs))
        assert returned == twin, f"{method} and a{method} differ"
        return returned

    # ---- what is in it ---------------------------------------------------------------------------

    def test_it_is_a_vector_store(self) -> None:
        """It derives from `VectorStore` and says which model it has."""
        model = Directions()
        store = self.make_store(model)
        assert isinstance(store, VectorStore)
        assert store.embeddings is model

    def test_an_empty_store_finds_nothing(self) -> None:
        """Searching before anything was added is no error, and deleting neither."""
        store = self.make_store(Directions())
        assert self.both(store, "similarity_search", "north") == []
        assert self.both(store, "get_by_ids", ["1"]) == []
        assert store.add_documents([]) == []
        store.delete(["1"])
        if self.finds_diverse:
            assert self.both(store, "max_marginal_relevance_search", "north") == []

    def test_documents_come_back_as_they_went_in(self) -> None:
        """Text, metadata and id; ids in the order that is asked for, unknown ones left out."""
        store = self.make_store(Directions())
        metadata = {"text": "ä\n\"'", "list": [1, {"a": None}], "yes": True, "float": 0.5, "": ""}
        store.add_documents([Document("east", metadata, "1"), Document("up", id="two'\"; --")])
        assert self.both(store, "get_by_ids", ["two'\"; --", "?", "1"]) == [
            Document("up", {}, "two'\"; --"),
            Document("east", metadata, "1"),
        ]
        assert store.similarity_search("east", k=1) == [Document("east", metadata, "1")]

    def test_every_way_to_add(self) -> None:
        """Texts and documents, sync and async; new ids where none are given."""
        store = self.make_store(Directions())
        ids = [
            *store.add_texts(["north"]),
            *asyncio.run(store.aadd_texts(["northeast"])),
            *store.add_documents([Document("up")]),
            *asyncio.run(store.aadd_documents([Document("east", id="own")])),
        ]
        assert len(set(ids)) == 4
        assert ids[3] == "own"
        assert _texts(store.get_by_ids(ids)) == ["north", "northeast", "up", "east"]
        assert _texts(store.similarity_search("north")) == _BY_NORTH[:4]

    def test_the_id_of_an_older_document_replaces_it(self) -> None:
        """Also within one call, where the last is kept."""
        store = self.filled()
        store.add_documents([Document("up", {"new": 1}, "north")])
        asyncio.run(store.aadd_texts(["south", "up"], ids=["east", "east"]))
        assert store.get_by_ids(["north"]) == [Document("up", {"new": 1}, "north")]
        assert store.get_by_ids(["east"]) == [Document("up", {}, "east")]
        found = store.similarity_search("up", k=9)
        assert sorted(_texts(found)) == ["northeast", "south", "up", "up", "up"]
        assert {each.id for each in found} == set(_BY_NORTH)

    def test_what_is_deleted_is_gone(self) -> None:
        """Ids that are not there are no error, twice is none, and the others keep their ids."""
        store = self.filled()
        store.delete(["northeast", "nobody", "northeast"])
        asyncio.run(store.adelete(["north"]))
        assert _texts(self.both(store, "similarity_search", "north", k=9)) == _BY_NORTH[2:]
        assert self.both(store, "get_by_ids", ["north", "up"]) == [
            Document("up", _METADATAS[2], "up")
        ]
        store.delete(_BY_NORTH)
        assert store.similarity_search("north") == []
        store.add_texts(["north"], ids=["north"])
        assert _texts(store.similarity_search("north")) == ["north"]

    def test_changing_what_was_given_or_found_changes_no_store(self) -> None:
        """Metadata is copied on its way in and out."""
        store = self.make_store(Directions())
        given = {"n": 1}
        store.add_texts(["north"], [given], ids=["1"])
        given["n"] = 2
        store.similarity_search("north")[0].metadata["n"] = 3
        store.get_by_ids(["1"])[0].metadata.clear()
        assert store.get_by_ids(["1"])[0].metadata == {"n": 1}

    def test_a_batch_with_a_wrong_vector_is_refused_as_a_whole(self) -> None:
        """One of another dimension, or with a number that is not finite."""
        store = self.filled()
        for wrong in ("wrong", "broken"):
            with pytest.raises(HeadraceError):
                store.add_texts(["up", wrong], ids=["new", "other"])
            with pytest.raises(HeadraceError):
                asyncio.run(store.aadd_texts(["up", wrong], ids=["new", "other"]))
            with pytest.raises(HeadraceError):
                store.similarity_search(wrong)
        assert store.get_by_ids(["new", "other"]) == []
        assert len(store.similarity_search("north", k=9)) == 5

    def test_as_many_ids_and_metadatas_as_texts(self) -> None:
        """A list that is too short is an error before the model is asked."""
        model = Directions()
        store = self.make_store(model)
        wrong: tuple[dict[str, Any], ...] = ({"ids": ["1"]}, {"metadatas": [{}]})
        for given in wrong:
            with pytest.raises(HeadraceError):
                store.add_texts(["north", "east"], **given)
        assert model.asked == []

    # ---- searching -------------------------------------------------------------------------------

    def test_the_best_come_first(self) -> None:
        """`k` of them, 4 by default, or as many as there are."""
        store = self.filled()
        assert _texts(self.both(store, "similarity_search", "north")) == _BY_NORTH[:4]
        assert _texts(self.both(store, "similarity_search", "north", k=2)) == _BY_NORTH[:2]
        assert _texts(self.both(store, "similarity_search", "north", k=99)) == _BY_NORTH
        assert self.both(store, "similarity_search", "north", k=0) == []
        if self.searches_by_vector:
            vector = _VECTORS["north"]
            found = self.both(store, "similarity_search_by_vector", vector, k=3)
            assert _texts(found) == _BY_NORTH[:3]

    def test_scores_are_in_the_order_of_the_documents(self) -> None:
        """They go one way, up or down."""
        found = self.both(self.filled(), "similarity_search_with_score", "north", k=5)
        assert _texts(found) == _BY_NORTH
        scores = [score for _, score in found]
        assert all(isinstance(score, float) for score in scores)
        assert scores == sorted(scores) or scores == sorted(scores, reverse=True)
        assert len(set(scores)) == 5

    def test_relevances(self) -> None:
        """1 for the same, 0 for what points elsewhere or away; a threshold leaves out."""
        if not self.tells_relevance:
            return
        store = self.filled()
        method = "similarity_search_with_relevance_scores"
        found = self.both(store, method, "north", k=5)
        assert [score for _, score in found] == pytest.approx([1, 0.8, 0.28, 0, 0], abs=1e-5)
        assert all(0 <= score <= 1 for _, score in found)
        found = self.both(store, method, "north", k=5, score_threshold=0.5)
        assert _texts(found) == _BY_NORTH[:2]
        retriever = store.as_retriever(
            search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.2}
        )
        assert _texts(retriever.invoke("north")) == _BY_NORTH[:3]

    def test_marginal_relevance(self) -> None:
        """The first is the most similar; then what repeats the first comes later."""
        if not self.finds_diverse:
            return
        store = self.filled()
        method = "max_marginal_relevance_search"
        by_query = self.both(store, method, "north", k=3, fetch_k=5, lambda_mult=1.0)
        assert _texts(by_query) == _BY_NORTH[:3]
        diverse = self.both(store, method, "north", k=2, fetch_k=5, lambda_mult=0.0)
        assert _texts(diverse) == ["north", "south"]
        assert _texts(self.both(store, method, "north", k=2, fetch_k=1)) == ["north"]
        vector = _VECTORS["north"]
        same = self.both(store, f"{method}_by_vector", vector, k=2, fetch_k=5, lambda_mult=0.0)
        assert same == diverse

    def test_filters(self) -> None:
        """What a filter lets through is found, however much else is closer."""
        store = self.filled()
        for filter in self.filters:
            found = self.both(store, "similarity_search", "north", k=1, filter=filter)
            assert _texts(found) == ["northeast"]
            found = self.both(store, "similarity_search_with_score", "south", filter=filter)
            assert _texts(found) == ["east", "northeast"]
            if self.finds_diverse:
                found = self.both(
                    store, "max_marginal_relevance_search", "north", k=4, filter=filter
                )
                assert sorted(_texts(found)) == ["east", "northeast"]

    # ---- as a retriever --------------------------------------------------------------------------

    def test_a_retriever_streams_one_chunk_the_list(self) -> None:
        """In both colours, with the search's arguments."""
        retriever = self.filled().as_retriever(search_kwargs={"k": 2})

        async def streamed() -> list[list[Document]]:
            return [chunk async for chunk in retriever.astream("north")]

        chunks = list(retriever.stream("north"))
        assert [_texts(chunk) for chunk in chunks] == [_BY_NORTH[:2]]
        assert asyncio.run(streamed()) == chunks
        assert retriever.batch(["north", "south"], k=1) == [
            [Document("north", _METADATAS[0], "north")],
            [Document("south", _METADATAS[4], "south")],
        ]

    def test_made_of_texts_and_of_documents(self) -> None:
        """The retriever's `add_documents` fills the store."""
        store = self.make_store(Directions())
        retriever = store.as_retriever(search_kwargs={"k": 1})
        retriever.add_documents([Document("north", id="1")])
        asyncio.run(retriever.aadd_documents([Document("south", id="2")]))
        assert _texts(retriever.invoke("south")) == ["south"]

    # ---- at once ---------------------------------------------------------------------------------

    def test_many_threads_add_search_and_delete(self) -> None:
        """What a thread has added it finds, and no search fails or finds what was never there."""
        store = self.filled()
        failures: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for turn in range(10):
                    name = f"{number}/{turn}"
                    store.add_documents([Document("up", {"n": number}, name)])
                    assert store.get_by_ids([name]) == [Document("up", {"n": number}, name)]
                    assert _texts(store.similarity_search("up", k=1)) == ["up"]
                    assert len(store.similarity_search("north", k=3)) == 3
                    store.delete([name])
                    assert store.get_by_ids([name]) == []
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert _texts(store.similarity_search("north", k=99)) == _BY_NORTH
