"""What ChatMistralAI asks for: messages, tools and settings in Mistral's dialect."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from headrace.errors import InputError
from headrace.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from headrace.providers import ChatMistralAI
from headrace.providers._mistral.request import call_id

KEY: Any = "a-key"
OWN = {"model_provider": "mistral"}


def asked(messages: Any, given: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    model = ChatMistralAI(model="small", api_key=KEY, **settings)
    request = model._request(messages, None, dict(given or {}), stream=True)
    assert request.pop("model") == "small"
    return request


def said(*messages: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = asked(list(messages))["messages"]
    return sent


def a_call(id: str) -> dict[str, Any]:
    return {"name": "add", "args": {"a": 1}, "id": id, "type": "tool_call"}


def test_ids_of_calls_are_nine_letters_and_digits() -> None:
    assert call_id("QAw0JBXkB") == "QAw0JBXkB"
    foreign = [f"call_{n}" for n in range(200)]
    made = [call_id(id) for id in foreign]
    assert made == [call_id(id) for id in foreign], "always the same"
    assert len(set(made)) == 200
    assert all(len(id) == 9 and id.isalnum() and id.isascii() for id in made)


def test_a_conversation_with_tools_of_another_vendors_ids() -> None:
    system, user, own, tool = said(
        SystemMessage("Be short."),
        HumanMessage("1+1?"),
        AIMessage("", tool_calls=[a_call("toolu_1")]),
        ToolMessage("2", tool_call_id="toolu_1"),
    )
    assert (system["role"], user["role"]) == ("system", "user")
    assert own["tool_calls"][0]["id"] == tool["tool_call_id"] == call_id("toolu_1")
    assert own["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}
    assert "prefix" not in own


def test_an_answer_at_the_end_is_its_beginning() -> None:
    *_, earlier, question, last = said(
        HumanMessage("?"), AIMessage("Yes."), HumanMessage("Sure?"), AIMessage("I am")
    )
    assert "prefix" not in earlier
    assert question["role"] == "user"
    assert last == {"role": "assistant", "content": "I am", "prefix": True}


def test_a_call_at_the_end_is_no_beginning() -> None:
    (own,) = said(AIMessage("", tool_calls=[a_call("QAw0JBXkB")]))
    assert "prefix" not in own


def test_what_it_thought_is_sent_back() -> None:
    source = {"type": "tool_reference", "tool": "web_search", "title": "T"}
    thought = {"type": "reasoning", "reasoning": "Hm", "extras": {"signature": "s"}, "index": 0}
    other = {"type": "reasoning", "reasoning": "So", "extras": {"sources": [source]}}
    cited = [{"type": "citation", "extras": {"reference_ids": [3]}}]
    text = {"type": "text", "text": "Yes", "annotations": cited, "index": 2}
    own, _ = said(
        AIMessage([thought, other, text], response_metadata=OWN),
        HumanMessage("?"),
    )
    hm, so = {"type": "text", "text": "Hm"}, {"type": "text", "text": "So"}
    assert own["content"] == [
        {"type": "thinking", "thinking": [hm], "signature": "s"},
        {"type": "thinking", "thinking": [so, source]},
        {"type": "text", "text": "Yes"},
        {"type": "reference", "reference_ids": [3]},
    ]


def test_what_another_vendors_model_thought_is_not() -> None:
    own, _ = said(
        AIMessage(
            [{"type": "reasoning", "reasoning": "secret"}, {"type": "text", "text": "Yes"}],
            response_metadata={"model_provider": "anthropic"},
        ),
        HumanMessage("?"),
    )
    assert own == {"role": "assistant", "content": "Yes"}


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "image", "url": "https://i"},
         {"type": "image_url", "image_url": {"url": "https://i"}}),
        ({"type": "file", "url": "https://f.pdf"},
         {"type": "document_url", "document_url": "https://f.pdf"}),
        ({"type": "file", "base64": "aGk=", "mime_type": "text/csv", "extras": {"filename": "f"}},
         {"type": "document_url", "document_url": "data:text/csv;base64,aGk=",
          "document_name": "f"}),
        ({"type": "file", "file": {"file_data": "data:x;base64,aGk=", "filename": "n"}},
         {"type": "document_url", "document_url": "data:x;base64,aGk=", "document_name": "n"}),
        ({"type": "file", "file_id": "an-id"}, {"type": "file", "file_id": "an-id"}),
        ({"type": "file", "file": {"file_id": "an-id"}}, {"type": "file", "file_id": "an-id"}),
        ({"type": "audio", "base64": "aGk=", "mime_type": "audio/wav"},
         {"type": "input_audio", "input_audio": "aGk="}),
        ({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
         {"type": "input_audio", "input_audio": "aGk="}),
        ({"type": "input_audio", "input_audio": "aGk="},
         {"type": "input_audio", "input_audio": "aGk="}),
        ({"type": "document_url", "document_url": "https://f"},
         {"type": "document_url", "document_url": "https://f"}),
    ],
)  # fmt: skip
def test_images_files_and_sound(block: dict[str, Any], part: dict[str, Any]) -> None:
    (sent,) = said(HumanMessage([{"type": "text", "text": "What?"}, block]))
    assert sent["content"] == [{"type": "text", "text": "What?"}, part]


def test_no_message_is_refused() -> None:
    with pytest.raises(InputError, match="at least one message"):
        said()


def test_settings_in_mistrals_words() -> None:
    request = asked(
        [HumanMessage("?")], {"seed": 7}, temperature=0.5, stop="x", max_tokens=9, safe_mode=True,
        reasoning_effort="high", model_kwargs={"prompt_cache_key": "k"}, parallel_tool_calls=True,
    )  # fmt: skip
    del request["messages"]
    assert request == {
        "temperature": 0.5, "stop": ["x"], "max_tokens": 9, "safe_prompt": True, "random_seed": 7,
        "reasoning_effort": "high", "prompt_cache_key": "k",
    }  # fmt: skip


@pytest.mark.parametrize("word", ["auto", "none", "any"])
def test_tool_choice(word: str) -> None:
    assert asked([HumanMessage("?")], {"tool_choice": word})["tool_choice"] == word
    named = asked([HumanMessage("?")], {"tool_choice": "add"})["tool_choice"]
    assert named == {"type": "function", "function": {"name": "add"}}


class Person(BaseModel):
    name: str


@pytest.mark.parametrize("method", ["json_schema", "json_mode", "function_calling"])
def test_structured_output(method: Any) -> None:
    model = ChatMistralAI(model="small", api_key=KEY)
    bound: Any = model.with_structured_output(Person, method=method)
    given = dict(next(step for step in bound.steps if hasattr(step, "kwargs")).kwargs)
    given.pop("ls_structured_output_format", None)
    request = asked([HumanMessage("?")], given)
    if method == "function_calling":
        assert request["tool_choice"] == "any"
        assert request["tools"][0]["function"]["name"] == "Person"
    elif method == "json_mode":
        assert request["response_format"] == {"type": "json_object"}
    else:
        assert request["response_format"]["json_schema"]["name"] == "Person"
