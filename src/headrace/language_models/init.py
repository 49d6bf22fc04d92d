"""`init_chat_model`: a chat model by name. The tables say where each provider's class lives, and
whose models are called what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Final, Literal, NamedTuple, overload

from ..errors import ConfigError
from ..runnables._construction import nearest
from ..runnables.base import Runnable
from .chat_models import BaseChatModel

__all__ = ["init_chat_model"]


class _Class(NamedTuple):
    """Where a provider's class is, what its argument for the model is called, and what it is made
    with where the caller does not say otherwise."""

    module: str
    name: str
    argument: str = "model"
    usual: Mapping[str, Any] = {}


_GOOGLE: Final = _Class("headrace.providers", "ChatGoogleGenerativeAI")
_VERTEX: Final = _Class("headrace.providers", "ChatVertexAI")
_MISTRAL: Final = _Class("headrace.providers", "ChatMistralAI")
_AZURE: Final = _Class("headrace.providers", "AzureChatOpenAI")

_PROVIDERS: Final[Mapping[str, _Class]] = {
    "anthropic": _Class("headrace.providers", "ChatAnthropic"),
    "azure": _AZURE,
    "azure_openai": _AZURE,
    "cohere": _Class("headrace.providers", "ChatCohere"),
    "fireworks": _Class("headrace.providers", "ChatFireworks"),
    "google": _GOOGLE,
    "google_genai": _GOOGLE,
    "google_vertexai": _VERTEX,
    "groq": _Class("headrace.providers", "ChatGroq"),
    "local": _Class("headrace.local", "ChatLocal", "model_path"),
    "mistral": _MISTRAL,
    "mistralai": _MISTRAL,
    "nvidia": _Class("headrace.providers", "ChatNVIDIA"),
    "ollama": _Class(
        "headrace.providers",
        "ChatOpenAI",
        usual={"base_url": "http://localhost:11434/v1", "api_key": "ollama"},
    ),
    "openai": _Class("headrace.providers", "ChatOpenAI"),
    "together": _Class("headrace.providers", "ChatTogether"),
    "vertexai": _VERTEX,
}

# Well-known names of models; of two that fit, the first one counts.
_MODELS: Final[tuple[tuple[str, str], ...]] = (
    (r"(ft:)?(gpt-|chatgpt|o\d|text-davinci)", "openai"),
    (r"claude", "anthropic"),
    (r"gemini|gemma-3", "google_genai"),
    (r"command|c4ai-", "cohere"),
    (r"accounts/fireworks", "fireworks"),
    (r"(open-)?(mistral|mixtral)-|ministral|magistral|codestral|devstral|pixtral", "mistralai"),
    (r"nvidia/", "nvidia"),
)


@overload
def init_chat_model(
    model: str | None = None,
    *,
    model_provider: str | None = None,
    configurable_fields: None = None,
    config_prefix: str | None = None,
    **kwargs: Any,
) -> BaseChatModel: ...
@overload
def init_chat_model(
    model: str | None = None,
    *,
    model_provider: str | None = None,
    configurable_fields: Literal["any"] | Sequence[str],
    config_prefix: str | None = None,
    **kwargs: Any,
) -> Runnable[Any, Any]: ...
def init_chat_model(
    model: str | None = None,
    *,
    model_provider: str | None = None,
    configurable_fields: Literal["any"] | Sequence[str] | None = None,
    config_prefix: str | None = None,
    **kwargs: Any,
) -> BaseChatModel | Runnable[Any, Any]:
    """The chat model that `model` names, made with `kwargs`.

        init_chat_model()                                   # the embedded model
        init_chat_model("openai:gpt-4o-mini", temperature=0)
        init_chat_model("claude-sonnet-4-5")                # the provider follows from the name

    Args:
        model: `"provider:name"`, or the name alone where it is well known; None or `"local"` for
            the embedded model, `"local:PATH"` for a GGUF file of one's own.
        model_provider: the provider, where `model` is the name alone.
        configurable_fields: what `config["configurable"]` of a call may set: "model",
            "model_provider" and arguments of the model's class; "any" for all of them, `api_key`
            and `base_url` included, so never with a config that strangers write. The model is then
            made for the call, and kept for those that want the same.
        config_prefix: the keys there begin with it and an underscore.
        kwargs: arguments of the model's class.

    Raises:
        ConfigError: the provider is not known, or left out where the name does not tell it; an
            argument of this function's is misspelled.
        MissingExtraError: the provider's SDK is not installed.
    """
    _refuse_misspelled(kwargs)
    if model is None and "model_name" in kwargs:
        model = kwargs.pop("model_name")
    if configurable_fields is None:
        if config_prefix is not None:
            raise ConfigError(
                f"config_prefix={config_prefix!r} is of no use without configurable_fields: say "
                'which, as in configurable_fields=("model", "temperature").'
            )
        return _made(model, model_provider, kwargs)
    from .configurable import ConfigurableModel

    given = {"model": model, "model_provider": model_provider, **kwargs}
    return ConfigurableModel(
        make=_again,
        given={name: value for name, value in given.items() if value is not None},
        fields=configurable_fields,
        prefix=config_prefix,
    )


_OWN: Final = ("model_provider", "configurable_fields", "config_prefix")
_NEARLY: Final = 0.7  # of difflib's ratio: no argument of a model's class is so near


def _refuse_misspelled(kwargs: Mapping[str, Any]) -> None:
    """The model's class would refuse it, too, but does not know what was meant."""
    for word in kwargs:
        meant = nearest(word, _OWN, alike=_NEARLY)
        if meant is not None:
            raise ConfigError(f"init_chat_model has no {word!r}: did you mean {meant!r}?")


