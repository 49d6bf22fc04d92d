"""Messages and documents as fields of users' pydantic models, and their own `model_*` methods.

A field takes what users write (dicts, tuples, strings), tells its kind apart, gives a JSON schema,
and comes back from JSON as what it was.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Annotated, Any

import jsonschema
import pytest
from hypothesis import given
from pydantic import BaseModel, Field, RootModel, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from headrace.documents import Document
from headrace.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from headrace.outputs import ChatGeneration, Generation
from text_side.kit import told
from text_side.twin import OURS, build, conversations

CALL = {"name": "f", "args": {"a": 1}, "id": "c1", "type": "tool_call"}


class Chat(BaseModel):
    messages: list[AnyMessage] = Field(default_factory=list)
    last: AIMessage | None = None
    anything: BaseMessage | None = None
    documents: list[Document] = Field(default_factory=list)


EVERY = [
    HumanMessage("hi", id="1", name="anna"),
    AIMessage("yo", tool_calls=[CALL], usage_metadata=told(1, 2)),
    SystemMessage("s"),
    ToolMessage("r", tool_call_id="c1", status="error", artifact={"k": 1}),
    ChatMessage("x", role="king"),
    AIMessageChunk("p", tool_call_chunks=[{"name": "f", "args": "{", "id": "c", "index": 0}]),
    HumanMessage([{"type": "text", "text": "a"}, {"type": "image", "url": "https://a.example"}]),
]


def test_messages_are_taken_as_they_are():
    chat = Chat(messages=EVERY, last=EVERY[1], anything=EVERY[0])
    assert all(a is b for a, b in zip(chat.messages, EVERY, strict=True))
    assert chat.last is EVERY[1]


@pytest.mark.parametrize(
    ("form", "kind", "content"),
    [
        ("hi", HumanMessage, "hi"),
        (("ai", "yo"), AIMessage, "yo"),
        (["system", "s"], SystemMessage, "s"),
        ({"role": "user", "content": "u"}, HumanMessage, "u"),
        ({"type": "human", "content": "h"}, HumanMessage, "h"),
        ({"role": "assistant", "content": "a"}, AIMessage, "a"),
        ({"role": "tool", "content": "t", "tool_call_id": "c"}, ToolMessage, "t"),
        ({"type": "chat", "content": "c", "role": "king"}, ChatMessage, "c"),
        ({"type": "AIMessageChunk", "content": "p"}, AIMessageChunk, "p"),
    ],
)
@pytest.mark.parametrize("field", ["messages", "anything"])
def test_every_form_is_validated(form, kind, content, field):
    chat = Chat(**{field: [form] if field == "messages" else form})
    message = chat.messages[0] if field == "messages" else chat.anything
    assert type(message) is kind
    assert message.content == content


def test_a_field_of_one_kind_takes_that_kind_only():
    assert Chat(last={"role": "assistant", "content": "a"}).last.content == "a"
    assert Chat(last={"type": "ai", "content": "a"}).last.content == "a"
    for other in (HumanMessage("h"), {"role": "user", "content": "h"}, ("human", "h")):
        with pytest.raises(ValidationError, match="last"):
            Chat(last=other)


BAD = [
    {"role": "king", "content": "x"},
    {"content": "x"},
    ("king", "x"),
    7,
    None,
    {"type": "human", "content": 7},
    {"type": "tool", "content": "x"},
    {"type": "ai", "content": "x", "tool_calls": "f"},
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_what_is_no_message_is_a_validation_error_at_its_place(bad):
    with pytest.raises(ValidationError) as caught:
        Chat(messages=["fine", bad])
    assert all(error["loc"][:2] == ("messages", 1) for error in caught.value.errors())


def test_dumping_and_validating_again():
    chat = Chat(
        messages=EVERY,
        last=EVERY[1],
        anything=EVERY[3],
        documents=[Document("d", metadata={"k": [1]}, id="7")],
    )
    assert Chat.model_validate(chat.model_dump()) == chat
    assert Chat.model_validate_json(chat.model_dump_json()) == chat
    types = [type(m) for m in Chat.model_validate_json(chat.model_dump_json()).messages]
    assert types == [type(m) for m in EVERY]
    assert isinstance(chat.model_dump()["messages"][0], dict)


@given(conversations())
def test_any_conversation_survives_json(specs):
    chat = Chat(messages=build(OURS, specs))
    assert Chat.model_validate_json(chat.model_dump_json()) == chat
    for message in chat.messages:
        assert type(message).model_validate(message.model_dump()) == message
        assert type(message).model_validate_json(message.model_dump_json()) == message


def test_documents():
    chat = Chat(documents=[{"page_content": "x", "metadata": {"a": 1}}, Document("y")])
    assert [d.page_content for d in chat.documents] == ["x", "y"]
    assert chat.documents[0].metadata == {"a": 1}
    for bad in ({"metadata": {}}, {"page_content": 7}, 7, {"page_content": "x", "typo": 1}):
        with pytest.raises(ValidationError):
            Chat(documents=[bad])
    document = Document("x", metadata={"a": 1}, id="7")
    assert Document.model_validate(document.model_dump()) == document
    assert Document.model_validate_json(document.model_dump_json()) == document


def test_json_schemas_can_be_made_and_hold_for_the_dumps():
    schema = Chat.model_json_schema()
    chat = Chat(messages=EVERY, last=EVERY[1], documents=[Document("d")])
    jsonschema.validate(chat.model_dump(mode="json"), schema)
    jsonschema.validate(chat.model_dump(mode="json"), Chat.model_json_schema(mode="serialization"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"messages": [{"type": "king", "content": "x"}]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"documents": [{"metadata": {}}]}, schema)


@pytest.mark.parametrize("kind", [HumanMessage, AIMessage, ToolMessage, Document, AIMessageChunk])
def test_type_adapters_and_their_schemas(kind):
    adapter = TypeAdapter(kind)
    schema = adapter.json_schema()
    assert schema["type"] == "object"
    wanted = "page_content" if kind is Document else "content"
    assert wanted in schema["properties"]
    assert adapter.json_schema(mode="serialization")["type"] == "object"


def test_any_message_by_itself():
    adapter = TypeAdapter(AnyMessage)
    for message in EVERY:
        assert adapter.validate_python(message) is message
        assert adapter.validate_json(adapter.dump_json(message)) == message


def test_in_dataclasses_typed_dicts_and_unions():
    @dataclasses.dataclass
    class State:
        messages: list[AnyMessage]

    class Typed(TypedDict):
        message: AnyMessage
        document: Document

    assert TypeAdapter(State).validate_python({"messages": ["hi"]}).messages[0].content == "hi"
    typed = TypeAdapter(Typed).validate_python(
        {"message": ("ai", "x"), "document": {"page_content": "d"}}
    )
    assert isinstance(typed["message"], AIMessage)
    assert isinstance(typed["document"], Document)
    union = TypeAdapter(HumanMessage | AIMessage)
    assert isinstance(union.validate_python({"type": "ai", "content": "x"}), AIMessage)
    assert isinstance(union.validate_python({"type": "human", "content": "x"}), HumanMessage)
    tagged: Any = TypeAdapter(Annotated[HumanMessage | AIMessage, Field(discriminator=None)])
    assert isinstance(tagged.validate_python(AIMessage("x")), AIMessage)


def test_strict_models_take_instances():
    class Strict(BaseModel, strict=True):
        message: AnyMessage
        document: Document

    strict = Strict(message=AIMessage("x"), document=Document("d"))
    assert strict.message.content == "x"


def test_a_subclass_of_a_users_own():
    class Marked(HumanMessage):
        pass

    message = Marked("x")
    assert Chat(messages=[message]).messages[0] is message
    assert Chat(messages=[message]).model_dump()["messages"][0]["content"] == "x"


def test_excluding_and_including_fields():
    chat = Chat(messages=[HumanMessage("hi", id="1")])
    dumped = chat.model_dump(include={"messages"})
    assert list(dumped) == ["messages"]
    assert dumped["messages"][0]["content"] == "hi"
    assert Chat().model_dump(exclude_defaults=True) == {}


def test_copies():
    message = AIMessage("x", tool_calls=[CALL], response_metadata={"a": {"b": 1}})
    shallow, deep = message.model_copy(), message.model_copy(deep=True)
    changed = message.model_copy(update={"content": "y"})
    assert shallow == deep == message
    assert (changed.content, message.content) == ("y", "x")
    deep.response_metadata["a"]["b"] = 2
    assert message.response_metadata == {"a": {"b": 1}}


def test_outputs_have_the_same_methods():
    generation = ChatGeneration(message=AIMessage("x"), generation_info={"a": 1})
    assert ChatGeneration.model_validate(generation.model_dump()) == generation
    assert Generation.model_validate(Generation(text="t").model_dump()) == Generation(text="t")


def test_chunks_are_slotted_and_validate_nothing():
    chunk = AIMessageChunk("x")
    assert not isinstance(chunk, BaseModel)
    with pytest.raises((AttributeError, TypeError, ValueError)):
        chunk.typo = 1
    begun = time.perf_counter()
    for _ in range(20_000):
        AIMessageChunk("x")
    assert time.perf_counter() - begun < 0.5  # langchain-core takes 0.1 s on an idle machine


@pytest.mark.parametrize("keywords", [{"content": "x", "typo": 1}, {"content": 7}, {}])
def test_constructors_refuse_what_is_no_field(keywords):
    with pytest.raises((TypeError, ValueError)):
        HumanMessage(**keywords)


def test_remove_message_in_a_field():
    chat = Chat(anything=RemoveMessage("7"))
    assert Chat.model_validate(chat.model_dump()).anything == RemoveMessage("7")


def test_base_messages_in_lists_keep_their_kinds():
    class Turn(BaseModel, validate_assignment=True):
        said: list[BaseMessage]
        best: AIMessage | HumanMessage | None = None

    turn = Turn(said=EVERY)
    back = Turn.model_validate_json(turn.model_dump_json())
    assert [type(m) for m in back.said] == [type(m) for m in EVERY]
    assert back == turn
    turn.best = {"type": "human", "content": "x"}
    assert isinstance(turn.best, HumanMessage)
    with pytest.raises(ValidationError):
        turn.best = {"role": "system", "content": "x"}


def test_a_field_of_text_or_message_reads_json_like_python():
    class Step(BaseModel):
        either: str | AnyMessage
        other: str | BaseMessage = "y"

    for given_, kind in (("x", str), ({"type": "ai", "content": "x"}, AIMessage)):
        step = Step(either=given_)
        assert isinstance(step.either, kind)
        assert Step.model_validate_json(step.model_dump_json()) == step


def test_root_models_and_defaults():
    root = RootModel[list[AnyMessage]].model_validate(["hi", ("ai", "yo")])
    assert [m.type for m in root.root] == ["human", "ai"]
    assert RootModel[list[AnyMessage]].model_validate_json(root.model_dump_json()) == root

    class Config(BaseModel):
        greeting: AIMessage = AIMessage("hello")

    one, two = Config(), Config()
    one.greeting.content = "spoiled"
    assert two.greeting.content == Config().greeting.content


def test_an_any_message_says_its_kind_in_the_schema():
    """The kinds are told apart by `type`, so each branch of the schema fixes it."""
    schema = TypeAdapter(AnyMessage).json_schema()
    branches = schema.get("oneOf") or schema.get("anyOf")
    kinds = set()
    for branch in branches:
        definition = schema["$defs"][branch["$ref"].split("/")[-1]]
        kinds.add(definition["properties"]["type"]["const"])
    assert {"human", "ai", "system", "tool", "chat", "function", "AIMessageChunk"} <= kinds


def test_bytes_in_content_survive_json_or_are_refused():
    chat = Chat(messages=[HumanMessage([{"type": "media", "data": b"\xff\x00"}])])
    try:
        text = chat.model_dump_json()
    except (ValueError, TypeError):
        return
    assert Chat.model_validate_json(text) == chat


def test_errors_of_one_message_do_not_hide_the_place_of_others():
    with pytest.raises(ValidationError) as caught:
        Chat(messages=["fine", {"role": "king", "content": "x"}, ("queen", "y"), "fine"])
    places = {error["loc"][1] for error in caught.value.errors()}
    assert places == {1, 2}
    assert "king" in str(caught.value)
    assert "queen" in str(caught.value)


def test_a_message_does_not_share_the_lists_it_was_validated_from():
    content = [{"type": "text", "text": "a"}]
    given_ = {"type": "human", "content": content}
    chat = Chat(messages=[given_])
    chat.messages[0].content.append({"type": "text", "text": "b"})
    assert given_["content"] == [{"type": "text", "text": "a"}] or content is given_["content"]
    assert given_["type"] == "human"
    assert set(given_) == {"type", "content"}


@pytest.mark.parametrize("mode", ["python", "json"])
def test_model_dump_takes_the_usual_arguments(mode):
    message = AIMessage("x", id="1", tool_calls=[CALL])
    assert message.model_dump(mode=mode)["content"] == "x"
    assert set(message.model_dump(mode=mode, include={"content", "id"})) == {"content", "id"}
    assert "id" not in message.model_dump(mode=mode, exclude={"id"})
    assert None not in AIMessage("x").model_dump(mode=mode, exclude_none=True).values()
