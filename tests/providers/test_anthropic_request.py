"""Messages, tools and settings as Anthropic's Messages API wants them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from headrace.errors import InputError
from headrace.messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from headrace.providers._anthropic.request import request_messages
from headrace.providers._anthropic.tools import (
    betas_for,
    closed_schema,
    is_own_tool,
    output_format,
    request_tools,
    tool_choice,
)

PNG = "iVBORw0KGgo="
HOME: dict[str, Any] = {"model_provider": "anthropic"}
AWAY: dict[str, Any] = {"model_provider": "openai"}
CALL: dict[str, Any] = {"name": "weather", "args": {"city": "Rome"}, "id": "toolu_1"}
CACHED = {"type": "ephemeral"}


def turns(*messages: Any) -> list[dict[str, Any]]:
    return request_messages(messages)[1]


def blocks(*content: Any) -> Any:
    """The content that a human message is sent with, beside a text so that it stays a list."""
    (turn,) = turns(HumanMessage([*content, "?"]))
    *found, last = turn["content"]
    assert last == {"type": "text", "text": "?"}
    return found


def said(message: AIMessage) -> Any:
    """The content that an answer is sent back with."""
    turn = turns(HumanMessage("?"), message, HumanMessage("And?"))[1]
    assert turn["role"] == "assistant"
    return turn["content"]


# ---- system ----


def test_one_system_text_is_a_string() -> None:
    system, rest = request_messages([SystemMessage("Be terse."), HumanMessage("Hi")])
    assert system == "Be terse."
    assert rest == [{"role": "user", "content": "Hi"}]


def test_system_blocks_keep_their_cache_control() -> None:
    block = {"type": "text", "text": "Long.", "cache_control": CACHED}
    assert request_messages([SystemMessage([block]), HumanMessage("Hi")])[0] == [block]


def test_system_messages_are_gathered_wherever_they_stand() -> None:
    messages = [SystemMessage("A"), HumanMessage("Hi"), SystemMessage("B"), HumanMessage("Ho")]
    system, rest = request_messages(messages)
    assert system == [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]
    assert rest == [
        {"role": "user", "content": [{"type": "text", "text": t} for t in ("Hi", "Ho")]}
    ]


@pytest.mark.parametrize("empty", ["", []])
def test_an_empty_system_message_is_none(empty: Any) -> None:
    assert request_messages([SystemMessage(empty), HumanMessage("Hi")])[0] is None


def test_a_system_message_alone_is_refused() -> None:
    with pytest.raises(InputError, match="at least one message"):
        request_messages([SystemMessage("Be terse.")])


# ---- who speaks ----


def test_roles_of_chat_messages() -> None:
    messages = [
        ChatMessage("S", role="developer"), ChatMessage("U", role="user"),
        ChatMessage("A", role="assistant"), HumanMessage("?"),
    ]  # fmt: skip
    system, rest = request_messages(messages)
    assert system == "S"
    assert [(turn["role"], turn["content"]) for turn in rest] == [
        ("user", "U"), ("assistant", "A"), ("user", "?"),
    ]  # fmt: skip


def test_a_message_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match="FunctionMessage"):
        turns(FunctionMessage("x", name="f"))


def test_turns_of_one_role_are_one() -> None:
    found = turns(HumanMessage("A"), HumanMessage("B"), AIMessage("C"), AIMessage("D"))
    assert found == [
        {"role": "user", "content": [{"type": "text", "text": t} for t in "AB"]},
        {"role": "assistant", "content": [{"type": "text", "text": t} for t in "CD"]},
    ]


# ---- what humans show ----


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"type": "text", "text": "Hi", "cache_control": CACHED},
         {"type": "text", "text": "Hi", "cache_control": CACHED}),
        ({"type": "text", "text": "Hi", "extras": {"cache_control": CACHED}, "index": 3},
         {"type": "text", "text": "Hi", "cache_control": CACHED}),
        ({"type": "image", "url": "https://x.test/a.png"},
         {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}),
        ({"type": "image", "base64": PNG, "mime_type": "image/png"},
         {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}),
        ({"type": "image", "base64": PNG},
         {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}),
        ({"type": "image", "base64": "/9j/4AAQ"},
         {"type": "image",
          "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQ"}}),
        ({"type": "image", "url": f"data:image/gif;base64,{PNG}"},
         {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": PNG}}),
        ({"type": "image", "file_id": "file_1"},
         {"type": "image", "source": {"type": "file", "file_id": "file_1"}}),
        ({"type": "image_url", "image_url": {"url": f"data:image/webp;base64,{PNG}"}},
         {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": PNG}}),
        ({"type": "image_url", "image_url": "https://x.test/a.png"},
         {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}),
        ({"type": "image", "source_type": "base64", "data": PNG, "mime_type": "image/png"},
         {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}),
        ({"type": "image", "source": {"type": "url", "url": "u"}, "cache_control": CACHED},
         {"type": "image", "source": {"type": "url", "url": "u"}, "cache_control": CACHED}),
        ({"type": "file", "base64": "JVBERi0=", "mime_type": "application/pdf",
          "extras": {"filename": "a.pdf", "citations": {"enabled": True}}},
         {"type": "document", "title": "a.pdf", "citations": {"enabled": True},
          "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}),
        ({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=",
                                   "filename": "a.pdf"}},
         {"type": "document", "title": "a.pdf",
          "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}),
        ({"type": "file", "url": "https://x.test/a.pdf"},
         {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}}),
        ({"type": "file", "file_id": "file_1"},
         {"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
        ({"type": "file", "base64": b64encode(b"one").decode(), "mime_type": "text/csv"},
         {"type": "document",
          "source": {"type": "text", "media_type": "text/plain", "data": "one"}}),
        ({"type": "file", "base64": PNG, "mime_type": "image/png"},
         {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}),
        ({"type": "text-plain", "text": "Facts.", "title": "T", "context": "C"},
         {"type": "document", "title": "T", "context": "C",
          "source": {"type": "text", "media_type": "text/plain", "data": "Facts."}}),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
         {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}),
        ({"type": "search_result", "source": "s", "title": "t", "content": []},
         {"type": "search_result", "source": "s", "title": "t", "content": []}),
        ({"type": "non_standard", "value": {"type": "container_upload", "file_id": "f"}},
         {"type": "container_upload", "file_id": "f"}),
    ],
)  # fmt: skip
def test_a_block(given: Any, sent: Any) -> None:
    assert blocks(given) == [sent]


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_what_cannot_be_seen_or_read_is_refused(kind: str) -> None:
    with pytest.raises(InputError, match=f"no {kind}"):
        blocks({"type": kind, "base64": "AAAA", "mime_type": f"{kind}/x"})


def test_a_block_without_data_is_refused() -> None:
    with pytest.raises(InputError, match="needs a url"):
        blocks({"type": "image", "mime_type": "image/png"})


def test_texts_of_space_alone_are_left_out() -> None:
    assert turns(HumanMessage([" ", {"type": "text", "text": "\n"}, "?"]))[0]["content"] == "?"


# ---- what the model said ----


def test_tool_calls_and_results() -> None:
    found = turns(
        HumanMessage("?"),
        AIMessage("I look.", tool_calls=[CALL, {**CALL, "id": "toolu_2"}]),
        ToolMessage("sunny", tool_call_id="toolu_1"),
        HumanMessage("Go on."),
        ToolMessage("no such city", tool_call_id="toolu_2", status="error"),
    )
    use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}}
    assert found[1:] == [
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "I look."}, use, {**use, "id": "toolu_2"}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": "no such city",
                    "is_error": True,
                },
                {"type": "text", "text": "Go on."},
            ],
        },
    ]


def test_a_result_with_an_image() -> None:
    image = {"type": "image", "base64": PNG, "mime_type": "image/png"}
    message = ToolMessage(["Look:", image], tool_call_id="toolu_1")
    result = turns(AIMessage("", tool_calls=[CALL]), message)[-1]["content"][0]
    assert [block["type"] for block in result["content"]] == ["text", "image"]
    assert result["content"][1]["source"]["data"] == PNG


def test_ids_of_other_vendors_are_made_to_fit() -> None:
    call = {**CALL, "id": "functions.weather:0"}
    found = turns(AIMessage("", tool_calls=[call]), ToolMessage("x", tool_call_id=call["id"]))
    assert found[0]["content"][0]["id"] == "functions_weather_0"
    assert found[1]["content"][0]["tool_use_id"] == "functions_weather_0"


def test_a_call_that_is_no_json_goes_back_where_a_result_answers_it() -> None:
    broken = {"name": "weather", "args": '{"city"', "id": "toolu_1", "error": None}
    message = AIMessage("Hm", invalid_tool_calls=[broken])
    assert said(message) == "Hm"
    use = turns(message, ToolMessage("?", tool_call_id="toolu_1"))[0]["content"][1]
    assert use["input"] == {"INVALID_JSON": '{"city"'}


def test_thoughts_go_back_with_their_signature() -> None:
    thought = {"type": "reasoning", "reasoning": "Hm", "extras": {"signature": "s"}, "index": 0}
    hidden = {"type": "non_standard", "value": {"type": "redacted_thinking", "data": "d"}}
    unsigned = {"type": "reasoning", "reasoning": "no proof"}
    message = AIMessage(
        [thought, hidden, unsigned, {"type": "text", "text": "Yes.", "index": 1}],
        response_metadata=HOME,
    )
    assert said(message) == [
        {"type": "thinking", "thinking": "Hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "Yes."},
    ]


def test_of_other_vendors_text_and_calls_go_back() -> None:
    content = [
        {"type": "reasoning", "reasoning": "Hm", "extras": {"signature": "theirs"}},
        {"type": "server_tool_call", "name": "web_search", "args": {}, "id": "ws_1"},
        {"type": "text", "text": "Yes.", "annotations": [{"type": "citation", "url": "u"}]},
        {"type": "non_standard", "value": {"type": "x"}},
    ]
    message = AIMessage(content, tool_calls=[CALL], response_metadata=AWAY)
    assert said(message) == [
        {"type": "text", "text": "Yes."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
    ]


def test_tools_of_anthropics_own_go_back_as_they_came() -> None:
    message = AIMessage(
        [
            {"type": "server_tool_call", "name": "web_search", "args": {"query": "q"}, "id": "s1",
             "index": 0},
            {"type": "server_tool_result", "tool_call_id": "s1", "status": "success", "index": 1,
             "output": [{"type": "web_search_result", "encrypted_content": "e"}],
             "extras": {"block_type": "web_search_tool_result", "caller": {"type": "direct"}}},
            {"type": "server_tool_call", "name": "code_interpreter", "args": {"code": "1"},
             "id": "s2"},
            {"type": "server_tool_call", "name": "remote_mcp", "args": {}, "id": "s3",
             "extras": {"tool_name": "greet", "server_name": "m"}},
            {"type": "server_tool_result", "tool_call_id": "s3", "status": "error", "output": [],
             "extras": {"block_type": "mcp_tool_result"}},
        ],
        response_metadata=HOME,
    )  # fmt: skip
    assert said(message) == [
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "caller": {"type": "direct"},
         "content": [{"type": "web_search_result", "encrypted_content": "e"}]},
        {"type": "server_tool_use", "id": "s2", "name": "code_execution", "input": {"code": "1"}},
        {"type": "mcp_tool_use", "id": "s3", "name": "greet", "server_name": "m", "input": {}},
        {"type": "mcp_tool_result", "tool_use_id": "s3", "content": [], "is_error": True},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "sent"),
    [
        ({"type": "citation", "cited_text": "c", "title": "T",
          "extras": {"document_index": 0, "start_char_index": 1, "end_char_index": 2,
                     "file_id": None}},
         {"type": "char_location", "cited_text": "c", "document_index": 0, "document_title": "T",
          "start_char_index": 1, "end_char_index": 2}),
        ({"type": "citation", "cited_text": "c", "url": "u", "title": "T",
          "extras": {"encrypted_index": "e"}},
         {"type": "web_search_result_location", "cited_text": "c", "encrypted_index": "e",
          "title": "T", "url": "u"}),
        ({"type": "citation", "cited_text": "c", "title": "T",
          "extras": {"search_result_index": 0, "source": "s", "start_block_index": 0,
                     "end_block_index": 1}},
         {"type": "search_result_location", "cited_text": "c", "search_result_index": 0,
          "source": "s", "title": "T", "start_block_index": 0, "end_block_index": 1}),
        ({"type": "non_standard_annotation", "value": {"type": "new", "x": 1}},
         {"type": "new", "x": 1}),
    ],
)  # fmt: skip
def test_citations_go_back(annotation: Any, sent: Any) -> None:
    block = {"type": "text", "text": "Yes.", "annotations": [annotation]}
    assert said(AIMessage([block], response_metadata=HOME))[0]["citations"] == [sent]


def test_citations_of_others_do_not() -> None:
    other = {"type": "citation", "url": "u", "start_index": 0, "end_index": 1}
    block = {"type": "text", "text": "Yes.", "annotations": [other]}
    assert said(AIMessage([block])) == "Yes."


def test_blocks_in_langchains_form() -> None:
    message = AIMessage(
        [
            {"type": "thinking", "thinking": "Hm", "signature": "s", "index": 0},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}, "index": 1,
             "partial_json": '{"city": "Rome"}'},
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {},
             "partial_json": '{"query": "q"}'},
            {"type": "tool_use", "id": "toolu_9", "name": "other", "input": {"a": 1}},
            {"type": "input_json_delta", "partial_json": "{}"},
            {"type": "text", "text": "so", "citations": [{"type": "new", "x": 1}]},
        ],
        tool_calls=[CALL],
    )  # fmt: skip
    assert said(message) == [
        {"type": "thinking", "thinking": "Hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
        {"type": "tool_use", "id": "toolu_9", "name": "other", "input": {"a": 1}},
        {"type": "text", "text": "so", "citations": [{"type": "new", "x": 1}]},
    ]


def test_an_answer_of_nothing_is_left_out() -> None:
    found = turns(HumanMessage("A"), AIMessage(" \n"), HumanMessage("B"))
    assert [turn["role"] for turn in found] == ["user"]


def test_the_beginning_of_an_answer_ends_in_no_space() -> None:
    assert turns(HumanMessage("?"), AIMessage("It is \n"))[-1]["content"] == "It is"
    assert (
        turns(HumanMessage("?"), AIMessage("It is "), HumanMessage("!"))[1]["content"] == "It is "
    )


def test_messages_stay_as_they_were() -> None:
    content = [{"type": "text", "text": "A ", "index": 0}]
    message = AIMessage(content, tool_calls=[CALL], response_metadata=HOME)
    before = json.dumps(message.content)
    turns(HumanMessage("?"), message, ToolMessage("x", tool_call_id="toolu_1"))
    assert json.dumps(message.content) == before


# ---- tools ----

FUNCTION = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "Does.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
        "strict": True,
    },
    "cache_control": CACHED,
    "unknown": 1,
}


def test_a_function() -> None:
    bare = {"type": "function", "function": {"name": "g", "description": ""}}
    assert request_tools([FUNCTION, bare]) == [
        {
            "name": "f",
            "description": "Does.",
            "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
            "strict": True,
            "cache_control": CACHED,
        },
        {"name": "g", "input_schema": {"type": "object", "properties": {}}},
    ]


@pytest.mark.parametrize(
    ("tool", "own"),
    [
        ({"type": "web_search_20250305", "name": "web_search"}, True),
        ({"type": "mcp_toolset", "mcp_server_name": "m"}, True),
        ({"name": "f", "input_schema": {"type": "object"}}, True),
        (FUNCTION, False),
        ({"title": "T", "type": "object", "properties": {}}, False),
        ({"name": "f", "parameters": {"type": "object"}}, False),
        (len, False),
    ],
)
def test_which_tools_are_anthropics_own(tool: Any, own: bool) -> None:
    assert is_own_tool(tool) is own


@pytest.mark.parametrize(
    ("choice", "parallel", "sent"),
    [
        (None, None, None),
        ("auto", None, {"type": "auto"}),
        ("none", False, {"type": "none"}),
        ("any", None, {"type": "any"}),
        ("required", None, {"type": "any"}),
        ("f", None, {"type": "tool", "name": "f"}),
        ("f", False, {"type": "tool", "name": "f", "disable_parallel_tool_use": True}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("any", True, {"type": "any", "disable_parallel_tool_use": False}),
        ({"type": "tool", "name": "f"}, None, {"type": "tool", "name": "f"}),
        ({"type": "function", "function": {"name": "f"}}, None, {"type": "tool", "name": "f"}),
    ],
)
def test_the_choice_of_a_tool(choice: Any, parallel: Any, sent: Any) -> None:
    assert tool_choice(choice, parallel) == sent


def test_a_schema_for_structured_outputs() -> None:
    schema = {
        "type": "object",
        "title": "Person",
        "required": ["age"],
        "properties": {
            "age": {"type": "integer", "minimum": 0, "description": "Years."},
            "born": {"type": "string", "format": "date"},
            "mail": {"type": "string", "format": "odd"},
            "tags": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"$ref": "#/$defs/T"}},
            "either": {"oneOf": [{"type": "null"}, {"type": "object", "properties": {}}]},
        },
        "$defs": {"T": {"type": "object", "properties": {"x": {"const": 1}}}},
    }
    before = json.dumps(schema)
    assert closed_schema(schema) == {
        "type": "object",
        "title": "Person",
        "required": ["age"],
        "additionalProperties": False,
        "properties": {
            "age": {"type": "integer", "description": "Years.\n\n(minimum: 0)"},
            "born": {"type": "string", "format": "date"},
            "mail": {"type": "string", "description": "(format: odd)"},
            "tags": {
                "type": "array",
                "minItems": 1,
                "items": {"$ref": "#/$defs/T"},
                "description": "(maxItems: 3)",
            },
            "either": {
                "anyOf": [
                    {"type": "null"},
                    {"type": "object", "properties": {}, "additionalProperties": False},
                ]
            },
        },
        "$defs": {
            "T": {
                "type": "object",
                "properties": {"x": {"const": 1}},
                "additionalProperties": False,
            }
        },
    }
    assert json.dumps(schema) == before


def test_a_format_in_anthropics_own_form_stays() -> None:
    own = {"type": "json_schema", "schema": {"type": "string", "minLength": 1}}
    assert output_format(own) == own


@pytest.mark.parametrize(
    ("request_", "given", "betas"),
    [
        ({}, None, []),
        ({}, ["a"], ["a"]),
        ({"tools": [{"type": "computer_20250124"}, {"name": "f"}]}, ["a"],
         ["a", "computer-use-2025-01-24"]),
        ({"mcp_servers": [{"url": "u"}], "tools": [{"type": "mcp_toolset"}]}, None,
         ["mcp-client-2025-11-20"]),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, None,
         ["context-management-2025-06-27", "compact-2026-01-12"]),
        ({"output_config": {"task_budget": {"total": 9}}}, None, ["task-budgets-2026-03-13"]),
    ],
)  # fmt: skip
def test_betas(request_: Any, given: Any, betas: Any) -> None:
    assert betas_for(request_, given) == betas
