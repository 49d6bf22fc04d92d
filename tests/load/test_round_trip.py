"""What `dumps` writes, `loads` reads: the same values, of the same classes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

import headrace.messages as hr
from conversation.twins import built, conversations
from headrace.agents import AgentAction, AgentActionMessageLog, AgentFinish, AgentStep
from headrace.documents import Document
from headrace.errors import InputError
from headrace.language_models import FakeListChatModel
from headrace.load import VERSION, dumpd, dumps, load, loads
from headrace.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    Generation,
    GenerationChunk,
    LLMResult,
    RunInfo,
)
from headrace.prompt_values import (
    ChatPromptValue,
    ChatPromptValueConcrete,
    ImagePromptValue,
    StringPromptValue,
)
from headrace.prompts import ChatPromptTemplate

plain = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5),
        st.binary(max_size=3), st.datetimes(), st.uuids(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.sampled_from(["a", "$", "lc", "headrace", "type"]), inner, max_size=3),
    ),
    max_leaves=5,
)  # fmt: skip


def back(value: Any) -> Any:
    """The value by way of text, asserted to be of the same class; both ways agree."""
    text = dumps(value)
    assert text.isascii()
    assert load(json.loads(text)) == load(dumpd(value))
    again = loads(text)
    assert type(again) is type(value)
    return again


CALL = {"name": "f", "args": {"a": [1]}, "id": "1", "type": "tool_call"}
PIECE = {"name": "f", "args": '{"a"', "id": "1", "index": 0, "type": "tool_call_chunk"}
USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
VALUES: list[Any] = [
    hr.HumanMessage(["a", {"type": "image", "url": "u"}], name="n", id="1"),
    hr.SystemMessage("a", additional_kwargs={"lc": 1}, response_metadata={"$": 2}),
    hr.AIMessage("a", tool_calls=[CALL], usage_metadata=USAGE),
    hr.AIMessage("a", invalid_tool_calls=[{"name": "f", "args": "oops", "id": "1"}]),
    hr.ToolMessage("a", tool_call_id="1", artifact=(1, b"x"), status="error"),
    hr.ChatMessage("a", role="r"),
    hr.FunctionMessage("a", name="f"),
    hr.RemoveMessage("1"),
    hr.HumanMessageChunk("a"),
    hr.SystemMessageChunk("a"),
    hr.AIMessageChunk("a", tool_call_chunks=[PIECE], chunk_position="last"),
    hr.ToolMessageChunk("a", tool_call_id="1"),
    hr.ChatMessageChunk("a", role="r"),
    hr.FunctionMessageChunk("a", name="f"),
    Document("a", {"at": datetime(2020, 1, 2, tzinfo=UTC), "price": Decimal("1.10")}, "1"),
    Generation("a", {"finish_reason": "stop"}),
    GenerationChunk("a"),
    ChatGeneration(hr.AIMessage("a")),
    ChatGenerationChunk(hr.AIMessageChunk("a")),
    ChatResult([ChatGeneration(hr.AIMessage("a"))], {"model": "m"}),
    LLMResult([[Generation("a")], []], None, [RunInfo(UUID(int=1))]),
    StringPromptValue("a"),
    ChatPromptValue([hr.HumanMessage("a")]),
    ChatPromptValueConcrete([hr.HumanMessage("a")]),
    ImagePromptValue({"url": "u"}),
    AgentAction("f", {"a": (1, 2)}, "Action: f"),
    AgentActionMessageLog("f", "a", "Action: f", [hr.AIMessage("a", tool_calls=[CALL])]),
    AgentStep(AgentAction("f", "a", ""), {"é": 1}),
    AgentFinish({"output": "a"}, "Final Answer: a"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_every_kind_of_value(value: Any):
    assert back(value) == value
    assert back({"in": [value, (value,)]}) == {"in": [value, (value,)]}
    assert repr(back(value)) == repr(value)


@given(plain, plain)
def test_whatever_builtin_types_are_in_them(one: Any, two: Any):
    message = hr.AIMessage("a", additional_kwargs={"kept": one}, response_metadata={"kept": two})
    assert back(message) == message
    assert back([one, {"two": two}]) == [one, {"two": two}]


@given(conversations)
def test_conversations(conversation: Any):
    messages = built(hr, conversation)
    assert back(messages) == messages


@given(st.lists(st.text(max_size=3), min_size=2, max_size=5))
def test_a_sum_is_written_as_the_chunk_that_it_is(pieces: list[str]):
    total = hr.AIMessageChunk("")
    for piece in pieces:
        total += hr.AIMessageChunk(piece)
    again = loads(dumps(total))
    assert again == total
    assert type(again) is hr.AIMessageChunk


class Mine(hr.AIMessage):
    """A user's kind of message."""

    __slots__ = ()


