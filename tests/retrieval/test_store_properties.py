"""Every store against a model, a dict searched by brute force, over random histories.

Vectors are small whole numbers, so scores are exact (cosines: but for rounding), and ties are
common; of documents with equal scores a store may give any.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.documents import Document
from headrace.embeddings import Embeddings
from headrace.vectorstores import FAISS, InMemoryVectorStore, SQLiteVec, _faiss_index, _faiss_rows
from headrace.vectorstores.filters import predicate

SIZE = 3


class Written(Embeddings):
    """A text is its vector: "1 -2 0"."""

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text):
        return [float(number) for number in text.split()]


def l2(a, b):
    return float(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


def root(a, b):
    return math.sqrt(l2(a, b))


def inner(a, b):
    return float(sum(x * y for x, y in zip(a, b, strict=True)))


def cosine(a, b):
    sizes = math.hypot(*a) * math.hypot(*b)
    return inner(a, b) / sizes if sizes else 0.0


# ---- the stores ----------------------------------------------------------------------------------


class Kind:
    """A store: how it is made, what its score is, and how it goes to the disk and back."""

    def __init__(self, name, make, score, less, again):
        self.name, self.make, self.score, self.less, self.again = name, make, score, less, again

    def __repr__(self):
        return self.name


def by_file(store, folder):
    store.dump(folder / "store.json")
    return InMemoryVectorStore.load(folder / "store.json", store.embedding)


def by_folder(store, folder):
    store.save_local(folder)
    return FAISS.load_local(folder, store.embedding)


def by_opening(store, folder):
    store.close()
    return SQLiteVec(
        store.embedding, folder / "store.db", distance_strategy=store.distance_strategy
    )


def faiss(name, score, less, **settings):
    return Kind(name, lambda folder: FAISS(Written(), **settings), score, less, by_folder)


def sqlite(name, score, less, **settings):
    def make(folder):
        return SQLiteVec(Written(), folder / "store.db", **settings)

    return Kind(name, make, score, less, by_opening)


COSINE, INNER = {"distance_strategy": "cosine"}, {"distance_strategy": "inner_product"}
CELLS = {"index": "ivf", "nlist": 3, "nprobe": 99}
KINDS = [
    Kind("memory", lambda folder: InMemoryVectorStore(Written()), cosine, False, by_file),
    faiss("flat-l2", l2, True),
    faiss("flat-cosine", cosine, False, **COSINE),
    faiss("flat-inner", inner, False, **INNER),
    faiss("ivf-l2", l2, True, **CELLS),
    faiss("ivf-inner", inner, False, **CELLS, **INNER),
    faiss("hnsw-l2", l2, True, index="hnsw"),
    faiss("hnsw-cosine", cosine, False, index="hnsw", **COSINE),
    sqlite("sqlite-l2", root, True),
    sqlite("sqlite-cosine", cosine, False, **COSINE),
]


@pytest.fixture(autouse=True, scope="module")
def small():
    """New indexes and trained ones come with a handful of documents, not with a thousand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_faiss_index, "_POINTS_PER_CELL", 2)
        patch.setattr(_faiss_rows, "_FEW", 3)
        yield


# ---- histories -----------------------------------------------------------------------------------

numbers = st.integers(-3, 3)
vectors = st.lists(numbers, min_size=SIZE, max_size=SIZE)
queries = vectors.filter(any)
texts = vectors.map(lambda vector: " ".join(map(str, vector)))
names = st.sampled_from([f"id{i}" for i in range(12)])
colours = st.sampled_from(["n", "red", "blue", None])
documents = st.builds(
    Document, texts, st.fixed_dictionaries({}, optional={"n": numbers, "c": colours}), names
)
FILTERS = [
    None,
    {"n": 1},
    {"n": {"$gt": 0}},
    {"c": ["red", None]},
    {"$not": {"c": "blue"}},
    {"$or": [{"n": {"$lte": -1}}, {"c": {"$ne": "red"}}]},
    {"c": "green"},
]
steps = st.one_of(
    st.tuples(st.just("add"), st.lists(documents, min_size=1, max_size=8)),
    st.tuples(st.just("delete"), st.lists(names, max_size=6)),
    st.tuples(st.just("search"), queries, st.integers(0, 15), st.sampled_from(FILTERS)),
    st.tuples(st.just("diverse"), queries, st.integers(0, 5), st.integers(1, 9)),
    st.tuples(st.just("get"), st.lists(names, max_size=6)),
    st.tuples(st.just("again")),
)


