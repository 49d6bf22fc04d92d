"""Keywords of a call: what is misspelled is refused before anything is sent; what is known is sent,
under whichever name it has."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

import headrace.providers as providers
from headrace.errors import ConfigError, ProviderError
from headrace.language_models.init import _refuse_misspelled, init_chat_model
from headrace.messages import HumanMessage
from headrace.providers import AzureChatOpenAI, ChatAnthropic, ChatMistralAI, ChatOpenAI
from headrace.providers._base import words
from headrace.tools import BaseTool, ToolSchemaError
from laws.colours import Colour, every_colour
from providers.replay import recording, replaying
from providers.replay_colours import run
from providers.test_constructor import CLASSES, _made, _values

PLAIN = recording("azure/chat-completions.text.gpt-5-2-chat")
NOWHERE = "http://127.0.0.1:1"  # nothing may be asked there

every_class = pytest.mark.parametrize("name", CLASSES)


def _request(name: str, **given: Any) -> dict[str, Any]:
    """What a stream with these keywords would send."""
    messages: list[Any] = [HumanMessage("hi")]
    request = _made(name, NOWHERE)._call(messages, None, given, stream=True).request
    assert isinstance(request, dict)
    return request


# ---- what is refused -----------------------------------------------------------------------------


@every_colour
@every_class
def test_a_misspelled_keyword(name: str, colour: Colour) -> None:
    said = rf"call of {name} has no keyword 'temprature'; did you mean 'temperature'\?.*extra_body"
    model = _made(name, NOWHERE)

    def body(doors: Any) -> None:
        for each in (model.bind(temprature=1), model.bind_tools([_f], temprature=1)):
            for ask in (doors.invoke, doors.stream):
                with pytest.raises(ConfigError, match=said):
                    ask(each, "hi")

    run(colour, model, body)


@every_class
def test_a_misspelled_keyword_of_a_method(name: str) -> None:
    model = _made(name, NOWHERE)
    messages: list[Any] = [HumanMessage("hi")]
    for ask in (
        lambda: model.invoke("hi", max_token=1),
        lambda: list(model.stream("hi", max_token=1)),
        lambda: model.batch(["hi"], max_token=1),
        lambda: model.generate([messages], max_token=1),
        lambda: asyncio.run(model.ainvoke("hi", max_token=1)),
        lambda: asyncio.run(model.agenerate([messages], max_token=1)),
    ):
        with pytest.raises(ConfigError, match="did you mean 'max_tokens'"):
            ask()


@every_class
@pytest.mark.parametrize("setting", ["api_key", "base_url", "max_retries", "default_headers"])
def test_settings_of_the_model_are_none_of_a_call(name: str, setting: str) -> None:
    secret = "sk-a-secret-of-many-letters"
    with pytest.raises(ConfigError, match=rf"write {name}\({setting}=…\)") as caught:
        _request(name, **{setting: secret})
    assert secret not in str(caught.value)


def test_a_key_by_another_name_is_not_sent_either() -> None:
    with pytest.raises(ConfigError, match=r"ChatOpenAI\(api_key=…\)"):
        _request("ChatOpenAI", openai_api_key="sk-a-secret-of-many-letters")


# ---- what is sent --------------------------------------------------------------------------------


@every_class
def test_what_only_the_server_knows(name: str) -> None:
    request = _request(name, extra_body={"of_tomorrow": [1]})
    assert _values(request, "of_tomorrow") == [[1]]


@every_class
def test_names_of_fields(name: str) -> None:
    stopped = _request(name, stop_sequences=["end"])
    assert _values(stopped, "stop", "stop_sequences", "stopSequences") == [["end"]]
    other = _request(name, model_name="another")
    assert _values(other, "model") == ["another"]


def _of_sdk(name: str) -> frozenset[str]:
    return words.load_words(getattr(providers, name))


@every_class
def test_every_parameter_that_is_a_field_may_be_given_to_a_call(name: str) -> None:
    model = _made(name, NOWHERE)
    assert model._settable
    for field in model._settable:
        assert words.heard(type(model), {field: None}) == {field: None}


@every_class
def test_what_the_sdk_documents(name: str) -> None:
    """Read off the installed SDK: one that has moved it would make this set empty."""
    assert len(_of_sdk(name)) > 15
    assert "temperature" in _of_sdk(name) | {*getattr(providers, name)._settable}


SDKS_OWN = [
    ("ChatOpenAI", "prompt_cache_key"), ("ChatOpenAI", "extra_headers"), ("ChatOpenAI", "prompt"),
    ("AzureChatOpenAI", "timeout"), ("ChatAnthropic", "metadata"), ("ChatGroq", "search_settings"),
    ("ChatMistralAI", "prediction"), ("ChatCohere", "priority"), ("ChatTogether", "top_k"),
    ("ChatGoogleGenerativeAI", "speech_config"), ("ChatVertexAI", "speechConfig"),
    ("ChatFireworks", "min_p"), ("ChatNVIDIA", "chat_template_kwargs"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "word"), SDKS_OWN)
def test_parameters_that_are_no_fields(name: str, word: str) -> None:
    value = {"a": 1}
    assert _values(_request(name, **{word: value}), word, "speechConfig") == [value]


@every_class
def test_a_wish_for_usage_is_no_part_of_a_request(name: str) -> None:
    request = _request(name, stream_usage=True)
    assert not _values(request, "stream_usage", "streamUsage")


def test_of_a_call_and_a_model_the_call_counts() -> None:
    model = ChatOpenAI(model="m", stop=["a"], max_tokens=5)
    call = model._call([HumanMessage("?")], None, {"stop_sequences": "b"}, stream=False)
    assert call.request["stop"] == ["b"]
    call = model._call([HumanMessage("?")], ["c"], {"stop_sequences": "b"}, stream=False)
    assert call.request["stop"] == ["c"]


def test_google_merges_what_is_added_to_its_config() -> None:
    config = {"generationConfig": {"ofTomorrow": 1}}
    body = _request("ChatGoogleGenerativeAI", temperature=0.5, extra_body=config)["body"]
    assert body["generationConfig"] == {"temperature": 0.5, "ofTomorrow": 1}


def test_a_class_of_ones_own_has_its_fields() -> None:
    class Mine(ChatOpenAI):
        _settable = (*ChatOpenAI._settable, "top_k")
        top_k: int | None = None

    call = Mine(model="m", top_k=3)._call([HumanMessage("?")], None, {"top_k": 4}, stream=False)
    assert call.request["top_k"] == 4
    with pytest.raises(ConfigError, match="did you mean 'top_k'"):
        words.heard(Mine, {"topk": 1})


# ---- what it costs -------------------------------------------------------------------------------

UNTOUCHED = """
import sys
from headrace.providers._base import words
import headrace.providers as providers

