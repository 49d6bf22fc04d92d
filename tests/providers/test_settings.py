"""How the models over OpenAI's protocol are made: names of settings, keys, copies, what shows."""

from __future__ import annotations

import asyncio
import gc
import pickle
import sys
import threading
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ValidationError

from headrace.errors import AuthenticationError, ConfigError
from headrace.messages import AIMessage, HumanMessage, ToolMessage
from headrace.providers import (
    AzureChatOpenAI,
    ChatCohere,
    ChatFireworks,
    ChatGroq,
    ChatMistralAI,
    ChatNVIDIA,
    ChatOpenAI,
    ChatTogether,
    CohereEmbeddings,
    MistralAIEmbeddings,
    OpenAIEmbeddings,
)
from headrace.providers._base.keys import KeyFunction, KeyNames, cleaned
from headrace.providers._chat.request import request_messages, response_format
from laws.colours import Colour, every_colour
from providers.replay import recording, replaying
from providers.replay_colours import run

KEY = "sk-a-key-of-many-letters"
PLAIN = recording("azure/chat-completions.text.gpt-5-2-chat")


@pytest.mark.parametrize("cls", [ChatOpenAI, ChatGroq, ChatNVIDIA, ChatFireworks, ChatTogether])
def test_the_names_that_users_know(cls: Any) -> None:
    made = cls(
        model_name="m", **{f"{cls.provider}_api_key": KEY}, request_timeout=3,
        max_completion_tokens=5, stop_sequences="end",
    )  # fmt: skip
    assert repr(made).startswith(f"{cls.__name__}(model='m', ")
    assert (made.model_name, made.timeout, made.max_tokens, made.stop) == ("m", 3, 5, ["end"])
    assert made.api_key.get_secret_value() == KEY


def test_azures_names() -> None:
    where = "https://n.openai.azure.com"
    given: dict[str, Any] = {"deployment_name": "d", "openai_api_base": where, "api_version": "1"}
    given["openai_api_key"] = KEY
    made = AzureChatOpenAI(**given)
    assert (made.azure_deployment, made.base_url, made.openai_api_version) == ("d", where, "1")


@pytest.mark.parametrize(
    "given",
    [
        {"api_key": KEY},
        {"model": "m", "openai_api_kee": KEY},
        {"model": "m", "api_key": [KEY]},
        {"model": "m", "default_headers": [KEY]},
        {"model": "m", "extra": {"token": KEY}},
    ],
)
@pytest.mark.parametrize("cls", [ChatOpenAI, ChatGroq, OpenAIEmbeddings])
def test_a_mistake_shows_no_key(cls: Any, given: dict[str, Any]) -> None:
    if cls is OpenAIEmbeddings and "model" not in given:
        given = {**given, "modle": "m"}
    with pytest.raises(ValidationError) as caught:
        cls(**given)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert KEY not in str(caught.value.errors())


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("temprature", "did you mean 'temperature'"),
        ("prompt_cache_key", "model_kwargs={'prompt_cache_key': …}"),
        ("openai_proxy", "http_client="),
        ("verbose", "events"),
    ],
)
def test_an_unknown_setting(name: str, advice: str) -> None:
    given: dict[str, Any] = {"model": "m", name: 1}
    with pytest.raises(ValidationError, match=name) as caught:
        ChatOpenAI(**given)
    assert advice in str(caught.value)


def test_a_copy_is_as_secret_and_has_its_own_connections() -> None:
    model = ChatOpenAI(model="m", api_key=KEY)
    other = model.model_copy(update={"api_key": "sk-another-long-key"})
    assert "another" not in repr(other)
    assert other._key() == "sk-another-long-key"
    assert other._clients is not model._clients
    assert model.model_copy(update={"temperature": 1.0})._clients is model._clients
    assert pickle.loads(pickle.dumps(model))._key() == KEY


@every_colour
@pytest.mark.parametrize("awaits", [False, True])
@pytest.mark.parametrize("cls", [ChatOpenAI, ChatTogether, ChatGroq])
def test_a_function_gives_the_key(cls: Any, awaits: bool, colour: Colour) -> None:
    async def later() -> str:
        return KEY

    with replaying(PLAIN) as server:
        given = later if awaits else lambda: KEY
        model = cls(model="m", api_key=given, base_url=server.url, max_retries=0)
        if awaits and (cls is ChatGroq or not colour.asynchronous):
            with pytest.raises(ConfigError, match="coroutine function"):
                run(colour, model, lambda doors: doors.invoke(model, "?"))
            return
        run(colour, model, lambda doors: doors.invoke(model, "?"))
        assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("nothing", ["", None, "two words", 7])
def test_a_function_that_gives_no_key(nothing: Any) -> None:
    asked = KeyFunction(lambda: nothing, KeyNames("ChatOpenAI", "openai", ("OPENAI_API_KEY",)))
    with pytest.raises(AuthenticationError, match="OPENAI_API_KEY"):
        asked()
    with pytest.raises(AuthenticationError, match="OPENAI_API_KEY"):
        asyncio.run(asked.awaited()())


