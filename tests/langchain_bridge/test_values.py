"""Values of LangChain and of Headrace, each way: nothing is lost, and nothing is copied in vain."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, namedtuple
from typing import Any
from uuid import uuid4

import langchain_core.documents as their_documents
import langchain_core.messages as theirs
import langchain_core.outputs as their_outputs
import langchain_core.prompt_values as their_prompts
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.runnables.utils import AddableDict as TheirAddableDict
from langgraph.types import Command, Send

import headrace.messages as ours
from headrace.documents import Document
from headrace.langchain import to_headrace, to_langchain
from headrace.outputs import ChatGeneration, LLMResult
from headrace.prompt_values import ChatPromptValue, StringPromptValue
from headrace.runnables.addable import AddableDict

USAGE = {
    "input_tokens": 3,
    "output_tokens": 4,
    "total_tokens": 7,
    "input_token_details": {"cache_read": 1, "flex": 2},
    "a_vendors_own": 9,  # no key of LangChain's type; pydantic would drop it
}
CALL = {"name": "search", "args": {"q": [1, {"deep": None}]}, "id": "c1", "type": "tool_call"}
BAD = {
    "name": "search",
    "args": '{"q": ',
    "id": "c2",
    "error": "cut",
    "type": "invalid_tool_call",
}
PIECE = {"name": "f", "args": '{"a": 1', "id": "i", "index": 0, "type": "tool_call_chunk"}
BLOCKS = [{"type": "text", "text": "hi"}, "and", {"type": "image_url", "image_url": {"url": "u"}}]

EXAMPLES: list[Any] = [
    theirs.HumanMessage("hi", id="1", name="ann"),
    theirs.HumanMessage(BLOCKS, additional_kwargs={"a": {"b": []}}),
    theirs.SystemMessage("be brief", response_metadata={"x": 1}),
    theirs.AIMessage("", tool_calls=[CALL], invalid_tool_calls=[BAD], id="run-1"),
    theirs.AIMessage(BLOCKS, response_metadata={"model_provider": "openai", "finish": None}),
    theirs.AIMessage("with a field of its own", cached=True),
    theirs.ChatMessage("hm", role="critic"),
    theirs.FunctionMessage("4", name="add"),
    theirs.ToolMessage("no", tool_call_id="c1", status="error", artifact={"rows": [1, 2]}),
    theirs.ToolMessage([{"type": "text", "text": "x"}], tool_call_id="c1", artifact=[]),
    theirs.RemoveMessage(id="7"),
    theirs.AIMessageChunk("he", id="lc_run--1", tool_call_chunks=[PIECE]),
    theirs.AIMessageChunk([], chunk_position="last", response_metadata={"finish_reason": "stop"}),
    theirs.HumanMessageChunk("x"),
    theirs.SystemMessageChunk("x"),
    theirs.ChatMessageChunk("x", role="r"),
    theirs.FunctionMessageChunk("x", name="n"),
    theirs.ToolMessageChunk("x", tool_call_id="c"),
    their_documents.Document("text", metadata={"page": 1, "by": {"ann": 2}}, id="d"),
    their_prompts.StringPromptValue(text="x"),
    their_prompts.ChatPromptValue(messages=[theirs.HumanMessage("x"), theirs.AIMessage("y")]),
    their_prompts.ChatPromptValueConcrete(messages=[theirs.HumanMessage("x")]),
    their_prompts.ImagePromptValue(image_url={"url": "u", "detail": "low"}),
    their_outputs.Generation(text="x", generation_info={"a": 1}),
    their_outputs.GenerationChunk(text="x"),
    their_outputs.ChatGeneration(message=theirs.AIMessage("x"), generation_info={"a": 1}),
    their_outputs.ChatGenerationChunk(message=theirs.AIMessageChunk("x")),
    their_outputs.ChatResult(
        generations=[their_outputs.ChatGeneration(message=theirs.AIMessage("x"))],
        llm_output={"tokens": 1},
    ),
    their_outputs.LLMResult(
        generations=[[their_outputs.Generation(text="x")], []],
        run=[their_outputs.RunInfo(run_id=uuid4())],
    ),
]


@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)
def test_there_and_back(value: Any) -> None:
    here = to_headrace(value)
    assert type(here).__module__.startswith("headrace."), type(here)
    assert type(here).__name__ == type(value).__name__
    back = to_langchain(here)
    assert type(back) is type(value)
    assert back == value
    assert to_headrace(back) == here


def test_usage_keeps_what_langchains_type_does_not_know() -> None:
    message = ours.AIMessage("x", usage_metadata=USAGE)  # type: ignore[arg-type]
    there = to_langchain(message)
    assert there.usage_metadata == USAGE
    assert to_headrace(there).usage_metadata == USAGE


ADDS: Any = {"name": "add", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
THOUGHT: Any = {"type": "reasoning", "reasoning": "Hm.", "extras": {"signature": "s"}, "index": 0}


def test_an_answer_with_thoughts_is_read_by_integrations_as_standard() -> None:
    said: Any = ["First.", THOUGHT, {"type": "text", "text": "So."}]
    facts = {"model_provider": "anthropic"}
    message = ours.AIMessage(said, tool_calls=[ADDS], response_metadata=facts)
    there = to_langchain(message)
    assert there.response_metadata["output_version"] == "v1"
    kinds = [block["type"] for block in there.content_blocks]
    assert kinds == ["text", "reasoning", "text", "tool_call"]
    assert there.content_blocks[-1] == ADDS
    assert there.tool_calls == [ADDS]
    assert message.content[0] == "First.", "ours stays as it was"
    assert "output_version" not in message.response_metadata
    back = to_headrace(there)
    assert back == message
    assert back.response_metadata == message.response_metadata
    assert back.additional_kwargs == {}


def test_an_answer_that_somebody_wrote_anew_comes_back_as_it_is() -> None:
    there = to_langchain(ours.AIMessage([THOUGHT]))
    assert to_headrace(there.model_copy(update={"content": "Mine."})).content == "Mine."


@pytest.mark.parametrize(
    "content",
    [
        "Text.",
        [{"type": "text", "text": "x"}],
        [{"type": "thinking", "thinking": "x", "signature": "s"}],  # Anthropic's own
        [{"type": "reasoning", "summary": [], "id": "rs_1"}],  # OpenAI's own
    ],
)
def test_an_answer_in_its_vendors_form_is_not_marked(content: Any) -> None:
    there = to_langchain(ours.AIMessage(content))
    assert there.content == content
    assert there.response_metadata == {}
    assert there.additional_kwargs == {}


@given(
    st.recursive(
        st.sampled_from([theirs.AIMessage("x"), their_documents.Document("d"), 1, "s", None]),
        lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
        max_leaves=12,
    )
)
def test_containers(value: Any) -> None:
    here = to_headrace(value)
    assert to_langchain(here) == value
    assert type(here) is type(value) or not isinstance(value, (list, tuple, dict))
    assert "langchain" not in repr(_kinds(here))


def _kinds(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [kind for item in value for kind in _kinds(item)]
    return [type(value).__module__]


def test_a_container_in_which_nothing_changes_is_itself() -> None:
    for value in ([1, [2, {"a": "b"}]], (1, 2), {"a": [object()]}, [ours.AIMessage("x")]):
        assert to_headrace(value) is value
    assert to_langchain([theirs.AIMessage("x")])[0].content == "x"


Pair = namedtuple("Pair", "left right")


def test_kinds_of_containers_stay() -> None:
    pair = to_headrace(Pair(theirs.AIMessage("x"), 1))
    assert type(pair) is Pair and pair.left == ours.AIMessage("x")
    ordered = to_headrace(OrderedDict(a=1, b=theirs.AIMessage("x")))
    assert type(ordered) is OrderedDict and list(ordered) == ["a", "b"]
    assert type(to_headrace(TheirAddableDict(a=1))) is AddableDict
    assert type(to_langchain(AddableDict(a=1))) is TheirAddableDict


def test_the_caller_keeps_what_he_gave() -> None:
    given = {"messages": [theirs.AIMessage("x")], "n": 1}
    to_headrace(given)
    assert given == {"messages": [theirs.AIMessage("x")], "n": 1}
    message = theirs.AIMessage("x", response_metadata={"a": {"b": 1}})
    to_headrace(message).response_metadata["a"]["b"] = 2
    assert message.response_metadata == {"a": {"b": 1}}


@dataclasses.dataclass
class State:
    messages: list[Any]


def test_what_is_not_known_stays() -> None:
    state = State([theirs.AIMessage("x")])
    for value in (state, object(), Send("n", 1), Command(goto="n"), print, theirs.AIMessage):
        assert to_headrace(value) is value
    itself: list[Any] = []
    itself.append(itself)
    assert to_headrace(itself) is itself


def test_a_command_of_langgraph_carries_messages() -> None:
    command = Command(update={"messages": [ours.AIMessage("x")]}, goto="next")
    there = to_langchain(command)
    assert there.update == {"messages": [theirs.AIMessage("x")]} and there.goto == "next"
    assert command.update == {"messages": [ours.AIMessage("x")]}


class Mine(ours.AIMessage):
    """A user's own kind."""


class Theirs(theirs.AIMessage):
    mood: str = "calm"


def test_subclasses_become_the_nearest_class() -> None:
    assert type(to_langchain(Mine("x"))) is theirs.AIMessage
    assert type(to_headrace(Theirs("x"))) is ours.AIMessage
    assert to_langchain(to_headrace(Theirs("x", mood="glad"))).mood == "glad"


def test_sums_that_were_not_read_yet() -> None:
    total = ours.AIMessageChunk("a", id="1") + ours.AIMessageChunk("b")
    assert to_langchain(total) == theirs.AIMessageChunk("ab", id="1")


def test_ours_become_theirs() -> None:
    assert to_langchain(Document("x", {"a": 1})) == their_documents.Document("x", metadata={"a": 1})
    assert to_langchain(StringPromptValue("x")) == their_prompts.StringPromptValue(text="x")
    prompt = ChatPromptValue([ours.HumanMessage("x")])
    assert to_langchain(prompt).to_messages() == [theirs.HumanMessage("x")]
    result = LLMResult([[ChatGeneration(ours.AIMessage("x"))]])
    assert to_langchain(result).generations[0][0].message == theirs.AIMessage("x")
