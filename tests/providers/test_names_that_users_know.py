"""Arguments that users know from LangChain's classes are taken, or refused with what to write; what
a class takes shows in its signature; and whose account is asked counts for a cache."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest
from pydantic import AliasChoices, BaseModel, Field, ValidationError

import headrace.providers as providers
from headrace.providers import (
    AzureChatOpenAI,
    ChatGoogleGenerativeAI,
    ChatOpenAI,
    ChatVertexAI,
)

THEIRS = {
    "ChatOpenAI": "langchain_openai",
    "AzureChatOpenAI": "langchain_openai",
    "OpenAIEmbeddings": "langchain_openai",
    "AzureOpenAIEmbeddings": "langchain_openai",
    "ChatAnthropic": "langchain_anthropic",
    "ChatGroq": "langchain_groq",
    "ChatMistralAI": "langchain_mistralai",
    "MistralAIEmbeddings": "langchain_mistralai",
}
# Of packages that are not installed with the tests: the fields that the sources of these releases
# declare (google-genai 4.4.2, google-vertexai 3.2.5, cohere 0.6.0, fireworks 1.7.1, together 0.4.0,
# nvidia-ai-endpoints 1.5.0), and what else their documentation shows.
ALSO = {
    "ChatGoogleGenerativeAI": [
        "google_api_key", "api_key", "credentials", "vertexai", "project", "location", "base_url",
        "client_options", "additional_headers", "client_args", "model", "temperature", "top_p",
        "top_k", "max_output_tokens", "max_tokens", "n", "max_retries", "retries", "timeout",
        "request_timeout", "response_modalities", "media_resolution", "image_config",
        "thinking_budget", "thinking_level", "include_thoughts", "safety_settings", "seed",
        "response_mime_type", "response_schema", "cached_content", "transport", "labels", "stop",
        "convert_system_message_to_human", "default_metadata", "model_kwargs", "streaming",
        "api_version", "candidate_count", "client", "default_metadata_input", "frequency_penalty",
        "presence_penalty", "reasoning_effort", "stop_sequences", "thinking_config",
    ],
    "GoogleGenerativeAIEmbeddings": [
        "model", "task_type", "google_api_key", "api_key", "credentials", "vertexai", "project",
        "location", "base_url", "additional_headers", "client_args", "request_options",
        "output_dimensionality", "api_version", "client",
    ],
    "ChatVertexAI": [
        "model", "model_name", "project", "location", "credentials", "max_output_tokens",
        "max_tokens", "temperature", "top_p", "top_k", "n", "streaming", "safety_settings", "seed",
        "api_transport", "api_endpoint", "additional_headers", "request_parallelism",
        "tuned_model_name", "full_model_name", "examples", "endpoint_version", "max_retries",
        "stop", "stop_sequences", "client_options", "base_url", "timeout", "response_mime_type",
        "response_schema", "cached_content", "logprobs", "labels", "thinking_budget",
        "include_thoughts", "frequency_penalty", "presence_penalty", "async_client", "client",
        "audio_timestamp", "client_cert_source", "client_preview", "default_metadata",
        "model_kwargs", "perform_literal_eval_on_string_raw_content", "response_modalities",
        "transport", "wait_exponential_kwargs",
    ],
    "ChatCohere": [
        "cohere_api_key", "model", "model_name", "temperature", "user_agent", "timeout_seconds",
        "base_url", "preamble", "streaming", "stop", "client", "async_client",
    ],
    "CohereEmbeddings": [
        "cohere_api_key", "model", "truncate", "max_retries", "request_timeout", "user_agent",
        "base_url", "embedding_types", "client", "async_client",
    ],
    "ChatFireworks": [
        "fireworks_api_key", "api_key", "fireworks_api_base", "base_url", "model", "model_name",
        "temperature", "stop", "stop_sequences", "request_timeout", "timeout", "n", "max_tokens",
        "max_retries", "service_tier", "stream_usage", "streaming", "model_kwargs", "client",
        "async_client", "reasoning_effort",
    ],
    "ChatTogether": [
        "together_api_key", "api_key", "together_api_base", "base_url", "model", "model_name",
        "temperature", "max_tokens", "timeout", "request_timeout", "max_retries", "stop", "n",
    ],
    "ChatNVIDIA": [
        "nvidia_api_key", "api_key", "base_url", "model", "temperature", "max_tokens",
        "max_completion_tokens", "top_p", "seed", "stop", "default_headers", "verify_ssl",
        "stream_usage", "model_kwargs", "stream_options", "usage_telemetry_enabled",
    ],
}  # fmt: skip


def _names(cls: type[BaseModel]) -> set[str]:
    """The names under which a class takes its fields."""
    found: set[str] = set()
    by_name = cls.model_config.get("populate_by_name") or cls.model_config.get("validate_by_name")
    for name, field in cls.model_fields.items():
        alias = field.validation_alias or field.alias
        several = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
        found |= {str(each) for each in several} | ({name} if by_name else set())
    return found


def _cases() -> list[Any]:
    known = {name: _names(getattr(import_module(home), name)) for name, home in THEIRS.items()}
    return [
        pytest.param(name, argument, id=f"{name}-{argument}")
        for name, arguments in {**known, **ALSO}.items()
        for argument in sorted(arguments)
    ]


@pytest.mark.parametrize(("name", "argument"), _cases())
def test_an_argument_is_taken_or_answered(name: str, argument: str) -> None:
    cls = getattr(providers, name)
    if argument in _names(cls):
        return
    given: dict[str, Any] = {argument: 1}
    with pytest.raises(ValidationError) as caught:
        cls(model="m", **given)
    (error,) = caught.value.errors()
    assert error["loc"] == (argument,)
    assert cls._advice[argument] in error["msg"]
    assert len(error["msg"]) < 200  # not the list of everything that there is


def test_what_is_taken_under_another_name_has_its_effect() -> None:
    given: dict[str, Any] = {"retries": 2, "additional_headers": {"a": "b"}}
    gemini = ChatGoogleGenerativeAI(model="m", media_resolution="MEDIA_RESOLUTION_LOW", **given)
    assert (gemini.max_retries, gemini.default_headers) == (2, {"a": "b"})
    assert gemini._settings() == {"media_resolution": "MEDIA_RESOLUTION_LOW"}
    many: dict[str, Any] = {"max_concurrent_requests": 9}
    assert providers.MistralAIEmbeddings(**many).max_concurrency == 9


HAVE_ONE = {"OpenAIEmbeddings": "text-embedding-ada-002", "MistralAIEmbeddings": "mistral-embed"}


def test_models_that_need_no_name() -> None:
    """LangChain's classes have the same."""
    for name, model in HAVE_ONE.items():
        assert getattr(providers, name)().model == model


