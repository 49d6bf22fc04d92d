"""Values in the JSON of langchain-core are read, and nothing of it is executed."""

from __future__ import annotations

import json
from typing import Any

import langchain_core.agents as lc_agents
import langchain_core.documents as lc_documents
import langchain_core.load as lc_load
import langchain_core.messages as lc
import langchain_core.outputs as lc_outputs
import langchain_core.prompt_values as lc_values
import pytest
from hypothesis import given
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate

import headrace.messages as hr
from conversation.twins import conversations, pair, shown
from headrace.agents import AgentAction, AgentActionMessageLog, AgentFinish
from headrace.documents import Document
from headrace.errors import InputError
from headrace.load import loads
from headrace.outputs import ChatGeneration, ChatGenerationChunk, Generation
from headrace.prompt_values import ChatPromptValue, StringPromptValue


@given(conversations)
def test_conversations(conversation: Any):
    theirs, ours = pair(conversation)
    assert loads(lc_load.dumps(theirs)) == ours


@given(conversations)
def test_conversations_as_messages_of_their_own(conversation: Any):
    for _, fields in conversation:
        fields["content"] = fields["content"] or "something"  # an empty list becomes ""
    theirs, ours = pair(conversation)
    assert hr.convert_to_messages(lc_load.dumpd(theirs)) == ours


PAIRS = [
    (lc.AIMessageChunk("a", id="1"), hr.AIMessageChunk("a", id="1")),
    (lc.HumanMessageChunk("a"), hr.HumanMessageChunk("a")),
    (lc.ChatMessage("a", role="r"), hr.ChatMessage("a", role="r")),
    (lc.FunctionMessage("a", name="f"), hr.FunctionMessage("a", name="f")),
    (lc.RemoveMessage("1"), hr.RemoveMessage("1")),
    (
        lc.ToolMessage("a", tool_call_id="1", artifact={"lc": 1}),
        hr.ToolMessage("a", tool_call_id="1", artifact={"lc": 1}),
    ),
    (lc_documents.Document("a", metadata={"b": 1}), Document("a", {"b": 1})),
    (lc_outputs.Generation(text="a"), Generation("a")),
    (
        lc_outputs.ChatGeneration(message=lc.AIMessage("a"), generation_info={"b": 1}),
        ChatGeneration(hr.AIMessage("a"), {"b": 1}),
    ),
    (
        lc_outputs.ChatGenerationChunk(message=lc.AIMessageChunk("a")),
        ChatGenerationChunk(hr.AIMessageChunk("a")),
    ),
    (lc_values.StringPromptValue(text="a"), StringPromptValue("a")),
    (
        lc_values.ChatPromptValue(messages=[lc.HumanMessage("a")]),
        ChatPromptValue([hr.HumanMessage("a")]),
    ),
    (lc_agents.AgentAction("f", {"b": 1}, "log"), AgentAction("f", {"b": 1}, "log")),
    (
        lc_agents.AgentActionMessageLog("f", "b", "log", message_log=[lc.AIMessage("a")]),
        AgentActionMessageLog("f", "b", "log", [hr.AIMessage("a")]),
    ),
    (lc_agents.AgentFinish({"output": 1}, "log"), AgentFinish({"output": 1}, "log")),
]


@pytest.mark.parametrize(("theirs", "ours"), PAIRS, ids=lambda value: type(value).__name__)
def test_each_kind_of_value(theirs: Any, ours: Any):
    again = loads(lc_load.dumps(theirs))
    assert type(again) is type(ours)
    assert again == ours
    assert loads(lc_load.dumps({"in": [theirs]})) == {"in": [ours]}


def test_a_users_dict_that_looks_like_a_value_stays_a_dict():
    trap = {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {"command": "x"}}
    message = lc.AIMessage("a", additional_kwargs={"trap": trap})
    assert loads(lc_load.dumps(message)).additional_kwargs == {"trap": trap}


def test_an_example_of_long_ago():
    kwargs = {"content": "a", "example": False, "type": "human", "additional_kwargs": {}}
    path = ["langchain", "schema", "messages", "HumanMessage"]
    old = {"lc": 1, "type": "constructor", "id": path, "kwargs": kwargs}
    assert loads(json.dumps(old)) == hr.HumanMessage("a")
    assert hr.messages_from_dict([{"type": "human", "data": kwargs}]) == [hr.HumanMessage("a")]


AI = ["langchain_core", "messages", "AIMessage"]


def told(**fields: Any) -> str:
    return json.dumps({"lc": 1, **fields})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lc_load.dumps(FakeListChatModel(responses=["a"])), "could not write"),
        (lc_load.dumps(ChatPromptTemplate.from_template("{x}")), "components"),
        (lc_load.dumps(lc.AIMessage("a", additional_kwargs={"x": object()})), "could not write"),
        (told(type="constructor", id=["os", "system"], kwargs={}), "os.system"),
        (told(type="constructor", id=["evil", "AIMessage"], kwargs={"content": "a"}), "evil"),
        (told(type="constructor", id=[], kwargs={}), "IndexError"),
        (told(type="constructor", id=AI), "kwargs"),
        (
            told(type="constructor", id=AI, kwargs={"content": "a", "no": 1}),
            "no field",
        ),
        (
            told(
                type="constructor",
                id=AI,
                kwargs={"content": "a", "type": "human"},
            ),
            "'human'",
        ),
        (told(type="secret", id=["KEY"]), "'KEY'.*secrets_map"),
        (told(type="other"), "'other'"),
        (json.dumps({"lc": 2, "type": "constructor"}), "version 2"),
    ],
)
def test_what_is_refused(text: str, message: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KEY", "from the environment")
    with pytest.raises(InputError, match=message):
        loads(text)


def test_secrets_are_taken_from_the_map_alone():
    kwargs = {
        "content": "a",
        "additional_kwargs": {"key": {"lc": 1, "type": "secret", "id": ["K"]}},
    }
    text = told(type="constructor", id=["langchain_core", "messages", "AIMessage"], kwargs=kwargs)
    assert loads(text, secrets_map={"K": "v"}).additional_kwargs == {"key": "v"}
    with pytest.raises(InputError, match="'K'"):
        loads(text, secrets_map={"other": "v"})


def test_fields_are_compared_by_these_tests():
    assert shown([hr.AIMessage("a")]) == shown([lc.AIMessage("a")])
