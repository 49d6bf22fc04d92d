"""What lies in a store: rows of strangers execute nothing, and histories go through every shape.

The first half edits the rows of SQLite and Redis by hand; the second puts histories into programs.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import pathlib
import sqlite3
import subprocess
import sys
from typing import Any

import pytest
import redis

from headrace.chat_history import (
    InMemoryChatMessageHistory,
    RedisChatMessageHistory,
    SQLiteChatMessageHistory,
    StoredMessageError,
)
from headrace.errors import AsyncOnlyError, ConfigError
from headrace.messages import AIMessage, HumanMessage, RemoveMessage
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate, MessagesPlaceholder
from headrace.runnables import (
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnableWithMessageHistory,
)
from laws.colours import both_drivers, every_colour
from text_side.kit import TEXTS, Counting, CountingAsync, Echo, Whole, events

TEXT = "".join(TEXTS)
NUMBER = itertools.count()
S1 = {"configurable": {"session_id": "s1"}}

HOSTILE = [
    "not json",
    "",
    "null",
    "7",
    "{}",
    "[]",
    '{"type": "king", "data": {"content": "x"}}',
    '{"type": "human", "data": {}}',
    '{"type": "human", "data": {"content": {"$": "os.system"}}}',
    '{"headrace": 999, "value": {"$": "HumanMessage", "content": "x"}}',
    '{"headrace": 1, "value": {"$": "os.system"}}',
    '{"headrace": 1, "value": 7}',
    '{"headrace": 1, "value": {"$": "Document", "page_content": "x"}}',
    '{"lc": 1, "type": "constructor", "id": ["subprocess", "Popen"], "kwargs": {"args": "ls"}}',
    '{"type": "AIMessage", "content": "x", "tool_calls": [7]}',
    "[" * 60_000,
    b"\x80\x04\x95\xff",
]


@pytest.fixture
def nothing_started(monkeypatch):
    def fail(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a row started a process")

    monkeypatch.setattr(subprocess, "Popen", fail)
    monkeypatch.setattr("os.system", fail)


@pytest.mark.parametrize("row", HOSTILE, ids=lambda row: repr(row[:30]))
def test_a_row_of_a_file_that_is_no_message_is_named(row, tmp_path, nothing_started):
    path = tmp_path / "chat.db"
    history = SQLiteChatMessageHistory("s", path)
    history.add_messages([HumanMessage("fine")])
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        table = "headrace_messages"
        columns = [info[1] for info in connection.execute(f"PRAGMA table_info({table})")]
        values = connection.execute(f"SELECT * FROM {table}").fetchone()
        (name,) = [
            n for n, v in zip(columns, values, strict=True) if isinstance(v, str) and "fine" in v
        ]
        connection.execute(f"UPDATE {table} SET {name} = ?", (row,))
    with pytest.raises(StoredMessageError, match="s"):
        _ = history.messages
    with pytest.raises(StoredMessageError):
        RunnableWithMessageHistory(Counting(), lambda name: history).invoke("q", S1)


@pytest.mark.parametrize("row", HOSTILE, ids=lambda row: repr(row[:30]))
def test_a_row_of_redis_that_is_no_message_is_named(row, redis_url, nothing_started):
    prefix = f"rows-{next(NUMBER)}:"
    history = RedisChatMessageHistory("s", redis_url, key_prefix=prefix)
    history.add_messages([HumanMessage("fine")])
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.keys(f"{prefix}*")
        client.lpush(key, row)
    with pytest.raises(StoredMessageError, match="s"):
        _ = history.messages


def test_a_file_that_is_no_database_is_no_surprise(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("dear database " * 200)
    with pytest.raises(sqlite3.Error, match="is no SQLite database"):
        SQLiteChatMessageHistory("s", path).add_messages([HumanMessage("x")])
    assert path.read_text().startswith("dear database")


def test_a_server_that_is_away_is_an_error(tmp_path):
    history = RedisChatMessageHistory("s", f"unix://{tmp_path}/no-socket")
    chain = RunnableWithMessageHistory(Counting(), lambda name: history)
    with pytest.raises(redis.RedisError):
        chain.invoke("q", S1)


@pytest.mark.parametrize("url", ["http://localhost", "localhost", "", "redis//x"])
def test_a_url_that_names_no_server_is_refused(url):
    with pytest.raises(ValueError):
        _ = RedisChatMessageHistory("s", url).messages


@pytest.mark.parametrize("url", ["http://localhost", "redis://u:hunter2@localhost:1/0"])
def test_the_repr_of_a_history_works_and_hides_passwords(url):
    with contextlib.suppress(ValueError):
        history = RedisChatMessageHistory("s", url)
        try:
            shown = repr(history)
        except Exception as error:
            raise AssertionError("repr() raised") from error
        assert "hunter2" not in shown


def test_another_process_reads_what_was_written(tmp_path):
    path = tmp_path / "chat.db"
    SQLiteChatMessageHistory("s", path).add_messages([HumanMessage("hi"), AIMessage("yo")])
    program = (
        "import sys; from headrace.chat_history import SQLiteChatMessageHistory as H\n"
        "h = H('s', sys.argv[1]); print([(m.type, m.content) for m in h.messages])\n"
        "h.add_user_message('back') if hasattr(h, 'add_user_message') else None\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "[('human', 'hi'), ('ai', 'yo')]", done.stderr


def test_the_time_to_live_is_told_to_the_server(redis_url):
    prefix = f"ttl-{next(NUMBER)}:"
    history = RedisChatMessageHistory("s", redis_url, key_prefix=prefix, ttl=100)
    history.add_messages([HumanMessage("x")])
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.keys(f"{prefix}*")
        assert 0 < client.ttl(key) <= 100


def test_a_client_of_ones_own_is_not_closed(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        history = RedisChatMessageHistory("s", client=client, key_prefix=f"own-{next(NUMBER)}:")
        history.add_messages([HumanMessage("x")])
        assert [m.content for m in history.messages] == ["x"]
        assert client.ping()


async def test_an_async_client_serves_async_runs_only(redis_url):
    client = redis.asyncio.Redis.from_url(redis_url)
    prefix = f"async-{next(NUMBER)}:"
    history = RedisChatMessageHistory("s", client=client, key_prefix=prefix)
    chain = RunnableWithMessageHistory(CountingAsync(), lambda name: history)
    try:
        async for _ in chain.astream("q", S1):
            pass
        assert [m.type for m in await history.aget_messages()] == ["human", "ai"]
        with pytest.raises(AsyncOnlyError):
            _ = history.messages
    finally:
        await client.aclose()


# ---- histories in programs ---------------------------------------------------------------------


def kept_in(kept):
    return lambda name: kept.setdefault(name, InMemoryChatMessageHistory())


def said(history):
    return [(m.type, m.text) for m in history.messages]


@every_colour
@pytest.mark.parametrize("model", [Whole, Echo, Counting], ids=["whole", "text", "chat"])
def test_every_kind_of_model_is_remembered(colour, model):
    def body(doors):
        kept: dict[str, Any] = {}
        chain = RunnableWithMessageHistory(model(), kept_in(kept))
        doors.stream(chain, "q", S1)
        (_, question), (kind, answer) = said(kept["s1"])
        assert (question, kind) == ("q", "ai")
        assert answer in (TEXT, "whole answer", "Human: q!")

    colour.run(body)


@every_colour
def test_a_history_inside_of_a_larger_chain(colour):
    def body(doors):
        kept: dict[str, Any] = {}
        inner = RunnableWithMessageHistory(Counting(), kept_in(kept))
        prompt = ChatPromptTemplate.from_template("say {x}")
        chain = prompt | (lambda value: value.to_messages()) | inner | StrOutputParser()
        assert "".join(doors.stream(chain, {"x": 1}, S1)) == TEXT
        assert doors.invoke(chain, {"x": 2}, S1) == TEXT
        texts = [text for _, text in said(kept["s1"])]
        assert texts == ["say 1", TEXT, "say 2", TEXT]

    colour.run(body)


@every_colour
def test_a_chain_that_makes_its_messages_from_a_dict(colour):
    def body(doors):
        kept: dict[str, Any] = {}
        prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("past"), ("human", "{q}")])
        inner = RunnablePassthrough.assign(n=lambda given: len(given["past"])) | {
            "answer": prompt | Counting(),
            "n": lambda given: given["n"],
        }
        chain = RunnableWithMessageHistory(
            inner,
            kept_in(kept),
            input_messages_key="q",
            history_messages_key="past",
            output_messages_key="answer",
        )
        first = doors.invoke(chain, {"q": "a"}, S1)
        chunks = doors.stream(chain, {"q": "b"}, S1)
        assert first["n"] == 0
        assert [chunk["n"] for chunk in chunks if "n" in chunk] == [2]
        assert said(kept["s1"]) == [("human", "a"), ("ai", TEXT), ("human", "b"), ("ai", TEXT)]

    colour.run(body)


@every_colour
def test_two_histories_side_by_side_store_once_each(colour):
    def body(doors):
        kept: dict[str, Any] = {}
        one = RunnableWithMessageHistory(Counting(), kept_in(kept))
        both = RunnableParallel(
            a=one.with_config(configurable={"session_id": "a"}),
            b=one.with_config(configurable={"session_id": "b"}),
        )
        doors.stream(both, "q")
        assert said(kept["a"]) == said(kept["b"]) == [("human", "q"), ("ai", TEXT)]

    colour.run(body)


@every_colour
def test_a_fallback_behind_a_history_stores_the_answer_that_counted(colour):
    def body(doors):
        kept: dict[str, Any] = {}
        model = Counting(fail_at=0).with_fallbacks([Counting()])
        chain = RunnableWithMessageHistory(model, kept_in(kept))
        doors.stream(chain, "q", S1)
        assert said(kept["s1"]) == [("human", "q"), ("ai", TEXT)]

    colour.run(body)


@every_colour
def test_retrying_a_history_stores_the_turn_once(colour):
    class Once(Counting):
        def _generate(self, messages, stop=None, run_manager=None, **kw):
            if not self.asked:
                self._note(messages, stop, kw)
                raise ConnectionError("again")
            return super()._generate(messages, stop, run_manager, **kw)

    def body(doors):
        kept: dict[str, Any] = {}
        chain = RunnableWithMessageHistory(Once(), kept_in(kept)).with_retry(
            stop_after_attempt=3, wait_exponential_jitter=False
        )
        doors.invoke(chain, "q", S1)
        assert said(kept["s1"]) == [("human", "q"), ("ai", TEXT)]

    colour.run(body)


@every_colour
def test_an_answer_of_many_messages_is_stored_whole(colour):
    call = {"name": "f", "args": {}, "id": "c"}

    def body(doors):
        kept: dict[str, Any] = {}
        answers = [AIMessage("", tool_calls=[call]), AIMessage("done")]
        chain = RunnableWithMessageHistory(RunnableLambda(lambda _: answers), kept_in(kept))
        assert doors.invoke(chain, "q", S1) == answers
        assert [m.type for m in kept["s1"].messages] == ["human", "ai", "ai"]

    colour.run(body)


@every_colour
def test_events_name_the_loading_and_the_saving_and_store_once(colour):
    def body(doors):
        kept: dict[str, Any] = {}
        chain = RunnableWithMessageHistory(Counting(), kept_in(kept))
        seen = events(doors, chain, "q", S1)
        names = {event["name"] for event in seen}
        assert {"load_history", "save_history"} <= names
        starts = sum(event["event"].endswith("_start") for event in seen)
        ends = sum(event["event"].endswith("_end") for event in seen)
        assert starts == ends
        assert len(kept["s1"].messages) == 2

    colour.run(body)


async def test_a_coroutine_may_find_the_history():
    kept: dict[str, Any] = {}

    async def find(session_id):
        return kept.setdefault(session_id, InMemoryChatMessageHistory())

    chain = RunnableWithMessageHistory(CountingAsync(), find)
    await chain.ainvoke("q", S1)
    assert said(kept["s1"]) == [("human", "q"), ("ai", TEXT)]
    with pytest.raises((AsyncOnlyError, ConfigError), match="ainvoke"):
        chain.invoke("q", S1)


@both_drivers
@pytest.mark.parametrize("bad", [7, {"other": "q"}, None, [7]])
def test_an_input_that_holds_no_messages_is_named(colour, bad):
    def body(doors):
        chain = RunnableWithMessageHistory(
            Counting(), kept_in({}), input_messages_key="q", history_messages_key="h"
        )
        with pytest.raises((ValueError, TypeError, KeyError)) as caught:
            doors.invoke(chain, bad, S1)
        assert len(str(caught.value)) > 15

    colour.run(body)


@both_drivers
def test_an_answer_that_is_no_message_is_named(colour):
    def body(doors):
        chain = RunnableWithMessageHistory(RunnableLambda(lambda _: 42), kept_in({}))
        with pytest.raises((ValueError, TypeError)) as caught:
            doors.invoke(chain, "q", S1)
        assert "42" in str(caught.value) or "int" in str(caught.value)

    colour.run(body)


def test_a_message_may_be_removed_by_hand():
    history = InMemoryChatMessageHistory(messages=[HumanMessage("a", id="1"), AIMessage("b")])
    assert said(history) == [("human", "a"), ("ai", "b")]
    assert RemoveMessage("1").type == "remove"
    history.clear()
    history.add_user_message("x")
    history.add_ai_message("y")
    assert said(history) == [("human", "x"), ("ai", "y")]
    assert json.loads(json.dumps(str(history)))


@every_colour
def test_a_step_that_changes_its_input_does_not_change_the_history(colour):
    def greedy(messages):
        messages.append(HumanMessage("spoiled"))
        messages.pop(0)
        return AIMessage("ok")

    def body(doors):
        kept: dict[str, Any] = {}
        chain = RunnableWithMessageHistory(RunnableLambda(greedy), kept_in(kept))
        doors.invoke(chain, "a", S1)
        doors.invoke(chain, "b", S1)
        assert [text for _, text in said(kept["s1"])] == ["a", "ok", "b", "ok"]

    colour.run(body)


async def test_a_live_handle_that_is_left_stores_the_part():
    kept: dict[str, Any] = {}
    chain = RunnableWithMessageHistory(CountingAsync(), kept_in(kept))
    async with chain.open("q", S1) as run:
        async for piece in run.text:
            assert piece == TEXTS[0]
            break
    (question, answer) = kept["s1"].messages
    assert question.text == "q"
    assert TEXT.startswith(answer.text)
    assert answer.text
    if answer.text != TEXT:
        assert answer.response_metadata["interrupted"]


def test_a_sync_handle_that_runs_to_its_end_stores_the_whole():
    kept: dict[str, Any] = {}
    chain = RunnableWithMessageHistory(Counting(), kept_in(kept))
    with chain.open("q", S1) as run:
        assert "".join(run.text) == TEXT
    assert said(kept["s1"]) == [("human", "q"), ("ai", TEXT)]


ODD = {"when": datetime.datetime(2026, 1, 2), "where": pathlib.Path("/x"), "what": object()}


@pytest.mark.parametrize("key", list(ODD))
@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_what_cannot_be_stored_is_refused_and_nothing_else_is_lost(key, store, request, tmp_path):
    if store == "sqlite":
        history: Any = SQLiteChatMessageHistory("s", tmp_path / "chat.db")
    else:
        url = request.getfixturevalue("redis_url")
        history = RedisChatMessageHistory("s", url, key_prefix=f"odd-{next(NUMBER)}:")
    history.add_messages([HumanMessage("before")])
    odd = HumanMessage("odd", additional_kwargs={"k": ODD[key]})
    try:
        history.add_messages([odd, HumanMessage("after")])
    except (ValueError, TypeError):
        assert [m.content for m in history.messages] == ["before"]
        return
    assert history.messages == [HumanMessage("before"), odd, HumanMessage("after")]
