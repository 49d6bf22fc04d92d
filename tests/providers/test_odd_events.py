"""Answers that are not as their vendors document: whatever lacks, is null or has another type, a
reader says what it can, or raises a `ProviderError`; nothing else, and nothing that cannot be added
up or read afterwards.

Each recorded answer is read again and again, with one value of one event changed at random.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.errors import ProviderError
from headrace.merge import merge
from headrace.messages import message_chunk_to_message
from headrace.providers._base.frames import DONE
from headrace.providers._base.model import ChatCall
from providers.expected import documents
from providers.models import model_for
from providers.replay import Exchange, recordings

TIMES = 12  # that each recording is read
ODD: tuple[Any, ...] = (
    None, 7, -1.5, True, "odd", "", [], {}, ["odd"], [{}], [7], [None], {"odd": 1}, {"type": 7},
)  # fmt: skip

Place = tuple[Any, str | int]


def places(value: Any) -> Iterator[Place]:
    """Everything that stands in an event, as its holder and its key there."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield value, key
        yield from places(inner)


def changed(event: Any, chance: random.Random) -> Any:
    """A copy of an event with one value changed, or left out."""
    copy = json.loads(json.dumps(event))
    found = list(places(copy))
    if not found:
        return copy
    holder, key = chance.choice(found)
    if chance.random() < 0.3:
        del holder[key]
    else:
        holder[key] = chance.choice(ODD)
    return copy


def events_of(exchange: Exchange) -> list[Any]:
    return [data if isinstance(data, dict) else DONE for _, data in documents(exchange)]


ANSWERS = [
    pytest.param(exchange.as_sse(), id=exchange.name)
    for exchange in recordings()
    if exchange.kind not in ("error", "embeddings") and exchange.status < 400
]


def read(model: Any, exchange: Exchange, events: list[Any]) -> None:
    """Read an answer as a model does; what it gave can be added up and read."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "body": {}}
    call = ChatCall(asked, model._reader(asked))
    chunks: list[Any] = []
    try:
        if exchange.is_stream:
            for event in events:
                chunks += model._read(event, call)
            chunks += model._ended(call)
        else:
            messages = [each.message for each in model._result_of(events[0], call).generations]
            assert all(message.content_blocks is not None for message in messages)
    except ProviderError as error:
        assert str(error)
    if chunks:
        message = message_chunk_to_message(merge(chunks))
        assert isinstance(message.text, str)
        assert isinstance(message.content_blocks, list)
        json.dumps(message.content_blocks)


@pytest.mark.parametrize("exchange", ANSWERS)
def test_an_answer_that_is_not_as_documented_is_read_or_refused(exchange: Exchange) -> None:
    model, events = model_for(exchange, "http://127.0.0.1:9"), events_of(exchange)
    for seed in range(TIMES):
        chance = random.Random(f"{exchange.name} {seed}")
        at = chance.choice((0, len(events) - 1, chance.randrange(len(events))))
        odd = [*events[:at], changed(events[at], chance), *events[at + 1 :]]
        try:
            read(model, exchange, odd)
        except Exception as error:
            error.add_note(f"seed {seed}, event {at}: {odd[at]!r:.2000}")
            raise
