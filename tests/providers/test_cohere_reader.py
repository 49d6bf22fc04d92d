"""`CohereReader`, fed with events as Cohere sends them."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import IncompleteStream
from headrace.merge import merge
from headrace.messages import message_chunk_to_message
from headrace.providers._cohere.reader import CohereReader

START = {"id": "an-id", "type": "message-start", "delta": {"message": {"role": "assistant"}}}
USAGE = {
    "billed_units": {"input_tokens": 5, "output_tokens": 3},
    "tokens": {"input_tokens": 100, "output_tokens": 9, "reasoning_tokens": 4},
    "cached_tokens": 64,
}


def content(index: int, **piece: Any) -> dict[str, Any]:
    return {"type": "content-delta", "index": index, "delta": {"message": {"content": piece}}}


def end(reason: str = "COMPLETE", **more: Any) -> dict[str, Any]:
    return {"type": "message-end", "delta": {"finish_reason": reason, "usage": USAGE, **more}}


def read(*events: dict[str, Any], **how: Any) -> Any:
    reader = CohereReader("cohere", model="command-a", **how)
    chunks = [chunk for event in events for chunk in reader.feed(event)]
    return message_chunk_to_message(merge([*chunks, *reader.finish()]))


def whole(message: dict[str, Any], **more: Any) -> Any:
    answer = {"id": "an-id", "message": message, "finish_reason": "COMPLETE", **more}
    return message_chunk_to_message(
        merge(list(CohereReader("cohere", model="command-a").whole(answer)))
    )


def test_text_is_a_string_and_the_end_tells_the_rest() -> None:
    message = read(START, content(0, text="Hel"), content(0, text="lo"), end())
    assert message.content == "Hello"
    assert message.id == "an-id"
    assert message.usage_metadata == {
        "input_tokens": 100,
        "output_tokens": 9,
        "total_tokens": 109,
        "input_token_details": {"cache_read": 64},
        "output_token_details": {"reasoning": 4},
    }
    assert message.response_metadata == {
        "model_provider": "cohere",
        "model_name": "command-a",
        "finish_reason": "COMPLETE",
        "billed_units": {"input_tokens": 5, "output_tokens": 3},
    }


@pytest.mark.parametrize("second", [0, 1])
def test_thoughts_and_text_are_two_blocks_even_with_one_index(second: int) -> None:
    message = read(START, content(0, thinking="Hm"), content(second, text="Yes"), end())
    kinds = [(b["type"], b.get("reasoning") or b.get("text")) for b in message.content]
    assert kinds == [("reasoning", "Hm"), ("text", "Yes")]


def call(kind: str, index: int, **told: Any) -> dict[str, Any]:
    return {"type": kind, "index": index, "delta": {"message": {"tool_calls": told}}}


def test_a_plan_and_two_calls_in_pieces() -> None:
    plan = {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will"}}}
    function = {"name": "add", "arguments": ""}
    message = read(
        START,
        plan,
        plan,
        call("tool-call-start", 0, id="add_1", type="function", function=function),
        call("tool-call-delta", 0, function={"arguments": '{"a":'}),
        call("tool-call-delta", 0, function={"arguments": "1}"}),
        {"type": "tool-call-end", "index": 0},
        call("tool-call-start", 1, id="add_2", type="function", function=function),
        call("tool-call-delta", 1, function={"arguments": "{}"}),
        end("TOOL_CALL"),
    )
    (block,) = message.content
    assert block["reasoning"] == "I willI will"
    assert block["extras"] == {"tool_plan": True}
    assert [(c["id"], c["name"], c["args"]) for c in message.tool_calls] == [
        ("add_1", "add", {"a": 1}),
        ("add_2", "add", {}),
    ]


CITATION = {
    "start": 0,
    "end": 4,
    "text": "Ruby",
    "sources": [{"type": "document", "id": "d", "document": {"title": "T", "url": "https://u"}}],
    "type": "TEXT_CONTENT",
    "content_index": 0,
}


def cited(citation: dict[str, Any]) -> dict[str, Any]:
    return {"type": "citation-start", "index": 0, "delta": {"message": {"citations": citation}}}


def test_citations_stand_with_their_text() -> None:
    text = content(0, text="Ruby"), cited(CITATION), content(0, text=" it is")
    message = read(START, *text, end(), blocks=True)
    (block,) = message.content
    assert block["text"] == "Ruby it is"
    assert block["annotations"] == [
        {
            "type": "citation",
            "start_index": 0,
            "end_index": 4,
            "url": "https://u",
            "title": "T",
            "extras": {name: CITATION[name] for name in ("text", "sources", "type")},
        }
    ]


def test_a_citation_of_the_plan_or_of_thoughts_stands_with_these() -> None:
    events = (
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "P"}}},
        content(0, thinking="T"),
        cited({**CITATION, "type": "PLAN"}),
        cited({**CITATION, "type": "THINKING_CONTENT"}),
    )
    plan, thought = read(START, *events, end()).content
    assert (plan["reasoning"], thought["reasoning"]) == ("P", "T")
    for block in (plan, thought):
        assert [c["extras"]["text"] for c in block["extras"]["citations"]] == ["Ruby"]


def test_a_whole_answer_says_what_its_stream_says() -> None:
    streamed = read(
        START,
        content(0, thinking="Hm"),
        content(1, text="Ruby"),
        cited({**CITATION, "content_index": 1}),
        call("tool-call-start", 0, id="x", type="function", function={"name": "f"}),
        call("tool-call-delta", 0, function={"arguments": "{}"}),
        end(),
    )
    answered = whole(
        {
            "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Ruby"}],
            "citations": [{**CITATION, "content_index": 1}],
            "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "{}"}}],
        },
        usage=USAGE,
    )
    assert answered.model_dump() == streamed.model_dump()


def test_log_probabilities_are_kept() -> None:
    told = {"text": "Hi", "token_ids": [1], "logprobs": [-0.5]}
    streamed = read(START, {**content(0, text="Hi"), "logprobs": told}, end())
    answered = whole({"content": [{"type": "text", "text": "Hi"}]}, logprobs=[told])
    assert streamed.response_metadata["logprobs"] == [told]
    assert answered.response_metadata["logprobs"] == [told]


def test_what_is_unknown_is_no_failure() -> None:
    strange = {"type": "a-new-kind", "delta": {"message": {"x": 1}}}
    part = content(1, type="chart", data=[1])
    message = read(START, strange, content(0, text="a"), part, end())
    assert message.content[0] == "a"
    assert message.content[1]["value"] == {"type": "chart", "data": [1]}


def test_a_stream_without_its_end_is_incomplete() -> None:
    reader = CohereReader("cohere")
    for event in (START, content(0, text="Hel")):
        list(reader.feed(event))
    with pytest.raises(IncompleteStream, match="message-end") as caught:
        list(reader.finish())
    assert caught.value.partial.content == "Hel"


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (end("ERROR", error="bad tool", error_type="T"), {"message": "bad tool", "type": "T"}),
        (end("ERROR_TOXIC"), {"message": "The model failed (finish_reason 'ERROR_TOXIC').",
                              "type": "ERROR_TOXIC"}),
        (end("TIMEOUT"), {"message": "The model failed (finish_reason 'TIMEOUT').",
                          "type": "TIMEOUT"}),
        (end("MAX_TOKENS"), None),
        (end("COMPLETE"), None),
    ],
)  # fmt: skip
def test_which_ends_are_failures(ending: dict[str, Any], said: Any) -> None:
    expected = None if said is None else {"error": said}
    reader = CohereReader("cohere")
    assert reader.failure(ending) == expected
    assert reader.failure(ending["delta"]) == expected  # as a whole answer tells it
