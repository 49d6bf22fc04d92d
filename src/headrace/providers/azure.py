"""OpenAI's models, and others, as Azure serves them.

Source: https://learn.microsoft.com/azure/ai-foundry/openai/reference. What `azure_endpoint` is says
which of Azure's addresses is asked:

| `azure_endpoint` | asked | `api_version` |
|---|---|---|
| `https://N.openai.azure.com` | `/openai/deployments/D/…`, `/openai/responses` | needed |
| `https://….azure.com/openai/v1` | `/openai/v1/…`, the model is the deployment | may be left out |
| `https://….azure.com/models` | `/models/…`, likewise | Azure wants it |

The protocols, and so the readers, are OpenAI's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from pydantic import Field, SecretStr

from headrace.errors import ConfigError

from ._base.keys import Key, KeyFunction, environment
from ._base.provider import Provider, named
from .openai import ChatOpenAI, OpenAIEmbeddings

__all__ = ["AzureChatOpenAI", "AzureOpenAIEmbeddings"]

# From here on Azure knows `max_completion_tokens`, which its reasoning models want; `/models`, the
# API of models that are not OpenAI's, documents `max_tokens`.
_NEW_WORD_SINCE: Final = "2024-09-01"
# Ends of addresses that are whole: behind them stands what is asked for, and no deployment.
_WHOLE: Final = ("/v1", "/models")
_TOKEN_NAME: Final = "AZURE_OPENAI_AD_TOKEN"


class _Azure(Provider):
    """What both classes share: where, as whom, and which deployment."""

    provider: ClassVar[str] = "azure"
    _key_names: ClassVar[tuple[str, ...]] = ("AZURE_OPENAI_API_KEY",)
    _url_names: ClassVar[tuple[str, ...]] = ("AZURE_OPENAI_ENDPOINT",)

    model: str = named("model", "model_name", default="")
    api_key: Key = named("api_key", "openai_api_key", exclude=True)
    base_url: str | None = named("base_url", "openai_api_base")
    azure_endpoint: str | None = None
    azure_deployment: str | None = named("azure_deployment", "deployment_name", "deployment")
    openai_api_version: str | None = named("openai_api_version", "api_version")
    azure_ad_token: SecretStr | None = Field(default=None, exclude=True)
    azure_ad_token_provider: Callable[[], Any] | None = Field(default=None, exclude=True)
    azure_ad_async_token_provider: Callable[[], Any] | None = Field(default=None, exclude=True)

    def model_post_init(self, context: Any, /) -> None:
        """A model, or its deployment, must be named; one way to be known, not two."""
        super().model_post_init(context)
        if not (self.model or self.azure_deployment):
            raise ConfigError(
                f"{type(self).__name__} needs azure_deployment=…, the name that your deployment of "
                "the model has in Azure."
            )
        ways = ("api_key", "azure_ad_token", "azure_ad_token_provider")
        given = [name for name in ways if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError(
                f"{type(self).__name__} was given {' and '.join(given)}: Azure takes one of them."
            )
        if not self.model:
            self.model = str(self.azure_deployment)

    def _version(self) -> str | None:
        """The API's version, as far as it is told."""
        return self.openai_api_version or environment("OPENAI_API_VERSION")

    def _what_counts(self) -> dict[str, Any]:
        version = self._version()
        told = {"openai_api_version": version} if version else {}
        return {**super()._what_counts(), **told}

    def _url(self) -> str | None:
        return self.azure_endpoint or super()._url()

    def _connection(self, *, is_async: bool) -> dict[str, Any]:
        settings = super()._connection(is_async=is_async)
        url = settings.pop("base_url", None)
        if url is None:
            raise ConfigError(
                f"{type(self).__name__} has no address: set the environment variable "
                "AZURE_OPENAI_ENDPOINT, or give azure_endpoint='https://NAME.openai.azure.com'."
            )
        if url.rstrip("/").endswith(_WHOLE):
            return {**settings, **self._at_whole_address(url, is_async)}
        version = self._version()
        if version is None:
            raise ConfigError(
                f"{type(self).__name__} has no API version: set the environment variable "
                "OPENAI_API_VERSION, or give api_version='2024-10-21' or a later one."
            )
        settings |= {"api_version": version, **dict([self._credential(is_async)])}
        if "/deployments/" in url:
            return {**settings, "base_url": url}
        named = {"azure_deployment": self.azure_deployment} if self.azure_deployment else {}
        return {**settings, "azure_endpoint": url, **named}

    def _at_whole_address(self, url: str, is_async: bool) -> dict[str, Any]:
        """For the SDK's general client, which takes a key, a token, or what gives one, as a key."""
        way, given = self._credential(is_async)
        told: dict[str, Any] = {"base_url": url, "api_key": given}
        if way == "api_key" and isinstance(given, str):  # some of Azure's servers read keys here
            told["default_headers"] = {"api-key": given, **(self.default_headers or {})}
        if self.openai_api_version:
            told["default_query"] = {
                "api-version": self.openai_api_version,
                **(self.default_query or {}),
            }
        return told

    def _key(self) -> Any:
        """Nothing: `_credential` knows more ways."""
        return None

    def _credential(self, is_async: bool) -> tuple[str, Any]:
        """How the client makes itself known: the SDK's name for the way, and the value.

        Raises:
            AuthenticationError: there is nothing to be known by.
        """
        provider = self.azure_ad_async_token_provider if is_async else None
        provider = provider or self.azure_ad_token_provider
        if provider is not None:
            asked = KeyFunction(provider, self._whose())
            return "azure_ad_token_provider", asked.awaited() if is_async else asked
        if self.azure_ad_token is not None:
            return "azure_ad_token", self.azure_ad_token.get_secret_value()
        token = environment(_TOKEN_NAME)
        if self.api_key is None and token:
            return "azure_ad_token", token
        key = super()._key()
        return "api_key", key.awaited() if is_async and isinstance(key, KeyFunction) else key

    def _secrets(self) -> Sequence[str]:
        own = self.azure_ad_token.get_secret_value() if self.azure_ad_token else None
        return [*super()._secrets(), *filter(None, (own, environment(_TOKEN_NAME)))]

    def _make_client(self, settings: Mapping[str, Any], *, is_async: bool) -> Any:
        openai = self._sdk_module()
        of_azure = "api_version" in settings
        if is_async:
            kind = openai.AsyncAzureOpenAI if of_azure else openai.AsyncOpenAI
        else:
            kind = openai.AzureOpenAI if of_azure else openai.OpenAI
        return kind(**settings)


