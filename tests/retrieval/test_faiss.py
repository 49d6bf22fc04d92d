"""`FAISS`: what its arguments do, what it refuses, and searches beside changes.

What every store does is in test_store_conformance.py and test_store_properties.py.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import faiss as faiss_library
import numpy as np
import pytest

from headrace.documents import Document
from headrace.embeddings import DeterministicFakeEmbedding, Embeddings
from headrace.errors import HeadraceError, InputError, MissingExtraError
from headrace.language_models import FakeListChatModel
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.runnables import RunnablePassthrough
from headrace.vectorstores import FAISS, DistanceStrategy
from laws.colours import every_colour

from .stores import Table

SRC = Path(__file__).parents[2] / "src"


def compass(**settings):
    """Directions in degrees, 0, 30, 60, 180, of different lengths."""
    table = Table(
        east=[2.0, 0.0],
        northeast=[3**0.5, 1.0],
        north=[0.5, 3**0.5 / 2],
        west=[-1.0, 0.0],
        nowhere=[0.0, 0.0],
    )
    texts, metadatas = ["west", "north", "east"], [{"n": 1}, {"n": 2}, {"n": 3}]
    return FAISS.from_texts(texts, table, metadatas, ["w", "n", "e"], **settings)


def texts(found):
    documents = [each[0] if isinstance(each, tuple) else each for each in found]
    return [document.page_content for document in documents]


def ask(doors, store, method, *args, **kwargs):
    """A method, or its async twin in the async colour."""
    if doors.asynchronous:
        return doors.wait(getattr(store, f"a{method}")(*args, **kwargs))
    return getattr(store, method)(*args, **kwargs)


def vectors(count, size, seed=0):
    return np.random.default_rng(seed).standard_normal((count, size), dtype=np.float32)


class Unasked(Embeddings):
    """For stores whose vectors are given."""

    def embed_documents(self, texts):
        raise AssertionError("asked for texts")

    embed_query = embed_documents


def store_of(rows, **settings):
    names = [str(i) for i in range(len(rows))]
    return FAISS.from_embeddings(zip(names, rows, strict=True), Unasked(), None, names, **settings)


# ---- scores --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "scores", "relevances"),
    [
        ({}, [0.0, 3.0, 9.0], [1.0, 0.0, 0.0]),
        ({"distance_strategy": "cosine"}, [1.0, 0.5, -1.0], [1.0, 0.5, 0.0]),
        ({"distance_strategy": "inner_product"}, [4.0, 1.0, -2.0], [1.0, 1.0, 0.0]),
        ({"normalize_L2": True}, [0.0, 1.0, 4.0], [1.0, 0.5, 0.0]),
        (
            {"normalize_L2": True, "distance_strategy": "inner_product"},
            [1.0, 0.5, -1.0],
            [1.0, 0.5, 0.0],
        ),
        (
            {"relevance_score_fn": lambda score: 1 / (1 + score)},
            [0.0, 3.0, 9.0],
            [1.0, 0.25, 0.1],
        ),
    ],
    ids=["l2", "cosine", "inner product", "unit l2", "unit inner product", "own relevance"],
)
@every_colour
def test_scores_and_relevances(colour, settings, scores, relevances):
    store = compass(**settings)

    def body(doors):
        found = ask(doors, store, "similarity_search_with_score", "east")
        assert texts(found) == ["east", "north", "west"]
        assert [score for _, score in found] == pytest.approx(scores, abs=1e-6)
        by_vector = ask(doors, store, "similarity_search_with_score_by_vector", [2.0, 0.0])
        assert by_vector == found
        found = ask(doors, store, "similarity_search_with_relevance_scores", "east")
        assert [score for _, score in found] == pytest.approx(relevances, abs=1e-6)

    colour.run(body)


def test_names_of_distances():
    for name in ("cosine", "COSINE", DistanceStrategy.COSINE):
        assert compass(distance_strategy=name).distance_strategy is DistanceStrategy.COSINE
    for name in ("l2", "L2", "EUCLIDEAN_DISTANCE", "euclidean"):
        found = compass(distance_strategy=name).distance_strategy
        assert found is DistanceStrategy.EUCLIDEAN_DISTANCE
    for name in ("inner_product", "MAX_INNER_PRODUCT", "DOT_PRODUCT"):
        found = compass(distance_strategy=name).distance_strategy
        assert found is DistanceStrategy.MAX_INNER_PRODUCT
    with pytest.raises(InputError, match="distance_strategy 'JACCARD' is unknown: use one of 'l2'"):
        compass(distance_strategy="JACCARD")


def test_score_threshold_is_of_the_store_s_own_score():
    assert texts(compass().similarity_search("east", score_threshold=3.5)) == ["east", "north"]
    cosine = compass(distance_strategy="cosine")
    assert texts(cosine.similarity_search("east", score_threshold=0.6)) == ["east"]
    retriever = cosine.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.4, "k": 9}
    )
    assert texts(retriever.invoke("east")) == ["east", "north"]


@every_colour
def test_a_filter_finds_what_is_far_away(colour):
    """Also in indexes that look at what is near only, and whatever `fetch_k` is."""
    rows = vectors(2000, 8)
    kinds = ({}, {"index": "ivf", "nprobe": 1}, {"index": "hnsw", "M": 4, "ef_search": 4})
    stores = [store_of(rows, **kind) for kind in kinds]
    far = str(np.linalg.norm(rows - rows[0], axis=1).argmax())

    def body(doors):
        for store in stores:
            store.add_embeddings([("x", rows[1])], [{"n": 1}], ["far"])
            given = {"filter": {"n": 1}, "fetch_k": 1}
            found = ask(doors, store, "similarity_search_by_vector", rows[0], **given)
            assert [document.id for document in found] == ["far"]
            found = ask(doors, store, "similarity_search_by_vector", rows[0], k=2001)
            assert len(found) == 2001
            assert found[-1].id == far

    colour.run(body)


@pytest.mark.parametrize(
    "settings", [{"index": "ivf", "nprobe": 1}, {"index": "hnsw", "M": 2, "ef_search": 1}], ids=repr
)
def test_what_is_filtered_is_searched_exactly(settings):
    rows = vectors(2000, 16)
    store = store_of(rows, **settings)
    exact = store_of(rows)
    odd = lambda metadata: metadata["odd"]  # noqa: E731
    differ = 0
    for each in (store, exact):
        pairs = [(str(i), row) for i, row in enumerate(rows)]
        metadatas = [{"odd": i % 2 == 1} for i in range(2000)]
        each.add_embeddings(pairs, metadatas, [text for text, _ in pairs])
    for query in vectors(10, 16, seed=1):
        expected = exact.similarity_search_with_score_by_vector(query, filter=odd)
        found = store.similarity_search_with_score_by_vector(query, filter=odd)
        assert [d.id for d, _ in found] == [d.id for d, _ in expected]
        differ += store.similarity_search_by_vector(query) != exact.similarity_search_by_vector(
            query
        )
    assert differ, "this index finds all without a filter too"


@pytest.mark.parametrize("distance", ["l2", "cosine"])
def test_marginal_relevance(distance):
    table = Table(q=[1, 0, 0], near=[0.9, 0.1, 0], near2=[0.9, 0.11, 0], far=[0.5, 0, 0.8])
    store = FAISS.from_texts(["near", "near2", "far"], table, distance_strategy=distance)
    assert texts(store.max_marginal_relevance_search("q", k=2)) == ["near", "far"]
    assert texts(store.max_marginal_relevance_search("q", k=2, fetch_k=2)) == ["near", "near2"]
    retriever = store.as_retriever(
        search_type="mmr", search_kwargs={"k": 2, "fetch_k": 3, "lambda_mult": 0.5}
    )
    assert texts(retriever.invoke("q")) == ["near", "far"]


# ---- what is in it -------------------------------------------------------------------------------


def test_what_faiss_holds_can_be_looked_at():
    store = compass()
    assert isinstance(store.index, faiss_library.IndexFlat)
    assert (store.index.ntotal, store.index.d) == (3, 2)
    assert store.index_to_docstore_id == {0: "w", 1: "n", 2: "e"}
    store.delete(["n"])
    store.add_texts(["east"], ids=["w"])
    assert store.index_to_docstore_id == {2: "e", 3: "w"}
    empty = FAISS(Unasked())
    assert (empty.index, empty.index_to_docstore_id) == (None, {})
    assert repr(compass()).startswith("FAISS(embeddings=")


def test_an_emptied_store_takes_vectors_of_another_dimension():
    store = compass()
    store.delete(["w", "n", "e"])
    assert store.index is None
    store.add_embeddings([("x", [1.0, 2.0, 3.0])])
    assert store.index.d == 3


def test_most_being_deleted_makes_a_new_index():
    rows = vectors(3000, 4)
    for kind in ("flat", "ivf", "hnsw"):
        store = store_of(rows, index=kind)
        first = store.index
        store.delete([str(i) for i in range(1500)])
        assert store.index is first
        store.delete([str(i) for i in range(1500, 1600)])
        assert store.index.ntotal == len(store.index_to_docstore_id) == 1400
        [found] = store.similarity_search_by_vector(rows[1700], k=1)
        assert found.id == "1700"


def test_ivf_is_flat_until_there_is_enough_to_train_with():
    rows = vectors(6000, 4)
    store = store_of(rows[:1481], index="ivf")
    assert isinstance(store.index, faiss_library.IndexFlat)
    store.add_embeddings([("x", rows[1481])], ids=["1481"])
    assert (store.index.nlist, store.index.ntotal) == (38, 1482)
    store.add_embeddings(zip("y" * 3000, rows[1482:4482], strict=True))
    assert store.index.nlist == 38
    store.add_embeddings(zip("y" * 1518, rows[4482:6000], strict=True))
    assert (store.index.nlist, store.index.ntotal) == (77, 6000)
    assert store.similarity_search_by_vector(rows[1481], k=1)[0].id == "1481"
    given = store_of(rows[:400], index="ivf", nlist=10)
    assert given.index.nlist == 10
    assert isinstance(store_of(rows[:389], index="ivf", nlist=10).index, faiss_library.IndexFlat)


def test_settings_reach_faiss():
    hnsw = store_of(vectors(50, 4), index="hnsw", M=5, ef_construction=17).index
    assert isinstance(hnsw, faiss_library.IndexHNSWFlat)
    assert hnsw.hnsw.efConstruction == 17
    assert hnsw.hnsw.nb_neighbors(1) == 5
    # One cell is searched, so recall is poor, and with all of them it is perfect.
    rows, queries = vectors(4000, 16), vectors(50, 16, seed=1)
    exact = store_of(rows)
    hits = {}
    for nprobe in (1, 63):
        store = store_of(rows, index="ivf", nprobe=nprobe)
        hits[nprobe] = sum(
            store.similarity_search_by_vector(q, 1) == exact.similarity_search_by_vector(q, 1)
            for q in queries
        )
    assert hits[1] < 40
    assert hits[63] == 50


@every_colour
def test_merging(colour):
    def body(doors):
        store, other = compass(), compass()
        other.delete(["e"])
        other.add_texts(["northeast"], [{"new": True}], ids=["n"])
        ask(doors, store, "merge_from", other)
        held = store.index.ntotal
        ask(doors, store, "merge_from", store)
        assert store.index.ntotal == held
        assert store.get_by_ids(["w", "n", "e"]) == [
            Document("west", {"n": 1}, "w"),
            Document("northeast", {"new": True}, "n"),
            Document("east", {"n": 3}, "e"),
        ]
        assert texts(store.similarity_search("north", k=2)) == ["northeast", "east"]
        assert other.get_by_ids(["e"]) == []
        empty = FAISS(Unasked())
        ask(doors, empty, "merge_from", other)
        ask(doors, empty, "merge_from", FAISS(Unasked()))
        assert len(empty.index_to_docstore_id) == 2

    colour.run(body)


def test_stores_that_do_not_go_together():
    with pytest.raises(InputError, match=r"do not compare alike .*COSINE, vectors made 1 long"):
        compass().merge_from(compass(distance_strategy="cosine"))
    with pytest.raises(InputError, match="has 3 dimensions and those in the store have 2"):
        compass().merge_from(store_of(vectors(2, 3)))


@every_colour
def test_texts_with_vectors_of_their_own(colour):
    def body(doors):
        pairs = [("a", [1.0, 0.0]), ("b", [0.0, 1.0])]
        store = ask(doors, FAISS, "from_embeddings", pairs, Unasked(), [{"n": 1}, {"n": 2}])
        assert texts(ask(doors, store, "similarity_search_by_vector", [0.1, 0.9])) == ["b", "a"]
        [document] = store.similarity_search_by_vector([1.0, 0.0], k=1)
        assert document == Document("a", {"n": 1}, document.id)
        assert store.add_embeddings([]) == []

    colour.run(body)


async def test_the_async_methods_ask_the_model_async():
    class OnlyAsync(Table):
        def embed_documents(self, texts):
            raise AssertionError("sync")

        embed_query = embed_documents

        async def aembed_documents(self, texts):
            return [self.vectors[text] for text in texts]

        async def aembed_query(self, text):
            return self.vectors[text]

    store = await FAISS.afrom_texts(["a", "b"], OnlyAsync(a=[1.0, 0.0], b=[0.0, 1.0]))
    assert texts(await store.asimilarity_search("b")) == ["b", "a"]
    assert texts(await store.amax_marginal_relevance_search("a", k=1)) == ["a"]
    assert texts(await store.as_retriever().ainvoke("a")) == ["a", "b"]


def test_the_vectors_given_are_not_changed():
    rows = vectors(3, 4)
    before = rows.copy()
    store = store_of(rows, distance_strategy="cosine")
    store.similarity_search_by_vector(rows[0])
    assert (rows == before).all()


# ---- what it refuses -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"index": "tree"}, "index is 'tree': use one of 'flat', 'ivf', 'hnsw'"),
        ({"index": None}, "index is None"),
        ({"nlist": 0}, "nlist is 0: give a whole number, 1 or more"),
        ({"nprobe": 1.5}, "nprobe is 1.5"),
        ({"M": 1}, "M is 1: give a whole number, 2 or more"),
        ({"ef_search": True}, "ef_search is True"),
        ({"ef_construction": "9"}, "ef_construction is '9'"),
    ],
    ids=lambda given: repr(given) if isinstance(given, dict) else "",
)
def test_settings_that_are_no_good(settings, says):
    with pytest.raises(InputError, match=says):
        FAISS(Unasked(), **settings)


def test_an_index_of_faiss_is_no_setting():
    with pytest.raises(InputError, match=r"index is <faiss.*use one of 'flat', 'ivf', 'hnsw'"):
        FAISS(Unasked(), index=faiss_library.IndexFlatL2(3))


@pytest.mark.parametrize(
    ("vector", "says"),
    [
        ([1.0, 0.0, 0.0], "has 3 dimensions and those in the store have 2"),
        ([], "is empty"),
        ([1.0, float("nan")], "holds a number that is not finite"),
        ([1.0, float("-inf")], "holds a number that is not finite"),
        ([1e39, 0.0], "larger than 3.4e38"),
        (["a", "b"], "cannot be read as one"),
        ([[1.0], [0.0]], "cannot be read as one"),
    ],
    ids=["3d", "empty", "nan", "inf", "large", "text", "nested"],
)
def test_a_wrong_vector_is_refused_and_nothing_of_its_batch_is_kept(vector, says):
    store = compass()
    for added in ([[1.0, 1.0], vector], [vector]):
        with pytest.raises(InputError, match=says):
            store.add_embeddings([("x", each) for each in added])
    with pytest.raises(InputError, match=says):
        store.similarity_search_by_vector(vector)
    with pytest.raises(InputError, match=says):
        store.max_marginal_relevance_search_by_vector(vector)
    assert store.index.ntotal == 3


def test_a_query_without_direction():
    cosine = compass(distance_strategy="cosine")
    cosine.add_texts(["nowhere"], ids=["0"])
    with pytest.raises(InputError, match="The query's embedding is all zeros"):
        cosine.similarity_search("nowhere")
    assert [(d.id, round(s, 3)) for d, s in cosine.similarity_search_with_score("north")] == [
        ("n", 1.0),
        ("e", 0.5),
        ("0", 0.0),
        ("w", -0.5),
    ]
    assert compass().similarity_search_with_score("nowhere", k=1)[0][1] == pytest.approx(1.0)


def test_searches_and_deletions_that_are_no_good():
    store = compass()
    for k in (-1, 1.5, None):
        with pytest.raises(InputError, match="give the number of documents you want"):
            store.similarity_search("east", k=k)
    with pytest.raises(InputError, match="A search was given 'filtre', which it does not know"):
        store.similarity_search("east", filtre={"n": 1})
    with pytest.raises(InputError, match="A search was given 'score', which it does not know"):
        store.max_marginal_relevance_search("east", score=1)
    with pytest.raises(InputError, match="filter is 'n': give a dict of metadata"):
        store.similarity_search("east", filter="n")
    for ids in (None, "w"):
        with pytest.raises(InputError, match="give a list of ids"):
            store.delete(ids)
    with pytest.raises(TypeError, match="docstore"):
        FAISS(Unasked(), docstore={})
    store.embedding.embed_documents = lambda texts: [[1.0, 0.0]]
    with pytest.raises(InputError, match="Table gave 1 vectors for 2 texts"):
        store.add_texts(["east", "west"])


def test_an_error_of_the_filter_is_the_user_s_own():
    def broken(metadata):
        raise KeyError("year")

    store = compass()
    with pytest.raises(KeyError, match="year"):
        store.similarity_search("east", filter=broken)
    store.add_texts(["east"])  # no lock is left held


def test_a_filter_may_search_and_change_its_store():
    store = compass()

    def busy(metadata):
        store.add_texts(["east"], ids=["e"])
        return store.similarity_search("north", k=1)[0].id == "n"

    # "east" was added again and again since the filter was asked of the first one.
    assert texts(store.similarity_search("west", k=9, filter=busy)) == ["west", "north"]


# ---- at once -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw"])
def test_searches_beside_a_writer_see_whole_changes(kind, monkeypatch):
    """Documents are added and deleted in pairs; the index is trained, renewed and compacted."""
    monkeypatch.setattr("headrace.vectorstores._faiss_rows._FEW", 20)
    monkeypatch.setattr("headrace.vectorstores._faiss_index._POINTS_PER_CELL", 2)
    rows = vectors(200, 8)
    store = store_of(rows[:10], index=kind, nprobe=99)
    failures, done = [], threading.Event()

    def read():
        try:
            while not done.is_set():
                found = store.similarity_search_with_score_by_vector(rows[0], k=500)
                scores = [score for _, score in found]
                assert scores == sorted(scores)
                names = [document.id for document, _ in found]
                assert len(set(names)) == len(names) >= 10
                pairs = [name[1:] for name in names if name[0] in "ab"]
                assert all(pairs.count(each) == 2 for each in pairs), pairs
                assert found[0] == (Document("0", {}, "0"), 0.0)
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for turn in range(3):
            for i in range(10, 190):
                pair = [("x", rows[i]), ("y", rows[i])]
                store.add_embeddings(pair, ids=[f"a{i}", f"b{i}"])
                if i % 3 == turn:
                    store.delete([f"a{i}", f"b{i}"])
            store.delete([f"{side}{i}" for i in range(10, 190) for side in "ab"])
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert failures == []
    assert len(store.index_to_docstore_id) == 10


def test_searches_go_on_while_much_is_added(monkeypatch):
    """They see nothing of it until all is there, also where adding fails in the middle."""
    rows = vectors(2000, 4)
    store = store_of(rows[:10], index="hnsw")
    seen = []
    real = store._table.index.add

    def add(some):
        if store.index.ntotal > 10:
            raise MemoryError
        real(some)

    class Watched(type(store._table._lock)):
        def writing(self):
            seen.append(len(store.similarity_search_by_vector(rows[0], k=5000)))
            return super().writing()

    store._table._lock = Watched("a FAISS")
    store.add_embeddings(zip("x" * 1200, rows[10:1210], strict=True))
    assert seen == [10, 10, 10, 10]
    assert len(store.similarity_search_by_vector(rows[0], k=5000)) == 1210
    store = store_of(rows[:10])
    monkeypatch.setattr(type(store._table.index), "add", lambda self, some: add(some))
    real = store.index.add
    with pytest.raises(MemoryError):
        store.add_embeddings(zip("x" * 1200, rows[10:1210], strict=True))
    assert len(store.similarity_search_by_vector(rows[0], k=5000)) == 10
    monkeypatch.undo()
    store.add_embeddings([("x", rows[0])], ids=["new"])
    assert len(store.similarity_search_by_vector(rows[0], k=5000)) == 11
    assert store.get_by_ids(["new"])[0].page_content == "x"


def test_a_search_leaves_the_number_of_threads_alone():
    before = faiss_library.omp_get_max_threads()
    faiss_library.omp_set_num_threads(3)
    try:
        compass().similarity_search("east")
        assert faiss_library.omp_get_max_threads() == 3
        with pytest.raises(HeadraceError):
            compass().similarity_search_by_vector([1.0])
        assert faiss_library.omp_get_max_threads() == 3
    finally:
        faiss_library.omp_set_num_threads(before)


# ---- the library ---------------------------------------------------------------------------------


def test_faiss_is_imported_when_it_is_used_and_its_absence_is_said():
    program = """
