"""Prompts, models, parsers, retrievers and values: what their schemas say and take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import headrace
from headrace.chat_history import InMemoryChatMessageHistory
from headrace.documents import Document
from headrace.language_models import FakeListChatModel, FakeListLLM, ParrotFakeChatModel
from headrace.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from headrace.output_parsers import JsonOutputParser, StrOutputParser
from headrace.prompt_values import ChatPromptValue, ImagePromptValue, StringPromptValue
from headrace.prompts import (
    ChatPromptTemplate,
    DictPromptTemplate,
    ImagePromptTemplate,
    MessagesPlaceholder,
    PromptTemplate,
)
from headrace.runnables import RunnableLambda, RunnableWithMessageHistory

KINDS: list[tuple[type[BaseMessage], str, set[str], set[str]]] = [
    (HumanMessage, "human", {"content"}, set()),
    (HumanMessageChunk, "HumanMessageChunk", {"content"}, set()),
    (SystemMessage, "system", {"content"}, set()),
    (AIMessage, "ai", {"content"}, {"tool_calls", "invalid_tool_calls", "usage_metadata"}),
    (AIMessageChunk, "AIMessageChunk", {"content"}, {"tool_call_chunks", "chunk_position"}),
    (ToolMessage, "tool", {"content", "tool_call_id"}, {"artifact", "status"}),
    (ChatMessage, "chat", {"content", "role"}, set()),
    (FunctionMessage, "function", {"content", "name"}, set()),
    (RemoveMessage, "remove", {"id"}, set()),
]


@pytest.mark.parametrize(("kind", "tag", "required", "more"), KINDS)
def test_messages(kind: Any, tag: str, required: set[str], more: set[str]) -> None:
    class Holder(BaseModel):
        message: kind

    shown = Holder.model_json_schema()["$defs"][kind.__name__]
    usual = {"content", "additional_kwargs", "response_metadata", "name", "id", "type"}
    assert (shown["title"], shown["type"]) == (kind.__name__, "object")
    assert shown["properties"].keys() >= usual | required | more
    assert set(shown["required"]) == required
    assert shown["properties"]["type"]["const"] == tag
    assert all("title" in field for field in shown["properties"].values())


def test_every_dumped_field_is_in_the_schema() -> None:
    """What `model_dump` gives is what the schema of the class says there is."""
    messages = [
        AIMessage("a"), AIMessageChunk("a"), HumanMessage("a"), ToolMessage("a", tool_call_id="1"),
        ChatMessage("a", role="r"), FunctionMessage("a", name="f"), RemoveMessage("1"),
    ]  # fmt: skip
    for message in messages:
        assert message._json.keys() | {"type"} == message.model_dump().keys()


def test_models() -> None:
    chat, text = FakeListChatModel(responses=["a"]), FakeListLLM(responses=["a"])
    takes: list[Any] = ["a", StringPromptValue("a"), [HumanMessage("a")], [("human", "a")],
                        [{"role": "user", "content": "a"}, "b"]]  # fmt: skip
    for model in (chat, text):
        for value in takes:
            model.input_schema.model_validate(value)
        with pytest.raises(ValueError, match="validation error"):
            model.input_schema.model_validate(3)
        assert len(str(model.get_input_jsonschema())) < 2000
    assert (chat.OutputType, text.OutputType) == (BaseMessage, str)
    assert chat.get_output_jsonschema()["title"] == "FakeListChatModelOutput"
    assert chat.get_output_jsonschema()["$ref"] == "#/$defs/BaseMessage"
    assert chat.output_schema.model_validate(AIMessage("a")).root == AIMessage("a")


def test_prompts() -> None:
    prompt = ChatPromptTemplate(
        [MessagesPlaceholder("history", optional=True), MessagesPlaceholder("new"), "{question}"]
    )
    shown = prompt.get_input_jsonschema()
    assert shown["required"] == ["new", "question"]
    assert shown["properties"]["history"] == {
        "default": None, "title": "History", "type": "array",
        "items": {"$ref": "#/$defs/BaseMessage"},
    }  # fmt: skip
    made = prompt.input_schema(new=[("human", "hi")], question="?")
    assert (made.new, made.history) == ([HumanMessage("hi")], None)
    with pytest.raises(ValueError, match="new"):
        prompt.input_schema(question="?")
    nested = ChatPromptTemplate([prompt, "{more}"]).get_input_jsonschema()
    assert nested["properties"]["history"]["items"] == {"$ref": "#/$defs/BaseMessage"}
    typed = PromptTemplate("{n}", input_types={"n": int})
    assert typed.get_input_jsonschema()["properties"]["n"]["type"] == "integer"
    kinds = [(prompt, ChatPromptValue), (typed, StringPromptValue)]
    kinds += [(ImagePromptTemplate({"url": "{u}"}), ImagePromptValue)]  # type: ignore[list-item]
    assert [made.OutputType for made, _ in kinds] == [kind for _, kind in kinds]
    block = DictPromptTemplate({"a": "{x}"}).get_input_jsonschema()
    assert (block["title"], block["required"]) == ("DictPromptTemplateInput", ["x"])


def test_mustache_sections_take_anything() -> None:
    text = "{{x.y}} {{#items}}{{name}}{{/items}} {{q}}"
    for prompt in (
        PromptTemplate(text, template_format="mustache"),
        ChatPromptTemplate([("human", text)], template_format="mustache"),
    ):
        shown = prompt.get_input_jsonschema()["properties"]
        assert {name: field.get("type") for name, field in shown.items()} == {
            "items": None, "q": "string", "x": None,
        }  # fmt: skip
        prompt.input_schema.model_validate({"x": {"y": 1}, "items": [{"name": "a"}], "q": ""})


def test_parsers() -> None:
    assert StrOutputParser().get_output_jsonschema() == {
        "title": "StrOutputParserOutput", "type": "string",
    }  # fmt: skip
    assert JsonOutputParser().get_output_jsonschema() == {"title": "JsonOutputParserOutput"}
    assert StrOutputParser().InputType == str | BaseMessage


def _remembered(**keys: str) -> Any:
    return RunnableWithMessageHistory(
        ParrotFakeChatModel() if not keys else RunnableLambda(lambda x: x),
        lambda session_id: InMemoryChatMessageHistory(),
        **keys,  # type: ignore[arg-type]
    )


def test_history() -> None:
    plain = _remembered()
    for value in ("hi", HumanMessage("hi"), [HumanMessage("hi")], [("human", "hi")]):
        assert plain.input_schema.model_validate(value).root == [HumanMessage("hi")]
    assert plain.get_input_jsonschema()["title"] == "RunnableWithChatHistoryInput"
    assert plain.OutputType is BaseMessage
    keyed = _remembered(input_messages_key="ask", history_messages_key="old",
                        output_messages_key="said")  # fmt: skip
    kinds = keyed.get_input_jsonschema()["properties"]["ask"]["anyOf"]
    assert [kind.get("type") for kind in kinds] == ["string", None, "array"]
    assert keyed.get_output_jsonschema()["type"] == "object"
    whole = _remembered(input_messages_key="ask")
    assert whole.input_schema(ask="hi").ask == [HumanMessage("hi")]


def test_documents() -> None:
    class Holder(BaseModel):
        document: Document

    shown = Holder.model_json_schema()["$defs"]["Document"]
    assert shown["required"] == ["page_content"]
    assert shown["properties"].keys() == {"id", "metadata", "page_content", "type"}


def test_pydantic_is_loaded_late() -> None:
    code = """if True:
        import sys, headrace.runnables as r
        chain = r.RunnableLambda(lambda x: x["a"]) | {"b": r.RunnablePassthrough()}
        assert str(chain.InputType) and str(chain.OutputType)
        assert "pydantic" not in sys.modules
        assert chain.get_input_jsonschema()["title"] == "RunnableLambdaInput"
        assert "pydantic" in sys.modules
    """
    env = {**os.environ, "PYTHONPATH": str(Path(headrace.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=env)
