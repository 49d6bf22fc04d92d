"""`SQLiteVec`: a database on the disk, several processes, a process killed while it writes.

What every store does is in test_store_conformance.py and test_store_properties.py.
"""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from headrace.documents import Document
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.errors import InputError, MissingExtraError
from headrace.vectorstores import DistanceStrategy, SQLiteVec, StoreFileError
from laws.colours import every_colour

from .stores import Table

SRC = Path(__file__).parents[2] / "src"
MODEL = DeterministicFakeEmbedding(size=6)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "documents.db"


@pytest.fixture
def opened():
    """Makes stores, and closes them at the end."""
    stores = []

    def make(*args, **kwargs):
        stores.append(SQLiteVec(*args, **kwargs))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def texts(found):
    documents = [each[0] if isinstance(each, tuple) else each for each in found]
    return [document.page_content for document in documents]


def ask(doors, store, method, *args, **kwargs):
    """A method, or its async twin in the async colour."""
    if doors.asynchronous:
        return doors.wait(getattr(store, f"a{method}")(*args, **kwargs))
    return getattr(store, method)(*args, **kwargs)


COMPASS = Table(
    east=[2.0, 0.0], north=[0.5, 3**0.5 / 2], west=[-1.0, 0.0], nowhere=[0.0, 0.0], wide=[1.0] * 3
)


# ---- scores --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distance", "scores", "relevances"),
    [("l2", [0, 3**0.5, 3], [1, 0, 0]), ("cosine", [1, 0.5, -1], [1, 0.5, 0])],
)
@every_colour
def test_scores_and_relevances(colour, distance, scores, relevances, opened):
    store = opened(COMPASS, ":memory:", distance_strategy=distance)
    store.add_texts(["west", "north", "east"])

    def body(doors):
        found = ask(doors, store, "similarity_search_with_score", "east")
        assert texts(found) == ["east", "north", "west"]
        assert [score for _, score in found] == pytest.approx(scores, abs=1e-6)
        found = ask(doors, store, "similarity_search_with_relevance_scores", "east")
        assert [score for _, score in found] == pytest.approx(relevances, abs=1e-6)
        kept = ask(doors, store, "similarity_search", "east", score_threshold=scores[1])
        assert texts(kept) == ["east", "north"]

    colour.run(body)


def test_the_distance_is_of_the_search_not_of_the_file(path, opened):
    opened(COMPASS, path).add_texts(["north", "east"])
    again = opened(COMPASS, path, distance_strategy=DistanceStrategy.COSINE)
    assert again.similarity_search_with_score("east", k=1)[0][1] == pytest.approx(1)


def test_what_has_no_direction(opened):
    store = opened(COMPASS, ":memory:", distance_strategy="cosine")
    store.add_texts(["nowhere", "west", "east"])
    assert store.similarity_search_with_score("east") == [
        (store.similarity_search("east", k=1)[0], pytest.approx(1)),
        (store.get_by_ids([store.similarity_search("east", k=2)[1].id])[0], 0.0),
        (store.similarity_search("west", k=1)[0], pytest.approx(-1)),
    ]
    with pytest.raises(InputError, match="The query's embedding is all zeros"):
        store.similarity_search("nowhere")


# ---- filters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filter", "python"),
    [
        ({"year": {"$gte": 2000}, "by": ["ann", None]}, False),
        ({"it's \u00e4": 1}, False),
        ({'say "a"': 1}, True),
        ({"tags": {"$eq": ["x"]}}, True),
        (lambda metadata: metadata.get("tags") == ["x"], True),
    ],
    ids=["sql", "quote", "double quote", "list", "function"],
)
def test_filters_are_sql_where_sql_can_say_them(filter, python, opened):
    store = opened(COMPASS, ":memory:")
    metadata = {"year": 2001, "by": "ann", "it's ä": 1, 'say "a"': 1, "tags": ["x"]}
    store.add_texts(["east", "west"], [metadata, {"year": 1999}])
    statements = []
    with store._file.reading() as connection:
        connection.exec_trace = lambda cursor, sql, bindings: statements.append(sql) or True
    assert texts(store.similarity_search("west", filter=filter)) == ["east"]
    assert any("headrace_call" in statement for statement in statements) is python


