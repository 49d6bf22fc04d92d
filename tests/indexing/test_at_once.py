"""Several runs of indexing at the same time, in threads, tasks and processes: they take turns, and
nothing that one writes is lost by another."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from headrace.errors import AsyncOnlyError
from headrace.indexing import (
    InMemoryRecordManager,
    RecordManager,
    SQLiteRecordManager,
    aindex,
    index,
)
from headrace.indexing.claims import FileClaim, ThreadClaim
from headrace.vectorstores import InMemoryVectorStore
from indexing.places import FileStore, doc, store, texts

ROOT = Path(__file__).parents[2]
OPTIONS = {"cleanup": "incremental", "source_id_key": "source", "batch_size": 3}


def test_a_claim_is_one_threads_at_a_time(tmp_path):
    for make in (lambda: ThreadClaim("x"), lambda: FileClaim(tmp_path / "x.lock")):
        first, second = make(), make()
        assert first.take() and not second.take()
        first.release()
        assert second.take() and not first.take()
        second.release()


def test_namespaces_of_one_file_do_not_wait_for_each_other(tmp_path):
    a, b = (SQLiteRecordManager(name, tmp_path / "r.sql").claim() for name in "ab")
    assert a.take() and b.take()
    a.release(), b.release()


class Slow(InMemoryVectorStore):
    """Notices when two are inside at the same time."""

    inside = 0
    most = 0

    async def aadd_documents(self, documents, ids=None, **kwargs):
        return await self._alone(super().aadd_documents(documents, ids))

    async def adelete(self, ids=None, **kwargs):
        return await self._alone(super().adelete(ids))

    async def _alone(self, work):
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(0)
        try:
            return await work
        finally:
            self.inside -= 1


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_tasks_take_turns(kind, tmp_path):
    place = Slow(store().embedding)
    records = (
        InMemoryRecordManager("n")
        if kind == "memory"
        else SQLiteRecordManager("n", tmp_path / "r.sql")
    )
    for round in range(2):
        await asyncio.gather(
            *(
                aindex([doc(f"{s}{n + round}", s) for n in range(8)], records, place, **OPTIONS)
                for s in "abcd"
            )
        )
    assert place.most == 1
    assert texts(place) == sorted(f"{s}{n}" for s in "abcd" for n in range(1, 9))


async def test_a_cancelled_task_gives_its_turn_back():
    started = asyncio.Event()

    class Hanging(InMemoryVectorStore):
        async def aadd_documents(self, documents, ids=None, **kwargs):
            started.set()
            await asyncio.Event().wait()

    records: RecordManager = InMemoryRecordManager("n")
    task = asyncio.create_task(aindex([doc("a")], records, Hanging(store().embedding)))
    await started.wait()
    waiting = asyncio.create_task(aindex([doc("b")], records, store()))
    await asyncio.sleep(0)
    assert not waiting.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await waiting)["num_added"] == 1


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_sync_run_inside_of_an_async_one_is_refused_and_does_not_hang(kind, tmp_path):
    class Nested(InMemoryVectorStore):
        async def aadd_documents(self, documents, ids=None, **kwargs):
            with pytest.raises(AsyncOnlyError, match="use aindex"):
                index([doc("b")], records, store())
            return await super().aadd_documents(documents, ids)

    records: RecordManager = (
        InMemoryRecordManager("n")
        if kind == "memory"
        else SQLiteRecordManager("n", tmp_path / "r.sql")
    )
    assert (await aindex([doc("a")], records, Nested(store().embedding)))["num_added"] == 1
    # In another thread it waits for its turn.
    assert (await asyncio.to_thread(index, [doc("b")], records, store()))["num_added"] == 1


def test_a_claim_that_cannot_be_made_leaves_nothing_claimed(tmp_path):
    claim = FileClaim(tmp_path / "no" / "folder.lock")
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            claim.take()
    assert not claim.is_held_here()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_does_not_keep_its_parents_claim(tmp_path):
    code = """
import os, sys, time
from pathlib import Path
from headrace.indexing.claims import FileClaim
path = Path(sys.argv[1])
claim = FileClaim(path)
assert claim.take()
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    assert not FileClaim(path).take()  # its parent has it
    os.write(writer, b"x")
    time.sleep(60)
os.read(reader, 1)
claim.release()
assert FileClaim(path).take()
os.kill(child, 9)
os.waitpid(child, 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.lock")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stderr


def test_threads_take_turns(tmp_path):
    """The store loses what is done to it at the same time."""
    place, failures = FileStore(tmp_path / "store.json"), []
    records = SQLiteRecordManager("n", tmp_path / "r.sql")

    def work(source: str) -> None:
        try:
            for round in range(2):
                documents = [doc(f"{source}{n + round}", source) for n in range(6)]
                index(documents, records, place, **OPTIONS)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(s,)) for s in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sorted(text for text, _ in place.read().values()) == sorted(
        f"{s}{n}" for s in "abc" for n in range(1, 7)
    )


CHILD = """
import sys
from pathlib import Path
from indexing.places import FileStore, doc
from headrace.indexing import SQLiteRecordManager, index

folder, source = Path(sys.argv[1]), sys.argv[2]
sys.stdin.readline()  # until all are there
place, records = FileStore(folder / "store.json"), SQLiteRecordManager("n", folder / "r.sql")
for round in range(4):
    documents = [doc(f"{source}{n + round}", source) for n in range(9)]
    index(documents, records, place, cleanup="incremental", source_id_key="source", batch_size=2)
"""


@pytest.mark.slow
def test_processes_take_turns(tmp_path):
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), source],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        for source in "abc"
    ]
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate(timeout=120)[1] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], said
    held = FileStore(tmp_path / "store.json").read()
    assert sorted(text for text, _ in held.values()) == sorted(
        f"{s}{n}" for s in "abc" for n in range(3, 12)
    )
    records = SQLiteRecordManager("n", tmp_path / "r.sql")
    assert all(records.exists(list(held))) and set(records.list_keys()) == set(held)