class Noted(hr.AIMessage):
    """One with attributes of its own."""


class Answer(BaseModel):
    text: str


def test_a_users_subclass_comes_back_as_what_it_derives_from():
    again = loads(dumps(Mine("a", id="1")))
    assert type(again) is hr.AIMessage
    assert again == hr.AIMessage("a", id="1")
    assert "Mine" not in dumps(Mine("a"))
    noted = Noted("a")
    assert loads(dumps(noted)) == hr.AIMessage("a")
    noted.mood = "glad"  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="attributes of its own, mood"):
        dumps(noted)


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (FakeListChatModel(responses=["a"]), "FakeListChatModel is not written.*components"),
        (ChatPromptTemplate.from_template("{x}"), "components"),
        (SecretStr("hush"), "secrets"),
        (Answer(text="a"), r"model_dump\(\)"),
        (ValueError("a"), "cannot be written"),
        (object(), "cannot be written"),
        (len, "cannot be written"),
        (CIRCLE, "a circle"),
        (DEEP, "100 deep"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_written(value: Any, message: str):
    alone = [] if hasattr(value, "invoke") else [value]  # which is described: see below
    for held in (*alone, [value], hr.AIMessage("a", additional_kwargs={"x": value})):
        with pytest.raises(InputError, match=message) as caught:
            dumps(held)
        assert "hush" not in str(caught.value)


def test_a_component_is_described_and_not_read_back():
    chain = ChatPromptTemplate.from_template("{x}") | FakeListChatModel(responses=["a"])
    told = dumpd(chain)
    assert told["described"].endswith("RunnableSequence")
    assert told["repr"] == repr(chain)
    with pytest.raises(InputError, match=r"describes a .*RunnableSequence.*Make it anew"):
        loads(dumps(chain, pretty=True))


def test_pretty():
    assert loads(dumps(VALUES, pretty=True)) == VALUES
    assert "\n  " in dumps(VALUES, pretty=True)
    assert "\n" not in dumps(VALUES)


# ------------------------------------------------------------------ texts from anywhere


def written(told: Any, version: Any = VERSION) -> str:
    return json.dumps({"headrace": version, "value": told})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        '{"headrace": 1}',
        written("a", VERSION + 1),
        written("a", "1"),
        written("a", None),
        written({"$": "Nobody"}),
        written({"$": ["AIMessage"]}),
        written({"$": "AIMessage"}),
        written({"$": "AIMessage", "content": 5}),
        written({"$": "AIMessage", "content": "a", "id": 5}),
        written({"$": "AIMessage", "content": "a", "additional_kwargs": [1]}),
        written({"$": "AIMessage", "content": "a", "tool_calls": "f"}),
        written({"$": "AIMessage", "content": "a", "tool_calls": [{"name": "f"}]}),
        written({"$": "AIMessage", "content": "a", "usage_metadata": 5}),
        written({"$": "ToolMessage", "content": "a"}),
        written({"$": "ToolMessage", "content": "a", "tool_call_id": "1", "status": "odd"}),
        written({"$": "ChatMessage", "content": "a"}),
        written({"$": "ChatMessage", "content": "a", "role": 5}),
        written({"$": "Document", "page_content": None, "metadata": {}}),
        written({"$": "ChatGeneration", "message": "a"}),
        written({"$": "LLMResult", "generations": [["a"]]}),
        written({"$": "ChatPromptValue", "messages": "a"}),
        written({"$": "object", "class": "os:system", "repr": "x"}),
        written({"$": "object", "class": "subprocess:Popen", "form": "dataclass", "data": {}}),
        written({"$": "error", "class": "builtins:SystemExit"}),
        written({"$": "UUID", "text": "no"}),
        written({"$": "bytes", "base64": "!"}),
        written({"$": "dict", "items": [[]]}),
        written({"$": "Decimal", "text": "no"}),
    ],
    ids=lambda text: text[:60],
)
def test_what_is_not_read(text: str):
    with pytest.raises(InputError, match=r".{20}"):
        loads(text)


@given(st.recursive(
    st.one_of(st.none(), st.integers(), st.sampled_from(["AIMessage", "object", "x", "1"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["$", "content", "class", "form", "data", "items", "lc", "type", "id"]),
            inner, max_size=4,
        ),
    ),
    max_leaves=8,
))  # fmt: skip
def test_any_json_gives_a_value_or_an_input_error(told: Any):
    for text in (written(told), json.dumps(told)):
        try:
            loads(text)
        except InputError as error:
            assert len(str(error)) > 20


def test_a_class_is_kept_whatever_a_text_calls_it():
    text = written({"$": "AIMessage", "$class": "os:system", "content": "a"})
    assert type(loads(text)) is hr.AIMessage
