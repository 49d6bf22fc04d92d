"""One short question to each provider whose key is in the environment, and to no other.

    OPENAI_API_KEY=… pytest tests/providers/test_live.py

costs a fraction of a cent each. `HEADRACE_LIVE_<PROVIDER>` names another model than the one below.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from headrace.language_models import init_chat_model
from headrace.merge import merge

MODELS = {
    "openai": ("OPENAI_API_KEY", "gpt-4o-mini"),
    "azure": ("AZURE_OPENAI_API_KEY", "gpt-4o-mini"),
    "anthropic": ("ANTHROPIC_API_KEY", "claude-haiku-4-5"),
    "google": ("GOOGLE_API_KEY", "gemini-2.5-flash"),
    "vertexai": ("GOOGLE_APPLICATION_CREDENTIALS", "gemini-2.5-flash"),
    "cohere": ("COHERE_API_KEY", "command-r7b-12-2024"),
    "nvidia": ("NVIDIA_API_KEY", "meta/llama-3.1-8b-instruct"),
    "fireworks": ("FIREWORKS_API_KEY", "accounts/fireworks/models/gpt-oss-20b"),
    "groq": ("GROQ_API_KEY", "llama-3.1-8b-instant"),
    "mistral": ("MISTRAL_API_KEY", "mistral-small-latest"),
    "together": ("TOGETHER_API_KEY", "mistralai/Mixtral-8x7B-Instruct-v0.1"),
}


def _case(provider: str, key: str, usual: str) -> Any:
    model = os.environ.get(f"HEADRACE_LIVE_{provider.upper()}", usual)
    absent = pytest.mark.skipif(not os.environ.get(key), reason=f"{key} is not set")
    return pytest.param(provider, model, id=provider, marks=absent)


@pytest.mark.parametrize(("provider", "name"), [_case(p, *more) for p, more in MODELS.items()])
def test_a_provider_answers(provider: str, name: str) -> None:
    model = init_chat_model(name, model_provider=provider, max_tokens=200)
    asked = "Answer with the one word: river"
    with_stream = merge(list(model.stream(asked)))
    for message in (model.invoke(asked), with_stream, asyncio.run(model.ainvoke(asked))):
        assert "river" in message.text.lower()
        assert message.usage_metadata and message.usage_metadata["output_tokens"] > 0
        assert message.response_metadata["finish_reason"]
    model.close()  # type: ignore[attr-defined]
