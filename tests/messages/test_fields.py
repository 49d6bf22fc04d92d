"""Messages and documents as fields of users' pydantic models, beside langchain-core's."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import langchain_core.documents as lc_documents
import langchain_core.messages as lc
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError, create_model

import headrace.documents as hr_documents
import headrace.messages as hr
from headrace.errors import InputError


def model_of(messages: Any, documents: Any) -> type[BaseModel]:
    """The same model with the types of either library."""
    return create_model(
        "M",
        any=(messages.AnyMessage | None, None),
        base=(messages.BaseMessage | None, None),
        human=(messages.HumanMessage | None, None),
        ai=(messages.AIMessage | None, None),
        chunk=(messages.AIMessageChunk | None, None),
        tool=(messages.ToolMessage | None, None),
        many=(list[messages.AnyMessage], []),
        doc=(documents.Document | None, None),
        docs=(list[documents.Document], []),
    )


Theirs, Ours = model_of(lc, lc_documents), model_of(hr, hr_documents)
CALL = {"name": "f", "args": {"a": 1}, "id": "1"}
GIVEN: list[dict[str, Any]] = [
    {"any": {"type": "human", "content": "x"}},
    {"any": {"type": "ai", "content": "x", "tool_calls": [CALL]}},
    {"any": {"type": "AIMessageChunk", "content": "x", "tool_call_chunks": [
        {"name": "f", "args": "{", "id": "1", "index": 0}]}},
    {"any": {"type": "chat", "content": "x", "role": "r"}},
    {"any": {"type": "ToolMessageChunk", "content": "x", "tool_call_id": "1"}},
    {"any": {"type": "human", "content": [{"type": "text", "text": "x"}]}},
    {"human": {"content": "x", "id": "1", "name": "n"}},
    {"ai": {"content": "x", "usage_metadata": {"input_tokens": 1, "output_tokens": 1,
                                               "total_tokens": 2}}},
    {"base": {"type": "human", "content": "x"}},
    {"chunk": {"content": "x", "chunk_position": "last"}},
    {"tool": {"content": "x", "tool_call_id": "1", "artifact": {"a": 1}}},
    {"many": [{"type": "human", "content": "x"}, {"type": "ai", "content": "y"}]},
    {"doc": {"page_content": "x", "metadata": {"a": 1}}},
    {"docs": [{"page_content": "x", "id": "1", "type": "Document"}]},
]  # fmt: skip
REFUSED: list[dict[str, Any]] = [
    {"any": {"content": "x"}},
    {"any": {"type": "nobody", "content": "x"}},
    {"any": {"type": "remove", "id": "1", "content": ""}},
    {"any": {"type": "chat", "content": "x"}},
    {"any": 5},
    {"base": {"content": "x"}},
    {"human": {"type": "ai", "content": "x"}},
    {"human": {"content": 5}},
    {"chunk": {"type": "ai", "content": "x"}},
    {"ai": {"content": "x", "tool_calls": [{"name": 5}]}},
    {"tool": {"content": "x"}},
    {"tool": {"content": "x", "tool_call_id": "1", "status": "odd"}},
    {"many": {"type": "human", "content": "x"}},
    {"doc": {"page_content": 5}},
    {"doc": "x"},
]


@pytest.mark.parametrize("given", GIVEN, ids=repr)
def test_what_a_field_takes(given: dict[str, Any]):
    ours, theirs = Ours.model_validate(given), Theirs.model_validate(given)
    for arguments in ({}, {"exclude_none": True}, {"mode": "json"}):
        assert ours.model_dump(**arguments) == theirs.model_dump(**arguments)
    assert json.loads(ours.model_dump_json()) == json.loads(theirs.model_dump_json())
    assert Ours.model_validate(ours.model_dump()) == ours
    assert Ours.model_validate_json(theirs.model_dump_json()) == ours
    assert ours.model_copy(deep=True) == ours


@pytest.mark.parametrize("given", REFUSED, ids=repr)
def test_what_a_field_refuses(given: dict[str, Any]):
    with pytest.raises((ValidationError, TypeError, KeyError)):
        Theirs.model_validate(given)
    with pytest.raises(ValidationError) as caught:
        Ours.model_validate(given)
    assert caught.value.errors()[0]["loc"][0] in given  # each error says which field it is


def test_any_message_is_read_from_what_describes_one():
    one = TypeAdapter(hr.AnyMessage)
    for given, wanted in (
        ("x", hr.HumanMessage("x")),
        (("ai", "x"), hr.AIMessage("x")),
        ({"role": "user", "content": "x"}, hr.HumanMessage("x")),
        (hr.ToolMessageChunk("x", tool_call_id="1"), hr.ToolMessageChunk("x", tool_call_id="1")),
    ):
        made = one.validate_python(given)
        assert made == wanted
        assert one.validate_python(made) is made


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_json_schemas_hold_what_is_written(mode: Any):
    schema = Ours.model_json_schema(mode=mode)
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    for given in GIVEN:
        check.validate(json.loads(Ours.model_validate(given).model_dump_json()))
    assert not check.is_valid({"human": {"content": 5}})
    assert not check.is_valid({"many": [{"content": "x", "type": "nobody"}]})
    any_message = schema["properties"]["many"]["items"]
    assert any_message["discriminator"] == {"propertyName": "type"}
    assert len(any_message["oneOf"]) == 12


MESSAGES: list[hr.BaseMessage] = [
    hr.HumanMessage("x", name="n", id="1"),
    hr.AIMessage(["x", {"type": "image", "url": "u"}], tool_calls=[CALL]),
    hr.AIMessageChunk("x") + hr.AIMessageChunk("y"),
    hr.ToolMessage("x", tool_call_id="1", artifact={"a": 1}, status="error"),
    hr.RemoveMessage("1"),
    hr.ChatMessage("x", role="r"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_messages_by_themselves(message: hr.BaseMessage):
    kind: Any = hr.AIMessageChunk if isinstance(message, hr.AIMessageChunk) else type(message)
    assert kind.model_validate(message.model_dump()) == message
    assert kind.model_validate_json(message.model_dump_json()) == message
    assert hr.BaseMessage.model_validate(message.model_dump()) == message
    assert message.model_copy() == message
    assert message.model_copy(update={"id": "9"}).id == "9"
    with pytest.raises(InputError, match="no JSON"):
        kind.model_validate_json("{")


def test_documents_by_themselves():
    document = hr_documents.Document("x", {"a": None}, "1")
    assert hr_documents.Document.model_validate_json(document.model_dump_json()) == document
    slim = json.loads(hr_documents.Document("x").model_dump_json(exclude_none=True))
    assert slim == {"metadata": {}, "page_content": "x", "type": "Document"}


@pytest.mark.parametrize("kind", [hr.HumanMessage, hr.AIMessage, hr.BaseMessage, hr.ToolMessage])
def test_a_class_of_messages_gives_its_json_schema(kind: Any):
    schema = kind.model_json_schema()
    assert schema == TypeAdapter(kind).json_schema()
    assert kind.model_json_schema(mode="serialization")["type"] == "object"
    jsonschema.Draft202012Validator.check_schema(schema)