class AzureChatOpenAI(_Azure, ChatOpenAI):
    """A chat model that Azure serves.

        AzureChatOpenAI(                                # AZURE_OPENAI_API_KEY
            azure_endpoint="https://NAME.openai.azure.com",       # or AZURE_OPENAI_ENDPOINT
            azure_deployment="my-gpt-4o",
            api_version="2024-10-21",                             # or OPENAI_API_VERSION
        )

    Args:
        azure_endpoint: the address, e.g. "https://NAME.openai.azure.com" or
            "https://NAME.openai.azure.com/openai/v1" (`base_url` means the same; or
            AZURE_OPENAI_ENDPOINT).
        azure_deployment: the deployment's name (also `deployment_name`).
        model: the model's name, where it is not the deployment's: for counting tokens and traces.
        openai_api_version: of the API, a date (also `api_version`).
        azure_ad_token: a token of Microsoft Entra's, in place of a key (or AZURE_OPENAI_AD_TOKEN).
        azure_ad_token_provider: gives such a token, at each request.
        azure_ad_async_token_provider: the same for async calls; a coroutine function.
        temperature, top_p: how freely the words are drawn.
        max_tokens, stop: longest answer, in tokens; texts that end it.
        timeout: seconds to wait for the connection, and for each piece of the answer.
        max_retries: how often the SDK asks again, before anything of an answer has come; None: as
            it does by itself (two times).
        api_key: a text, or a function that gives it; None: the environment variable's.
        default_headers, default_query: sent with each request.
        http_client, http_async_client: the HTTP clients that the SDK is to use.
        model_kwargs: more of the request's parameters, by the provider's names.
        organization, project, use_responses_api, reasoning, include, store, truncation, verbosity,
            service_tier, previous_response_id, use_previous_response_id, context_management,
            prompt_cache_options: as of `ChatOpenAI`.
        seed, n, frequency_penalty, presence_penalty, logit_bias, logprobs, top_logprobs,
            reasoning_effort, parallel_tool_calls, response_format, user: the API's parameters of
            these names; what is None is not sent, and `generate` gives all `n` candidates.
        extra_body: more of the request's parameters, which the SDK does not know.
        think_tags: give what the text has between `<think>` and `</think>` as reasoning.
        send_reasoning_as: the field in which the model's thoughts are sent back to it, where it
            wants them, e.g. "reasoning_content" for DeepSeek.
        streaming: make `invoke` the fold of the stream.
        stream_usage: ask for token counts in streams; None: where it is known to be understood.
        name, tags, metadata, callbacks, cache, rate_limiter, disable_streaming, output_version,
            profile, custom_get_token_ids: as of every `headrace.language_models.BaseChatModel`.
    """

    def _takes_new_word(self, model: str) -> bool:
        """A deployment's name tells nothing of its model; the address and the version do."""
        url = (self._url() or "").rstrip("/")
        if url.endswith("/models"):
            return super()._takes_new_word(model)
        known = (self._version() or "") >= _NEW_WORD_SINCE
        return url.endswith("/v1") or known or super()._takes_new_word(model)


class AzureOpenAIEmbeddings(_Azure, OpenAIEmbeddings):
    """An embedding model that Azure serves.

        AzureOpenAIEmbeddings(                          # AZURE_OPENAI_API_KEY
            azure_endpoint="https://NAME.openai.azure.com",       # or AZURE_OPENAI_ENDPOINT
            azure_deployment="my-embeddings",
            api_version="2024-10-21",                             # or OPENAI_API_VERSION
        )

    Args:
        azure_endpoint, base_url: the address, under either name.
        azure_deployment: the deployment's name (also `deployment_name`).
        openai_api_version: of the API, a date (also `api_version`).
        azure_ad_token, azure_ad_token_provider, azure_ad_async_token_provider: a token of
            Microsoft Entra's in place of a key, or a function that gives one.
        model: the model's name, where it is not the deployment's.
        dimensions: length of the vectors, where the model has a choice.
        batch_size: texts in one request.
        max_concurrency: requests at a time in async code.
        timeout: seconds to wait for the connection, and for the answer.
        max_retries: how often the SDK asks again; None: as it does by itself (two times).
        api_key: a text, or a function that gives it; None: the environment variable's.
        default_headers, default_query: sent with each request.
        http_client, http_async_client: the HTTP clients that the SDK is to use.
        organization, project, user, encoding_format, check_embedding_ctx_length, model_kwargs: as
            of `OpenAIEmbeddings`.
    """