for name in providers.__all__:
    cls = getattr(providers, name)
    if hasattr(cls, "_settable"):
        given = {"tools": [], "tool_choice": "any", "stop": ["x"]}
        given |= {name: None for name in cls._settable}
        assert words.words_are_loaded(cls, given)
        assert words.heard(cls, given) is given
        assert not words.words_are_loaded(cls, {"temprature": 1}), cls
sdks = {"openai", "anthropic", "groq", "cohere", "mistralai", "google.genai"}
assert not sdks & set(sys.modules), sdks & set(sys.modules)
"""


def test_usual_keywords_import_no_sdk() -> None:
    subprocess.run([sys.executable, "-c", UNTOUCHED], check=True, timeout=60)


def test_in_an_event_loop_the_sdk_is_imported_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import current_thread, main_thread

    monkeypatch.setattr(words, "_SAID", {})
    threads: list[Any] = []
    load = words._documented

    def seen(path: str) -> Any:
        threads.append(current_thread())
        return load(path)

    monkeypatch.setattr(words, "_documented", seen)

    async def body() -> None:
        model = _made("ChatGroq", NOWHERE)
        with pytest.raises(ConfigError):
            await model.ainvoke("hi", temprature=1)
        with pytest.raises(ConfigError):
            [chunk async for chunk in model.astream("hi", temprature=1)]

    asyncio.run(body())
    assert len(threads) == 1
    assert threads[0] is not main_thread()


# ---- tool_choice, tools --------------------------------------------------------------------------


def _f(x: int) -> int:
    """F."""
    return x


def _g(x: int) -> int:
    """G."""
    return x


def _allowed(name: str, mode: str = "required") -> list[dict[str, Any]]:
    """The same choice as either of OpenAI's APIs writes it: nested, flat."""
    inner = [{"type": "function", "function": {"name": name}}]
    return [
        {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": inner}},
        {"type": "allowed_tools", "mode": mode, "tools": [{"type": "function", "name": name}]},
    ]


@pytest.mark.parametrize("given", [0, 1])
@pytest.mark.parametrize("responses", [False, True])
@pytest.mark.parametrize("cls", [ChatOpenAI, AzureChatOpenAI])
def test_some_of_the_tools_are_allowed(cls: Any, responses: bool, given: int) -> None:
    model = cls(model="m", use_responses_api=responses)
    bound = model.bind_tools([_f, _g], tool_choice=_allowed("_f")[given])
    request = model._call([HumanMessage("?")], None, bound.kwargs, stream=False).request
    assert request["tool_choice"] == _allowed("_f")[responses]
    assert len(request["tools"]) == 2


@pytest.mark.parametrize("given", [0, 1])
def test_what_is_allowed_must_be_bound(given: int) -> None:
    with pytest.raises(ConfigError, match=r"no tool that was bound: use one of '_f', or"):
        ChatOpenAI(model="m").bind_tools([_f], tool_choice=_allowed("_g")[given])


@pytest.mark.parametrize("cls", [ChatAnthropic, ChatMistralAI])
def test_others_do_not_know_allowed_tools(cls: Any) -> None:
    with pytest.raises(ConfigError, match="no tool that was bound"):
        cls(model="m").bind_tools([_f], tool_choice=_allowed("_f")[0])


def test_a_tool_of_a_server() -> None:
    server = {"type": "mcp", "server_label": "s", "server_url": "https://s.test"}
    choice = {"type": "mcp", "server_label": "s", "name": "search"}
    model = ChatOpenAI(model="m")
    bound: Any = model.bind_tools([server], tool_choice=choice)
    request = model._call([HumanMessage("?")], None, bound.kwargs, stream=False).request
    assert request["tool_choice"] == choice
    with pytest.raises(ConfigError, match="no tool that was bound"):
        model.bind_tools([_f], tool_choice=choice)


def test_allowed_tools_are_sent() -> None:
    with replaying(PLAIN) as server:
        model = _made("ChatOpenAI", server.url)
        model.bind_tools([_f, _g], tool_choice=_allowed("_g", "auto")[1]).invoke("hi")
        model.close()
    assert server.requests[0].body["tool_choice"] == _allowed("_g", "auto")[0]


class Search(BaseTool):
    """A tool, of which nobody has made an instance."""

    name: str = "search"
    description: str = "Finds."

    def _run(self, query: str) -> str:
        return query


@every_class
def test_a_class_of_tools_is_no_tool(name: str) -> None:
    with pytest.raises(ToolSchemaError, match=r"class of tools; give an instance: Search\(\)"):
        _made(name, NOWHERE).bind_tools([Search])


def test_a_class_of_langchains_tools_is_no_tool() -> None:
    from langchain_core.tools import BaseTool as Theirs

    class Find(Theirs):
        name: str = "find"
        description: str = "Finds."

        def _run(self, query: str) -> str:
            return query

    with pytest.raises(ToolSchemaError, match=r"class of tools; give an instance: Find\(\)"):
        ChatOpenAI(model="m").bind_tools([Find])


def test_a_provider_is_asked_with_what_is_right() -> None:
    """The other side of all the refusals above: such a call does reach the server."""
    with pytest.raises(ProviderError, match="could not be reached"):
        _made("ChatOpenAI", NOWHERE).invoke("hi", temperature=1)


# ---- init_chat_model -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("provider", "model_provider"),
        ("model_providers", "model_provider"),
        ("configurable_field", "configurable_fields"),
        ("configurable", "configurable_fields"),
    ],
)
def test_a_misspelled_argument_of_init_chat_model(word: str, meant: str) -> None:
    given: dict[str, Any] = {word: "x"}
    with pytest.raises(ConfigError, match=rf"no '{word}': did you mean '{meant}'"):
        init_chat_model("gpt-4o", **given)


def test_no_argument_of_a_class_is_taken_for_a_misspelled_one() -> None:
    for name in CLASSES:
        _refuse_misspelled(words._words(getattr(providers, name)).fields)


def test_the_models_name_under_its_other_name() -> None:
    assert (
        init_chat_model(model_name="gpt-4o").model_dump() == ChatOpenAI(model="gpt-4o").model_dump()
    )
    with pytest.raises(ValidationError, match=r"write ChatOpenAI\(model='…'\)"):
        init_chat_model(model_provider="openai")


@pytest.mark.parametrize(
    ("name", "first"), [("ChatGroq", "function_calling"), ("ChatOpenAI", "json_schema")]
)
def test_which_method_of_structured_output_comes_first(name: str, first: str) -> None:
    """Of Groq's models few take a schema; the others refuse the request."""
    assert next(iter(getattr(providers, name).structured_modes)) == first
