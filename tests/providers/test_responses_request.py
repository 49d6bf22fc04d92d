"""Responses: what is sent. Pure functions, and conversations that go on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.errors import ConfigError, HeadraceWarning, InputError
from headrace.merge import merge
from headrace.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_chunk_to_message,
    tool_call,
)
from headrace.providers import ChatOpenAI
from headrace.providers._chat.request import request_messages
from headrace.providers._responses.items import items_of
from headrace.providers._responses.reader import ResponsesReader
from headrace.providers._responses.request import continued, responses_request
from providers.expected import documents
from providers.replay_exchanges import Exchange, recordings

ANSWERS = [
    exchange for exchange in recordings(api="responses") if not exchange.kind.startswith("error")
]
HI = [HumanMessage("Hi")]


def _made(exchange: Exchange) -> tuple[AIMessage, list[dict[str, Any]]]:
    """The message of an answer, and the items that it was."""
    events = [data for _, data in documents(exchange)]
    reader = ResponsesReader("openai")
    if exchange.is_stream:
        chunks = [chunk for event in events for chunk in reader.feed(event)]
        chunks += reader.finish()
        items = [e["item"] for e in events if e["type"] == "response.output_item.done"]
    else:
        chunks, items = list(reader.whole(events[0])), events[0]["output"]
    message = message_chunk_to_message(merge(chunks))
    assert isinstance(message, AIMessage)
    return message, items


def _comparable(item: dict[str, Any]) -> dict[str, Any]:
    """An item without what the API does not want back."""
    left = {k: v for k, v in item.items() if v not in (None, []) and k != "status"}
    if "arguments" in left:
        left["arguments"] = json.loads(left["arguments"] or "{}")
    if "content" in left:
        drop = ("logprobs",)
        left["content"] = [
            {k: v for k, v in part.items() if k not in drop} for part in left["content"]
        ]
    return left


@pytest.mark.parametrize("exchange", ANSWERS, ids=repr)
def test_an_answer_is_sent_back_as_it_was(exchange: Exchange) -> None:
    message, items = _made(exchange)
    if items[-1]["type"] == "reasoning":  # refused, because nothing follows it
        items.pop()
    sent = items_of([message], "openai")
    assert [_comparable(item) for item in sent] == [_comparable(item) for item in items]


@pytest.mark.parametrize("exchange", ANSWERS, ids=repr)
def test_an_answer_that_is_not_stored_is_sent_without_what_needs_that(exchange: Exchange) -> None:
    message, items = _made(exchange)
    sent = items_of([message], "openai", stored=False)
    kinds = ("message", "function_call", "reasoning")
    assert not any("id" in item for item in sent if item["type"] in kinds)
    thoughts = [item for item in items[:-1] if item["type"] == "reasoning"]
    kept = [(t["encrypted_content"], t["summary"]) for t in thoughts if t.get("encrypted_content")]
    told = [item for item in sent if item["type"] == "reasoning"]
    assert [(item["encrypted_content"], item["summary"]) for item in told] == kept
    others = [item["type"] for item in items if item["type"] != "reasoning"]
    assert [item["type"] for item in sent if item["type"] != "reasoning"] == others


@pytest.mark.parametrize("exchange", ANSWERS, ids=repr)
def test_another_vendor_gets_what_was_said_and_no_more(exchange: Exchange) -> None:
    message, _ = _made(exchange)
    sent = items_of([message], "azure")
    assert {item["type"] for item in sent} <= {"message", "function_call"}
    assert not any("id" in item for item in sent)
    text = "".join(p.get("text", "") for i in sent for p in i.get("content", ()))
    assert text == message.text
    assert [i["call_id"] for i in sent if "call_id" in i] == [c["id"] for c in message.tool_calls]


def _response(*items: Any) -> AIMessage:
    whole = {"id": "resp_1", "model": "gpt", "status": "completed", "output": [*items]}
    message = message_chunk_to_message(merge(list(ResponsesReader("openai").whole(whole))))
    assert isinstance(message, AIMessage)
    return message


REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
CALL = {
    "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "add", "arguments": "{}"
}  # fmt: skip
TEXT = {
    "type": "message", "id": "msg_1", "role": "assistant",
    "content": [{"type": "output_text", "text": "Hm.", "annotations": []}],
}  # fmt: skip


def test_thoughts_stand_before_the_calls_that_they_led_to() -> None:
    second = {**REASONING, "id": "rs_2"}
    other = {**CALL, "id": "fc_2", "call_id": "call_2"}
    items = [REASONING, CALL, TEXT, second, other]
    answer = _response(*items)
    results = [ToolMessage("3", tool_call_id="call_1"), ToolMessage("4", tool_call_id="call_2")]
    sent = items_of([*HI, answer, *results], "openai")
    assert [item.get("id") for item in sent[1:6]] == ["rs_1", "fc_1", "msg_1", "rs_2", "fc_2"]
    assert sent[6] == {"type": "function_call_output", "call_id": "call_1", "output": "3"}


def test_what_was_taken_out_of_an_answer_is_not_sent_and_what_was_added_is() -> None:
    answer = _response(REASONING, CALL, TEXT)
    less = answer.model_copy(update={"tool_calls": []})
    assert [item["type"] for item in items_of([less], "openai")] == ["reasoning", "message"]
    thoughts = answer.model_copy(update={"tool_calls": [], "content": answer.content[:1]})
    assert items_of([thoughts], "openai") == []
    more = [*answer.tool_calls, tool_call(name="sub", args={"a": 1}, id="call_9")]
    sent = items_of([answer.model_copy(update={"tool_calls": more})], "openai")
    assert sent[-1] == {
        "type": "function_call", "call_id": "call_9", "name": "sub", "arguments": '{"a": 1}'
    }  # fmt: skip


def test_without_its_thoughts_an_answer_has_no_ids() -> None:
    """OpenAI knows by an id which thoughts led to an item, and refuses it without them."""
    answer = _response(REASONING, CALL, TEXT)
    bare = answer.model_copy(update={"content": answer.text})
    call, text = items_of([bare], "openai")
    assert "id" not in call and "id" not in text
    assert (call["call_id"], text["content"][0]["text"]) == ("call_1", "Hm.")


def test_a_message_that_went_through_json_is_sent_the_same() -> None:
    answer = _response(REASONING, CALL, TEXT)
    again = AIMessage(**json.loads(json.dumps(answer.model_dump())))
    assert items_of([again], "openai") == items_of([answer], "openai")


def test_chunks_are_sent_as_the_message_that_they_are() -> None:
    whole = {"id": "resp_1", "status": "completed", "output": [REASONING, CALL]}
    chunk = merge(list(ResponsesReader("openai").whole(whole)))
    assert isinstance(chunk, AIMessageChunk)
    assert items_of([chunk], "openai") == items_of([_response(REASONING, CALL)], "openai")


def test_langchains_form_of_an_answer_is_read() -> None:
    theirs = AIMessage(
        [
            {"type": "reasoning", "id": "rs_1",
             "summary": [{"type": "summary_text", "text": "So"}]},
            {"type": "text", "text": "Hm.", "id": "msg_1", "annotations": []},
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "add",
             "arguments": "{}"},
        ],
        tool_calls=[{"name": "add", "args": {}, "id": "call_1"}],
        response_metadata={"model_provider": "openai"},
    )  # fmt: skip
    reasoning, text, call = items_of([theirs], "openai")
    assert reasoning == {
        "type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "So"}]
    }  # fmt: skip
    assert (text["id"], text["content"][0]["text"]) == ("msg_1", "Hm.")
    assert (call["id"], call["call_id"]) == ("fc_1", "call_1")


def test_thoughts_in_words_go_back_as_content() -> None:
    item = {
        "type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "So"}],
        "content": [{"type": "reasoning_text", "text": "Because"}],
    }  # fmt: skip
    assert items_of([_response(item, TEXT)], "openai")[0] == item


SERVER_ITEMS: list[dict[str, Any]] = [
    {"type": "web_search_call", "id": "ws_1", "status": "completed",
     "action": {"type": "search", "query": "q", "sources": [{"type": "url", "url": "u"}]}},
    {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["q"],
     "results": [{"file_id": "f", "text": "t"}]},
    {"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "code": "1+1",
     "container_id": "cntr_1", "outputs": [{"type": "logs", "logs": "2"}]},
    {"type": "mcp_call", "id": "mcp_1", "status": "completed", "name": "roll",
     "server_label": "dice", "arguments": '{"n": 2}', "output": "7"},
    {"type": "mcp_call", "id": "mcp_2", "status": "failed", "name": "roll",
     "server_label": "dice", "arguments": "{", "error": "no dice"},
    {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "dice", "tools": [{"name": "roll"}]},
    {"type": "computer_call", "id": "cu_1", "call_id": "call_1", "action": {"type": "screenshot"}},
    {"type": "of_next_year", "id": "x_1", "secret": [1]},
]  # fmt: skip


@pytest.mark.parametrize("item", SERVER_ITEMS, ids=lambda item: item["id"])
def test_what_openais_tools_did_is_sent_back(item: dict[str, Any]) -> None:
    sent = items_of([_response(item, TEXT)], "openai")
    assert [one["type"] for one in sent] == [item["type"], "message"]
    assert {**sent[0], "status": item.get("status")} == {**item, "status": item.get("status")}
    assert [one["type"] for one in items_of([_response(item, TEXT)], "groq")] == ["message"]


def test_images_that_were_made_go_back_by_id_or_whole() -> None:
    item = {"type": "image_generation_call", "id": "ig_1", "result": "AAAA"}
    assert items_of([_response(item)], "openai") == [{"type": item["type"], "id": "ig_1"}]
    (sent,) = items_of([_response(item)], "openai", stored=False)
    assert sent["result"] == "AAAA"


def test_chat_completions_gets_what_it_has_a_place_for() -> None:
    drawn = {"type": "image_generation_call", "id": "ig_1", "result": "AAAA"}
    answer = _response(REASONING, SERVER_ITEMS[0], drawn, TEXT, CALL)
    (sent,) = request_messages([answer])
    assert (sent["role"], sent["content"]) == ("assistant", "Hm.")
    assert [call["id"] for call in sent["tool_calls"]] == ["call_1"]


def test_citations_go_back_as_annotations() -> None:
    url = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 2}
    file = {"type": "file_citation", "file_id": "f", "filename": "n.txt", "index": 3}
    odd = {"type": "container_file_citation", "container_id": "c"}
    part = {"type": "output_text", "text": "Hm.", "annotations": [url, file, odd]}
    (sent,) = items_of([_response({**TEXT, "content": [part]})], "openai")
    assert sent["content"][0]["annotations"] == [url, file, odd]


# ---- what users and tools say --------------------------------------------------------------------

IMAGE = "data:image/png;base64,AAAA"
PARTS: list[tuple[Any, dict[str, Any]]] = [
    ("Hi", {"type": "input_text", "text": "Hi"}),
    ({"type": "text", "text": "Hi"}, {"type": "input_text", "text": "Hi"}),
    ({"type": "text-plain", "text": "Hi", "mime_type": "text/plain"},
     {"type": "input_text", "text": "Hi"}),
    ({"type": "image", "url": "https://x/y.png"},
     {"type": "input_image", "image_url": "https://x/y.png"}),
    ({"type": "image", "base64": "AAAA", "mime_type": "image/png"},
     {"type": "input_image", "image_url": IMAGE}),
    ({"type": "image", "file_id": "file-1"}, {"type": "input_image", "file_id": "file-1"}),
    ({"type": "image", "source_type": "base64", "data": "AAAA", "mime_type": "image/png"},
     {"type": "input_image", "image_url": IMAGE}),
    ({"type": "image_url", "image_url": {"url": IMAGE, "detail": "low"}},
     {"type": "input_image", "image_url": IMAGE, "detail": "low"}),
    ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
     {"type": "input_image", "image_url": IMAGE}),
    ({"type": "file", "base64": "AAAA", "mime_type": "application/pdf",
      "extras": {"filename": "a.pdf"}},
     {"type": "input_file", "filename": "a.pdf",
      "file_data": "data:application/pdf;base64,AAAA"}),
    ({"type": "file", "file_id": "file-1"}, {"type": "input_file", "file_id": "file-1"}),
    ({"type": "file", "url": "https://x/a.pdf"},
     {"type": "input_file", "file_url": "https://x/a.pdf"}),
    ({"type": "file", "file": {"file_id": "file-1"}}, {"type": "input_file", "file_id": "file-1"}),
    ({"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"},
     {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
    ({"type": "input_image", "image_url": IMAGE}, {"type": "input_image", "image_url": IMAGE}),
]  # fmt: skip


@pytest.mark.parametrize(("block", "part"), PARTS, ids=str)
def test_blocks_of_users(block: Any, part: dict[str, Any]) -> None:
    (message,) = items_of([HumanMessage([block])], "openai")
    assert message == {"type": "message", "role": "user", "content": [part]}


def test_items_of_users_stand_for_themselves() -> None:
    yes = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    said = HumanMessage([{"type": "non_standard", "value": yes}, "Go on"])
    first, second = items_of([said], "openai")
    assert first == yes
    assert second["content"] == [{"type": "input_text", "text": "Go on"}]
    assert items_of([HumanMessage([yes])], "openai") == [yes]


def test_roles() -> None:
    told = [
        SystemMessage("Be brief."),
        SystemMessage("Be kind.", additional_kwargs={"__openai_role__": "developer"}),
        ChatMessage("Hi", role="user"),
    ]
    sent = items_of(told, "openai")
    assert [item["role"] for item in sent] == ["system", "developer", "user"]
    with pytest.raises(InputError, match="no messages of the role 'function'"):
        items_of([FunctionMessage("3", name="add")], "openai")


def test_a_file_without_a_name_is_warned_of() -> None:
    block = {"type": "file", "base64": "AAAA", "mime_type": "application/pdf"}
    with pytest.warns(HeadraceWarning, match="filename"):
        items_of([HumanMessage([block])], "openai")


def test_what_cannot_be_said_is_an_error() -> None:
    with pytest.raises(InputError, match="video"):
        items_of([HumanMessage([{"type": "video", "url": "https://x/y.mp4"}])], "openai")


RESULTS: list[tuple[Any, Any]] = [
    ("3", "3"),
    ([{"type": "text", "text": "3"}, "4"], "34"),
    ([], ""),
    ([{"type": "image", "base64": "AAAA", "mime_type": "image/png"}],
     [{"type": "input_image", "image_url": IMAGE}]),
    ([{"odd": 1}], '{"odd": 1}'),
]  # fmt: skip


@pytest.mark.parametrize(("content", "output"), RESULTS, ids=str)
def test_results_of_tools(content: Any, output: Any) -> None:
    (sent,) = items_of([ToolMessage(content, tool_call_id="call_1")], "openai")
    assert sent == {"type": "function_call_output", "call_id": "call_1", "output": output}


def test_results_of_custom_tools_are_known_by_their_call() -> None:
    item = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "math",
            "input": "4 + 4"}  # fmt: skip
    result = ToolMessage("8", tool_call_id="call_1")
    sent = items_of([_response(item), result], "openai")
    assert sent == [item, {"type": "custom_tool_call_output", "call_id": "call_1", "output": "8"}]


def test_pictures_of_a_screen() -> None:
    told = {"type": "computer_call_output", "acknowledged_safety_checks": [{"id": "s"}]}
    shot = {"type": "computer_screenshot", "image_url": IMAGE}
    contents: list[Any] = [IMAGE, [{"type": "image_url", "image_url": IMAGE}]]
    for content in contents:
        message = ToolMessage(content, tool_call_id="call_1", additional_kwargs=told)
        (sent,) = items_of([message], "openai")
        assert sent == {
            "type": "computer_call_output", "call_id": "call_1", "output": shot,
            "acknowledged_safety_checks": [{"id": "s"}],
        }  # fmt: skip


# ---- settings ------------------------------------------------------------------------------------

FUNCTION = {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}
SCHEMA = {"name": "Person", "schema": {"type": "object"}, "strict": True}
SETTINGS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_tokens": 9}, {"max_output_tokens": 9}),
    ({"max_completion_tokens": 9}, {"max_output_tokens": 9}),
    ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
    ({"reasoning_effort": "low", "reasoning": {"summary": "auto"}},
     {"reasoning": {"effort": "low", "summary": "auto"}}),
    ({"verbosity": "low"}, {"text": {"verbosity": "low"}}),
    ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
    ({"response_format": {"type": "json_schema", "json_schema": SCHEMA}, "verbosity": "low"},
     {"text": {"format": {"type": "json_schema", **SCHEMA}, "verbosity": "low"}}),
    ({"logprobs": True, "include": ["x"]}, {"include": ["x", "message.output_text.logprobs"]}),
    ({"top_logprobs": 2},
     {"top_logprobs": 2, "include": ["message.output_text.logprobs"]}),
    ({"tools": [{"type": "function", "function": FUNCTION}], "parallel_tool_calls": False},
     {"tools": [{"type": "function", **FUNCTION, "strict": False}],
      "parallel_tool_calls": False}),
    ({"tools": [{"type": "function", "function": {**FUNCTION, "strict": True}}]},
     {"tools": [{"type": "function", **FUNCTION, "strict": True}]}),
    ({"tools": [{"type": "web_search"}], "tool_choice": "web_search"},
     {"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}),
    ({"tools": [{"type": "custom", "name": "math"}], "tool_choice": "math"},
     {"tools": [{"type": "custom", "name": "math"}],
      "tool_choice": {"type": "custom", "name": "math"}}),
    ({"tools": [{"type": "custom", "custom": {"name": "math"}}]},
     {"tools": [{"type": "custom", "name": "math"}]}),
    ({"tools": [{"type": "mcp", "server_label": "dice"}], "tool_choice": "dice"},
     {"tools": [{"type": "mcp", "server_label": "dice"}],
      "tool_choice": {"type": "mcp", "server_label": "dice"}}),
    ({"tool_choice": "any"}, {"tool_choice": "required"}),
    ({"tool_choice": "none"}, {"tool_choice": "none"}),
    ({"tool_choice": "add"}, {"tool_choice": {"type": "function", "name": "add"}}),
    ({"tool_choice": {"type": "function", "function": {"name": "add"}}},
     {"tool_choice": {"type": "function", "name": "add"}}),
    ({"parallel_tool_calls": True}, {}),
    ({"n": 1}, {}),
    ({"store": False, "metadata": {"a": "b"}, "service_tier": "flex", "truncation": "auto"},
     {"store": False, "metadata": {"a": "b"}, "service_tier": "flex", "truncation": "auto"}),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "sent"), SETTINGS, ids=str)
def test_settings_in_this_apis_words(settings: dict[str, Any], sent: dict[str, Any]) -> None:
    request = responses_request(HI, {"model": "gpt", **settings}, "openai")
    assert request.pop("input") == [{"type": "message", "role": "user", "content": "Hi"}]
    assert request == {"model": "gpt", **sent}


def test_what_this_api_does_not_have_is_an_error() -> None:
    for given in ({"stop": ["x"]}, {"seed": 1}, {"n": 2}, {"logit_bias": {"1": 2}}):
        with pytest.raises(ConfigError, match=f"no {next(iter(given))}.*use_responses_api=False"):
            responses_request(HI, {"model": "gpt", **given}, "openai")
    with pytest.raises(InputError, match="at least one message"):
        responses_request([], {"model": "gpt"}, "openai")


# ---- which API -----------------------------------------------------------------------------------


def _chat(**settings: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-5", "api_key": "k", **settings})


def _request(model: ChatOpenAI, messages: Any = HI, **given: Any) -> dict[str, Any]:
    return model._request(messages, None, given, stream=False)


WHICH: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({}, {}, False),
    ({"use_responses_api": True}, {}, True),
    ({"reasoning": {"effort": "low"}}, {}, True),
    ({"reasoning": {"effort": "low"}, "use_responses_api": False}, {}, False),
    ({"include": ["x"]}, {}, True),
    ({"truncation": "auto"}, {}, True),
    ({"use_previous_response_id": True}, {}, True),
    ({"model_kwargs": {"text": {}}}, {}, True),
    ({"store": False, "verbosity": "low", "reasoning_effort": "low"}, {}, False),
    ({}, {"previous_response_id": "resp_1"}, True),
    ({}, {"tools": [{"type": "web_search"}]}, True),
    ({}, {"tools": [{"type": "custom", "name": "math"}]}, True),
    ({}, {"tools": [{"type": "function", "function": FUNCTION}]}, False),
    ({"model": "gpt-5-pro"}, {}, True),
    ({"model": "gpt-5.1-codex-mini"}, {}, True),
    ({"model": "o3-deep-research"}, {}, True),
    ({"model": "my-codex"}, {}, False),
    ({"model": "gpt-5-proud"}, {}, False),
]


@pytest.mark.parametrize(("settings", "given", "responses"), WHICH, ids=str)
def test_which_api(settings: dict[str, Any], given: dict[str, Any], responses: bool) -> None:
    request = _request(_chat(**settings), **given)
    assert ("input" in request, "messages" in request) == (responses, not responses)


def test_only_what_is_new_is_sent_where_openai_keeps_the_rest() -> None:
    model = _chat(use_previous_response_id=True)
    conversation = [*HI, _response(TEXT), HumanMessage("And?")]
    request = _request(model, conversation)
    assert request["previous_response_id"] == "resp_1"
    assert [item["content"] for item in request["input"]] == ["And?"]
    assert "previous_response_id" not in _request(model, HI)
    assert continued([*HI, AIMessage("Hm.", id="run-1")])[1] is None


def test_the_stream_is_asked_for_without_what_chat_completions_wants() -> None:
    model = _chat(use_responses_api=True, stream_usage=True)
    request = model._request([*HI], None, {}, stream=True)
    assert request["stream"] is True and "stream_options" not in request
    bound = {"stream_options": {"include_usage": True, "include_obfuscation": False}}
    request = model._request([*HI], None, bound, stream=True)
    assert request["stream_options"] == {"include_obfuscation": False}
