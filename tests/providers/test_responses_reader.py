"""Responses: the reader, fed with recorded events, cut and maimed, without any I/O."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.errors import IncompleteStream
from headrace.merge import merge
from headrace.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from headrace.output_parsers.endings import cut_by, ends_of
from headrace.providers._responses.reader import ResponsesReader
from providers.expected import documents, expect
from providers.expected_check import beginning, differences, stream_faults
from providers.replay_exchanges import Exchange, recording, recordings

ANSWERS = [
    exchange for exchange in recordings(api="responses") if not exchange.kind.startswith("error")
]
STREAMS = [exchange for exchange in ANSWERS if exchange.is_stream]


def _reader(exchange: Exchange) -> ResponsesReader:
    tools = exchange.request_body.get("tools") or []
    return ResponsesReader(
        "openai", blocks=any(t["type"] not in ("function", "custom") for t in tools)
    )


def _read(exchange: Exchange, events: list[Any] | None = None) -> list[AIMessageChunk]:
    reader, chunks = _reader(exchange), []
    for event in events if events is not None else [data for _, data in documents(exchange)]:
        chunks += reader.feed(event)
    return [*chunks, *reader.finish()]


def _message(chunks: Any) -> AIMessage:
    message = message_chunk_to_message(merge(list(chunks)))
    assert isinstance(message, AIMessage)
    return message


def _events(name: str) -> list[Any]:
    return [data for _, data in documents(recording(name))]


@pytest.mark.parametrize("exchange", ANSWERS, ids=repr)
def test_the_message_is_what_was_sent(exchange: Exchange) -> None:
    if exchange.is_stream:
        chunks = _read(exchange)
        assert stream_faults(chunks) == []
        message = _message(chunks)
    else:
        message = _message(_reader(exchange).whole(documents(exchange)[0][1]))
    assert differences(message, expect(exchange)) == []


@pytest.mark.parametrize("exchange", STREAMS, ids=repr)
def test_a_stream_says_what_its_last_event_says_as_a_whole(exchange: Exchange) -> None:
    message = _message(_read(exchange))
    last = documents(exchange)[-1][1]["response"]
    whole = _message(_reader(exchange).whole(last))
    for blocks in (message.content, whole.content):  # it is encrypted anew each time it is told
        for block in blocks:
            if isinstance(block, dict) and "encrypted_content" in block.get("extras", ()):
                block["extras"]["encrypted_content"] = "…"
    assert message == whole


@pytest.mark.parametrize("exchange", STREAMS, ids=repr)
def test_a_stream_whose_pieces_are_missing_is_filled_from_what_is_told_again(
    exchange: Exchange,
) -> None:
    events = [data for _, data in documents(exchange)]
    whole = _message(_read(exchange))
    for kinds in (".delta", ".done", "_part", "annotation", "output_item.done", "output_item"):
        left = [event for event in events if kinds not in event["type"]]
        message = _message(_read(exchange, left))
        faults = differences(message, expect(exchange))
        assert [fault for fault in faults if "does not hold" not in fault] == []
        assert message.additional_kwargs == whole.additional_kwargs


@pytest.mark.parametrize("exchange", STREAMS, ids=repr)
def test_a_stream_that_is_cut_is_incomplete_and_keeps_what_came(exchange: Exchange) -> None:
    events = [data for _, data in documents(exchange)]
    for count in range(len(events)):
        reader = _reader(exchange)
        for event in events[:count]:
            list(reader.feed(event))
        with pytest.raises(IncompleteStream, match=r"response\.completed") as caught:
            list(reader.finish())
        assert beginning(caught.value.partial, expect(exchange, events=count)) == []


def test_text_alone_is_a_string() -> None:
    chunks = _read(recording("openai/responses.text_stream.gpt-4-1.ccd721"))
    assert all(isinstance(chunk.content, str) for chunk in chunks)
    message = _message(chunks)
    (item,) = message.additional_kwargs["openai_items"]
    assert item["type"] == "message" and item["id"].startswith("msg_")
    assert message.response_metadata["finish_reason"] == "completed"
    assert message.id is not None and message.id.startswith("resp_")


def test_text_with_openais_own_tools_is_a_block_with_its_citations() -> None:
    message = _message(_read(recording("openai/responses.text_stream.gpt-4-1.bd06b4")))
    call, result, text = message.content
    assert isinstance(call, dict) and isinstance(result, dict) and isinstance(text, dict)
    assert (call["type"], call["name"]) == ("server_tool_call", "web_search")
    assert call["args"]["query"] == "current population of Tokyo 2024"
    assert (result["tool_call_id"], result["status"]) == (call["id"], "success")
    assert {one["type"] for one in text["annotations"]} == {"citation"}
    first = text["annotations"][0]
    assert first["url"].startswith("https://") and first["end_index"] > first["start_index"]
    assert text["extras"]["id"].startswith("msg_")
    assert message.content_blocks[2]["annotations"] == text["annotations"]


def test_code_streams_into_its_call() -> None:
    chunks = _read(recording("openai/responses.reasoning_stream.gpt-5.176a4f"))
    pieces = [
        block["args"]["code"]
        for chunk in chunks
        for block in chunk.content
        if isinstance(block, dict) and block["type"] == "server_tool_call" and block.get("args")
    ]
    assert len(pieces) > 5
    kinds = [b["type"] for b in _message(chunks).content if isinstance(b, dict)]
    assert kinds == ["reasoning", *["server_tool_call", "server_tool_result"] * 3, "text"]
    code = next(b for b in _message(chunks).content if b["type"] == "server_tool_call")  # type: ignore[index]
    assert code["args"] == {"code": "n = pow(123456, 123)\nlen(str(n))"}  # type: ignore[index]
    assert code["extras"]["container_id"].startswith("cntr_")  # type: ignore[index]


def test_each_part_of_a_summary_is_a_block_of_its_item() -> None:
    message = _message(_read(recording("openai/responses.reasoning_stream.o4-mini.32f967")))
    parts = [b for b in message.content if isinstance(b, dict) and b["type"] == "reasoning"]
    assert len(parts) > 1
    assert {part["extras"]["id"] for part in parts} == {parts[0]["extras"]["id"]}
    assert len([part for part in parts if "encrypted_content" in part["extras"]]) == 1


def test_an_answer_that_is_cut_says_so() -> None:
    message = _message(_read(recording("openai/responses.text_stream.gpt-4o.8adfcb")))
    assert message.response_metadata["status"] == "incomplete"
    assert message.response_metadata["finish_reason"] == "max_output_tokens"
    assert cut_by(message) == "max_output_tokens"
    filtered = _message(_read(recording("azure/responses.json_stream.gpt-4o-mini")))
    assert "content_filter" in ends_of(filtered)


def test_free_text_of_a_custom_tool_is_one_argument() -> None:
    exchange = recording("openai/responses.reasoning.gpt-5.de682b")
    whole = documents(exchange)[0][1]
    (call,) = _message(ResponsesReader("openai").whole(whole)).tool_calls
    assert call["args"] == {"__arg1": "4 + 4"}
    item = {**whole["output"][1], "input": ""}
    pieces = ['say "', "hi\n", '"']
    events = [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        *(
            {"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": piece}
            for piece in pieces
        ),
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {**item, "input": "".join(pieces)},
        },
        {"type": "response.completed", "response": {"id": "resp_1", "status": "completed"}},
    ]
    chunks = _read(exchange, events)
    (call,) = _message(chunks).tool_calls
    assert call["args"] == {"__arg1": 'say "hi\n"'}
    assert len([chunk for chunk in chunks if chunk.tool_call_chunks]) == 5


def _response(*items: Any, **more: Any) -> dict[str, Any]:
    return {"id": "resp_1", "model": "gpt", "status": "completed", "output": [*items], **more}


def test_partial_images_come_before_the_image() -> None:
    done = {"id": "ig_1", "type": "image_generation_call", "result": "AAAA", "output_format": "png"}
    events = [
        {"type": "response.output_item.added", "output_index": 0, "item": {**done, "result": None}},
        {
            "type": "response.image_generation_call.partial_image",
            "output_index": 0,
            "item_id": "ig_1",
            "partial_image_index": 0,
            "partial_image_b64": "QQ==",
        },
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": _response(done)},
    ]
    message = _message(_read(recording("openai/responses.text_stream.gpt-4-1.ccd721"), events))
    partial, image = message.content
    assert partial == {
        "type": "image",
        "base64": "QQ==",
        "extras": {"id": "ig_1", "partial_image_index": 0},
        "index": 0,
    }
    assert isinstance(image, dict)
    assert (image["base64"], image["mime_type"]) == ("AAAA", "image/png")
    assert image["extras"]["id"] == "ig_1"


def test_what_a_server_asks_of_the_caller_is_kept_as_it_is() -> None:
    item = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "roll", "arguments": "{}"}
    news = {"type": "of_next_year", "id": "x_1", "secret": [1]}
    message = _message(ResponsesReader("openai").whole(_response(item, news)))
    assert [b["value"] for b in message.content if isinstance(b, dict)] == [item, news]


def test_calls_of_a_remote_server_say_what_came_of_them() -> None:
    call = {
        "type": "mcp_call",
        "id": "mcp_1",
        "name": "roll",
        "server_label": "dice",
        "arguments": '{"n": 2}',
        "output": "7",
        "error": None,
    }
    first, result = _message(ResponsesReader("openai").whole(_response(call))).content
    assert isinstance(first, dict) and isinstance(result, dict)
    assert (first["name"], first["args"]) == ("remote_mcp", {"n": 2})
    assert first["extras"] == {"tool_name": "roll", "server_label": "dice"}
    assert (result["output"], result["status"]) == ("7", "success")


def test_a_second_message_does_not_run_into_the_first() -> None:
    first = {
        "type": "message", "id": "msg_1", "role": "assistant", "phase": "commentary",
        "content": [{"type": "output_text", "text": "Let me see.", "annotations": []}],
    }  # fmt: skip
    second = {**first, "id": "msg_2", "phase": "final_answer"}
    message = _message(ResponsesReader("openai").whole(_response(first, second)))
    assert message.content[0] == "Let me see."
    text: Any = message.content[1]
    assert text["extras"] == {"id": "msg_2", "phase": "final_answer"}
    assert message.additional_kwargs["openai_items"][0]["phase"] == "commentary"


def test_logprobs_come_once() -> None:
    told = [{"token": "Hi", "logprob": -0.1}]
    part = {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": told}
    item = {"type": "message", "id": "msg_1", "content": [part]}
    events = [
        {"type": "response.created", "response": _response()},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi",
         "logprobs": told},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": _response(item)},
    ]  # fmt: skip
    streamed = _message(_read(recording("openai/responses.text_stream.gpt-4-1.ccd721"), events))
    whole = _message(ResponsesReader("openai").whole(_response(item)))
    assert streamed == whole
    assert whole.response_metadata["logprobs"] == {"content": told}


FAILURES: list[tuple[Any, str | None]] = [
    ({"type": "error", "code": "server_error", "message": "Oh."}, "Oh."),
    ({"type": "error", "error": {"code": "server_error", "message": "Oh."}}, "Oh."),
    ({"type": "response.failed", "response": {"error": {"message": "Oh."}}}, "Oh."),
    ({"type": "response.failed", "response": {"status": "failed"}}, "The response failed."),
    ({"status": "failed", "error": {"message": "Oh."}, "output": []}, "Oh."),
    ({"type": "response.completed", "response": {"error": None}}, None),
    ({"status": "completed", "error": None, "output": []}, None),
    ({"type": "keepalive"}, None),
]


@pytest.mark.parametrize(("event", "said"), FAILURES, ids=json.dumps)
def test_what_tells_of_a_failure(event: Any, said: str | None) -> None:
    told = ResponsesReader("openai").failure(event)
    assert (None if told is None else told["error"]["message"]) == said


def test_a_server_without_numbers_is_read_in_order() -> None:
    events = _events("openai/responses.tool_calls_stream.gpt-4o.25dfa1")
    bare = [{k: v for k, v in event.items() if k != "output_index"} for event in events]
    exchange = recording("openai/responses.tool_calls_stream.gpt-4o.25dfa1")
    assert differences(_message(_read(exchange, bare)), expect(exchange)) == []
