"""Where each class sends its requests: what is put behind a server's address as its `base_url`.

The path it then asks for must end with `PATHS[api]`. Azure's classes take the address as
`azure_endpoint` and name the deployment in the path, or, with the v1 address, in the body.
"""

from __future__ import annotations

from providers.replay_exchanges import Exchange

# provider -> what stands behind http://HOST
SUFFIXES = {
    "openai": "/v1",
    "azure": "",
    "nvidia": "/v1",
    "together": "/v1",
    "fireworks": "/inference/v1",
    "groq": "",
    "anthropic": "",
    "mistral": "",
    "cohere": "",
    "google": "",
}

# api -> the end of the path; {model} is the model's name
PATHS = {
    "chat.completions": "/chat/completions",
    "responses": "/responses",
    "embeddings": "/embeddings",
    "messages": "/v1/messages",
    "v2.chat": "/v2/chat",
    "v2.embed": "/v2/embed",
    "gemini.generateContent": "/v1beta/models/{model}:generateContent",
    "gemini.streamGenerateContent": "/v1beta/models/{model}:streamGenerateContent",
    "gemini.batchEmbedContents": "/v1beta/models/{model}:batchEmbedContents",
    "vertex.generateContent": "/publishers/google/models/{model}:generateContent",
    "vertex.streamGenerateContent": "/publishers/google/models/{model}:streamGenerateContent",
}


def base_url(provider: str, url: str) -> str:
    """The `base_url` (Azure: `azure_endpoint`) of a class of this provider's at a server."""
    return url + SUFFIXES[provider]


def path_end(exchange: Exchange) -> str:
    """How the path of the request for this exchange must end."""
    return PATHS[exchange.api].format(model=exchange.model)
