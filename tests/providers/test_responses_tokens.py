"""Counting OpenAI's tokens: exactly with tiktoken and its vocabulary, else an estimate, and never
by way of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiktoken

from headrace.language_models.tokens import NoTokenizerError
from headrace.messages import AIMessage, HumanMessage, tool_call
from headrace.providers import ChatOpenAI
from headrace.providers._openai.tokens import tokenizer

O200K = "fb374d419588a4632f3f557e76b4b70aebbca790"  # how tiktoken 0.13 calls the file of o200k_base


class Letters:
    """An encoding that has a token for each letter."""

    def encode_ordinary(self, text: str) -> list[int]:
        return [*map(ord, text)]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the vocabulary, which is not there; were it fetched, that would be an error."""

    def fetched(address: str) -> bytes:
        raise AssertionError(f"a network is not to be used: {address}")

    monkeypatch.setattr("tiktoken.load.read_file", fetched)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return tmp_path / O200K


def _model(**settings: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o", "api_key": "k", **settings})


def test_without_the_vocabulary_it_is_an_estimate(kept: Path) -> None:
    model = _model()
    assert model.get_num_tokens("12345678") == 2
    assert model.get_num_tokens_from_messages("12345678") > 2
    with pytest.raises(NoTokenizerError, match="custom_get_token_ids"):
        model.get_token_ids("Hi")


def test_with_the_vocabulary_it_is_exact(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.touch()
    monkeypatch.setattr(tiktoken, "get_encoding", lambda name: Letters())
    model = _model()
    assert model.get_token_ids("Hi") == [72, 105]
    assert model.get_num_tokens("Hi") == 2
    call = tool_call(name="add", args={"a": 1}, id="call_1")
    said = [HumanMessage("Hi"), AIMessage("", tool_calls=[call])]
    texts = ["user", "Hi", "assistant", "add", '{"a": 1}']
    assert model.get_num_tokens_from_messages(said) == sum(map(len, texts)) + 3 * 3


def test_a_vocabulary_is_looked_up_once_for_a_conversation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def looked_up(model: str) -> Any:
        asked.append(model)
        return Letters().encode_ordinary

    monkeypatch.setattr("headrace.providers.openai.tokenizer", looked_up)
    _model().get_num_tokens_from_messages([HumanMessage("Hi"), AIMessage("Ho")])
    assert asked == ["gpt-4o"]


def test_models_that_nobody_knows_are_estimated(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.touch()
    monkeypatch.setattr(tiktoken, "get_encoding", lambda name: Letters())
    assert tokenizer("gpt-9-mini") is not None
    assert tokenizer("llama3.2") is None
    assert tokenizer("gpt-3.5-turbo") is None  # it has another vocabulary, which is not there


def test_without_tiktoken_it_is_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.providers._openai.tokens.find_spec", lambda name: None)
    assert _model().get_num_tokens("12345678") == 2


def test_a_tokenizer_of_ones_own_counts_first() -> None:
    model = _model(custom_get_token_ids=lambda text: [0] * 5)
    assert model.get_num_tokens("Hi") == 5
