"""`SQLiteCache`: what is kept comes back the same, for many threads and processes, and damage in
the file is never an answer."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.caches import SQLiteCache, StreamedChatGeneration, StreamedGeneration
from headrace.errors import ConfigError, HeadraceError
from headrace.language_models import FakeListChatModel, FakeListLLM
from headrace.messages import AIMessage, AIMessageChunk
from headrace.outputs import ChatGeneration, Generation


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answers.db"


@pytest.fixture
def cache(path):
    with SQLiteCache(path) as made:
        yield made


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.tuples(st.text(), st.integers()) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
INFO = st.none() | st.dictionaries(st.text(), JSON, max_size=2)
CHUNKS = st.builds(
    AIMessageChunk,
    content=st.text() | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": st.text()}), max_size=2),  # noqa: E501
    id=st.none() | st.text(min_size=1),
    additional_kwargs=st.dictionaries(st.text(), JSON, max_size=2),
    response_metadata=st.dictionaries(st.text(), JSON, max_size=2),
)  # fmt: skip
ANSWERS = st.lists(
    st.builds(Generation, st.text(), INFO)
    | st.builds(StreamedGeneration, st.text(), INFO, st.lists(st.text(), max_size=3))
    | st.builds(ChatGeneration, st.builds(AIMessage, st.text()), INFO)
    | st.builds(
        StreamedChatGeneration, st.builds(AIMessage, st.text()), INFO,
        chunks=st.lists(CHUNKS, max_size=3),
    ),
    min_size=1, max_size=3,
)  # fmt: skip


@given(answer=ANSWERS, prompt=st.text(), params=st.text())
def test_what_is_kept_comes_back_the_same(answer, prompt, params):
    with SQLiteCache(":memory:") as cache:
        assert cache.lookup(prompt, params) is None
        cache.update(prompt, params, answer)
        found = cache.lookup(prompt, params)
        assert found == answer
        for got, kept in zip(found, answer, strict=True):
            assert type(got) is type(kept)
            assert getattr(got, "chunks", None) == getattr(kept, "chunks", None)
        assert cache.lookup(prompt + "x", params) is None
        assert cache.lookup(prompt, params + "x") is None
        assert cache.lookup(params, prompt) == (answer if params == prompt else None)
        cache.clear()
        assert cache.lookup(prompt, params) is None


async def test_async_calls_do_not_block_the_loop(cache):
    """While another connection holds the file, a write waits and the loop goes on."""
    other = sqlite3.connect(cache.database_path, isolation_level=None)
    with closing(other):
        other.execute("BEGIN IMMEDIATE")
        work = asyncio.ensure_future(cache.aupdate("p", "m", [Generation("a")]))
        for _ in range(5):
            await asyncio.sleep(0.002)
        assert not work.done()
        other.execute("COMMIT")
        await work
    assert await cache.alookup("p", "m") == [Generation("a")]
    await cache.aclear()
    assert await cache.alookup("p", "m") is None


def test_the_file_outlives_the_program(path):
    with SQLiteCache(path) as cache:
        chunks = list(FakeListChatModel(responses=["abc"], cache=cache).stream("q"))
    with SQLiteCache(path) as cache:
        model = FakeListChatModel(responses=["abc"], cache=cache)
        model.i = 0
        again = list(model.stream("q"))
        assert [c.content for c in again] == [c.content for c in chunks] == ["a", "b", "c"]
        cache.close()
        assert cache.lookup("no", "no") is None  # it opens again


def test_only_the_owner_may_read_it_and_no_prompt_is_in_it(path):
    with SQLiteCache(path) as cache:
        cache.update("a private question", "m", [Generation("x")])
        for name in os.listdir(path.parent):
            assert stat.S_IMODE(os.stat(path.parent / name).st_mode) == 0o600, name
            assert b"a private question" not in (path.parent / name).read_bytes()


def test_a_file_with_rights_of_its_own_keeps_them(path):
    path.touch()
    path.chmod(0o660)
    with SQLiteCache(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


def change(cache: SQLiteCache, sql: str, *values: Any) -> None:
    with closing(sqlite3.connect(cache.database_path, isolation_level=None)) as other:
        other.execute(sql, values).close()


DAMAGE = [
    "", "{", "null", "[]", "7", '"text"', '{"headrace":1,"value":[]}', '{"headrace":1,"value":7}',
    '{"headrace":99,"value":[[{"$":"Generation","text":"a"},null]]}',
    '{"headrace":1,"value":[[{"$":"Generation","text":7},null]]}',
    '{"headrace":1,"value":[[{"$":"Generation","text":"a"}]]}',
    '{"headrace":1,"value":[[{"$":"Document","page_content":"a"},null]]}',
    '{"headrace":1,"value":[[{"$":"Generation","text":"a"},[7]]]}',
    '{"headrace":1,"value":[[{"$":"ChatGeneration","message":{"$":"AIMessage","content":"a"}},["x"]]]}',
    '{"headrace":1,"value":[[{"$":"object","class":"os:system","form":"enum","data":{}},null]]}',
    '{"headrace":1,"value":[[{"$":"error","class":"os:system"},null]]}',
    '{"lc":1,"type":"constructor","id":["os","system"],"kwargs":{"command":"false"}}',
    "[" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_row_is_a_miss_and_logged(cache, caplog, damage):
    model = FakeListLLM(responses=["right", "asked again"], cache=cache)
    assert model.invoke("q") == "right"
    change(cache, "UPDATE headrace_answers SET answer = ?", damage)
    with caplog.at_level(logging.WARNING, "headrace"):
        assert model.invoke("q") == "asked again"
    assert "cannot be read" in caplog.text
    assert model.invoke("q") == "asked again"


def test_a_row_of_a_later_version_or_another_type_is_a_miss(cache, caplog):
    model = FakeListLLM(responses=["a", "b", "c"], cache=cache)
    model.invoke("q")
    change(cache, "UPDATE headrace_answers SET version = 2")
    with caplog.at_level(logging.WARNING, "headrace"):
        assert model.invoke("q") == "b"
    assert "version 2" in caplog.text
    change(cache, "UPDATE headrace_answers SET answer = x'ff00'")
    assert model.invoke("q") == "c"


def test_a_table_that_was_dropped_does_not_break_the_call(cache, caplog):
    change(cache, "DROP TABLE headrace_answers")
    with caplog.at_level(logging.WARNING, "headrace"):
        assert FakeListLLM(responses=["a"], cache=cache).invoke("q") == "a"
    assert "lookup of the cache" in caplog.text


def test_what_json_cannot_hold_is_not_stored(cache, caplog):
    class Own:
        pass

    generation = Generation("a", {"own": Own()})
    with pytest.raises(HeadraceError):
        cache.update("p", "m", [generation])
    assert cache.lookup("p", "m") is None


def test_files_that_cannot_be_used_are_refused(tmp_path, path):
    (tmp_path / "text.db").write_text("no database, but long enough to be one " * 200)
    for wrong in (tmp_path / "text.db", tmp_path / "no" / "such.db", tmp_path):
        with pytest.raises(ConfigError, match="give the path of a SQLite file"):
            SQLiteCache(wrong)


def test_copies_and_pickles_use_the_same_file(cache):
    cache.update("p", "m", [Generation("a")])
    with pickle.loads(pickle.dumps(cache)) as other:
        assert other.lookup("p", "m") == [Generation("a")]
    model = FakeListLLM(responses=["a"], cache=cache)
    assert model.model_copy(deep=True).cache is cache
    assert repr(cache) == f"SQLiteCache({cache.database_path!r})"


def test_many_threads_share_it(cache):
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(20):
                text = f"{number}-{step}"
                cache.update(text, "m", [Generation(text)])
                assert cache.lookup(text, "m") == [Generation(text)]
                found = cache.lookup(f"{(number + 1) % 4}-{step}", "m")
                assert found in (None, [Generation(f"{(number + 1) % 4}-{step}")])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert all(cache.lookup(f"{n}-{s}", "m") for n in range(4) for s in range(20))


PROGRAM = """
import sys
from headrace.caches import SQLiteCache
from headrace.outputs import Generation

