"""What is kept outside of memory: the same conversation in each store, in every colour and mode."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import pickle
import sqlite3
import threading
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from headrace.chat_history import (
    BaseChatMessageHistory,
    HistoryFileError,
    InMemoryChatMessageHistory,
    RedisChatMessageHistory,
    SQLiteChatMessageHistory,
    StoredMessageError,
)
from headrace.errors import AsyncOnlyError, ConfigError, InputError, MissingExtraError
from headrace.language_models import FakeListChatModel
from headrace.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from headrace.runnables import RunnableGenerator, RunnableWithMessageHistory
from laws.colours import every_colour

Open = Callable[..., Any]  # a session's id, and settings, to its history
STORES = ["memory", "sqlite", "redis"]
KEPT = STORES[1:]
PREFIXES = map("t{}:".format, itertools.count())

MESSAGES = [
    SystemMessage("be kind"),
    HumanMessage(
        [{"type": "text", "text": "ünï 🎉 \x00"}, {"type": "image_url", "image_url": "u"}]
    ),
    AIMessage(
        "",
        id="run-1",
        tool_calls=[{"name": "f", "args": {"a": [1, None, 2.5]}, "id": "c1"}],
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        response_metadata={"interrupted": True},
    ),
    ToolMessage("42", tool_call_id="c1", name="f"),
    ChatMessage("miaow", role="cat", additional_kwargs={"loud": True}),
]


def opener(store: str, tmp_path: Path, redis_url: str) -> Open:
    if store == "sqlite":
        return lambda key, **more: SQLiteChatMessageHistory(key, tmp_path / "chats.db", **more)
    if store == "redis":
        prefix = next(PREFIXES)
        return lambda key, **more: RedisChatMessageHistory(
            key, redis_url, key_prefix=prefix, **more
        )
    found: dict[str, BaseChatMessageHistory] = {}
    return lambda key: found.setdefault(key, InMemoryChatMessageHistory())


@pytest.fixture(params=KEPT)
def open_(request: Any, tmp_path: Path, redis_url: str) -> Open:
    return opener(request.param, tmp_path, redis_url)


def texts(history: Any) -> list[Any]:
    return [message.content for message in history.messages]


# ---- what is kept ------------------------------------------------------------------------------


def test_messages_of_every_kind_come_back_as_they_were(open_: Open) -> None:
    assert open_("s").messages == []
    open_("s").add_messages(MESSAGES[:2])
    open_("s").add_message(MESSAGES[2])
    open_("s").add_messages(iter(MESSAGES[3:]))  # type: ignore[arg-type]
    assert open_("s").messages == MESSAGES
    assert [type(m) for m in open_("s").messages] == [type(m) for m in MESSAGES]


async def test_the_async_methods_do_the_same(open_: Open) -> None:
    assert await open_("s").aget_messages() == []
    await open_("s").aadd_messages(MESSAGES)
    await open_("s").aadd_messages([])
    assert await open_("s").aget_messages() == MESSAGES == open_("s").messages
    assert await open_("s").asessions() == ["s"]
    await open_("s").aclear()
    assert await open_("s").aget_messages() == []


def test_sessions_are_apart_and_listed(open_: Open) -> None:
    assert open_("x").sessions() == []
    open_("x").clear()  # nothing to clear is no error
    for key in ("a", "b*[c]", "ü", ""):
        open_(key).add_user_message(f"of {key}")
    assert sorted(open_("x").sessions()) == ["", "a", "b*[c]", "ü"]
    open_("a").clear()
    assert open_("a").messages == []
    assert texts(open_("b*[c]")) == ["of b*[c]"]
    assert sorted(open_("x").sessions()) == ["", "b*[c]", "ü"]


def test_a_limit_reads_the_last_ones(open_: Open) -> None:
    open_("s").add_messages([HumanMessage(str(n)) for n in range(5)])
    assert texts(open_("s", limit=2)) == ["3", "4"]
    assert texts(open_("s", limit=9)) == ["0", "1", "2", "3", "4"]
    for limit in (0, -1, "2"):
        with pytest.raises(ConfigError, match="from 1"):
            open_("s", limit=limit)


def test_what_is_no_message_is_refused_and_nothing_of_it_stored(open_: Open) -> None:
    class Odd:
        pass

    for wrong in ("text", HumanMessage("a", additional_kwargs={"odd": Odd()})):
        with pytest.raises(InputError):
            open_("s").add_messages([HumanMessage("fine"), wrong])  # type: ignore[list-item]
    assert open_("s").messages == []


def test_a_session_is_named_by_a_string(open_: Open) -> None:
    with pytest.raises(ConfigError, match="received 5, a int"):
        open_(5)


def test_a_history_pickles_and_shows_which_it_is(open_: Open) -> None:
    open_("s").add_user_message("hi")
    history = pickle.loads(pickle.dumps(open_("s")))
    assert texts(history) == ["hi"]
    assert "History('s', " in repr(history)
    assert str(history) == "Human: hi"


def test_many_threads_lose_nothing_and_keep_together_what_was_added_together(open_: Open) -> None:
    def work(n: int) -> None:
        for turn in range(5):
            open_("s").add_messages([HumanMessage(f"{n} {turn} q"), AIMessage(f"{n} {turn} a")])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_turns(texts(open_("s")), 4, 5)


def check_turns(found: list[str], writers: int, turns: int) -> None:
    pairs = list(zip(found[::2], found[1::2], strict=True))
    assert all(q[:-1] == a[:-1] and (q[-1], a[-1]) == ("q", "a") for q, a in pairs)
    for n in range(writers):  # each writer's turns are in its order
        assert [q for q, _ in pairs if q[0] == str(n)] == [f"{n} {t} q" for t in range(turns)]


def write_turns(store: str, place: str, n: int, turns: int) -> None:
    history: Any = (
        SQLiteChatMessageHistory("s", place)
        if store == "sqlite"
        else RedisChatMessageHistory("s", place, key_prefix="processes:")
    )
    for turn in range(turns):
        history.add_messages([HumanMessage(f"{n} {turn} q"), AIMessage(f"{n} {turn} a")])


@pytest.mark.parametrize("store", KEPT)
def test_processes_lose_nothing_either(store: str, tmp_path: Path, redis_url: str) -> None:
    place = str(tmp_path / "chats.db") if store == "sqlite" else redis_url
    context = multiprocessing.get_context("spawn")  # the file is made by both at once
    writers = [context.Process(target=write_turns, args=(store, place, n, 25)) for n in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
        assert writer.exitcode == 0
    history: Any = (
        SQLiteChatMessageHistory("s", place)
        if store == "sqlite"
        else RedisChatMessageHistory("s", place, key_prefix="processes:")
    )
    check_turns(texts(history), 2, 25)


# ---- rows that are no messages -----------------------------------------------------------------

NO_MESSAGE = [
    ("no json", "no JSON"),
    ('{"headrace": 99, "value": null}', "version 99"),
    ('{"headrace": 1, "value": {"$": "Nothing"}}', ""),
    ('{"headrace": 1, "value": [1]}', "holds a list"),
    ('{"headrace": 1, "value": {"$": "object", "$class": "os.system"}}', ""),
]


@pytest.mark.parametrize(("text", "why"), NO_MESSAGE)
def test_a_row_of_sqlite_that_is_no_message(text: str, why: str, tmp_path: Path) -> None:
    history = SQLiteChatMessageHistory("the session", tmp_path / "c.db")
    history.add_messages(MESSAGES[:2])
    with sqlite3.connect(tmp_path / "c.db") as connection:
        connection.execute("UPDATE headrace_messages SET message = ? WHERE id = 2", (text,))
    connection.close()
    with pytest.raises(StoredMessageError, match=rf"Row 2 of the session 'the session'.*{why}"):
        _ = history.messages
    history.clear()
    assert history.messages == []


@pytest.mark.parametrize(("text", "why"), [*NO_MESSAGE, (b"\xff", "decode")])
def test_a_row_of_redis_that_is_no_message(text: Any, why: str, redis_url: str) -> None:
    history = RedisChatMessageHistory("the session", redis_url, key_prefix=next(PREFIXES), limit=2)
    history.add_messages(MESSAGES[:3])
    with redis.Redis.from_url(redis_url) as client:
        client.lset(history.key, 2, text)
    with pytest.raises(StoredMessageError, match=rf"Row 2 of the session 'the session'.*{why}"):
        _ = history.messages


# ---- one store's own ---------------------------------------------------------------------------


def test_sqlite_leaves_nothing_open_and_is_in_wal_mode(tmp_path: Path) -> None:
    history = SQLiteChatMessageHistory("s", tmp_path / "c.db", table="chats")
    assert history.messages == history.sessions() == []
    assert list(tmp_path.iterdir()) == []  # reading makes no file
    history.add_user_message("hi")
    assert [file.name for file in tmp_path.iterdir()] == ["c.db"]  # no -wal: all are closed
    with sqlite3.connect(tmp_path / "c.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT session_id FROM chats").fetchall() == [("s",)]
    connection.close()
    assert SQLiteChatMessageHistory("s", tmp_path / "c.db").messages == []  # another table


@pytest.mark.parametrize("given", ["path", "connection"])
def test_what_is_added_together_is_added_or_not(given: str, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "c.db")
    where: Any = {"path": tmp_path / "c.db", "connection": connection}[given]
    history = SQLiteChatMessageHistory("s", **{given: where})
    history.add_user_message("before")
    connection.executescript(
        "CREATE TRIGGER full BEFORE INSERT ON headrace_messages WHEN NEW.message LIKE '%second%' "
        "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
    )
    with pytest.raises(sqlite3.IntegrityError, match="the disk is full"):
        history.add_messages([HumanMessage("first"), HumanMessage("second")])
    assert texts(history) == ["before"]
    assert not connection.in_transaction
    connection.close()


def test_sqlite_waits_for_the_lock_on_a_file_that_is_not_in_wal_mode_yet(tmp_path: Path) -> None:
    blocker = sqlite3.connect(tmp_path / "c.db", isolation_level=None)
    blocker.execute("CREATE TABLE other (x)")
    blocker.execute("BEGIN IMMEDIATE")
    history = SQLiteChatMessageHistory("s", tmp_path / "c.db")
    adding = threading.Thread(target=history.add_user_message, args=("hi",))
    adding.start()
    adding.join(0.05)
    assert adding.is_alive()
    blocker.execute("COMMIT")
    blocker.close()
    adding.join(30)
    assert texts(history) == ["hi"]


def test_sqlite_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    # Nobody's answer should be lost because of that: it is said when the history is made.
    with pytest.raises(sqlite3.OperationalError, match=r"no/c\.db.*there is no folder") as caught:
        SQLiteChatMessageHistory("s", tmp_path / "no" / "c.db")
    assert isinstance(caught.value, ConfigError)


def test_sqlite_of_what_is_no_database(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("SQLite is a library", encoding="utf-8")
    with pytest.raises(HistoryFileError, match=r"notes\.txt' is no SQLite database: give"):
        SQLiteChatMessageHistory("s", text)
    with pytest.raises(HistoryFileError, match="is a folder: give a file in it"):
        SQLiteChatMessageHistory("s", tmp_path)
    (tmp_path / "empty").touch()
    SQLiteChatMessageHistory("s", tmp_path / "empty").add_user_message("hi")
    assert text.read_text(encoding="utf-8") == "SQLite is a library"


def test_sqlite_may_not_write_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(HistoryFileError, match="may not write to its folder"):
        SQLiteChatMessageHistory("s", tmp_path / "new.db")


def test_sqlite_errors_on_use_name_the_file(tmp_path: Path) -> None:
    history = SQLiteChatMessageHistory("s", tmp_path / "c.db")
    history.add_user_message("hi")
    (tmp_path / "c.db").write_bytes(b"something else altogether" * 99)
    for use in (lambda: history.messages, lambda: history.add_user_message("you")):
        with pytest.raises(HistoryFileError, match=r"session 's'.*c\.db': file is not a") as caught:
            use()
        assert type(caught.value.__cause__) is sqlite3.DatabaseError


@pytest.mark.parametrize("given", [{}, {"path": "a", "connection": 1}, {"path": ":memory:"},
                                   {"path": "a", "table": "a; DROP"}])  # fmt: skip
def test_sqlite_settings_that_cannot_work(given: Any) -> None:
    with pytest.raises(ConfigError):
        SQLiteChatMessageHistory("s", **given)


async def test_a_connection_of_ones_own() -> None:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    history = SQLiteChatMessageHistory("s", connection=connection)
    assert history.messages == []
    await history.aadd_messages(MESSAGES)
    assert await history.aget_messages() == MESSAGES
    assert not connection.in_transaction
    connection.execute("BEGIN")
    history.add_user_message("not for long")
    assert len(history.messages) == len(MESSAGES) + 1
    connection.rollback()  # the transaction was ours, so what was added in it is gone
    assert history.messages == MESSAGES
    connection.close()


async def test_a_connection_of_one_thread() -> None:
    connection = sqlite3.connect(":memory:")
    history = SQLiteChatMessageHistory("s", connection=connection)
    history.add_user_message("hi")
    with pytest.raises(ConfigError, match="check_same_thread=False"):
        await history.aget_messages()
    connection.close()


async def test_redis_clients_of_ones_own(redis_url: str) -> None:
    prefix = next(PREFIXES)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        history = RedisChatMessageHistory("s", client=client, key_prefix=prefix)
        history.add_messages(MESSAGES)
        assert await history.aget_messages() == MESSAGES  # in a worker thread
        assert await history.asessions() == history.sessions() == ["s"]
    aclient = redis.asyncio.Redis.from_url(redis_url)
    history = RedisChatMessageHistory("s", client=aclient, key_prefix=prefix)
    await history.aadd_messages([HumanMessage("more")])
    assert await history.aget_messages() == [*MESSAGES, HumanMessage("more")]
    for call in (lambda: history.messages, history.clear, lambda: history.add_user_message("x")):
        with pytest.raises(AsyncOnlyError, match="async client"):
            call()
    await aclient.aclose()


def test_redis_forgets_after_a_while(redis_url: str) -> None:
    prefix = next(PREFIXES)
    with redis.Redis.from_url(redis_url) as client:
        for ttl, most in ((100, 100_000), (0.5, 500), (None, 500)):
            history = RedisChatMessageHistory("s", redis_url, ttl=ttl, key_prefix=prefix)
            history.add_user_message("hi")
            assert 0 < client.pttl(history.key) <= most  # without one, the last one stays
    for wrong in (0, -1, "5", True):
        with pytest.raises(ConfigError, match="seconds"):
            RedisChatMessageHistory("s", redis_url, ttl=wrong)  # type: ignore[arg-type]


def test_redis_shows_no_password_and_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = repr(RedisChatMessageHistory("s", "redis://me:secret@host:6379/1"))
    assert shown == "RedisChatMessageHistory('s', 'redis://host:6379/1')"
    for given in ({}, {"url": "redis://a", "client": object()}):
        with pytest.raises(ConfigError, match="'url' and 'client'"):
            RedisChatMessageHistory("s", **given)
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with pytest.raises(MissingExtraError, match=r"headrace\[redis\]"):
        RedisChatMessageHistory("s", "redis://host")


def test_an_error_of_a_row_copies_and_pickles() -> None:
    error = StoredMessageError("s", 3, "x", "why.")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


# ---- in chains ---------------------------------------------------------------------------------

STREAM_DOORS = {
    "invoke": lambda d, r, x, c: d.invoke(r, x, c),
    "stream": lambda d, r, x, c: d.stream(r, x, c),
    "transform": lambda d, r, x, c: d.transform(r, [x], c),
    "batch": lambda d, r, x, c: d.batch(r, [x], c),
    "as_completed": lambda d, r, x, c: d.as_completed(r, [x], c),
}


def talking(open_: Open) -> Any:
    model = FakeListChatModel(responses=["Hello you.", "Yes."])
    return RunnableWithMessageHistory(model, open_)


@every_colour
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("door", STREAM_DOORS)
def test_a_conversation_is_kept(
    colour: Any, store: str, door: str, tmp_path: Path, redis_url: str
) -> None:
    open_ = opener(store, tmp_path, redis_url)

    def body(doors: Any) -> None:
        chain, config = talking(open_), {"configurable": {"session_id": "s"}}
        for question in ("hi", "really?"):
            STREAM_DOORS[door](doors, chain, question, config)

    colour.run(body)
    stored = open_("s").messages
    assert [(type(m), m.content) for m in stored] == [
        (HumanMessage, "hi"), (AIMessage, "Hello you."),
        (HumanMessage, "really?"), (AIMessage, "Yes."),
    ]  # fmt: skip
    assert not any("interrupted" in m.response_metadata for m in stored)


async def _events(chain: Any, config: Any) -> None:
    async for _ in chain.astream_events("hi", config, version="v2"):
        pass


async def _log(chain: Any, config: Any) -> None:
    async for _ in chain.astream_log("hi", config):
        pass


async def _typed(chain: Any, config: Any) -> None:
    for _ in await asyncio.to_thread(lambda: list(chain.stream_events("hi", config))):
        pass


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("mode", [_events, _log, _typed])
async def test_watched_runs_store_once(
    store: str, mode: Any, tmp_path: Path, redis_url: str
) -> None:
    open_ = opener(store, tmp_path, redis_url)
    await mode(talking(open_), {"configurable": {"session_id": "s"}})
    stored = await open_("s").aget_messages()
    assert [m.content for m in stored] == ["hi", "Hello you."]


async def _hanging(chunks: Any) -> Any:
    async for _ in chunks:
        pass
    yield AIMessageChunk("Hel", id="run-1")
    await asyncio.sleep(60)


@pytest.mark.parametrize("store", STORES)
async def test_a_cancelled_answer_is_kept_as_far_as_it_came_and_marked(
    store: str, tmp_path: Path, redis_url: str
) -> None:
    open_, begun = opener(store, tmp_path, redis_url), asyncio.Event()
    chain = RunnableWithMessageHistory(RunnableGenerator(_hanging), open_)

    async def job() -> None:
        stream = chain.astream("hi", {"configurable": {"session_id": "s"}})
        async with aclosing(stream):  # type: ignore[type-var]
            async for _ in stream:
                begun.set()

    task = asyncio.create_task(job())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    question, answer = await open_("s").aget_messages()
    assert (question.content, answer.content) == ("hi", "Hel")
    assert answer.response_metadata == {"interrupted": True}


@pytest.mark.parametrize("store", KEPT)
async def test_the_event_loop_goes_on_while_a_store_waits(
    store: str, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ = opener(store, tmp_path, redis_url)
    history = open_("s")
    await history.aadd_messages(MESSAGES)
    blocker: Any = None
    if store == "sqlite":  # somebody else writes, so this writer must wait
        blocker = sqlite3.connect(tmp_path / "chats.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        free: Callable[[], Any] = blocker.rollback
    else:
        blocker = redis.Redis.from_url(redis_url)
        blocker.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
        free = lambda: blocker.execute_command("CLIENT", "UNPAUSE")  # noqa: E731
    try:
        waiting = asyncio.create_task(history.aadd_messages([HumanMessage("late")]))
        for _ in range(5):
            await asyncio.sleep(0.005)
        assert not waiting.done()
    finally:
        free()
        blocker.close()
    await waiting
    assert (await history.aget_messages())[-1].content == "late"


def test_a_file_of_conversations_is_its_owner_s_alone(tmp_path):
    path = tmp_path / "talk.db"
    SQLiteChatMessageHistory("s", path).add_user_message("a secret")
    assert path.stat().st_mode & 0o077 == 0
