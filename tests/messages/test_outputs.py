"""Documents, generations and prompt values: building, comparing, adding, in pydantic models."""

from __future__ import annotations

import copy
import pickle
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ValidationError

from headrace.documents import Document
from headrace.errors import InputError
from headrace.merge import merge
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage
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
    PromptValue,
    StringPromptValue,
)
from headrace.values import Value

VALUES: list[Value] = [
    Document("a", {"k": [1]}, id="1"),
    Generation("a", {"k": 1}),
    GenerationChunk("a"),
    ChatGeneration(AIMessage("a"), {"k": 1}),
    ChatGenerationChunk(AIMessageChunk("a")),
    ChatResult([ChatGeneration(AIMessage("a"))], {"k": 1}),
    LLMResult([[Generation("a")]], {"k": 1}),
    RunInfo(UUID(int=1)),
    StringPromptValue("a"),
    ChatPromptValue([HumanMessage("a")]),
    ChatPromptValueConcrete([HumanMessage("a")]),
    ImagePromptValue({"url": "u"}),
]
each = pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)


@each
def test_values_compare_copy_and_are_not_hashable(value: Value) -> None:
    for copied in (
        copy.copy(value),
        copy.deepcopy(value),
        pickle.loads(pickle.dumps(value)),
        value.model_copy(deep=True),
    ):
        assert type(copied) is type(value)
        assert copied == value
    assert all(value == other for other in VALUES if type(other) is type(value))
    assert all(value != other for other in VALUES if other is not value)
    with pytest.raises(TypeError, match="unhashable"):
        hash(value)
    assert not hasattr(value, "__dict__")


@each
def test_values_in_a_pydantic_model(value: Value) -> None:
    Model: Any = type("Model", (BaseModel,), {"__annotations__": {"value": type(value)}})
    model = Model(value=value)
    assert model.value is value
    if not isinstance(value, (ChatResult, LLMResult)):
        assert Model.model_validate(model.model_dump()) == model
    name = type(value).__name__
    assert Model.model_json_schema()["properties"]["value"] == {"$ref": f"#/$defs/{name}"}
    assert Model.model_json_schema()["$defs"][name]["title"] == name
    with pytest.raises(ValidationError, match=f"no {type(value).__name__}"):
        Model(value=3)
    with pytest.raises(ValidationError):
        Model(value={"type": "letter"})


def test_documents() -> None:
    document = Document(page_content="a", metadata={"k": 1}, id=7)  # type: ignore[arg-type]
    assert repr(document) == "Document(id='7', metadata={'k': 1}, page_content='a')"
    assert str(document) == "page_content='a' metadata={'k': 1}"
    assert str(Document("a")) == "page_content='a'"
    assert repr(Document("a")) == "Document(metadata={}, page_content='a')"
    assert Document("a") != Document("a", id="1")
    metadata = {"k": 1}
    document = Document("a", metadata)
    metadata["k"] = 2
    assert document.metadata == {"k": 1}
    assert Document("a").metadata is not Document("a").metadata
    assert document.model_copy(update={"id": "9"}).id == "9"
    assert document.type == "Document"


@pytest.mark.parametrize("wrong", [{"page_content": 3}, {"page_content": "a", "metadata": 3}])
def test_what_is_no_document(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="received 3"):
        Document(**wrong)


def test_the_text_of_a_chat_generation_is_its_messages() -> None:
    message = AIMessageChunk("a")
    generation = ChatGenerationChunk(message=message)
    message.content = "b"
    assert generation.text == "b"
    untyped: Any = ["a", {"text": "b"}, {"type": "text", "text": "c"}, {"type": "x", "text": "d"}]
    assert ChatGeneration(message=AIMessage(untyped)).text == "abc"
    typed: Any = ["a", {"type": "text", "text": "b"}, {"type": "image", "url": "u"}]
    assert ChatGeneration(message=AIMessage(typed)).text == "ab"
    assert ChatGeneration(message=AIMessage("a")).model_dump()["text"] == "a"


def test_generation_chunks_add_up() -> None:
    parts = [
        GenerationChunk("a"),
        GenerationChunk("b", {"k": "x"}),
        GenerationChunk("c", {"k": "y"}),
    ]
    assert parts[0] + parts[1] + parts[2] == merge(parts) == GenerationChunk("abc", {"k": "xy"})
    assert parts[0] + parts[0] == GenerationChunk("aa", None)
    with pytest.raises(TypeError, match="unsupported operand"):
        parts[0] + "b"  # type: ignore[operator]


def test_chat_generation_chunks_add_up() -> None:
    parts = [
        ChatGenerationChunk(AIMessageChunk("a")),
        ChatGenerationChunk(AIMessageChunk("b"), {"k": "x"}),
        ChatGenerationChunk(AIMessageChunk("c"), {"k": "y"}),
    ]
    total = ChatGenerationChunk(AIMessageChunk("abc"), {"k": "xy"})
    assert parts[0] + parts[1] + parts[2] == merge(parts) == parts[0] + parts[1:] == total
    assert (parts[0] + parts[0]).generation_info is None
    with pytest.raises(TypeError, match="unsupported operand"):
        parts[0] + [AIMessageChunk("b")]  # type: ignore[list-item]


def test_the_sum_of_chat_generations_sums_messages_lazily() -> None:
    total = ChatGenerationChunk(AIMessageChunk("a"))
    for _ in range(9):
        total = total + ChatGenerationChunk(AIMessageChunk("a"))
    assert len(total.message._pieces) == 10
    assert total.text == "a" * 10


def test_results() -> None:
    usage = {"token_usage": {"n": 1}, "model": "m"}
    result = LLMResult([[Generation("a")], [Generation("b")]], usage, [RunInfo(UUID(int=1))])
    assert result == LLMResult([[Generation("a")], [Generation("b")]], usage)
    assert result != LLMResult([[Generation("a")]], usage)
    first, second = result.flatten()
    assert first == LLMResult([[Generation("a")]], usage)
    assert second == LLMResult([[Generation("b")]], {"token_usage": {}, "model": "m"})
    assert usage == {"token_usage": {"n": 1}, "model": "m"}
    assert [r.llm_output for r in LLMResult([[], []]).flatten()] == [None, None]
    assert result.model_dump()["generations"][0] == [
        {"text": "a", "generation_info": None, "type": "Generation"}
    ]


def test_prompt_values() -> None:
    assert StringPromptValue(text="a").to_messages() == [HumanMessage("a")]
    assert StringPromptValue("a").to_string() == "a"
    chat = ChatPromptValue(messages=[HumanMessage("a"), AIMessage("b")])
    assert chat.to_string() == "Human: a\nAI: b"
    given = chat.to_messages()
    given.clear()
    assert len(chat.messages) == 2
    assert chat != ChatPromptValueConcrete(chat.messages)
    assert ChatPromptValue.model_validate({"messages": ["a", ("ai", "b")]}) == chat
    image = ImagePromptValue({"url": "u"})
    assert image.to_string() == "u"
    assert image.to_messages() == [HumanMessage([{"type": "image_url", "image_url": {"url": "u"}}])]
    with pytest.raises(TypeError, match="abstract"):
        PromptValue()  # type: ignore[abstract]