@pytest.mark.parametrize("name", [name for name in providers.__all__ if name not in HAVE_ONE])
def test_a_model_must_be_named(name: str) -> None:
    if name.startswith("Azure"):
        said = "needs azure_deployment=…"
    else:
        said = rf"Field required: write {name}\(model='…'\)"
    with pytest.raises(ValidationError, match=said):
        getattr(providers, name)()


# ---- the signature -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", providers.__all__)
def test_the_signature_has_the_defaults(name: str) -> None:
    cls = getattr(providers, name)
    for parameter in inspect.signature(cls).parameters.values():
        assert parameter.default is not ..., parameter
        field = cls.model_fields[parameter.name]
        if not field.is_required() and field.default_factory is None:
            assert parameter.default == field.default


def test_a_signature_before_the_first_instance() -> None:
    class Mine(ChatOpenAI):
        many: list[int] = Field(default_factory=list)

    shown = inspect.signature(Mine).parameters
    assert shown["model"].default is inspect.Parameter.empty
    assert (shown["model_kwargs"].default, shown["many"].default) == ({}, [])
    assert shown["temperature"].default is None


# ---- whose account -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "variable"),
    [
        (ChatOpenAI, "OPENAI_ORG_ID"),
        (ChatOpenAI, "OPENAI_PROJECT_ID"),
        (AzureChatOpenAI, "OPENAI_ORG_ID"),
        (ChatVertexAI, "GOOGLE_CLOUD_PROJECT"),
        (ChatVertexAI, "GOOGLE_CLOUD_LOCATION"),
        (ChatVertexAI, "GOOGLE_GENAI_API_VERSION"),
        (ChatGoogleGenerativeAI, "GOOGLE_GENAI_API_VERSION"),
    ],
)
def test_an_account_of_the_environment_counts_for_a_cache(
    cls: Any, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable, raising=False)
    more: dict[str, Any] = {}
    if cls is AzureChatOpenAI:
        more["azure_endpoint"] = "https://n.test"
    model = cls(model="m", **more)
    texts = [model._get_llm_string()]
    for value in ("one", "another"):
        monkeypatch.setenv(variable, value)
        texts.append(model._get_llm_string())
    assert len(set(texts)) == 3


@pytest.mark.parametrize("cls", [ChatOpenAI, ChatVertexAI])
def test_the_same_account_is_the_same_however_it_is_given(
    cls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = cls(model="m", project="p")._get_llm_string()
    monkeypatch.setenv("OPENAI_PROJECT_ID", "p")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    assert cls(model="m")._get_llm_string() == told


def test_the_account_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "o")
    model = ChatOpenAI(model="m", project="p", api_key="sk-a-key")
    settings = model._connection(is_async=False)
    assert (settings["organization"], settings["project"]) == ("o", "p")
    assert model._client().default_headers["OpenAI-Organization"] == "o"
    model.close()
