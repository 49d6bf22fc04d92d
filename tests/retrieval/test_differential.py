"""The same retrieval programs on langchain-core and on Headrace give the same results.

Deliberate differences are asserted too, so that a row of docs/differences.md that no longer holds
is noticed.
"""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core import chat_history as lc_history
from langchain_core import documents as lc_documents
from langchain_core import messages as lc_messages
from langchain_core import retrievers as lc_retrievers
from langchain_core import runnables as lc_runnables
from langchain_core import vectorstores as lc_vectorstores

from headrace import chat_history, documents, messages, retrievers, runnables, vectorstores
from headrace.embeddings import DeterministicFakeEmbedding

from .stores import Table

WORDS = [f"text {i}" for i in range(30)]


class Both:
    """A store of each library, filled alike (both take any object with the embedding methods)."""

    def __init__(self, count, size):
        embedding = DeterministicFakeEmbedding(size=size)
        self.stores = []
        for library in (lc_vectorstores, vectorstores):
            store = library.InMemoryVectorStore(embedding)
            metadatas = [{"n": i, "even": i % 2 == 0} for i in range(count)]
            store.add_texts(WORDS[:count], metadatas, ids=[str(i) for i in range(count)])
            self.stores.append(store)

    def __call__(self, method, *args, **kwargs):
        theirs, ours = (getattr(store, method)(*args, **kwargs) for store in self.stores)
        return theirs, ours


def plain(document):
    return document.id, document.page_content, document.metadata


counts = st.integers(1, 30)
sizes = st.integers(2, 12)
ks = st.integers(0, 35)
filters = st.sampled_from(
    [
        None,
        lambda document: document.metadata["even"],
        lambda document: document.id in ("1", "2", "3"),
        lambda document: "7" in document.page_content,
        lambda document: False,
    ]
)


@given(counts, sizes, ks, filters, st.sampled_from([*WORDS[:3], "another"]))
def test_similarity_search(count, size, k, chosen, query):
    both = Both(count, size)
    theirs, ours = both("similarity_search_with_score", query, k=k, filter=chosen)
    assert [plain(d) for d, _ in ours] == [plain(d) for d, _ in theirs]
    assert [s for _, s in ours] == pytest.approx([s for _, s in theirs], abs=1e-12)
    theirs, ours = both("similarity_search", query, k=k, filter=chosen)
    assert [plain(d) for d in ours] == [plain(d) for d in theirs]


@given(counts, sizes, ks, st.integers(1, 12), st.floats(0, 1), filters)
def test_maximal_marginal_relevance(count, size, k, fetch_k, weight, chosen):
    both = Both(count, size)
    call = {"k": k, "fetch_k": fetch_k, "lambda_mult": weight, "filter": chosen}
    theirs, ours = both("max_marginal_relevance_search", "another", **call)
    assert [plain(d) for d in ours] == [plain(d) for d in theirs]


@given(counts, st.sampled_from(["similarity", "mmr"]), st.integers(1, 6))
def test_a_store_as_a_retriever(count, search_type, k):
    both = Both(count, 5)
    theirs, ours = both("as_retriever", search_type=search_type, search_kwargs={"k": k})
    assert [plain(d) for d in ours.invoke("q")] == [plain(d) for d in theirs.invoke("q")]
    [chunk], [their_chunk] = list(ours.stream("q")), list(theirs.stream("q"))
    assert [plain(d) for d in chunk] == [plain(d) for d in their_chunk]
    assert ours.tags == theirs.tags
    assert ours.search_kwargs == theirs.search_kwargs


async def test_the_async_twins():
    both = Both(10, 4)
    for method, call in (
        ("asimilarity_search", {"k": 3}),
        ("asimilarity_search_with_score", {"k": 3}),
        ("amax_marginal_relevance_search", {"k": 3, "fetch_k": 5}),
        ("asearch", {"search_type": "mmr", "k": 2}),
    ):
        theirs, ours = both(method, "another", **call)
        found = [[getattr(f, "page_content", f) for f in await each] for each in (theirs, ours)]
        if "score" in method:
            found = [[(d.page_content, round(s, 12)) for d, s in each] for each in found]
        assert found[1] == found[0]


async def test_writing_to_a_store():
    def program(library, document):
        store = library.InMemoryVectorStore(DeterministicFakeEmbedding(size=3))
        seen = [store.add_texts(["a", "b"], [{"x": 1}, {}], ids=["1", "2"])]
        seen.append(store.add_documents([document("c", id="3"), document("d", id="1")]))
        seen.append(store.add_documents([document("e")], ids=["5"]))
        seen.append([plain(d) for d in store.get_by_ids(["1", "9", "3", "3"])])
        seen.append(store.delete(["2", "9"]))
        seen.append(store.delete())
        seen.append([(k, v["id"], v["text"], v["metadata"]) for k, v in store.store.items()])
        return seen

    theirs = program(lc_vectorstores, lambda t, **k: lc_documents.Document(page_content=t, **k))
    assert program(vectorstores, documents.Document) == theirs


