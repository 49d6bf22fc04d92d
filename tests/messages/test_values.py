"""Messages as values: building, reading, comparing, copying, showing, and in pydantic models."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from headrace.errors import InputError
from headrace.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    BaseMessage,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
    message_chunk_to_message,
    messages_from_dict,
    messages_to_dict,
)

CALL = {"name": "f", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}

EVERY_KIND: list[BaseMessage] = [
    HumanMessage("hi", id="1", name="bob", additional_kwargs={"a": {"b": [1]}}),
    HumanMessageChunk(["hi", {"type": "text", "text": "you"}]),
    SystemMessage("be brief", response_metadata={"m": 1}),
    SystemMessageChunk("be"),
    AIMessage("ok", tool_calls=[CALL], usage_metadata=USAGE),  # type: ignore[arg-type]
    AIMessageChunk(
        "",
        tool_call_chunks=[{"name": "f", "args": '{"a": 1}', "id": "c1", "index": 0}],
        chunk_position="last",
    ),
    AIMessageChunk("a") + AIMessageChunk("b", id="2"),
    ToolMessage("4", tool_call_id="c1", artifact={"raw": [4]}, status="error"),
    ToolMessageChunk("4", tool_call_id="c1"),
    ChatMessage("hm", role="critic"),
    ChatMessageChunk("hm", role="critic"),
    FunctionMessage("4", name="f"),
    FunctionMessageChunk("4", name="f"),
    RemoveMessage("1"),
]
every_kind = pytest.mark.parametrize("message", EVERY_KIND, ids=lambda m: type(m).__name__)


@every_kind
def test_copies_are_equal_and_apart(message: BaseMessage) -> None:
    for copied in (
        copy.deepcopy(message),
        pickle.loads(pickle.dumps(message)),
        message.model_copy(deep=True),
        type(message).model_validate(message.model_dump()),
    ):
        assert type(copied) is type(message)
        assert copied == message
        copied.additional_kwargs["new"] = 1
        assert copied != message
        assert "new" not in message.additional_kwargs


@every_kind
def test_dicts_and_back(message: BaseMessage) -> None:
    [back] = messages_from_dict(messages_to_dict([message]))
    assert back == message


@every_kind
def test_a_shallow_copy_has_its_own_fields(message: BaseMessage) -> None:
    copied = copy.copy(message)
    assert copied == message
    copied.additional_kwargs = {"new": 1}
    copied.content = "other"
    assert "new" not in message.additional_kwargs
    assert message.content != "other"
    changed = message.model_copy(update={"id": "9", "response_metadata": {"m": 2}})
    assert (changed.id, changed.response_metadata) == ("9", {"m": 2})
    assert message.id != "9"


@every_kind
def test_not_hashable_and_no_dict_of_its_own(message: BaseMessage) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(message)
    assert not hasattr(message, "__dict__")


def test_defaults_are_fresh_and_kept() -> None:
    one, two = HumanMessage("a"), HumanMessage("b")
    one.additional_kwargs["k"] = 1
    assert one.additional_kwargs == {"k": 1}
    assert two.additional_kwargs == {}
    answer = AIMessage("x")
    answer.tool_calls.append({"name": "f", "args": {}, "id": None})
    assert len(answer.tool_calls) == 1
    assert AIMessage("x").usage_metadata is None


def test_a_message_of_text_alone_stores_nothing_else() -> None:
    assert AIMessageChunk("x")._more is None
    assert AIMessageChunk("x", usage_metadata=None, additional_kwargs=None)._more is None


def test_what_was_given_stays_the_givers() -> None:
    blocks, kwargs = [{"type": "text", "text": "a"}], {"k": 1}
    message = HumanMessage(blocks, additional_kwargs=kwargs)  # type: ignore[arg-type]
    blocks.append({"type": "text", "text": "b"})
    kwargs["k"] = 2
    assert message.text == "a"
    assert message.additional_kwargs == {"k": 1}


def test_a_deep_copy_shares_no_content() -> None:
    message = HumanMessage([{"type": "text", "text": "a"}])
    copied: Any = message.model_copy(deep=True)
    copied.content[0]["text"] = "b"
    assert message.text == "a"


def test_equality_is_by_class_and_fields() -> None:
    assert HumanMessage("a") == HumanMessage("a", additional_kwargs={})
    assert HumanMessage("a") != HumanMessage("a", id="1")
    assert HumanMessage("a") != HumanMessage("a", name="n")
    assert AIMessage("a") != HumanMessage("a")
    assert AIMessage("a") != AIMessageChunk("a")
    assert AIMessageChunk("ab") == AIMessageChunk("a") + AIMessageChunk("b")
    assert HumanMessage("a") != "a"


# The constructors as a program without a type checker sees them.
Human: Any = HumanMessage
AI: Any = AIMessage
Tool: Any = ToolMessage
Chat: Any = ChatMessage
Function: Any = FunctionMessage


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: Human(), "needs content"),
        (lambda: Human(3), "3, a int"),
        (lambda: Human(["a", 3]), "holds 3, a int"),
        (lambda: Human("a", tool_calls=[]), "no field 'tool_calls'"),
        (lambda: Human("a", type="ai"), "type 'human'"),
        (lambda: Human("a", additional_kwargs=3), "additional_kwargs as a dict"),
        (lambda: AI("a", tool_calls=[{"name": "f"}]), "'name', 'args' and 'id'"),
        (lambda: Tool("a"), "needs 'tool_call_id'"),
        (lambda: Tool("a", tool_call_id="1", status="maybe"), "'maybe'"),
        (lambda: Chat("a"), "needs 'role'"),
        (lambda: Function("a"), "needs 'name'"),
        (lambda: RemoveMessage("1", content="x"), "no content"),
        (lambda: HumanMessage.model_validate(3), "from 3"),
    ],
)
def test_errors_are_sentences_that_name_the_value(build: Any, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        build()
    assert str(caught.value).endswith(".")


def test_content_in_its_forms() -> None:
    assert ToolMessage({"a": 1}, tool_call_id=7).content == "{'a': 1}"  # type: ignore[arg-type]
    assert ToolMessage(("a", 3), tool_call_id="7").content == ["a", "3"]  # type: ignore[arg-type]
    assert ToolMessage("a", tool_call_id=7).tool_call_id == "7"  # type: ignore[arg-type]
    assert HumanMessage("a", id=7).id == "7"  # type: ignore[arg-type]
    blocks = HumanMessage(content_blocks=[{"type": "text", "text": "a"}, {"type": "x"}])
    assert blocks.text == "a"
    assert blocks.content_blocks[1] == {"type": "non_standard", "value": {"type": "x"}}


def test_text_and_standard_blocks() -> None:
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAA"}}
    message = HumanMessage(["a", {"type": "text", "text": "b"}, {"type": "text"}, url])
    assert message.text == "ab"
    assert HumanMessage("").content_blocks == []
    assert message.content_blocks == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
        {"type": "text"},
        {"type": "image", "base64": "AAA", "mime_type": "image/png"},
    ]
    old = {"type": "image", "source_type": "url", "url": "u"}
    assert HumanMessage([old]).content_blocks == [{"type": "image", "url": "u"}]
    answer = AIMessage("a", tool_calls=[CALL], additional_kwargs={"reasoning_content": "hm"})
    assert answer.content_blocks == [
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "text", "text": "a"},
        CALL,
    ]
    assert AIMessage(content_blocks=[CALL]).tool_calls == [CALL]
    assert AIMessage(content_blocks=[CALL]).content_blocks == [CALL]


def test_tool_calls_in_openai_form_are_read_from_the_additional_kwargs() -> None:
    raw = [
        {"id": "1", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"id": "2", "function": {"name": "g", "arguments": "oops"}},
    ]
    message = AIMessage("", additional_kwargs={"tool_calls": raw})
    assert [call["args"] for call in message.tool_calls] == [{"a": 1}]
    assert [call["args"] for call in message.invalid_tool_calls] == ["oops"]
    chunk = AIMessageChunk("", additional_kwargs={"tool_calls": raw})
    assert [part["args"] for part in chunk.tool_call_chunks] == ['{"a": 1}', "oops"]
    assert chunk.tool_calls == message.tool_calls


def test_a_chunk_becomes_the_message_it_is_a_piece_of() -> None:
    chunk = AIMessageChunk("a", id="1", tool_calls=[CALL], response_metadata={"m": [1]})
    whole = message_chunk_to_message(chunk)
    assert whole == AIMessage("a", id="1", tool_calls=[CALL], response_metadata={"m": [1]})
    chunk.response_metadata["m"].append(2)
    assert whole.response_metadata == {"m": [1]}
    chunk = AIMessageChunk("a")
    assert chunk.tool_calls == []  # which stores it
    assert not message_chunk_to_message(chunk)._more
    same = HumanMessage("a")
    assert message_chunk_to_message(same) is same
    role = message_chunk_to_message(
        ChatMessageChunk("a", role="r") + ChatMessageChunk("b", role="r")
    )
    assert role == ChatMessage("ab", role="r")


def test_showing() -> None:
    assert repr(HumanMessage("a", id="1")) == "HumanMessage(content='a', id='1')"
    assert str(ToolMessage("a", tool_call_id="1")) == "content='a' tool_call_id='1'"
    assert repr(AIMessageChunk("a") + AIMessageChunk("b")) == "AIMessageChunk(content='ab')"
    lines = AIMessage("a", name="bob", tool_calls=[CALL]).pretty_repr().splitlines()
    assert len(lines[0]) == 80
    assert lines[0].strip("=") == " Ai Message "
    assert lines[1:] == [
        *("Name: bob", "", "a", "Tool Calls:"),
        *("  f (c1)", " Call ID: c1", "  Args:", "    a: 1"),
    ]


def test_pretty_print(capsys: pytest.CaptureFixture[str]) -> None:
    HumanMessage("hello").pretty_print()
    assert capsys.readouterr().out.endswith("\n\nhello\n")


def test_adding_whole_messages_asks_for_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseMessage, "_prompt_of", None)
    with pytest.raises(InputError, match=r"import headrace\.prompts"):
        HumanMessage("a") + "b"
    monkeypatch.setattr(BaseMessage, "_prompt_of", lambda left, right: [left, right])
    assert HumanMessage("a") + "b" == [HumanMessage("a"), "b"]


def test_a_users_subclass_keeps_its_own_attributes() -> None:
    class Mine(AIMessageChunk):
        def __init__(self, content: str, mood: str) -> None:
            super().__init__(content)
            self.mood = mood

    one = Mine("a", "glad")
    total = one + Mine("b", "sad")
    assert type(total) is Mine
    assert (total.content, total.mood) == ("ab", "glad")
    assert copy.copy(one).mood == "glad"
    assert one != Mine("a", "sad")


class Model(BaseModel):
    message: BaseMessage
    human: HumanMessage
    any: list[AnyMessage]


def test_as_fields_of_a_pydantic_model() -> None:
    model = Model.model_validate(
        {
            "message": ("ai", "a"),
            "human": "b",
            "any": [{"role": "assistant", "content": "c"}, AIMessageChunk("d"), "e"],
        }
    )
    assert model.message == AIMessage("a")
    assert model.human == HumanMessage("b")
    assert model.any == [AIMessage("c"), AIMessageChunk("d"), HumanMessage("e")]
    assert Model.model_validate(model.model_dump()) == model
    assert Model.model_validate_json(model.model_dump_json()) == model
    assert Model.model_json_schema()["$defs"]["HumanMessage"]["title"] == "HumanMessage"


@pytest.mark.parametrize("wrong", [("ai", "a"), 3, {"role": "nobody", "content": "a"}])
def test_what_a_pydantic_field_refuses(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        Model(message="a", human=wrong, any=[])  # type: ignore[arg-type]
