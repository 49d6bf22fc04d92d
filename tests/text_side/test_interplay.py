"""The text side as one program: prompt, history, cache, limiter, parser and model together.

Each test is what a user would write on the second day, in every mode; law 1 holds throughout.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from headrace.caches import InMemoryCache, SQLiteCache
from headrace.chat_history import InMemoryChatMessageHistory, SQLiteChatMessageHistory
from headrace.language_models import BaseChatModel
from headrace.load import dumps, loads
from headrace.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    ToolMessage,
    convert_to_openai_messages,
    filter_messages,
    messages_from_dict,
    messages_to_dict,
    trim_messages,
)
from headrace.output_parsers import StrOutputParser
from headrace.prompts import (
    ChatPromptTemplate,
    FewShotChatMessagePromptTemplate,
    MessagesPlaceholder,
)
from headrace.rate_limiters import RateLimiter
from headrace.runnables import RunnablePassthrough, RunnableWithMessageHistory
from laws.colours import every_colour
from text_side.kit import TEXTS, Clock, Counting, CountingAsync, Hooks, events, told
from text_side.twin import OURS, build, conversations

TEXT = "".join(TEXTS)
S1 = {"configurable": {"session_id": "s1"}}


def program(model: Any, kept: dict[str, Any], keep: int = 3) -> Any:
    """A chat that remembers, shows examples, and sends the last messages only."""
    shots = FewShotChatMessagePromptTemplate(
        example_prompt=ChatPromptTemplate.from_messages([("human", "{i}"), ("ai", "{o}")]),
        examples=[{"i": "1+1", "o": "2"}],
    )
    prompt = ChatPromptTemplate.from_messages(
        [("system", "be {how}"), shots, MessagesPlaceholder("past"), ("human", "{q}")]
    ).partial(how="kind")
    trim = trim_messages(
        max_tokens=keep, token_counter=len, start_on="human", strategy="last", end_on="ai"
    )
    chain = (
        RunnablePassthrough.assign(past=(lambda given: given["past"]) | trim)
        | prompt
        | model
        | StrOutputParser()
    )
    return RunnableWithMessageHistory(
        chain,
        lambda name: kept.setdefault(name, InMemoryChatMessageHistory()),
        input_messages_key="q",
        history_messages_key="past",
    )


@every_colour
def test_a_chat_that_remembers_trims_caches_and_waits(colour):
    def body(doors):
        kept: dict[str, Any] = {}
        clock = Clock()
        limiter = RateLimiter(requests_per_minute=2, clock=clock)
        model = Counting(cache=InMemoryCache(), rate_limiter=limiter)
        chat = program(model, kept)
        assert doors.invoke(chat, {"q": "a"}, S1) == TEXT
        assert "".join(doors.stream(chat, {"q": "b"}, S1)) == TEXT
        assert clock.slept == []
        assert doors.invoke(chat, {"q": "c"}, S1) == TEXT
        assert clock.now - 50.0 == pytest.approx(30.0)
        last = [message.content for message in model.asked[-1]["messages"]]
        assert last == ["be kind", "1+1", "2", "b", TEXT, "c"]
        stored = [message.content for message in kept["s1"].messages]
        assert stored == ["a", TEXT, "b", TEXT, "c", TEXT]
        # Another session asks the same first question: a hit, remembered all the same.
        other = {"configurable": {"session_id": "s2"}}
        assert "".join(doors.stream(chat, {"q": "a"}, other)) == TEXT
        assert len(model.asked) == 3
        assert [message.content for message in kept["s2"].messages] == ["a", TEXT]

    colour.run(body)


@every_colour
def test_observers_change_nothing(colour):
    def body(doors):
        results = []
        for watched in (False, True):
            kept: dict[str, Any] = {}
            model = Counting(cache=InMemoryCache())
            chat = program(model, kept)
            config: Any = {**S1, "callbacks": [Hooks()]} if watched else S1
            chunks = doors.stream(chat, {"q": "a"}, config)
            if watched:
                events(doors, chat, {"q": "b"}, S1)
            else:
                doors.invoke(chat, {"q": "b"}, S1)
            results.append(
                (
                    [chunk for chunk in chunks if chunk],
                    [(m.type, m.content) for m in kept["s1"].messages],
                    [[m.content for m in call["messages"]] for call in model.asked],
                )
            )
        assert results[0] == results[1]

    colour.run(body)


PIECES = st.lists(
    st.builds(
        lambda text, usage: {"content": text, **({"usage_metadata": usage} if usage else {})},
        st.text(max_size=4),
        st.none() | st.builds(told, st.integers(0, 9), st.integers(0, 9)),
    ),
    min_size=1,
    max_size=5,
)


class Folding(Counting):
    _generate = BaseChatModel._generate


@settings(max_examples=25)
@given(PIECES)
def test_history_cache_events_and_invoke_tell_of_one_answer(pieces):
    kept: dict[str, Any] = {}

    def history(name):
        return kept.setdefault(name, InMemoryChatMessageHistory())

    model = Folding(pieces=pieces, cache=InMemoryCache())
    chat = RunnableWithMessageHistory(model, history)
    answer = chat.invoke("q", {"configurable": {"session_id": "a"}})
    list(chat.stream("q", {"configurable": {"session_id": "b"}}))
    list(chat.stream_events("q", {"configurable": {"session_id": "c"}}, version="v2"))
    asyncio.run(chat.ainvoke("q", {"configurable": {"session_id": "d"}}))
    assert len(model.asked) == 1
    wanted = "".join(piece["content"] for piece in pieces)
    for name in "abcd":
        question, stored = kept[name].messages
        assert (question.content, stored.content) == ("q", wanted)
        told_ = dict(stored.usage_metadata or {})
        told_.pop("total_cost", None)
        assert told_ == dict(answer.usage_metadata or {})


@settings(max_examples=25)
@given(conversations())
def test_every_way_to_write_a_conversation_down_gives_it_back(specs):
    class Chat(BaseModel):
        messages: list[AnyMessage]

    messages = build(OURS, specs)
    assert loads(dumps(messages)) == messages
    assert messages_from_dict(messages_to_dict(messages)) == messages
    chat = Chat(messages=messages)
    assert Chat.model_validate_json(chat.model_dump_json()).messages == messages
    # And a model is asked the same through each of them.
    model = Folding(cache=InMemoryCache())
    for same in (messages, loads(dumps(messages)), [m.model_dump() for m in messages]):
        if same:
            model.invoke(same)
    assert len(model.asked) == (1 if messages else 0)


@every_colour
def test_a_tool_loop_by_hand(colour):
    call = {"name": "add", "args": '{"a": 1, "b": 2}', "id": "c1", "index": 0}
    asking = [{"content": "", "tool_call_chunks": [call]}]

    def body(doors):
        history = [HumanMessage("1+2?")]
        first = doors.invoke(Folding(pieces=asking), history)
        assert [(c["name"], c["args"]) for c in first.tool_calls] == [("add", {"a": 1, "b": 2})]
        history += [first, ToolMessage("3", tool_call_id=first.tool_calls[0]["id"])]
        model = Counting(cache=InMemoryCache())
        assert doors.invoke(model, history).content == TEXT
        sent = convert_to_openai_messages(history)
        assert [message["role"] for message in sent] == ["user", "assistant", "tool"]
        assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == "c1"
        assert filter_messages(history, exclude_tool_calls=True) == history[:1]
        # The same loop once more, with new ids of messages: the same question.
        again = [message.model_copy(update={"id": None}) for message in history]
        doors.stream(model, again)
        assert len(model.asked) == 1

    colour.run(body)


@every_colour
def test_files_for_history_and_cache_side_by_side(colour, tmp_path):
    def body(doors):
        path = tmp_path / f"{colour}.db"
        cache = SQLiteCache(tmp_path / f"{colour}-cache.db")
        model = CountingAsync(cache=cache)
        chat = RunnableWithMessageHistory(model, lambda name: SQLiteChatMessageHistory(name, path))
        for number in range(3):
            doors.stream(chat, "q", {"configurable": {"session_id": f"s{number}"}})
        assert len(model.asked) == 1
        for number in range(3):
            stored = SQLiteChatMessageHistory(f"s{number}", path).messages
            assert [(m.type, m.content) for m in stored] == [("human", "q"), ("ai", TEXT)]
            assert type(stored[1]) is AIMessage
        cache.close()

    colour.run(body)


@every_colour
def test_one_file_may_hold_history_and_cache(colour, tmp_path):
    def body(doors):
        path = tmp_path / f"{colour}.db"
        cache = SQLiteCache(path)
        model = Counting(cache=cache)
        chat = RunnableWithMessageHistory(model, lambda name: SQLiteChatMessageHistory(name, path))
        doors.invoke(chat, "q", S1)
        doors.stream(chat, "q", {"configurable": {"session_id": "s2"}})
        assert len(model.asked) == 1
        cache.clear()
        assert len(SQLiteChatMessageHistory("s1", path).messages) == 2
        cache.close()

    colour.run(body)


@every_colour
def test_a_stream_left_stores_its_part_in_the_history_and_nothing_in_the_cache(colour):
    def body(doors):
        kept: dict[str, Any] = {}
        model = Counting(cache=InMemoryCache())
        chat = program(model, kept)
        stream = doors.open(chat, {"q": "a"}, S1)
        assert stream.next() == TEXTS[0]
        stream.close()
        question, answer = kept["s1"].messages
        assert (question.content, answer.content) == ("a", TEXTS[0])
        assert answer.response_metadata["interrupted"]
        other = {"configurable": {"session_id": "s2"}}
        assert doors.invoke(chat, {"q": "a"}, other) == TEXT
        assert len(model.asked) == 2

    colour.run(body)
