"""A conversation goes on with another vendor's model: text, refusals, calls and results are sent to
everybody, thoughts and the vendor's own facts to nobody but their vendor."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.errors import InputError
from headrace.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from headrace.providers import ChatAnthropic, ChatCohere, ChatGoogleGenerativeAI, ChatMistralAI
from providers.models import KEY

MODELS: dict[str, Any] = {
    "anthropic": ChatAnthropic,
    "cohere": ChatCohere,
    "google_genai": ChatGoogleGenerativeAI,
    "mistral": ChatMistralAI,
}
ANSWER: list[Any] = [
    {"type": "reasoning", "reasoning": "THOUGHT", "extras": {"signature": "U0lHTg=="}, "index": 0},
    {
        "type": "text",
        "text": "SAID",
        "annotations": [{"type": "citation", "url": "https://a.example", "extras": {"x": "FACT"}}],
        "index": 1,
    },
    {"type": "server_tool_call", "id": "1", "name": "search", "args": {"q": "RAN"}, "index": 2},
    {"type": "server_tool_result", "tool_call_id": "1", "status": "success", "output": "FOUND"},
    {"type": "non_standard", "value": {"type": "odd", "odd": "WRAPPED"}, "index": 4},
    {"type": "refusal", "refusal": "REFUSED", "index": 5},
]
CALL = {"name": "add", "args": {"a": "GIVEN"}, "id": "toolu_01"}


def conversation(provider: str) -> list[BaseMessage]:
    return [
        HumanMessage("ASKED"),
        AIMessage(ANSWER, tool_calls=[CALL], response_metadata={"model_provider": provider}),
        ToolMessage("RESULT", tool_call_id="toolu_01"),
        HumanMessage("AGAIN"),
    ]


def sent(to: str, messages: list[BaseMessage]) -> str:
    request = MODELS[to](model="m", api_key=KEY)._request(messages, None, {}, stream=False)
    return json.dumps(request)


@pytest.mark.parametrize(
    ("origin", "to"),
    [(one, to) for one in (*MODELS, "openai", "groq") for to in MODELS if one != to],
)
def test_a_conversation_goes_on_with_another_model(origin: str, to: str) -> None:
    told = sent(to, conversation(origin))
    for word in ("ASKED", "SAID", "REFUSED", "add", "GIVEN", "RESULT", "AGAIN"):
        assert word in told, word
    for word in ("THOUGHT", "U0lHTg", "FACT", "RAN", "FOUND", "WRAPPED"):
        assert word not in told, word


@pytest.mark.parametrize("vendor", MODELS)
def test_a_vendor_hears_its_own_thoughts_again(vendor: str) -> None:
    assert "THOUGHT" in sent(vendor, conversation(vendor))


@pytest.mark.parametrize(
    ("to", "block"),
    [
        ("cohere", {"type": "video", "url": "https://a.example/v"}),
        ("cohere", {"type": "audio", "base64": "aGk=", "mime_type": "audio/wav"}),
        ("cohere", {"type": "file", "base64": "aGk=", "mime_type": "application/pdf"}),
        ("mistral", {"type": "video", "url": "https://a.example/v"}),
        ("anthropic", {"type": "audio", "base64": "aGk=", "mime_type": "audio/wav"}),
    ],
)
def test_what_a_vendor_does_not_take_is_refused_in_its_name(to: str, block: Any) -> None:
    with pytest.raises(InputError, match=f"(?i)^{to}") as caught:
        sent(to, [HumanMessage([{"type": "text", "text": "See:"}, block])])
    assert block["type"] in str(caught.value)