def test_an_error_of_the_filter_is_the_user_s_own(opened, path):
    for file in (":memory:", path):
        store = opened(COMPASS, file)
        store.add_texts(["east"], [{"n": 1}])

        def broken(metadata):
            raise KeyError("year")

        with pytest.raises(KeyError, match="year"):
            store.similarity_search("east", filter=broken)
        store.add_texts(["west"])
        assert len(store.similarity_search("east")) == 2


def test_a_filter_may_search_its_store(opened, path):
    for file in (":memory:", path):
        store = opened(COMPASS, file)
        store.add_texts(["east", "west"], [{"n": 1}, {"n": 2}])

        def near(metadata, store=store):
            same = store.similarity_search("west", filter=lambda inner: inner == metadata)
            return len(same) == 1 and store.similarity_search("west", k=1) != []

        assert len(store.similarity_search("east", filter=near)) == 2
        assert store._file._functions == {}


# ---- the file ------------------------------------------------------------------------------------


@every_colour
def test_what_was_added_is_there_when_the_file_is_opened_again(colour, path):
    def body(doors):
        with closing(SQLiteVec(MODEL, path)) as store:
            ids = ask(doors, store, "add_texts", ["a", "b", "c"], [{"n": i} for i in range(3)])
            ask(doors, store, "delete", ids[:1])
        with closing(SQLiteVec(MODEL, str(path))) as store:
            assert ask(doors, store, "get_by_ids", ids) == [
                Document("b", {"n": 1}, ids[1]),
                Document("c", {"n": 2}, ids[2]),
            ]
            assert texts(ask(doors, store, "similarity_search", "c", k=1)) == ["c"]
            if doors.asynchronous:
                doors.wait(store.aclose())
            store.close()
            assert len(store.similarity_search("c")) == 2, "it opens again by itself"
            store.delete(ids)

    colour.run(body)
    assert not path.with_name("documents.db-wal").exists(), "every connection was closed"


def test_tables_of_one_file_are_stores_of_their_own(path, opened):
    words, order = opened(MODEL, path, table="words"), opened(COMPASS, path, table="order")
    words.add_texts(["a"], ids=["1"])
    order.add_texts(["east"], ids=["1"])
    assert texts(words.get_by_ids(["1"])) == ["a"]
    assert texts(order.similarity_search("west")) == ["east"]
    with closing(apsw.Connection(str(path))) as connection:
        rows = connection.execute('SELECT id, text, metadata FROM "order"').fetchall()
        assert rows == [("1", "east", "{}")]
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


def test_made_of_texts_and_used_as_a_context(path):
    with SQLiteVec.from_texts(["a", "b"], MODEL, ids=["1", "2"], db_file=path, table="t") as store:
        assert [document.id for document in store.as_retriever().invoke("b")] == ["2", "1"]
    assert not path.with_name("documents.db-wal").exists()


def test_a_table_in_memory_is_of_one_object(opened):
    one, other = opened(MODEL, ":memory:"), opened(MODEL, ":memory:")
    one.add_texts(["a"])
    assert other.similarity_search("a") == []
    one.close()
    assert one.similarity_search("a") == []


def test_vectors_are_of_one_dimension_until_the_table_is_empty(path, opened):
    store = opened(COMPASS, path)
    ids = store.add_texts(["east", "west"])
    for call in (store.add_texts, lambda given: store.similarity_search(given[0])):
        with pytest.raises(InputError, match="has 3 dimensions and those in the store have 2"):
            call(["wide"])
    store.delete(ids)
    store.add_texts(["wide"])
    assert texts(store.similarity_search("wide")) == ["wide"]


def test_more_than_a_page_of_everything(path, opened):
    store = opened(DeterministicFakeEmbedding(size=1536), path)
    long = "ä" * 100_000
    store.add_texts([long, "b"], [{"long": long}, {}], ids=["1", "2"])
    assert store.similarity_search(long, k=1) == [Document(long, {"long": long}, "1")]
    assert len(store.similarity_search("b", k=10**30)) == 2


