"""The recorded exchanges as values, and the ways of cutting their bodies into pieces.

    recordings("groq", kind="error_stream") -> [Exchange, ...]     in the order of their names
    event_ends(exchange)                    -> [n, ...]            bytes up to the end of each event
    pieces(exchange, body, cut)             -> [bytes, ...]        joined, they are the body

An event is a server-sent one, or an element of a JSON array; a plain body is one event.

`cut` says where a body is cut: "whole"; "events" (at their ends); "recorded" (the pieces that the
recorder received, at events where it kept none); a number (every so many bytes); ("random", seed).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recordings"
Cut = str | int | tuple[str, int]


@dataclass(frozen=True, eq=False)
class Exchange:
    """One request and its answer, as they were recorded."""

    name: str  # e.g. "groq/chat-completions.text.llama-3-1-8b.0a1b2c"
    provider: str
    api: str
    model: str
    kind: str
    features: frozenset[str]
    request: dict[str, Any]  # method, path, query, body
    status: int
    headers: dict[str, str]
    body: bytes
    chunk_lengths: tuple[int, ...] | None
    source: dict[str, Any]

    def __repr__(self) -> str:
        return self.name

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @cached_property
    def is_stream(self) -> bool:
        """Whether the answer came as a stream: events or the elements of a JSON array."""
        if self.status >= 400:
            return False
        return self.content_type.startswith("text/event-stream") or self.framing == "json_array"

    @property
    def framing(self) -> str:
        """ "sse", "json_array" or "plain"."""
        if "framing:json_array" in self.features:
            return "json_array"
        sse = self.content_type.startswith("text/event-stream") and self.status < 400
        return "sse" if sse else "plain"

    @property
    def request_body(self) -> dict[str, Any]:
        body: dict[str, Any] = self.request["body"]
        return body

    def as_sse(self) -> Exchange:
        """The elements of a JSON array as Google frames them with `alt=sse`; others: itself.

        google-genai always asks for `alt=sse`, so that it never sees an array.
        """
        if self.framing != "json_array":
            return self
        events = [f"data: {element}\r\n\r\n" for element in _lines_of_elements(self.body)]
        return replace(
            self,
            features=self.features - {"framing:json_array"} | {"framing:sse", "reframed"},
            headers={**self.headers, "content-type": "text/event-stream"},
            body="".join(events).encode(),
            chunk_lengths=None,
        )


def _lines_of_elements(body: bytes) -> list[str]:
    return [json.dumps(element, ensure_ascii=False) for element in json.loads(body)]


def _read(path: Path) -> Exchange:
    record = json.loads(path.read_text(encoding="utf-8"))
    answer = record["response"]
    lengths = answer.get("chunk_lengths")
    return Exchange(
        name=f"{record['provider']}/{path.stem}",
        provider=record["provider"],
        api=record["api"],
        model=record["model"],
        kind=record["kind"],
        features=frozenset(record["features"]),
        request=record["request"],
        status=answer["status"],
        headers=dict(answer["headers"]),
        body=answer["body"].encode("utf-8"),
        chunk_lengths=tuple(lengths) if lengths else None,
        source=record["source"],
    )


@cache
def _all() -> tuple[Exchange, ...]:
    return tuple(_read(path) for path in sorted(FOLDER.glob("*/*.json")))


def recordings(
    provider: str | None = None, api: str | None = None, kind: str | None = None
) -> list[Exchange]:
    """The recorded exchanges, in the order of their names; each argument narrows them."""
    return [
        exchange
        for exchange in _all()
        if (provider is None or exchange.provider == provider)
        and (api is None or exchange.api == api)
        and (kind is None or exchange.kind == kind)
    ]


def recording(name: str) -> Exchange:
    """The one exchange whose name contains this, e.g. `"groq/chat-completions.error-401"`."""
    (found,) = [exchange for exchange in _all() if name in exchange.name]
    return found


# ---- where a body can be cut --------------------------------------------------------------------


@cache
def event_ends(exchange: Exchange) -> tuple[int, ...]:
    """How many bytes of the body have come when each event is whole."""
    if exchange.framing == "sse":
        *ends, last = _ends_of_sse(exchange.body)
        # Blank lines after the last event are its own.
        return (*ends, len(exchange.body) if not exchange.body[last:].strip() else last)
    if exchange.framing == "json_array":
        return tuple(_ends_of_elements(exchange.body.decode()))
    return (len(exchange.body),)


def _ends_of_sse(body: bytes) -> Iterator[int]:
    at, data = 0, False
    for line in body.splitlines(keepends=True):
        at += len(line)
        if line.strip(b"\r\n"):
            data = True
        elif data:
            yield at
            data = False
    if data:
        yield at


def _ends_of_elements(text: str) -> Iterator[int]:
    decoder, at = json.JSONDecoder(), text.index("[") + 1
    while True:
        while text[at] in " \r\n,":
            at += 1
        if text[at] == "]":
            return
        _, at = decoder.raw_decode(text, at)
        yield len(text[:at].encode())


def pieces(exchange: Exchange, body: bytes, cut: Cut) -> list[bytes]:
    """The body, which may be a beginning of the exchange's, cut as said."""
    match cut:
        case "whole":
            ends: Sequence[int] = []
        case "events":
            ends = event_ends(exchange)
        case "recorded":
            lengths = exchange.chunk_lengths
            ends = tuple(accumulate(lengths)) if lengths else event_ends(exchange)
        case int():
            ends = range(cut, len(body), cut)
        case ("random", int(seed)):
            ends = _random_ends(len(body), seed)
        case _:
            raise ValueError(f"unknown cut {cut!r}")
    inside = [end for end in ends if 0 < end < len(body)]
    return [body[start:end] for start, end in pairwise([0, *inside, len(body)]) if end > start]


def _random_ends(length: int, seed: int) -> list[int]:
    """Places from a generator of their own: mostly close together, sometimes far apart."""
    choose, ends, at = random.Random(seed), [], 0
    while at < length:
        at += choose.choice((1, 2, 3, 7, 19, 64, 300, 1500))
        ends.append(at)
    return ends
