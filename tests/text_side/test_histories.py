"""Conversations that are remembered: once, whole, in every mode and in every store.

Cancelled or left in the middle: the part that came, marked so.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import PrivateAttr

from headrace.chat_history import (
    BaseChatMessageHistory,
    InMemoryChatMessageHistory,
    RedisChatMessageHistory,
    SQLiteChatMessageHistory,
)
from headrace.errors import ConfigError
from headrace.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from headrace.output_parsers import StrOutputParser
from headrace.outputs import ChatGenerationChunk
from headrace.prompts import ChatPromptTemplate, MessagesPlaceholder
from headrace.runnables import RunnableLambda, RunnableWithMessageHistory
from laws.colours import END, both_drivers, every_colour
from laws.ledger import LEDGER
from text_side.kit import TEXTS, Counting, CountingAsync, events, log_state, told
from text_side.twin import OURS, build, conversations

TEXT = "".join(TEXTS)
NUMBER = itertools.count()
S1 = {"configurable": {"session_id": "s1"}}


@pytest.fixture(params=["memory", "sqlite", "redis"])
def session(request, tmp_path):
    """From a session's id to its history, in each of the stores."""
    if request.param == "memory":
        kept: dict[str, Any] = {}
        return lambda name: kept.setdefault(name, InMemoryChatMessageHistory())
    if request.param == "sqlite":
        return lambda name: SQLiteChatMessageHistory(name, tmp_path / "chat.db")
    url = request.getfixturevalue("redis_url")
    prefix = f"text-side-{next(NUMBER)}:"
    return lambda name: RedisChatMessageHistory(name, url, key_prefix=prefix)


def remembered(session, model=None, **given_):
    return RunnableWithMessageHistory(model or Counting(), session, **given_)


def said(history):
    return [(m.type, m.text) for m in history.messages]


def ask(doors, mode, chain, value, config):
    """The answer's text, through a mode of running; whatever the mode, it runs to its end."""
    if mode == "invoke":
        return doors.invoke(chain, value, config)
    if mode == "stream":
        return doors.stream(chain, value, config)
    if mode == "batch":
        return doors.batch(chain, [value], [config])
    if mode == "transform":
        return doors.transform(chain, [value], config)
    if mode == "as_completed":
        return doors.as_completed(chain, [value], [config])
    if mode == "events":
        return events(doors, chain, value, config)
    return log_state(doors, chain, value, config)


MODES = pytest.mark.parametrize(
    "mode", ["invoke", "stream", "batch", "transform", "as_completed", "events", "log"]
)


@every_colour
@MODES
def test_every_mode_stores_once(colour, mode, session):
    def body(doors):
        name = f"{colour}-{mode}"
        config = {"configurable": {"session_id": name}}
        for kind in (Counting, CountingAsync):
            session(name).clear()
            model = kind()
            chain = remembered(session, model)
            ask(doors, mode, chain, [HumanMessage("one")], config)
            ask(doors, mode, chain, "two", config)
            wanted = [("human", "one"), ("ai", TEXT), ("human", "two"), ("ai", TEXT)]
            assert said(session(name)) == wanted
            stored = session(name).messages
            assert [type(m) for m in stored] == [HumanMessage, AIMessage] * 2
            assert stored[1].usage_metadata == told(3, 4)
            assert stored[1].response_metadata == {"finish_reason": "stop"}
            asked = [[m.content for m in call["messages"]] for call in model.asked]
            assert asked == [["one"], ["one", TEXT, "two"]]

    colour.run(body)


@every_colour
@MODES
def test_keys_of_dicts(colour, mode):
    def body(doors):
        kept = {}
        model = Counting()
        prompt = ChatPromptTemplate.from_messages(
            [("system", "be {how}"), MessagesPlaceholder("past"), ("human", "{question}")]
        )
        chain = RunnableWithMessageHistory(
            prompt | model,
            lambda name: kept.setdefault(name, InMemoryChatMessageHistory()),
            input_messages_key="question",
            history_messages_key="past",
        )
        for question in ("a", "b"):
            ask(doors, mode, chain, {"how": "kind", "question": question}, S1)
        assert said(kept["s1"]) == [("human", "a"), ("ai", TEXT), ("human", "b"), ("ai", TEXT)]
        assert [m.content for m in model.asked[1]["messages"]] == ["be kind", "a", TEXT, "b"]

    colour.run(body)