def test_users_retrievers_and_chains_of_them():
    def program(retrievers, runnables, document):
        class Sync(retrievers.BaseRetriever):
            prefix: str

            def _get_relevant_documents(self, query, *, run_manager):
                return [document(page_content=f"{self.prefix} {query}", metadata={"q": query})]

        class Kwargs(retrievers.BaseRetriever):
            def _get_relevant_documents(self, query, *, run_manager, k=1):
                return [document(page_content=query)] * k

        def show(found):
            return [plain(d) for d in found]

        one = Sync(prefix="p", tags=["t"])
        chain = {"context": one | show, "question": runnables.RunnablePassthrough()}
        return [
            show(one.invoke("q")),
            [show(chunk) for chunk in one.stream("q")],
            [show(each) for each in one.batch(["a", "b"])],
            [show(chunk) for chunk in one.transform(iter(["a", "b"]))],
            (one | show).invoke("q"),
            (runnables.RunnablePassthrough() | chain).invoke("q"),
            show(Kwargs().invoke("q", k=2)),
            show(Kwargs().bind(k=3).invoke("q")),
            show(one.invoke("q", unknown=1)),
            one.get_name(),
        ]

    theirs = program(lc_retrievers, lc_runnables, lc_documents.Document)
    assert program(retrievers, runnables, documents.Document) == theirs


def test_chat_histories():
    def program(history, messages):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # langchain-core deprecates them in its own favour
            kept = history.InMemoryChatMessageHistory()
        kept.add_user_message("hi")
        kept.add_ai_message(messages.AIMessage("hello"))
        kept.add_messages([messages.SystemMessage("be kind"), messages.HumanMessage("bye")])
        text, count = str(kept), len(kept.messages)
        kept.clear()
        return text, count, kept.messages

    assert program(chat_history, messages) == program(lc_history, lc_messages)


# ---- deliberate differences ----------------------------------------------------------------------


def test_a_negative_k_is_refused_where_langchain_drops_the_last_ones():
    both = Both(5, 3)
    assert len(both.stores[0].similarity_search("q", k=-1)) == 4
    with pytest.raises(ValueError, match="k is -1"):
        both.stores[1].similarity_search("q", k=-1)


def test_equal_scores_come_in_the_order_of_adding_where_langchain_reverses_them():
    embedding = Table(a=[1.0], b=[1.0], c=[1.0])
    stores = [
        library.InMemoryVectorStore.from_texts(["a", "b", "c"], embedding)
        for library in (lc_vectorstores, vectorstores)
    ]
    theirs, ours = ([d.page_content for d in s.similarity_search("a")] for s in stores)
    assert (theirs, ours) == (["c", "b", "a"], ["a", "b", "c"])


def test_of_equally_relevant_documents_the_most_similar_comes_where_langchain_rounds():
    # The query is a document's text, so at the default weight all other documents rate 0.
    both = Both(10, 4)
    call = {"k": 3, "fetch_k": 5}
    theirs, ours = both("max_marginal_relevance_search", "text 3", **call)
    similar = [d.page_content for d in both.stores[1].similarity_search("text 3", k=2)]
    assert [d.page_content for d in ours[:2]] == similar
    assert [d.page_content for d in theirs[:2]] != similar


def test_a_score_threshold_works_where_langchain_has_no_relevance():
    both = Both(5, 3)
    search = {"score_threshold": 0.999}
    call = {"search_type": "similarity_score_threshold", "search_kwargs": search}
    theirs, ours = both("as_retriever", **call)
    with pytest.raises(NotImplementedError):
        theirs.invoke("text 1")
    assert [d.page_content for d in ours.invoke("text 1")] == ["text 1"]


def test_texts_of_the_wrong_type_are_refused_where_langchain_takes_letters_for_texts():
    both = Both(1, 3)
    assert len(both.stores[0].add_texts("abc")) == 3
    with pytest.raises(ValueError, match="give a list of strings"):
        both.stores[1].add_texts("abc")


def test_vectors_that_are_missing_are_refused_where_langchain_drops_the_texts():
    class Short(Table):
        def embed_documents(self, texts):
            return [[1.0]]

    assert len(lc_vectorstores.InMemoryVectorStore(Short()).add_texts(["a", "b"])) == 1
    with pytest.raises(ValueError, match="gave 1 vectors for 2 texts"):
        vectorstores.InMemoryVectorStore(Short()).add_texts(["a", "b"])


def test_a_store_of_zero_vectors_is_searched_where_langchain_fails():
    embedding = Table(zero=[0.0, 0.0], one=[1.0, 0.0])
    stores = [
        library.InMemoryVectorStore.from_texts(["zero"], embedding)
        for library in (lc_vectorstores, vectorstores)
    ]
    with pytest.raises(ValueError, match="NaN"):
        stores[0].similarity_search("one")
    [(_, score)] = stores[1].similarity_search_with_score("one")
    assert score == 0
