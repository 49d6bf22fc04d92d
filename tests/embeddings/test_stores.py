"""Stores: in memory, in files, and one behind an encoder; what all do, in each colour."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace.stores.local_file as local_file
from headrace.errors import InputError
from headrace.stores import (
    BaseStore,
    EncoderBackedStore,
    InMemoryByteStore,
    InMemoryStore,
    InvalidKeyException,
    LocalFileStore,
)
from laws.colours import SYNC, every_colour


class Plain(BaseStore[str, bytes]):
    """A user's own, with the sync methods alone; knows in which threads it was used."""

    def __init__(self):
        self.held, self.threads = {}, set()

    def mget(self, keys):
        self.threads.add(threading.current_thread())
        return [self.held.get(key) for key in keys]

    def mset(self, key_value_pairs):
        self.threads.add(threading.current_thread())
        self.held.update(key_value_pairs)

    def mdelete(self, keys):
        self.threads.add(threading.current_thread())
        for key in keys:
            self.held.pop(key, None)

    def yield_keys(self, *, prefix=None):
        self.threads.add(threading.current_thread())
        return (key for key in list(self.held) if key.startswith(prefix or ""))


MAKERS = {
    "memory": lambda folder: InMemoryByteStore(),
    "any": lambda folder: InMemoryStore(),
    "files": lambda folder: LocalFileStore(folder / "root"),
    "plain": lambda folder: Plain(),
    "encoded": lambda folder: EncoderBackedStore(
        InMemoryByteStore(), lambda key: key, lambda value: value[::-1], lambda kept: kept[::-1]
    ),
}


@pytest.fixture(params=list(MAKERS))
def make(request, tmp_path):
    numbers = iter(range(100))
    return lambda: MAKERS[request.param](tmp_path / str(next(numbers)))


def call(doors, store, name, *args):
    if doors.asynchronous:
        return doors.wait(getattr(store, f"a{name}")(*args))
    return getattr(store, name)(*args)


def keys(doors, store, **kwargs):
    if not doors.asynchronous:
        return sorted(store.yield_keys(**kwargs))

    async def collect():
        return sorted([key async for key in store.ayield_keys(**kwargs)])

    return doors.wait(collect())


@every_colour
def test_values_are_kept_found_replaced_and_forgotten(colour, make):
    def body(doors):
        store = make()
        assert call(doors, store, "mget", ["a"]) == [None]
        assert keys(doors, store) == []
        call(doors, store, "mset", [("a", b"1"), ("b/c", b""), ("b/d", b"\x00\xff"), ("a", b"2")])
        found = call(doors, store, "mget", ["b/d", "a", "x", "b/c", "a"])
        assert found == [b"\x00\xff", b"2", None, b"", b"2"]
        assert keys(doors, store) == ["a", "b/c", "b/d"]
        assert keys(doors, store, prefix="b") == ["b/c", "b/d"]
        assert keys(doors, store, prefix="b/c") == ["b/c"]
        call(doors, store, "mdelete", ["a", "x", "b/c"])
        assert keys(doors, store) == ["b/d"]
        assert call(doors, store, "mget", []) == []

    colour.run(body)


async def test_a_users_own_store_is_used_in_worker_threads():
    store = Plain()
    await store.amset([("a", b"1")])
    assert await store.amget(["a"]) == [b"1"]
    assert [key async for key in store.ayield_keys()] == ["a"]
    await store.amdelete(["a"])
    assert threading.current_thread() not in store.threads


def test_a_store_in_memory_may_change_while_its_keys_are_read():
    store = InMemoryStore()
    store.mset([("a", 1), ("b", 2)])
    for key in store.yield_keys():
        store.mset([(f"{key}-again", 3)])
    assert len(store.store) == 4


def test_an_encoder_that_finds_nothing_in_a_value():
    inside = InMemoryByteStore()
    store = EncoderBackedStore(inside, str, bytes, lambda kept: None)
    store.mset([(1, b"x")])
    assert inside.store == {"1": b"x"}
    assert store.mget([1]) == [None]


# ---- files ---------------------------------------------------------------------------------------


def test_a_key_is_the_path_of_its_file(tmp_path):
    LocalFileStore(tmp_path).mset([("a/b.bin", b"x")])
    assert (tmp_path / "a" / "b.bin").read_bytes() == b"x"


