"""What a provider answers instead of an answer, as one of our errors. Pure: tables and functions.

    Fault(status, body, headers, …)  ->  provider_error(…)  ->  RateLimitError(…, retry_after=20.0)

Each SDK's exceptions are read into a `Fault` where that SDK is called, and nowhere else. The class
follows from the code, else from the words of a request that was refused, else from the status.
Inside a stream it is always `StreamError`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from headrace.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectionError,
    ConnectionTimeout,
    ContentFilterError,
    ContextLengthError,
    GatewayTimeout,
    IncompleteStream,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    ServerError,
    StreamError,
)

from .keys import cleaned

__all__ = [
    "Fault",
    "broken_off",
    "chain",
    "in_body",
    "is_page",
    "provider_error",
    "retry_after",
    "unreachable",
]


class Fault(NamedTuple):
    """What is known of a failure.

    status: HTTP status; None inside a stream whose event names none.
    body: what came: JSON as it was parsed, or text.
    headers: of the answer, with names in any case.
    request_id: where it does not stand in the headers or the body.
    streaming: it came inside a stream that had begun.
    """

    status: int | None
    body: Any = None
    headers: Mapping[str, str] = {}
    request_id: str | None = None
    streaming: bool = False

    @property
    def id(self) -> str | None:
        """The provider's name for the request, as far as it is told."""
        lowered = _lowered(self.headers)
        stated = next((lowered[name] for name in _IDS if lowered.get(name)), None)
        if stated or self.request_id:
            return stated or self.request_id
        body = _parsed(self.body) if isinstance(self.body, str) else self.body
        for holder in (body, body.get("error") if isinstance(body, Mapping) else None):
            if isinstance(holder, Mapping) and isinstance(holder.get("request_id"), str):
                return str(holder["request_id"])
        return None


_IDS: Final = (
    "x-request-id", "request-id", "apim-request-id", "x-amzn-requestid", "mistral-correlation-id",
    "x-debug-trace-id", "cf-ray",
)  # fmt: skip

# By the provider's code or type, in small letters; the same words mean the same everywhere.
_BY_CODE: Final[Mapping[str, type[ProviderError]]] = {
    "context_length_exceeded": ContextLengthError,
    "context_window_exceeded": ContextLengthError,
    "exceed_context_size_error": ContextLengthError,
    "content_filter": ContentFilterError,
    "content_policy_violation": ContentFilterError,
    "responsibleaipolicyviolation": ContentFilterError,
    "moderation_blocked": ContentFilterError,
    "invalid_api_key": AuthenticationError,
    "api_key_invalid": AuthenticationError,  # Google, under a 400
    "authentication_error": AuthenticationError,
    "permission_error": PermissionDeniedError,
    "insufficient_quota": RateLimitError,
    "rate_limit_exceeded": RateLimitError,
    "rate_limit_error": RateLimitError,
    "resource_exhausted": RateLimitError,
    "overloaded_error": OverloadedError,
    "engine_overloaded": OverloadedError,
}

_BY_STATUS: Final[Mapping[int, type[ProviderError]]] = {
    401: AuthenticationError,
    402: RateLimitError,  # no credit: what OpenAI says with a 429
    403: PermissionDeniedError,
    404: NotFoundError,
    408: GatewayTimeout,  # as Azure means it: it waited for the model
    429: RateLimitError,
    498: RateLimitError,  # Groq: the flex tier has no capacity
    503: OverloadedError,
    504: GatewayTimeout,
    529: OverloadedError,  # Anthropic
}

# A request that is refused says only in words that it is too long or filtered.
_TOO_LONG: Final = re.compile(
    r"context.{0,12}(length|window|size)|maximum context|prompt is too long"
    r"|too many (input )?tokens|input (length|tokens?).{0,40}exceed|token count.{0,30}exceed"
    r"|reduce the length",
    re.IGNORECASE,
)
_FILTERED: Final = re.compile(
    r"content (management|filter|policy)|content_policy|flagged by .{0,20}(moderation|safety)"
    r"|output blocked by content",
    re.IGNORECASE,
)
_HELD: Final = re.compile(
    r"(?:context (?:length|window|size)|maximum|limit for this model is)[^0-9]{0,40}(\d[\d,]*)"
    r"|> (\d[\d,]*) maximum",
    re.IGNORECASE,
)
_ASKED: Final = re.compile(
    r"(?:requested|resulted in|request \(|prompt is too long:|input (?:token count|length))"
    r"[^0-9]{0,20}(\d[\d,]*)",
    re.IGNORECASE,
)

# What HTTP clients say of a body that ends too early.
_CUT: Final = re.compile(r"complete message body|IncompleteRead|payload is not completed")

# Exceptions of theirs that come when a request has been sent, and its answer is awaited or read.
_READING: Final = frozenset({"ReadError", "RemoteProtocolError", "ChunkedEncodingError"})

