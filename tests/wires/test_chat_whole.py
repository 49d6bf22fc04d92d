"""Whole answers of Chat Completions that no recording has, for every vendor who speaks it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.errors import ProviderError
from laws.colours import both_drivers
from wires.wire import CHAT, USAGE, ask, chunk, completion, heard, streamed, whole

every_dialect = pytest.mark.parametrize("dialect", CHAT)


def call(name: str, arguments: Any, id: str | None = "call00000") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


@both_drivers
@every_dialect
@pytest.mark.parametrize(
    ("arguments", "args"),
    [("", {}), (None, {}), ("{}", {}), ({}, {}), ({"a": 1}, {"a": 1}), ('{"a": "é"}', {"a": "é"}),
     ("null", {}), (' {"a": 1} \n', {"a": 1})],
)  # fmt: skip
def test_arguments_in_every_form(colour: Any, dialect: str, arguments: Any, args: Any) -> None:
    made = completion({"content": None, "tool_calls": [call("add", arguments)]}, "tool_calls")

    def check(answer: Any) -> None:
        assert [(one["name"], one["args"]) for one in answer.tool_calls] == [("add", args)]
        assert not answer.invalid_tool_calls
        assert answer.text == ""

    heard(colour, whole(dialect, made), check)


@both_drivers
@every_dialect
@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", '"text"', "17"])
def test_arguments_that_are_no_object_are_kept_as_invalid(
    colour: Any, dialect: str, arguments: str
) -> None:
    calls = [call("add", arguments), call("now", "{}", "call00001")]
    made = completion({"content": "", "tool_calls": calls}, "tool_calls")

    def check(answer: Any) -> None:
        assert [one["args"] for one in answer.invalid_tool_calls] == [arguments]
        assert [one["name"] for one in answer.tool_calls] == ["now"]

    heard(colour, whole(dialect, made), check)


@both_drivers
@every_dialect
def test_a_call_without_an_id_gets_none_that_two_share(colour: Any, dialect: str) -> None:
    calls = [call("add", "{}", None), call("add", "{}", "")]
    made = completion({"content": None, "tool_calls": calls}, "tool_calls")

    def check(answer: Any) -> None:
        assert len(answer.tool_calls) == 2
        ids = [one["id"] for one in answer.tool_calls]
        assert len({id for id in ids if id}) == len([id for id in ids if id])

    heard(colour, whole(dialect, made), check)


@both_drivers
@every_dialect
def test_null_and_unknown_everywhere(colour: Any, dialect: str) -> None:
    message = {
        "content": None, "refusal": None, "tool_calls": None, "function_call": None, "audio": None,
        "annotations": None, "reasoning_content": None, "reasoning": None, "zzz": {"a": 1},
    }  # fmt: skip
    made = completion(message, system_fingerprint=None, service_tier=None, usage=None, zzz=[1])
    made["choices"][0] |= {"logprobs": None, "zzz": 1}

    def check(answer: Any) -> None:
        assert answer.text == ""
        assert not answer.usage_metadata
        assert answer.response_metadata["finish_reason"] == "stop"

    heard(colour, whole(dialect, made), check)


@both_drivers
@every_dialect
def test_generate_gives_every_choice(colour: Any, dialect: str) -> None:
    made = completion({"content": "A"})
    made["choices"].append(
        {"index": 1, "message": {"role": "assistant", "content": "B"}, "finish_reason": "length"}
    )

    def body(doors: Any, ours: Any, server: Any) -> None:
        many = doors.wait(ours.agenerate([["?"]])) if doors.asynchronous else ours.generate([["?"]])
        assert [one.text for one in many.generations[0]] == ["A", "B"]
        reasons = [one.message.response_metadata["finish_reason"] for one in many.generations[0]]
        assert reasons == ["stop", "length"]
        assert server.requests[0].body["n"] == 2

    ask(colour, whole(dialect, made), body, n=2)


@both_drivers
@pytest.mark.parametrize("dialect", ["openai", "azure"])
def test_annotations(colour: Any, dialect: str) -> None:
    note = {"type": "url_citation", "url_citation": {
        "url": "https://e.com", "title": "E", "start_index": 0, "end_index": 4}}  # fmt: skip

    def check(answer: Any) -> None:
        assert answer.text == "Text"
        (seen,) = [one for block in answer.content_blocks for one in block.get("annotations", [])]
        assert (seen["type"], seen["url"], seen["title"]) == ("citation", "https://e.com", "E")

    heard(colour, whole(dialect, completion({"content": "Text", "annotations": [note]})), check)


@both_drivers
@pytest.mark.parametrize("dialect", ["openai", "azure"])
def test_audio_out(colour: Any, dialect: str) -> None:
    audio = {"id": "audio_1", "data": "c291bmQ=", "expires_at": 1, "transcript": "Spoken."}

    def check(answer: Any) -> None:
        everything = json.dumps([answer.content, answer.additional_kwargs])
        assert everything.count("c291bmQ=") == 1
        assert "Spoken." in everything
        assert "audio_1" in everything, "its id continues the conversation"

    heard(colour, whole(dialect, completion({"content": None, "audio": audio})), check)
    deltas = [{"id": "audio_1", "transcript": "Spo"}, {"data": "c291"}, {"transcript": "ken."},
              {"data": "bmQ="}, {"expires_at": 1}]  # fmt: skip
    made = streamed(
        dialect, *(chunk({"audio": one}) for one in deltas), chunk({}, "stop"), chunk(usage=USAGE)
    )
    heard(colour, made, check)


@both_drivers
@every_dialect
def test_usage_without_a_total_or_with_floats(colour: Any, dialect: str) -> None:
    made = completion({"content": "x"}, usage={"prompt_tokens": 7, "completion_tokens": 3})

    def check(answer: Any) -> None:
        assert answer.usage_metadata["total_tokens"] == 10

    heard(colour, whole(dialect, made), check)
    only = completion({"content": "x"}, usage={"prompt_tokens": 7, "total_tokens": 7})

    def embedding_like(answer: Any) -> None:
        assert answer.usage_metadata["output_tokens"] == 0

    heard(colour, whole(dialect, only), embedding_like)


@both_drivers
@pytest.mark.parametrize("dialect", ["openai", "together"])
def test_usage_at_vendors_that_count_caches_their_way(colour: Any, dialect: str) -> None:
    """DeepSeek: hits and misses stand beside the prompt's tokens."""
    usage = {**USAGE, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 3}
    made = completion({"content": "x"}, usage=usage)

    def check(answer: Any) -> None:
        assert answer.usage_metadata["input_tokens"] == 7
        assert answer.usage_metadata["input_token_details"]["cache_read"] == 4

    heard(colour, whole(dialect, made), check)


@both_drivers
@every_dialect
@pytest.mark.parametrize("choices", [[], None])
def test_an_answer_without_choices_is_none(colour: Any, dialect: str, choices: Any) -> None:
    made = completion({"content": "x"}, choices=choices)

    def body(doors: Any, ours: Any, server: Any) -> None:
        with pytest.raises(ProviderError):
            doors.invoke(ours, "?")

    ask(colour, whole(dialect, made), body)
