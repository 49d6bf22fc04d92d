"""Where answers are kept: the global cache, a model's own, one that a user wrote, a file.

A cache in trouble is a miss and never breaks a call; a file serves threads and processes.
"""

from __future__ import annotations

import contextlib
import importlib
import pickle
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.caches import BaseCache, InMemoryCache, SQLiteCache
from headrace.errors import ConfigError
from headrace.globals import get_llm_cache, set_llm_cache
from headrace.messages import AIMessage
from headrace.outputs import ChatGeneration, Generation
from headrace.rate_limiters import InMemoryRateLimiter
from laws.colours import every_colour, sync_colours
from text_side.kit import (
    TEXTS,
    Clock,
    Counting,
    CountingAsync,
    Echo,
    core,
)

TEXT = "".join(TEXTS)


@pytest.fixture
def global_cache() -> Iterator[InMemoryCache]:
    cache = InMemoryCache()
    set_llm_cache(cache)
    yield cache
    set_llm_cache(None)


# ---- which cache --------------------------------------------------------------------------------


@every_colour
def test_the_global_cache_serves_models_with_none_of_their_own(colour, global_cache):
    def body(doors):
        global_cache.clear()
        plain, asking, refusing = Counting(), Counting(cache=True), Counting(cache=False)
        own = Counting(cache=InMemoryCache())
        for model in (plain, asking, refusing, own):
            doors.stream(model, "hi")
            doors.invoke(model, "hi")
        # `asking` is answered by what `plain` was: they are the same model.
        assert [len(m.asked) for m in (plain, asking, refusing, own)] == [1, 0, 2, 1]

    colour.run(body)


def test_a_model_that_wants_the_global_cache_says_when_there_is_none():
    assert get_llm_cache() is None
    with pytest.raises(ValueError, match="cache"):
        Counting(cache=True).invoke("hi")


def test_what_is_no_cache_is_refused():
    with pytest.raises(ConfigError):
        set_llm_cache("cache")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cache"):
        Counting(cache=object())


def test_the_global_cache_can_be_taken_away(global_cache):
    assert get_llm_cache() is global_cache
    model = Counting()
    model.invoke("hi")
    set_llm_cache(None)
    model.invoke("hi")
    assert len(model.asked) == 2


def test_clear_forgets(cache):
    model = Counting(cache=cache)
    model.invoke("hi")
    cache.clear()
    model.invoke("hi")
    assert len(model.asked) == 2


async def test_aclear_forgets(cache):
    model = Counting(cache=cache)
    await model.ainvoke("hi")
    await cache.aclear()
    await model.ainvoke("hi")
    assert len(model.asked) == 2


def test_a_bounded_cache_forgets_what_was_not_asked_for_longest():
    model = Counting(cache=InMemoryCache(maxsize=2))
    for text in ("a", "b", "a", "c", "a", "b"):
        model.invoke(text)
    asked = [call["messages"][0].content for call in model.asked]
    assert asked == ["a", "b", "c", "b"]


@pytest.mark.parametrize("size", [0, -1, "two"])
def test_a_bound_that_is_none_is_refused(size):
    with pytest.raises(ValueError, match="maxsize"):
        InMemoryCache(maxsize=size)


# ---- a user's own cache -------------------------------------------------------------------------


class DictCache(BaseCache):
    """As LangChain's guide writes one: a dict of lists of generations."""

    def __init__(self) -> None:
        self.rows: dict[Any, Any] = {}
        self.calls: list[str] = []

    def lookup(self, prompt, llm_string):
        assert isinstance(prompt, str)
        assert isinstance(llm_string, str)
        self.calls.append("lookup")
        return self.rows.get((prompt, llm_string))

    def update(self, prompt, llm_string, return_val):
        self.calls.append("update")
        self.rows[prompt, llm_string] = return_val

    def clear(self, **kwargs):
        self.rows.clear()


class WholeOnly(DictCache):
    """Writes down the text alone, as a cache in a key-value store may."""

    def update(self, prompt, llm_string, return_val):
        (only,) = return_val
        message = AIMessage(only.text)
        self.rows[prompt, llm_string] = [
            ChatGeneration(message=message)
            if isinstance(only, ChatGeneration)
            else Generation(text=only.text)
        ]


class Pickling(DictCache):
    def update(self, prompt, llm_string, return_val):
        self.rows[prompt, llm_string] = pickle.dumps(list(return_val))

    def lookup(self, prompt, llm_string):
        found = self.rows.get((prompt, llm_string))
        return found and pickle.loads(found)


class Broken(DictCache):
    def lookup(self, prompt, llm_string):
        raise OSError("no cache today")

    def update(self, prompt, llm_string, return_val):
        raise OSError("no cache today")


