"""Google: the reader, fed with recorded and made-up events, cut and maimed, without any I/O."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.errors import ContentFilterError, IncompleteStream
from headrace.merge import merge
from headrace.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from headrace.providers._google.reader import GoogleReader
from providers.expected import documents, ends, expect
from providers.expected_check import beginning, differences, stream_faults
from providers.replay_exchanges import Exchange, recording, recordings

ANSWERS = [
    exchange
    for exchange in recordings("google")
    if exchange.kind not in ("error", "embeddings") and "empty" not in exchange.name
]
# Read here, numbered enums and all, but expected by nobody: see `UNKNOWABLE`.
NUMBERED = [exchange for exchange in ANSWERS if "enums_as_integers" in exchange.features]
NAMED = [exchange for exchange in ANSWERS if exchange not in NUMBERED]
STREAMS = [exchange for exchange in NAMED if exchange.is_stream]


def _reader(exchange: Exchange) -> GoogleReader:
    provider = "google_vertexai" if exchange.api.startswith("vertex.") else "google_genai"
    return GoogleReader(provider, blocks=bool(exchange.request_body.get("tools")))


def _events(exchange: Exchange) -> list[Any]:
    return [data for _, data in documents(exchange)]


def _read(reader: GoogleReader, *events: Any) -> list[AIMessageChunk]:
    chunks: list[AIMessageChunk] = []
    for event in events:
        chunks += reader.feed(event)
    return [*chunks, *reader.finish()]


def _message(chunks: Any) -> Any:
    message = message_chunk_to_message(merge(list(chunks)))
    assert type(message) is AIMessage
    return message


def _told(*parts: Any, finish: Any = "STOP", **more: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}
    return {"candidates": [{**candidate, **more}], "responseId": "r-1", "modelVersion": "gemini-x"}


def _whole(*parts: Any, **more: Any) -> Any:
    return _message(GoogleReader("google_genai").whole(_told(*parts, **more)))


@pytest.mark.parametrize("exchange", NAMED, ids=repr)
def test_the_message_is_what_was_sent(exchange: Exchange) -> None:
    if exchange.is_stream:
        chunks = _read(_reader(exchange), *_events(exchange))
        assert stream_faults(chunks) == []
        message = _message(chunks)
    else:
        message = _message(_reader(exchange).whole(_events(exchange)[0]))
    assert differences(message, expect(exchange)) == []


@pytest.mark.parametrize("exchange", STREAMS, ids=repr)
def test_a_stream_cut_before_its_finish_reason_is_incomplete(exchange: Exchange) -> None:
    events = _events(exchange)
    whole, _ = ends(exchange)
    for count in range(whole):
        with pytest.raises(IncompleteStream) as caught:
            _read(_reader(exchange), *events[:count])
        assert beginning(caught.value.partial, expect(exchange, count)) == []
    assert whole == len(events)


@pytest.mark.parametrize("exchange", NUMBERED, ids=repr)
def test_enums_may_be_numbers(exchange: Exchange) -> None:
    (event,) = _events(exchange)
    message = _message(_read(_reader(exchange), event))
    assert message.response_metadata["finish_reason"] == "STOP"
    assert message.text == event["candidates"][0]["content"]["parts"][0]["text"]
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] > message.usage_metadata["input_tokens"]


@pytest.mark.parametrize(
    ("provider", "number", "word"),
    [
        ("google_genai", 7, "BLOCKLIST"),
        ("google_vertexai", 6, "BLOCKLIST"),
        ("google_genai", 99, "99"),
    ],
)
def test_the_two_apis_number_their_finish_reasons_differently(
    provider: str, number: int, word: str
) -> None:
    message = _message(_read(GoogleReader(provider), _told({"text": "a"}, finish=number)))
    assert message.response_metadata["finish_reason"] == word


@pytest.mark.parametrize("nothing", ["FINISH_REASON_UNSPECIFIED", 0, None, ""])
def test_an_unspecified_finish_reason_is_no_end(nothing: Any) -> None:
    with pytest.raises(IncompleteStream):
        _read(GoogleReader("google_genai"), _told({"text": "a"}, finish=nothing))


def test_a_blocked_prompt_is_a_content_filter_error() -> None:
    (event,) = _events(recording("vertex-generateContent.empty"))
    for ask in (lambda reader: reader.whole(event), lambda reader: _read(reader, event)):
        with pytest.raises(ContentFilterError, match="Jailbreak") as caught:
            list(ask(GoogleReader("google_vertexai")))
        assert caught.value.code == "MODEL_ARMOR"
        assert caught.value.partial is None
        assert caught.value.status == 200


def test_an_answer_that_a_filter_stopped_is_an_answer() -> None:
    event = {"candidates": [{"content": {}, "finishReason": "SAFETY", "finishMessage": "No."}]}
    message = _message(_read(GoogleReader("google_genai"), event))
    assert message.content == ""
    assert message.response_metadata["finish_reason"] == "SAFETY"
    (refusal,) = message.content_blocks
    assert refusal["type"] == "refusal"
    assert refusal["refusal"] == "No."


# ---- parts ---------------------------------------------------------------------------------------


def test_a_signed_text_is_a_block_of_its_own() -> None:
    chunks = _read(
        GoogleReader("google_genai"),
        _told({"text": "One "}, finish=None),
        _told({"text": "two", "thoughtSignature": "s1"}, finish=None),
        _told({"text": " three"}, finish=None),
        _told({"text": "", "thoughtSignature": "s2"}),
    )
    message = _message(chunks)
    assert message.text == "One two three"
    blocks = [block for block in message.content if isinstance(block, dict)]
    signed = [(block["text"], (block.get("extras") or {}).get("signature")) for block in blocks]
    assert message.content[0] == "One "
    assert signed == [("two", "s1"), (" three", None), ("", "s2")]


def test_signed_thoughts_are_not_joined() -> None:
    message = _whole(
        {"text": "a", "thought": True},
        {"text": "b", "thought": True, "thoughtSignature": "s1"},
        {"text": "c", "thought": True, "thoughtSignature": "s2"},
        {"text": "so"},
    )
    told = [
        (block.get("reasoning"), (block.get("extras") or {}).get("signature"))
        for block in message.content
        if isinstance(block, dict) and block["type"] == "reasoning"
    ]
    assert told == [("a", None), ("b", "s1"), ("c", "s2")]
    assert message.text == "so"


def test_calls_get_ids_that_are_the_same_each_time() -> None:
    parts = [{"functionCall": {"name": "f", "args": {"a": 1}}}, {"functionCall": {"name": "f"}}]
    message, again = _whole(*parts), _whole(*parts)
    first, second = message.tool_calls
    assert first["args"] == {"a": 1}
    assert second["args"] == {}
    assert first["id"] != second["id"]
    assert message.tool_calls == again.tool_calls


def test_without_an_id_of_the_answer_calls_get_random_ones() -> None:
    event = {k: v for k, v in _told({"functionCall": {"name": "f"}}).items() if k != "responseId"}
    ids = {_message(GoogleReader("x").whole(event)).tool_calls[0]["id"] for _ in range(3)}
    assert len(ids) == 3


def test_signatures_of_calls_are_kept_by_their_ids() -> None:
    message = _whole(
        {"functionCall": {"name": "f", "id": "a"}, "thoughtSignature": "s"},
        {"functionCall": {"name": "g", "id": "b"}},
    )
    assert message.additional_kwargs == {"signatures": {"a": "s"}}


def test_arguments_may_come_in_pieces() -> None:
    def piece(path: str, *, more: bool = True, **value: Any) -> dict[str, Any]:
        told = {"partialArgs": [{"jsonPath": path, **value}], "willContinue": more}
        return _told({"functionCall": told}, finish=None)

    chunks = _read(
        GoogleReader("google_vertexai"),
        _told({"functionCall": {"name": "f", "id": "i", "willContinue": True}}, finish=None),
        piece("$.place", stringValue="New "),
        piece("$.place", stringValue="York"),
        piece("$.days[1].n", numberValue=2),
        piece("$['a b']", boolValue=True),
        piece("$.nothing", nullValue=None),
        _told({"functionCall": {}}, {"functionCall": {"name": "g", "args": {}}}),
    )
    first, second = _message(chunks).tool_calls
    assert (first["id"], first["name"]) == ("i", "f")
    expected = {"place": "New York", "days": [None, {"n": 2}], "a b": True, "nothing": None}
    assert first["args"] == expected
    assert second["name"] == "g"


def test_code_and_its_result_belong_together() -> None:
    call, result = _whole(
        {"executableCode": {"language": "PYTHON", "code": "1/0"}, "thoughtSignature": "s"},
        {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "no"}},
    ).content
    assert isinstance(call, dict) and isinstance(result, dict)
    assert call["args"] == {"language": "PYTHON", "code": "1/0"}
    assert call["extras"] == {"signature": "s"}
    assert result["tool_call_id"] == call["id"]
    assert (result["status"], result["output"]) == ("error", "no")


@pytest.mark.parametrize(
    ("mime_type", "kind"),
    [("image/png", "image"), ("audio/L16;rate=24000", "audio"), ("application/pdf", "file")],
)
def test_data_is_a_block_of_its_kind(mime_type: str, kind: str) -> None:
    part = {"inlineData": {"mimeType": mime_type, "data": "aGk="}, "thoughtSignature": "s"}
    (block,) = _whole(part).content
    assert block == {
        "type": kind, "base64": "aGk=", "mime_type": mime_type, "extras": {"signature": "s"},
        "index": 0,
    }  # fmt: skip


def test_tools_that_run_at_googles_are_server_tools() -> None:
    call, result = _whole(
        {"toolCall": {"id": "t", "toolType": "GOOGLE_SEARCH_WEB", "args": {"q": "x"}}},
        {"toolResponse": {"id": "t", "toolType": "GOOGLE_SEARCH_WEB", "response": {"hits": 1}}},
    ).content
    assert isinstance(call, dict) and isinstance(result, dict)
    assert (call["type"], call["id"], call["args"]) == ("server_tool_call", "t", {"q": "x"})
    assert (result["tool_call_id"], result["output"]) == ("t", {"hits": 1})


def test_unknown_parts_fields_and_events_are_kept_or_ignored() -> None:
    odd = {"holodeck": {"deck": 3}}
    chunks = _read(
        GoogleReader("google_genai"),
        {},
        {"value": 3, "candidates": [], "newTopThing": {"a": 1}},
        _told({}, odd, {"text": "hi"}, finish=None, novelField=[1]),
        _told(finish="SOME_NEW_REASON", safetyRatings=[{"category": "X"}]),
        {"usageMetadata": {"trafficType": "ON_DEMAND"}},
    )
    message = _message(chunks)
    assert message.text == "hi"
    assert {"type": "non_standard", "value": odd, "index": 0} in message.content
    facts = message.response_metadata
    assert facts["finish_reason"] == "SOME_NEW_REASON"
    assert facts["safety_ratings"] == [{"category": "X"}]
    assert facts["novel_field"] == [1]
    assert facts["new_top_thing"] == {"a": 1}
    assert message.usage_metadata is None


# ---- usage, candidates, citations ----------------------------------------------------------------


def test_the_last_usage_counts() -> None:
    usage = {
        "promptTokenCount": 10, "toolUsePromptTokenCount": 5, "candidatesTokenCount": 3,
        "thoughtsTokenCount": 4, "totalTokenCount": 22, "cachedContentTokenCount": 8,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 6}],
    }  # fmt: skip
    chunks = _read(
        GoogleReader("google_genai"),
        {**_told({"text": "a"}, finish=None), "usageMetadata": {"promptTokenCount": 10}},
        {**_told({"text": "b"}), "usageMetadata": usage},
    )
    assert _message(chunks).usage_metadata == {
        "input_tokens": 15, "output_tokens": 7, "total_tokens": 22,
        "input_token_details": {"audio": 6, "cache_read": 8},
        "output_token_details": {"reasoning": 4},
    }  # fmt: skip


def test_several_candidates() -> None:
    def candidate(index: int, text: str, finish: str | None) -> dict[str, Any]:
        call = {"functionCall": {"name": "f", "args": {}}}
        content = {"parts": [{"text": text}, *([call] if finish else [])]}
        return {"index": index, "content": content, "finishReason": finish}

    first = {"responseId": "r", "candidates": [candidate(0, "a", None), candidate(1, "x", None)]}
    second = {
        "responseId": "r",
        "candidates": [candidate(1, "y", "STOP"), candidate(0, "b", "STOP")],
    }
    message = _message(_read(GoogleReader("google_genai"), first, second))
    assert message.text == "ab"
    (other,) = message.response_metadata["other_choices"]
    assert (other["index"], other["content"], other["finish_reason"]) == (1, "xy", "STOP")
    assert other["tool_calls"][0]["id"] != message.tool_calls[0]["id"]
    messages = [_message(chunks) for chunks in GoogleReader("google_genai").candidates(second)]
    assert [each.text for each in messages] == ["y", "b"]
    assert "other_choices" not in messages[0].response_metadata


def test_only_the_first_candidate_ends_a_stream() -> None:
    other = {"candidates": [{"index": 1, "content": {"parts": []}, "finishReason": "STOP"}]}
    with pytest.raises(IncompleteStream):
        _read(GoogleReader("google_genai"), _told({"text": "a"}, finish=None), other)


def test_citations_count_characters() -> None:
    text = "Grüße aus Köln. Ja."
    start = len("Grüße aus ".encode())
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://k", "title": "K", "domain": "k"}}],
        "groundingSupports": [
            {
                "segment": {"startIndex": start, "endIndex": start + 6, "text": "Köln."},
                "groundingChunkIndices": [0],
                "confidenceScores": [0.5],
            }
        ],
    }
    chunks = _read(
        GoogleReader("google_genai", blocks=True),
        _told({"text": text[:8]}, finish=None),
        _told({"text": text[8:]}, groundingMetadata=grounding),
    )
    message = _message(chunks)
    (block,) = message.content
    assert isinstance(block, dict)
    (citation,) = block["annotations"]
    assert text[citation["start_index"] : citation["end_index"]] == "Köln."
    assert (citation["url"], citation["title"]) == ("https://k", "K")
    assert citation["extras"] == {"domain": "k", "confidence_score": 0.5}
    assert message.response_metadata["grounding_metadata"] == grounding


@pytest.mark.parametrize("name", ["citationSources", "citations"])
def test_recitation_is_cited_too(name: str) -> None:
    source = {"startIndex": 0, "endIndex": 2, "uri": "https://a", "license": "mit"}
    message = _whole({"text": "ab c"}, citationMetadata={name: [source]})
    assert message.text == "ab c"
    blocks = [block for block in message.content if isinstance(block, dict)]
    (citation,) = blocks[0]["annotations"]
    assert citation == {
        "type": "citation", "url": "https://a", "start_index": 0, "end_index": 2,
        "extras": {"license": "mit"},
    }  # fmt: skip


def test_metadata_that_is_told_again_is_not_doubled() -> None:
    one = {"groundingChunks": [{"web": {"uri": "a"}}], "webSearchQueries": ["q"]}
    two = {"groundingChunks": [{"web": {"uri": "a"}}, {"web": {"uri": "b"}}]}
    chunks = _read(
        GoogleReader("google_genai"),
        _told({"text": "a"}, finish=None, groundingMetadata=one),
        _told(groundingMetadata=two),
    )
    found = _message(chunks).response_metadata["grounding_metadata"]
    assert [each["web"]["uri"] for each in found["groundingChunks"]] == ["a", "b"]
    assert found["webSearchQueries"] == ["q"]


def test_log_probabilities_of_all_events_are_kept() -> None:
    def told(token: str) -> dict[str, Any]:
        return {"chosenCandidates": [{"token": token}]}

    chunks = _read(
        GoogleReader("google_genai"),
        _told({"text": "a"}, finish=None, logprobsResult=told("a")),
        _told({"text": "b"}, logprobsResult=told("b")),
    )
    facts = _message(chunks).response_metadata
    assert json.dumps(facts["logprobs_result"]) == (
        '{"chosenCandidates": [{"token": "a"}, {"token": "b"}]}'
    )
