"""`ChatAnthropic`: what it sends and raises, over the unchanged SDK and a server that replays."""

from __future__ import annotations

import asyncio
import json
import pickle
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from headrace.errors import (
    AuthenticationError,
    ContextLengthError,
    IncompleteStream,
    OutputParserException,
    ProviderError,
    RateLimitError,
)
from headrace.language_models.output_version import settled
from headrace.language_models.structured import NoModeError
from headrace.merge import merge
from headrace.messages import AIMessage, HumanMessage, ToolMessage, message_chunk_to_message
from headrace.providers import ChatAnthropic
from headrace.tools import tool
from laws.colours import Colour, both_drivers, every_colour
from providers.expected import documents
from providers.models import KEY, model_for
from providers.replay import Exchange, recording, recordings, replaying

TEXT = recording("anthropic/messages.text_stream.claude-haiku-4-5.1896d9")
WHOLE = recording("anthropic/messages.text.claude-sonnet-4-6.00fda0")
THOUGHT = recording("anthropic/messages.tool_calls_stream.claude-haiku-4-5-20251001.05367a")
JSON = recording("anthropic/messages.json.claude-sonnet-4-6.03e1e5")
FORCED = recording("anthropic/messages.tool_calls_stream.claude-3-5-haiku-20241022.71ac18")


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


class Capital(BaseModel):
    """A capital."""

    city: str
    country: str


def sent(runnable: Any, given: Any = "Hi", exchange: Exchange = WHOLE, **settings: Any) -> Any:
    """The request that a model, made into a runnable, sends."""
    with replaying(exchange) as server:
        model = model_for(exchange, server.url, **settings)
        with suppress(ProviderError, OutputParserException):
            runnable(model).invoke(given)
        model.close()
        return server.requests[0]


def folded(chunks: list[Any]) -> Any:
    """The whole message of a stream."""
    return settled(message_chunk_to_message(merge(chunks)))


def body(runnable: Any = lambda model: model, given: Any = "Hi", **settings: Any) -> Any:
    return sent(runnable, given, **settings).body


# ---- settings ----


def test_settings_are_sent_by_the_apis_names() -> None:
    found = body(
        temperature=0.5, top_p=0.9, top_k=5, stop=["X"], max_tokens=99, effort="low",
        service_tier="auto", cache_control={"type": "ephemeral"}, thinking={"type": "adaptive"},
        model_kwargs={"metadata": {"user_id": "u"}, "unknown_to_the_sdk": 1},
    )  # fmt: skip
    assert found == {
        "model": "claude-sonnet-4-6", "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.5, "top_p": 0.9, "top_k": 5, "stop_sequences": ["X"], "max_tokens": 99,
        "output_config": {"effort": "low"}, "service_tier": "auto", "unknown_to_the_sdk": 1,
        "cache_control": {"type": "ephemeral"}, "thinking": {"type": "adaptive"},
        "metadata": {"user_id": "u"},
    }  # fmt: skip


def test_the_names_that_users_know() -> None:
    model = ChatAnthropic.model_validate(
        {"model_name": "m", "anthropic_api_key": "k", "anthropic_api_url": "http://x.test",
         "max_tokens_to_sample": 5, "default_request_timeout": 3.0, "stop_sequences": "X"}
    )  # fmt: skip
    found = (model.model, model.base_url, model.max_tokens, model.timeout, model.stop)
    assert found == ("m", "http://x.test", 5, 3.0, ["X"])


@pytest.mark.parametrize(
    ("name", "longest"),
    [
        ("claude-3-haiku-20240307", 4096),
        ("claude-3-5-haiku-20241022", 8192),
        ("claude-3-7-sonnet-latest", 64_000),
        ("claude-opus-4-20250514", 32_000),
        ("claude-opus-4-1", 32_000),
        ("claude-opus-4-5", 64_000),
        ("claude-opus-4-8", 128_000),
        ("claude-sonnet-4-0", 64_000),
        ("claude-sonnet-4-6", 128_000),
        ("claude-haiku-4-5", 64_000),
        ("claude-opus-5", 128_000),
        ("a-model-of-somebody", 4096),
    ],
)
def test_the_longest_answer_of_a_model(name: str, longest: int) -> None:
    request = ChatAnthropic(model=name)._request([HumanMessage("Hi")], None, {}, stream=False)
    assert request["max_tokens"] == longest