@every_colour
@MODES
def test_an_answer_in_a_dict_is_found(colour, mode):
    def body(doors):
        history = InMemoryChatMessageHistory()
        chain = RunnableWithMessageHistory(
            RunnableLambda(lambda messages: {"answer": AIMessage("yes"), "other": 1}),
            lambda: history,
            output_messages_key="answer",
            history_factory_config=[],
        )
        ask(doors, mode, chain, "q", None)
        assert said(history) == [("human", "q"), ("ai", "yes")]

    colour.run(body)


@every_colour
def test_text_answers_are_stored_as_the_models(colour):
    def body(doors):
        history = InMemoryChatMessageHistory()
        chain = RunnableWithMessageHistory(Counting() | StrOutputParser(), lambda name: history)
        assert "".join(doors.stream(chain, "q", S1)) == TEXT
        assert said(history) == [("human", "q"), ("ai", TEXT)]

    colour.run(body)


@every_colour
def test_sessions_do_not_mix(colour, session):
    def body(doors):
        chain = remembered(session)
        names = [f"{colour}-a", f"{colour}-b"]
        configs = [{"configurable": {"session_id": name}} for name in names]
        doors.batch(chain, ["1", "2"], configs)
        doors.batch(chain, ["3", "4"], configs)
        for name, texts in zip(names, ("13", "24"), strict=True):
            assert [text for kind, text in said(session(name)) if kind == "human"] == list(texts)

    colour.run(body)


@every_colour
def test_a_missing_session_is_named(colour):
    def body(doors):
        chain = remembered(lambda name: InMemoryChatMessageHistory())
        for config in (None, {"configurable": {"user": "x"}}):
            with pytest.raises(ValueError, match="session_id"):
                doors.invoke(chain, "hi", config)

    colour.run(body)


@every_colour
@pytest.mark.parametrize("at", [0, 2])
@pytest.mark.parametrize("mode", ["invoke", "stream", "events"])
def test_a_failed_answer_is_not_stored_as_one(colour, at, mode):
    """What was asked may be kept; an answer that never came must not be."""

    def body(doors):
        history = InMemoryChatMessageHistory()
        chain = remembered(lambda name: history, Counting(fail_at=at))
        with pytest.raises(RuntimeError, match="went dead"):
            ask(doors, mode, chain, "q", S1)
        whole = [m for m in history.messages if m.type == "ai"]
        assert not any(m.text == TEXT for m in whole)
        assert all(m.response_metadata.get("interrupted") for m in whole)
        # And the next turn works.
        ask(doors, mode, remembered(lambda name: history), "again", S1)
        assert said(history)[-2:] == [("human", "again"), ("ai", TEXT)]

    colour.run(body)


@every_colour
@pytest.mark.parametrize("taken", [1, 2, 3])
def test_left_in_the_middle_the_part_is_stored_and_marked(colour, taken, session):
    def body(doors):
        name = f"{colour}-{taken}"
        chain = remembered(session)
        stream = doors.open(chain, "q", {"configurable": {"session_id": name}})
        for _ in range(taken):
            assert stream.next() is not END
        stream.close()
        question, answer = session(name).messages
        assert (question.type, question.text) == ("human", "q")
        assert type(answer) is AIMessage
        assert answer.text == "".join(TEXTS[:taken])
        assert answer.response_metadata["interrupted"]

    colour.run(body)


@every_colour
def test_left_in_the_middle_of_a_tool_call_no_half_call_is_stored(colour):
    pieces = [
        {"content": "let me see "},
        {"content": "", "tool_call_chunks": [{"name": "f", "args": '{"a', "id": "c", "index": 0}]},
        {"content": "", "tool_call_chunks": [
            {"name": None, "args": '":1}', "id": None, "index": 0}]},
    ]  # fmt: skip

    def body(doors):
        history = InMemoryChatMessageHistory()
        stream = doors.open(remembered(lambda name: history, Counting(pieces=pieces)), "q", S1)
        stream.next()
        stream.next()
        stream.close()
        answer = history.messages[-1]
        assert answer.text == "let me see "
        assert answer.tool_calls == answer.invalid_tool_calls == []

    colour.run(body)


