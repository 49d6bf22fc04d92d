"""Groq: the same bytes, read by langchain-groq and by Headrace, say the same.

Where they do not, `KNOWN` says why, and `docs/differences.md` has a row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_groq import ChatGroq

from providers.differential import differing
from providers.models import KEY
from providers.replay import Exchange, recordings
from providers.replay_clients import base_url

ANSWERS = [e for e in recordings("groq") if not e.kind.startswith("error")]

# a part of an exchange's name -> what is said otherwise, and why
KNOWN: dict[str, set[str]] = {
    # langchain-groq puts all thoughts of a stream before what Groq's own tools did; the model named
    # in the first chunk is an alias, later ones name the model itself
    "reasoning_stream.compound-beta": {"model_name", "kinds"},
}


def _theirs(exchange: Exchange, url: str) -> tuple[Any, Callable[[], None]]:
    settings: dict[str, Any] = {"model": exchange.model or "a-model", "api_key": KEY}
    model: Any = ChatGroq(base_url=base_url("groq", url), max_retries=0, **settings)

    def close() -> None:
        model.client._client.close()

    return model, close


@pytest.mark.parametrize("exchange", ANSWERS, ids=repr)
def test_both_say_the_same(exchange: Exchange) -> None:
    known = [names for part, names in KNOWN.items() if part in exchange.name]
    found = differing(exchange, _theirs)
    assert set(found) == set().union(*known), found