def test_a_long_answer_may_come_whole() -> None:
    """The SDK refuses that, unless it is told how long to wait."""
    assert body(max_tokens=64_000)["max_tokens"] == 64_000


@pytest.mark.parametrize(
    ("name", "thinking", "takes"),
    [
        ("claude-sonnet-4-5", None, True),
        ("claude-3-5-haiku-latest", None, True),
        ("claude-opus-4-20250514", None, True),
        ("claude-sonnet-4-5", {"type": "enabled", "budget_tokens": 1024}, False),
        ("claude-sonnet-4-5", {"type": "disabled"}, True),
        ("claude-opus-4-6", None, False),
        ("claude-opus-5", None, False),
    ],
)
def test_who_goes_on_with_an_answer(name: str, thinking: Any, takes: bool) -> None:
    assert ChatAnthropic(model=name, thinking=thinking).takes_prefix is takes


def test_the_key_comes_from_the_environment_and_shows_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(AuthenticationError, match="ANTHROPIC_API_KEY"):
        ChatAnthropic(model="m").invoke("Hi")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-from-outside")
    with replaying(WHOLE) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        model = ChatAnthropic(model="m")
        model.invoke("Hi")
        model.close()
        assert "sk-from-outside" in server.requests[0].headers["authorization"]
    given = ChatAnthropic.model_validate({"model": "m", "api_key": "sk-given"})
    assert "sk-given" not in f"{given!r} {given.model_dump()} {given.model_dump_json()}"


def test_the_tokens_of_servers_show_nowhere() -> None:
    servers = [{"type": "url", "url": "https://x.test", "name": "m", "authorization_token": "tok"}]
    found = sent(lambda m: m, mcp_servers=servers)
    assert found.body["mcp_servers"] == servers
    assert found.headers["anthropic-beta"] == "mcp-client-2025-11-20"
    model = ChatAnthropic(model="m", mcp_servers=servers)
    shown = f"{model!r} {model.model_dump()} {model._identifying_params} {model._get_ls_params()}"
    assert "tok" not in shown.replace("token", "").replace("max_toks", "")
    assert "https://x.test" in str(model._identifying_params)


def test_a_model_can_be_pickled() -> None:
    model = ChatAnthropic(model="m", thinking={"type": "adaptive"})
    assert repr(pickle.loads(pickle.dumps(model))) == repr(model)


# ---- tools ----

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}


def test_tools_are_described() -> None:
    cached = weather.model_copy(update={"extras": {"cache_control": {"type": "ephemeral"}}})
    own = {"name": "own", "input_schema": {"type": "object"}, "cache_control": {"type": "x"}}
    found = body(lambda m: m.bind_tools([cached, SEARCH, own], tool_choice="weather"))
    assert found["tools"] == [
        {
            "name": "weather",
            "description": "The weather in a city.",
            "input_schema": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
            "cache_control": {"type": "ephemeral"},
        },
        SEARCH,
        own,
    ]
    assert found["tool_choice"] == {"type": "tool", "name": "weather"}


def test_tools_of_two_servers() -> None:
    both = [{"type": "mcp_toolset", "mcp_server_name": name} for name in "ab"]
    assert body(lambda m: m.bind_tools(both))["tools"] == both


