"""A conversation that changes its model: each vendor's answer, sent to each other vendor.

The answer has a thought with a signature, a tool call, a citation and a tool that the vendor ran
itself, as its vendor writes them. The next vendor must get the text, the call and its result, and
nothing of what only the first can read; the first must get its own back.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.messages import (
    AIMessage,
    HumanMessage,
    ToolMessage,
    messages_from_dict,
    messages_to_dict,
)
from laws.colours import both_drivers
from providers.replay import replaying
from providers.replay_colours import run
from wires.wire import (
    CHAT,
    COHERE_USAGE,
    DIALECTS,
    GOOGLE,
    answered,
    anthropic_message,
    completion,
    google,
    model,
    output_text,
    response,
    whole,
)  # fmt: skip

SECRETS = ["c2lnbmF0dXJl", "ZW5jcnlwdGVk", "rs_hidden", "srv_hidden"]
TEXT = "Let me see."


def rich(dialect: str) -> Any:
    """An answer with everything that this vendor has."""
    if dialect in GOOGLE:
        call = {"functionCall": {"name": "add", "args": {"a": 1}}, "thoughtSignature": SECRETS[0]}
        return google([{"text": "My thought.", "thought": True}, {"text": TEXT}, call], "STOP")
    if dialect == "anthropic":
        cited = {"type": "char_location", "cited_text": "x", "document_index": 0,
                 "document_title": "T", "start_char_index": 0, "end_char_index": 1}  # fmt: skip
        return anthropic_message([
            {"type": "thinking", "thinking": "My thought.", "signature": SECRETS[0]},
            {"type": "redacted_thinking", "data": SECRETS[1]},
            {"type": "server_tool_use", "id": SECRETS[3], "name": "web_search",
             "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": SECRETS[3], "content": [
                {"type": "web_search_result", "url": "https://e.com", "title": "E",
                 "encrypted_content": SECRETS[1], "page_age": None}]},
            {"type": "text", "text": TEXT, "citations": [cited]},
            {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}},
        ], "tool_use")  # fmt: skip
    if dialect == "responses":
        thought = [{"type": "summary_text", "text": "My thought."}]
        note = {
            "type": "url_citation",
            "url": "https://e.com",
            "title": "E",
            "start_index": 0,
            "end_index": 3,
        }
        return response([
            {"type": "reasoning", "id": SECRETS[2], "summary": thought,
             "encrypted_content": SECRETS[1]},
            {"type": "web_search_call", "id": SECRETS[3], "status": "completed",
             "action": {"type": "search", "query": "x"}},
            output_text(TEXT, [note]),
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "add",
             "arguments": '{"a": 1}', "status": "completed"},
        ])  # fmt: skip
    call = {"id": "call_abc_1", "type": "function",
            "function": {"name": "add", "arguments": '{"a": 1}'}}  # fmt: skip
    if dialect == "cohere":
        cited = {"start": 0, "end": 3, "text": "Let", "type": "TEXT_CONTENT",
                 "sources": [{"type": "document", "id": SECRETS[3],
                              "document": {"id": "d"}}]}  # fmt: skip
        message = {"role": "assistant", "tool_plan": "My thought.", "tool_calls": [call],
                   "content": [{"type": "text", "text": TEXT}], "citations": [cited]}  # fmt: skip
        return {"id": "c", "message": message, "finish_reason": "TOOL_CALL", "usage": COHERE_USAGE}
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "My thought."}]}
    if dialect == "mistral":
        content = [thinking, {"type": "text", "text": TEXT}]
        return completion({"content": content, "tool_calls": [call]}, "tool_calls")
    return completion(
        {"content": TEXT, "reasoning_content": "My thought.", "tool_calls": [call]}, "tool_calls"
    )


def second_request(
    colour: Any, first: str, then: str, *, stored: bool = False, same_model: bool = False
) -> tuple[Any, Any]:
    """The answer of one vendor, and the request that carries it to the next."""
    kept: list[Any] = []
    with replaying(whole(first, rich(first)), cut="whole") as server:
        ours = model(first, server)
        run(colour, ours, lambda doors: kept.append(doors.invoke(ours, "1+2?")))
    answer: Any = kept[0]
    if stored:
        (answer,) = messages_from_dict(json.loads(json.dumps(messages_to_dict([answer]))))
    messages = [
        HumanMessage("1+2?"), answer,
        ToolMessage("3", tool_call_id=answer.tool_calls[0]["id"]), HumanMessage("So?"),
    ]  # fmt: skip
    asked = {"model": answer.response_metadata["model_name"]} if same_model else {}
    with replaying(whole(then, answered(then, "3.")), cut="whole") as server:
        ours = model(then, server, **asked)
        run(colour, ours, lambda doors: doors.invoke(ours, messages))
        return answer, server.requests[0].body


def vendor(dialect: str) -> str:
    return "google" if dialect in GOOGLE else dialect


PAIRS = [(a, b) for a in DIALECTS for b in DIALECTS if vendor(a) != vendor(b)]


@both_drivers
@pytest.mark.parametrize(("first", "then"), PAIRS)
def test_the_next_vendor_gets_what_it_can_read(colour: Any, first: str, then: str) -> None:
    answer, body = second_request(colour, first, then)
    assert isinstance(answer, AIMessage)
    text = json.dumps(body)
    assert text.count(TEXT) == 1
    assert text.count('"add"') >= 1
    # Azure and OpenAI, and the two APIs of OpenAI's, are one vendor for what is said here or not.
    for secret in SECRETS:
        assert secret not in text, secret
    check_calls(then, body)


def check_calls(dialect: str, body: Any) -> None:
    """A call and its result belong together, in the vendor's own form."""
    if dialect in GOOGLE:
        roles = [one["role"] for one in body["contents"]]
        assert roles == ["user", "model", "user"] or roles == ["user", "model", "user", "user"]
        keys = [set(part) & {"text", "functionCall", "functionResponse"} for one in body["contents"]
                for part in one["parts"]]  # fmt: skip
        assert all(len(one) == 1 for one in keys), "each part is one thing"
    elif dialect == "anthropic":
        content = body["messages"][1]["content"]
        assert [one["type"] for one in content] == ["text", "tool_use"]
        result = body["messages"][2]["content"][0]
        assert result["tool_use_id"] == content[1]["id"]
        assert set(content[1]["id"]) <= set(_WORD), "^[a-zA-Z0-9_-]+$"
    elif dialect == "responses":
        kinds = [one.get("type", "message") for one in body["input"]]
        assert kinds == ["message", "message", "function_call", "function_call_output", "message"]
    else:
        message, result = body["messages"][1:3]
        (call,) = message["tool_calls"]
        assert call["id"] == result["tool_call_id"]
        parts = message.get("content") or []
        allowed = {"type", "text"}
        assert isinstance(parts, str) or all(set(one) <= allowed for one in parts), parts
        known = {"role", "content", "tool_calls", "tool_plan", "name", "prefix"}
        assert set(message) <= known, "no foreign field"
        if dialect == "mistral":
            assert len(call["id"]) == 9, "Mistral wants nine letters and digits"
            assert call["id"].isalnum()


