"""Answers of OpenAI's Responses API that no recording has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.errors import ProviderError
from laws.colours import both_drivers
from wires.wire import Event, ask, fold, heard, output_text, response, said, streamed, whole


def played(*items: Any, status: str = "completed", **more: Any) -> list[Event]:
    """The events of an answer that consists of these items, in one delta each."""
    events: list[Event] = [
        {"type": "response.created", "response": response([], "in_progress", usage=None)}
    ]
    for at, item in enumerate(items):
        events += _item(at, item)
    return [*events, {"type": f"response.{status}", "response": response([*items], status, **more)}]


def _item(at: int, item: Any) -> list[Event]:
    where = {"item_id": item.get("id"), "output_index": at}
    empty = {"content": [], "summary": [], "arguments": "", "status": "in_progress"}
    began = item | {key: value for key, value in empty.items() if key in item}
    return [
        {"type": "response.output_item.added", "output_index": at, "item": began},
        *(one for index, part in enumerate(item.get("content") or [])
          for one in _part(where, index, part)),
        *(one for index, part in enumerate(item.get("summary") or [])
          for one in _thought(where, index, part)),
        *([{"type": "response.function_call_arguments.delta", **where, "delta": item["arguments"]},
           {"type": "response.function_call_arguments.done", **where,
            "arguments": item["arguments"]}]
          if "arguments" in item else []),
        {"type": "response.output_item.done", "output_index": at, "item": item},
    ]  # fmt: skip


def _part(where: Any, index: int, part: Any) -> list[Event]:
    kind = part["type"].removeprefix("output_")
    what = "refusal" if kind == "refusal" else "text"
    name = {"refusal": "refusal", "reasoning_text": "reasoning_text"}.get(kind, "output_text")
    at = where | {"content_index": index}
    notes = part.get("annotations", [])
    return [
        {"type": "response.content_part.added", **at,
         "part": part | {what: ""} | ({"annotations": []} if "annotations" in part else {})},
        {"type": f"response.{name}.delta", **at, "delta": part[what]},
        *({"type": "response.output_text.annotation.added", **at, "annotation_index": number,
           "annotation": note} for number, note in enumerate(notes)),
        {"type": f"response.{name}.done", **at, what: part[what]},
        {"type": "response.content_part.done", **at, "part": part},
    ]  # fmt: skip


def _thought(where: Any, index: int, part: Any) -> list[Event]:
    at = where | {"summary_index": index}
    return [
        {"type": "response.reasoning_summary_part.added", **at, "part": part | {"text": ""}},
        {"type": "response.reasoning_summary_text.delta", **at, "delta": part["text"]},
        {"type": "response.reasoning_summary_text.done", **at, "text": part["text"]},
        {"type": "response.reasoning_summary_part.done", **at, "part": part},
    ]


def call(name: str, arguments: str, id: str) -> dict[str, Any]:
    return {"type": "function_call", "id": f"fc_{id}", "call_id": f"call_{id}", "name": name,
            "arguments": arguments, "status": "completed"}  # fmt: skip


def both(colour: Any, items: list[Any], check: Any, **more: Any) -> None:
    """The same as a stream and as a whole answer."""
    heard(colour, streamed("responses", *played(*items, **more)), check)
    heard(colour, whole("responses", response(items, **more)), check)


def kinds(answer: Any) -> list[str]:
    return [block["type"] for block in answer.content_blocks if block["type"] != "tool_call"]


@both_drivers
@pytest.mark.parametrize(("text", "args"), [("", {}), ("{}", {}), ('{"a": [1]}', {"a": [1]})])
def test_parallel_calls(colour: Any, text: str, args: Any) -> None:
    def check(answer: Any) -> None:
        assert [(one["name"], one["args"], one["id"]) for one in answer.tool_calls] == [
            ("add", args, "call_1"), ("add", args, "call_2"),
        ]  # fmt: skip
        assert answer.text == "Wait."

    both(colour, [output_text("Wait."), call("add", text, "1"), call("add", text, "2")], check)


@both_drivers
def test_interleaved_calls(colour: Any) -> None:
    items = [call("a", '{"x": 1}', "1"), call("b", '{"y": 2}', "2")]
    first, *_, last = played(*items)
    added: list[Event] = [
        {"type": "response.output_item.added", "output_index": at, "item": item | {"arguments": ""}}
        for at, item in enumerate(items)
    ]
    deltas: list[Event] = [
        {"type": "response.function_call_arguments.delta", "item_id": f"fc_{at + 1}",
         "output_index": at, "delta": text}
        for at, text in [(1, '{"y"'), (0, '{"x"'), (1, ": 2}"), (0, ": 1}")]
    ]  # fmt: skip

    def check(answer: Any) -> None:
        assert [one["args"] for one in answer.tool_calls] == [{"x": 1}, {"y": 2}]

    heard(colour, streamed("responses", first, *added, *deltas, last), check)


@both_drivers
def test_reasoning_with_its_encrypted_content(colour: Any) -> None:
    summary = [
        {"type": "summary_text", "text": "I think."},
        {"type": "summary_text", "text": "So."},
    ]
    item = {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "ZW5j"}

    def check(answer: Any) -> None:
        text = json.dumps(answer.content)
        assert "I think." in text
        assert "ZW5j" in text
        assert "rs_1" in text
        assert kinds(answer)[0] == "reasoning"
        assert answer.text == "Yes."
        assert answer.usage_metadata["output_token_details"]["reasoning"] == 2

    usage = {
        "input_tokens": 7, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 10,
    }  # fmt: skip
    both(colour, [item, output_text("Yes.")], check, usage=usage)


@both_drivers
def test_a_refusal(colour: Any) -> None:
    item = output_text("") | {"content": [{"type": "refusal", "refusal": "No."}]}

    def check(answer: Any) -> None:
        assert kinds(answer) == ["refusal"]
        assert answer.content_blocks[0]["refusal"] == "No."

    both(colour, [item], check)


@both_drivers
def test_citations(colour: Any) -> None:
    note = {"type": "url_citation", "url": "https://e.com", "title": "E", "start_index": 0,
            "end_index": 4}  # fmt: skip
    file = {"type": "file_citation", "file_id": "file_1", "filename": "a.txt", "index": 3}

    def check(answer: Any) -> None:
        notes = [one for block in answer.content_blocks for one in block.get("annotations", [])]
        assert len(notes) == 2
        assert (notes[0]["type"], notes[0]["url"], notes[0]["title"]) == (
            "citation", "https://e.com", "E",
        )  # fmt: skip
        assert "file_1" in json.dumps(notes[1])

    both(colour, [output_text("Text", [note, file])], check)


SERVER_ITEMS = [
    {"type": "web_search_call", "id": "ws_1", "status": "completed",
     "action": {"type": "search", "query": "x"}},
    {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["x"],
     "results": None},
    {"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "code": "print(1)",
     "container_id": "c", "outputs": [{"type": "logs", "logs": "1"}]},
    {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "aW1n"},
    {"type": "mcp_call", "id": "mcp_1", "name": "f", "arguments": "{}", "output": "ok",
     "server_label": "s", "error": None, "approval_request_id": None},
    {"type": "mcp_approval_request", "id": "mcpr_1", "name": "f", "arguments": "{}",
     "server_label": "s"},
    {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": []},
    {"type": "computer_call", "id": "cu_1", "call_id": "call_9", "status": "completed",
     "action": {"type": "screenshot"}, "pending_safety_checks": []},
    {"type": "brand_new_call", "id": "bn_1", "whatever": 1},
]  # fmt: skip


@both_drivers
@pytest.mark.parametrize("item", SERVER_ITEMS, ids=lambda item: item["type"])
def test_items_of_the_servers_are_kept(colour: Any, item: Any) -> None:
    def check(answer: Any) -> None:
        assert item["id"] in json.dumps(answer.content)
        assert answer.text == "Done."

    began = [one for one in played(item, output_text("Done.")) if "delta" not in str(one)[:60]]
    heard(colour, streamed("responses", *began), check)
    heard(colour, whole("responses", response([item, output_text("Done.")])), check)


@both_drivers
@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_an_incomplete_response_tells_why(colour: Any, reason: str) -> None:
    def check(answer: Any) -> None:
        assert answer.text == "Half"
        assert reason in json.dumps(answer.response_metadata)

    both(
        colour, [output_text("Half")], check, status="incomplete",
        incomplete_details={"reason": reason},
    )  # fmt: skip


@both_drivers
def test_a_whole_response_that_failed_is_an_error(colour: Any) -> None:
    made = response([], "failed", error={"code": "server_error", "message": "Our words."})

    def body(doors: Any, ours: Any, server: Any) -> None:
        with pytest.raises(ProviderError, match=r"Our words\."):
            doors.invoke(ours, "?")

    ask(colour, whole("responses", made), body)


@both_drivers
def test_unknown_events_and_nulls(colour: Any) -> None:
    events = said("responses", ["a", "b"])
    odd: list[Event] = [
        {"type": "response.brand_new.delta", "delta": "zzz", "item_id": "x", "output_index": 9},
        {"type": "keepalive"}, {"type": "response.queued", "response": response([], "queued")},
    ]  # fmt: skip
    last = events[-1]
    assert isinstance(last, dict)
    last["response"] |= {"usage": None, "metadata": None, "reasoning": None, "brand_new": [1]}

    def check(answer: Any) -> None:
        assert answer.text == "ab"
        assert answer.usage_metadata is None

    heard(colour, streamed("responses", *events[:4], *odd, *events[4:]), check)


@both_drivers
def test_logprobs(colour: Any) -> None:
    told = {"token": "x", "logprob": -0.1, "bytes": [1], "top_logprobs": []}
    item = output_text("x")
    item["content"][0]["logprobs"] = [told]

    def check(answer: Any) -> None:
        text = json.dumps([answer.response_metadata, answer.content])
        assert text.count('"logprob": -0.1') == 1

    heard(colour, whole("responses", response([item])), check)


@both_drivers
def test_two_messages_in_one_answer(colour: Any) -> None:
    items = [output_text("One. "), output_text("Two.") | {"id": "msg_2"}]
    both(colour, items, lambda answer: _is(answer.text, "One. Two."))
    made = streamed("responses", *played(*items))

    def body(doors: Any, ours: Any, server: Any) -> None:
        assert fold(doors.stream(ours, "?")).text == "One. Two."

    ask(colour, made, body, how={"cut": 1})


def _is(seen: Any, expected: Any) -> None:
    assert seen == expected