@every_colour
def test_a_stream_that_was_never_read_stores_nothing(colour):
    def body(doors):
        history = InMemoryChatMessageHistory()
        doors.open(remembered(lambda name: history), "q", S1).close()
        assert history.messages == []

    colour.run(body)


class Endless(Counting):
    """Two chunks, then it waits; says when it has got there."""

    _waiting: Any = PrivateAttr(default_factory=asyncio.Event)

    async def _astream(self, messages, stop=None, run_manager=None, **kw):
        self._note(messages, stop, kw)
        with LEDGER.body("endless"):
            for text in TEXTS[:2]:
                yield ChatGenerationChunk(message=AIMessageChunk(content=text))
            self._waiting.set()
            await asyncio.Event().wait()


@pytest.mark.parametrize("parser", [False, True], ids=["message", "text"])
async def test_cancelled_the_part_is_stored_and_marked(session, parser):
    model = Endless()
    runnable = model | StrOutputParser() if parser else model
    chain = remembered(session, runnable)

    async def consume():
        async for _ in chain.astream("q", S1):
            pass

    LEDGER.reset()
    task = asyncio.create_task(consume())
    await asyncio.wait_for(model._waiting.wait(), 10)
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert LEDGER.still_open == []
    question, answer = session("s1").messages
    assert question.text == "q"
    assert answer.text == "Hello "
    assert answer.response_metadata["interrupted"]


async def test_cancelled_events_store_the_part(session):
    model = Endless()
    chain = remembered(session, model)

    async def consume():
        async for _ in chain.astream_events("q", S1, version="v2"):
            pass

    task = asyncio.create_task(consume())
    await asyncio.wait_for(model._waiting.wait(), 10)
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said(session("s1")) == [("human", "q"), ("ai", "Hello ")]
    assert session("s1").messages[-1].response_metadata["interrupted"]


@both_drivers
def test_the_next_turn_sees_the_part(colour, session):
    def body(doors):
        stream = doors.open(remembered(session), "q", S1)
        stream.next()
        stream.close()
        model = Counting()
        doors.invoke(remembered(session, model), "go on", S1)
        assert [m.content for m in model.asked[0]["messages"]] == ["q", TEXTS[0], "go on"]

    colour.run(body)


class Broken(BaseChatMessageHistory):
    def __init__(self):
        self.messages = []

    def add_messages(self, messages):
        raise OSError("the disk is full")

    def clear(self):
        self.messages = []


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_a_store_that_fails_is_heard(colour, door):
    def body(doors):
        with pytest.raises(OSError, match="disk is full"):
            getattr(doors, door)(remembered(lambda name: Broken()), "q", S1)

    colour.run(body)


class OldStyle(BaseChatMessageHistory):
    """As LangChain's guides write them: `messages` and `add_message`."""

    def __init__(self):
        self.messages = []

    def add_message(self, message):
        self.messages.append(message)

    def clear(self):
        self.messages.clear()


@every_colour
@MODES
def test_a_history_of_ones_own(colour, mode):
    def body(doors):
        history = OldStyle()
        ask(doors, mode, remembered(lambda name: history), "q", S1)
        assert said(history) == [("human", "q"), ("ai", TEXT)]

    colour.run(body)


@every_colour
def test_history_with_a_cache_and_tools(colour):
    """A turn with a tool message as input is stored like any other."""

    def body(doors):
        history = InMemoryChatMessageHistory()
        chain = remembered(lambda name: history)
        call = {"name": "f", "args": {}, "id": "c1"}
        given_ = [
            HumanMessage("q"),
            AIMessage("", tool_calls=[call]),
            ToolMessage("7", tool_call_id="c1"),
        ]  # fmt: skip
        doors.stream(chain, given_, S1)
        assert [m.type for m in history.messages] == ["human", "ai", "tool", "ai"]
        assert history.messages[1].tool_calls[0]["id"] == "c1"

    colour.run(body)


