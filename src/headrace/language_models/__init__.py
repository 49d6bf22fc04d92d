"""Chat models and text models: their bases, fakes for tests, and `init_chat_model`.

Text models and the fakes are loaded when one of them is asked for.
"""

from typing import TYPE_CHECKING, Any

from .._lazy import later, listed
from .base import (
    BaseLanguageModel,
    LangSmithParams,
    LanguageModelInput,
    LanguageModelLike,
    LanguageModelOutput,
)
from .chat_models import BaseChatModel, SimpleChatModel
from .init import init_chat_model
from .model_profile import ModelProfile, ModelProfileRegistry

if TYPE_CHECKING:
    from .fake import (
        FakeChatModel,
        FakeListChatModel,
        FakeListChatModelError,
        FakeListLLM,
        FakeListLLMError,
        FakeMessagesListChatModel,
        FakeStreamingListLLM,
        GenericFakeChatModel,
        ParrotFakeChatModel,
    )
    from .llms import LLM, BaseLLM

__all__ = [
    "LLM",
    "BaseChatModel",
    "BaseLLM",
    "BaseLanguageModel",
    "FakeChatModel",
    "FakeListChatModel",
    "FakeListChatModelError",
    "FakeListLLM",
    "FakeListLLMError",
    "FakeMessagesListChatModel",
    "FakeStreamingListLLM",
    "GenericFakeChatModel",
    "LangSmithParams",
    "LanguageModelInput",
    "LanguageModelLike",
    "LanguageModelOutput",
    "ModelProfile",
    "ModelProfileRegistry",
    "ParrotFakeChatModel",
    "SimpleChatModel",
    "init_chat_model",
]


_LATER = {name: "fake" for name in __all__ if "Fake" in name} | {"LLM": "llms", "BaseLLM": "llms"}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
