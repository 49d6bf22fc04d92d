"""Messages to requests and chunks to messages: pure, without the model."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import IncompleteStream, InputError
from headrace.local.wire import ChunkReader, as_request_messages
from headrace.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def test_each_kind_has_its_role():
    call = {"name": "add", "args": {"a": 1}, "id": "c1"}
    conversation = [
        SystemMessage("Be brief."),
        HumanMessage("1 + 1?"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("2", tool_call_id="c1"),
        FunctionMessage("2", name="add"),
        ChatMessage("So?", role="critic"),
        AIMessageChunk("It is 2."),
    ]
    assert as_request_messages(conversation) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1 + 1?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "add", "arguments": '{"a": 1}'},
                }
            ],
        },
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
        {"role": "tool", "content": "2"},
        {"role": "critic", "content": "So?"},
        {"role": "assistant", "content": "It is 2."},
    ]


def test_text_blocks_are_joined_and_thoughts_left_out():
    blocks = ["a", {"type": "text", "text": "b"}, {"text": "c"}]
    assert as_request_messages([HumanMessage(blocks)])[0]["content"] == "abc"
    thought = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "d"}]
    assert as_request_messages([AIMessage(thought)])[0]["content"] == "d"


def test_what_is_not_text_is_refused_by_name():
    with pytest.raises(InputError, match=r"text only: block 1 of a HumanMessage.*'image_url'"):
        as_request_messages([HumanMessage([{"type": "text", "text": "see"}, IMAGE])])
    with pytest.raises(InputError, match="'reasoning'"):
        as_request_messages([HumanMessage([{"type": "reasoning", "reasoning": "hm"}])])
    with pytest.raises(InputError, match="'image_url'"):
        as_request_messages([AIMessage([IMAGE])])
    with pytest.raises(InputError, match=r"'\\ud800'\) at index 2"):
        as_request_messages([HumanMessage("ab\ud800")])
    with pytest.raises(InputError, match="cannot send a RemoveMessage"):
        as_request_messages([RemoveMessage(id="1")])
    with pytest.raises(InputError, match="at least one message"):
        as_request_messages([])


def piece(**parts: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": parts.pop("reason", None), "delta": parts}
    return {"id": "c-1", "model": "tiny", "choices": [choice]}


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "prompt_tokens_details": {}}


def test_an_answer_read_chunk_by_chunk():
    reader = ChunkReader()
    fed = [
        piece(role="assistant", content=None),
        piece(content="The"),
        piece(content=" sky"),
        piece(reason="stop"),
        {"id": "c-1", "model": "tiny", "choices": [], "usage": USAGE},
    ]
    chunks = [message for chunk in fed if (message := reader.feed(chunk))]
    assert chunks == [AIMessageChunk("The", id="c-1"), AIMessageChunk(" sky", id="c-1")]
    last = reader.finish()
    assert (last.content, last.id, last.chunk_position) == ("", "c-1", "last")
    assert last.response_metadata == {"finish_reason": "stop", "model_name": "tiny"}
    assert last.usage_metadata == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


def test_an_empty_answer_has_an_id_all_the_same():
    reader = ChunkReader()
    assert reader.feed(piece(reason="stop")) is None
    assert reader.finish().id == "c-1"


def test_an_answer_that_breaks_off_is_incomplete():
    reader = ChunkReader()
    reader.feed(piece(content="The"))
    reader.feed(piece(content=" sk"))
    with pytest.raises(IncompleteStream) as caught:
        reader.finish()
    assert caught.value.partial == AIMessageChunk("The sk", id="c-1")
