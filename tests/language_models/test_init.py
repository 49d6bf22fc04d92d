"""`init_chat_model`: which class a name stands for, and what it says where there is none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from headrace.errors import ConfigError
from headrace.language_models import init, init_chat_model


class Model:
    def __init__(self, **given: Any) -> None:
        self.given = given


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(init, "_PROVIDERS", {"own": init._Class("somewhere", "Model")})
    monkeypatch.setattr(init, "import_module", {"somewhere": SimpleNamespace(Model=Model)}.get)


@pytest.mark.usefixtures("providers")
@pytest.mark.parametrize(
    ("model", "provider"),
    [("own:big:1", None), ("big:1", "own"), ("own:big:1", "own")],
)
def test_the_provider_before_the_name_or_beside_it(model: str, provider: str | None) -> None:
    made: Any = init_chat_model(model, model_provider=provider, temperature=0)
    assert made.given == {"model": "big:1", "temperature": 0}


@pytest.mark.usefixtures("providers")
def test_a_provider_alone() -> None:
    made: Any = init_chat_model(model_provider="own")
    assert made.given == {}


@pytest.mark.parametrize(
    ("model", "provider", "says"),
    [
        ("a-model", "nobody", r"No provider 'nobody' is known \(for the chat model 'a-model'\)"),
        ("nobody:a-model", None, r"No provider 'nobody' is known \(for the chat model 'a-model'\)"),
        ("a-model", None, r"The chat model 'a-model' is named without its provider, and the name "
         r"does not tell it"),
    ],
)  # fmt: skip
def test_an_unknown_provider_is_named(model: str, provider: str | None, says: str) -> None:
    with pytest.raises(ConfigError, match=f"^{says}: use one of anthropic, azure, .*, as "):
        init_chat_model(model, model_provider=provider)


KEY = {"api_key": "none"}


@pytest.mark.parametrize(
    ("model", "cls", "name"),
    [
        ("gpt-4o-mini", "ChatOpenAI", "gpt-4o-mini"),
        ("o3-mini", "ChatOpenAI", "o3-mini"),
        ("ft:gpt-4o-mini:org::1", "ChatOpenAI", "ft:gpt-4o-mini:org::1"),
        ("openai:anything", "ChatOpenAI", "anything"),
        ("claude-sonnet-4-5", "ChatAnthropic", "claude-sonnet-4-5"),
        ("gemini-2.5-flash", "ChatGoogleGenerativeAI", "gemini-2.5-flash"),
        ("command-r-plus", "ChatCohere", "command-r-plus"),
        ("accounts/fireworks/models/x", "ChatFireworks", "accounts/fireworks/models/x"),
        ("mistral-large-latest", "ChatMistralAI", "mistral-large-latest"),
        ("codestral-2508", "ChatMistralAI", "codestral-2508"),
        ("nvidia/llama-3.1-nemotron", "ChatNVIDIA", "nvidia/llama-3.1-nemotron"),
        ("groq:llama-3.3-70b-versatile", "ChatGroq", "llama-3.3-70b-versatile"),
        ("together:mistralai/Mixtral-8x7B", "ChatTogether", "mistralai/Mixtral-8x7B"),
        ("azure-openai:gpt-4o", "AzureChatOpenAI", "gpt-4o"),
    ],
)
def test_the_class_that_a_name_stands_for(model: str, cls: str, name: str) -> None:
    more = {"azure_endpoint": "http://localhost", "api_version": "1"} if "azure" in model else {}
    made: Any = init_chat_model(model, **KEY, **more)
    assert (type(made).__name__, made.model) == (cls, name)


def test_ollama_is_openais_protocol_on_this_machine() -> None:
    made: Any = init_chat_model("ollama:llama3.2:3b")
    assert (made.model, made.base_url) == ("llama3.2:3b", "http://localhost:11434/v1")


# ---- chosen by the config of a call -------------------------------------------------------------


def chosen(step: Any, /, **configurable: Any) -> Any:
    """What a call with this config runs."""
    return step._prepared({"configurable": configurable})[0]


def test_a_call_names_its_model() -> None:
    model: Any = init_chat_model("gpt-4o", configurable_fields="any", temperature=0, **KEY)
    assert chosen(model) is model.default
    other = chosen(model, model="claude-sonnet-4-5", temperature=0.5)
    assert (type(other).__name__, other.temperature) == ("ChatAnthropic", 0.5)
    assert chosen(model, model="claude-sonnet-4-5", temperature=0.5) is other
    assert chosen(model, session_id="x") is model.default


def test_only_the_named_fields_may_be_set() -> None:
    model: Any = init_chat_model("gpt-4o", configurable_fields=["temperature"], **KEY)
    other = chosen(model, model="claude-sonnet-4-5", temperature=0.5, api_key="stolen")
    assert (other.model, other.temperature) == ("gpt-4o", 0.5)
    assert other.api_key.get_secret_value() == "none"


def test_keys_with_a_prefix() -> None:
    fields = ("model", "model_provider")
    model: Any = init_chat_model("gpt-4o", configurable_fields=fields, config_prefix="first", **KEY)
    assert chosen(model, model="o3").model == "gpt-4o"
    assert chosen(model, first_model="o3").model == "o3"
    assert [spec.id for spec in model.config_specs] == ["first_model", "first_model_provider"]


def test_tools_and_schemas_go_to_the_model_that_is_chosen() -> None:
    def look(place: str) -> str:
        """Look there."""
        return place

    model: Any = init_chat_model("gpt-4o", configurable_fields=("model",), **KEY)
    bound = chosen(model.bind_tools([look]), model="claude-sonnet-4-5")
    assert type(bound.bound).__name__ == "ChatAnthropic"
    assert bound.kwargs["tools"][0]["function"]["name"] == "look"


def test_without_a_model_it_is_the_embedded_one() -> None:
    model: Any = init_chat_model(configurable_fields=("model", "model_provider"))
    assert type(model.default).__name__ == "ChatLocal"
    assert type(chosen(model, model="gpt-4o")).__name__ == "ChatOpenAI"


def test_secrets_do_not_show() -> None:
    model: Any = init_chat_model("gpt-4o", configurable_fields="any", api_key="sk-secret")
    assert "sk-secret" not in repr(model)
    assert "sk-secret" not in repr(chosen(model, temperature=1))


def test_another_provider_gets_neither_key_nor_address(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"authorization": "mine"}
    model: Any = init_chat_model(
        "gpt-4o",
        configurable_fields=("model", "model_provider"),
        api_key="sk-openai-only",
        base_url="http://gateway",
        default_headers=headers,
        temperature=0,
        max_tokens=7,
    )
    for way in ({"model": "claude-sonnet-4-5"}, {"model_provider": "groq"}):
        other = chosen(model, **way)
        assert (other.api_key, other.base_url, other.default_headers) == (None, None, None)
        assert (other.temperature, other.max_tokens) == (0, 7)
    same = chosen(model, model="gpt-4o-mini")
    assert same.api_key.get_secret_value() == "sk-openai-only"
    assert (same.base_url, same.default_headers) == ("http://gateway", headers)


def test_what_cannot_be_configurable() -> None:
    with pytest.raises(ConfigError, match="give a list of names"):
        init_chat_model("gpt-4o", configurable_fields="model", **KEY)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="config_prefix='first' is of no use without"):
        init_chat_model("gpt-4o", config_prefix="first", **KEY)
    model: Any = init_chat_model("gpt-4o", configurable_fields=("model",), **KEY)
    with pytest.raises(ConfigError, match="named without its provider"):
        chosen(init_chat_model(configurable_fields=("model",)), model="what")
    assert chosen(model, model="what").model == "what"
