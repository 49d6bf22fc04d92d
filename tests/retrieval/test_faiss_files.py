"""`FAISS.save_local` and `load_local`: what comes back, what is refused, and crashes."""

from __future__ import annotations

import asyncio
import builtins
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import faiss
import numpy as np
import pytest

from headrace import _file_locks
from headrace.documents import Document
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.errors import InputError
from headrace.vectorstores import FAISS, StoreFileError, _folder
from laws.colours import every_colour

SRC = Path(__file__).parents[2] / "src"
MODEL = DeterministicFakeEmbedding(size=6)


def numbered(count, **settings):
    """Documents "0", "1" … with their number as metadata."""
    names = [str(i) for i in range(count)]
    return FAISS.from_texts(names, MODEL, [{"n": i} for i in range(count)], names, **settings)


def contents(store):
    """All that a store has, and that its vectors are those of its texts."""
    ids = list(store.index_to_docstore_id.values())
    documents = store.get_by_ids(ids)
    for document in documents:
        found = store.similarity_search_with_score(document.page_content, k=1)
        assert found[0][0].page_content == document.page_content
    return sorted((each.id, each.page_content, str(each.metadata)) for each in documents)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- what comes back -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"index": "ivf", "nlist": 4, "nprobe": 3, "distance_strategy": "cosine"},
        {"index": "hnsw", "M": 6, "ef_search": 33},
        {"distance_strategy": "inner_product", "normalize_L2": True},
    ],
    ids=["flat", "ivf", "hnsw", "inner product"],
)
@every_colour
def test_what_is_saved_comes_back(colour, settings, tmp_path):
    folder = tmp_path / "new" / "folder ä"

    def body(doors):
        store = numbered(200, **settings)
        store.delete(["3", "4"])
        store.add_texts(["5 again"], [{"list": [1, None], "text": "ä\n\ud800"}], ids=["5"])
        if doors.asynchronous:
            doors.wait(store.asave_local(folder))
            loaded = doors.wait(FAISS.aload_local(folder, MODEL))
        else:
            store.save_local(str(folder))
            loaded = FAISS.load_local(str(folder), MODEL)
        assert contents(loaded) == contents(store)
        assert loaded.get_by_ids(["5"]) == store.get_by_ids(["5"])
        for text in ("7", "5 again"):
            found = loaded.similarity_search_with_score(text, k=20)
            assert found == store.similarity_search_with_score(text, k=20)
        assert loaded._settings == store._settings
        for kind in (faiss.IndexFlat, faiss.IndexIVFFlat, faiss.IndexHNSWFlat):
            assert isinstance(loaded.index, kind) is isinstance(store.index, kind)
        loaded.add_texts(["more"])
        loaded.save_local(folder)
        assert contents(FAISS.load_local(folder, MODEL)) == contents(loaded)

    colour.run(body)


def test_the_folder_holds_a_manifest_and_two_files_after_any_number_of_saves(tmp_path):
    store = numbered(3)
    for _ in range(3):
        store.save_local(tmp_path)
        names = [name.split(".") for name in files(tmp_path)]
        assert sorted(name[-1] for name in names) == ["faiss", "json", "jsonl"]
        assert ["index", "json"] in names
    lines = next(tmp_path.glob("*.jsonl")).read_text().splitlines()
    assert json.loads(lines[1]) == {"id": "1", "text": "1", "metadata": {"n": 1}}


@pytest.mark.parametrize("path", ["taken", "taken/deep/er"])
def test_a_folder_that_is_a_file(path, tmp_path):
    file = tmp_path / "taken"
    file.write_text("mine")
    with pytest.raises(InputError) as told:
        numbered(1).save_local(tmp_path / path)
    assert str(told.value) == (
        f"A store is saved in a folder, and {str(file)!r} is a file: give the path of a folder."
    )
    assert file.read_text() == "mine"


