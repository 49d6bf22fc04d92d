"""What a store gets from `VectorStore` for the little it writes, and the retriever over it."""

from __future__ import annotations

import logging

import pytest
from pydantic import ValidationError

from headrace.documents import Document
from headrace.errors import HeadraceError, InputError
from headrace.vectorstores import UnsupportedError, VectorStore, VectorStoreRetriever

from .stores import Smallest, WithAsync, WithDocuments, WithTexts

STORES = [WithTexts, WithDocuments, WithAsync]


@pytest.mark.parametrize("kind", STORES)
async def test_adding_texts_and_adding_documents_come_to_the_same(kind):
    texts, metadatas = ["apple", "pear"], [{"n": 1}, {"n": 2}]
    documents = [Document(t, m) for t, m in zip(texts, metadatas, strict=True)]
    stores = [kind() for _ in range(4)]
    assert stores[0].add_texts(texts, metadatas) == ["1", "2"]
    assert stores[1].add_documents(documents) == ["1", "2"]
    assert await stores[2].aadd_texts(iter(texts), metadatas) == ["1", "2"]
    assert await stores[3].aadd_documents(documents) == ["1", "2"]
    made = [
        *stores,
        kind.from_texts(texts, None, metadatas),
        await kind.afrom_texts(texts, None, metadatas),
        kind.from_documents(documents, None),
        await kind.afrom_documents(documents, None),
    ]
    expected = {"1": Document("apple", {"n": 1}, "1"), "2": Document("pear", {"n": 2}, "2")}
    assert [store.documents for store in made] == [expected] * 8


@pytest.mark.parametrize("kind", STORES)
async def test_ids_are_those_given_else_the_documents_own(kind):
    store = kind()
    assert store.add_texts(["a", "b"], ids=["x", "y"]) == ["x", "y"]
    assert await store.aadd_texts(["c"], ids=["z"]) == ["z"]
    assert store.add_documents([Document("d", id="own"), Document("e")]) == ["own", "5"]
    assert await store.aadd_documents([Document("f", id="own2")]) == ["own2"]
    assert store.add_documents([Document("g", id="own3")], ids=["given"]) == ["given"]
    assert kind.from_documents([Document("a", id="k")], None).documents.keys() == {"k"}
    assert (await kind.afrom_texts(["a"], None, ids=["k"])).documents.keys() == {"k"}


@pytest.mark.parametrize("kind", [WithDocuments, WithAsync])
@pytest.mark.parametrize("given", [{"metadatas": [{}]}, {"ids": ["1"]}, {"ids": list("123")}])
async def test_as_many_metadatas_and_ids_as_texts(kind, given):
    with pytest.raises(InputError, match=r"There are \d (metadatas|ids) for 2 texts"):
        kind().add_texts(["a", "b"], **given)
    with pytest.raises(InputError, match=r"There are \d (metadatas|ids) for 2 texts"):
        await kind().aadd_texts(["a", "b"], **given)


def test_a_string_is_not_a_list_of_texts():
    with pytest.raises(InputError, match="texts is the string 'apple': give a list"):
        WithDocuments().add_texts("apple")


async def test_a_stores_own_async_methods_are_taken():
    store = WithAsync()
    await store.aadd_texts(["apple"])
    await store.asearch("app", "similarity")
    await store.as_retriever().ainvoke("app")
    assert store.called == ["aadd_documents", "asimilarity_search", "asimilarity_search"]


CALLS = [
    ("add_texts", (["a"],)),
    ("add_documents", ([Document("a")],)),
    ("delete", (["1"],)),
    ("get_by_ids", (["1"],)),
    ("similarity_search_with_score", ("a",)),
    ("similarity_search_by_vector", ([1.0],)),
    ("similarity_search_with_relevance_scores", ("a",)),
    ("max_marginal_relevance_search", ("a",)),
    ("max_marginal_relevance_search_by_vector", ([1.0],)),
]


@pytest.mark.parametrize(("method", "given"), CALLS)
async def test_what_a_store_does_not_have_is_said_by_name(method, given):
    for call in (getattr(Smallest(), method), getattr(Smallest(), f"a{method}")):
        with pytest.raises(UnsupportedError, match=r"Smallest has no \w+\(\)") as caught:
            result = call(*given)
            if not isinstance(result, list):
                await result
        assert isinstance(caught.value, NotImplementedError)
        assert isinstance(caught.value, HeadraceError)


def test_the_base_names_what_must_be_written():
    with pytest.raises(TypeError, match=r"from_texts.*similarity_search"):
        VectorStore()


# ---- relevance -----------------------------------------------------------------------------------


class Distances(WithTexts):
    """Scores are distances: 0 is best."""

    def similarity_search_with_score(self, query, k=4, **kwargs):
        return [(d, d.metadata["distance"]) for d in self.similarity_search(query, k)]

    def _select_relevance_score_fn(self):
        return lambda distance: 1.0 - distance