@pytest.mark.parametrize(
    "key",
    ["", ".", "..", "../x", "a/../b", "/a", "a/", "a//b", "a\\b", "a b", "ä", "a\n", "a:b", None, 3,
     ".headrace-new-x"],
    ids=repr,
)  # fmt: skip
def test_keys_that_could_lead_elsewhere_are_refused(tmp_path, key):
    store = LocalFileStore(tmp_path / "root")
    with pytest.raises(InvalidKeyException, match="is no key of a LocalFileStore"):
        store.mset([("good", b"x"), (key, b"x")])
    assert list(tmp_path.iterdir()) == []  # nothing was written, not the good one either
    for method in (store.mget, store.mdelete):
        with pytest.raises(InvalidKeyException):
            method([key])


@given(st.text(min_size=1, max_size=12))
def test_no_key_leads_out_of_the_root(key):
    try:
        local_file._checked(key)
    except InvalidKeyException:
        return
    root = Path("/root/of/the/store")
    assert Path(os.path.normpath(root / key)).is_relative_to(root)


@pytest.mark.parametrize("order", [("a", "a/b"), ("a/b", "a")], ids=["file-first", "folder-first"])
def test_a_key_cannot_be_a_file_and_a_folder(tmp_path, order):
    store = LocalFileStore(tmp_path)
    store.mset([(order[0], b"x")])
    assert store.mget([order[1]]) == [None]
    with pytest.raises(InvalidKeyException, match="make a folder of a file"):
        store.mset([(order[1], b"y")])
    assert list(store.yield_keys()) == [order[0]]


def test_values_are_bytes(tmp_path):
    with pytest.raises(InputError, match="keeps bytes; 'a' is given 'text'"):
        LocalFileStore(tmp_path).mset([("a", "text")])


def test_the_root_is_a_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file: give a folder"):
        LocalFileStore(tmp_path / "file")


def test_a_write_that_fails_leaves_the_old_value_and_nothing_beside(tmp_path, monkeypatch):
    store = LocalFileStore(tmp_path)
    store.mset([("a", b"old")])

    def broken(*args):
        raise OSError("the disk is full")

    monkeypatch.setattr(local_file.os, "replace", broken)
    with pytest.raises(OSError, match="the disk is full"):
        store.mset([("a", b"new")])
    assert store.mget(["a"]) == [b"old"]
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_file_that_is_being_written_is_no_key(tmp_path):
    (tmp_path / ".headrace-new-abc").write_bytes(b"half")
    assert list(LocalFileStore(tmp_path).yield_keys()) == []


def test_readers_never_see_half_a_value(tmp_path):
    store = LocalFileStore(tmp_path)
    values = [bytes([n]) * 100_000 for n in (1, 2)]
    store.mset([("a", values[0])])
    over = threading.Event()

    def write():
        for n in range(60):
            store.mset([("a", values[n % 2])])
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not over.is_set():
        seen += store.mget(["a"])
    writer.join()
    assert seen and all(value in values for value in seen)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_permissions_of_what_is_made(tmp_path):
    LocalFileStore(tmp_path / "a").mset([("x/y", b"")])
    assert (tmp_path / "a/x/y").stat().st_mode & 0o777 == 0o600
    store = LocalFileStore(tmp_path / "b", chmod_file=0o644, chmod_dir=0o750)
    store.mset([("x/y", b"")])
    assert (tmp_path / "b/x/y").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "b/x").stat().st_mode & 0o777 == 0o750


def test_reading_sets_the_access_time_where_asked(tmp_path):
    for update in (False, True):
        store = LocalFileStore(tmp_path, update_atime=update)
        store.mset([("a", b"x")])
        os.utime(tmp_path / "a", (1000, 2000))
        store.mget(["a"])
        state = (tmp_path / "a").stat()
        assert state.st_mtime == 2000
        assert (state.st_atime > 1_000_000) or not update


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("set"), st.sampled_from("abc"), st.binary(max_size=3)),
            st.tuples(st.just("delete"), st.sampled_from("abc"), st.just(b"")),
        )
    )
)
def test_files_are_as_a_dict_is(tmp_path_factory, steps):
    def body(doors):
        store, model = LocalFileStore(tmp_path_factory.mktemp("files")), {}
        for what, key, value in steps:
            if what == "set":
                store.mset([(key, value)])
                model[key] = value
            else:
                store.mdelete([key])
                model.pop(key, None)
            assert store.mget(list("abc")) == [model.get(key) for key in "abc"]
            assert sorted(store.yield_keys()) == sorted(model)

    SYNC.run(body)
