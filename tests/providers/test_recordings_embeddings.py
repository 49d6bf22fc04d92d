"""Every recorded embedding and its error, through our classes; the vectors are read a second time.

OpenAI's come as numbers or as base64 of little-endian floats of 4 bytes; Cohere's by type, Google's
as `values`.
"""

from __future__ import annotations

import asyncio
import json
import struct
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from headrace.errors import ProviderError
from providers.expected_errors import error_of_answer
from providers.models import embeddings_for
from providers.replay import Exchange, Request, recordings, replaying
from providers.replay_clients import path_end

EMBEDDINGS = [e for e in recordings() if "mbed" in e.api]
ANSWERS = [pytest.param(e, id=e.name) for e in EMBEDDINGS if e.kind == "embeddings"]
ERRORS = [pytest.param(e, id=e.name) for e in EMBEDDINGS if e.kind == "error"]


def _vectors(exchange: Exchange) -> list[list[float]]:
    body = json.loads(exchange.body)
    if exchange.api == "v2.embed":
        floats: list[list[float]] = body["embeddings"]["float"]
        return floats
    if "embeddings" in body:
        return [each["values"] for each in body["embeddings"]]
    data = sorted(body["data"], key=lambda each: each["index"])
    return [_numbers(each["embedding"]) for each in data]


def _numbers(told: Any) -> list[float]:
    if isinstance(told, str):
        raw = b64decode(told)
        return list(struct.unpack(f"<{len(raw) // 4}f", raw))
    return list(told)


def _texts(exchange: Exchange) -> list[str]:
    body = exchange.request_body
    if "requests" in body:
        return [each["content"]["parts"][0]["text"] for each in body["requests"]]
    told = body.get("texts") or body["input"]
    return [told] if isinstance(told, str) else told


def _model(exchange: Exchange, url: str) -> Any:
    given = {key: exchange.request_body[key] for key in ("dimensions",)
             if key in exchange.request_body}  # fmt: skip
    return embeddings_for(exchange, url, **given)


def _both(model: Any, ask: Callable[[], Any], aask: Callable[[], Awaitable[Any]]) -> list[Any]:
    """What both colours give, or raise."""

    async def asking() -> Any:
        try:
            return await aask()
        finally:
            await model.aclose()

    found = []
    for call in (ask, lambda: asyncio.run(asking())):
        try:
            found.append(call())
        except ProviderError as error:
            found.append(error)
    model.close()
    return found


@pytest.mark.parametrize("exchange", ANSWERS)
def test_vectors_are_what_the_body_says(exchange: Exchange) -> None:
    texts, expected = _texts(exchange), _vectors(exchange)
    with replaying(exchange) as server:
        model = _model(exchange, server.url)
        for found in _both(
            model, lambda: model.embed_documents(texts), lambda: model.aembed_documents(texts)
        ):
            assert not isinstance(found, ProviderError), found
            assert len(found) == len(texts)
            for vector, wanted in zip(found, expected, strict=True):
                assert vector == pytest.approx(wanted, rel=1e-6, abs=1e-9)
        _asked_for(server.requests[0], exchange)


def _asked_for(sent: Request, exchange: Exchange) -> None:
    """The request says what the recorded one says; how the numbers are written is the SDK's affair,
    and what the texts are for is said where the vendor wants to know."""
    body, recorded = sent.body, exchange.request_body
    assert sent.path.endswith(path_end(exchange))
    if "requests" in recorded:
        told = [each["content"]["parts"] for each in body["requests"]]
        assert told == [each["content"]["parts"] for each in recorded["requests"]]
        return
    assert (body.get("texts") or body["input"]) == _texts(exchange)
    for name in ("model", "dimensions", "input_type", "user"):
        assert body.get(name) == recorded.get(name), name


@pytest.mark.parametrize("exchange", [p for p in ANSWERS if len(_texts(p.values[0])) == 1])  # type: ignore[arg-type]
def test_a_question_is_embedded_alone(exchange: Exchange) -> None:
    (text,), (expected,) = _texts(exchange), _vectors(exchange)
    with replaying(exchange) as server:
        model = _model(exchange, server.url)
        for found in _both(
            model, lambda: model.embed_query(text), lambda: model.aembed_query(text)
        ):
            assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("exchange", ERRORS)
def test_errors(exchange: Exchange) -> None:
    said, texts = error_of_answer(exchange), _texts(exchange)
    with replaying(exchange) as server:
        model = _model(exchange, server.url)
        for error in _both(
            model, lambda: model.embed_documents(texts), lambda: model.aembed_documents(texts)
        ):
            assert isinstance(error, ProviderError)
            assert (type(error).__name__, error.status) == (said.name, said.status)
            assert error.provider_message == said.message
            assert error.__cause__ is not None
        if len(texts) == 1:  # those that are too many are asked in several requests
            _asked_for(server.requests[0], exchange)
