"""Record managers: in memory, in SQLite, and of one's own with the required methods alone."""

from __future__ import annotations

import sqlite3
import time

import pytest

from headrace.errors import ConfigError, InputError
from headrace.indexing import (
    InMemoryRecordManager,
    RecordFileError,
    RecordManager,
    SQLiteRecordManager,
    SQLRecordManager,
)
from indexing.places import call, counts, doc, run_index, store, texts
from laws.colours import both_drivers


class Plain(RecordManager):
    """As a program for LangChain writes one: what is required, no more."""

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.inside = InMemoryRecordManager(namespace)

    def create_schema(self):
        self.inside.create_schema()

    def get_time(self):
        return self.inside.get_time()

    def update(self, keys, *, group_ids=None, time_at_least=None):
        self.inside.update(keys, group_ids=group_ids, time_at_least=time_at_least)

    def exists(self, keys):
        return self.inside.exists(keys)

    def list_keys(self, *, before=None, after=None, group_ids=None, limit=None):
        return self.inside.list_keys(before=before, after=after, group_ids=group_ids, limit=limit)

    def delete_keys(self, keys):
        self.inside.delete_keys(keys)


MAKERS = {
    "memory": lambda folder, name: InMemoryRecordManager(name),
    "sqlite": lambda folder, name: SQLiteRecordManager(name, folder / "records.sql"),
    "plain": lambda folder, name: Plain(name),
}


@pytest.fixture(params=list(MAKERS))
def make(request, tmp_path):
    return lambda name="n": MAKERS[request.param](tmp_path, name)


@both_drivers
def test_keys_are_written_found_listed_and_forgotten(colour, make):
    def body(doors):
        records = make()
        call(doors, records, "create_schema")
        assert call(doors, records, "list_keys") == []
        call(doors, records, "update", ["c", "a", "b"], group_ids=["x", None, "y"])
        assert call(doors, records, "list_keys") == ["c", "a", "b"]
        assert call(doors, records, "exists", ["a", "z", "b"]) == [True, False, True]
        assert sorted(call(doors, records, "list_keys", group_ids=["y", "x"])) == ["b", "c"]
        assert call(doors, records, "list_keys", group_ids=[]) == []
        assert call(doors, records, "list_keys", limit=2) == ["c", "a"]
        call(doors, records, "delete_keys", ["a", "z"])
        assert call(doors, records, "list_keys") == ["c", "b"]
        call(doors, records, "update", ["b"], group_ids=["x"])
        assert call(doors, records, "list_keys", group_ids=["x"]) == ["c", "b"]
        call(doors, records, "update", [])
        with pytest.raises(InputError, match="1 group_ids for 2 keys"):
            call(doors, records, "update", ["a", "b"], group_ids=["x"])

    colour.run(body)


@both_drivers
def test_times_go_forwards_whatever_the_clock_does(colour, make, monkeypatch):
    def body(doors):
        monkeypatch.setattr(time, "time", lambda: 1000.0)
        records = make("clock")
        call(doors, records, "delete_keys", call(doors, records, "list_keys"))
        call(doors, records, "update", ["a"])
        between = call(doors, records, "get_time")
        monkeypatch.setattr(time, "time", lambda: 10.0)
        call(doors, records, "update", ["b"], time_at_least=between)
        assert call(doors, records, "list_keys", before=between) == ["a"]
        assert call(doors, records, "get_time") > between
        later = call(doors, records, "get_time")
        assert call(doors, records, "list_keys", before=later) == ["a", "b"]
        assert call(doors, records, "list_keys", after=later) == []
        call(doors, records, "update", ["c"], time_at_least=later + 5)
        assert call(doors, records, "list_keys", after=later) == ["c"]
        assert call(doors, records, "get_time") > later + 5

    colour.run(body)


