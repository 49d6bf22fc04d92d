"""What ChatCohere asks for: messages, tools, documents and settings in Cohere's words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from headrace.documents import Document
from headrace.errors import ConfigError, InputError
from headrace.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from headrace.providers import ChatCohere

KEY: Any = "a-key"
OWN = {"model_provider": "cohere"}


def asked(messages: Any, given: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    model = ChatCohere(model="command-a", api_key=KEY, **settings)
    request = model._request(messages, None, dict(given or {}), stream=True)
    assert request.pop("model") == "command-a"
    return request


def said(*messages: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = asked(list(messages))["messages"]
    return sent


def test_a_conversation_with_tools() -> None:
    call = {"name": "add", "args": {"a": 1}, "id": "add_1", "type": "tool_call"}
    plan = {"type": "reasoning", "reasoning": "I will add.", "extras": {"tool_plan": True}}
    thought = {"type": "reasoning", "reasoning": "Hm"}
    assert said(
        SystemMessage("Be short."),
        HumanMessage("1+1?"),
        AIMessage([plan, thought], tool_calls=[call], response_metadata=OWN),
        ToolMessage("2", tool_call_id="add_1"),
        AIMessage([thought, {"type": "text", "text": "2", "annotations": []}],
                  response_metadata=OWN),
        HumanMessage("And?"),
    ) == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "1+1?"},
        {
            "role": "assistant",
            "tool_plan": "I will add.",
            "content": [{"type": "thinking", "thinking": "Hm"}],
            "tool_calls": [
                {"type": "function", "id": "add_1",
                 "function": {"name": "add", "arguments": '{"a": 1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "add_1", "content": "2"},
        {"role": "assistant",
         "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "2"}]},
        {"role": "user", "content": "And?"},
    ]  # fmt: skip


def test_a_call_with_no_more_than_a_plan_has_no_content() -> None:
    plan = {"type": "reasoning", "reasoning": "P", "extras": {"tool_plan": True}}
    call = {"name": "f", "args": {}, "id": "1", "type": "tool_call"}
    (sent,) = said(AIMessage([plan], tool_calls=[call], response_metadata=OWN))
    assert "content" not in sent
    assert sent["tool_plan"] == "P"


def test_what_another_vendors_model_thought_is_not_sent() -> None:
    thought = {"type": "reasoning", "reasoning": "secret", "extras": {"signature": "s"}}
    (sent,) = said(AIMessage([thought, {"type": "text", "text": "2"}]))
    assert sent == {"role": "assistant", "content": "2"}


def test_images_and_documents_of_tools() -> None:
    image = {"type": "image", "base64": "aGk=", "mime_type": "image/png"}
    document = {"type": "document", "document": {"data": {"text": "t"}}}
    user, tool = said(
        HumanMessage([{"type": "text", "text": "What?"}, image]),
        ToolMessage([document], tool_call_id="1"),
    )
    assert user["content"][1] == {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,aGk="},
    }
    assert tool["content"] == [document]


def test_a_block_that_cohere_does_not_take_is_refused() -> None:
    with pytest.raises(InputError, match="no content block of type 'file'"):
        said(HumanMessage([{"type": "file", "file": {"file_id": "f"}}]))


def test_no_message_is_refused() -> None:
    with pytest.raises(InputError, match="at least one message"):
        said()


def test_settings_in_coheres_words() -> None:
    request = asked(
        [HumanMessage("?")], {"p": 0.5}, temperature=0, top_k=3, stop=["x"], max_tokens=9, seed=1,
        thinking={"type": "disabled"}, model_kwargs={"priority": 1},
    )  # fmt: skip
    del request["messages"]
    assert request == {
        "temperature": 0, "k": 3, "stop_sequences": ["x"], "max_tokens": 9, "seed": 1, "p": 0.5,
        "thinking": {"type": "disabled"}, "priority": 1,
    }  # fmt: skip


TOOLS = [
    {"type": "function", "function": {"name": name, "description": "", "parameters": {}}}
    for name in ("add", "take")
]


@pytest.mark.parametrize(
    ("choice", "word", "tools"),
    [
        ("any", "REQUIRED", ["add", "take"]),
        ("none", "NONE", ["add", "take"]),
        ("auto", None, ["add", "take"]),
        ("take", "REQUIRED", ["take"]),
    ],
)
def test_tool_choice(choice: str, word: str | None, tools: list[str]) -> None:
    request = asked([HumanMessage("?")], {"tools": TOOLS, "tool_choice": choice})
    assert request.get("tool_choice") == word
    assert [tool["function"]["name"] for tool in request["tools"]] == tools


def test_strict_tools_are_strict_all_together() -> None:
    strict = [{**tool, "function": {**tool["function"], "strict": True}} for tool in TOOLS]
    request = asked([HumanMessage("?")], {"tools": strict})
    assert request["strict_tools"] is True
    assert request["tools"] == TOOLS
    assert strict[0]["function"]["strict"] is True, "what was bound stays as it was"


def test_one_call_at_a_time_cannot_be_asked_for() -> None:
    with pytest.raises(ConfigError, match="parallel_tool_calls=False"):
        asked([HumanMessage("?")], {"tools": TOOLS, "parallel_tool_calls": False})
    request = asked([HumanMessage("?")], {"tools": TOOLS, "parallel_tool_calls": True})
    assert "parallel_tool_calls" not in request


def test_documents_in_all_their_forms() -> None:
    given = [
        "a text",
        Document(page_content="p", metadata={"title": "T"}, id="1"),
        {"id": 2, "text": "t"},
        {"data": {"text": "d"}},
    ]
    request = asked([HumanMessage("?")], documents=given)
    assert request["documents"] == [
        "a text",
        {"id": "1", "data": {"text": "p", "title": "T"}},
        {"id": "2", "data": {"text": "t"}},
        {"data": {"text": "d"}},
    ]


class Person(BaseModel):
    name: str


@pytest.mark.parametrize("method", ["json_schema", "json_mode", "function_calling"])
def test_structured_output(method: Any) -> None:
    model = ChatCohere(model="command-a", api_key=KEY)
    bound: Any = model.with_structured_output(Person, method=method)
    given = dict(next(step for step in bound.steps if hasattr(step, "kwargs")).kwargs)
    given.pop("ls_structured_output_format", None)
    request = asked([HumanMessage("?")], given)
    if method == "function_calling":
        assert request["tool_choice"] == "REQUIRED"
        assert request["tools"][0]["function"]["name"] == "Person"
    elif method == "json_mode":
        assert request["response_format"] == {"type": "json_object"}
    else:
        assert request["response_format"]["type"] == "json_object"
        assert request["response_format"]["json_schema"]["required"] == ["name"]


@pytest.mark.parametrize(
    ("messages", "given", "blocks"),
    [
        ([HumanMessage("?")], {}, False),
        ([HumanMessage("?")], {"documents": ["d"]}, True),
        ([HumanMessage("?")], {"documents": ["d"], "citation_options": {"mode": "OFF"}}, False),
        ([ToolMessage("r", tool_call_id="1")], {}, True),
    ],
)
def test_where_citations_may_come_text_is_in_blocks(
    messages: list[Any], given: dict[str, Any], blocks: bool
) -> None:
    model = ChatCohere(model="command-a", api_key=KEY)
    reader = model._reader(model._request(messages, None, given, stream=True))
    piece = {"message": {"content": {"text": "a"}}}
    (chunk,) = reader.feed({"type": "content-delta", "index": 0, "delta": piece})
    assert isinstance(chunk.content, list) is blocks
