"""A stream's message has one id, the same in all chunks and in their sum, whatever the vendor says:
one that comes late, is another one later, or never comes. Every recorded stream is read so.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from headrace.merge import merge
from laws.colours import ASYNC, SYNC, Colour
from providers.expected import documents, expect, unknowable
from providers.models import model_for
from providers.replay import Exchange, recordings, replaying
from providers.replay_colours import run

STREAMS = [
    exchange.as_sse()
    for exchange in recordings()
    if exchange.is_stream and not unknowable(exchange, "everything") and not expect(exchange).error
]
ID = {"id", "responseId", "generation_id"}  # the message's id, by the names that vendors use
INSIDE = ("message", "response")  # where Anthropic and Responses have it

Change = Callable[[int], "str | None"]  # from an event's number to the id that it is to have


def _late(number: int) -> str | None:
    return None if number < 4 else "late"


def _changing(number: int) -> str | None:
    return f"number-{number}"


def _never(number: int) -> str | None:
    return None


def _with_ids(exchange: Exchange, change: Change) -> Exchange:
    """The stream with other ids of its message."""
    lines = []
    for number, (name, data) in enumerate(documents(exchange)):
        told = copy.deepcopy(data)
        for holder in (told, *(told.get(key) for key in INSIDE if isinstance(told, dict))):
            if isinstance(holder, dict):
                _rename(holder, change(number))
        head = f"event: {name}\n" if name else ""
        lines.append(f"{head}data: {told if isinstance(told, str) else json.dumps(told)}\n\n")
    return replace(exchange, body="".join(lines).encode(), chunk_lengths=None)


def _rename(holder: dict[str, Any], ident: str | None) -> None:
    for key in ID & holder.keys():
        if ident is None:
            del holder[key]
        else:
            holder[key] = ident


def _check(
    exchange: Exchange, colour: Colour, change: Change, first: Callable[[str], bool]
) -> None:
    with replaying(_with_ids(exchange, change)) as server:
        model = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            chunks = doors.stream(model, "Hi")
            (ident,) = {chunk.id for chunk in chunks}
            assert first(ident), ident
            assert merge(chunks).id == ident
            assert merge(chunks).text == expect(exchange).text

        run(colour, model, body)


every_stream = pytest.mark.parametrize("exchange", STREAMS, ids=repr)


@every_stream
def test_an_id_that_changes(exchange: Exchange) -> None:
    _check(exchange, SYNC, _changing, lambda ident: ident.startswith(("number-", "run-")))


@every_stream
def test_an_id_that_comes_late(exchange: Exchange) -> None:
    _check(exchange, SYNC, _late, lambda ident: ident == "late" or ident.startswith("run-"))


@every_stream
def test_an_id_that_never_comes(exchange: Exchange) -> None:
    _check(exchange, ASYNC, _never, lambda ident: ident.startswith("run-"))


def test_the_ids_are_changed_here() -> None:
    """In each provider's streams there is an id to change."""
    for provider in {exchange.provider for exchange in STREAMS}:
        (exchange, *_) = [e for e in STREAMS if e.provider == provider]
        assert b"number-" in _with_ids(exchange, _changing).body, provider
