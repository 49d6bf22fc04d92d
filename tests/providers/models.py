"""Our class for an exchange: made so that it asks a server at `url`, once, with a key that is none.

model_for(exchange, url)       -> a chat model
embeddings_for(exchange, url)  -> an embedding model
"""

from __future__ import annotations

from typing import Any

import headrace.providers as providers
from providers.replay_clients import base_url
from providers.replay_exchanges import Exchange

KEY = "sk-no-key-at-all"

CHAT = {
    "openai": "ChatOpenAI",
    "azure": "AzureChatOpenAI",
    "anthropic": "ChatAnthropic",
    "google": "ChatGoogleGenerativeAI",
    "cohere": "ChatCohere",
    "nvidia": "ChatNVIDIA",
    "fireworks": "ChatFireworks",
    "groq": "ChatGroq",
    "mistral": "ChatMistralAI",
    "together": "ChatTogether",
}
EMBEDDINGS = {
    "openai": "OpenAIEmbeddings",
    "azure": "AzureOpenAIEmbeddings",
    "google": "GoogleGenerativeAIEmbeddings",
    "cohere": "CohereEmbeddings",
    "mistral": "MistralAIEmbeddings",
}


def model_for(exchange: Exchange, url: str, **overrides: Any) -> Any:
    """A chat model of the exchange's provider."""
    name = "ChatVertexAI" if exchange.api.startswith("vertex.") else CHAT[exchange.provider]
    return getattr(providers, name)(**_settings(exchange, url), **overrides)


def embeddings_for(exchange: Exchange, url: str, **overrides: Any) -> Any:
    """An embedding model of the exchange's provider."""
    name = EMBEDDINGS[exchange.provider]
    return getattr(providers, name)(**_settings(exchange, url), **overrides)


def _settings(exchange: Exchange, url: str) -> dict[str, Any]:
    address = base_url(exchange.provider, url)
    settings: dict[str, Any] = {
        "model": exchange.model or "a-model", "base_url": address, "api_key": KEY, "max_retries": 0,
    }  # fmt: skip
    if exchange.api == "responses":
        settings["use_responses_api"] = True
    if exchange.api.startswith("vertex."):
        settings |= {
            "project": "a-project",
            "location": "us-central1",
            "credentials": Credentials(),
        }
        del settings["api_key"]
    if exchange.provider == "azure":
        settings |= _azure(exchange, settings.pop("base_url"))
    return settings


def _azure(exchange: Exchange, address: str) -> dict[str, Any]:
    """How the recorded request was addressed: by deployment, or as OpenAI's own API."""
    path = exchange.request["path"]
    if path.startswith("/openai/v1") or path.startswith("/models") or path == "/chat/completions":
        return {"base_url": f"{address}/openai/v1"}
    return {
        "azure_endpoint": address,
        "azure_deployment": exchange.model,
        "openai_api_version": exchange.request.get("query", {}).get("api-version", "2024-10-21"),
    }


class Credentials:
    """What google-auth gives, without asking anybody."""

    token = "a-token"
    expired = False
    valid = True
    quota_project_id = None
    universe_domain = "googleapis.com"
    expiry = None

    def before_request(self, request: Any, method: str, url: str, headers: dict[str, str]) -> None:
        headers["authorization"] = f"Bearer {self.token}"

    def refresh(self, request: Any) -> None:
        raise AssertionError("nobody is to be asked for a token")