def test_short_keys_are_no_secrets() -> None:
    assert cleaned("a company said any", ["any", "a"]) == "a company said any"
    assert cleaned({"said": [f"not {KEY}"]}, [KEY]) == {"said": ["not **********"]}


def test_one_client_for_all_tasks_of_a_loop_and_none_of_loops_that_ended() -> None:
    model = ChatOpenAI(model="m", api_key=KEY)

    async def asked() -> list[Any]:
        return await asyncio.gather(*(model._aclient() for _ in range(20)))

    for _ in range(3):
        assert len(set(map(id, asyncio.run(asked())))) == 1
    gc.collect()
    assert len(model._clients._async) == 1


def test_what_an_sdk_puts_off_is_imported_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "put_off_here.py").write_text("import threading\nat = threading.get_ident()\n")
    monkeypatch.syspath_prepend(tmp_path)

    class Slow(ChatOpenAI):
        _put_off: ClassVar[tuple[str, ...]] = ("put_off_here",)

    async def asked() -> None:
        model = Slow(model="m", api_key=KEY)
        await model._aclient()
        await model.aclose()

    asyncio.run(asked())
    assert sys.modules.pop("put_off_here").at != threading.get_ident()
    for cls in (ChatCohere, CohereEmbeddings, ChatMistralAI, MistralAIEmbeddings):
        assert cls._put_off and all(map(import_module, cls._put_off))


# ---- what is asked -------------------------------------------------------------------------------


def _request(given: dict[str, Any], **settings: Any) -> dict[str, Any]:
    model = ChatOpenAI(model=settings.pop("model", "m"), api_key=KEY, **settings)
    return model._request([HumanMessage("?")], None, given, stream=settings.pop("stream", False))


def test_what_is_none_is_not_sent() -> None:
    assert "temperature" not in _request({"temperature": None}, temperature=1.0)


def test_of_two_words_for_the_longest_answer_the_calls_counts() -> None:
    asked = _request({"max_completion_tokens": 7}, max_tokens=5)
    assert (asked.get("max_tokens"), asked["max_completion_tokens"]) == (None, 7)


@pytest.mark.parametrize(("here", "there"), [(True, False), (False, True), (None, True)])
def test_a_call_may_say_whether_usage_is_told(here: bool | None, there: bool) -> None:
    model = ChatOpenAI(model="m", api_key=KEY, stream_usage=here)
    messages: list[Any] = [HumanMessage("?")]
    asked = model._request(messages, None, {"stream_usage": there}, stream=True)
    assert ("stream_options" in asked) is there and "stream_usage" not in asked


class Person(BaseModel):
    """Somebody."""

    name: str


SCHEMA = {"title": "P", "type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("given", "name", "strict"),
    [(Person, "Person", True), (SCHEMA, "P", None), ({"name": "N", "schema": SCHEMA}, "N", None)],
)
def test_a_schema_as_the_response_format(given: Any, name: str, strict: bool | None) -> None:
    form = response_format(given)
    assert (form["type"], form["json_schema"]["name"]) == ("json_schema", name)
    assert form["json_schema"].get("strict") is strict
    flat = _request({"response_format": given}, use_responses_api=True)["text"]["format"]
    assert (flat["type"], flat["name"]) == ("json_schema", name)


def test_a_response_format_of_the_protocol_is_sent_as_it_is() -> None:
    assert response_format({"type": "json_object"}) == {"type": "json_object"}


DOCUMENT = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}}
FORMS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "text-plain", "text": "d"}, {"type": "text", "text": "d"}),
    (DOCUMENT, {"type": "text", "text": "d"}),
    ({"type": "input_text", "text": "d"}, {"type": "text", "text": "d"}),
    ({"type": "input_image", "image_url": "u", "detail": "low"},
     {"type": "image_url", "image_url": {"url": "u", "detail": "low"}}),
    ({"type": "input_file", "file_id": "f"}, {"type": "file", "file": {"file_id": "f"}}),
    ({"type": "audio", "base64": "aGk=", "mime_type": "audio/mpeg"},
     {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}}),
    ({"type": "text", "text": "d", "cache_control": {"type": "ephemeral"}},
     {"type": "text", "text": "d", "cache_control": {"type": "ephemeral"}}),
]  # fmt: skip


@pytest.mark.parametrize(("block", "sent"), FORMS)
def test_blocks_of_other_forms(block: dict[str, Any], sent: dict[str, Any]) -> None:
    (written,) = request_messages([HumanMessage([block])])
    assert written["content"] == [sent]


def test_a_result_that_is_an_object_is_sent_as_json() -> None:
    (written,) = request_messages([ToolMessage([{"a": 1}], tool_call_id="t")])
    assert written["content"] == [{"type": "text", "text": '{"a": 1}'}]


def test_calls_whose_arguments_are_no_json_are_sent_with_their_results() -> None:
    call: Any = {
        "type": "invalid_tool_call", "id": "t", "name": "f", "args": "{bad", "error": None,
    }  # fmt: skip
    said, _ = request_messages(
        [AIMessage("", invalid_tool_calls=[call]), ToolMessage("no JSON", tool_call_id="t")]
    )
    assert said["content"] is None
    assert said["tool_calls"][0]["function"] == {"name": "f", "arguments": "{bad"}
