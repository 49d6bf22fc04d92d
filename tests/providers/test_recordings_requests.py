"""What our classes send says the same as the recorded request, and sends back what it must.

The recorded request is read as a user would have made it (`replay_asked.py`), sent by our class,
and what arrives is compared with the recording (`replay_says.py`): everything that the recording
shows must be there, and nothing else but what is in `MORE`. Then each answer is sent back with a
question: whatever only the vendor can read must be in what arrives.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from headrace.errors import ProviderError
from headrace.messages import HumanMessage, ToolMessage
from providers.expected import expect, unknowable
from providers.models import model_for
from providers.replay import Exchange, Request, recordings, replaying
from providers.replay_asked import asked
from providers.replay_clients import path_end
from providers.replay_says import says

# What may be sent though the recording does not show it: what the library asks for by itself.
# Azure's deployment is in the path, its name in the body too does no harm.
MORE = {"stream_options", "stream", "max_tokens", "model"}
# What the library decides by itself, whatever the recording shows.
OWN = {"stream", "stream_options"}


CHATS = [
    pytest.param(exchange.as_sse(), id=exchange.name)
    for exchange in recordings()
    if "embed" not in exchange.api.lower() and not unknowable(exchange, "request")
]


def _sent(model: Any, messages: list[Any], exchange: Exchange) -> None:
    """Ask for what the exchange answers; what comes of it is another test's affair."""
    with suppress(ProviderError):
        if "stream" in exchange.api or exchange.request_body.get("stream"):
            for _ in model.stream(messages):
                continue
        else:
            model.invoke(messages)


def _unlike(sent: Request, exchange: Exchange) -> list[str]:
    ours, theirs = says(exchange.api, sent.body), says(exchange.api, exchange.request_body)
    keys = (ours.keys() | theirs.keys()) - OWN
    return [
        f"{key}: sent {ours.get(key)!r}, recorded {theirs.get(key)!r}"
        for key in sorted(keys)
        if ours.get(key) != theirs.get(key) and not (key in MORE and key not in theirs)
    ]


@pytest.mark.parametrize("exchange", CHATS)
def test_the_request_says_what_the_recorded_one_says(exchange: Exchange) -> None:
    wanted = asked(exchange)
    with replaying(exchange) as server:
        model = model_for(exchange, server.url)
        _sent(wanted.bound(model), wanted.messages, exchange)
        model.close()
        sent = server.requests[0]
    assert sent.method == "POST"
    if exchange.provider != "azure":
        assert sent.path.endswith(path_end(exchange))
    assert "no-key" not in sent.path and not any("no-key" in v for v in sent.query.values())
    wrong = _unlike(sent, exchange)
    assert not wrong, "\n".join(wrong)


TO_BE_KEPT = [
    pytest.param(exchange.as_sse(), id=exchange.name)
    for exchange in recordings()
    if exchange.kind not in ("error", "embeddings")
    and exchange.api.startswith(("messages", "responses", "gemini", "vertex"))
    and not unknowable(exchange, "everything")
    and expect(exchange).error is None
    and (expect(exchange).kept or expect(exchange).calls)
    # OpenAI refuses thoughts that nothing follows: such an answer, a cut one, is not sent back.
    and not (exchange.api == "responses" and expect(exchange).empty)
]


@pytest.mark.parametrize("exchange", TO_BE_KEPT)
def test_an_answer_is_sent_back_with_all_that_its_vendor_needs(exchange: Exchange) -> None:
    said = expect(exchange)
    with replaying(exchange) as server:
        model = model_for(exchange, server.url)
        question = HumanMessage("What?")
        answer = model.invoke([question]) if not exchange.is_stream else _streamed(model, question)
        results = [ToolMessage("It is so.", tool_call_id=c["id"]) for c in answer.tool_calls]
        server.play(exchange)
        _sent(model, [question, answer, *results, HumanMessage("And?")], exchange)
        model.close()
        body = server.requests[0].body
    text = "\n".join(_strings(body))
    for what in said.kept:
        assert what in text, f"{what[:60]!r} was not sent back"
    for part in answer.content if isinstance(answer.content, list) else [answer.content]:
        words = part if isinstance(part, str) else part.get("text", "")
        assert words in text, f"{words[:60]!r} was not sent back"
    for call in said.calls:
        assert call.name in text
        assert call.id is None or call.id in text


def _streamed(model: Any, question: HumanMessage) -> Any:
    whole = None
    for chunk in model.stream([question]):
        whole = chunk if whole is None else whole + chunk
    return whole


def _strings(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [text for value in node.values() for text in _strings(value)]
    if isinstance(node, list):
        return [text for value in node for text in _strings(value)]
    return [node if isinstance(node, str) else json.dumps(node)]
