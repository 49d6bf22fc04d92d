"""What users get wrong when they fill and search stores: a sentence, and nothing is embedded."""

from __future__ import annotations

import pytest

from headrace.documents import Document
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.errors import ConfigError, InputError
from headrace.retrievers import (
    BM25Retriever,
    ContextualCompressionRetriever,
    EmbeddingsFilter,
    MultiQueryRetriever,
)
from headrace.vectorstores import FAISS, InMemoryVectorStore, SQLiteVec
from laws.colours import every_colour

MODEL = DeterministicFakeEmbedding(size=4)


@pytest.fixture(params=["faiss", "in_memory", "sqlite"])
def empty(request, tmp_path):
    """A function from an embedding model to an empty store of it."""
    return {
        "faiss": FAISS,
        "in_memory": InMemoryVectorStore,
        "sqlite": lambda model: SQLiteVec(model, str(tmp_path / "a.db")),
    }[request.param]


@pytest.mark.parametrize("kind", ["None", "function", "class"])
def test_a_store_needs_a_model(empty, kind):
    wrong = {"None": None, "function": len, "class": DeterministicFakeEmbedding}[kind]
    with pytest.raises(ConfigError, match=r"embedding model of .* give an instance of Embeddings"):
        empty(wrong)


def test_documents_are_a_list_of_documents(empty):
    store = empty(MODEL)
    with pytest.raises(InputError, match="give a list of documents"):
        store.add_documents(Document("a"))
    with pytest.raises(InputError, match=r"one is 'a' \(str\).*add_texts"):
        store.add_documents(["a"])
    with pytest.raises(InputError, match="give a list of documents"):
        InMemoryVectorStore.from_documents(Document("a"), MODEL)


@every_colour
def test_what_a_loader_gives_lazily_is_taken_whole(colour):
    def body(doors):
        made = FAISS.from_documents((Document(text) for text in "ab"), MODEL)
        made.add_documents(Document(text) for text in "cd")
        return sorted(doc.page_content for doc in doors.invoke(made.as_retriever(), "a"))

    assert colour.run(body) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("query", [None, ["a"], {"question": "a"}], ids=["None", "list", "dict"])
def test_a_query_is_a_text(empty, query):
    store = empty(MODEL)
    store.add_texts(["a"])
    for search in (store.similarity_search, store.max_marginal_relevance_search):
        with pytest.raises(InputError, match="searched for a text"):
            search(query)


class Counting(DeterministicFakeEmbedding):
    """Counts what it is asked."""

    asked: int = 0

    def embed_query(self, text):
        self.asked += 1
        return super().embed_query(text)


SEARCHES = ["similarity", "similarity_score_threshold", "mmr"]
WRONG = [
    ("k", True, SEARCHES),
    ("k", -1, SEARCHES),
    ("k", 2.0, SEARCHES),
    ("k", None, SEARCHES),
    ("filter", 5, SEARCHES),
    ("fetch_k", 0, ["mmr"]),
    ("fetch_k", True, ["mmr"]),
    ("fetch_k", -1, ["mmr"]),
    ("lambda_mult", 1.5, ["mmr"]),
    ("lambda_mult", True, ["mmr"]),
    ("lambda_mult", "0.5", ["mmr"]),
    ("score_threshold", "0.5", ["similarity", "similarity_score_threshold"]),
    ("score_threshold", float("nan"), ["similarity", "similarity_score_threshold"]),
    ("top_k", 3, SEARCHES),
]


@every_colour
@pytest.mark.parametrize(("name", "value", "searches"), WRONG, ids=lambda x: str(x)[:12])
def test_a_wrong_search_is_refused_before_anything_is_embedded(
    colour, empty, name, value, searches
):
    def body(doors):
        model = Counting(size=4)
        store = empty(model)
        store.add_texts(["a", "b"])
        model.asked = 0
        for search in searches:
            threshold = {"score_threshold": 0.1} if search == "similarity_score_threshold" else {}
            retriever = store.as_retriever(search_type=search, search_kwargs=threshold)
            with pytest.raises(InputError, match=name):
                doors.invoke(retriever, "a", **{name: value})
        return model.asked

    assert colour.run(body) == 0


