"""Stores in a forked child, when another thread was using them in the parent.

Each test is a program: a thread is stopped at a certain place, then the process forks, and its
child must do its work in some seconds. What the child says is what the program prints.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

ROOT = Path(__file__).parents[2]

BEGINNING = """
import os, signal, sys, threading, warnings
from headrace.documents import Document
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.indexing import InMemoryRecordManager
from headrace.vectorstores import FAISS, HalfWrittenError, SQLiteVec, _faiss_index, faiss

warnings.simplefilter("ignore")  # Python 3.12 says that forking beside threads is not safe
model = DeterministicFakeEmbedding(size=8)
there, go_on = threading.Event(), threading.Event()
parent = os.getpid()

def stop():  # in the thread of the parent, and nowhere else
    if os.getpid() == parent and threading.current_thread() is not threading.main_thread():
        there.set()
        assert go_on.wait(60)

def stopping(method):
    def stopped(*args, **kwargs):
        stop()
        return method(*args, **kwargs)
    return stopped

def forked(in_thread, in_child):
    thread = threading.Thread(target=in_thread)
    thread.start()
    assert there.wait(60)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            in_child()
            print("ok", flush=True)
        except BaseException as error:
            print(repr(error), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    go_on.set()
    thread.join()

def found(store, text="b"):
    return [each.page_content for each in store.similarity_search(text, k=1)]
"""


def said(program, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", BEGINNING + program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_faiss_that_was_being_saved(tmp_path):
    program = """
store = FAISS.from_texts(["a"], model)
faiss.save = stopping(faiss.save)

def child():
    store.add_texts(["b"])
    assert found(store) == ["b"]
    store.save_local(sys.argv[1])

forked(lambda: store.save_local(sys.argv[1]), child)
assert store.index.ntotal == 1
"""
    assert said(program, tmp_path) == "ok"


def test_a_faiss_that_was_being_searched():
    program = """
store = FAISS.from_texts(["a"], model)
_faiss_index.VectorIndex.search = stopping(_faiss_index.VectorIndex.search)

def child():
    store.add_texts(["b"])
    assert found(store) == ["b"]

forked(lambda: found(store), child)
"""
    assert said(program) == "ok"


def test_a_faiss_that_was_being_written_to():
    program = """
store = FAISS.from_texts(["a"], model)
_faiss_index.VectorIndex.add = stopping(_faiss_index.VectorIndex.add)

def child():
    uses = [lambda: found(store), lambda: store.add_texts(["c"]), lambda: store.get_by_ids(["x"])]
    for use in uses:
        try:
            use()
        except HalfWrittenError as error:
            assert "forked" in str(error)
        else:
            raise AssertionError("half a store was used")
    assert found(FAISS.from_texts(["a", "b"], model)) == ["b"]

forked(lambda: store.add_texts(["b"]), child)
assert found(store) == ["b"]
"""
    assert said(program) == "ok"


def test_an_sqlite_file_that_was_being_searched(tmp_path):
    program = """
store = SQLiteVec.from_texts(["a"], model, db_file=sys.argv[1])
idle = []

def slow(metadata):
    if not idle:
        found(store)  # by another connection
        idle.extend(store._file._free)
        stop()
    return True

def child():
    assert idle
    store.add_texts(["b"])
    assert found(store) == ["b"]
    assert not set(idle).intersection(store._file._free)

forked(lambda: store.similarity_search("a", filter=slow), child)
assert found(store) == ["b"]  # of the child
store.add_texts(["c"])
import sqlite3
assert sqlite3.connect(sys.argv[1]).execute("PRAGMA integrity_check").fetchall() == [("ok",)]
"""
    assert said(program, tmp_path / "a.db") == "ok"


def test_an_sqlite_file_that_was_being_opened(tmp_path):
    program = """
from headrace.vectorstores._sqlite_file import SQLiteFile
store = SQLiteVec(model, sys.argv[1])
SQLiteFile._prepare = stopping(SQLiteFile._prepare)

def child():
    store.add_texts(["b"])
    assert found(store) == ["b"]

forked(lambda: store.add_texts(["a"]), child)
assert sorted(d.page_content for d in store.similarity_search("b", k=5)) == ["a", "b"]
"""
    assert said(program, tmp_path / "a.db") == "ok"


@pytest.mark.parametrize("busy", [False, True])
def test_a_database_in_memory_is_copied_unless_it_was_in_use(busy):
    program = """
store = SQLiteVec.from_texts(["a"], model, db_file=":memory:")
busy = sys.argv[1] == "True"

def slow(metadata):
    stop()
    return True

def child():
    if not busy:
        store.add_texts(["b"])
        assert found(store) == ["b"]
        return
    try:
        found(store)
    except HalfWrittenError:
        return
    raise AssertionError("half a database was used")

forked((lambda: store.similarity_search("a", filter=slow)) if busy else stop, child)
assert found(store) == ["a"]
"""
    assert said(program, busy) == "ok"


def test_records_that_were_being_changed():
    program = """
records = InMemoryRecordManager("n")
records.update(["a"], group_ids=["g"])

class Slow(list):
    def __iter__(self):
        for each in list.__iter__(self):
            yield each
            stop()

def child():
    assert records.exists(["a"]) == [True]
    records.update(["c"], group_ids=["g"])
    assert set(records.list_keys(group_ids=["g"])) >= {"a", "c"}
    records.delete_keys(["a", "b", "c"])
    assert records.list_keys() == records.list_keys(group_ids=["g"]) == []

forked(lambda: records.update(Slow(["b"]), group_ids=["g"]), child)
assert records.list_keys() == ["a", "b"]
"""
    assert said(program) == "ok"