def test_several_stores_in_one_folder(tmp_path):
    for count, name in ((2, "index"), (3, "index.2"), (4, "ä-b_c")):
        numbered(count).save_local(tmp_path, name)
    numbered(5).save_local(tmp_path)
    for count, name in ((5, "index"), (3, "index.2"), (4, "ä-b_c")):
        assert len(contents(FAISS.load_local(tmp_path, MODEL, name))) == count
    assert len(files(tmp_path)) == 9
    for name in ("", "../up", "a/b", ".hidden"):
        with pytest.raises(InputError, match="index_name is "):
            numbered(1).save_local(tmp_path, name)
        with pytest.raises(InputError, match="index_name is "):
            FAISS.load_local(tmp_path, MODEL, name)


def test_an_empty_store(tmp_path):
    FAISS(MODEL, "hnsw", M=7).save_local(tmp_path)
    loaded = FAISS.load_local(tmp_path, MODEL)
    assert loaded.similarity_search("x") == []
    loaded.add_texts(["x"])
    assert loaded.index.hnsw.nb_neighbors(1) == 7


def test_what_may_be_chosen_when_loading(tmp_path):
    numbered(3, index="ivf").save_local(tmp_path)
    chosen = FAISS.load_local(
        tmp_path,
        MODEL,
        allow_dangerous_deserialization=True,
        nprobe=5,
        ef_search=99,
        relevance_score_fn=lambda score: 0.25,
    )
    assert (chosen._settings.nprobe, chosen._settings.ef_search) == (5, 99)
    assert chosen.similarity_search_with_relevance_scores("1", k=1)[0][1] == 0.25
    chosen.save_local(tmp_path)
    assert FAISS.load_local(tmp_path, MODEL)._settings.nprobe == 5
    with pytest.raises(InputError, match="nprobe is 0"):
        FAISS.load_local(tmp_path, MODEL, nprobe=0)
    with pytest.raises(TypeError, match="distance_strategy"):
        FAISS.load_local(tmp_path, MODEL, distance_strategy="cosine")


def test_a_model_of_another_size_is_noticed(tmp_path):
    numbered(3).save_local(tmp_path)
    loaded = FAISS.load_local(tmp_path, DeterministicFakeEmbedding(size=7))
    with pytest.raises(InputError, match="has 7 dimensions and those in the store have 6"):
        loaded.similarity_search("1")


@pytest.mark.parametrize("value", [object(), {1, 2}, {(1, 2): 3}], ids=["object", "set", "key"])
def test_metadata_that_is_no_json(value, tmp_path):
    numbered(2).save_local(tmp_path)
    before = files(tmp_path)
    store = numbered(3)
    store.add_documents([Document("x", {"when": value}, "the one")])
    with pytest.raises(InputError, match="metadata of the document 'the one' cannot be written"):
        store.save_local(tmp_path)
    assert files(tmp_path) == before
    assert len(contents(FAISS.load_local(tmp_path, MODEL))) == 2


# ---- what is refused -----------------------------------------------------------------------------


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_a_pickle_of_langchain_s_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "index.pkl").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "index.faiss").write_bytes(b"")
    for allowed in (False, True):
        with pytest.raises(StoreFileError, match=r"is a pickle.*FAISS\.from_embeddings\(\)"):
            FAISS.load_local(tmp_path, MODEL, allow_dangerous_deserialization=allowed)
    assert files(tmp_path) == ["index.faiss", "index.pkl"]


def test_nothing_there(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(StoreFileError, match=r"index\.json' is not there: nothing is saved"):
            FAISS.load_local(folder, MODEL)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreFileError, match="is not there"):
        FAISS.load_local(tmp_path / "file", MODEL)