# What a model is reached by. It is the first provider's, and never goes to another one.
_CONNECTION: Final = frozenset(
    {
        "base_url", "credentials", "default_headers", "default_query", "http_async_client",
        "http_client", "project", "location", "organization",
    }
)  # fmt: skip
_ENDINGS: Final = ("api_key", "_token", "_token_provider", "_endpoint", "_api_base", "_api_url")


def _again(given: Mapping[str, Any], values: Mapping[str, Any]) -> BaseChatModel:
    """The model that was given, with the values of a call. A name that tells its provider does so
    over the provider that was given; one that does not is a model of that one. Another provider
    gets neither the key nor the address of the one that was given."""
    first = _provider_of(given)
    merged = {**given, **values}
    provider = _provider_of(values) or first
    if provider is not None and first is not None and _same(provider) != _same(first):
        merged = {n: v for n, v in merged.items() if n in values or not _reaches(n)}
    merged.pop("model_provider", None)
    return _made(merged.pop("model", None), provider, merged)


def _provider_of(given: Mapping[str, Any]) -> str | None:
    return given.get("model_provider") or _told_by(given.get("model") or "")


def _same(provider: str) -> Any:
    """What two names of one provider have in common."""
    return _PROVIDERS.get(_key(provider), provider)


def _reaches(name: str) -> bool:
    return name in _CONNECTION or name.endswith(_ENDINGS)


def _made(model: str | None, provider: str | None, kwargs: Mapping[str, Any]) -> BaseChatModel:
    provider, name = _named(model, provider)
    home = _PROVIDERS[provider]
    if name:
        kwargs = {home.argument: name, **kwargs}
    cls = getattr(import_module(home.module), home.name)
    made: BaseChatModel = cls(**{**home.usual, **kwargs})
    return made


def _told_by(model: str) -> str | None:
    """The provider that a name tells of; None where it tells of none."""
    before, colon, _ = model.partition(":")
    if colon and _key(before) in _PROVIDERS:
        return _key(before)
    matching = partial(re.match, string=model, flags=re.IGNORECASE)
    return next((provider for pattern, provider in _MODELS if matching(pattern)), None)


def _key(provider: str) -> str:
    return provider.replace("-", "_").lower()


def _named(model: str | None, given: str | None) -> tuple[str, str]:
    """The provider, which is known, and the name of its model, "" for its usual one."""
    model = model or ""
    if given is not None:
        if _key(given) in _PROVIDERS:
            return _key(given), model.removeprefix(f"{given}:")
        raise ConfigError(f"No provider {given!r} is known (for the chat model {model!r}): {_USE}.")
    if model in ("", "local"):
        return "local", ""
    provider = _told_by(model)
    before, colon, name = model.partition(":")
    if provider is not None:
        return provider, name if colon and _key(before) == provider else model
    if colon:
        raise ConfigError(f"No provider {before!r} is known (for the chat model {name!r}): {_USE}.")
    raise ConfigError(
        f"The chat model {model!r} is named without its provider, and the name does not tell it: "
        f"{_USE}."
    )


_USE: Final = (
    f'use one of {", ".join(sorted(_PROVIDERS))}, as "provider:model" or with model_provider=…, or '
    "nothing at all for the embedded model"
)
