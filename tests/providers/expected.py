"""What a recorded answer says: a second reading of its body, independent of the library's.

    expect(exchange)             what the whole answer says
    expect(exchange, events=k)   what its first k events say
    ends(exchange)               (n, m): with fewer than n events the stream is incomplete, from
                                 m events on it is complete; between them the message is whole, but
                                 the stream has not said that it is over (its usage may be missing)

Nothing of `headrace` is imported here. The rules are the vendors' own, see the readers; tokens are
counted as LangChain counts them: `input` includes what was read from or written to a cache,
`output` includes reasoning. What cannot be known from a recording is in `UNKNOWABLE`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from providers.expected_errors import ExpectedError, error_of_answer
from providers.replay_exchanges import Exchange, pieces

__all__ = ["UNKNOWABLE", "Expected", "Usage", "documents", "ends", "expect", "unknowable"]


@dataclass
class Usage:
    """Tokens."""

    input: int = 0
    output: int = 0
    total: int = 0
    cache_read: int = 0
    cache_creation: int = 0
    reasoning: int = 0


@dataclass
class Call:
    """A tool call; `text` grows until it is whole."""

    name: str = ""
    id: str | None = None
    text: str = ""
    args: Any = None  # parsed; None where the text is no JSON
    free: bool = False  # the arguments are free text, of a "custom" tool


@dataclass
class Expected:
    """What an answer says, or what its beginning says."""

    text: str = ""
    reasoning: str = ""  # what the model shows of its thoughts
    plan: str = ""  # Cohere's `tool_plan`: neither text nor thoughts
    refusal: str = ""
    calls: list[Call] = field(default_factory=list)
    usage: Usage | None = None
    finish_reasons: set[str] = field(default_factory=set)  # how the vendor writes it: any of these
    models: set[str] = field(default_factory=set)  # any of these; none: the answer does not say
    ids: set[str] = field(default_factory=set)  # any of these
    citations: int = 0
    sources: int = 0  # the same, one that names several sources counted for each
    kept: list[str] = field(default_factory=list)  # strings that the message must hold somewhere
    others: dict[int, str] = field(default_factory=dict)  # the texts of further choices
    error: ExpectedError | None = None  # what the stream itself reports
    whole: bool = False  # the message has its end
    over: bool = False  # the stream has said that nothing more comes

    @property
    def empty(self) -> bool:
        """Whether nothing of a message has come."""
        return not (self.text or self.reasoning or self.plan or self.refusal or self.calls)


class Reader:
    """Reads the JSON documents of one answer; a vendor's says what they mean."""

    def __init__(self) -> None:
        self.said = Expected()

    def event(self, name: str | None, data: Any) -> None:
        """An event of a stream; `data` is text where it is no JSON."""
        raise NotImplementedError

    def answer(self, data: Any) -> None:
        """A plain answer."""
        raise NotImplementedError

    def finish(self) -> None:
        for call in self.said.calls:
            if call.free:
                continue
            try:
                call.args = json.loads(call.text or "{}")
            except ValueError:
                continue
            if call.args is None:  # "null", as Groq writes a call without arguments
                call.args = {}


# ---- from bytes to documents --------------------------------------------------------------------


@cache
def documents(exchange: Exchange) -> list[tuple[str | None, Any]]:
    """The events as (name, data); data is parsed, or text where it is no JSON."""
    framed = exchange.as_sse()
    if framed.framing == "plain":
        return [(None, _parsed(framed.body))]
    return [_event(piece) for piece in pieces(framed, framed.body, "events")]


def _event(piece: bytes) -> tuple[str | None, Any]:
    name, data = None, []
    for line in piece.splitlines():
        key, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if key == b"event":
            name = value.decode()
        elif key == b"data":
            data.append(value)
    return name, _parsed(b"\n".join(data))


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode()


# ---- reading ------------------------------------------------------------------------------------


def _reader(exchange: Exchange) -> Reader:
    from providers.expected_chat import ChatReader
    from providers.expected_others import CohereReader, GoogleReader, MessagesReader
    from providers.expected_responses import ResponsesReader

    readers: Mapping[str, type[Reader]] = {
        "chat.completions": ChatReader,
        "responses": ResponsesReader,
        "messages": MessagesReader,
        "v2.chat": CohereReader,
    }
    api = exchange.api
    return readers[api]() if api in readers else GoogleReader()


@lru_cache(256)
def expect(exchange: Exchange, events: int | None = None) -> Expected:
    """See the head of the file. An `error` of status 400 or more is in the result's `error`."""
    reader = _reader(exchange)
    if exchange.kind == "error":
        reader.said.error = error_of_answer(exchange)
        return reader.said
    if exchange.is_stream:
        for name, data in documents(exchange)[:events]:
            reader.event(name, data)
            if reader.said.error is not None:
                break
    else:
        reader.answer(documents(exchange)[0][1])
    reader.finish()
    return reader.said


@cache
def ends(exchange: Exchange) -> tuple[int, int]:
    """See the head of the file; for a stream that reports an error, (n, n) of that event."""
    reader, whole, over = _reader(exchange), 0, 0
    for count, (name, data) in enumerate(documents(exchange), 1):
        reader.event(name, data)
        if reader.said.error is not None:
            return count, count
        if reader.said.whole and not whole:
            whole = count
        if reader.said.over and not over:
            over = count
    count = len(documents(exchange))
    return whole or count, over or count


# ---- what cannot be known -----------------------------------------------------------------------

# (a part of the names of exchanges, what is not checked of them, why)
UNKNOWABLE: list[tuple[str, str, str]] = [
    (
        "vertex-generateContent.text.gemini-2-5-flash.a99e2c",
        "everything",
        "answers another transport (`$alt=json;enum-encoding=int`): google-genai never asks for "
        "enums as numbers and does not accept them",
    ),
    (
        "vertex-streamGenerateContent.text_stream.gemini-2-5-flash.ceb3c8",
        "everything",
        "the same",
    ),
    (
        "anthropic/messages.error-400",
        "request",
        "its messages are strings, which no user of the library can send; hence the error",
    ),
    (
        "cohere/v2-chat.error-400.command-r.8a7ccc",
        "request",
        "its document has no `data`, as documents must; hence the error",
    ),
    (
        "mistral/chat-completions.error-422.ministral-14b-2512.50dba0",
        "request",
        "asks for a tool of another API; mistralai's types do not let it pass; hence the error",
    ),
    (
        "mistral/chat-completions.error-422",
        "message",
        "`detail` is a list of faults without a sentence that sums them up",
    ),
    (
        "together/chat-completions.error-521",
        "message",
        "plain text of a proxy (`error code: 521`), not the provider's",
    ),
]


def unknowable(exchange: Exchange, what: str) -> str | None:
    """Why this is not checked of the exchange; None where it is."""
    for name, part, why in UNKNOWABLE:
        if name in exchange.name and part in (what, "everything"):
            return why
    return None
