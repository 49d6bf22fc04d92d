"""Anthropic's events, fed to the reader by hand: what recordings do not show, how it adds up."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import IncompleteStream, ModelRefusalError
from headrace.merge import merge
from headrace.messages import AIMessage, message_chunk_to_message
from headrace.output_parsers.endings import raise_if_refused
from headrace.providers._anthropic.reader import CALL_FACTS, MessagesReader

USAGE = {"input_tokens": 10, "output_tokens": 1}
START = {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": USAGE}}
END = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 7},
}
STOP = {"type": "message_stop"}


def block(start: dict[str, Any], *deltas: dict[str, Any], index: int = 0) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": d} for d in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(*pieces: str) -> list[dict[str, Any]]:
    return [{"type": "text_delta", "text": piece} for piece in pieces]


def read(*events: Any) -> AIMessage:
    """The message of a stream; events of blocks come as lists."""
    reader = MessagesReader("anthropic")
    flat = [e for each in events for e in (each if isinstance(each, list) else [each])]
    chunks = [chunk for event in flat for chunk in reader.feed(event)]
    message: Any = message_chunk_to_message(merge([*chunks, *reader.finish()]))
    return message


def whole(*content: dict[str, Any], **more: Any) -> AIMessage:
    answer = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": "end_turn", "stop_sequence": None, "usage": {**USAGE, "output_tokens": 7},
    }  # fmt: skip
    reader = MessagesReader("anthropic")
    message: Any = message_chunk_to_message(merge(list(reader.whole({**answer, **more}))))
    return message


def body(*blocks: Any, end: Any = END) -> AIMessage:
    return read(START, *blocks, end, STOP)


def test_text() -> None:
    message = body(block({"type": "text", "text": ""}, *text("Hel", "lo")))
    assert message.content == "Hello"
    assert message.id == "msg_1"
    assert message.response_metadata == {
        "model_provider": "anthropic",
        "model_name": "m",
        "model": "m",
        "id": "msg_1",
        "finish_reason": "end_turn",
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 7},
    }
    assert message == whole({"type": "text", "text": "Hello"})


def test_texts_in_a_row_are_one_whether_streamed_or_whole() -> None:
    thought = {"type": "thinking", "thinking": "Hm", "signature": "s"}
    found = body(
        block({"type": "text", "text": ""}, *text("A")),
        block({"type": "text", "text": ""}, *text("B"), index=1),
        block(thought, index=2),
        block({"type": "text", "text": ""}, *text("C"), index=3),
    )
    assert found == whole(
        {"type": "text", "text": "A"}, {"type": "text", "text": "B"}, thought,
        {"type": "text", "text": "C"},
    )  # fmt: skip
    assert isinstance(found.content, list)
    assert found.content[0] == "AB"
    assert found.text == "ABC"


def test_a_thought_in_pieces_is_signed_once() -> None:
    message = body(
        block(
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "H"},
            {"type": "thinking_delta", "thinking": "m"},
            {"type": "signature_delta", "signature": "s1"},
            {"type": "signature_delta", "signature": "s2"},
        )
    )
    assert message.content == [
        {"type": "reasoning", "reasoning": "Hm", "extras": {"signature": "s1s2"}, "index": 0}
    ]


def test_a_thought_that_is_not_shown_keeps_its_signature() -> None:
    start = {"type": "thinking", "thinking": "", "signature": ""}
    message = body(block(start, {"type": "signature_delta", "signature": "s"}))
    assert message.content == [
        {"type": "reasoning", "reasoning": "", "extras": {"signature": "s"}, "index": 0}
    ]
    assert body(block(start)).content == ""


CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}


@pytest.mark.parametrize(
    ("pieces", "args"), [([""], {}), ([], {}), (["", '{"a"', ": 1}"], {"a": 1})]
)
def test_arguments(pieces: list[str], args: Any) -> None:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    message = body(block(CALL, *deltas))
    assert message.tool_calls == [{"type": "tool_call", "id": "toolu_1", "name": "f", "args": args}]
    assert message.tool_calls == whole({**CALL, "input": args}).tool_calls
    assert message.content == ""


def test_arguments_that_are_no_json_are_an_invalid_call() -> None:
    message = body(block(CALL, {"type": "input_json_delta", "partial_json": '{"a'}))
    assert not message.tool_calls
    assert [call["args"] for call in message.invalid_tool_calls] == ['{"a']


def test_who_called_a_tool_is_kept_unless_it_was_the_model() -> None:
    code = {"type": "code_execution_20250825", "tool_id": "srv_1"}
    direct = block({**CALL, "caller": {"type": "direct"}})
    other = block({**CALL, "id": "toolu_2", "caller": code}, index=1)
    assert body(direct).additional_kwargs == {}
    assert body(direct, other).additional_kwargs == {CALL_FACTS: {"toolu_2": {"caller": code}}}


def test_a_tool_of_anthropics_own_comes_when_its_arguments_are_whole() -> None:
    reader = MessagesReader("anthropic")
    start = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    *grow, stop = block(start, {"type": "input_json_delta", "partial_json": '{"query": "q"}'})
    assert [chunk for event in [START, *grow] for chunk in reader.feed(event)] == []
    (chunk,) = reader.feed(stop)
    assert chunk.content == [
        {"type": "server_tool_call", "id": "s1", "name": "web_search", "args": {"query": "q"},
         "index": 0}
    ]  # fmt: skip


def test_arguments_of_such_a_tool_that_are_no_json_are_kept() -> None:
    start = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    message = body(block(start, {"type": "input_json_delta", "partial_json": "{"}))
    assert message.content[0]["args"] == {"INVALID_JSON": "{"}  # type: ignore[index]


def test_mcp_tools() -> None:
    use = {"type": "mcp_tool_use", "id": "s1", "name": "greet", "server_name": "m", "input": {}}
    result = {"type": "mcp_tool_result", "tool_use_id": "s1", "is_error": True, "content": "no"}
    found = body(block(use), block(result, index=1))
    assert found.content == [
        {"type": "server_tool_call", "id": "s1", "name": "remote_mcp", "args": {}, "index": 0,
         "extras": {"server_name": "m", "tool_name": "greet"}},
        {"type": "server_tool_result", "tool_call_id": "s1", "status": "error", "output": "no",
         "index": 1, "extras": {"block_type": "mcp_tool_result"}},
    ]  # fmt: skip
    assert found == whole(use, result)


def test_citations_stand_with_their_text() -> None:
    place = {"type": "char_location", "cited_text": "c", "document_index": 0,
             "document_title": "T", "start_char_index": 0, "end_char_index": 1}  # fmt: skip
    message = body(
        block(
            {"type": "text", "text": "", "citations": []},
            *text("Ye"),
            {"type": "citations_delta", "citation": place},
            *text("s"),
            {"type": "citations_delta", "citation": {**place, "document_index": 1}},
        ),
        block({"type": "text", "text": ""}, *text("."), index=1),
    )
    first, second = message.content
    assert isinstance(first, dict)
    assert first["text"] == "Yes"
    assert [a["extras"]["document_index"] for a in first["annotations"]] == [0, 1]
    assert second == {"type": "text", "text": ".", "index": 1}
    assert message.content_blocks == message.content


def test_a_compaction_grows_and_other_blocks_are_wrapped() -> None:
    message = body(
        block(
            {"type": "compaction", "content": None},
            {"type": "compaction_delta", "content": "So "},
            {"type": "compaction_delta", "content": "far."},
        ),
        block({"type": "redacted_thinking", "data": "d"}, index=1),
        block({"type": "new_kind", "x": 1}, index=2),
    )
    assert message.content == [
        {"type": "non_standard", "value": {"type": "compaction", "content": "So far."}, "index": 0},
        {"type": "non_standard", "value": {"type": "redacted_thinking", "data": "d"}, "index": 1},
        {"type": "non_standard", "value": {"type": "new_kind", "x": 1}, "index": 2},
    ]
    assert message.content_blocks == message.content


def test_events_and_deltas_that_are_not_known_are_left_out() -> None:
    message = read(
        {"type": "ping"},
        START,
        {"type": "tomorrow", "index": 0},
        {},
        block({"type": "text", "text": "A"}, {"type": "new_delta", "x": 1}, *text("B")),
        {"type": "content_block_delta", "index": 9, "delta": {"type": "new_delta", "x": 1}},
        END,
        STOP,
    )
    assert message.content == "AB"


# ---- token counts ----


def usage_of(start: Any, end: Any) -> Any:
    first = {**START, "message": {"id": "i", "model": "m", "usage": start}}
    return read(first, {**END, "usage": end}, STOP)


def test_the_last_count_stands() -> None:
    start = {
        "input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 30, "service_tier": "standard",
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
    }  # fmt: skip
    end = {
        "input_tokens": 12, "output_tokens": 9, "cache_read_input_tokens": 200,
        "output_tokens_details": {"thinking_tokens": 4},
        "server_tool_use": {"web_search_requests": 1},
    }  # fmt: skip
    message = usage_of(start, end)
    assert message.usage_metadata == {
        "input_tokens": 242,
        "output_tokens": 9,
        "total_tokens": 251,
        "input_token_details": {
            "cache_read": 200,
            "cache_creation": 30,
            "ephemeral_5m_input_tokens": 20,
            "ephemeral_1h_input_tokens": 10,
        },
        "output_token_details": {"reasoning": 4},
    }
    assert message.response_metadata["usage"] == {**start, **end}


def test_counts_that_are_null_say_nothing() -> None:
    message = usage_of(USAGE, {"input_tokens": None, "output_tokens": 3, "server_tool_use": None})
    assert message.usage_metadata == {"input_tokens": 10, "output_tokens": 3, "total_tokens": 13}


# ---- how it ends ----


def test_what_is_said_of_the_end() -> None:
    delta = {
        "stop_reason": "stop_sequence", "stop_sequence": "X", "container": {"id": "c"},
        "stop_details": None,
    }  # fmt: skip
    applied = {"applied_edits": []}
    message = body(end={**END, "delta": delta, "context_management": applied})
    facts = message.response_metadata
    assert (facts["finish_reason"], facts["stop_sequence"]) == ("stop_sequence", "X")
    assert (facts["container"], facts["context_management"]) == ({"id": "c"}, applied)
    assert "stop_details" not in facts


def test_a_refusal() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "No."}
    delta = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
    message = body(block({"type": "text", "text": "I"}), end={**END, "delta": delta})
    with pytest.raises(ModelRefusalError, match="bio"):
        raise_if_refused(message)
    assert message.content_blocks[-1] == {
        "type": "refusal", "refusal": "No.", "extras": {"category": "bio"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("events", "missing"),
    [
        ([START, *block({"type": "text", "text": "Hi"})], "message_stop"),
        ([START, *block({"type": "text", "text": "Hi"}), END], "message_stop"),
        ([START, *block({"type": "text", "text": "Hi"}), STOP], "a stop reason"),
        ([], "message_stop"),
    ],
)
def test_a_stream_that_ends_early(events: list[Any], missing: str) -> None:
    reader = MessagesReader("anthropic")
    for event in events:
        list(reader.feed(event))
    with pytest.raises(IncompleteStream, match=missing) as caught:
        list(reader.finish())
    partial = caught.value.partial
    assert (partial.content if partial else None) == ("Hi" if events else None)
