"""What is sent of a conversation: whose thoughts go back to whom and in which field, tool calls and
images in messages that cannot have them, and the name that Azure's longest answer has."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import langchain_core.messages as theirs
import pytest
from langchain_mistralai import ChatMistralAI as TheirMistral
from pydantic import ValidationError

from headrace.errors import InputError
from headrace.langchain import to_headrace, to_langchain
from headrace.merge import merge
from headrace.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from headrace.providers import (
    AzureChatOpenAI,
    ChatAnthropic,
    ChatCohere,
    ChatFireworks,
    ChatGoogleGenerativeAI,
    ChatGroq,
    ChatMistralAI,
    ChatNVIDIA,
    ChatOpenAI,
    ChatTogether,
)
from laws.colours import Colour, every_colour
from providers.models import KEY, model_for
from providers.replay import recording, replaying
from providers.replay_colours import run

PNG = "iVBORw0KGgo="
CALL = {"name": "add", "args": {"a": 1}, "id": "abcdefgh1", "type": "tool_call"}
CLASSES = [
    ChatOpenAI, ChatAnthropic, ChatGoogleGenerativeAI, ChatCohere, ChatNVIDIA, ChatFireworks,
    ChatGroq, ChatMistralAI, ChatTogether,
]  # fmt: skip


def sent(model: Any, messages: list[BaseMessage], **given: Any) -> dict[str, Any]:
    request: dict[str, Any] = model._request(messages, None, given, stream=False)
    return request


# ---- Groq's own tools ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["compound-mini.45487a", "compound.5b14e2"])
@every_colour
def test_what_groqs_tools_did_stands_before_the_text_that_they_ran_for(
    name: str, colour: Colour
) -> None:
    exchange = recording(f"groq/chat-completions.json.{name}")
    with replaying(exchange) as server:
        model = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            blocks = doors.invoke(model, "Is it?").content_blocks
            kinds = [block["type"] for block in blocks]
            assert kinds == ["reasoning", "server_tool_call", "server_tool_result", "text"]
            assert blocks[1]["name"] == "code_interpreter"
            assert blocks[1]["args"]["arguments"].startswith('{"code": "print(')
            assert blocks[2]["output"] == "{'is_fruit': True}\n"
            assert blocks[3]["text"].count("is_fruit") == 1

        run(colour, model, body)


def test_groqs_search_has_the_name_that_other_vendors_have() -> None:
    exchange = recording("groq/chat-completions.reasoning_stream.compound-beta")
    with replaying(exchange) as server:
        model = model_for(exchange, server.url)
        blocks = merge(list(model.stream("?"))).content_blocks
        model.close()
    names = [block["name"] for block in blocks if block["type"] == "server_tool_call"]
    assert names and set(names) == {"web_search"}


# ---- answers that LangChain's ChatMistralAI gave -------------------------------------------------


def _theirs_at(url: str) -> Any:
    settings: Any = {"model": "m", "base_url": f"{url}/v1", "api_key": KEY, "max_retries": 0}
    return TheirMistral(**settings)


def _answer_of_theirs() -> theirs.AIMessage:
    with replaying(recording("mistral/chat-completions.reasoning.magistral-medium")) as server:
        model = _theirs_at(server.url)
        answer: theirs.AIMessage = model.invoke("?")
        model.client.close()
    return answer


def test_an_answer_of_langchains_mistral_is_the_models_own() -> None:
    given = to_headrace(_answer_of_theirs())
    assert given.response_metadata["model_provider"] == "mistralai"
    kinds = [block["type"] for block in given.content_blocks]
    assert kinds == ["reasoning", "text"]
    thought = given.content_blocks[0]["reasoning"]
    assert len(thought) > 100
    model = ChatMistralAI(model="m", api_key=KEY)
    back = sent(model, [HumanMessage("?"), given, HumanMessage("And?")])["messages"][1]["content"]
    (part,) = [part for part in back if part["type"] == "thinking"]
    assert "".join(each["text"] for each in part["thinking"]) == thought


def test_langchains_mistral_is_sent_what_ours_thought() -> None:
    exchange = recording("mistral/chat-completions.reasoning.magistral-medium")
    with replaying(exchange) as server:
        model = model_for(exchange, server.url)
        ours = model.invoke("?")
        model.close()
        there = to_langchain(ours)
        model = _theirs_at(server.url)
        model.invoke([theirs.HumanMessage("?"), there, theirs.HumanMessage("And?")])
        model.client.close()
        content = server.requests[-1].body["messages"][1]["content"]
    assert [part["type"] for part in content] == ["thinking", "text"]
    assert content[0]["thinking"][0]["text"] == ours.content_blocks[0]["reasoning"]
    back = to_headrace(there)
    assert back.content == ours.content and back.response_metadata == ours.response_metadata


def test_references_of_langchains_mistral_are_citations_and_go_back() -> None:
    text = {"type": "text", "text": "So it is.", "reference": {"reference_ids": [2, 3]}}
    given = AIMessage([text], response_metadata={"model_provider": "mistralai"})
    (block,) = given.content_blocks
    assert block["annotations"] == [{"type": "citation", "extras": {"reference_ids": [2, 3]}}]
    model = ChatMistralAI(model="m", api_key=KEY)
    back = sent(model, [HumanMessage("?"), given, HumanMessage("!")])["messages"][1]["content"]
    assert back == [
        {"type": "text", "text": "So it is."},
        {"type": "reference", "reference_ids": [2, 3]},
    ]


def test_openais_answers_are_none_of_azures() -> None:
    """LangChain's classes for both say "openai"; what one enciphered the other refuses."""
    thought = {
        "type": "reasoning",
        "reasoning": "",
        "extras": {"encrypted_content": "E", "id": "r"},
    }
    answer = AIMessage(
        [thought, {"type": "text", "text": "Yes"}], response_metadata={"model_provider": "openai"}
    )
    given = [HumanMessage("?"), answer, HumanMessage("And?")]
    settings: Any = {"api_key": KEY, "use_responses_api": True, "store": False}
    azure = AzureChatOpenAI(
        azure_endpoint="https://n.test/openai/v1", azure_deployment="d", **settings
    )
    assert "Yes" in json.dumps(sent(azure, given)["input"])
    assert "encrypted_content" not in json.dumps(sent(azure, given)["input"])
    assert "encrypted_content" in json.dumps(
        sent(ChatOpenAI(model="m", **settings), given)["input"]
    )


