"""`MistralReader`, fed with events as Mistral sends them."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import IncompleteStream
from headrace.merge import merge
from headrace.messages import message_chunk_to_message
from headrace.providers._chat.reader import ChatReader
from headrace.providers._mistral.reader import MistralReader

DONE = {"done": True}


def event(finish: str | None = None, usage: Any = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    told = {"id": "an-id", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**told, "choices": [choice], "p": "abc", **({"usage": usage} if usage else {})}


def thinking(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], **more}


def read(*events: dict[str, Any], prefix: str = "") -> Any:
    reader = MistralReader("mistral", prefix=prefix)
    chunks = [chunk for each in events for chunk in reader.feed(each)]
    return message_chunk_to_message(merge([*chunks, *reader.finish()]))


def test_text_with_padding() -> None:
    usage = {"prompt_tokens": 3, "total_tokens": 5, "completion_tokens": 2}
    message = read(
        event(role="assistant", content=""),
        event(content="Hel"),
        event("stop", usage, content="lo"),
        DONE,
    )
    assert message.content == "Hello"
    assert message.usage_metadata["total_tokens"] == 5
    assert message.response_metadata["finish_reason"] == "stop"
    assert "p" not in message.response_metadata


def test_thinking_between_strings_and_lists() -> None:
    message = read(
        event(content=""),
        event(content=[thinking("One ")]),
        event(content=[thinking("two", closed=True), {"type": "text", "text": "T"}]),
        event("stop", content="ext"),
        DONE,
    )
    thought, text = message.content
    assert (thought["type"], thought["reasoning"]) == ("reasoning", "One two")
    assert "extras" not in thought
    assert (text["type"], text["text"]) == ("text", "Text")


def test_a_signature_and_sources_of_thoughts_are_kept() -> None:
    source = {"type": "tool_reference", "tool": "web_search", "title": "T"}
    part = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}, source]}
    message = read(event("stop", content=[{**part, "signature": "sig"}]), DONE)
    (thought,) = message.content
    assert thought["reasoning"] == "Hm"
    assert thought["extras"] == {"sources": [source], "signature": "sig"}


def test_references_end_the_block_of_their_text() -> None:
    message = read(
        event(content="In "),
        event(content=[{"type": "text", "text": "Paris"}]),
        event(content=[{"type": "reference", "reference_ids": [1, 2]}]),
        event(content="."),
        event("stop", content=[
            {"type": "tool_reference", "tool": "web_search", "title": "T", "url": "https://u"}
        ]),
        DONE,
    )  # fmt: skip
    before, cited, after = message.content[0], message.content[-2], message.content[-1]
    assert before == "In Paris"
    assert cited["annotations"] == [{"type": "citation", "extras": {"reference_ids": [1, 2]}}]
    assert after["text"] == "."
    assert after["annotations"] == [
        {"type": "citation", "url": "https://u", "title": "T", "extras": {"tool": "web_search"}}
    ]


def test_two_calls_without_index_in_the_last_delta() -> None:
    calls = [
        {"id": "QAw0JBXkB", "function": {"name": "plus", "arguments": '{"a": 1}'}},
        {"id": "HlyhI5zAI", "function": {"name": "plus", "arguments": {"a": 2}}},
    ]
    message = read(event("tool_calls", content="", tool_calls=calls), DONE)
    assert [(c["id"], c["args"]) for c in message.tool_calls] == [
        ("QAw0JBXkB", {"a": 1}),
        ("HlyhI5zAI", {"a": 2}),
    ]
    assert message.content == ""


def test_a_part_of_a_new_kind_is_kept() -> None:
    message = read(event("stop", content=[{"type": "hologram", "x": 1}]), DONE)
    assert message.content[0]["value"] == {"type": "hologram", "x": 1}


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (["He", "llo", " you"], " you"),  # the beginning, told again in pieces
        (["Hello you"], " you"),
        ([" you"], " you"),  # not told again
        (["He", " you"], "He you"),  # looked like it
        (["Hel"], "Hel"),  # ended before that could be known
        (["Hello"], ""),
    ],
)
def test_the_beginning_that_was_given_is_left_out(told: list[str], text: str) -> None:
    pieces = [event(content=piece) for piece in told]
    assert read(*pieces, event("stop", content=""), DONE, prefix="Hello").text == text


def test_a_whole_answer_leaves_it_out_too() -> None:
    choices = [
        {"index": n, "finish_reason": "stop", "message": {"content": f"Hello {n}"}} for n in (0, 1)
    ]
    reader = MistralReader("mistral", prefix="Hello")
    texts = [merge(list(chunks)).text for chunks in reader.candidates({"choices": choices})]
    assert texts == [" 0", " 1"]


@pytest.mark.parametrize(
    ("reader", "told"),
    [
        (lambda: MistralReader("mistral", prefix="Hello"), "Hel"),
        (lambda: ChatReader("openai", think_tags=True), "<th"),
    ],
    ids=["prefix", "tag"],
)
def test_what_another_choice_held_back_is_told_in_the_end(reader: Any, told: str) -> None:
    """It looked like the beginning that was given, or like a tag, until its choice ended."""
    first, other = (event("stop", content=text) for text in ("A", told))
    other["choices"][0]["index"] = 1
    reading = reader()
    chunks = [chunk for each in (first, other, DONE) for chunk in reading.feed(each)]
    message = merge([*chunks, *reading.finish()])
    assert message.text == "A"
    (held,) = message.response_metadata["other_choices"]
    assert held == {"index": 1, "content": told, "tool_calls": [], "finish_reason": "stop"}


def test_a_choice_that_ended_with_an_error_is_a_failure() -> None:
    reader = MistralReader("mistral")
    told = reader.failure(event("error", content="x"))
    assert told is not None and "finish_reason 'error'" in told["error"]["message"]
    assert reader.failure(event("stop", content="x")) is None
    assert reader.failure({"error": {"message": "m"}}) == {"error": {"message": "m"}}


def test_a_stream_without_a_finish_reason_is_incomplete() -> None:
    with pytest.raises(IncompleteStream) as caught:
        read(event(content="Hel"))
    assert caught.value.partial.content == "Hel"