_MARKUP: Final = re.compile(r"\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)
_TAGS: Final = re.compile(
    r"<(style|script|svg)\b.*?(</\1>|\Z)|<!--.*?(-->|\Z)|<[^>]*(>|\Z)", re.IGNORECASE | re.DOTALL
)
_SHORT: Final = 200  # characters of a web page that an error quotes
_SHOWN: Final = 2000  # characters of what a provider says that an error quotes

_FIXES: Final[Mapping[type[ProviderError], str]] = {
    AuthenticationError: "Check the key (api_key=…, or the provider's environment variable).",
    PermissionDeniedError: "Ask for the right in the provider's console, or use another model.",
    NotFoundError: "Check the model's name and base_url.",
    RateLimitError: "Ask less often (rate_limiter=…), or again later (with_retry).",
    OverloadedError: "Ask again later (with_retry), or another model (with_fallbacks).",
    ContextLengthError: "Shorten the prompt (trim_messages), or use a model with a larger context.",
    ContentFilterError: "Change the prompt, or the filter's settings with the provider.",
}


def provider_error(
    provider: str, fault: Fault, partial: Any = None, *, secrets: Sequence[str] = ()
) -> ProviderError:
    """The error for a fault.

    Args:
        provider: e.g. "openai".
        partial: what had come of the answer.
        secrets: texts that the error must not show, should the provider quote them.
    """
    said, codes = in_body(fault.body)
    said = cleaned(said, secrets)
    if is_page(said) and not fault.streaming and 200 <= (fault.status or 0) < 300:
        return _a_page(provider, fault, said)
    kind = StreamError if fault.streaming else _kind(fault.status, codes, said)
    facts: dict[str, Any] = {
        "provider": provider,
        "status": fault.status,
        "request_id": fault.id,
        "provider_message": said,
        "code": codes[0] if codes else None,
        "retry_after": retry_after(fault.headers, fault.body),
    }
    sentence = _sentence(provider, fault, kind, said)
    if kind is ContextLengthError:
        counts = _number(_ASKED, said), _number(_HELD, said)
        return ContextLengthError(*counts, sentence, partial=partial, **facts)
    return kind(sentence, partial, **facts)


def unreachable(
    provider: str,
    error: BaseException,
    *,
    timed_out: bool,
    seconds: float | None = None,
    opened: bool = False,
    request_id: str | None = None,
) -> ConnectionError:
    """The error for a request that got no answer, or not the whole of one that is no stream.

    Args:
        error: why.
        timed_out: it took longer than `seconds`.
        opened: the answer is known to have begun.
    """
    why = _why(error)
    facts: dict[str, Any] = {
        "provider": provider, "provider_message": why, "request_id": request_id,
    }  # fmt: skip
    if timed_out:
        limit = "" if seconds is None else f" within timeout={seconds:g} seconds"
        return ConnectionTimeout(
            f"{provider} did not answer{limit} ({why}): give the model a longer timeout=…, or ask "
            "again (with_retry).",
            seconds=seconds,
            **facts,
        )
    if opened or _CUT.search(why) or any(type(one).__name__ in _READING for one in chain(error)):
        return ConnectionError(
            f"The connection to {provider} broke off before its answer was complete ({why}): ask "
            "again (with_retry).",
            **facts,
        )
    return ConnectionError(
        f"{provider} could not be reached ({why}): check base_url and the network.", **facts
    )


def is_page(text: str) -> bool:
    """Whether a text is a web page, or the start of one."""
    return _MARKUP.match(text) is not None


def _a_page(provider: str, fault: Fault, page: str) -> NotFoundError:
    """The error for an address that answers with a web page, under a status of success."""
    lowered = _lowered(fault.headers)
    stated = str(lowered.get("content-type") or "").partition(";")[0].strip()
    kind = stated if "html" in stated else "a web page"
    words = _words(page)
    return NotFoundError(
        f"{provider} answered {kind}, and not an answer: check base_url; the API may have its "
        "address below this one, such as …/v1. Or a proxy answered in its place."
        f"{f' The page says: {words}' if words else ''}",
        provider=provider,
        status=fault.status,
        request_id=fault.id,
        provider_message=words or page[:_SHORT],
    )


def broken_off(
    provider: str,
    error: BaseException,
    partial: Any,
    *,
    timed_out: bool,
    seconds: float | None = None,
    request_id: str | None = None,
) -> ProviderError:
    """The error for a stream whose connection broke, or fell silent, before its end."""
    why = _why(error)
    facts: dict[str, Any] = {"provider": provider, "status": 200, "request_id": request_id}
    if timed_out:
        limit = "its timeout" if seconds is None else f"timeout={seconds:g} seconds"
        return ConnectionTimeout(
            f"The stream of {provider} was silent for longer than {limit} ({why}); what had come "
            "is in the error's `partial`.",
            partial,
            seconds=seconds,
            **facts,
        )
    return IncompleteStream(
        f"The stream of {provider} broke off ({why}); what had come is in the error's `partial`.",
        partial,
        **facts,
    )


# ---- reading a fault -----------------------------------------------------------------------------


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def in_body(body: Any) -> tuple[str, list[str]]:
    """What a provider says in the body of a failure, in words, and its codes, the best one first.

    Read are the shapes that providers send: `{"error": {"message", "code", "type"}}`, the inner
    object alone, `{"error": text}`, `{"message": …}`, `{"detail": text or list}`, a list with one
    of these, and text that is none.
    """
    if isinstance(body, str):
        parsed = _parsed(body)
        return (body.strip()[:_SHOWN], []) if parsed is None else in_body(parsed)
    if isinstance(body, list) and body:
        return in_body(body[0])
    if not isinstance(body, Mapping):
        return "", []
    inner = next((body[key] for key in ("error", "detail") if body.get(key)), None)
    said = ""
    codes: list[str] = []
    if isinstance(inner, Mapping):
        said, codes = in_body(inner)
    elif isinstance(inner, list):
        said = "; ".join(map(_problem, inner))
    elif isinstance(inner, str):
        said = inner
    message = body.get("message") or body.get("msg")
    if message and not said:
        said, more = (_as_text(message), []) if isinstance(message, str) else in_body(message)
        codes += more
    for word in ("code", "type", "status", "error_type"):
        if isinstance(body.get(word), str) and body[word] not in ("error", ""):
            codes.append(body[word])
    for detail in (body.get("innererror"), *_details(body)):  # Azure's, Google's
        reason = detail.get("reason") or detail.get("code") if isinstance(detail, Mapping) else None
        if isinstance(reason, str):
            codes.append(reason)
    return (said or _as_text(body))[:_SHOWN], codes


def _problem(found: Any) -> str:
    """One of the problems that a validator lists, as FastAPI and pydantic write them."""
    if not isinstance(found, Mapping) or not isinstance(found.get("msg"), str):
        return _as_text(found)
    place = ".".join(map(str, found.get("loc") or ()))
    return f"{place}: {found['msg']}" if place else str(found["msg"])


def _parsed(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, (dict, list)) else None


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _kind(status: int | None, codes: list[str], said: str) -> type[ProviderError]:
    for code in codes:
        known = _BY_CODE.get(code.lower())
        if known is not None and _fits(known, status):
            return known
    if status in (400, 413, 422):
        if _TOO_LONG.search(said):
            return ContextLengthError
        if _FILTERED.search(said):
            return ContentFilterError
    refused = status is not None and 400 <= status < 500
    return _BY_STATUS.get(status or 0) or (BadRequestError if refused else ServerError)


def _fits(kind: type[ProviderError], status: int | None) -> bool:
    """Whether a code's class agrees with the status: a code may be a general word."""
    if status is None or status == 200:
        return True
    if issubclass(kind, (BadRequestError, RateLimitError, AuthenticationError)):
        return 400 <= status < 500
    return issubclass(kind, OverloadedError) or _BY_STATUS.get(status) in (None, kind)


def retry_after(headers: Mapping[str, str], body: Any = None) -> float | None:
    """Seconds until the provider wants to be asked again: in milliseconds, in seconds or as a date
    in the headers (RFC 9110, section 10.2.3), or in the details of Google's errors."""
    lowered = _lowered(headers)
    millis = _float(lowered.get("retry-after-ms"))
    if millis:  # Azure sends a zero beside the seconds that it means
        return millis / 1000
    stated = lowered.get("retry-after")
    seconds = _float(stated)
    if seconds is not None:
        return seconds
    if stated:
        try:
            return max(0.0, parsedate_to_datetime(stated).timestamp() - time.time())
        except ValueError:
            return _delay(body)
    return _delay(body)


def _delay(body: Any) -> float | None:
    """The `retryDelay`, such as "17s", anywhere in the details of an error of Google's."""
    for detail in _details(body):
        delay = detail.get("retryDelay")
        if isinstance(delay, str):
            return _float(delay.removesuffix("s"))
    return None


def _details(body: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(body, list):
        for each in body:
            yield from _details(each)
    elif isinstance(body, Mapping):
        yield from _details(body.get("error"))
        details = body.get("details")
        if isinstance(details, list):
            yield from (each for each in details if isinstance(each, Mapping))


def _float(text: Any) -> float | None:
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < float("inf") else None


def _number(pattern: re.Pattern[str], said: str) -> int | None:
    found = pattern.search(said)
    digits = next((group for group in found.groups() if group), None) if found else None
    return int(digits.replace(",", "")) if digits else None


def _sentence(provider: str, fault: Fault, kind: type[ProviderError], said: str) -> str:
    where = f" (HTTP {fault.status})" if fault.status not in (None, 200) else ""
    if is_page(said):
        said = _words(said)
    told = f": {said}" if said else "."
    if fault.streaming:
        return f"{provider} reported an error inside its stream{where}{told}"
    fix = _FIXES.get(kind)
    if fix and len(said) > _SHORT:  # the fix is not to be looked for behind it
        return f"{provider} gave no answer{where}. {fix} It said{told}"
    ended = told if told.endswith((".", "!", "?")) else f"{told}."
    return f"{provider} gave no answer{where}{ended}{f' {fix}' if fix else ''}"


def _words(page: str) -> str:
    """What a web page says, shortly."""
    return " ".join(_TAGS.sub(" ", page).split())[:_SHORT]


def chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it wraps."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _why(error: BaseException) -> str:
    """The innermost reason, because SDKs wrap it in "Connection error."."""
    *_, error = chain(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
