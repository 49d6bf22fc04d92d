"""Whatever is indexed in whatever order, and wherever a run is interrupted: a run that ends leaves
the store as it should be, and at no time do the records say that something is there that is not,
or does the store hold what the records do not know of.

The model of a run that ends:
    None                        what was there, and what was given
    "full"                      what was given
    "incremental", scoped_full  what was given, and what was there of sources that were not
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.embeddings import DeterministicFakeEmbedding
from indexing.places import Died, FragileRecords, FragileStore, Fuse, doc, run_index
from laws.colours import ASYNC, SYNC

ROOT = Path(__file__).parents[2]

# Few texts and sources, so that runs have much in common.
PAIRS = st.tuples(st.sampled_from("abc"), st.integers(0, 3))
RUNS = st.lists(
    st.tuples(
        st.lists(PAIRS, max_size=7),
        st.sampled_from([None, "full", "incremental", "scoped_full"]),
        st.booleans(),  # force_update
        st.integers(1, 4),  # batch_size
        st.integers(1, 3),  # cleanup_batch_size
        st.one_of(st.none(), st.integers(0, 40)),  # interrupted at this step
    ),
    min_size=1,
    max_size=6,
)


def expected(before, pairs, cleanup):
    if cleanup is None:
        return before | pairs
    if cleanup == "full":
        return pairs
    seen = {source for source, _ in pairs}
    return pairs | {pair for pair in before if pair[0] not in seen}


@pytest.mark.parametrize("colour", [SYNC, ASYNC], ids=repr)
@given(runs=RUNS)
def test_any_runs_interrupted_anywhere(colour, runs):
    def body(doors):
        place = FragileStore(DeterministicFakeEmbedding(size=2))
        records = FragileRecords("words")
        place.fuse = records.fuse = fuse = Fuse()

        def held():
            return {(r["metadata"]["source"], int(r["text"])) for r in place.store.values()}

        for pairs, cleanup, force, size, cleanup_size, dies_at in runs:
            before, fuse.left = held(), dies_at
            try:
                run_index(
                    doors, [doc(str(n), source) for source, n in pairs], records, place,
                    batch_size=size, cleanup=cleanup, source_id_key="source",
                    cleanup_batch_size=cleanup_size, force_update=force,
                )  # fmt: skip
            except Died:
                pass
            else:
                assert held() == expected(before, set(pairs), cleanup)
            fuse.left = None
            known = records.list_keys()
            assert set(place.store) <= set(known), "the store holds what no record knows"
            settled = {key for key, has in zip(known, records.exists(known), strict=True) if has}
            assert settled <= set(place.store), "the records say more than there is"
            claim = records.claim()
            assert claim.take(), "the claim was not given back"
            claim.release()

    colour.run(body)


CHILD = """
import os, signal, sys
from pathlib import Path
from indexing.places import FileStore, Fuse, FusedSQLite, doc
from headrace.indexing import index

class Kill(Fuse):
    def blow(self):
        os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
OLD = [doc(f"{s}{n}", s) for s in "ab" for n in range(4)]
NEW = [doc(f"{s}{n}", s) for s in "ab" for n in range(2, 6)]
OPTIONS = dict(cleanup="incremental", source_id_key="source", batch_size=3, cleanup_batch_size=2)

def places(number, fuse):
    place = FileStore(folder / f"{number}.json", fuse)
    records = FusedSQLite("words", folder / f"{number}.sql")
    records.fuse = fuse
    return records, place

survived = False
number = 0
while not survived:
    quiet = Fuse()
    index(OLD, *places(number, quiet), **OPTIONS)
    child = os.fork()
    if child == 0:
        fuse = Kill()
        fuse.left = number
        index(NEW, *places(number, fuse), **OPTIONS)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    survived = status == 0
    assert survived or os.WTERMSIG(status) == signal.SIGKILL
    # What the dead run had begun to bring is no longer given by its source.
    records, place = places(number, quiet)
    given = NEW if number % 2 else OLD[1:]
    index(given, records, place, **OPTIONS)
    assert sorted(text for text, _ in place.read().values()) == sorted(
        each.page_content for each in given), (number, place.read())
    assert all(records.exists(list(place.read()))) and len(records.list_keys()) == len(given)
    number += 1
print(number)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the test's own children are forked")
def test_a_process_killed_at_any_step(tmp_path):
    """kill -9 at each step of a run in turn; the run after it ends right."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 20  # as many deaths, one at each step
