"""`AzureChatOpenAI`, `AzureOpenAIEmbeddings`: addresses, ways to be known, what only Azure sends.

That the messages are right is tested with all recordings, in `test_recordings_*.py`.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from headrace.errors import AuthenticationError, BadRequestError, ConfigError, GatewayTimeout
from headrace.merge import merge
from headrace.providers import AzureChatOpenAI, AzureOpenAIEmbeddings
from laws.colours import Colour, every_colour
from providers.replay import recording, replaying
from providers.replay_colours import run

STREAM = recording("azure/chat-completions.text_stream.gpt-4-1-mini")
PLAIN = recording("azure/chat-completions.text.gpt-5-2-chat")
RESPONSE = recording("azure/responses.reasoning.gpt-5-2-chat")
THOUGHT = recording("azure/chat-completions.reasoning_stream.deepseek-r1-0528")
VECTORS = recording("azure/embeddings.embeddings")
KEY: dict[str, Any] = {"api_key": "a-key"}
NAMES = ("API_KEY", "ENDPOINT", "AD_TOKEN")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*(f"AZURE_OPENAI_{each}" for each in NAMES), "OPENAI_API_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "not-for-azure")


def _chat(url: str | None, **settings: Any) -> AzureChatOpenAI:
    given = {"azure_deployment": "my-gpt", "api_version": "2024-10-21", "max_retries": 0}
    where = {} if url is None else {"azure_endpoint": url}
    return AzureChatOpenAI(**{**given, **where, **settings})


OLD = {"api-version": "2024-10-21"}
ADDRESSES: list[tuple[str, dict[str, Any], str, dict[str, str], str]] = [
    # what stands behind the host, settings, path, query, the model in the body
    ("", {}, "/openai/deployments/my-gpt/chat/completions", OLD, "my-gpt"),
    ("/", {"model": "gpt-4.1"}, "/openai/deployments/my-gpt/chat/completions", OLD, "gpt-4.1"),
    ("", {"azure_deployment": None, "model": "gpt-4.1"},
     "/openai/deployments/gpt-4.1/chat/completions", OLD, "gpt-4.1"),
    ("/openai/deployments/other", {}, "/openai/deployments/other/chat/completions", OLD, "my-gpt"),
    ("/openai/v1", {"api_version": None}, "/openai/v1/chat/completions", {}, "my-gpt"),
    ("/openai/v1/", {"api_version": "preview"}, "/openai/v1/chat/completions",
     {"api-version": "preview"}, "my-gpt"),
    ("/models", {}, "/models/chat/completions", OLD, "my-gpt"),
]  # fmt: skip


@every_colour
@pytest.mark.parametrize("address", ADDRESSES, ids=str)
def test_addresses(address: Any, colour: Colour) -> None:
    behind, settings, path, query, name = address
    with replaying(STREAM) as server:
        model = _chat(server.url + behind, api_key="a-key", **settings)

        def body(doors: Any) -> None:
            message = merge(doors.stream(model, "Hi"))
            assert message.text and message.response_metadata["model_provider"] == "azure"
            (request,) = server.requests
            assert (request.path, request.query) == (path, query)
            assert request.body["model"] == name
            assert request.headers["api-key"] == "a-key"

        run(colour, model, body)


RESPONSES = [
    ("", "/openai/responses", OLD),
    ("/openai/v1", "/openai/v1/responses", OLD),
]


@every_colour
@pytest.mark.parametrize("address", RESPONSES, ids=str)
def test_addresses_of_responses(address: Any, colour: Colour) -> None:
    behind, path, query = address
    with replaying(RESPONSE) as server:
        model = _chat(server.url + behind, api_key="a-key", reasoning={"effort": "low"})

        def body(doors: Any) -> None:
            assert doors.invoke(model, "Hi").text
            (request,) = server.requests
            assert (request.path, request.query, request.body["model"]) == (path, query, "my-gpt")

        run(colour, model, body)


def _token() -> str:
    return "given"


async def _token_later() -> str:
    return "awaited"


# settings, the environment, and what is then sent, in sync and async calls
CREDENTIALS: list[tuple[dict[str, Any], dict[str, str], str, str]] = [
    ({"api_key": "a-key"}, {"AD_TOKEN": "env-token"}, "a-key", "a-key"),
    ({"openai_api_key": "a-key"}, {"API_KEY": "env-key"}, "a-key", "a-key"),
    ({}, {"API_KEY": "env-key"}, "env-key", "env-key"),
    ({}, {"AD_TOKEN": "env-token", "API_KEY": "env-key"}, "Bearer env-token", "Bearer env-token"),
    ({"azure_ad_token": "own"}, {"API_KEY": "env-key"}, "Bearer own", "Bearer own"),
    ({"azure_ad_token_provider": _token}, {"API_KEY": "env-key"}, "Bearer given", "Bearer given"),
    ({"azure_ad_token_provider": _token, "azure_ad_async_token_provider": _token_later}, {},
     "Bearer given", "Bearer awaited"),
]  # fmt: skip


@every_colour
@pytest.mark.parametrize("behind", ["", "/openai/v1"])
@pytest.mark.parametrize("known_by", CREDENTIALS)
def test_ways_to_be_known(
    known_by: Any, behind: str, colour: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, environment, in_sync, in_async = known_by
    for name, value in environment.items():
        monkeypatch.setenv(f"AZURE_OPENAI_{name}", value)
    with replaying(STREAM) as server:
        model = _chat(server.url + behind, **settings)

        def body(doors: Any) -> None:
            doors.stream(model, "Hi")
            doors.stream(model, "Hi")
            expected = in_async if doors.asynchronous else in_sync
            for request in server.requests:
                if expected.startswith("Bearer "):
                    assert request.headers["authorization"] == expected
                    assert "api-key" not in request.headers
                else:
                    assert request.headers["api-key"] == expected
            assert "own" not in repr(model) and "'a-key'" not in repr(model)

        run(colour, model, body)


def test_the_environment_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    with replaying(PLAIN) as server:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", server.url)
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "a-key")
        monkeypatch.setenv("OPENAI_API_VERSION", "2025-01-01")
        model = AzureChatOpenAI(azure_deployment="my-gpt")
        assert model.invoke("Hi").text
        model.close()
        assert server.requests[0].query == {"api-version": "2025-01-01"}


def test_what_is_missing_is_said() -> None:
    with pytest.raises(ValidationError, match=r"needs azure_deployment=…"):
        _chat("http://x", azure_deployment=None)
    with pytest.raises(
        ValidationError, match="was given api_key and azure_ad_token: Azure takes one"
    ):
        _chat("http://x", api_key="a-key", azure_ad_token="t")
    with pytest.raises(ConfigError, match="AZURE_OPENAI_ENDPOINT"):
        _chat(None, api_key="a-key").invoke("Hi")
    with pytest.raises(ConfigError, match="OPENAI_API_VERSION"):
        _chat("http://x", api_key="a-key", api_version=None).invoke("Hi")
    with pytest.raises(AuthenticationError, match="AZURE_OPENAI_API_KEY"):
        _chat("http://x").invoke("Hi")


def test_a_token_shows_in_no_error() -> None:
    refused = recording("azure/chat-completions.error-401")
    with replaying(refused) as server:
        model = _chat(server.url, azure_ad_token="eyJ-secret")
        with pytest.raises(AuthenticationError) as caught:
            model.invoke("Hi")
        model.close()
    assert "eyJ-secret" not in str(caught.value)
    assert model._secrets() == ["eyJ-secret"]


def test_filters_are_kept() -> None:
    with replaying(STREAM) as server:
        model = _chat(server.url, api_key="a-key")
        facts = merge(list(model.stream("Hi"))).response_metadata
        model.close()
    assert facts["prompt_filter_results"][0]["prompt_index"] == 0
    assert "hate" in facts["content_filter_results"]
    assert facts["finish_reason"] == "stop"


def test_thoughts_of_deepseek_and_a_finish_reason_that_is_told_twice() -> None:
    with replaying(THOUGHT) as server:
        model = _chat(server.url, api_key="a-key")
        message = merge(list(model.stream("Hi")))
        model.close()
    assert {block["type"] for block in message.content} == {"reasoning"}
    assert message.response_metadata["finish_reason"] == "length"


def test_errors_in_plain_text() -> None:
    for name, kind in (("408", GatewayTimeout), ("413", BadRequestError)):
        with replaying(recording(f"azure/chat-completions.error-{name}")) as server:
            model = _chat(server.url, api_key="a-key")
            with pytest.raises(kind) as caught:
                model.invoke("Hi")
            model.close()
        assert caught.value.status == int(name) and caught.value.provider_message


@every_colour
def test_embeddings(colour: Colour) -> None:
    with replaying(VECTORS) as server:
        model = AzureOpenAIEmbeddings(
            azure_endpoint=server.url, azure_deployment="my-vectors",
            openai_api_version="2024-10-21", max_retries=0, **KEY,
        )  # fmt: skip

        def body(doors: Any) -> None:
            if doors.asynchronous:
                vector = doors.wait(model.aembed_query("Hi"))
            else:
                vector = model.embed_query("Hi")
            assert len(vector) == 1024
            (request,) = server.requests
            assert request.path == "/openai/deployments/my-vectors/embeddings"

        run(colour, model, body)
