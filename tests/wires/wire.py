"""Exchanges made by hand, from the vendors' public API references, and our classes for them.

DIALECTS                               names of all dialects; CHAT: those of Chat Completions
streamed(dialect, *events)             an Exchange that streams these (dicts, or lines as bytes)
whole(dialect, body)                   one that answers with this JSON
failing(dialect, status, body, ...)    one that answers with a failure
said(dialect, pieces)                  events of the plainest stream that says these pieces
answered(dialect, text)                the plainest whole answer
model(dialect, server, **settings)     our class for it
ask(colour, exchange, body, ...)       `body(doors, model, server)` in one colour
fold(chunks)                           their sum
heard(colour, exchange, check)         `check(answer)`, folded where it is streamed
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any

import headrace.providers as providers
from providers.models import CHAT as CLASSES
from providers.models import KEY, Credentials
from providers.replay import Exchange, Server, replaying
from providers.replay_clients import base_url
from providers.replay_colours import run

# dialect -> (provider, api)
TABLE = {
    "openai": ("openai", "chat.completions"),
    "azure": ("azure", "chat.completions"),
    "groq": ("groq", "chat.completions"),
    "mistral": ("mistral", "chat.completions"),
    "together": ("together", "chat.completions"),
    "fireworks": ("fireworks", "chat.completions"),
    "nvidia": ("nvidia", "chat.completions"),
    "responses": ("openai", "responses"),
    "anthropic": ("anthropic", "messages"),
    "gemini": ("google", "gemini.generateContent"),
    "vertex": ("google", "vertex.generateContent"),
    "cohere": ("cohere", "v2.chat"),
}
DIALECTS = list(TABLE)
CHAT = [name for name, (_, api) in TABLE.items() if api == "chat.completions"]
GOOGLE = ["gemini", "vertex"]
MODEL = "a-model"
Event = dict[str, Any] | bytes
SSE = "text/event-stream; charset=utf-8"


def exchange(
    dialect: str, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None
) -> Exchange:
    provider, api = TABLE[dialect]
    return Exchange(
        name=f"{dialect}/made", provider=provider, api=api, model=MODEL, kind="made",
        features=frozenset(), request={"method": "POST", "path": "/openai/deployments/a-model"},
        status=status, headers=headers or {}, body=body, chunk_lengths=None, source={},
    )  # fmt: skip


def frame(dialect: str, *events: Event, end: str = "\n") -> bytes:
    """The events as the vendor frames them; bytes stay as they are."""
    return b"".join(one if isinstance(one, bytes) else _framed(dialect, one, end) for one in events)


def _framed(dialect: str, event: dict[str, Any], end: str) -> bytes:
    data = json.dumps(event, ensure_ascii=False)
    named = dialect in ("responses", "anthropic", "cohere") and "type" in event
    head = f"event: {event['type']}{end}" if named else ""
    return f"{head}data: {data}{end}{end}".encode()


DONE = b"data: [DONE]\n\n"


def streamed(dialect: str, *events: Event, done: bool = True, **headers: str) -> Exchange:
    """A stream of these events, and of `[DONE]` where the dialect has it."""
    body = frame(dialect, *events)
    if done and dialect in CHAT:
        body += DONE
    return exchange(dialect, body, headers={"content-type": SSE, **headers})


def whole(dialect: str, body: Any, **headers: str) -> Exchange:
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return exchange(dialect, raw, headers={"content-type": "application/json", **headers})


def failing(
    dialect: str, status: int, body: Any = b"", kind: str = "application/json", **headers: str
) -> Exchange:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return exchange(dialect, raw, status=status, headers={"content-type": kind, **headers})


# ---- the plainest answers -----------------------------------------------------------------------

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
GOOGLE_USAGE = {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}
COHERE_USAGE = {
    "billed_units": {"input_tokens": 5, "output_tokens": 3},
    "tokens": {"input_tokens": 7, "output_tokens": 3},
}


def chunk(
    delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any
) -> dict[str, Any]:
    """A chunk of Chat Completions; without a delta, one without choices."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    base = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "a-model-0001",
        "choices": [] if delta is None else [choice],
    }
    return base | more


