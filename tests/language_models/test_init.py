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
    monkeypatch.setattr(init, "_PROVIDERS", {"own": ("somewhere", "Model")})
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
        ("gpt-4o", "openai", r"No provider 'openai' is known \(for the chat model 'gpt-4o'\)"),
        ("openai:gpt-4o", None, r"No provider 'openai' is known \(for the chat model 'gpt-4o'\)"),
        ("gpt-4o", None, r"The chat model 'gpt-4o' is named without its provider"),
    ],
)
def test_an_unknown_provider_is_named(model: str, provider: str | None, says: str) -> None:
    with pytest.raises(ConfigError, match=f"^{says}: use one of local, as "):
        init_chat_model(model, model_provider=provider)


def test_fields_are_made_configurable_of_the_model() -> None:
    with pytest.raises(ConfigError, match=r"no configurable_fields: .*model\.configurable_fields"):
        init_chat_model(configurable_fields="any")
    with pytest.raises(ConfigError, match="no config_prefix: "):
        init_chat_model(config_prefix="first")