@pytest.mark.parametrize("settings", [{}, {"index": "hnsw"}], ids=["flat", "hnsw"])
def test_every_file_cut_or_changed_anywhere_is_a_clear_error(settings, tmp_path):
    numbered(20, **settings).save_local(tmp_path)
    generator = random.Random(1)
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        places = [0, 1, len(whole) // 2, len(whole) - 1, *generator.sample(range(len(whole)), 20)]
        for place in places:
            changed = bytearray(whole)
            changed[place] ^= 1 << generator.randrange(8)
            for damaged in (whole[:place], bytes(changed), whole + b"x"):
                path.write_bytes(damaged)
                with pytest.raises(StoreFileError, match=r"damaged|no store|manifest|format"):
                    FAISS.load_local(tmp_path, MODEL)
        path.unlink()
        with pytest.raises(StoreFileError, match="not there"):
            FAISS.load_local(tmp_path, MODEL)
        path.write_bytes(whole)
    assert len(contents(FAISS.load_local(tmp_path, MODEL))) == 20


def forged(folder, **changes):
    """The manifest with other contents, and the sum that goes with them."""
    path = folder / "index.json"
    manifest = {**json.loads(path.read_text()), **changes}
    manifest.pop("sha256")
    manifest["sha256"] = _folder._of_manifest(manifest)
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 4},
        {"settings": {"kind": "hnsw", "distance": "l2"}},
        {"settings": {"kind": "flat", "distance": "cosine"}},
        {"settings": {"kind": "tree", "distance": "l2"}},
        {"settings": {"kind": "flat", "distance": "l2", "colour": "red"}},
        {"settings": None},
        {"parts": {"faiss": {}}},
        {"parts": 5},
    ],
    ids=repr,
)
def test_a_manifest_that_does_not_fit(changes, tmp_path):
    numbered(3).save_local(tmp_path)
    forged(tmp_path, **changes)
    with pytest.raises(StoreFileError, match="is no store of FAISS"):
        FAISS.load_local(tmp_path, MODEL)


def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path):
    folder = tmp_path / "store"
    numbered(3).save_local(folder)
    parts = json.loads((folder / "index.json").read_text())["parts"]
    moved = tmp_path / parts["jsonl"]["file"]
    (folder / parts["jsonl"]["file"]).rename(moved)
    parts["jsonl"]["file"] = f"../{parts['jsonl']['file']}"
    forged(folder, parts=parts)
    with pytest.raises(StoreFileError, match="not there"):
        FAISS.load_local(folder, MODEL)


def test_a_format_of_the_future(tmp_path):
    numbered(3).save_local(tmp_path)
    forged(tmp_path, format="headrace.faiss 2")
    with pytest.raises(StoreFileError, match=r"format 'headrace\.faiss 2', and this reads"):
        FAISS.load_local(tmp_path, MODEL)


# ---- crashes -------------------------------------------------------------------------------------


class Fault(BaseException):
    """What comes instead of the step; like Ctrl-C, no Exception."""