def test_ids_are_a_list(empty):
    store = empty(MODEL)
    store.add_texts(["a", "b"], ids=["a", "b"])
    with pytest.raises(InputError, match=r"delete\(ids='ab'\): give a list of ids"):
        store.delete("ab")
    assert len(store.get_by_ids(["a", "b"])) == 2


def test_merging_takes_the_same_kind_of_store():
    with pytest.raises(InputError, match="takes another FAISS, not InMemoryVectorStore"):
        FAISS(MODEL).merge_from(InMemoryVectorStore(MODEL))


def test_texts_of_bm25_are_a_list():
    with pytest.raises(InputError, match="texts is the string 'abc': give a list"):
        BM25Retriever.from_texts("abc")


def test_a_compressor_is_one():
    base = InMemoryVectorStore(MODEL).as_retriever()
    with pytest.raises(ValueError, match="give a BaseDocumentCompressor; a splitter"):
        ContextualCompressionRetriever(base_compressor=len, base_retriever=base)
    with pytest.raises(ValueError, match="did you mean 'similarity_threshold'") as told:
        EmbeddingsFilter(embeddings=MODEL, similarity_treshold=0.5)
    assert "errors.pydantic.dev" not in str(told.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"texts": None}, r"texts is None: give a list of strings"),
        ({"texts": ["a"], "metadatas": {"n": 1}}, r"metadatas is \{'n': 1\}: give a list"),
        ({"texts": ["a", "b"], "ids": "xy"}, r"ids is .*'xy': give a list"),
    ],
    ids=["texts", "metadatas", "ids"],
)
def test_what_is_added_is_lists(empty, arguments, says):
    store = empty(MODEL)
    with pytest.raises(InputError, match=says):
        store.add_texts(**arguments)
    assert store.similarity_search("a") == []


@pytest.mark.parametrize("ids", ["ab", None, 5], ids=["str", "None", "int"])
def test_ids_that_are_looked_for_are_a_list(empty, ids):
    store = empty(MODEL)
    store.add_texts(["a"], ids=["a"])
    for method in (store.get_by_ids, store.delete):
        if not (ids is None and isinstance(store, InMemoryVectorStore) and method == store.delete):
            with pytest.raises(InputError, match="give a list of ids"):
                method(ids)
    assert len(store.get_by_ids(["a"])) == 1


def test_vectors_that_are_added_come_with_their_texts():
    with pytest.raises(InputError, match=r"holds 'a': give pairs of a text and its vector"):
        FAISS(MODEL).add_embeddings(["a", "b"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"db_file": None}, "db_file is None"),
        ({"db_file": "a.db", "timeout": "5"}, "timeout is '5': give a number of seconds"),
        ({"db_file": "a.db", "timeout": -1}, "timeout is -1: give a number of seconds"),
    ],
    ids=["None", "text", "negative"],
)
def test_the_file_of_a_store_and_how_long_to_wait_for_it(arguments, says):
    with pytest.raises(InputError, match=says):
        SQLiteVec(MODEL, **arguments)


def test_what_bm25_is_made_of():
    with pytest.raises(InputError, match="texts is None: give a list"):
        BM25Retriever.from_texts(None)
    with pytest.raises(InputError, match="preprocess_func is 5: give a function"):
        BM25Retriever.from_texts(["a"], preprocess_func=5)


def test_a_prompt_is_no_string():
    base = InMemoryVectorStore(MODEL).as_retriever()
    with pytest.raises(ConfigError, match=r"is the string 'hi': give PromptTemplate"):
        MultiQueryRetriever.from_llm(base, lambda prompt: "x", prompt="hi")
