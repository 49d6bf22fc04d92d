"""`init_chat_model`: a chat model by name. The table says where each provider's class lives."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import ConfigError
from .chat_models import BaseChatModel

__all__ = ["init_chat_model"]

_PROVIDERS = {"local": ("headrace.local", "ChatLocal")}


def init_chat_model(model: str | None = None, **kwargs: Any) -> BaseChatModel:
    """The chat model that `model` names, made with `kwargs`.

    Args:
        model: `"provider:name"`; None or `"local"` for the embedded model, `"local:PATH"` for a
            GGUF file of one's own.
    """
    provider, _, name = (model or "local").partition(":")
    if provider not in _PROVIDERS:
        known = ", ".join(sorted(_PROVIDERS))
        raise ConfigError(
            f"No provider {provider!r} is known for the chat model {model!r}: use one of {known}, "
            'as "provider:model", or nothing at all for the embedded model.'
        )
    module, cls = _PROVIDERS[provider]
    if name:
        kwargs = {("model_path" if provider == "local" else "model"): name, **kwargs}
    made: BaseChatModel = getattr(import_module(module), cls)(**kwargs)
    return made
