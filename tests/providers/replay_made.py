"""Answers that were never recorded, made here: `made(503, {"message": "busy"}, **headers)`."""

from __future__ import annotations

import json
from typing import Any

from providers.replay_exchanges import Exchange

__all__ = ["made", "made_stream"]


def made(status: int, body: Any, **headers: str) -> Exchange:
    """A plain answer; `body` is sent as JSON, text as it is."""
    text = body if isinstance(body, str) else json.dumps(body)
    kind = "text/plain" if isinstance(body, str) else "application/json"
    return _exchange(status, text, {"content-type": kind, **headers})


def made_stream(*data: Any) -> Exchange:
    """A stream of server-sent events; texts are sent as they are, others as JSON."""
    lines = [each if isinstance(each, str) else json.dumps(each) for each in data]
    text = "".join(f"data: {line}\n\n" for line in lines)
    return _exchange(200, text, {"content-type": "text/event-stream"})


def _exchange(status: int, text: str, headers: dict[str, str]) -> Exchange:
    return Exchange(
        name="made", provider="made", api="made", model="made",
        kind="error" if status >= 400 else "text", features=frozenset(), request={},
        status=status, headers=headers, body=text.encode(), chunk_lengths=None, source={},
    )  # fmt: skip
