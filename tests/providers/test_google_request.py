"""Google: messages, tools and settings to the body of a request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google import genai
from pydantic import BaseModel

from headrace.errors import ConfigError, InputError
from headrace.merge import merge
from headrace.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_chunk_to_message,
)
from headrace.providers import ChatGoogleGenerativeAI, ChatVertexAI
from headrace.providers._google.reader import GoogleReader
from headrace.providers._google.request import is_built_in, request_body
from headrace.tools import tool

GOOGLES = {"model_provider": "google_genai"}
ASK: list[BaseMessage] = [HumanMessage("hi")]


class City(BaseModel):
    """A city."""

    name: str
    people: int


@tool
def weather(place: str) -> str:
    """The weather at a place."""
    return f"fine in {place}"


def _contents(*messages: BaseMessage, model: str = "gemini-2.5-flash") -> list[Any]:
    contents: list[Any] = request_body(messages, {}, model=model)["contents"]
    return contents


def _parts(message: BaseMessage) -> list[Any]:
    (content,) = _contents(message)
    parts: list[Any] = content["parts"]
    return parts


def _own(content: Any, **more: Any) -> AIMessage:
    return AIMessage(content, response_metadata=GOOGLES, **more)


def _body(model: Any, **given: Any) -> dict[str, Any]:
    body: dict[str, Any] = model._request(ASK, None, given, stream=False)["body"]
    return body


def _model(**settings: Any) -> ChatGoogleGenerativeAI:
    return ChatGoogleGenerativeAI(**{"model": "gemini-2.5-flash", "api_key": "k", **settings})


def _answered(event: dict[str, Any]) -> Any:
    return message_chunk_to_message(merge(list(GoogleReader("google_genai").whole(event))))


def _structured(method: Any) -> dict[str, Any]:
    """What a model with structured output sends."""
    chain: Any = _model().with_structured_output(City, method=method)
    return _sent_with(chain.steps[0])


def _sent_with(bound: Any) -> dict[str, Any]:
    noted = "ls_structured_output_format"  # for traces; no call has it
    return _body(bound.bound, **{k: v for k, v in bound.kwargs.items() if k != noted})


# ---- messages ------------------------------------------------------------------------------------


def test_roles_and_the_system_instruction() -> None:
    body = request_body(
        [
            SystemMessage("Be kind."),
            HumanMessage("hi"),
            AIMessage("hello"),
            ChatMessage("more", role="user"),
            ChatMessage("Be brief.", role="developer"),
            ChatMessage("ok", role="assistant"),
        ],
        {},
        model="m",
    )
    assert body["systemInstruction"]["parts"] == [{"text": "Be kind."}, {"text": "Be brief."}]
    assert [(c["role"], c["parts"][0]["text"]) for c in body["contents"]] == [
        ("user", "hi"), ("model", "hello"), ("user", "more"), ("model", "ok"),
    ]  # fmt: skip


def test_results_of_one_turn_are_one_content_and_name_their_functions() -> None:
    calls = [{"name": name, "args": {"x": 1}, "id": id} for name, id in (("f", "a"), ("g", "b"))]
    asked, answered, thanks = _contents(
        AIMessage("", tool_calls=calls),
        ToolMessage("3", tool_call_id="b"),
        ToolMessage('{"deep": [1]}', tool_call_id="a", status="success"),
        HumanMessage("thanks"),
    )
    assert asked["parts"][0] == {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}}
    assert answered["role"] == "user"
    assert [part["functionResponse"] for part in answered["parts"]] == [
        {"id": "b", "name": "g", "response": {"output": "3"}},
        {"id": "a", "name": "f", "response": {"deep": [1]}},
    ]
    assert thanks["parts"] == [{"text": "thanks"}]


def test_a_result_may_be_an_error_a_picture_or_of_a_function_message() -> None:
    picture = {"type": "image", "base64": "aGk=", "mime_type": "image/png"}
    content: list[Any] = [{"type": "text", "text": "see"}, picture]
    failed, shown, old = _contents(
        ToolMessage("no such place", tool_call_id="a", name="f", status="error"),
        ToolMessage(content, tool_call_id="b", name="f"),
        FunctionMessage("1", name="g"),
    )[0]["parts"]
    assert failed["functionResponse"]["response"] == {"error": "no such place"}
    assert shown["functionResponse"]["response"] == {"output": "see"}
    inline = {"mimeType": "image/png", "data": "aGk="}
    assert shown["functionResponse"]["parts"] == [{"inlineData": inline}]
    assert old == {"functionResponse": {"name": "g", "response": {"output": "1"}}}


def test_ids_that_were_made_up_are_not_sent() -> None:
    told = {"functionCall": {"name": "f", "args": {}}}
    event = {"candidates": [{"content": {"parts": [told]}, "finishReason": "STOP"}]}
    message = _answered(event)
    answer = ToolMessage("1", tool_call_id=message.tool_calls[0]["id"])
    asked, answered = _contents(message, answer)
    assert asked["parts"] == [told]
    assert answered["parts"][0]["functionResponse"] == {"name": "f", "response": {"output": "1"}}


def test_what_google_said_is_sent_back_as_it_was() -> None:
    parts = [
        {"text": "hm", "thought": True, "thoughtSignature": "s0"},
        {"text": "Look: ", "thoughtSignature": "s1"},
        {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "s2"},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"toolCall": {"id": "t", "toolType": "MAPS", "args": {"q": 1}}},
        {"toolResponse": {"id": "t", "toolType": "MAPS", "response": {"r": 1}}},
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}, "thought": True},
        {"holodeck": {"deck": 3}},
        {"text": "", "thoughtSignature": "s3"},
        {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}, "thoughtSignature": "s4"},
        {"functionCall": {"id": "b", "name": "f", "args": {}}},
    ]
    event = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    message = _answered(event)
    assert _parts(message) == parts
    again = AIMessage.model_validate(json.loads(json.dumps(message.model_dump())))
    assert _parts(again) == parts


def test_what_another_vendor_thought_and_signed_is_not_sent() -> None:
    message = AIMessage(
        [
            {"type": "reasoning", "reasoning": "hm", "extras": {"signature": "s"}},
            {"type": "text", "text": "So.", "extras": {"signature": "s"}},
            {"type": "server_tool_call", "id": "x", "name": "web_search", "args": {}},
            {"type": "non_standard", "value": {"odd": 1}},
        ],
        additional_kwargs={"signatures": {"a": "s"}},
        tool_calls=[{"name": "f", "args": {}, "id": "a"}],
        response_metadata={"model_provider": "anthropic"},
    )
    call = {"functionCall": {"id": "a", "name": "f", "args": {}}}
    assert _parts(message) == [{"text": "So."}, call]


def test_models_that_want_signatures_get_one_for_calls_of_others() -> None:
    calls = [{"name": name, "args": {}, "id": name} for name in "ab"]
    skip = "skip_thought_signature_validator"
    for model, signature in (("gemini-3-pro-preview", skip), ("gemini-2.5-pro", None)):
        (content,) = _contents(AIMessage("", tool_calls=calls), model=model)
        found = [part.get("thoughtSignature") for part in content["parts"]]
        assert found == [signature, None]
    signed = _own("", tool_calls=calls, additional_kwargs={"signatures": {"b": "s"}})
    (content,) = _contents(signed, model="gemini-3-pro-preview")
    assert [part.get("thoughtSignature") for part in content["parts"]] == [None, "s"]


def test_langchains_forms_are_read() -> None:
    message = _own(
        [
            {"type": "thinking", "thinking": "hm", "signature": "s1"},
            {"type": "text", "text": "So.", "extras": {"signature": "s2"}},
            {"type": "executable_code", "executable_code": "1", "language": "PYTHON"},
            {"type": "function_call", "name": "f", "args": {}},
        ],
        tool_calls=[{"name": "f", "args": {}, "id": "a"}],
        additional_kwargs={"__gemini_function_call_thought_signatures__": {"a": "s3"}},
    )
    assert _parts(message) == [
        {"text": "hm", "thought": True, "thoughtSignature": "s1"},
        {"text": "So.", "thoughtSignature": "s2"},
        {"executableCode": {"code": "1", "language": "PYTHON"}},
        {"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": "s3"},
    ]


def test_an_empty_message_of_the_model_is_left_out() -> None:
    assert [c["role"] for c in _contents(HumanMessage("a"), AIMessage(""))] == ["user"]


INLINE = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "image", "base64": "aGk=", "mime_type": "image/png"}, INLINE),
        ({"type": "image", "url": "data:image/png;base64,aGk="}, INLINE),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}, INLINE),
        ({"type": "media", "mime_type": "image/png", "data": "aGk="}, INLINE),
        (
            {"type": "image", "url": "https://x.org/a.webp?b=1"},
            {"fileData": {"fileUri": "https://x.org/a.webp?b=1", "mimeType": "image/webp"}},
        ),
        (
            {"type": "video", "url": "https://y.be/x", "extras": {"video_metadata": {"fps": 2}}},
            {"fileData": {"fileUri": "https://y.be/x"}, "videoMetadata": {"fps": 2}},
        ),
        (
            {"type": "file", "file_id": "gs://b/a.pdf"},
            {"fileData": {"fileUri": "gs://b/a.pdf", "mimeType": "application/pdf"}},
        ),
        (
            {"type": "audio", "base64": "aGk=", "mime_type": "audio/wav"},
            {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}},
        ),
        ({"type": "text-plain", "text": "note", "mime_type": "text/plain"}, {"text": "note"}),
        ({"type": "non_standard", "value": {"fileData": {"fileUri": "x"}}},
         {"fileData": {"fileUri": "x"}}),
    ],
)  # fmt: skip
def test_what_users_show(block: dict[str, Any], part: dict[str, Any]) -> None:
    assert _parts(HumanMessage(["see", block])) == [{"text": "see"}, part]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (HumanMessage([{"type": "image", "base64": "aGk="}]), "mime_type"),
        (HumanMessage([{"type": "image"}]), "base64, url or file_id"),
        (HumanMessage([{"type": "reasoning", "reasoning": "x"}]), "'reasoning'"),
        (HumanMessage([{"type": "weird", "x": 1}]), "weird"),
        (ToolMessage("1", tool_call_id="nobody"), "'nobody'"),
        (SystemMessage("only"), "system messages"),
    ],
)
def test_what_cannot_be_said(message: BaseMessage, said: str) -> None:
    with pytest.raises(InputError, match=said):
        _contents(message)


# ---- settings ------------------------------------------------------------------------------------


def test_settings_of_the_model() -> None:
    model = _model(
        temperature=0, max_output_tokens=9, top_p=0.5, top_k=3, stop_sequences="x", seed=4,
        candidate_count=2, thinking_budget=0, include_thoughts=True, logprobs=5,
        response_modalities=["TEXT"], safety_settings={"HARM_CATEGORY_HARASSMENT": "BLOCK_NONE"},
        cached_content="cachedContents/x", labels={"team": "a"},
        model_kwargs={"speech_config": {"language_code": "de"}, "model_armor_config": {"a": 1}},
    )  # fmt: skip
    body = _body(model)
    assert body["generationConfig"] == {
        "temperature": 0, "maxOutputTokens": 9, "topP": 0.5, "topK": 3, "stopSequences": ["x"],
        "seed": 4, "candidateCount": 2, "responseLogprobs": True, "logprobs": 5,
        "thinkingConfig": {"thinkingBudget": 0, "includeThoughts": True},
        "responseModalities": ["TEXT"], "speechConfig": {"language_code": "de"},
    }  # fmt: skip
    assert body["safetySettings"] == [
        {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}
    ]
    assert body["cachedContent"] == "cachedContents/x"
    assert body["labels"] == {"team": "a"}
    assert body["modelArmorConfig"] == {"a": 1}


def test_a_model_without_settings_sends_none() -> None:
    assert _body(_model()) == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def test_a_call_overrides_the_model() -> None:
    body = _body(
        _model(temperature=1, thinking_level="low"),
        temperature=0,
        generation_config={"max_output_tokens": 3, "thinking_config": {"includeThoughts": True}},
    )
    assert body["generationConfig"]["temperature"] == 0
    assert body["generationConfig"]["maxOutputTokens"] == 3
    assert _body(_model(thinking_level="low"))["generationConfig"] == {
        "thinkingConfig": {"thinkingLevel": "LOW"}
    }
    request = _model()._request(ASK, ["end"], {"model": "gemini-x"}, stream=True)
    assert request["model"] == "gemini-x"
    assert request["body"]["generationConfig"] == {"stopSequences": ["end"]}


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({"type": "object", "properties": {"a": {"type": "string"}}}, "responseSchema"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}, "responseJsonSchema"),
        ({"type": "object", "items": [{"additionalProperties": False}]}, "responseJsonSchema"),
        (City, "responseJsonSchema"),
    ],
)
def test_response_schemas(schema: Any, field: str) -> None:
    config = _body(_model(response_schema=schema))["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert set(config) == {"responseMimeType", field}


# ---- tools and structure -------------------------------------------------------------------------


def test_functions() -> None:
    body = _sent_with(_model().bind_tools([weather, City]))
    (declared,) = body["tools"]
    first, second = declared["functionDeclarations"]
    assert (first["name"], first["description"]) == ("weather", "The weather at a place.")
    assert first["parametersJsonSchema"]["required"] == ["place"]
    assert second["name"] == "City"
    assert "toolConfig" not in body


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("any", {"mode": "ANY"}),
        (True, {"mode": "ANY"}),
        ("weather", {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
    ],
)
def test_tool_choice(choice: Any, calling: dict[str, Any]) -> None:
    body = _sent_with(_model().bind_tools([weather], tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": calling}


def test_a_tool_choice_in_googles_words_or_of_several_names() -> None:
    for given, calling in (
        (["f", "g"], {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}),
        ({"function_calling_config": {"mode": "VALIDATED"}}, {"mode": "VALIDATED"}),
    ):
        body = _body(_model(), tool_choice=given, tool_config={"retrievalConfig": {"a": 1}})
        assert body["toolConfig"] == {
            "functionCallingConfig": calling, "retrievalConfig": {"a": 1},
        }  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        {"google_search": {}}, {"googleSearch": {}}, {"type": "google_search"}, "google_search",
        genai.types.Tool(google_search=genai.types.GoogleSearch()),
    ],
)  # fmt: skip
def test_googles_own_tools(given: Any) -> None:
    alone = _sent_with(_model().bind_tools([given]))
    assert alone["tools"] == [{"googleSearch": {}}]
    beside = _sent_with(_model().bind_tools([given, weather], tool_choice="auto"))
    declared, own = beside["tools"]
    assert declared["functionDeclarations"][0]["name"] == "weather"
    assert own == {"googleSearch": {}}
    assert beside["toolConfig"] == {"functionCallingConfig": {"mode": "AUTO"}}


@pytest.mark.parametrize("given", [weather, City, {"name": "f"}, {}, "weather", 3, None])
def test_what_is_no_tool_of_googles(given: Any) -> None:
    assert not is_built_in(given)


def test_a_function_in_googles_form() -> None:
    schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
    body = _body(_model(), tools=[{"name": "f", "parameters": schema}])
    assert body["tools"] == [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]


def test_gemini_cannot_call_one_tool_at_a_time() -> None:
    bound = _model().bind_tools([weather], parallel_tool_calls=False)
    with pytest.raises(ConfigError, match="one tool at a time"):
        _sent_with(bound)
    assert _sent_with(_model().bind_tools([weather], parallel_tool_calls=True))["tools"]


@pytest.mark.parametrize("method", [None, "json_schema", "json_mode"])
def test_structured_output_as_json(method: str | None) -> None:
    config = _structured(method)["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert ("responseJsonSchema" in config) == (method != "json_mode")


def test_structured_output_as_a_call() -> None:
    body = _structured("function_calling")
    assert body["tools"][0]["functionDeclarations"][0]["name"] == "City"
    assert body["toolConfig"]["functionCallingConfig"]["mode"] == "ANY"
    assert "generationConfig" not in body


def test_both_classes_send_the_same() -> None:
    vertex = ChatVertexAI(model="gemini-2.5-flash", project="p", temperature=0.3)
    assert _body(vertex, tools=[]) == _body(_model(temperature=0.3), tools=[])