@both_drivers
def test_namespaces_do_not_see_each_other(colour, make):
    def body(doors):
        first, second = make("first"), make("second")
        call(doors, first, "update", ["a", "b"])
        call(doors, second, "update", ["a"])
        call(doors, first, "delete_keys", ["a"])
        assert call(doors, first, "list_keys") == ["b"]
        assert call(doors, second, "list_keys") == ["a"]

    colour.run(body)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@both_drivers
def test_what_is_about_to_change_is_listed_and_does_not_exist(colour, kind, tmp_path):
    def body(doors):
        records = MAKERS[kind](tmp_path, colour.name)
        call(doors, records, "update", ["old"], group_ids=["x"])
        seen = call(doors, records, "get_time")
        call(doors, records, "expect_change", ["old", "new"], group_ids=["other", "y"])
        assert call(doors, records, "exists", ["old", "new"]) == [False, False]
        assert call(doors, records, "list_keys") == ["old", "new"]
        assert call(doors, records, "list_keys", group_ids=["x"]) == ["old"]  # as it was
        assert call(doors, records, "list_keys", before=seen) == ["old"]
        call(doors, records, "update", ["new"], group_ids=["y"])
        assert call(doors, records, "exists", ["old", "new"]) == [False, True]
        call(doors, records, "delete_keys", ["old"])
        assert call(doors, records, "list_keys") == ["new"]

    colour.run(body)


@both_drivers
def test_indexing_with_each(colour, make):
    def body(doors):
        records, place = make(), store()
        options = {"cleanup": "incremental", "source_id_key": "source"}
        run_index(doors, [doc("a", "s"), doc("b", "s")], records, place, **options)
        result = run_index(doors, [doc("b", "s"), doc("c", "s")], records, place, **options)
        assert result == counts(added=1, skipped=1, deleted=1)
        assert texts(place) == ["b", "c"]

    colour.run(body)


@both_drivers
def test_records_in_a_file_outlive_their_manager(colour, tmp_path):
    def body(doors):
        path = tmp_path / f"{colour.name}.sql"
        call(doors, SQLiteRecordManager("n", path), "update", ["a"], group_ids=["g"])
        assert call(doors, SQLiteRecordManager("n", str(path)), "exists", ["a"]) == [True]
        url = f"sqlite:///{path}"
        again = SQLRecordManager("n", db_url=url, async_mode=True)
        assert call(doors, again, "list_keys", group_ids=["g"]) == ["a"]

    colour.run(body)


def test_a_relative_url_is_a_file_in_this_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    SQLRecordManager("n", db_url="sqlite:///r.sql").update(["a"])
    assert (tmp_path / "r.sql").exists()


def test_many_keys_in_one_call(tmp_path):
    records = SQLiteRecordManager("n", tmp_path / "r.sql")
    keys = [f"key-{n}" for n in range(50_000)]  # more than SQLite has variables for
    records.update(keys)
    assert all(records.exists(keys))
    records.delete_keys(keys[1:])
    assert records.list_keys() == keys[:1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "given neither of 'path' and 'db_url'"),
        ({"path": "x", "db_url": "sqlite:///x"}, "given both"),
        ({"path": ":memory:"}, "use InMemoryRecordManager"),
        ({"path": ""}, "use InMemoryRecordManager"),
        ({"db_url": "sqlite://"}, "use InMemoryRecordManager"),
        ({"db_url": "postgresql://x/y"}, "derive a class"),
        ({"path": "no/such/folder/r.sql"}, "there is no folder"),
    ],
    ids=["neither", "both", "memory", "empty", "no-file", "other-database", "no-folder"],
)
def test_a_file_that_cannot_be_is_refused_at_once(given, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        SQLiteRecordManager("n", **given)


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "r.sql"
    path.write_bytes(b"this is a text, and long enough not to be taken for an empty file" * 20)
    with pytest.raises(RecordFileError, match="Give the path of an SQLite file") as caught:
        SQLiteRecordManager("n", path).exists(["a"])
    assert isinstance(caught.value, sqlite3.OperationalError)
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