# ---- what it refuses -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"table": "a b"}, "table is 'a b': give letters, digits and underscores"),
        ({"table": 'x"; DROP TABLE y'}, "table is "),
        ({"db_file": ""}, "db_file is ''"),
        ({"distance_strategy": "inner_product"}, "which sqlite-vec does not have: use 'l2' or"),
        ({"distance_strategy": "far"}, "distance_strategy 'far' is unknown"),
    ],
    ids=["space", "quote", "no file", "inner product", "unknown"],
)
def test_settings_that_are_no_good(settings, says):
    with pytest.raises(InputError, match=says):
        SQLiteVec(MODEL, **{"db_file": ":memory:", **settings})


@pytest.mark.parametrize(
    ("text", "metadata", "name", "says"),
    [
        ("a", {"x": object()}, "1", "metadata of the document '1' cannot be written as JSON"),
        ("a", {"x": math.nan}, "1", "metadata of the document '1' cannot be written as JSON"),
        ("\ud800", {}, "1", "take the halves of surrogate pairs out"),
        ("a", {}, "\ud800", "take the halves of surrogate pairs out"),
    ],
    ids=["object", "nan", "text", "id"],
)
def test_what_cannot_be_stored(text, metadata, name, says, opened):
    class AnyText(DeterministicFakeEmbedding):
        pass

    store = opened(AnyText(size=3), ":memory:")
    with pytest.raises(InputError, match=says):
        store.add_documents([Document("first", id="0"), Document(text, metadata, name)])
    assert store.get_by_ids(["0"]) == []
    assert store.similarity_search("first") == []


@pytest.mark.parametrize("vector", [[1e39, 1.0], [], [1.0, math.inf], ["a", "b"]], ids=repr)
def test_a_wrong_vector(vector, opened):
    store = opened(Table(good=[1.0, 2.0], wrong=vector), ":memory:")
    store.add_texts(["good"])
    for call in (store.add_texts, lambda given: store.similarity_search(given[-1])):
        with pytest.raises(InputError):
            call(["good", "wrong"])
    assert len(store.similarity_search("good")) == 1


def test_deleting_without_ids(opened):
    for ids in (None, "1"):
        with pytest.raises(InputError, match="give a list of ids"):
            opened(MODEL, ":memory:").delete(ids)


def test_files_that_are_no_good(tmp_path, opened):
    (tmp_path / "text").write_text("not a database, but long enough to look like one " * 100)
    with pytest.raises(StoreFileError, match=r"NotADBError.*the file is something else"):
        opened(MODEL, tmp_path / "text").similarity_search("a")
    with pytest.raises(StoreFileError, match=r"CantOpenError.*see that its folder is there"):
        opened(MODEL, tmp_path / "no" / "folder.db").add_texts(["a"])
    foreign = tmp_path / "foreign.db"
    with closing(apsw.Connection(str(foreign))) as connection:
        connection.execute("CREATE TABLE documents (title); CREATE TABLE documents_vectors (x)")
    with pytest.raises(StoreFileError, match=r"no such column.*give a table that this store"):
        opened(MODEL, foreign).add_texts(["a"])


def test_an_error_in_the_middle_keeps_nothing(path, opened):
    store = opened(MODEL, path)
    store.add_texts(["old"], ids=["1"])
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON documents WHEN new.text = 'last' "
            "BEGIN SELECT RAISE(FAIL, 'no more'); END"
        )
    with pytest.raises(StoreFileError, match=r"ConstraintError: no more"):
        store.add_texts(["new", "first", "last"], ids=["1", "2", "3"])
    assert texts(store.similarity_search("first")) == ["old"]
    store.add_texts(["first"], ids=["2"])  # no transaction was left open
    assert sorted(texts(store.similarity_search("first"))) == ["first", "old"]


def test_others_that_write_are_waited_for_and_named_when_it_takes_too_long(path, opened):
    store = opened(MODEL, path, timeout=0.05)
    store.add_texts(["a"])
    with closing(apsw.Connection(str(path))) as other:
        other.execute("BEGIN IMMEDIATE")
        assert len(store.similarity_search("a")) == 1, "readers do not wait"
        with pytest.raises(StoreFileError, match=r"BusyError.*another process has been writing"):
            store.add_texts(["b"])
        other.execute("ROLLBACK")
    store.add_texts(["b"])
    assert len(store.similarity_search("a")) == 2


