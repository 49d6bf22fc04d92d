"""Histories: either adding method is enough, async by threads, the list one keeps its list."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from headrace.chat_history import BaseChatMessageHistory, InMemoryChatMessageHistory
from headrace.errors import ConfigError
from headrace.messages import AIMessage, HumanMessage, SystemMessage


class OneByOne(BaseChatMessageHistory):
    def __init__(self):
        super().__init__()
        self.messages = []

    def add_message(self, message):
        self.messages.append(message)

    def clear(self):
        self.messages = []


class Several(OneByOne):
    add_message = BaseChatMessageHistory.add_message

    def add_messages(self, messages):
        self.messages.extend(messages)


HISTORIES = [OneByOne, Several, InMemoryChatMessageHistory]


@pytest.mark.parametrize("kind", HISTORIES)
async def test_every_way_to_add_adds_at_the_end(kind):
    history = kind()
    history.add_user_message("1")
    history.add_ai_message("2")
    history.add_user_message(HumanMessage("3", name="ann"))
    history.add_ai_message(AIMessage("4", id="x"))
    history.add_message(SystemMessage("5"))
    history.add_messages([HumanMessage("6"), AIMessage("7")])
    await history.aadd_messages([HumanMessage("8")])
    expected = [
        HumanMessage("1"),
        AIMessage("2"),
        HumanMessage("3", name="ann"),
        AIMessage("4", id="x"),
        SystemMessage("5"),
        HumanMessage("6"),
        AIMessage("7"),
        HumanMessage("8"),
    ]
    assert history.messages == expected
    assert await history.aget_messages() == expected
    history.clear()
    assert history.messages == []
    history.add_user_message("again")
    assert len(history.messages) == 1
    await history.aclear()
    assert await history.aget_messages() == []


@pytest.mark.parametrize("kind", HISTORIES)
def test_a_history_reads_as_a_conversation(kind):
    history = kind()
    history.add_messages([SystemMessage("be kind"), HumanMessage("hi"), AIMessage("hello")])
    assert str(history) == "System: be kind\nHuman: hi\nAI: hello"


def test_messages_may_be_given_and_are_not_shared_between_histories():
    given = [HumanMessage("hi")]
    first, second = InMemoryChatMessageHistory(messages=given), InMemoryChatMessageHistory()
    second.add_ai_message("hello")
    assert first.messages == [HumanMessage("hi")]
    first.add_ai_message("x")
    assert given == [HumanMessage("hi")]


def test_whoever_holds_the_messages_keeps_them_when_the_history_is_cleared():
    history = InMemoryChatMessageHistory(messages=[HumanMessage("hi")])
    held = history.messages
    history.clear()
    assert held == [HumanMessage("hi")]
    assert history.messages == []


def test_the_list_history_refuses_other_fields_and_things_that_are_no_messages():
    with pytest.raises(ValidationError, match="sessions"):
        InMemoryChatMessageHistory(sessions={})
    with pytest.raises(ValidationError):
        InMemoryChatMessageHistory(messages=[object()])


def test_a_history_that_cannot_add_says_what_to_define():
    class Mute(BaseChatMessageHistory):
        def clear(self):
            raise AssertionError

    with pytest.raises(ConfigError, match=r"Mute cannot add messages: define 'add_messages"):
        Mute().add_user_message("hi")
    with pytest.raises(ConfigError, match="Mute"):
        Mute().add_messages([HumanMessage("hi")])


def test_a_history_must_be_clearable():
    class Forever(BaseChatMessageHistory):
        def add_message(self, message):
            raise AssertionError

    with pytest.raises(TypeError, match="clear"):
        Forever()


def test_a_history_can_have_other_bases_that_take_arguments():
    class Keyed:
        def __init__(self, key):
            self.key = key

    class KeyedHistory(OneByOne, Keyed):
        def __init__(self, key):
            BaseChatMessageHistory.__init__(self, key)
            self.messages = []

    assert KeyedHistory("k").key == "k"