# ---- thoughts, in the field that a server wants --------------------------------------------------


def _turn(provider: str | None) -> list[BaseMessage]:
    facts = {} if provider is None else {"model_provider": provider, "model_name": "other"}
    thought = {"type": "reasoning", "reasoning": "THOUGHT"}
    return [
        HumanMessage("?"),
        AIMessage([thought], tool_calls=[CALL], response_metadata=facts),
        ToolMessage("1", tool_call_id=CALL["id"]),
    ]


SENDING: list[tuple[Any, str]] = [
    (ChatOpenAI, "openai"), (ChatTogether, "together"), (ChatNVIDIA, "nvidia"), (ChatGroq, "groq"),
    (ChatFireworks, "fireworks"), (AzureChatOpenAI, "azure"),
]  # fmt: skip


@pytest.mark.parametrize(("cls", "provider"), SENDING)
def test_thoughts_are_sent_back_where_the_user_says(cls: Any, provider: str) -> None:
    where: Any = {"azure_endpoint": "https://n.test/models"} if provider == "azure" else {}
    model = cls(model="m", api_key=KEY, send_reasoning_as="reasoning_content", **where)
    for origin, wanted in ((provider, "THOUGHT"), (None, "THOUGHT"), ("anthropic", None)):
        answer = sent(model, _turn(origin))["messages"][1]
        assert answer.get("reasoning_content") == wanted
        assert answer["tool_calls"][0]["id"] == CALL["id"]
    silent = cls(model="m", api_key=KEY, **where)
    unasked = {"fireworks": "THOUGHT"}.get(provider)
    assert sent(silent, _turn(provider))["messages"][1].get("reasoning_content") == unasked


def test_a_field_must_have_a_name() -> None:
    with pytest.raises(ValidationError, match="send_reasoning_as"):
        ChatOpenAI(model="m", api_key=KEY, send_reasoning_as="")


@every_colour
def test_a_deepseek_is_sent_what_it_thought(colour: Colour) -> None:
    with replaying(recording("azure/chat-completions.reasoning_stream.deepseek-r1-0528")) as server:
        model = ChatOpenAI(
            model="deepseek", base_url=f"{server.url}/v1", api_key=KEY, max_retries=0,
            send_reasoning_as="reasoning_content",
        )  # fmt: skip

        def body(doors: Any) -> None:
            first = merge(doors.stream(model, "?"))
            thought = "".join(
                b["reasoning"] for b in first.content_blocks if b["type"] == "reasoning"
            )
            doors.stream(model, [HumanMessage("?"), first, HumanMessage("And?")])
            assert thought
            assert server.requests[-1].body["messages"][1]["reasoning_content"] == thought

        run(colour, model, body)


