"""`is_own`: whose answer a message is. A vendor takes back more of its own: thoughts, ids, what its
own tools did.

LangChain's classes have other names for some vendors. Where such a name can mean one vendor only,
its messages are that vendor's own here. "openai" is none of Azure's: LangChain writes it for both,
and what OpenAI enciphered, Azure cannot read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from headrace.messages import BaseMessage

__all__ = ["is_own"]

_ALSO: Final[Mapping[str, tuple[str, ...]]] = {"mistral": ("mistralai",)}


def is_own(message: BaseMessage, provider: str) -> bool:
    """Whether a message came from a model of this provider's."""
    named = message.response_metadata.get("model_provider")
    return named == provider or named in _ALSO.get(provider, ())
