"""`base_url` with and without what the SDK adds to it by itself, and with a slash at its end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from headrace.errors import ModelError
from headrace.providers import (
    ChatAnthropic,
    ChatCohere,
    ChatMistralAI,
    CohereEmbeddings,
    MistralAIEmbeddings,
)
from providers.models import KEY
from providers.replay import replaying
from providers.replay_exchanges import recording

CASES = [
    (ChatAnthropic, "anthropic/messages.text.claude-sonnet-4-6", "/v1", "/v1/messages"),
    (ChatCohere, "cohere/v2-chat.text.command-r.", "/v2", "/v2/chat"),
    (ChatMistralAI, "mistral/chat-completions.text.mistral-large", "/v1", "/v1/chat/completions"),
    (CohereEmbeddings, "cohere/v2-embed.embeddings.embed-v4", "/v2", "/v2/embed"),
    (MistralAIEmbeddings, "mistral/embeddings.embeddings", "/v1", "/v1/embeddings"),
]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize(("kind", "name", "added", "path"), CASES)
def test_an_address_may_have_its_end(
    kind: Any, name: str, added: str, path: str, given: bool, slash: str
) -> None:
    with replaying(recording(name)) as server:
        address = f"{server.url}/at{added if given else ''}{slash}"
        model = kind(model="m", api_key=KEY, base_url=address)
        with suppress(ModelError):  # fewer vectors than texts, or more: it is the recorded answer
            model.invoke("hi") if hasattr(model, "invoke") else model.embed_query("hi")
        model.close()
        assert server.requests[-1].path == f"/at{path}"