@pytest.fixture
def distances():
    metadatas = [{"distance": 0.1}, {"distance": 0.5}, {"distance": 0.9}]
    return Distances.from_texts(["apple 1", "apple 2", "apple 3"], None, metadatas)


async def test_relevance_is_made_of_the_stores_score(distances):
    expected = [("apple 1", 0.9), ("apple 2", 0.5), ("apple 3", pytest.approx(0.1))]
    for threshold, kept in ((None, 3), (0.5, 2), (0.6, 1), (1, 0)):
        given = {"k": 3, "score_threshold": threshold}
        sync = distances.similarity_search_with_relevance_scores("apple", **given)
        twin = await distances.asimilarity_search_with_relevance_scores("apple", **given)
        assert sync == twin
        assert [(d.page_content, score) for d, score in sync] == expected[:kept]


def test_a_threshold_that_nothing_reaches_is_logged(distances, caplog):
    with caplog.at_level(logging.WARNING, "headrace"):
        distances.similarity_search_with_relevance_scores("apple", score_threshold=0.95)
        assert [r.message for r in caplog.records] == [
            "No document reached the score_threshold of 0.95: the best one has 0.900."
        ]
        distances.similarity_search_with_relevance_scores("nothing", score_threshold=0.95)
        assert len(caplog.records) == 1


# ---- the retriever -------------------------------------------------------------------------------


async def test_a_store_is_a_retriever():
    store = WithTexts.from_texts(["apple pie", "apple", "pear"], None)
    retriever = store.as_retriever(search_kwargs={"k": 1})
    one = [Document("apple pie", {}, "1")]
    assert retriever.invoke("apple") == await retriever.ainvoke("apple") == one
    assert list(retriever.stream("apple")) == [one]
    assert [chunk async for chunk in retriever.astream("apple")] == [one]
    assert len(retriever.invoke("apple", k=2)) == len(await retriever.ainvoke("apple", k=2)) == 2
    assert retriever.search_kwargs == {"k": 1}


async def test_a_retriever_adds_to_its_store():
    retriever = WithTexts().as_retriever()
    retriever.add_documents([Document("a", id="x")])
    await retriever.aadd_documents([Document("ab", id="y")])
    assert [d.id for d in retriever.invoke("a")] == ["x", "y"]


async def test_the_search_type_says_which_search(distances):
    threshold = {"score_threshold": 0.6}
    retriever = distances.as_retriever(
        search_type="similarity_score_threshold", search_kwargs=threshold
    )
    documents = retriever.invoke("apple")
    assert [d.page_content for d in documents] == ["apple 1"]
    assert await retriever.ainvoke("apple") == documents
    assert distances.search("apple", "similarity_score_threshold", **threshold) == documents
    assert await distances.asearch("apple", "similarity_score_threshold", **threshold) == documents
    with pytest.raises(UnsupportedError, match="max_marginal_relevance_search"):
        distances.as_retriever(search_type="mmr").invoke("apple")


def test_tags_name_the_store_and_can_be_given():
    assert WithTexts().as_retriever().tags == ["WithTexts"]
    assert WithTexts().as_retriever(tags=["mine"], metadata={"a": 1}).tags == ["mine"]


async def test_an_unknown_search_type_is_refused_with_the_known_ones():
    known = r"'mmr', 'similarity', 'similarity_score_threshold'"
    with pytest.raises(ValidationError, match=f"search_type 'best' is unknown.*{known}"):
        WithTexts().as_retriever(search_type="best")
    with pytest.raises(InputError, match=f"search_type 'best' is unknown.*{known}"):
        WithTexts().search("a", "best")
    with pytest.raises(InputError, match=f"search_type 'best' is unknown.*{known}"):
        await WithTexts().asearch("a", "best")


@pytest.mark.parametrize("threshold", [None, "0.5", 1.5, -0.1, True])
def test_a_threshold_is_a_number_from_0_to_1(threshold):
    with pytest.raises(ValidationError, match="with a number from 0 to 1; it is "):
        VectorStoreRetriever(
            vectorstore=WithTexts(),
            search_type="similarity_score_threshold",
            search_kwargs={"score_threshold": threshold},
        )


def test_a_retriever_refuses_what_is_no_field_and_no_store():
    with pytest.raises(InputError, match=r"give search_kwargs=\{'k': 2\}"):
        WithTexts().as_retriever(k=2)
    with pytest.raises(ValidationError, match="size"):
        WithTexts().as_retriever(size=2)
    with pytest.raises(ValidationError, match="vectorstore"):
        VectorStoreRetriever(vectorstore=object())


def test_a_retriever_over_a_store_says_what_it_wants_when_it_gets_a_dict():
    with pytest.raises(InputError, match=r"got \{'question': 'a'\}.*itemgetter"):
        WithTexts().as_retriever().invoke({"question": "a"})
