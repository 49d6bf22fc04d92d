"""Which error a recorded answer means: the class's name and its facts, from status and body.

    401, 403, 404, 429, 503 and 529 have their own; other 4xx BadRequestError, 5xx ServerError.
    408 and 504 are GatewayTimeouts: on the provider's side somebody waited too long.

A code or a sentence about the context's length or a content filter makes a 4xx (but 429) more
specific. Google says with status 400 that a key is not valid (`API_KEY_INVALID`), which is an
AuthenticationError. Inside a stream every error is a StreamError, whatever its code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from providers.replay_exchanges import Exchange


@dataclass
class ExpectedError:
    """The facts of an error; None: the answer does not say."""

    name: str
    status: int | None
    message: str | None = None  # the provider's words
    code: str | None = None
    retry_after: float | None = None  # seconds
    request_id: str | None = None


BY_STATUS = {
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    408: "GatewayTimeout",
    504: "GatewayTimeout",
    429: "RateLimitError",
    503: "OverloadedError",
    529: "OverloadedError",
}
TOO_LONG = re.compile(
    r"context_length_exceeded|TOO_MANY_TOKENS|maximum context length|prompt is too long"
    r"|input token count .* exceeds the maximum",
    re.IGNORECASE,
)
FILTERED = re.compile(r'"code": ?"content_filter"|ResponsibleAIPolicyViolation|content_policy')


def error_of_answer(exchange: Exchange) -> ExpectedError:
    """The error that an answer with a status of 400 or more means."""
    text = exchange.body.decode()
    try:
        body: Any = json.loads(text)
    except ValueError:
        body = text
    return ExpectedError(
        name=_name(exchange.status, text),
        status=exchange.status,
        message=message_of(body),
        retry_after=_retry_after(exchange.headers, body),
        request_id=body.get("request_id") if isinstance(body, dict) else None,
    )


def _name(status: int, text: str) -> str:
    if status in (400, 413, 422):
        if TOO_LONG.search(text):
            return "ContextLengthError"
        if FILTERED.search(text):
            return "ContentFilterError"
        if "API_KEY_INVALID" in text:
            return "AuthenticationError"
    return BY_STATUS.get(status, "ServerError" if status >= 500 else "BadRequestError")


def message_of(body: Any) -> str | None:
    """What the provider says: the five shapes of error bodies."""
    if isinstance(body, list) and body:  # Google, in a stream's framing
        body = body[0]
    if isinstance(body, str):
        return body.strip() or None
    if not isinstance(body, dict):
        return None
    for key in ("error", "message", "detail"):
        found = body.get(key)
        if isinstance(found, dict):
            return message_of(found)
        if isinstance(found, str):
            return found
    return None


def _retry_after(headers: dict[str, str], body: Any) -> float | None:
    if float(headers.get("retry-after-ms", 0)):  # a zero beside seconds says nothing
        return float(headers["retry-after-ms"]) / 1000
    if "retry-after" in headers:
        try:
            return float(headers["retry-after"])
        except ValueError:
            then = parsedate_to_datetime(headers["retry-after"])
            return max(0.0, (then - datetime.now(UTC)).total_seconds())
    for value in _values(body, "retryDelay"):
        return float(value.removesuffix("s"))
    return None


def _values(node: Any, key: str) -> Iterator[Any]:
    if isinstance(node, dict):
        if key in node:
            yield node[key]
        for value in node.values():
            yield from _values(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _values(value, key)


def error_of_prompt(feedback: dict[str, Any]) -> ExpectedError:
    """Google answers a prompt that a filter stopped with status 200, without a candidate."""
    return ExpectedError(
        name="ContentFilterError", status=200, message=feedback.get("blockReasonMessage")
    )


def error_in_stream(error: Any, status: int | None = None) -> ExpectedError:
    """The error that an event of a stream reports."""
    told = error if isinstance(error, dict) else {}
    code = told.get("code") or told.get("type")
    return ExpectedError(
        name="StreamError",
        status=told.get("status_code") or status or 200,
        message=message_of(error),
        code=str(code) if code else None,
    )
