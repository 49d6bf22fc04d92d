"""Every store of Headrace against `VectorStoreConformance`, and a store that fails it."""

from __future__ import annotations

from typing import ClassVar

import pytest

from headrace.testing import VectorStoreConformance
from headrace.vectorstores import FAISS, InMemoryVectorStore, SQLiteVec

FILTERS = (
    {"name": ["northeast", "east"]},
    {"n": {"$in": [1, 3]}},
    {"$or": [{"n": 1}, {"name": {"$eq": "east"}}]},
    {"$and": [{"n": {"$gte": 1}}, {"$not": {"name": "up"}}], "n": {"$lt": 4}},
    lambda metadata: metadata["n"] in (1, 3),
)


class TestInMemory(VectorStoreConformance):
    filters = (lambda document: document.metadata["n"] in (1, 3),)

    def make_store(self, embedding):
        return InMemoryVectorStore(embedding)


class OfFAISS(VectorStoreConformance):
    filters = FILTERS
    settings: ClassVar = {}

    def make_store(self, embedding):
        return FAISS(embedding, **self.settings)


class TestFlat(OfFAISS):
    pass


class TestFlatCosine(OfFAISS):
    settings: ClassVar = {"distance_strategy": "cosine"}


class TestFlatInnerProduct(OfFAISS):
    settings: ClassVar = {"distance_strategy": "inner_product"}


class TestIVF(OfFAISS):
    settings: ClassVar = {"index": "ivf"}


class TestTrainedIVF(OfFAISS):
    """One cell for a few documents: trained from the start."""

    settings: ClassVar = {"index": "ivf", "nlist": 1, "distance_strategy": "cosine"}

    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch):
        monkeypatch.setattr("headrace.vectorstores._faiss_index._POINTS_PER_CELL", 1)
        assert self.filled().index.is_trained
        assert "IVF" in type(self.filled().index).__name__


class TestHNSW(OfFAISS):
    settings: ClassVar = {"index": "hnsw"}


class TestHNSWCosine(OfFAISS):
    settings: ClassVar = {"index": "hnsw", "M": 4, "distance_strategy": "cosine"}


class TestCompactedAtOnce(OfFAISS):
    """A new index after each delete."""

    @pytest.fixture(autouse=True)
    def _at_once(self, monkeypatch):
        table = "headrace.vectorstores._faiss_rows.Table.mostly_gone"
        monkeypatch.setattr(table, property(lambda self: self.count > len(self.positions)))


class TestSQLiteInMemory(VectorStoreConformance):
    filters = FILTERS

    def make_store(self, embedding):
        return SQLiteVec(embedding, ":memory:")


class TestSQLite(VectorStoreConformance):
    filters = FILTERS

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.path, self.stores = tmp_path / "stores.db", []
        yield
        for store in self.stores:
            store.close()

    def make_store(self, embedding):
        name = f"table_{len(self.stores)}"
        self.stores.append(SQLiteVec(embedding, self.path, table=name, distance_strategy="cosine"))
        return self.stores[-1]


class Forgetful(InMemoryVectorStore):
    """Forgets which ids it has deleted, and finds the worst first."""

    def delete(self, ids=None, **kwargs):
        return True

    def _nearest(self, vector, k, **options):
        found = super()._nearest(vector, 99, **options)
        return type(found)(*(list(reversed(each))[:k] for each in found))


def test_it_can_fail():
    suite = VectorStoreConformance()
    suite.make_store = Forgetful
    suite.filters = (lambda document: document.metadata["n"] in (1, 3),)
    failed = set()
    for name in dir(suite):
        if name.startswith("test_"):
            try:
                getattr(suite, name)()
            except AssertionError:
                failed.add(name.removeprefix("test_"))
    assert failed == {
        "documents_come_back_as_they_went_in",
        "every_way_to_add",
        "filters",
        "made_of_texts_and_of_documents",
        "many_threads_add_search_and_delete",
        "marginal_relevance",
        "a_retriever_streams_one_chunk_the_list",
        "relevances",
        "the_best_come_first",
        "scores_are_in_the_order_of_the_documents",
        "what_is_deleted_is_gone",
    }


def test_a_suite_without_a_store_says_so():
    with pytest.raises(NotImplementedError, match="VectorStoreConformance needs a make_store"):
        VectorStoreConformance().make_store(None)
