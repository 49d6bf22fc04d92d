"""Restarts and continuations with the real SDKs: recorded streams that break off on loopback, then
come whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from headrace.messages import AIMessageChunk
from headrace.resilience import Reset
from laws.colours import ASYNC, SYNC, both_drivers
from providers.models import model_for
from providers.replay import Exchange, replaying
from providers.replay_colours import run
from providers.replay_exchanges import event_ends
from providers.test_cuts import STREAMS, one_per_api
from providers.test_recordings_answers import folded

AGAIN: dict[str, Any] = {"wait_exponential_jitter": False, "stop_after_attempt": 2}
# Anthropic's SDK names the end of life of models that were recorded
pytestmark = pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning")
one_of_each = pytest.mark.parametrize("exchange", one_per_api(), ids=repr)


def half(exchange: Exchange) -> Exchange:
    """The same, properly closed after half of its events."""
    ends = event_ends(exchange)
    return replace(exchange, body=exchange.body[: ends[len(ends) // 2 - 1]], chunk_lengths=None)


@one_of_each
@pytest.mark.parametrize(("colour", "resets"), [(SYNC, True), (ASYNC, False)], ids=repr)
def test_a_stream_that_broke_off_starts_over(exchange, colour, resets):
    with replaying([half(exchange), exchange]) as server:
        model = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            server.play([half(exchange), exchange])
            policy = model.with_retry(when="restart", resets=resets, **AGAIN)
            chunks = doors.stream(policy, "What?")
            places = [n for n, chunk in enumerate(chunks) if isinstance(chunk, Reset)]
            assert len(places) == resets
            server.play(exchange)
            whole = folded(doors.stream(model, "What?"))
            assert folded(chunks[places[0] + 1 if places else 0 :]).text == whole.text
            if places:
                assert chunks[places[0]].discarded == places[0] > 0

        run(colour, model, body)


def takers() -> list[Exchange]:
    """A stream of text alone of each provider whose model takes a prefix."""
    found: dict[str, Exchange] = {}
    for exchange in STREAMS:
        plain = exchange.kind == "text_stream" and b"thinking" not in exchange.body
        if not plain or len(event_ends(exchange)) < 9 or exchange.provider in found:
            continue
        if model_for(exchange, "http://localhost").takes_prefix:
            found[exchange.provider] = exchange
    return list(found.values())


TAKERS = takers()


@pytest.mark.parametrize("exchange", TAKERS, ids=repr)
@both_drivers
def test_one_that_takes_a_prefix_goes_on(exchange, colour):
    """The recording says all again. Mistral's does so in life, and its reader leaves that out; what
    another says after a prefix is never cut."""
    with replaying(exchange) as server:
        model = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            server.play(exchange)
            whole = folded(doors.stream(model, "What?"))
            server.play([half(exchange), exchange])
            chunks = doors.stream(model.with_retry(when="continue", **AGAIN), "What?")
            assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
            before = folded(chunks).text.removesuffix(whole.text)
            assert model.repeats_prefix is False
            assert folded(chunks).text == before + whole.text
            assert bool(before) == (exchange.provider != "mistral")
            assert whole.text.startswith(before)
            said = str(server.requests[1].body)
            assert whole.text[:20] in said

        run(colour, model, body)


def test_there_are_models_that_take_a_prefix():
    assert {"anthropic", "mistral"} <= {exchange.provider for exchange in TAKERS}
