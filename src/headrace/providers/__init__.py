"""Chat models and embeddings of providers, each over its official SDK.

No SDK is imported before one of its models makes its first call.
"""

from typing import TYPE_CHECKING, Any

from .._lazy import later, listed

if TYPE_CHECKING:
    from .anthropic import ChatAnthropic
    from .azure import AzureChatOpenAI, AzureOpenAIEmbeddings
    from .cohere import ChatCohere, CohereEmbeddings
    from .fireworks import ChatFireworks
    from .google import ChatGoogleGenerativeAI, ChatVertexAI, GoogleGenerativeAIEmbeddings
    from .groq import ChatGroq
    from .mistral import ChatMistralAI, MistralAIEmbeddings
    from .nvidia import ChatNVIDIA
    from .openai import ChatOpenAI, OpenAIEmbeddings
    from .together import ChatTogether

__all__ = [
    "AzureChatOpenAI",
    "AzureOpenAIEmbeddings",
    "ChatAnthropic",
    "ChatCohere",
    "ChatFireworks",
    "ChatGoogleGenerativeAI",
    "ChatGroq",
    "ChatMistralAI",
    "ChatNVIDIA",
    "ChatOpenAI",
    "ChatTogether",
    "ChatVertexAI",
    "CohereEmbeddings",
    "GoogleGenerativeAIEmbeddings",
    "MistralAIEmbeddings",
    "OpenAIEmbeddings",
]

_LATER = {
    "AzureChatOpenAI": "azure",
    "AzureOpenAIEmbeddings": "azure",
    "ChatAnthropic": "anthropic",
    "ChatCohere": "cohere",
    "ChatFireworks": "fireworks",
    "ChatGoogleGenerativeAI": "google",
    "ChatGroq": "groq",
    "ChatMistralAI": "mistral",
    "ChatNVIDIA": "nvidia",
    "ChatOpenAI": "openai",
    "ChatTogether": "together",
    "ChatVertexAI": "google",
    "CohereEmbeddings": "cohere",
    "GoogleGenerativeAIEmbeddings": "google",
    "MistralAIEmbeddings": "mistral",
    "OpenAIEmbeddings": "openai",
}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