path, number = sys.argv[1:]
with SQLiteCache(path) as cache:
    print("open", flush=True)
    sys.stdin.readline()
    for step in range(25):
        for text in (f"{number}-{step}", f"shared-{step}"):
            cache.update(text, "m", [Generation(text * 50)])
            assert cache.lookup(text, "m") == [Generation(text * 50)]
print("done")
"""


def test_many_processes_share_it(path):
    """All open the new file at once, and then write at once."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, path, str(number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(3)
    ]  # fmt: skip
    try:
        for process in running:
            assert process.stdout.readline() == "open\n", process.stderr.read()
        ends = []
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in running:
            out, err = process.communicate(timeout=60)
            ends.append((out, err))
        assert ends == [("done\n", "")] * 3
    finally:
        for process in running:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                pipe.close()
    with SQLiteCache(path) as cache:
        for name in ("0", "1", "2", "shared"):
            for step in range(25):
                text = f"{name}-{step}"
                assert cache.lookup(text, "m") == [Generation(text * 50)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_forked_child_opens_the_file_itself(path):
    program = f"""
import os, sys
from headrace.caches import SQLiteCache
from headrace.outputs import Generation
cache = SQLiteCache({str(path)!r})
cache.update("parent", "m", [Generation("p")])
child = os.fork()
if child == 0:
    assert cache.lookup("parent", "m") == [Generation("p")]
    cache.update("child", "m", [Generation("c")])
    cache.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert cache.lookup("child", "m") == [Generation("c")]
cache.close()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)