class Check:
    """A store and a model, taken through the same history, each step in a colour of its own."""

    def __init__(self, kind, folder, runner):
        self.kind, self.folder, self.runner = kind, folder, runner
        self.store = kind.make(folder)
        self.model = {}

    def ask(self, asynchronous, method, *args, **kwargs):
        if asynchronous:
            return self.runner.run(getattr(self.store, f"a{method}")(*args, **kwargs))
        return getattr(self.store, method)(*args, **kwargs)

    def add(self, asynchronous, added):
        ids = self.ask(asynchronous, "add_documents", added)
        assert ids == [document.id for document in added]
        self.model |= {document.id: document for document in added}

    def delete(self, asynchronous, ids):
        self.ask(asynchronous, "delete", ids)
        for name in ids:
            self.model.pop(name, None)

    def get(self, asynchronous, ids):
        expected = [self.model[name] for name in ids if name in self.model]
        assert self.ask(asynchronous, "get_by_ids", ids) == expected

    def again(self, asynchronous):
        self.store = self.kind.again(self.store, self.folder)

    def scores(self, query, allows):
        return {
            name: self.kind.score(query, Written().embed_query(document.page_content))
            for name, document in self.model.items()
            if allows is None or allows(document.metadata)
        }

    def search(self, asynchronous, query, k, filter):
        allows = None if filter is None else predicate(filter)
        given = filter
        if self.kind.name == "memory" and allows:
            given = lambda document: allows(document.metadata)  # noqa: E731
        vector = [float(number) for number in query]
        found = self.ask(
            asynchronous, "similarity_search_with_score_by_vector", vector, k, filter=given
        )
        scores = self.scores(query, allows)
        best = sorted(scores.values(), reverse=not self.kind.less)[:k]
        assert [score for _, score in found] == pytest.approx(best, abs=1e-5)
        assert len({document.id for document, _ in found}) == len(found)
        for document, score in found:
            assert document == self.model[document.id]
            assert score == pytest.approx(scores[document.id], abs=1e-5)

    def diverse(self, asynchronous, query, k, fetch_k):
        vector = [float(number) for number in query]
        found = self.ask(
            asynchronous, "max_marginal_relevance_search_by_vector", vector, k, fetch_k
        )
        ids = [document.id for document in found]
        assert len(set(ids)) == len(ids) == min(k, fetch_k, len(self.model))
        assert all(document == self.model[document.id] for document in found)
        if len(self.model) <= fetch_k and found:  # all are candidates: the first is the closest
            close = {
                name: cosine(query, Written().embed_query(document.page_content))
                for name, document in self.model.items()
            }
            assert close[ids[0]] == pytest.approx(max(close.values()), abs=1e-5)


@contextmanager
def checked(kind):
    folder = Path(tempfile.mkdtemp())
    try:
        with asyncio.Runner() as runner:
            check = Check(kind, folder, runner)
            yield check
            if isinstance(check.store, SQLiteVec):
                check.store.close()
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
@given(history=st.lists(st.tuples(st.booleans(), steps), max_size=14))
def test_a_store_does_as_the_model(kind, history):
    with checked(kind) as check:
        for asynchronous, (step, *given) in history:
            getattr(check, step)(asynchronous, *given)
        check.again(False)
        check.search(False, [1, 2, -1], 99, None)
        check.get(True, [f"id{i}" for i in range(12)])


faiss_kinds = pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.again is by_folder], ids=repr
)


@faiss_kinds
@given(first=st.lists(documents, max_size=12), second=st.lists(documents, max_size=12))
def test_merging_is_adding_what_the_other_has(kind, first, second):
    with checked(kind) as check, checked(kind) as other:
        for each, added in ((check, first), (other, second)):
            if added:
                each.add(False, added)
        other.delete(False, ["id1"])
        before = Counter(other.store.index_to_docstore_id.values())
        check.store.merge_from(other.store)
        check.model |= other.model
        check.search(False, [0, 1, 2], 99, None)
        check.search(True, [0, 1, 2], 3, {"n": {"$gte": 0}})
        assert Counter(other.store.index_to_docstore_id.values()) == before
        other.search(False, [0, 1, 2], 99, None)


def test_the_histories_reach_trained_and_renewed_indexes(monkeypatch):
    """That the sizes in `small` are small enough."""
    made = []
    real = _faiss_index.VectorIndex.of.__func__

    def of(cls, settings, rows):
        index = real(cls, settings, rows)
        made.append(bool(index.trained))
        return index

    monkeypatch.setattr(_faiss_index.VectorIndex, "of", classmethod(of))
    kind = next(kind for kind in KINDS if kind.name == "ivf-l2")
    with checked(kind) as check:
        check.add(False, [Document(f"{i} 0 1", {}, f"id{i}") for i in range(5)])
        check.add(False, [Document(f"{i} 1 1", {}, f"id{i}") for i in range(3, 10)])
        check.delete(False, [f"id{i}" for i in range(6)])
        check.search(False, [7, 0, 1], 3, None)
    assert made == [False, True, False]