def completion(message: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    """A whole answer of Chat Completions."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    base = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "a-model-0001",
        "choices": [choice],
        "usage": USAGE,
    }
    return base | more


def google(parts: list[dict[str, Any]], finish: str | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    base = {"candidates": [candidate], "modelVersion": "a-model-0001", "responseId": "r-1"}
    return base | more


def response(output: list[Any], status: str = "completed", **more: Any) -> dict[str, Any]:
    """A whole answer of Responses."""
    base = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": "a-model-0001",
        "output": output,
        "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
    }
    return base | more


def output_text(text: str, annotations: Sequence[Any] = ()) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": list(annotations), "logprobs": []}
    return {
        "type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
        "content": [part],
    }  # fmt: skip


def anthropic_message(content: list[Any], stop: str | None = "end_turn", **more: Any) -> Any:
    base = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "a-model-0001",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 3},
    }
    return base | more


def anthropic_blocks(*blocks: tuple[dict[str, Any], list[dict[str, Any]]]) -> list[Event]:
    """Events of content blocks: (how each starts, its deltas)."""
    events: list[Event] = []
    for index, (start, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        events.append({"type": "content_block_stop", "index": index})
    return events


def anthropic_stream(*blocks: Any, stop: str = "end_turn", **delta: Any) -> list[Event]:
    start = anthropic_message([], None, usage={"input_tokens": 7, "output_tokens": 1})
    return [
        {"type": "message_start", "message": start},
        *anthropic_blocks(*blocks),
        {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None, **delta},
         "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]  # fmt: skip


def said(dialect: str, pieces: Sequence[str]) -> list[Event]:
    """Events that say these pieces, with their end but without `[DONE]`."""
    kind = _SAID.get(dialect) or _SAID[TABLE[dialect][1].split(".")[0]]
    return kind(list(pieces))


def _chat_said(pieces: list[str]) -> list[Event]:
    return [*_chat_begun(pieces), chunk({}, "stop"), chunk(usage=USAGE)]


def _mistral_said(pieces: list[str]) -> list[Event]:
    return [*_chat_begun(pieces), chunk({"content": ""}, "stop", usage=USAGE)]


def _groq_said(pieces: list[str]) -> list[Event]:
    told = {"id": "req_1", "usage": USAGE}
    return [*_chat_begun(pieces), chunk({}, "stop", x_groq=told)]


def _chat_begun(pieces: list[str]) -> list[Event]:
    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": piece}) for piece in pieces),
    ]


def _google_said(pieces: list[str]) -> list[Event]:
    *first, last = pieces
    return [
        *(google([{"text": piece}]) for piece in first),
        google([{"text": last}], "STOP", usageMetadata=GOOGLE_USAGE),
    ]


def _responses_said(pieces: list[str]) -> list[Event]:
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": []}
    item = output_text("".join(pieces))
    return [
        {"type": "response.created", "response": response([], "in_progress", usage=None)},
        {"type": "response.output_item.added", "output_index": 0,
         "item": {**item, "status": "in_progress", "content": []}},
        {"type": "response.content_part.added", **where, "part": empty},
        *({"type": "response.output_text.delta", **where, "delta": piece} for piece in pieces),
        {"type": "response.output_text.done", **where, "text": "".join(pieces)},
        {"type": "response.content_part.done", **where, "part": item["content"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response([item])},
    ]  # fmt: skip


def _anthropic_said(pieces: list[str]) -> list[Event]:
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    return anthropic_stream(({"type": "text", "text": ""}, deltas))


def _cohere_said(pieces: list[str]) -> list[Event]:
    text = {"type": "text", "text": ""}
    return [
        {"type": "message-start", "id": "c-1",
         "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "",
                               "tool_calls": [], "citations": []}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": text}}},
        *({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": piece}}}}
          for piece in pieces),
        {"type": "content-end", "index": 0},
        cohere_end(),
    ]  # fmt: skip


def cohere_end(reason: str = "COMPLETE", **more: Any) -> Event:
    delta = {"finish_reason": reason, "usage": COHERE_USAGE, **more}
    return {"type": "message-end", "id": "c-1", "delta": delta}


_SAID: dict[str, Callable[[list[str]], list[Event]]] = {
    "mistral": _mistral_said, "groq": _groq_said, "chat": _chat_said,
    "gemini": _google_said, "vertex": _google_said, "responses": _responses_said,
    "messages": _anthropic_said, "v2": _cohere_said,
}  # fmt: skip


def answered(dialect: str, text: str) -> dict[str, Any]:
    """The plainest whole answer."""
    if dialect in CHAT:
        return completion({"content": text})
    if dialect in GOOGLE:
        return google([{"text": text}], "STOP", usageMetadata=GOOGLE_USAGE)
    if dialect == "responses":
        return response([output_text(text)])
    if dialect == "anthropic":
        return anthropic_message([{"type": "text", "text": text}])  # type: ignore[no-any-return]
    content = [{"type": "text", "text": text}]
    return {
        "id": "c-1", "message": {"role": "assistant", "content": content},
        "finish_reason": "COMPLETE", "usage": COHERE_USAGE,
    }  # fmt: skip


# ---- our classes --------------------------------------------------------------------------------


def model(dialect: str, where: Server | str, **settings: Any) -> Any:
    """Our class for a dialect, which asks once; `settings` go before what is usual."""
    provider, api = TABLE[dialect]
    url = where if isinstance(where, str) else where.url
    usual: dict[str, Any] = {
        "model": MODEL, "base_url": base_url(provider, url), "api_key": KEY, "max_retries": 0,
    }  # fmt: skip
    name = CLASSES[provider]
    if api == "responses":
        usual["use_responses_api"] = True
    if dialect == "vertex":
        name = "ChatVertexAI"
        usual |= {"project": "p", "location": "us-central1", "credentials": Credentials()}
        del usual["api_key"]
    if dialect == "azure":
        usual |= {
            "azure_endpoint": usual.pop("base_url"),
            "azure_deployment": MODEL,
            "openai_api_version": "2024-10-21",
        }
    return getattr(providers, name)(**usual | settings)


def ask(
    colour: Any, made: Exchange | Sequence[Exchange], body: Callable[[Any, Any, Server], Any],
    *, dialect: str = "", how: dict[str, Any] | None = None, **settings: Any,
) -> None:  # fmt: skip
    """`body(doors, model, server)` in one colour, with a server that plays what was made."""
    first = made if isinstance(made, Exchange) else made[0]
    with replaying(made, **{"cut": "whole", **(how or {})}) as server:
        ours = model(dialect or first.name.split("/")[0], server, **settings)
        run(colour, ours, lambda doors: body(doors, ours, server))


def fold(chunks: Sequence[Any]) -> Any:
    """The sum of a stream's chunks."""
    return reduce(add, chunks)


def heard(
    colour: Any, made: Exchange, check: Callable[[Any], Any], prompt: Any = "?", **more: Any
) -> None:
    """`check` of what comes of it: of the fold of a stream, or of a whole answer."""

    def body(doors: Any, ours: Any, server: Server) -> None:
        check(fold(doors.stream(ours, prompt)) if made.is_stream else doors.invoke(ours, prompt))

    ask(colour, made, body, **more)
