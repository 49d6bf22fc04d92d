"""What users found: each test is a mistake that a user met, and that must not come back."""

from __future__ import annotations

from typing import Any

import httpx
import httpx2
import pytest
from pydantic import ValidationError

from headrace.errors import ConnectionError, NotFoundError, ProviderError
from headrace.providers import (
    AzureChatOpenAI,
    ChatAnthropic,
    ChatGoogleGenerativeAI,
    ChatMistralAI,
    ChatOpenAI,
    CohereEmbeddings,
    GoogleGenerativeAIEmbeddings,
    MistralAIEmbeddings,
    OpenAIEmbeddings,
)
from headrace.providers._base.errors import Fault, provider_error

KEY = "sk-a-key-of-many-letters"
SECRET = "a-secret-of-many-letters"


# ---- which answers of a cache a model may use ----------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "usual", "more"),
    [
        (ChatOpenAI, {}, {"base_url": "http://other.test/v1"}),
        (ChatOpenAI, {}, {"base_url": f"http://me:{SECRET}@other.test/v1"}),
        (ChatOpenAI, {}, {"organization": "o"}),
        (ChatOpenAI, {}, {"project": "p"}),
        (ChatOpenAI, {}, {"model_kwargs": {"a": 1}}),
        (ChatOpenAI, {}, {"model_kwargs": {"api_key": SECRET}}),
        (ChatOpenAI, {}, {"extra_body": {"top_k": 1}}),
        (ChatOpenAI, {}, {"default_query": {"k": SECRET}}),
        (ChatOpenAI, {"default_query": {"k": "1"}}, {"default_query": {"k": SECRET}}),
        (ChatOpenAI, {}, {"default_headers": {"x": SECRET}}),
        (ChatOpenAI, {"default_headers": {"x": "1"}}, {"default_headers": {"x": SECRET}}),
        (ChatOpenAI, {}, {"think_tags": True}),
        (ChatOpenAI, {}, {"seed": 1}),
        (ChatOpenAI, {}, {"use_previous_response_id": True}),
        (ChatAnthropic, {}, {"betas": ["b"]}),
        (ChatAnthropic, {}, {"effort": "low"}),
        (ChatAnthropic, {}, {"mcp_servers": [{"authorization_token": SECRET}]}),
        (AzureChatOpenAI, {}, {"azure_endpoint": "https://n.test"}),
        (AzureChatOpenAI, {}, {"azure_deployment": "d"}),
        (AzureChatOpenAI, {}, {"api_version": "2024-10-21"}),
    ],
)  # fmt: skip
def test_a_cache_tells_models_apart_by_all_that_an_answer_depends_on(
    cls: Any, usual: dict[str, Any], more: dict[str, Any]
) -> None:
    one, same, other = (
        cls(model="m", api_key=key, **given)
        for key, given in ((KEY, usual), ("another-key", usual), (KEY, {**usual, **more}))
    )
    assert one._get_llm_string() == same._get_llm_string()
    assert one._get_llm_string() != other._get_llm_string()
    assert other._get_llm_string() == cls(model="m", **usual | more)._get_llm_string()
    for shown in (other._get_llm_string(), repr(other)):
        assert SECRET not in shown
        assert KEY not in shown


def test_what_no_answer_depends_on_tells_no_models_apart() -> None:
    one, other = ChatOpenAI(model="m"), ChatOpenAI(model="m", timeout=3, max_retries=1, name="n")
    assert one._get_llm_string() == other._get_llm_string()


def test_an_address_shows_no_secret() -> None:
    made = ChatOpenAI(model="m", base_url=f"https://me:{SECRET}@x.test/v1?api-key={SECRET}&a=b")
    assert SECRET not in repr(made)
    assert "@x.test/v1?api-key=" in repr(made)


# ---- servers that answer something else ----------------------------------------------------------

EMBEDDINGS = [
    OpenAIEmbeddings,
    MistralAIEmbeddings,
    CohereEmbeddings,
    GoogleGenerativeAIEmbeddings,
]