# ---- what users cannot say -----------------------------------------------------------------------

GIVEN: list[Any] = [
    HumanMessage([{"type": "text", "text": "?"}, CALL]),
    HumanMessage([{"type": "tool_use", "id": "1", "name": "add", "input": {}}]),
    SystemMessage([{**CALL, "type": "invalid_tool_call"}]),
    ChatMessage([CALL], role="user"),
]


@pytest.mark.parametrize("cls", CLASSES)
@every_colour
def test_a_user_calls_no_tools(cls: Any, colour: Colour) -> None:
    with replaying(recording("openai/chat-completions.text.gpt-4.09ffa9")) as server:
        model = cls(model="m", api_key=KEY, base_url=server.url, max_retries=0)

        def body(doors: Any) -> None:
            before = len(server.requests)
            for message, door in product(GIVEN, (doors.invoke, doors.stream)):
                with pytest.raises(InputError, match=r"only the model calls tools: give AIMessage"):
                    door(model, [message, HumanMessage("?")])
            assert len(server.requests) == before

        run(colour, model, body)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_model_calls_tools_in_whichever_form(cls: Any) -> None:
    model = cls(model="m", api_key=KEY)
    called = AIMessage([CALL], tool_calls=[CALL])
    result = ToolMessage([{"type": "text", "text": "1"}], tool_call_id=CALL["id"], name="add")
    call = model._call([HumanMessage("?"), called, result], None, {}, stream=False)
    assert json.dumps(call.request).count('"add"') >= 1


IMAGES: list[Any] = [
    {"type": "image", "base64": PNG, "mime_type": "image/png"},
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    {"type": "file", "base64": PNG, "mime_type": "application/pdf"},
]


@pytest.mark.parametrize("block", IMAGES, ids=lambda b: b["type"])
@pytest.mark.parametrize("cls", [ChatAnthropic, ChatGoogleGenerativeAI])
def test_the_system_shows_no_images(cls: Any, block: Any) -> None:
    model = cls(model="m", api_key=KEY)
    said = SystemMessage([{"type": "text", "text": "Look:"}, block])
    with pytest.raises(InputError, match=r"nothing but text from the system: .* a HumanMessage"):
        sent(model, [said, HumanMessage("?")])
    assert PNG in json.dumps(sent(model, [HumanMessage([block])]))
    texts = SystemMessage(["One", {"type": "text", "text": "Two"}])
    request = json.dumps(sent(model, [texts, HumanMessage("?")]), default=str)
    assert "One" in request and "Two" in request


# ---- how long an answer may be, at Azure ---------------------------------------------------------

OLD, NEW = "max_tokens", "max_completion_tokens"
WORDS: list[Any] = [
    # behind the host, version, deployment, the word
    ("", "2024-10-21", "our-thinker", NEW),
    ("", "2024-09-01-preview", "our-thinker", NEW),
    ("/openai/deployments/our-thinker", "2025-04-01-preview", "our-thinker", NEW),
    ("", "2024-06-01", "our-thinker", OLD),
    ("", "2024-06-01", "o3", NEW),
    ("/openai/v1", None, "our-thinker", NEW),
    ("/openai/v1/", "preview", "our-thinker", NEW),
    ("/models", "2024-05-01-preview", "DeepSeek-R1", OLD),
    ("/models", "2025-04-01", "DeepSeek-R1", OLD),
    ("/models", "2025-04-01", "gpt-5", NEW),
]


@pytest.mark.parametrize(("behind", "version", "name", "word"), WORDS)
def test_azures_longest_answer(behind: str, version: Any, name: str, word: str) -> None:
    where: dict[str, Any] = {"azure_endpoint": f"https://n.test{behind}", "api_version": version}
    model = AzureChatOpenAI(azure_deployment=name, api_key=KEY, max_tokens=9, **where)
    request = sent(model, [HumanMessage("?")])
    assert {key: value for key, value in request.items() if key in (OLD, NEW)} == {word: 9}


def test_azures_version_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://n.test")
    for version, word in (("2024-12-01-preview", NEW), ("2024-02-01", OLD)):
        monkeypatch.setenv("OPENAI_API_VERSION", version)
        model = AzureChatOpenAI(azure_deployment="our-thinker", api_key=KEY)
        assert sent(model, [HumanMessage("?")], max_tokens=7)[word] == 7
