"""`init_chat_model`: a chat model by name. The table says where each provider's class lives."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import ConfigError
from .chat_models import BaseChatModel

__all__ = ["init_chat_model"]

_PROVIDERS = {"local": ("headrace.local", "ChatLocal")}

# What LangChain's function has and this one does not: by name, what to write instead.
_NOT_HERE = {
    "configurable_fields": "make the model first, then `model.configurable_fields(field="
    'ConfigurableField(id="…"))`',
    "config_prefix": "give each ConfigurableField an `id` that starts with the prefix",
}


def init_chat_model(
    model: str | None = None, *, model_provider: str | None = None, **kwargs: Any
) -> BaseChatModel:
    """The chat model that `model` names, made with `kwargs`.

    Args:
        model: `"provider:name"`; None or `"local"` for the embedded model, `"local:PATH"` for a
            GGUF file of one's own.
        model_provider: the provider, where `model` is the name alone.

    Raises:
        ConfigError: the provider is not known, or left out.
    """
    for unknown, instead in _NOT_HERE.items():
        if kwargs.pop(unknown, None) is not None:
            raise ConfigError(f"init_chat_model takes no {unknown}: {instead}.")
    provider, name = _named(model, model_provider)
    module, cls = _PROVIDERS[provider]
    if name:
        kwargs = {("model_path" if provider == "local" else "model"): name, **kwargs}
    made: BaseChatModel = getattr(import_module(module), cls)(**kwargs)
    return made


def _named(model: str | None, given: str | None) -> tuple[str, str]:
    """The provider, which is known, and the name of its model, "" for its usual one."""
    if given is None:
        provider, colon, name = (model or "local").partition(":")
    else:
        provider, colon, name = given, ":", (model or "").removeprefix(f"{given}:")
    if provider in _PROVIDERS:
        return provider, name
    use = (
        f'use one of {", ".join(sorted(_PROVIDERS))}, as "provider:model" or with '
        "model_provider=…, or nothing at all for the embedded model"
    )
    if not colon:
        raise ConfigError(f"The chat model {model!r} is named without its provider: {use}.")
    raise ConfigError(f"No provider {provider!r} is known (for the chat model {name!r}): {use}.")