def test_two_keys_name_a_session():
    from headrace.runnables import ConfigurableFieldSpec

    kept = {}

    def find(user, talk):
        return kept.setdefault((user, talk), InMemoryChatMessageHistory())

    keys = [ConfigurableFieldSpec(id=name, annotation=str) for name in ("user", "talk")]
    chain = RunnableWithMessageHistory(Counting(), find, history_factory_config=keys)
    chain.invoke("q", {"configurable": {"user": "u", "talk": "t"}})
    assert list(kept) == [("u", "t")]
    with pytest.raises(ValueError, match="talk"):
        chain.invoke("q", {"configurable": {"user": "u"}})


# ---- the stores themselves ----------------------------------------------------------------------


EVERY = [
    HumanMessage("hi", id="1", name="n"),
    AIMessage("", tool_calls=[{"name": "f", "args": {"a": [1]}, "id": "c"}]),
    ToolMessage("r", tool_call_id="c", status="error"),
    SystemMessage([{"type": "text", "text": "x"}]),
    ChatMessage("c", role="king"),
    HumanMessage("lone \ud800 surrogate"),
    HumanMessage("nul \x00 and 漢字", additional_kwargs={"raw": b"\x00\xff"}),
    AIMessage("x", usage_metadata=told(1, 2), response_metadata={"m": {"k": None}}),
]


def test_messages_come_back_equal(session):
    history = session("s")
    assert history.messages == []
    history.add_messages(EVERY[:3])
    history.add_messages([])
    for message in EVERY[3:]:
        history.add_message(message)
    assert session("s").messages == EVERY
    session("s").clear()
    assert session("s").messages == []


async def test_messages_come_back_equal_async(session):
    history = session("s")
    await history.aadd_messages(EVERY)
    assert await session("s").aget_messages() == EVERY
    await history.aclear()
    assert await session("s").aget_messages() == []


@settings(max_examples=15)
@given(conversations(max_size=4))
def test_any_conversation_comes_back_from_a_file(specs):
    import sqlite3

    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        history = SQLiteChatMessageHistory("s", connection=connection)
        messages = build(OURS, specs)
        history.add_messages(messages)
        assert history.messages == messages


@given(st.text(max_size=8))
@settings(max_examples=15)
def test_any_name_of_a_session_is_its_own(name):
    import sqlite3

    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        one = SQLiteChatMessageHistory(name, connection=connection)
        other = SQLiteChatMessageHistory(name + "'; DROP TABLE x; --", connection=connection)
        one.add_messages([HumanMessage("1")])
        other.add_messages([HumanMessage("2")])
        assert (said(one), said(other)) == ([("human", "1")], [("human", "2")])


def test_only_the_last_ones_are_read(tmp_path, redis_url):
    for history in (
        SQLiteChatMessageHistory("s", tmp_path / "a.db", limit=2),
        RedisChatMessageHistory("s", redis_url, key_prefix=f"lim{next(NUMBER)}:", limit=2),
    ):
        history.add_messages([HumanMessage(str(n)) for n in range(5)])
        assert [m.content for m in history.messages] == ["3", "4"]


def test_threads_lose_nothing(session):
    failed: list[BaseException] = []

    def work(number):
        try:
            for turn in range(5):
                session("busy").add_messages([HumanMessage(f"{number}.{turn}"), AIMessage("x")])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    messages = session("busy").messages
    assert len(messages) == 40
    assert [m.type for m in messages] == ["human", "ai"] * 20  # pairs are not torn apart
    for number in range(4):
        own = [m.content for m in messages if m.content.startswith(f"{number}.")]
        assert own == [f"{number}.{turn}" for turn in range(5)]


async def test_tasks_lose_nothing(session):
    async def work(number):
        for turn in range(5):
            await session("busy").aadd_messages([HumanMessage(f"{number}.{turn}")])

    await asyncio.gather(*(work(number) for number in range(4)))
    assert len(await session("busy").aget_messages()) == 20


def test_settings_of_stores_that_are_none():
    for bad in ({}, {"path": "a", "connection": object()}, {"path": "x", "table": "a; DROP"},
                {"path": "x", "limit": 0}):  # fmt: skip
        with pytest.raises(ConfigError):
            SQLiteChatMessageHistory("s", **bad)
    for bad in ({}, {"url": "redis://a", "client": object()}, {"url": "http://a"},
                {"url": "redis://a", "ttl": 0}):  # fmt: skip
        with pytest.raises(ConfigError):
            RedisChatMessageHistory("s", **bad)
