"""`UsageMetadataCallbackHandler`: the tokens that chat models used, summed by model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from ..errors import ConfigError
from ..messages.usage import UsageMetadata, add_usage
from ..run import observed
from .base import BaseCallbackHandler

__all__ = ["UsageMetadataCallbackHandler", "get_usage_metadata_callback"]


class UsageMetadataCallbackHandler(BaseCallbackHandler):
    """Adds up the `usage_metadata` of chat models' answers in its own `usage_metadata`, a dict by
    model name (the answer's `response_metadata["model_name"]`; an answer without both is not
    counted). One handler may hear many runs at once, from several threads."""

    def __init__(self) -> None:
        self.usage_metadata: dict[str, UsageMetadata] = {}
        self._lock = Lock()

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        for answers in response.generations:
            message = getattr(answers[0], "message", None) if answers else None
            usage = getattr(message, "usage_metadata", None)
            model = (getattr(message, "response_metadata", None) or {}).get("model_name")
            if usage and model:
                with self._lock:
                    self.usage_metadata[model] = add_usage(self.usage_metadata.get(model), usage)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.usage_metadata!r})"


@contextmanager
def get_usage_metadata_callback(
    name: str = "usage_metadata_callback",
) -> Iterator[UsageMetadataCallbackHandler]:
    """Count what all chat models use that run inside the block, in this thread or task and those
    it makes with its context.

    Args:
        name: accepted and not needed: blocks do not get in one another's way.

    Raises:
        ConfigError: `name` is no text.
    """
    if not isinstance(name, str):
        raise ConfigError(
            f"get_usage_metadata_callback({name!r}): its one argument is a name, a text, and need "
            "not be given."
        )
    handler = UsageMetadataCallbackHandler()
    with observed(handler):
        yield handler