class Steps:
    """Counts what a save asks of the file system, and fails at one of them, before or after."""

    def __init__(self, patch, fails_at, error, after):
        self.count, self.fails_at, self.error, self.after = 0, fails_at, error, after
        for name in ("fsync", "replace", "open"):
            patch.setattr(_folder.os, name, self.step(getattr(os, name)))
        patch.setattr(_folder, "open", self.open, raising=False)

    def step(self, function):
        def counted(*args, **kwargs):
            failing = self.count == self.fails_at
            self.count += 1
            if failing and not self.after:
                raise self.error
            result = function(*args, **kwargs)
            if failing:
                if isinstance(result, int) and function.__name__ == "open":
                    os.close(result)
                raise self.error
            return result

        return counted

    def open(self, path, mode="r"):
        file = builtins.open(path, mode)  # noqa: SIM115
        if "r" in mode:
            return file
        real = file.write

        def half(piece):
            return real(bytes(piece)[: len(piece) // 2])

        write = self.step(real)

        class Written:
            """The file, whose writing is counted, and leaves half of the piece when it fails."""

            def __enter__(inner):
                return inner

            def __exit__(inner, *_):
                file.close()

            flush, fileno = file.flush, file.fileno

            def write(inner, piece):
                try:
                    return write(piece)
                except BaseException:
                    half(piece)
                    raise

        return Written()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [OSError(28, "no space left"), Fault()], ids=["disk", "ctrl-c"])
def test_a_save_that_fails_at_any_step_leaves_the_old_or_the_new(error, after, tmp_path):
    old, new = numbered(3), numbered(5, index="hnsw")
    expected = {"old": contents(old), "new": contents(new)}
    seen, step = [], 0
    while True:
        old.save_local(tmp_path)
        with pytest.MonkeyPatch.context() as patch:
            steps = Steps(patch, step, error, after)
            try:
                new.save_local(tmp_path)
                failed = False
            except type(error) as caught:
                assert caught is error
                failed = True
        found = contents(FAISS.load_local(tmp_path, MODEL))
        seen.append(next(name for name, each in expected.items() if each == found))
        assert len(files(tmp_path)) == 3, "a failed save leaves nothing behind"
        if not failed:
            break
        assert steps.count > step
        step += 1
    assert step > 20
    assert seen == sorted(seen, reverse=True)  # old, old, …, new
    assert seen[0] == "old" and seen[-1] == "new"


CRASHING = """
import sys
from pathlib import Path
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.vectorstores import FAISS
model = DeterministicFakeEmbedding(size=6)
stores = []
for count in (40, 70):
    names = [str(i) for i in range(count)]
    stores.append(FAISS.from_texts(names, model, [{"n": count}] * count, names, index=sys.argv[2]))
stores[0].save_local(sys.argv[1])
print("ready", flush=True)
while True:
    for store in reversed(stores):
        store.save_local(sys.argv[1])
"""


@pytest.mark.slow
def test_a_process_killed_while_it_saves_leaves_one_whole_store(tmp_path):
    generator = random.Random(2)
    found = set()
    for turn in range(8):
        kind = ("flat", "hnsw")[turn % 2]
        with subprocess.Popen(
            [sys.executable, "-c", CRASHING, str(tmp_path), kind],
            env={"PYTHONPATH": str(SRC)},
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout.readline() == b"ready\n"
            try:
                process.wait(generator.uniform(0.0, 0.05))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        store = FAISS.load_local(tmp_path, MODEL)
        numbers = {document.metadata["n"] for document in store.get_by_ids(["0", "39"])}
        assert len(contents(store)) in numbers and len(numbers) == 1
        found |= numbers
    assert found == {40, 70}
    store.save_local(tmp_path)
    assert len(files(tmp_path)) == 3, "what dead processes left is cleared away"


def test_where_folders_cannot_be_locked_only_known_files_are_removed(tmp_path, monkeypatch):
    def unlocked(handle, how):
        raise OSError(95, "not supported")

    numbered(2).save_local(tmp_path)
    monkeypatch.setattr(_file_locks.fcntl, "flock", unlocked)
    other = tmp_path / f"index.{'0' * 32}.faiss"
    other.write_bytes(b"of a process that is just saving")
    numbered(3).save_local(tmp_path)
    assert len(contents(FAISS.load_local(tmp_path, MODEL))) == 3
    assert len(files(tmp_path)) == 4 and other.exists()
    monkeypatch.undo()
    numbered(4).save_local(tmp_path)
    assert len(files(tmp_path)) == 3 and not other.exists()


def test_loading_while_others_save(tmp_path):
    stores = {count: numbered(count) for count in (2, 30)}
    stores[2].save_local(tmp_path)
    failures, done = [], threading.Event()

    def save(store):
        try:
            while not done.is_set():
                store.save_local(tmp_path)
        except BaseException as error:
            failures.append(error)

    savers = [threading.Thread(target=save, args=(store,)) for store in stores.values()]
    for saver in savers:
        saver.start()
    try:
        seen = {len(FAISS.load_local(tmp_path, MODEL).index_to_docstore_id) for _ in range(60)}
    finally:
        done.set()
        for saver in savers:
            saver.join()
    assert failures == []
    assert seen <= {2, 30}
    assert len(files(tmp_path)) == 3


def test_a_store_is_searched_while_it_is_saved(tmp_path, monkeypatch):
    store = numbered(10)
    found = []
    real = os.fsync

    def fsync(handle):
        found.append(store.similarity_search("3", k=1)[0].id)
        found.append(asyncio.run(store.asimilarity_search("4", k=1))[0].id)
        real(handle)

    monkeypatch.setattr(_folder.os, "fsync", fsync)
    store.save_local(tmp_path)
    assert found == ["3", "4"] * (len(found) // 2)
    assert len(found) >= 8


def test_a_large_index_is_written_in_pieces(tmp_path):
    rows = np.random.default_rng(0).standard_normal((5000, 100), dtype=np.float32)
    store = FAISS.from_embeddings(zip(map(str, range(5000)), rows, strict=True), MODEL)
    sizes = []
    store._table.index.write(lambda piece: sizes.append(len(piece)) or len(piece))
    assert sum(sizes) > rows.nbytes
    assert max(sizes) <= 1 << 20
