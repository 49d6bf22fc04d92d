"""Trimming: what counts, what may be cut, how often is counted."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

import headrace.messages as hr
from headrace.errors import InputError
from headrace.language_models import FakeListChatModel

LONG = [hr.HumanMessage(f"message {n}", id=str(n)) for n in range(1_000)]


class Counted(FakeListChatModel):
    """A model that counts 10 tokens for each message."""

    def get_num_tokens_from_messages(self, messages: Any, tools: Any = None) -> int:
        return 10 * len(messages)


def of_one(message: hr.BaseMessage) -> int:
    return 10


def of_one_of_two_kinds(message: hr.HumanMessage | hr.AIMessage) -> int:
    return 10


def of_many(messages: list[hr.BaseMessage]) -> int:
    return 10 * len(messages)


def of_anything(messages):
    return 10 * len(messages)


MODEL = Counted(responses=["a"])
COUNTERS: list[Any] = [
    MODEL,
    MODEL.bind(stop=["x"]),
    of_one,
    of_one_of_two_kinds,
    of_many,
    of_anything,
    partial(of_many),
    lambda messages: 10 * len(messages),
]


@pytest.mark.parametrize("counter", COUNTERS)
def test_what_may_count(counter: Any):
    kept = hr.trim_messages(LONG, max_tokens=35, token_counter=counter)
    assert kept == LONG[-3:]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"token_counter": 5}, "expected to be a model"),
        ({"token_counter": "exact"}, "shortcut 'exact'"),
        ({"strategy": "middle"}, "strategy='middle'"),
        ({"strategy": "first", "start_on": "human"}, "start_on"),
        ({"strategy": "first", "include_system": True}, "include_system"),
        ({"end_on": [5]}, "no kind of message"),
    ],
)
def test_what_is_refused(wrong: dict[str, Any], message: str):
    arguments: dict[str, Any] = {"max_tokens": 5, "token_counter": len, **wrong}
    with pytest.raises(InputError, match=message):
        hr.trim_messages(LONG, **arguments)


@pytest.mark.parametrize("strategy", ["first", "last"])
def test_a_thousand_messages_are_counted_a_dozen_times(strategy: Any):
    asked = []

    def counter(messages: Any) -> int:
        asked.append(len(messages))
        return len(messages)

    kept = hr.trim_messages(LONG, max_tokens=700, token_counter=counter, strategy=strategy)
    assert len(kept) == 700
    assert len(asked) <= 12


def test_a_message_is_cut_on_the_side_that_is_kept():
    text = "one\ntwo\nthree\nfour"
    messages = [hr.HumanMessage("first"), hr.AIMessage(text, id="7")]
    words = {"token_counter": lambda ms: sum(len(m.text.split()) for m in ms)}
    first = hr.trim_messages(messages, max_tokens=3, strategy="first", allow_partial=True, **words)
    assert first == [messages[0], hr.AIMessage("one\ntwo\n", id="7")]
    last = hr.trim_messages(messages, max_tokens=3, allow_partial=True, **words)
    assert last == [hr.AIMessage("two\nthree\nfour", id="7")]
    assert messages[1].content == text


class Splitter:
    """Has a method, as splitters of texts do."""

    def split_text(self, text: str) -> list[str]:
        return [f"{word} " for word in text.split()]


@pytest.mark.parametrize("splitter", [Splitter(), Splitter().split_text])
def test_what_may_cut_a_text(splitter: Any):
    [kept] = hr.trim_messages(
        [hr.HumanMessage("one two three")],
        max_tokens=2,
        token_counter=lambda ms: sum(len(m.text.split()) for m in ms),
        allow_partial=True,
        text_splitter=splitter,
        strategy="first",
    )
    assert kept.content == "one two "


def test_the_whole_of_what_is_kept_is_counted():
    """A counter that adds tokens for the list, not only for its messages, is held to as well."""

    def counter(messages: Any) -> int:
        return 5 + sum(len(m.text) for m in messages)

    messages = [hr.HumanMessage("aaa"), hr.HumanMessage("b\nb\nb\nb")]
    kept = hr.trim_messages(
        messages, max_tokens=12, token_counter=counter, strategy="first", allow_partial=True
    )
    assert counter(kept) <= 12
    assert kept[1].content == "b\nb\n"


def test_the_system_message_is_kept_and_counted():
    messages = [hr.SystemMessage("s"), *LONG[:5]]
    kept = hr.trim_messages(
        messages, max_tokens=3, token_counter=len, include_system=True, start_on="human"
    )
    assert kept == [messages[0], *LONG[3:5]]
    none_left = hr.trim_messages(messages, max_tokens=0, token_counter=len, include_system=True)
    assert none_left == [messages[0]]


def test_counts_of_functions_as_tools():
    def look_up(city: str) -> str:
        """The weather of a city."""
        return city

    alone = hr.count_tokens_approximately(["hello"])
    assert hr.count_tokens_approximately(["hello"], tools=[look_up]) > alone