class Lying(DictCache):
    def lookup(self, prompt, llm_string):
        return ["this is no generation"]


@every_colour
@pytest.mark.parametrize("kind", [DictCache, Pickling])
def test_a_cache_of_ones_own_replays_chunks(colour, kind):
    def body(doors):
        model = Counting(cache=kind())
        missed, hit = doors.stream(model, "hi"), doors.stream(model, "hi")
        assert [core(chunk) for chunk in missed] == [core(chunk) for chunk in hit]
        assert len(model.asked) == 1

    colour.run(body)


@every_colour
def test_a_cache_that_keeps_the_whole_only_still_answers(colour):
    def body(doors):
        model, text = Counting(cache=WholeOnly()), Echo(cache=WholeOnly())
        doors.stream(model, "hi")
        doors.stream(text, "hi")
        assert "".join(c.content for c in doors.stream(model, "hi")) == TEXT
        assert doors.invoke(model, "hi").content == TEXT
        assert "".join(doors.stream(text, "hi")) == doors.invoke(text, "hi") == "hi!"
        assert len(model.asked) == len(text.asked) == 1

    colour.run(body)


@every_colour
@pytest.mark.parametrize("kind", [Broken, Lying])
def test_a_cache_in_trouble_is_a_miss_and_a_warning(colour, kind, caplog):
    def body(doors):
        caplog.clear()
        model = Counting(cache=kind())
        assert doors.invoke(model, "hi").content == TEXT
        assert len(doors.stream(model, "hi")) >= len(TEXTS)
        assert len(model.asked) == 2
        assert any(record.levelname == "WARNING" for record in caplog.records)

    colour.run(body)


class AsyncCache(DictCache):
    async def alookup(self, prompt, llm_string):
        self.calls.append("alookup")
        return self.rows.get((prompt, llm_string))

    async def aupdate(self, prompt, llm_string, return_val):
        self.calls.append("aupdate")
        self.rows[prompt, llm_string] = return_val


@every_colour
def test_async_calls_use_the_async_methods(colour):
    def body(doors):
        cache = AsyncCache()
        model = CountingAsync(cache=cache)
        doors.stream(model, "hi")
        doors.invoke(model, "hi")
        names = ["alookup", "aupdate"] if doors.asynchronous else ["lookup", "update"]
        assert cache.calls == [*names, names[0]]

    colour.run(body)


def test_a_cache_of_langchains_own_class_works_or_is_refused_with_the_class_that_is_wanted():
    theirs = importlib.import_module("langchain_core.caches").InMemoryCache()
    try:
        model = Counting(cache=theirs)
    except ValueError as error:
        assert "BaseCache" in str(error)
        return
    model.invoke("hi")
    model.invoke("hi")
    assert len(model.asked) == 1


# ---- a cache and a limiter ----------------------------------------------------------------------


@every_colour
def test_a_hit_takes_nothing_from_the_limiter(colour, cache):
    def body(doors):
        cache.clear()
        clock = Clock()
        limiter = InMemoryRateLimiter(requests_per_second=1, max_bucket_size=1, clock=clock)
        model = Counting(cache=cache, rate_limiter=limiter)
        for _ in range(3):
            doors.invoke(model, "hi")
            doors.stream(model, "hi")
        assert sum(clock.slept) == pytest.approx(1.0)

    colour.run(body)


# ---- a file, from threads and processes ---------------------------------------------------------


PROGRAM = """
import sys, threading
from headrace.caches import SQLiteCache
from headrace.outputs import Generation
cache = SQLiteCache(sys.argv[1])
def work(name):
    for number in range(8):
        prompt = f"p{number}"
        found = cache.lookup(prompt, "model")
        if found is None:
            cache.update(prompt, "model", [Generation(text=f"answer {number}")])
        else:
            assert found[0].text == f"answer {number}", found
threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
[t.start() for t in threads]
[t.join() for t in threads]
print(all(cache.lookup(f"p{n}", "model") for n in range(8)))
cache.close()
"""


def test_two_processes_with_threads_share_a_file(tmp_path):
    path = tmp_path / "shared.db"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for worker in workers:
        out, err = worker.communicate(timeout=60)
        assert (out.strip(), err) == ("True", "")
    cache = SQLiteCache(path)
    assert [cache.lookup(f"p{n}", "model")[0].text for n in range(8)] == [
        f"answer {n}" for n in range(8)
    ]
    cache.close()


