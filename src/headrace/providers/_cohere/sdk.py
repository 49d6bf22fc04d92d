"""Calling Cohere's SDK (`cohere`, its client for API v2): whole answers and streams, as dicts of
JSON, and its exceptions as faults.

The SDK makes the request, signs it and reads errors; it asks again for whole answers, never for
streams. Events are read here, from the response's bytes: the SDK hides how a stream ended, and
skips what it does not know. So are whole answers: a hook keeps the response of the call that is
being made, for the answers of which the SDK cannot make a model.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from functools import partial
from importlib import import_module
from typing import Any, ClassVar

from .._base.errors import Fault
from .._base.fitting import fitting
from .._base.frames import Frames, is_whole
from .._base.held import Held
from .._base.hooks import aread_refused, hook_on, read_refused
from .._base.model import WHOLE, ProviderChatModel
from .._base.provider import Call, Key, Provider, named

__all__ = ["CohereChatSdk", "CohereSdk"]

Event = Mapping[str, Any]

_BLOCKED = 498  # a token of the request, or of the answer, is on the account's list of those
_NO_MODEL = (AttributeError, TypeError)  # what the SDK raises for `[]`, `17`, `"text"`


class _Asked:
    """A call that is being made: the last response to it."""

    __slots__ = ("response",)

    def __init__(self) -> None:
        self.response: Any = None

    @property
    def answered(self) -> bool:
        return self.response is not None and bool(self.response.is_success)


_ASKED: ContextVar[_Asked | None] = ContextVar("headrace_cohere_asked", default=None)


@contextmanager
def _asking() -> Iterator[_Asked]:
    asked = _Asked()
    token = _ASKED.set(asked)
    try:
        yield asked
    finally:
        _ASKED.reset(token)


def _keep(response: Any) -> None:
    asked = _ASKED.get()
    if asked is not None:
        asked.response = response


async def _akeep(response: Any) -> None:
    _keep(response)


class CohereSdk(Provider):
    """What Cohere's chat models and embeddings share."""

    provider: ClassVar[str] = "cohere"
    _sdk: ClassVar[tuple[str, str]] = ("cohere", "cohere")
    _put_off: ClassVar[tuple[str, ...]] = ("cohere.client_v2",)
    _key_names: ClassVar[tuple[str, ...]] = ("COHERE_API_KEY", "CO_API_KEY")
    _url_names: ClassVar[tuple[str, ...]] = ("CO_API_URL",)
    _added: ClassVar[tuple[str, ...]] = ("/v2", "/v1")

    timeout: Any = named("timeout", "request_timeout", "timeout_seconds")
    api_key: Key = named("api_key", "cohere_api_key", exclude=True)

    def _make_client(self, settings: Mapping[str, Any], *, is_async: bool) -> Any:
        sdk = self._sdk_module()
        given = settings.get("http_client")
        names = ("api_key", "base_url", "timeout", "max_retries")
        more = {name: settings[name] for name in names if name in settings}
        kind = sdk.AsyncClientV2 if is_async else sdk.ClientV2
        client = kind(httpx_client=given, log_warning_experimental_features=False, **more)
        http = client._client_wrapper.httpx_client.httpx_client
        hook_on(http, *((aread_refused, _akeep) if is_async else (read_refused, _keep)))
        leave = client.__aexit__ if is_async else client.__exit__
        return Held(client, partial(leave, None, None, None) if given is None else None)

    # ---- one call -------------------------------------------------------------------------------

    def _function(self, sdk: Any) -> Any:
        """The function of the SDK that gives whole answers."""
        raise NotImplementedError

    def _arguments(self, function: Any, request: Mapping[str, Any]) -> dict[str, Any]:
        """A request as arguments; what the SDK does not know goes beside them."""
        known, beyond = fitting(function, request)
        options: dict[str, Any] = dict(known.pop("request_options", None) or {})
        for option, value in (
            ("additional_headers", self.default_headers),
            ("additional_query_parameters", self.default_query),
            ("additional_body_parameters", beyond),
        ):
            if value:
                options[option] = {**value, **options.get(option, {})}
        return {**known, "request_options": options} if options else known

    def _whole_answer(self, client: Any, call: Call) -> Event:
        function = self._function(client.sdk)
        arguments = self._arguments(function, call.request)
        with _asking() as asked:
            try:
                asked.response = function(**arguments).response
            except _NO_MODEL:
                if not asked.answered:
                    raise
        return call.answered(asked.response)

    async def _awhole_answer(self, client: Any, call: Call) -> Event:
        function = self._function(client.sdk)
        arguments = self._arguments(function, call.request)
        with _asking() as asked:
            try:
                asked.response = (await function(**arguments)).response
            except _NO_MODEL:
                if not asked.answered:
                    raise
        return call.answered(asked.response)

    def _fault_of(self, error: Exception) -> Fault | None:
        if not isinstance(error, import_module("cohere.core.api_error").ApiError):
            return None
        told: Any = error
        body = told.body if isinstance(told.body, Mapping) else {"message": str(told.body)}
        if told.status_code == _BLOCKED:
            body = {**body, "code": "content_filter"}
        return Fault(told.status_code, body, told.headers or {}, body.get("id"))


class CohereChatSdk(CohereSdk, ProviderChatModel):
    """What Cohere's chat models have besides: streams."""

    def _function(self, sdk: Any) -> Any:
        return sdk.with_raw_response.chat

    def _events(self, client: Any, call: Call) -> Iterator[Event]:
        function = client.sdk.with_raw_response.chat_stream
        with function(**self._arguments(function, call.request)) as raw:
            call.begun(raw.response)
            if is_whole(raw.response):
                raw.response.read()
                yield {WHOLE: call.answered(raw.response)}
                return
            frames = Frames(_is_error)
            for data in raw.response.iter_bytes():
                yield from frames.feed(data)

    async def _aevents(self, client: Any, call: Call) -> AsyncIterator[Event]:
        function = client.sdk.with_raw_response.chat_stream
        async with function(**self._arguments(function, call.request)) as raw:
            call.begun(raw.response)
            if is_whole(raw.response):
                await raw.response.aread()
                yield {WHOLE: call.answered(raw.response)}
                return
            frames = Frames(_is_error)
            async with aclosing(raw.response.aiter_bytes()) as pieces:
                async for data in pieces:
                    for event in frames.feed(data):
                        yield event


def _is_error(event: Event) -> bool:
    return "type" not in event and isinstance(event.get("message"), str)