_WORD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
SIGNED = {"gemini": [0], "vertex": [0], "anthropic": [0, 1, 3], "responses": [1, 2]}


@both_drivers
@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("dialect", SIGNED)
def test_the_same_vendor_gets_its_own_back(colour: Any, dialect: str, stored: bool) -> None:
    _, body = second_request(colour, dialect, dialect, stored=stored)
    text = json.dumps(body)
    for number in SIGNED[dialect]:
        assert SECRETS[number] in text, SECRETS[number]
    if dialect == "anthropic":
        first = body["messages"][1]["content"][0]
        assert first == {"type": "thinking", "thinking": "My thought.", "signature": SECRETS[0]}


@both_drivers
@pytest.mark.parametrize("dialect", CHAT)
def test_thoughts_are_not_said_aloud(colour: Any, dialect: str) -> None:
    """What the model thought does not become text that it said."""
    _, body = second_request(colour, "anthropic", dialect)
    assert "My thought." not in json.dumps(body)


@both_drivers
@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    ("dialect", "field"), [("groq", "reasoning"), ("fireworks", "reasoning_content")]
)
def test_a_model_hears_again_what_it_thought(
    colour: Any, dialect: str, field: str, stored: bool
) -> None:
    """Where the vendor has a field for it; see the two vendors' guides to reasoning."""
    _, body = second_request(colour, dialect, dialect, stored=stored, same_model=True)
    assert body["messages"][1][field] == "My thought."
    assert body["messages"][1]["content"] == TEXT
    assert [field in one for one in body["messages"]] == [False, True, False, False]


@both_drivers
def test_another_model_of_groqs_does_not_hear_it(colour: Any) -> None:
    """One that does not think refuses the field."""
    _, body = second_request(colour, "groq", "groq")
    assert "My thought." not in json.dumps(body)


@both_drivers
@pytest.mark.parametrize(
    "dialect", [name for name in CHAT if name not in ("groq", "fireworks", "mistral")]
)
def test_who_has_no_field_for_thoughts_does_not_hear_them(colour: Any, dialect: str) -> None:
    _, body = second_request(colour, dialect, dialect, same_model=True)
    assert "My thought." not in json.dumps(body)
