"""Arguments that are none: a sentence with the value, whatever the messages are."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.conversation import merge_message_runs, trim_messages
from headrace.errors import InputError
from headrace.messages import AIMessage, BaseMessage, HumanMessage

CHAT = [HumanMessage("a\nb"), AIMessage("c")]


def of_one(message: BaseMessage) -> Any:
    return str(message.content)


@pytest.mark.parametrize("wrong", [None, "3", True, [3]])
def test_max_tokens_is_a_number(wrong):
    for messages in (CHAT, []):
        with pytest.raises(InputError, match="max_tokens is a number, and this is"):
            trim_messages(messages, max_tokens=wrong, token_counter=len)
    assert trim_messages(CHAT, max_tokens=1.5, token_counter=len) == CHAT[1:]


@pytest.mark.parametrize("counter", [lambda m: None, lambda m: "3", lambda m: True, of_one])
@pytest.mark.parametrize("strategy", ["first", "last"])
def test_a_counter_gives_a_number(counter, strategy):
    with pytest.raises(InputError, match="is no number of tokens"):
        trim_messages(CHAT, max_tokens=1, token_counter=counter, strategy=strategy)


@pytest.mark.parametrize("splitter", [3, lambda text: None, lambda text: "ab", lambda text: [1]])
def test_a_splitter_gives_texts(splitter):
    with pytest.raises(InputError, match="text_splitter="):
        trim_messages(
            [HumanMessage("a\nb")],
            max_tokens=1,
            token_counter=lambda messages: sum(len(m.text) for m in messages),
            allow_partial=True,
            text_splitter=splitter,
        )


@pytest.mark.parametrize("separator", [None, 3, b"\n"])
def test_a_separator_is_a_text(separator):
    for messages in (CHAT, []):
        with pytest.raises(InputError, match=r"chunk_separator=.* is no text"):
            merge_message_runs(messages, chunk_separator=separator)
