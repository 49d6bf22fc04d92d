"""`InMemoryVectorStore`: what it finds, with numpy and without, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from headrace.documents import Document
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.errors import InputError
from headrace.vectorstores import InMemoryVectorStore, similarity
from headrace.vectorstores.similarity import Rows, most_relevant

from .stores import Table

SRC = Path(__file__).parents[2] / "src"


@pytest.fixture(params=["numpy", "plain"], autouse=True)
def arithmetic(request, monkeypatch):
    """Everything here is tried both ways, whatever the sizes."""
    if request.param == "numpy":
        assert similarity._numpy() is not None
        monkeypatch.setattr(similarity, "_LARGE", 0)
    else:
        monkeypatch.setattr(similarity, "_numpy", lambda: None)
    return request.param


@pytest.fixture
def compass():
    """Directions in degrees: 0, 30, 60, 180."""
    table = Table(
        east=[2.0, 0.0],
        northeast=[3**0.5, 1.0],
        north=[0.5, 3**0.5 / 2],
        west=[-1.0, 0.0],
        nowhere=[0.0, 0.0],
    )
    return InMemoryVectorStore.from_texts(
        ["west", "north", "east"], table, [{"n": 1}, {"n": 2}, {"n": 3}], ids=["w", "n", "e"]
    )


def texts(documents):
    return [document.page_content for document in documents]


async def test_the_score_is_the_cosine_best_first(compass):
    expected = [
        (Document("east", {"n": 3}, "e"), pytest.approx(1.0, abs=1e-15)),
        (Document("north", {"n": 2}, "n"), pytest.approx(0.5)),
        (Document("west", {"n": 1}, "w"), pytest.approx(-1.0, abs=1e-15)),
    ]
    found = compass.similarity_search_with_score("east")
    assert found == expected
    assert all(-1 <= score <= 1 for _, score in found)
    assert await compass.asimilarity_search_with_score("east") == expected
    assert compass.similarity_search_with_score_by_vector([5.0, 0.0], 2) == expected[:2]
    documents = [document for document, _ in expected]
    assert compass.similarity_search("east", k=2) == documents[:2]
    assert await compass.asimilarity_search("east", k=1) == documents[:1]
    assert compass.similarity_search_by_vector([1.0, 0.1]) == documents
    assert await compass.asimilarity_search_by_vector([1.0, 0.1], k=1) == documents[:1]


def test_k_may_be_more_than_there_are_and_none(compass):
    assert len(compass.similarity_search("east", k=99)) == 3
    assert compass.similarity_search("east", k=0) == []
    assert compass.max_marginal_relevance_search("east", k=0) == []
    assert len(compass.max_marginal_relevance_search("east", k=99)) == 3
    assert InMemoryVectorStore(Table(a=[1.0])).similarity_search("a") == []
    assert InMemoryVectorStore(Table(a=[1.0])).max_marginal_relevance_search("a") == []


def test_of_equal_scores_the_first_added_comes_first():
    names = [f"t{i}" for i in range(40)]
    store = InMemoryVectorStore(Table(**{name: [1.0, 2.0] for name in names}))
    store.add_texts(names)
    assert texts(store.similarity_search("t3", k=30)) == names[:30]
    assert texts(store.similarity_search("t3", k=30, filter=lambda d: True)) == names[:30]
    assert texts(store.max_marginal_relevance_search("t3", k=3, fetch_k=40)) == names[:3]


def test_a_filter_says_what_may_be_found_and_is_asked_no_further_than_needed(compass):
    asked = []

    def odd(document):
        asked.append(document)
        return document.metadata["n"] % 2 == 1

    assert texts(compass.similarity_search("east", filter=odd)) == ["east", "west"]
    assert texts(compass.max_marginal_relevance_search("east", filter=odd)) == ["east", "west"]
    asked.clear()
    assert texts(compass.similarity_search("east", k=1, filter=odd)) == ["east"]
    assert asked == [Document("east", {"n": 3}, "e")]
    retriever = compass.as_retriever(search_kwargs={"filter": lambda d: d.id == "w"})
    assert texts(retriever.invoke("east")) == ["west"]


async def test_marginal_relevance_leaves_out_what_repeats():
    vectors = {"q": [1, 0, 0], "near": [0.9, 0.1, 0], "near2": [0.9, 0.11, 0], "far": [0.5, 0, 0.8]}
    store = InMemoryVectorStore.from_texts(["near", "near2", "far"], Table(**vectors))
    assert texts(store.similarity_search("q", k=2)) == ["near", "near2"]
    diverse = store.max_marginal_relevance_search("q", k=2)
    assert texts(diverse) == ["near", "far"]
    assert await store.amax_marginal_relevance_search("q", k=2) == diverse
    assert await store.amax_marginal_relevance_search_by_vector([1, 0, 0], k=2) == diverse
    by_query = store.max_marginal_relevance_search("q", k=3, lambda_mult=1)
    assert texts(by_query) == ["near", "near2", "far"]
    assert texts(store.max_marginal_relevance_search("q", k=2, fetch_k=2)) == ["near", "near2"]
    retriever = store.as_retriever(search_type="mmr", search_kwargs={"k": 2, "fetch_k": 3})
    assert retriever.invoke("q") == await retriever.ainvoke("q") == diverse


def test_the_relevance_is_the_cosine_and_0_for_what_points_away(compass):
    found = compass.similarity_search_with_relevance_scores("east")
    assert [(d.id, score) for d, score in found] == [
        ("e", pytest.approx(1)),
        ("n", pytest.approx(0.5)),
        ("w", 0),
    ]
    retriever = compass.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.4}
    )
    assert texts(retriever.invoke("east")) == ["east", "north"]


def test_a_document_without_direction_is_similar_to_nothing(compass):
    compass.add_texts(["nowhere"], ids=["0"])
    found = compass.similarity_search_with_score("north")
    assert [(d.id, round(score, 3)) for d, score in found] == [
        ("n", 1.0),
        ("e", 0.5),
        ("0", 0.0),
        ("w", -0.5),
    ]
    assert len(compass.max_marginal_relevance_search("north", k=4)) == 4


# ---- what is in it -------------------------------------------------------------------------------


async def test_add_replace_get_and_delete(compass):
    assert compass.get_by_ids(["e", "?", "w"]) == [
        Document("east", {"n": 3}, "e"),
        Document("west", {"n": 1}, "w"),
    ]
    assert await compass.aget_by_ids(["?"]) == []
    assert compass.add_documents([Document("northeast", {"new": True}, "w")]) == ["w"]
    assert compass.similarity_search("northeast", k=1) == [
        Document("northeast", {"new": True}, "w")
    ]
    assert compass.store["w"]["vector"] == [3**0.5, 1.0]
    compass.delete(["w", "?"])
    assert texts(compass.similarity_search("west")) == ["north", "east"]
    await compass.adelete(["n"])
    assert texts(compass.similarity_search("west")) == ["east"]
    compass.delete()
    assert list(compass.store) == ["e"]


async def test_ids_are_given_else_the_documents_own_else_new(compass):
    documents = [Document("east", id="own"), Document("west")]
    first = compass.add_documents(documents)
    assert first[0] == "own"
    assert first[1] not in ("own", "", None)
    assert await compass.aadd_documents(documents, ids=["x", "y"]) == ["x", "y"]
    again = compass.add_texts(["east", "east"])
    assert len({*again, *first}) == 4


def test_results_are_copies_so_that_changing_them_changes_no_store(compass):
    given = {"n": 9}
    compass.add_texts(["east"], [given], ids=["new"])
    given["n"] = 10
    compass.get_by_ids(["new"])[0].metadata["n"] = 11
    compass.similarity_search("east")[0].metadata.clear()
    assert compass.get_by_ids(["new"])[0].metadata == {"n": 9}


def test_a_change_by_hand_of_the_public_dict_is_seen(compass):
    compass.similarity_search("east")
    del compass.store["e"]
    assert texts(compass.similarity_search("east", k=1)) == ["north"]


async def test_the_async_methods_ask_the_model_async():
    class OnlyAsync(Table):
        def embed_documents(self, texts):
            raise AssertionError("sync")

        embed_query = embed_documents

        async def aembed_documents(self, texts):
            return [self.vectors[text] for text in texts]

        async def aembed_query(self, text):
            return self.vectors[text]

    model = OnlyAsync(a=[1.0, 0.0], b=[0.0, 1.0])
    store = await InMemoryVectorStore.afrom_texts(["a", "b"], model)
    assert texts(await store.asimilarity_search("b")) == ["b", "a"]
    assert texts(await store.amax_marginal_relevance_search("a", k=1)) == ["a"]
    assert texts(await store.as_retriever().ainvoke("a")) == ["a", "b"]


def test_tags_of_its_retriever_name_store_and_model(compass):
    assert compass.as_retriever().tags == ["InMemoryVectorStore", "Table"]


def test_many_threads_add_search_and_delete():
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
    failures = []

    def work(n):
        try:
            for i in range(20):
                [name] = store.add_texts([f"{n}/{i}"])
                assert texts(store.similarity_search(f"{n}/{i}", k=1)) == [f"{n}/{i}"]
                if i % 2:
                    store.delete([name])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    kept = texts(store.similarity_search("0/0", k=99))
    assert sorted(kept) == sorted(f"{n}/{i}" for n in range(4) for i in range(0, 20, 2))


# ---- what it refuses -----------------------------------------------------------------------------


@pytest.mark.parametrize("k", [-1, 1.5, "2", None, True])
def test_a_wrong_k(compass, k):
    for search in (compass.similarity_search, compass.max_marginal_relevance_search):
        with pytest.raises(InputError, match=r"k is .*: give the number of documents you want"):
            search("east", k=k)
    with pytest.raises(InputError, match="fetch_k is "):
        compass.max_marginal_relevance_search("east", fetch_k=k)


@pytest.mark.parametrize("weight", [-0.1, 1.1])
def test_a_wrong_weight(compass, weight):
    with pytest.raises(InputError, match=f"lambda_mult is {weight}: give a number from 0 to 1"):
        compass.max_marginal_relevance_search("east", lambda_mult=weight)


def test_a_filter_is_a_dict_of_metadata_as_for_the_other_stores(compass):
    found = compass.similarity_search("east", filter={"n": {"$lt": 3}})
    assert texts(found) == ["north", "west"]
    assert compass.similarity_search("east", filter={"n": 9}) == []


def test_a_filter_that_is_none(compass):
    with pytest.raises(InputError, match="filter is 1: give a dict"):
        compass.similarity_search("east", filter=1)
    with pytest.raises(InputError, match="greater"):
        compass.similarity_search("east", filter={"n": {"$greater": 1}})


async def test_a_wrong_number_of_ids_and_vectors(compass):
    with pytest.raises(InputError, match="There are 1 ids for 2 documents"):
        compass.add_documents([Document("east"), Document("west")], ids=["a"])
    with pytest.raises(InputError, match="There are 1 ids for 2 documents"):
        await compass.aadd_documents([Document("east"), Document("west")], ids=["a"])
    compass.embedding.embed_documents = lambda texts: [[1.0, 0.0]]
    with pytest.raises(InputError, match="Table gave 1 vectors for 2 texts"):
        compass.add_texts(["east", "west"])
    assert len(compass.store) == 3


@pytest.mark.parametrize(
    ("vector", "says"),
    [
        ([1.0, 0.0, 0.0], "has 3 dimensions and those in the store have 2"),
        ([], "is empty"),
        ([1.0, float("nan")], "holds a number that is not finite"),
        ([1.0, float("inf")], "holds a number that is not finite"),
        (["a", "b"], "cannot be read as one"),
    ],
)
def test_a_wrong_vector_is_refused_and_nothing_of_its_batch_is_kept(compass, vector, says):
    compass.embedding.vectors["wrong"] = vector
    with pytest.raises(InputError, match=says):
        compass.add_texts(["east", "wrong"])
    with pytest.raises(InputError, match=says):
        compass.similarity_search("wrong")
    assert len(compass.store) == 3
    empty = InMemoryVectorStore(Table(two=[1.0, 0.0], three=[1.0, 0.0, 0.0]))
    with pytest.raises(InputError, match="has 3 dimensions"):
        empty.add_texts(["two", "three"])
    assert empty.store == {}


def test_a_query_without_direction(compass):
    with pytest.raises(InputError, match="The query's embedding is all zeros"):
        compass.similarity_search("nowhere")


# ---- files ---------------------------------------------------------------------------------------


def test_what_is_dumped_can_be_loaded(compass, tmp_path):
    path = tmp_path / "new folder" / "store.json"
    compass.dump(path)
    loaded = InMemoryVectorStore.load(path, compass.embedding)
    assert loaded.store == compass.store
    assert loaded.similarity_search_with_score("east") == compass.similarity_search_with_score(
        "east"
    )
    assert [file.name for file in path.parent.iterdir()] == ["store.json"]


def test_a_dump_that_fails_leaves_the_old_file_alone(compass, tmp_path, monkeypatch):
    path = tmp_path / "store.json"
    compass.dump(path)
    before = path.read_text()
    compass.add_documents([Document("east", {"when": object()})])
    with pytest.raises(InputError, match="cannot be written as JSON"):
        compass.dump(path)
    compass.delete([next(reversed(compass.store))])
    monkeypatch.setattr("os.fsync", lambda fd: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        compass.dump(path)
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "[]", '{"a": {"text": "b"}}', '{"a": 1}', "nonsense"])
def test_a_file_that_is_no_dump(content, tmp_path):
    path = tmp_path / "store.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"is not a file that InMemoryVectorStore\.dump"):
        InMemoryVectorStore.load(path, Table())


# ---- numpy ---------------------------------------------------------------------------------------


def test_both_arithmetics_agree(monkeypatch):
    embedding = DeterministicFakeEmbedding(size=16)
    vectors = embedding.embed_documents([str(i) for i in range(50)])
    query = embedding.embed_query("query")
    found = []
    for plain in (False, True):
        monkeypatch.setattr(similarity, "_LARGE", 10**9 if plain else 0)
        monkeypatch.setattr(similarity, "_numpy", lambda: __import__("numpy"))
        rows = Rows(vectors)
        assert (rows._matrix is None) is plain
        scores = rows.cosines(query)
        found.append((scores, most_relevant(scores, rows, 20, 0.3)))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-12)
    assert found[0][1] == found[1][1]


def test_numpy_is_imported_for_large_stores_only_and_may_be_missing():
    program = """
import sys
if sys.argv[1] == "missing":
    sys.modules["numpy"] = None
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.vectorstores import InMemoryVectorStore
store = InMemoryVectorStore(DeterministicFakeEmbedding(size=4))
store.add_texts(["a", "b"])
assert store.max_marginal_relevance_search("a", k=1)[0].page_content == "a"
assert sys.modules.get("numpy") is None
store.embedding = DeterministicFakeEmbedding(size=700)
store.store.clear()
store.add_texts([str(i) for i in range(100)])
print(store.similarity_search("7", k=1)[0].page_content, sys.modules.get("numpy") is not None)
"""
    for case, loaded in (("present", True), ("missing", False)):
        done = subprocess.run(
            [sys.executable, "-c", program, case],
            env={"PYTHONPATH": str(SRC)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == ["7", str(loaded)]


def test_the_vectors_are_prepared_once_for_many_searches(compass, monkeypatch):
    made = []
    monkeypatch.setattr(
        "headrace.vectorstores.in_memory.Rows", lambda vectors: made.append(1) or Rows(vectors)
    )
    compass.delete([])
    for _ in range(5):
        compass.similarity_search("east")
    assert len(made) == 1
    assert json.dumps(compass.store)  # plain values only, whatever prepared them
