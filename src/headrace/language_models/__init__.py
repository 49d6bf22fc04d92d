"""Chat models and text models: their bases, fakes for tests, and `init_chat_model`.

The fakes are loaded when one of them is asked for.
"""

from typing import TYPE_CHECKING, Any

from .base import BaseLanguageModel, LanguageModelInput
from .chat_models import BaseChatModel, SimpleChatModel
from .init import init_chat_model
from .llms import LLM, BaseLLM

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
    "LanguageModelInput",
    "ParrotFakeChatModel",
    "SimpleChatModel",
    "init_chat_model",
]


def __getattr__(name: str) -> Any:
    if "Fake" in name:
        from . import fake

        return getattr(fake, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
