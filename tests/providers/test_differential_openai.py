"""OpenAI, Azure: the same bytes, read by langchain-openai and by Headrace, say the same.

Where they do not, `KNOWN` says why, and `docs/differences.md` has a row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from openai import DefaultHttpxClient

from providers.differential import differing
from providers.models import KEY
from providers.replay import Exchange, recordings
from providers.replay_clients import base_url

ANSWERS = [
    exchange
    for provider in ("openai", "azure")
    for exchange in recordings(provider)
    if exchange.api in ("chat.completions", "responses") and not exchange.kind.startswith("error")
]

# a part of an exchange's name -> what is said otherwise, and why
KNOWN: list[tuple[str, set[str], str]] = [
    ("openai/chat-completions.json_stream.gpt-4o.488649", {"refusal", "kinds"},
     "langchain-openai drops refusals from streams"),
    ("openai/chat-completions.text.gpt-4o-mini-search-preview", {"citations"},
     "langchain-openai drops the annotations of Chat Completions"),
    ("openai/responses.reasoning.gpt-5.de682b", {"kinds"},
     "a custom tool's call is no tool call with langchain-openai"),
    ("openai/chat-completions.text.gpt-3-5-turbo.97d012", {"model_name"},
     "of several candidates, langchain-openai tells no model"),
    ("openai/chat-completions.text_stream.gpt-3-5-turbo.245247",
     {"text", "finish_reason", "model_name", "pieces"},
     "langchain-openai joins several candidates into one text"),
    ("openai/responses.reasoning_stream.gpt-5-6-terra", {"usage"},
     "langchain-openai names details by the service tier: `flex_reasoning`"),
    ("openai/responses.json_stream.gpt-5-6-luna", {"usage"}, "the same"),
    ("azure/chat-completions.reasoning.deepseek-r1", {"reasoning", "kinds"},
     "langchain-openai drops `reasoning_content`"),
    ("azure/chat-completions.reasoning_stream.mai-ds-r1", {"reasoning", "kinds", "pieces"},
     "the same"),
    ("azure/chat-completions.reasoning_stream.deepseek-r1-0528",
     {"reasoning", "kinds", "pieces", "finish_reason", "model_name"},
     "the same; and a finish reason that is told twice is doubled"),
    ("/responses.", {"finish_reason"},
     "langchain-openai tells the status and `incomplete_details` alone"),
]  # fmt: skip


def _theirs(exchange: Exchange, url: str) -> tuple[Any, Callable[[], None]]:
    address = base_url(exchange.provider, url)
    settings: dict[str, Any] = {"model": exchange.model or "a-model", "api_key": KEY}
    settings |= {"max_retries": 0, "use_responses_api": exchange.api == "responses"}
    # One of its own: langchain-openai keeps those it makes by address, closed ones too, and a port
    # may come again.
    settings["http_client"] = DefaultHttpxClient()
    if exchange.api == "responses":
        settings["output_version"] = "v1"
    else:
        settings["stream_usage"] = True
    if exchange.provider == "azure":
        where = {"azure_endpoint": address, "azure_deployment": exchange.model}
        model: Any = AzureChatOpenAI(**where, api_version="2024-10-21", **settings)
    else:
        model = ChatOpenAI(base_url=address, **settings)
    return model, model.root_client.close


def _known(exchange: Exchange) -> set[str]:
    return set().union(*(names for part, names, _ in KNOWN if part in exchange.name))


@pytest.mark.parametrize("exchange", ANSWERS, ids=repr)
def test_both_say_the_same(exchange: Exchange) -> None:
    found = differing(exchange, _theirs)
    assert set(found) == _known(exchange), found
