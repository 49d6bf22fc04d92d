"""What handlers are told of an answer: `llm_output` and `generation_info`, as users of LangChain
read them, of every provider, however the model is asked; and that the message does not depend on
who listens.
"""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler as TheirHandler

from headrace.callbacks import BaseCallbackHandler
from headrace.errors import StreamError
from headrace.merge import merge
from headrace.messages import AIMessageChunk, message_chunk_to_message
from laws.colours import ASYNC, SYNC, Colour, both_drivers
from providers.expected import expect, unknowable
from providers.models import model_for
from providers.replay import Exchange, recording, recordings, replaying
from providers.replay_colours import run
from providers.replay_made import made_stream
from providers.test_differential_openai import _theirs

ANSWERS = [
    exchange.as_sse()
    for exchange in recordings()
    if exchange.kind not in ("error", "embeddings")
    and not unknowable(exchange, "everything")
    and expect(exchange).error is None
]


def _one_of_each() -> list[Exchange]:
    """An answer of each provider and API, whole and as a stream, that tells of usage."""
    found = {
        (exchange.provider, exchange.api, exchange.is_stream): exchange
        for exchange in ANSWERS
        if expect(exchange).usage
    }
    return list(found.values())


every_answer = pytest.mark.parametrize("exchange", ANSWERS, ids=repr)
one_of_each = pytest.mark.parametrize("exchange", _one_of_each(), ids=repr)


