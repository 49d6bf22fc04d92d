"""Answers of Google's, by both of its APIs, that no recording has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.errors import ContentFilterError, IncompleteStream
from laws.colours import both_drivers
from wires.wire import GOOGLE, GOOGLE_USAGE, ask, fold, google, heard, streamed, whole

every_dialect = pytest.mark.parametrize("dialect", GOOGLE)


def end(*parts: Any, finish: str = "STOP", **more: Any) -> Any:
    return google(list(parts), finish, usageMetadata=GOOGLE_USAGE, **more)


def calls(answer: Any) -> list[tuple[str, Any]]:
    return [(one["name"], one["args"]) for one in answer.tool_calls]


@both_drivers
@every_dialect
def test_parallel_calls_without_ids_have_ids_of_their_own(colour: Any, dialect: str) -> None:
    parts = [{"functionCall": {"name": "add", "args": {"a": n}}} for n in (1, 2)]
    for made in (streamed(dialect, end(*parts)), whole(dialect, end(*parts)),
                 streamed(dialect, google(parts[:1]), end(parts[1]))):  # fmt: skip

        def check(answer: Any) -> None:
            assert calls(answer) == [("add", {"a": 1}), ("add", {"a": 2})]
            ids = [one["id"] for one in answer.tool_calls]
            assert all(ids)
            assert len(set(ids)) == 2

        heard(colour, made, check)


@both_drivers
@every_dialect
@pytest.mark.parametrize("call", [{"name": "now"}, {"name": "now", "args": None},
                                  {"name": "now", "args": {}, "id": "c1"}])  # fmt: skip
def test_a_call_without_arguments(colour: Any, dialect: str, call: Any) -> None:
    heard(
        colour, streamed(dialect, end({"functionCall": call})),
        lambda answer: _is(calls(answer), [("now", {})]),
    )  # fmt: skip


@both_drivers
@every_dialect
def test_thoughts_and_signatures(colour: Any, dialect: str) -> None:
    call = {"functionCall": {"name": "now", "args": {}}, "thoughtSignature": "c2lnMg=="}
    made = streamed(
        dialect, google([{"text": "I ", "thought": True}]),
        google([{"text": "do.", "thought": True}]), google([{"text": "So."}]), google([call]),
        end({"text": "", "thoughtSignature": "c2lnMQ=="}),
    )  # fmt: skip

    def check(answer: Any) -> None:
        thought = [one for one in answer.content_blocks if one["type"] == "reasoning"]
        assert "".join(one.get("reasoning", "") for one in thought) == "I do."
        assert answer.text == "So."
        assert calls(answer) == [("now", {})]
        everything = json.dumps([answer.content, answer.additional_kwargs, answer.tool_calls])
        assert "c2lnMg==" in everything
        assert "c2lnMQ==" in everything

    heard(colour, made, check)


@both_drivers
@every_dialect
def test_an_image_and_audio_out(colour: Any, dialect: str) -> None:
    parts = [
        {"text": "Here:"}, {"inlineData": {"mimeType": "image/png", "data": "aW1n"}},
        {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "c291bmQ="}},
    ]  # fmt: skip

    def check(answer: Any) -> None:
        kinds = [block["type"] for block in answer.content_blocks]
        assert kinds == ["text", "image", "audio"]
        assert answer.content_blocks[1]["base64"] == "aW1n"
        assert answer.content_blocks[1]["mime_type"] == "image/png"
        assert answer.content_blocks[2]["base64"] == "c291bmQ="

    heard(colour, streamed(dialect, google(parts[:2]), end(parts[2])), check)
    heard(colour, whole(dialect, end(*parts)), check)


@both_drivers
@every_dialect
def test_code_that_google_ran(colour: Any, dialect: str) -> None:
    parts = [
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}}, {"text": "1"},
    ]  # fmt: skip

    def check(answer: Any) -> None:
        kinds = [block["type"] for block in answer.content_blocks]
        assert kinds == ["server_tool_call", "server_tool_result", "text"]
        assert "print(1)" in json.dumps(answer.content)
        assert not answer.tool_calls

    heard(colour, streamed(dialect, *(google([one]) for one in parts[:2]), end(parts[2])), check)


@both_drivers
@every_dialect
def test_grounding_gives_citations(colour: Any, dialect: str) -> None:
    grounding = {
        "webSearchQueries": ["sky"],
        "groundingChunks": [{"web": {"uri": "https://e.com/sky", "title": "e.com"}}],
        "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 5, "text": "Blue."},
                               "groundingChunkIndices": [0], "confidenceScores": [0.9]}],
    }  # fmt: skip
    made = end({"text": "Blue."})
    made["candidates"][0]["groundingMetadata"] = grounding

    def check(answer: Any) -> None:
        assert answer.text == "Blue."
        notes = [note for block in answer.content_blocks for note in block.get("annotations", [])]
        assert [note["url"] for note in notes] == ["https://e.com/sky"]

    heard(colour, streamed(dialect, made), check)
    heard(colour, whole(dialect, made), check)


REASONS = [
    "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST",
    "PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL", "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL", "BRAND_NEW",
]  # fmt: skip


@both_drivers
@every_dialect
@pytest.mark.parametrize("reason", REASONS)
def test_every_finish_reason_is_told(colour: Any, dialect: str, reason: str) -> None:
    def check(answer: Any) -> None:
        assert answer.response_metadata["finish_reason"] == reason

    heard(colour, streamed(dialect, google([{"text": "x"}]), end(finish=reason)), check)
    bare = {"candidates": [{"finishReason": reason, "index": 0}], "usageMetadata": GOOGLE_USAGE}
    heard(colour, streamed(dialect, google([{"text": "x"}]), bare), check)


@both_drivers
@every_dialect
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_prompt_that_was_blocked(colour: Any, dialect: str, way: str) -> None:
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
               "usageMetadata": {"promptTokenCount": 7}}  # fmt: skip

    def body(doors: Any, ours: Any, server: Any) -> None:
        try:
            got = getattr(doors, way)(ours, "?")
        except ContentFilterError as error:
            assert "PROHIBITED_CONTENT" in str(error)
            return
        answer = fold(got) if way == "stream" else got
        assert "PROHIBITED_CONTENT" in str(answer.response_metadata)

    ask(colour, (whole if way == "invoke" else streamed)(dialect, blocked), body)


@both_drivers
@every_dialect
def test_a_stream_without_a_finish_reason_is_short(colour: Any, dialect: str) -> None:
    made = streamed(dialect, google([{"text": "x"}], usageMetadata=GOOGLE_USAGE))

    def body(doors: Any, ours: Any, server: Any) -> None:
        with pytest.raises(IncompleteStream) as caught:
            doors.stream(ours, "?")
        assert caught.value.partial.text == "x"

    ask(colour, made, body)


@both_drivers
@every_dialect
def test_usage_of_all_kinds(colour: Any, dialect: str) -> None:
    usage = {
        "promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 3,
        "thoughtsTokenCount": 20, "totalTokenCount": 123, "toolUsePromptTokenCount": None,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 100}], "trafficType": "x",
    }  # fmt: skip
    early = {"promptTokenCount": 100, "totalTokenCount": 100}
    last = google([{"text": "y"}], "STOP", usageMetadata=usage)
    made = streamed(dialect, google([{"text": "x"}], usageMetadata=early), last)

    def check(answer: Any) -> None:
        seen = answer.usage_metadata
        assert (seen["input_tokens"], seen["output_tokens"], seen["total_tokens"]) == (100, 23, 123)
        assert seen["input_token_details"]["cache_read"] == 40
        assert seen["output_token_details"]["reasoning"] == 20

    heard(colour, made, check)


@both_drivers
@every_dialect
def test_null_and_unknown_everywhere(colour: Any, dialect: str) -> None:
    first = google([{"text": "a", "brandNew": 1}, {"brandNew": {"x": 1}}], brandNew={"y": []})
    first["candidates"][0] |= {"brandNew": 1, "safetyRatings": None, "citationMetadata": None}
    empty: dict[str, Any] = {"candidates": [{"content": {}, "index": 0}]}
    nothing = {"candidates": None, "usageMetadata": None, "promptFeedback": None}
    nulls = {"candidates": [{"content": None, "finishReason": None, "index": None}]}
    no_parts = {"candidates": [{"content": {"role": "model", "parts": None}}]}
    made = streamed(dialect, first, empty, nothing, nulls, no_parts, end({"text": "b"}))
    heard(colour, made, lambda answer: _is(answer.text, "ab"))


@both_drivers
@every_dialect
def test_candidates_are_not_mixed(colour: Any, dialect: str) -> None:
    def of(*texts: str, finish: str | None = None) -> Any:
        made = google([], finish)
        made["candidates"] = [
            {"content": {"role": "model", "parts": [{"text": text}]}, "index": index}
            | ({"finishReason": finish} if finish else {})
            for index, text in enumerate(texts)
        ]
        return made

    made = streamed(dialect, of("A", "B"), of("a", "b", finish="STOP"))

    def check(answer: Any) -> None:
        assert answer.text == "Aa"
        assert "Bb" in str(answer.response_metadata["other_choices"])

    heard(colour, made, check)


def _is(seen: Any, expected: Any) -> None:
    assert seen == expected
