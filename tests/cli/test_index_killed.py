"""A store outlives what happens to `headrace index`: killed at any time, it leaves the old index or
the new one, and the next run ends right."""

from __future__ import annotations

import signal

import pytest

from headrace.cli.library import Library, LibraryError

from .words import INSTALLED, Words

# Every file under PLACES that is opened, renamed or removed is a place to die at, just before that.
DYING = (
    INSTALLED
    + """
import os, sys
at, places, passed = int(os.environ["DIE_AT"]), os.environ["PLACES"], [0]

def seen(event, arguments):
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"):
        if places in str(arguments[0]):
            passed[0] += 1
            if passed[0] == at:
                os.kill(os.getpid(), 9)

sys.addaudithook(seen)
"""
)
# Each batch waits for a line on standard input, or for its end.
WAITING = (
    INSTALLED
    + """
embed = words.Words.embed_documents

def on_demand(self, texts):
    print("embedding", flush=True)
    sys.stdin.readline()
    return embed(self, texts)

words.Words.embed_documents = on_demand
"""
)


@pytest.fixture(autouse=True)
def words(monkeypatch):
    monkeypatch.setattr("headrace.cli.library.LocalEmbeddings", Words)
    monkeypatch.setattr(Words, "embedded", [])


def write(headrace, version):
    for number in range(80):
        text = f"File {number} of version {version if number % 2 else 'all'}."
        headrace.write(text, f"docs/{number:03}.txt")


def held(folder):
    try:
        return {each.page_content for each in Library.open(folder / "st")._documents()}
    except LibraryError:  # not made yet
        return set()


def version(number):
    return {f"File {n} of version {number if n % 2 else 'all'}." for n in range(80)}


def dies(headrace, place, of=""):
    """Whether a run that dies at a place dies; the store is in "st"."""
    headrace.environment["DIE_AT"] = str(place)
    store = str(headrace.folder / "st")
    headrace.environment["PLACES"] = store + of
    code, _, err = headrace("index", "docs", "-s", store, before=DYING)
    assert code in (0, -signal.SIGKILL), err
    return code != 0


@pytest.mark.slow
def test_killed_at_any_place_of_saving_it_leaves_the_old_or_the_new(headrace):
    place, found = 1, []
    while True:
        write(headrace, place)
        before = held(headrace.folder)
        died = dies(headrace, place, "/index")
        now = held(headrace.folder)
        if not died:
            break
        assert now in (before, version(place)), f"killed at {place}"
        found.append(now == before)
        place += 1
    assert now == version(place)
    assert {True, False} == set(found)  # before the new one was there, and after
    assert sorted(path.name.split(".")[-1] for path in (headrace.folder / "st").iterdir()) == [
        "faiss", "json", "json", "jsonl", "lock",
    ]  # fmt: skip


def test_killed_at_some_place_it_goes_on_from_there(headrace):
    for run, place in enumerate([1, 3, 9, 150], 1):
        write(headrace, run)
        before = held(headrace.folder)
        assert dies(headrace, place)
        assert held(headrace.folder) in (before, version(run)), f"killed at {place}"
    assert not dies(headrace, 0)
    assert held(headrace.folder) == version(run)


def test_what_a_killed_run_has_embedded_is_not_embedded_again(headrace):
    write(headrace, 1)
    process = headrace.start("index", "docs", "-s", "st", before=WAITING)
    process.stdin.write(b"go on\n")
    assert process.read(20) == "embedding\nembedding\n"
    process.kill()
    process.said()
    code, out, _ = headrace("index", "docs", "-s", "st", before=WAITING)
    assert code == 0
    assert out.count("embedding") == 2  # of three batches
    assert held(headrace.folder) == version(1)


def test_ctrl_c_leaves_the_old_index_and_says_so(headrace):
    write(headrace, 1)
    assert headrace("index", "docs", "-s", "st", before=INSTALLED)[0] == 0
    write(headrace, 2)
    process = headrace.start("index", "docs", "-s", "st", before=WAITING)
    assert process.read(10) == "embedding\n"
    process.press_ctrl_c()
    code, _, err = process.said()
    assert (code, err) == (
        130,
        "interrupted: st is as it was, and the next run goes on from here\n",
    )
    assert held(headrace.folder) == version(1)


def test_two_at_once_in_two_processes(headrace):
    write(headrace, 1)
    process = headrace.start("index", "docs", "-s", "st", before=WAITING)
    assert process.read(10) == "embedding\n"
    code, out, err = headrace("index", "docs", "-s", "st", before=INSTALLED)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "Another `headrace index` is changing 'st'" in err
    assert process.said()[0] == 0
    assert held(headrace.folder) == version(1)