import sys
sys.modules["faiss"] = None
import headrace.vectorstores
assert "numpy" not in sys.modules and "headrace.vectorstores.faiss" not in sys.modules
from headrace.embeddings import DeterministicFakeEmbedding
store = headrace.vectorstores.FAISS(DeterministicFakeEmbedding(size=4))
assert store.similarity_search("x") == []
try:
    store.add_texts(["a"])
except headrace.errors.MissingExtraError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(
        MissingExtraError("faiss-cpu", extra="faiss", purpose="FAISS")
    )
    assert 'pip install "headrace[faiss]"' in done.stdout


# ---- in chains -----------------------------------------------------------------------------------


@every_colour
def test_the_guide_s_chain(colour):
    sentences = ["harrison worked at kensho", "harrison likes spicy food"]
    question = "Where did harrison work? Write 3 made up sentences about this place."
    vectors = {sentences[0]: [1.0, 0.1], sentences[1]: [0.1, 1.0], question: [0.9, 0.2]}

    def body(doors):
        store = ask(doors, FAISS, "from_texts", sentences, embedding=Table(**vectors))
        retriever = store.as_retriever()
        [documents] = doors.stream(retriever, question)
        assert texts(documents) == sentences
        prompt = ChatPromptTemplate.from_template("Of {context}: {question}")
        model = FakeListChatModel(responses=["Kensho it is."])
        chain = (
            {"context": retriever.with_config(run_name="Docs"), "question": RunnablePassthrough()}
            | prompt
            | model
            | StrOutputParser()
        )
        pieces = doors.stream(chain, question)
        assert len(pieces) > 5
        assert "".join(pieces) == "Kensho it is."

    colour.run(body)


async def test_the_retriever_is_seen_in_events():
    store = FAISS.from_texts(["a", "b"], DeterministicFakeEmbedding(size=4))
    retriever = store.as_retriever(search_kwargs={"k": 1}).with_config(run_name="Docs")
    events = [event async for event in retriever.astream_events("a", version="v2")]
    assert [event["event"] for event in events] == ["on_retriever_start", "on_retriever_end"]
    assert events[1]["data"]["output"] == store.similarity_search("a", k=1)
    assert {"FAISS", "DeterministicFakeEmbedding"} <= set(events[0]["tags"])