def asking(cls: Any, body: str, kind: str = "application/json", **more: Any) -> Any:
    """A model whose server answers every request so."""
    lib: Any = httpx2 if cls._sdk[0] in WITH_HTTPX2 else httpx
    head = {"content-type": kind, **more}
    transport = lib.MockTransport(lambda request: lib.Response(200, text=body, headers=head))
    return cls(
        model="m", api_key=KEY, http_client=lib.Client(transport=transport), max_retries=0
    )  # fmt: skip


WITH_HTTPX2 = ("openai", "anthropic")


@pytest.mark.parametrize("cls", EMBEDDINGS)
@pytest.mark.parametrize("body", ["{}", '{"data": 3, "embeddings": 4}', "[]"])
def test_embeddings_that_are_none(cls: Any, body: str) -> None:
    with pytest.raises(Exception) as caught:
        asking(cls, body).embed_query("hi")
    assert type(caught.value).__module__ == "headrace.errors"


@pytest.mark.parametrize("cls", [OpenAIEmbeddings, MistralAIEmbeddings, CohereEmbeddings])
def test_embeddings_that_are_none_are_quoted(cls: Any) -> None:
    with pytest.raises(ProviderError, match=r"check base_url.*It sent .*'some': 'thing'"):
        asking(cls, '{"some": "thing"}').embed_query("hi")


@pytest.mark.parametrize("cls", EMBEDDINGS)
def test_an_error_under_200_is_quoted(cls: Any) -> None:
    with pytest.raises(ProviderError, match="the model sleeps"):
        asking(cls, '{"error": {"message": "the model sleeps"}}').embed_query("hi")


@pytest.mark.parametrize("cls", [ChatOpenAI, ChatAnthropic, ChatMistralAI, ChatGoogleGenerativeAI])
def test_a_web_page_is_no_answer(cls: Any) -> None:
    model = asking(cls, "<html>hello</html>", "text/html; charset=utf-8")
    said = "answered text/html, and not an answer: check base_url"
    with pytest.raises(NotFoundError, match=said):
        list(model.stream("hi"))
    with pytest.raises(NotFoundError, match=said):
        model.invoke("hi")


def test_a_page_is_no_embedding() -> None:
    with pytest.raises(NotFoundError, match="answered text/html"):
        asking(OpenAIEmbeddings, "<html>", "text/html").embed_query("hi")


def test_the_default_model_of_embeddings_is_langchains() -> None:
    assert OpenAIEmbeddings().model == "text-embedding-ada-002"


def test_a_whole_answer_that_breaks_off() -> None:
    def cut(request: Any) -> Any:
        raise httpx2.RemoteProtocolError(
            "peer closed connection without sending complete message body (received 9 bytes)"
        )

    client = httpx2.Client(transport=httpx2.MockTransport(cut))
    model = ChatOpenAI(model="m", api_key=KEY, http_client=client, max_retries=0)
    with pytest.raises(ConnectionError, match="broke off before its answer was complete"):
        model.invoke("hi")


# ---- what errors quote ---------------------------------------------------------------------------


def test_a_web_page_is_quoted_shortly() -> None:
    page = "<!DOCTYPE html><style>a {}</style><h1>Bad gateway</h1>" + "<p>more</p>" * 200
    error = provider_error("openai", Fault(502, page))
    assert "HTTP 502): Bad gateway more more" in str(error)
    assert "<" not in str(error)
    assert "a {}" not in str(error)
    assert len(str(error)) < 300


def test_the_fix_stands_before_a_long_quote() -> None:
    said = str(provider_error("openai", Fault(404, {"message": "long " * 100})))
    assert said.index("Check the model's name") < said.index("long long")


# ---- what a model is not made of -----------------------------------------------------------------


@pytest.mark.parametrize("cls", [ChatOpenAI, ChatAnthropic, AzureChatOpenAI])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"timeout": "30"}, "number of seconds"),
        ({"timeout": 0}, "number of seconds"),
        ({"timeout": float("nan")}, "number of seconds"),
        ({"timeout": True}, "number of seconds"),
        ({"base_url": "x.test/v1"}, "begins with http"),
        ({"max_tokens": 0}, "at least 1 token"),
    ],
)
def test_settings_that_cannot_be(cls: Any, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        cls(model="m", **wrong)
    assert cls(model="m", timeout=httpx.Timeout(3), base_url="HTTPS://x.test", max_tokens=1)