def test_one_call_at_most() -> None:
    found = body(lambda m: m.bind_tools([weather], parallel_tool_calls=False))
    assert found["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    choice = {"type": "any", "disable_parallel_tool_use": True}
    assert body(lambda m: m.bind_tools([weather], tool_choice=choice))["tool_choice"] == choice


def test_a_beta_feature_goes_to_the_beta_resource() -> None:
    computer = {"type": "computer_20250124", "name": "computer", "display_width_px": 1}
    found = sent(lambda m: m.bind_tools([computer]), betas=["files-api-2025-04-14"])
    assert found.headers["anthropic-beta"] == "files-api-2025-04-14,computer-use-2025-01-24"
    assert "betas" not in found.body
    assert "anthropic-beta" not in sent(lambda m: m).headers


# ---- values ----


@every_colour
def test_structured_output_is_asked_for_by_schema(colour: Colour) -> None:
    with replaying(JSON) as server:
        model = model_for(JSON, server.url)

        def ask(doors: Any) -> None:
            value = doors.invoke(model.with_structured_output(Capital), "What?")
            assert value == Capital(city="Paris", country="France")

        colour.run(ask)
        form = server.requests[0].body["output_config"]["format"]
    assert form["type"] == "json_schema"
    assert form["schema"]["additionalProperties"] is False
    assert set(form["schema"]["properties"]) == {"city", "country"}


@pytest.mark.parametrize(
    ("thinking", "choice"),
    [(None, "any"), ({"type": "adaptive"}, "auto"), ({"type": "disabled"}, "any")],
)
def test_structured_output_by_a_tool(thinking: Any, choice: str) -> None:
    """A model that thinks cannot be made to call a tool."""
    found = body(
        lambda m: m.with_structured_output(Capital, method="function_calling"), thinking=thinking
    )
    assert found["tool_choice"] == {"type": choice}
    assert [t["name"] for t in found["tools"]] == ["Capital"]


def test_structured_output_by_a_tool_is_read() -> None:
    schema = {"title": "structured_output", "type": "object", "properties": {"name": {}}}
    with replaying(FORCED) as server:
        model = model_for(FORCED, server.url)
        chain = model.with_structured_output(schema, method="function_calling")
        *_, last = chain.stream("What?")
        model.close()
    assert last["name"]


def test_there_is_no_json_mode() -> None:
    with pytest.raises(NoModeError, match="json_mode"):
        ChatAnthropic(model="m").with_structured_output(Capital, method="json_mode")


def test_an_answer_that_fills_the_context_is_cut_off() -> None:
    told = json.loads(JSON.body)
    told |= {"stop_reason": "model_context_window_exceeded"}
    told["content"][0]["text"] = '{"city": "Par'
    with replaying(replace(JSON, body=json.dumps(told).encode())) as server:
        model = model_for(JSON, server.url)
        with pytest.raises(OutputParserException, match="cut off"):
            model.with_structured_output(Capital).invoke("?")
        model.close()


def test_an_answer_goes_on_where_its_stream_was_cut() -> None:
    whole = "".join(b["text"] for b in wire_blocks(TEXT))
    with replaying(TEXT, end=("short_events", 5)) as server:
        model = model_for(TEXT, server.url)
        partial = ""
        with pytest.raises(IncompleteStream) as caught:
            for chunk in model.stream("Hi"):
                partial += chunk.text
        assert caught.value.partial.text == partial
        server.play(TEXT)
        list(model.stream([HumanMessage("Hi"), AIMessage(partial)]))
        model.close()
        last = server.requests[0].body["messages"][-1]
    assert partial
    assert whole.startswith(partial)
    assert last == {"role": "assistant", "content": partial.rstrip()}


@every_colour
def test_a_retry_goes_on_where_its_stream_was_cut(colour: Colour) -> None:
    """The second answer is the recorded one, whose beginning is what had come: this server says it
    again, which Claude does not."""

    def heal(call: Any) -> None:
        if len(call.request["messages"]) == 1:  # the first stream has ended
            server.play(TEXT)

    class OnceCut(ChatAnthropic):
        """Its first stream is cut short; then the server plays on."""

        repeats_prefix: ClassVar[bool | None] = True

        def _events(self, client: Any, call: Any) -> Any:
            yield from super()._events(client, call)
            heal(call)

        async def _aevents(self, client: Any, call: Any) -> Any:
            async for event in super()._aevents(client, call):
                yield event
            heal(call)

    with replaying(TEXT) as server:
        settings: dict[str, Any] = {"base_url": server.url, "api_key": KEY, "max_retries": 0}
        model = OnceCut(model="claude-haiku-4-5", **settings)
        assert model.takes_prefix

        def go_on(doors: Any) -> None:
            server.play(TEXT, end=("short_events", 5))
            again = model.with_retry(
                when="continue", stop_after_attempt=2, wait_exponential_jitter=False
            )
            chunks = doors.stream(again, "Hi")
            text = "".join(chunk.text for chunk in chunks)
            assert text == "".join(block["text"] for block in wire_blocks(TEXT))
            (request,) = server.requests
            assert [m["role"] for m in request.body["messages"]] == ["user", "assistant"]

        colour.run(go_on)


@both_drivers
def test_standard_blocks_in_the_content(colour: Colour) -> None:
    with replaying(THOUGHT) as server:
        model = model_for(THOUGHT, server.url, output_version="v1")

        def ask(doors: Any) -> None:
            chunks = doors.stream(model, "?")
            message = folded(chunks)
            assert [block["type"] for block in message.content] == ["reasoning", "tool_call"]
            assert message.content[0]["extras"]["signature"]
            assert message.tool_calls[0]["name"] == "fixed_version"

        colour.run(ask)


# ---- a conversation ----


def wire_blocks(exchange: Exchange) -> list[dict[str, Any]]:
    """The blocks that an answer consists of, put together from its events."""
    blocks: dict[int, dict[str, Any]] = {}
    for _, event in deepcopy(documents(exchange)):
        if event["type"] == "content_block_start":
            blocks[event["index"]] = dict(event["content_block"])
        elif event["type"] == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            for name in ("text", "thinking", "signature"):
                if name in delta:
                    block[name] = block.get(name, "") + delta[name]
            if "partial_json" in delta:
                block["json"] = block.get("json", "") + delta["partial_json"]
            if "citation" in delta:
                block.setdefault("citations", []).append(delta["citation"])
    for block in blocks.values():
        if block.get("json"):
            block["input"] = json.loads(block["json"])
        block.pop("json", None)
    return [blocks[index] for index in sorted(blocks)]


def says_something(block: dict[str, Any]) -> bool:
    return block["type"] != "text" or bool(block["text"].strip())


def comparable(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Blocks without what says nothing: nulls, a call by the model itself, where texts are cut."""
    found: list[dict[str, Any]] = []
    for block in filter(says_something, blocks):
        kept = {k: v for k, v in block.items() if v is not None and v != []}
        if kept.get("caller") == {"type": "direct"} and kept["type"] == "tool_use":
            del kept["caller"]
        for cited in kept.get("citations", ()):
            cited.pop("file_id", None)
        last = found[-1] if found else {}
        if kept.keys() == last.keys() == {"type", "text"}:
            last["text"] += kept["text"]
        else:
            found.append(kept)
    return sorted(found, key=lambda block: block["type"] == "tool_use")


ANSWERS = [
    pytest.param(e, id=e.name)
    for e in recordings("anthropic")
    if e.is_stream and not e.kind.startswith(("error", "empty"))
]


@pytest.mark.parametrize("exchange", ANSWERS)
def test_an_answer_is_sent_back_as_it_came(exchange: Exchange) -> None:
    with replaying(exchange) as server:
        model = model_for(exchange, server.url)
        answer: Any = None
        for chunk in model.stream("What?"):
            answer = chunk if answer is None else answer + chunk
        results = [ToolMessage("So.", tool_call_id=call["id"]) for call in answer.tool_calls]
        list(model.stream([HumanMessage("What?"), answer, *results, HumanMessage("And?")]))
        model.close()
        messages = server.requests[1].body["messages"]
    back = messages[1]["content"]
    back = [{"type": "text", "text": back}] if isinstance(back, str) else back
    assert messages[1]["role"] == "assistant"
    assert comparable(back) == comparable(wire_blocks(exchange))
    assert messages[2]["content"] == (
        [
            *(
                {"type": "tool_result", "tool_use_id": call["id"], "content": "So."}
                for call in answer.tool_calls
            ),
            {"type": "text", "text": "And?"},
        ]
        if results
        else "And?"
    )


@both_drivers
def test_a_conversation_with_thoughts_and_tools(colour: Colour) -> None:
    with replaying([THOUGHT, TEXT]) as server:
        model = model_for(THOUGHT, server.url, thinking={"type": "enabled", "budget_tokens": 1024})

        def talk(doors: Any) -> None:
            server.play([THOUGHT, TEXT])
            asked = [HumanMessage("Which version?")]
            answer = sum(rest := doors.stream(model, asked), rest.pop(0))
            assert [b["type"] for b in answer.content_blocks][:1] == ["reasoning"]
            result = ToolMessage("1.0", tool_call_id=answer.tool_calls[0]["id"])
            doors.stream(model, [*asked, answer, result])
            back = server.requests[1].body["messages"][1]["content"]
            assert comparable(back) == comparable(wire_blocks(THOUGHT))
            assert back[0]["signature"]

        colour.run(talk)


# ---- failures ----


@both_drivers
def test_a_limit_says_when_to_ask_again(colour: Colour) -> None:
    limit = recording("anthropic/messages.error-429.claude-3-7-sonnet-20250219.15b3d4")
    with replaying(limit) as server:
        model = model_for(limit, server.url)

        def ask(doors: Any) -> None:
            with pytest.raises(RateLimitError) as caught:
                doors.invoke(model, "Hi")
            error = caught.value
            assert (error.retry_after, error.status, error.code) == (65.0, 429, "rate_limit_error")
            assert type(error.__cause__).__module__.startswith("anthropic")

        colour.run(ask)


def test_a_prompt_that_is_too_long() -> None:
    said = "prompt is too long: 210000 tokens > 200000 maximum"
    told = {"type": "error", "error": {"type": "invalid_request_error", "message": said}}
    refusal = recording("anthropic/messages.error-400")
    long = replace(refusal, body=json.dumps(told).encode())
    with replaying(long) as server:
        model = model_for(long, server.url)
        with pytest.raises(ContextLengthError) as caught:
            model.invoke("Hi")
        model.close()
    assert "200000 maximum" in str(caught.value)


# ---- counting ----


def counted(count: int) -> Exchange:
    told = json.dumps({"input_tokens": count}).encode()
    return replace(WHOLE, body=told)


def test_anthropic_counts_the_tokens_of_a_conversation() -> None:
    with replaying({"/v1/messages/count_tokens": counted(42)}) as server:
        model = model_for(WHOLE, server.url, temperature=0.5, thinking={"type": "adaptive"})
        conversation = [("system", "S"), ("human", "Hi")]
        assert model.get_num_tokens_from_messages(conversation, tools=[weather]) == 42
        assert model.get_num_tokens_from_messages(conversation, [SEARCH]) == 42
        model.close()
        first, second = (request.body for request in server.requests)
    assert [t["name"] for t in first["tools"]] == ["weather"]
    assert second["tools"] == [SEARCH]
    del first["tools"]
    assert first == {
        "model": "claude-sonnet-4-6",
        "messages": [{"role": "user", "content": "Hi"}],
        "system": "S",
        "thinking": {"type": "adaptive"},
    }


def test_a_failure_to_count_is_ours() -> None:
    refused = recording("anthropic/messages.error-401.claude-sonnet-4-0")
    with replaying(refused) as server:
        model = model_for(refused, server.url)
        with pytest.raises(AuthenticationError, match="invalid x-api-key") as caught:
            model.get_num_tokens_from_messages("Hi")
        model.close()
    assert KEY not in str(caught.value)
    assert caught.value.request_id == "req_011CWdN9pQjsMGioSTihLhYk"


# ---- closing ----


def test_connections_end_with_their_model() -> None:
    with replaying(TEXT, keep_alive=True) as server:
        model = model_for(TEXT, server.url)
        for _ in range(2):
            assert isinstance(model.invoke("Hi", stream=True), AIMessage)
        assert server.connections == 1
        model.close()

        async def talk() -> None:
            assert await model.ainvoke("Hi", stream=True)
            await model.aclose()

        asyncio.run(talk())
        assert server.connections == 2