class Told(BaseCallbackHandler):
    """Keeps the results that it is told of."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.chunks: list[Any] = []

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, **told: Any) -> None:
        self.chunks.append(chunk)

    def on_llm_end(self, response: Any, **told: Any) -> None:
        self.results.append(response)

    @property
    def one(self) -> Any:
        (result,) = self.results
        return result


class TheirTold(TheirHandler):
    """The same for LangChain."""

    one: Any = None

    def on_llm_end(self, response: Any, **told: Any) -> None:
        self.one = response


def _check(result: Any, message: Any) -> None:
    """What a handler is told agrees with the message."""
    usage, known = message.usage_metadata, result.llm_output
    tokens = known["token_usage"]
    if usage is None:
        assert tokens == {}
    else:
        counts = [tokens[f"{name}_tokens"] for name in ("prompt", "completion", "total")]
        assert counts == [usage[f"{name}_tokens"] for name in ("input", "output", "total")]
        cached = (usage.get("input_token_details") or {}).get("cache_read")
        assert tokens.get("prompt_tokens_details", {}).get("cached_tokens") == cached
        thought = (usage.get("output_token_details") or {}).get("reasoning")
        assert tokens.get("completion_tokens_details", {}).get("reasoning_tokens") == thought
    facts = message.response_metadata
    assert known["model_provider"] == facts["model_provider"]
    generation = result.generations[0][0]
    assert known.get("model_name") == facts.get("model_name")
    for name in ("model_name", "finish_reason", "logprobs"):
        assert generation.generation_info.get(name) == facts.get(name)
    told = generation.message  # of a stream the sum of its chunks, as LangChain tells it
    if isinstance(told, AIMessageChunk):
        told = message_chunk_to_message(told)
    assert told == message


@every_answer
def test_a_handler_is_told_of_tokens_model_and_finish_reason(exchange: Exchange) -> None:
    said = expect(exchange)
    with replaying(exchange) as server:
        model, told = model_for(exchange, server.url), Told()
        chunks = list(model.stream("Hi", {"callbacks": [told]}))
        model.close()
    message = message_chunk_to_message(merge(chunks))
    _check(told.one, message)
    infos = [chunk.generation_info for chunk in told.chunks]
    assert infos[:-1] == [None] * (len(chunks) - 1)
    assert infos[-1] == told.one.generations[0][0].generation_info
    if said.usage is not None and not unknowable(exchange, "usage"):
        tokens = told.one.llm_output["token_usage"]
        counted = (tokens["prompt_tokens"], tokens["completion_tokens"])
        assert counted == (said.usage.input, said.usage.output)


@both_drivers
@one_of_each
def test_however_the_model_is_asked(exchange: Exchange, colour: Colour) -> None:
    """Invoke, stream, a batch, `generate`; the message is the same with a handler and without, and
    the fold of the stream is what `invoke` gives of it."""
    with replaying(exchange) as server:
        model = model_for(exchange, server.url, streaming=exchange.is_stream)

        def body(doors: Any) -> None:
            told = Told()
            heard = {"callbacks": [told]}
            message = doors.invoke(model, "Hi", heard)
            folded = message_chunk_to_message(merge(doors.stream(model, "Hi", heard)))
            (in_batch,) = doors.batch(model, ["Hi"], heard)
            plain = doors.invoke(model, "Hi")
            for each in (folded, in_batch, plain):
                assert _said(each) == _said(message)
            for result, answer in zip(told.results, (message, folded, in_batch), strict=True):
                _check(result, answer)
            twice = _generate(doors, model, ["Hi", "Ho"])
            usage = message.usage_metadata
            tokens = twice.llm_output["token_usage"]
            assert tokens["total_tokens"] == 2 * usage["total_tokens"]
            assert twice.llm_output["model_name"] == message.response_metadata["model_name"]
            assert all(g[0].generation_info["finish_reason"] for g in twice.generations)

        run(colour, model, body)


def _generate(doors: Any, model: Any, asked: list[str]) -> Any:
    if doors.asynchronous:
        return doors.wait(model.agenerate(asked))
    return model.generate(asked)


def _said(message: Any) -> Any:
    """What a message says, without ids: some are made up here, and differ from call to call."""
    calls = [(call["name"], call["args"]) for call in message.tool_calls]
    return type(message), message.text, calls, message.usage_metadata, message.response_metadata


def _openais() -> list[Exchange]:
    """Those with one candidate: of streams with several langchain-openai makes one text."""
    ours = [e for e in ANSWERS if (e.provider, e.api) == ("openai", "chat.completions")]
    return [e for e in ours if e.request_body.get("n", 1) == 1]


@pytest.mark.parametrize("exchange", _openais(), ids=repr)
def test_langchain_openai_tells_no_other(exchange: Exchange) -> None:
    """All that both tell is told alike; of streams langchain-openai tells no tokens."""
    with replaying(exchange) as server:
        model, told, theirs = model_for(exchange, server.url), Told(), TheirTold()
        other, close = _theirs(exchange, server.url)
        for each, handler in ((model, told), (other, theirs)):
            if exchange.is_stream:
                list(each.stream("Hi", {"callbacks": [handler]}))
            else:
                each.invoke("Hi", {"callbacks": [handler]})
        model.close()
        close()
    pairs = [(_info(told), _info(theirs))]
    if theirs.one.llm_output:
        pairs.append((told.one.llm_output, theirs.one.llm_output))
        _alike(told.one.llm_output["token_usage"], theirs.one.llm_output["token_usage"])
    else:
        assert exchange.is_stream
    for mine, his in pairs:
        for name in ("model_name", "finish_reason", "service_tier", "system_fingerprint"):
            if his.get(name):
                assert mine[name] == his[name]
        logprobs = his.get("logprobs") or {}
        assert (mine.get("logprobs") or {}).get("content") == logprobs.get("content")


def _info(told: Any) -> Any:
    return told.one.generations[0][0].generation_info


def _alike(mine: Any, his: Any) -> None:
    """Each count of ours is theirs."""
    assert mine["total_tokens"] == his["total_tokens"]
    for name, value in mine.items():
        if isinstance(value, dict):
            assert {k: (his[name] or {}).get(k) for k in value} == value
        else:
            assert his[name] == value


@pytest.mark.parametrize("colour", [SYNC, ASYNC], ids=str)
def test_of_a_stream_that_breaks_what_had_come_is_told(colour: Colour) -> None:
    exchange = recording("openai/chat-completions.text_stream.gpt-5-4.6f81a4")
    events = [
        {"id": "1", "model": "m-1", "choices": [{"index": 0, "delta": {"content": "Hel"}}]},
        {"error": {"message": "no more", "type": "server_error"}},
    ]
    errors: list[Any] = []

    class Failed(BaseCallbackHandler):
        def on_llm_error(self, error: Any, **told: Any) -> None:
            errors.append((error, told["response"]))

    with replaying(made_stream(*events)) as server:
        model = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            with pytest.raises(StreamError):
                doors.stream(model, "Hi", {"callbacks": [Failed()]})

        run(colour, model, body)
    ((_, response),) = errors
    assert response.generations[0][0].text == "Hel"
