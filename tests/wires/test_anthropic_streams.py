"""Answers of Anthropic's that no recording has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from laws.colours import both_drivers
from wires.wire import anthropic_message, anthropic_stream, ask, fold, heard, streamed, whole

TEXT = {"type": "text", "text": ""}


def said(text: str) -> Any:
    return TEXT, [{"type": "text_delta", "text": text}]


def used(name: str, id: str, *pieces: str, kind: str = "tool_use", **more: Any) -> Any:
    start = {"type": kind, "id": id, "name": name, "input": {}, **more}
    return start, [{"type": "input_json_delta", "partial_json": one} for one in pieces]


def calls(answer: Any) -> list[tuple[str, Any, Any]]:
    return [(one["name"], one["args"], one["id"]) for one in answer.tool_calls]


def both(colour: Any, blocks: list[Any], content: list[Any], check: Any, **more: Any) -> None:
    """The same as a stream and as a whole answer."""
    heard(colour, streamed("anthropic", *anthropic_stream(*blocks, **more)), check)
    heard(colour, whole("anthropic", anthropic_message(content, more.get("stop"))), check)


@both_drivers
def test_parallel_calls_between_texts(colour: Any) -> None:
    def check(answer: Any) -> None:
        assert answer.text == "AB"
        assert calls(answer) == [("add", {"a": 1}, "t1"), ("now", {}, "t2")]

    both(
        colour,
        [said("A"), used("add", "t1", "", '{"a"', ": 1}"), used("now", "t2", ""), said("B")],
        [{"type": "text", "text": "A"},
         {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}},
         {"type": "tool_use", "id": "t2", "name": "now", "input": {}},
         {"type": "text", "text": "B"}],
        check, stop="tool_use",
    )  # fmt: skip


@both_drivers
@pytest.mark.parametrize("pieces", [[], [""], ["{}"], ["", "{", "}"]])
def test_a_call_without_arguments(colour: Any, pieces: list[str]) -> None:
    made = streamed("anthropic", *anthropic_stream(used("now", "t1", *pieces), stop="tool_use"))
    heard(colour, made, lambda answer: _is(calls(answer), [("now", {}, "t1")]))


@both_drivers
def test_a_call_whose_input_comes_at_the_start(colour: Any) -> None:
    start = {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}
    made = streamed("anthropic", *anthropic_stream((start, []), stop="tool_use"))
    heard(colour, made, lambda answer: _is(calls(answer), [("add", {"a": 1}, "t1")]))


@both_drivers
def test_interleaved_blocks(colour: Any) -> None:
    """Blocks are told apart by their index, not by their order."""
    head, *_, tail, stop = anthropic_stream()
    made = streamed(
        "anthropic", head,
        {"type": "content_block_start", "index": 0, "content_block": used("a", "t0")[0]},
        {"type": "content_block_start", "index": 1, "content_block": used("b", "t1")[0]},
        *({"type": "content_block_delta", "index": at,
           "delta": {"type": "input_json_delta", "partial_json": text}}
          for at, text in [(1, '{"y"'), (0, '{"x"'), (1, ":2}"), (0, ":1}")]),
        {"type": "content_block_stop", "index": 1}, {"type": "content_block_stop", "index": 0},
        tail, stop,
    )  # fmt: skip
    heard(
        colour,
        made,
        lambda answer: _is(calls(answer), [("a", {"x": 1}, "t0"), ("b", {"y": 2}, "t1")]),
    )


@both_drivers
def test_thinking_keeps_its_signature(colour: Any) -> None:
    thinking = (
        {"type": "thinking", "thinking": "", "signature": ""},
        [{"type": "thinking_delta", "thinking": "I "},
         {"type": "thinking_delta", "thinking": "do."},
         {"type": "signature_delta", "signature": "c2ln"}],
    )  # fmt: skip
    hidden = {"type": "redacted_thinking", "data": "aGlkZGVu"}

    def check(answer: Any) -> None:
        first = answer.content_blocks[0]
        assert first["type"] == "reasoning"
        assert first["reasoning"] == "I do."
        assert first["extras"]["signature"] == "c2ln"
        assert "aGlkZGVu" in json.dumps(answer.content_blocks)
        assert answer.text == "So."

    both(
        colour, [thinking, (hidden, []), said("So.")],
        [{"type": "thinking", "thinking": "I do.", "signature": "c2ln"}, hidden,
         {"type": "text", "text": "So."}],
        check, stop="end_turn",
    )  # fmt: skip


@both_drivers
def test_citations(colour: Any) -> None:
    cited = {
        "type": "char_location", "cited_text": "The sky is blue.", "document_index": 0,
        "document_title": "Sky", "start_char_index": 0, "end_char_index": 16, "file_id": None,
    }  # fmt: skip
    start = {"type": "text", "text": "", "citations": []}
    deltas = [
        {"type": "citations_delta", "citation": cited},
        {"type": "text_delta", "text": "Blue."},
    ]

    def check(answer: Any) -> None:
        (block,) = [one for one in answer.content_blocks if one.get("annotations")]
        (note,) = block["annotations"]
        assert note["type"] == "citation"
        assert note["cited_text"] == "The sky is blue."
        assert note["title"] == "Sky"
        assert answer.text == "Blue."

    both(
        colour, [(start, deltas)],
        [{"type": "text", "text": "Blue.", "citations": [cited]}], check, stop="end_turn",
    )  # fmt: skip


@both_drivers
def test_server_tools_and_their_results(colour: Any) -> None:
    asked = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}}
    found = {
        "type": "web_search_tool_result", "tool_use_id": "s1",
        "content": [{"type": "web_search_result", "url": "https://e.com", "title": "E",
                     "encrypted_content": "ZW5j", "page_age": None}],
    }  # fmt: skip
    failed = {
        "type": "web_search_tool_result", "tool_use_id": "s2",
        "content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
    }  # fmt: skip
    started = used("web_search", "s1", '{"query"', ': "x"}', kind="server_tool_use")

    def check(answer: Any) -> None:
        kinds = [block["type"] for block in answer.content_blocks]
        assert kinds == ["server_tool_call", "server_tool_result", "server_tool_result", "text"]
        assert answer.content_blocks[0]["args"] == {"query": "x"}
        assert not answer.tool_calls
        assert "ZW5j" in json.dumps(answer.content)
        assert "max_uses_exceeded" in json.dumps(answer.content)

    both(
        colour, [started, (found, []), (failed, []), said("So.")],
        [asked, found, failed, {"type": "text", "text": "So."}], check, stop="end_turn",
    )  # fmt: skip


@both_drivers
def test_unknown_events_blocks_deltas_and_fields(colour: Any) -> None:
    head, *events = anthropic_stream(
        said("A"),
        ({"type": "brand_new_block", "x": 1}, [{"type": "brand_new_delta", "y": 2}]),
        (TEXT, [{"type": "brand_new_delta", "z": 3}, {"type": "text_delta", "text": "B", "q": 1}]),
    )
    made = streamed(
        "anthropic", {"type": "brand_new_event"}, head, {"type": "ping"}, *events[:2],
        b"event: other\ndata: {}\n\n", *events[2:],
    )  # fmt: skip

    def check(answer: Any) -> None:
        assert answer.text == "AB"

    heard(colour, made, check)


@both_drivers
@pytest.mark.parametrize(
    "stop",
    ["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal",
     "model_context_window_exceeded", "brand_new"],
)  # fmt: skip
def test_every_stop_reason_is_told(colour: Any, stop: str) -> None:
    def check(answer: Any) -> None:
        assert answer.response_metadata["finish_reason"] == stop

    both(colour, [said("x")], [{"type": "text", "text": "x"}], check, stop=stop)


@both_drivers
def test_the_stop_sequence_is_told(colour: Any) -> None:
    events = anthropic_stream(said("x"), stop="stop_sequence", stop_sequence="END")

    def check(answer: Any) -> None:
        assert answer.response_metadata["stop_sequence"] == "END"

    heard(colour, streamed("anthropic", *events), check)


@both_drivers
@pytest.mark.parametrize("cumulative", [False, True])
def test_usage_with_caches_counts_once(colour: Any, cumulative: bool) -> None:
    head, *events, tail, stop = anthropic_stream(said("x"))
    cached = {
        "input_tokens": 7, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard", "server_tool_use": None,
    }  # fmt: skip
    assert isinstance(head, dict) and isinstance(tail, dict)
    head["message"]["usage"] = {**cached, "output_tokens": 1}
    tail["usage"] = ({**cached} if cumulative else {}) | {"output_tokens": 3}

    def check(answer: Any) -> None:
        usage = answer.usage_metadata
        assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (
            127,
            3,
            130,
        )
        assert usage["input_token_details"]["cache_read"] == 100

    heard(colour, streamed("anthropic", head, *events, tail, stop), check)


@both_drivers
def test_null_everywhere(colour: Any) -> None:
    head, *events, tail, stop = anthropic_stream(
        ({"type": "text", "text": "", "citations": None}, [{"type": "text_delta", "text": "x"}])
    )
    assert isinstance(head, dict) and isinstance(tail, dict)
    head["message"] |= {"container": None, "stop_details": None, "context_management": None}
    head["message"]["usage"] |= {
        "cache_read_input_tokens": None, "cache_creation_input_tokens": None,
        "cache_creation": None, "server_tool_use": None, "service_tier": None,
    }  # fmt: skip
    tail["delta"] |= {"container": None, "stop_details": None}
    tail["usage"] |= {"input_tokens": None, "cache_read_input_tokens": None}

    def check(answer: Any) -> None:
        assert answer.text == "x"
        assert answer.usage_metadata["input_tokens"] == 7

    heard(colour, streamed("anthropic", head, *events, tail, stop), check)


@both_drivers
def test_an_answer_without_content(colour: Any) -> None:
    def check(answer: Any) -> None:
        assert answer.text == ""
        assert answer.response_metadata["finish_reason"] == "end_turn"

    both(colour, [], [], check, stop="end_turn")


@both_drivers
def test_huge_arguments_byte_by_byte(colour: Any) -> None:
    args = {"text": '漢字 👩‍👩‍👧 "\\\n' * 300}
    text = json.dumps(args, ensure_ascii=False)
    pieces = [text[at : at + 11] for at in range(0, len(text), 11)]
    made = streamed("anthropic", *anthropic_stream(used("w", "t1", *pieces), stop="tool_use"))

    def body(doors: Any, ours: Any, server: Any) -> None:
        assert calls(fold(doors.stream(ours, "?"))) == [("w", args, "t1")]

    ask(colour, made, body, how={"cut": 257})


def _is(seen: Any, expected: Any) -> None:
    assert seen == expected


@both_drivers
def test_new_kinds_of_counts_are_never_fatal(colour: Any) -> None:
    """Within the terms of the cache, too."""
    terms = {"ephemeral_5m_input_tokens": 4, "by_tier": {"standard": 4}, "note": "new", "no": None}
    counts = {"input_tokens": 3, "output_tokens": 1, "cache_creation_input_tokens": 4,
              "cache_creation": terms, "new": {"a": [1]}}  # fmt: skip
    message = anthropic_message([{"type": "text", "text": "ok"}], "end_turn")
    made = whole("anthropic", {**message, "usage": counts})

    def check(answer: Any) -> None:
        usage = answer.usage_metadata
        assert usage["input_tokens"] == 7
        assert usage["input_token_details"] == {"cache_creation": 4, "ephemeral_5m_input_tokens": 4}

    heard(colour, made, check)