def test_threads_share_a_file(tmp_path):
    cache = SQLiteCache(tmp_path / "threads.db")
    model = Counting(cache=cache)
    failed: list[BaseException] = []

    def work():
        try:
            for number in range(10):
                assert "".join(c.content for c in model.stream(f"q{number}")) == TEXT
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert 10 <= len(model.asked) <= 40
    asked = len(model.asked)
    work()
    assert len(model.asked) == asked
    cache.close()


@sync_colours
def test_a_new_object_reads_what_another_wrote(colour, tmp_path):
    def body(doors):
        path = tmp_path / f"{colour}.db"
        with contextlib.closing(SQLiteCache(path)) as one:
            missed = doors.stream(Counting(cache=one), "hi")
        with contextlib.closing(SQLiteCache(path)) as two:
            model = Counting(cache=two)
            hit = doors.stream(model, "hi")
            assert not model.asked
        assert [core(chunk) for chunk in missed] == [core(chunk) for chunk in hit]

    colour.run(body)


def test_the_question_is_not_written_down(tmp_path):
    path = tmp_path / "secret.db"
    with contextlib.closing(SQLiteCache(path)) as cache:
        Counting(cache=cache).invoke("my password is hunter2")
    everything = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"hunter2" not in everything
    assert b"wor" in everything  # the answer is there, so this was the file


def test_the_file_is_its_owners_alone(tmp_path):
    path = tmp_path / "mine.db"
    with contextlib.closing(SQLiteCache(path)) as cache:
        Counting(cache=cache).invoke("hi")
        for file in tmp_path.iterdir():
            assert file.stat().st_mode & 0o077 == 0, file.name


HOSTILE = [
    "not json at all",
    "{}",
    "[]",
    "null",
    '{"headrace": 999, "value": []}',
    '{"headrace": 1, "value": {"$": "os.system", "args": ["touch /tmp/pwned"]}}',
    '{"lc": 1, "type": "constructor", "id": ["subprocess", "Popen"], "kwargs": {"args": "ls"}}',
    b"\x80\x04\x95",
    "[" * 100_000,
]


@pytest.mark.parametrize("row", HOSTILE, ids=lambda row: str(row[:20]))
def test_a_row_that_cannot_be_read_is_a_miss(tmp_path, row, caplog):
    path = tmp_path / "rows.db"
    with contextlib.closing(SQLiteCache(path)) as cache:
        Counting(cache=cache).invoke("hi")
    _overwrite(path, row)
    with contextlib.closing(SQLiteCache(path)) as cache:
        model = Counting(cache=cache)
        assert model.invoke("hi").content == TEXT
        assert len(model.asked) == 1
        assert caplog.records
        model.invoke("hi")
        assert len(model.asked) == 1


def _overwrite(path: Path, row: str | bytes) -> None:
    """Put the row in place of every answer in the file, whatever the table is called."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        (table,) = (
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
            if not name.startswith("sqlite_")
        )
        columns = [info[1] for info in connection.execute(f'PRAGMA table_info("{table}")')]
        rows = connection.execute(f'SELECT * FROM "{table}"').fetchall()
        assert rows
        texts = [
            name
            for name, value in zip(columns, rows[0], strict=True)
            if isinstance(value, str | bytes) and len(value) > 64
        ]
        assert texts, rows
        for name in texts:
            connection.execute(f'UPDATE "{table}" SET "{name}" = ?', (row,))


def test_what_is_no_database_is_refused(tmp_path):
    path = tmp_path / "text.db"
    path.write_text("this is a letter, and no database; " * 50)
    with pytest.raises(ConfigError):
        SQLiteCache(path)
    with pytest.raises(ConfigError):
        SQLiteCache(tmp_path / "nowhere" / "file.db")
    assert path.read_text().startswith("this is a letter")


def test_lone_surrogates_and_bytes_in_an_answer_do_not_break_the_call(tmp_path):
    pieces = [{"content": "a\ud800b"}, {"content": "", "additional_kwargs": {"raw": b"\x00\xff"}}]
    with contextlib.closing(SQLiteCache(tmp_path / "odd.db")) as cache:
        model = Counting(pieces=pieces, cache=cache)
        first, second = model.invoke("hi"), model.invoke("hi")
        assert first.content == second.content == "a\ud800b"
        assert first.additional_kwargs == second.additional_kwargs == {"raw": b"\x00\xff"}


@given(st.lists(st.text(), min_size=1, max_size=6))
def test_any_answer_comes_back_chunk_by_chunk(texts):
    with contextlib.closing(SQLiteCache(":memory:")) as cache:
        model = Counting(pieces=[{"content": text} for text in texts], cache=cache)
        missed, hit = list(model.stream("hi")), list(model.stream("hi"))
        assert [core(chunk) for chunk in missed] == [core(chunk) for chunk in hit]
        assert len(model.asked) == 1