@pytest.mark.parametrize("missing", ["apsw", "sqlite_vec"])
def test_a_missing_library_is_said(missing):
    program = """
import sys
sys.modules[sys.argv[1]] = None
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.vectorstores import SQLiteVec
from headrace.errors import MissingExtraError
store = SQLiteVec(DeterministicFakeEmbedding(size=4), ":memory:")
try:
    store.add_texts(["a"])
except MissingExtraError as error:
    print(error)
assert "numpy" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, missing],
        env={"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=True,
    )
    package = missing.replace("_", "-")
    assert done.stdout.strip() == str(
        MissingExtraError(package, extra="sqlite-vec", purpose="SQLiteVec")
    )


# ---- processes -----------------------------------------------------------------------------------

WRITER = """
import sys
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.vectorstores import SQLiteVec
path, name, batches = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = SQLiteVec(DeterministicFakeEmbedding(size=6), path)
print("ready", flush=True)
for batch in range(batches):
    texts = [f"{name}/{batch}/{i}" for i in range(20)]
    store.add_texts(texts, [{"batch": f"{name}/{batch}"}] * 20, ids=texts)
    # Of each batch, the first half is replaced, and the second deleted, in steps of their own.
    store.add_texts(texts[:10], [{"batch": f"{name}/{batch}", "again": True}] * 10, ids=texts[:10])
    store.delete(texts[10:])
    assert len(store.similarity_search(texts[0], k=10, filter={"batch": f"{name}/{batch}"})) == 10
    print(batch, flush=True)
"""


def writer(path, name, batches):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WRITER, str(path), name, str(batches)],
        env={"PYTHONPATH": str(SRC)},
        stdout=subprocess.PIPE,
    )


def sound(path):
    """The file is whole, each document has its vector, and each batch is at one of its steps."""
    with closing(apsw.Connection(str(path))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        alone = "SELECT row FROM documents EXCEPT SELECT row FROM documents_vectors"
        assert connection.execute(alone).fetchall() == []
        alone = "SELECT row FROM documents_vectors EXCEPT SELECT row FROM documents"
        assert connection.execute(alone).fetchall() == []
        steps = connection.execute(
            "SELECT metadata ->> 'batch' AS batch, count(*), count(metadata ->> 'again') "
            "FROM documents GROUP BY batch"
        ).fetchall()
    assert {(there, again) for _, there, again in steps} <= {(20, 0), (20, 10), (10, 10)}
    return {batch: (there, again) for batch, there, again in steps}


@pytest.mark.slow
def test_several_processes_write_and_search_at_once(path):
    writers = [writer(path, name, 15) for name in ("a", "b", "c")]
    for each in writers:
        output, _ = each.communicate(timeout=60)
        assert each.returncode == 0
        assert output.split()[-1] == b"14"
    batches = sound(path)
    assert len(batches) == 45
    assert set(batches.values()) == {(10, 10)}


@pytest.mark.slow
def test_a_process_killed_while_it_writes_leaves_whole_transactions(path):
    generator = random.Random(3)
    told = 0
    for turn in range(6):
        with writer(path, f"turn {turn}", 10**6) as process:
            assert process.stdout.readline() == b"ready\n"
            for _ in range(generator.randrange(1, 4)):
                process.stdout.readline()
            try:
                process.wait(generator.uniform(0.0, 0.03))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            lines = process.stdout.read().split()
        assert process.returncode == -signal.SIGKILL
        batches = sound(path)
        last = int(lines[-1]) if lines else 0
        for batch in range(last):  # what a call has returned from is there
            assert batches[f"turn {turn}/{batch}"] == (10, 10)
        told += last
        with closing(SQLiteVec(MODEL, path)) as store:
            first = f"turn {turn}/0/0"
            assert texts(store.similarity_search(first, k=1)) == [first]
    assert told > 6
    assert os.path.getsize(path) > 0
