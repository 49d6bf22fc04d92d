"""Answers of Cohere's and Mistral's own forms that no recording has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.errors import StreamError
from laws.colours import both_drivers
from wires.wire import (
    COHERE_USAGE,
    USAGE,
    Event,
    ask,
    chunk,
    cohere_end,
    completion,
    heard,
    said,
    streamed,
    whole,
)  # fmt: skip

START = said("cohere", ["x"])[0]


def delta(kind: str, index: int, message: Any) -> Event:
    return {"type": kind, "index": index, "delta": {"message": message}}


def call(index: int, name: str, id: str, *pieces: str) -> list[Event]:
    begun = {"id": id, "type": "function", "function": {"name": name, "arguments": ""}}
    return [
        delta("tool-call-start", index, {"tool_calls": begun}),
        *(delta("tool-call-delta", index, {"tool_calls": {"function": {"arguments": one}}})
          for one in pieces),
        {"type": "tool-call-end", "index": index},
    ]  # fmt: skip


def text(index: int, *pieces: str) -> list[Event]:
    return [
        delta("content-start", index, {"content": {"type": "text", "text": ""}}),
        *(delta("content-delta", index, {"content": {"text": one}}) for one in pieces),
        {"type": "content-end", "index": index},
    ]


def calls(answer: Any) -> list[Any]:
    assert not answer.invalid_tool_calls
    return [(one["name"], one["args"], one["id"]) for one in answer.tool_calls]


@both_drivers
@pytest.mark.parametrize("empty", [[], [""], ["{}"]])
def test_cohere_parallel_calls_with_and_without_arguments(colour: Any, empty: list[str]) -> None:
    plan = {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will add."}}}
    made = streamed(
        "cohere", START, plan, *call(0, "add", "c1", '{"a"', ": 1}"), *call(1, "now", "c2", *empty),
        cohere_end("TOOL_CALL"),
    )  # fmt: skip

    def check(answer: Any) -> None:
        assert calls(answer) == [("add", {"a": 1}, "c1"), ("now", {}, "c2")]
        assert "I will add." in json.dumps([answer.content, answer.additional_kwargs])

    heard(colour, made, check)


@both_drivers
def test_cohere_interleaved_calls(colour: Any) -> None:
    (one, *first), (other, *second) = (
        call(0, "a", "c1", '{"x"', ":1}"),
        call(1, "b", "c2", '{"y"', ":2}"),
    )
    events = [event for pair in zip(first, second, strict=True) for event in pair]
    made = streamed("cohere", START, one, other, *events, cohere_end("TOOL_CALL"))
    heard(
        colour,
        made,
        lambda answer: _is(calls(answer), [("a", {"x": 1}, "c1"), ("b", {"y": 2}, "c2")]),
    )


@both_drivers
def test_cohere_citations(colour: Any) -> None:
    source = {"type": "document", "id": "doc:0", "document": {"id": "doc:0", "title": "Sky"}}
    cited = {"start": 0, "end": 4, "text": "Blue", "sources": [source], "type": "TEXT_CONTENT"}
    event = delta("citation-start", 0, {"citations": cited})
    made = streamed(
        "cohere",
        START,
        *text(0, "Blue", "."),
        event,
        {"type": "citation-end", "index": 0},
        cohere_end(),
    )
    message = {
        "role": "assistant",
        "content": [{"type": "text", "text": "Blue."}],
        "citations": [cited],
    }
    same = {"id": "c-1", "message": message, "finish_reason": "COMPLETE", "usage": COHERE_USAGE}

    def check(answer: Any) -> None:
        assert answer.text == "Blue."
        notes = [one for block in answer.content_blocks for one in block.get("annotations", [])]
        (note,) = notes
        assert note["type"] == "citation"
        assert "doc:0" in json.dumps(note)

    heard(colour, made, check)
    heard(colour, whole("cohere", same), check)


@both_drivers
def test_cohere_thinking(colour: Any) -> None:
    made = streamed(
        "cohere", START,
        delta("content-start", 0, {"content": {"type": "thinking", "thinking": ""}}),
        delta("content-delta", 0, {"content": {"thinking": "I thi"}}),
        delta("content-delta", 0, {"content": {"thinking": "nk."}}),
        {"type": "content-end", "index": 0},
        *text(1, "So."), cohere_end(),
    )  # fmt: skip

    def check(answer: Any) -> None:
        thought = [one["reasoning"] for one in answer.content_blocks if one["type"] == "reasoning"]
        assert "".join(thought) == "I think."
        assert answer.text == "So."

    heard(colour, made, check)


@both_drivers
@pytest.mark.parametrize(
    "reason", ["COMPLETE", "MAX_TOKENS", "STOP_SEQUENCE", "TOOL_CALL", "BRAND_NEW"]
)
def test_cohere_finish_reasons(colour: Any, reason: str) -> None:
    made = streamed("cohere", START, *text(0, "x"), cohere_end(reason))
    heard(colour, made, lambda answer: _is(answer.response_metadata["finish_reason"], reason))


@both_drivers
def test_cohere_nulls_unknowns_and_a_quoted_done(colour: Any) -> None:
    made = streamed(
        "cohere", START, {"type": "debug", "prompt": "p"}, {"type": "brand-new", "delta": None},
        delta("content-start", 0, {"content": {"type": "text", "text": "a"}}),
        delta("content-delta", 0, {"content": {"text": "b"}}), delta("content-delta", 0, None),
        {"type": "content-delta", "index": 0, "delta": None, "logprobs": None},
        {"type": "content-end", "index": 0}, cohere_end(usage=None), b'data: "[DONE]"\n\n',
    )  # fmt: skip
    heard(colour, made, lambda answer: _is(answer.text, "ab"))


# ---- Mistral -------------------------------------------------------------------------------------


def thinking(said: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": said}]}


@both_drivers
def test_mistral_content_changes_its_form(colour: Any) -> None:
    deltas = [[thinking("I ")], [thinking("do."), {"type": "text", "text": "So"}], "", " it", None,
              [{"type": "text", "text": " is."}], []]  # fmt: skip
    made = streamed(
        "mistral",
        *(chunk({"content": one}) for one in deltas),
        chunk({"content": ""}, "stop", usage=USAGE),
    )

    def check(answer: Any) -> None:
        thought = [one["reasoning"] for one in answer.content_blocks if one["type"] == "reasoning"]
        assert "".join(thought) == "I do."
        assert answer.text == "So it is."

    heard(colour, made, check)


@both_drivers
def test_mistral_references(colour: Any) -> None:
    content = [{"type": "text", "text": "Blue"}, {"type": "reference", "reference_ids": [1, "b"]},
               {"type": "text", "text": "."}]  # fmt: skip

    def check(answer: Any) -> None:
        assert answer.text == "Blue."
        assert "reference_ids" in json.dumps(answer.content)

    made = streamed(
        "mistral", chunk({"content": content}), chunk({"content": ""}, "stop", usage=USAGE)
    )
    heard(colour, made, check)
    heard(colour, whole("mistral", completion({"content": content})), check)


@both_drivers
def test_mistral_calls_with_null_ids_and_the_finish_reason(colour: Any) -> None:
    both = [{"id": "null", "function": {"name": "add", "arguments": '{"a": 1}'}},
            {"id": None, "function": {"name": "now", "arguments": "{}"}}]  # fmt: skip
    made = streamed(
        "mistral", chunk({"content": "", "tool_calls": both}, "tool_calls", usage=USAGE)
    )

    def check(answer: Any) -> None:
        assert [(name, args) for name, args, _ in calls(answer)] == [("add", {"a": 1}), ("now", {})]
        ids = [id for *_, id in calls(answer)]
        assert all(ids)
        assert len(set(ids)) == 2
        assert "null" not in ids

    heard(colour, made, check)


@both_drivers
@pytest.mark.parametrize("reason", ["stop", "length", "model_length", "tool_calls"])
def test_mistral_finish_reasons(colour: Any, reason: str) -> None:
    made = streamed("mistral", chunk({"content": "x"}), chunk({"content": ""}, reason, usage=USAGE))
    heard(colour, made, lambda answer: _is(answer.response_metadata["finish_reason"], reason))


@both_drivers
def test_mistral_says_that_it_failed(colour: Any) -> None:
    made = streamed(
        "mistral", chunk({"content": "x"}), chunk({"content": ""}, "error", usage=USAGE)
    )

    def body(doors: Any, ours: Any, server: Any) -> None:
        stream = doors.open(ours, "?")
        with pytest.raises(StreamError) as caught:
            stream.rest()
        assert caught.value.partial.text == "x"

    ask(colour, made, body)


def _is(seen: Any, expected: Any) -> None:
    assert seen == expected
