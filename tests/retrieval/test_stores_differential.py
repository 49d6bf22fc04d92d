"""`FAISS` and `SQLiteVec` find what langchain-core's store finds, with the same scores."""

from __future__ import annotations

from contextlib import closing, nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core import documents as lc_documents
from langchain_core import vectorstores as lc_vectorstores

from headrace.documents import Document
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.vectorstores import FAISS, SQLiteVec

WORDS = [f"text {i}" for i in range(30)]
FILTERS = [None, {"even": True}, {"n": {"$gte": 3}, "even": False}, {"n": [1, 2, 99]}]
COSINE = {"distance_strategy": "cosine"}
STORES = {
    "flat": lambda model: FAISS(model, **COSINE),
    "ivf": lambda model: FAISS(model, "ivf", **COSINE),
    "hnsw": lambda model: FAISS(model, "hnsw", **COSINE),
    "sqlite": lambda model: SQLiteVec(model, ":memory:", **COSINE),
}


def lets_through(filter, metadata):
    if filter is None:
        return True
    if "even" in filter and filter["even"] != metadata["even"]:
        return False
    wanted = filter.get("n", {"$gte": 0})
    return metadata["n"] >= wanted["$gte"] if isinstance(wanted, dict) else metadata["n"] in wanted


def filled(store, document, count, removed):
    documents = [
        document(page_content=text, metadata={"n": i, "even": i % 2 == 0}, id=str(i))
        for i, text in enumerate(WORDS[:count])
    ]
    store.add_documents(documents)
    store.delete([str(i) for i in removed])
    return store


def plain(found):
    return [(d.id, d.page_content, d.metadata) for d in found]


@pytest.mark.parametrize("name", STORES)
@given(
    count=st.integers(1, 30),
    size=st.integers(3, 12),
    removed=st.sets(st.integers(0, 29), max_size=9),
    k=st.integers(0, 35),
    fetch_k=st.integers(1, 35),
    weight=st.sampled_from([0.0, 0.3, 0.5, 0.77, 1.0]),
    chosen=st.sampled_from(FILTERS),
)
def test_the_same_documents_and_scores(name, count, size, removed, k, fetch_k, weight, chosen):
    model = DeterministicFakeEmbedding(size=size)
    theirs = filled(
        lc_vectorstores.InMemoryVectorStore(model), lc_documents.Document, count, removed
    )
    ours = filled(STORES[name](model), Document, count, removed)
    with closing(ours) if isinstance(ours, SQLiteVec) else nullcontext():
        given_theirs = lambda document: lets_through(chosen, document.metadata)  # noqa: E731
        found = ours.similarity_search_with_score("another", k=k, filter=chosen)
        expected = theirs.similarity_search_with_score("another", k=k, filter=given_theirs)
        assert plain(d for d, _ in found) == plain(d for d, _ in expected)
        assert [s for _, s in found] == pytest.approx([s for _, s in expected], abs=1e-5)
        call = {"k": k, "fetch_k": fetch_k, "lambda_mult": weight}
        found = ours.max_marginal_relevance_search("another", filter=chosen, **call)
        expected = theirs.max_marginal_relevance_search("another", filter=given_theirs, **call)
        assert plain(found) == plain(expected)
        assert plain(ours.get_by_ids(["3", "x", "1"])) == plain(theirs.get_by_ids(["3", "x", "1"]))
