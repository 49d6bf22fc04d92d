"""Calling Mistral's SDK (`mistralai`): whole answers and streams, as dicts of JSON, and its
exceptions as faults.

The SDK makes the request, signs it, asks again and reads errors. Its answers are models that drop
what they do not know, so events and whole answers are read here from the HTTP response: the SDK's
own HTTP clients are wrapped (it takes any that has `send` and `build_request`), and the wrapper
keeps the response of the call that is being made.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

from pydantic import ValidationError

from headrace.errors import InputError

from .._base.errors import Fault
from .._base.fitting import fitting
from .._base.frames import Frames
from .._base.held import Held
from .._base.model import WHOLE, ProviderChatModel
from .._base.provider import Call, Key, Provider, named

__all__ = ["MistralChatSdk", "MistralSdk"]

Event = Mapping[str, Any]

_UNKNOWN = "is_unknown"  # marks what the SDK wrapped
_STATUSES = ["408", "429", "500", "502", "503", "504"]  # after which the SDK may ask again


class _Asked:
    """A call that is being made: what its body has beyond what the SDK knows, and the response."""

    __slots__ = ("beyond", "response")

    def __init__(self, beyond: Mapping[str, Any]) -> None:
        self.beyond = beyond
        self.response: Any = None


_ASKED: ContextVar[_Asked | None] = ContextVar("headrace_mistral_asked", default=None)


@contextmanager
def _asking(beyond: Mapping[str, Any]) -> Iterator[_Asked]:
    asked = _Asked(beyond)
    token = _ASKED.set(asked)
    try:
        yield asked
    except ValidationError as error:
        if asked.response is not None:  # of an answer, which the SDK reads as well
            raise
        raise InputError(_refused(error)) from error
    finally:
        _ASKED.reset(token)


def _refused(error: ValidationError) -> str:
    """What the SDK's types say of a request that they do not let pass."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return (
        f"Mistral's SDK does not take this request: {first['msg']}, at {place}: "
        f"{first['input']!r:.200}. Nothing was sent."
    )


class _Http:
    """An HTTP client for the SDK, around one of httpx's.

    Args:
        http: the client; None for one that is never used.
        settings: the model's `timeout`, `default_headers`, `default_query`; and its `http_client`,
            whose own timeout counts where the model has none.
    """

    def __init__(self, http: Any, settings: Mapping[str, Any]) -> None:
        self.http = http
        self._timeout = settings.get("timeout")
        self._given = settings.get("http_client") is not None
        self._headers = settings.get("default_headers") or {}
        self._query = settings.get("default_query") or {}

    def build_request(self, method: str, url: Any, **more: Any) -> Any:
        """The request, with what the SDK has no word for."""
        if self._timeout is not None:
            more["timeout"] = self._timeout
        elif self._given:
            more.pop("timeout", None)
        mine = {name.lower() for name in self._headers}
        usual = (more.get("headers") or {}).items()
        kept = {name: value for name, value in usual if name.lower() not in mine}
        more["headers"] = {**kept, **self._headers}
        more["params"] = {**(more.get("params") or {}), **self._query}
        if _UNKNOWN in (more.get("content") or ""):
            more["content"] = json.dumps(_as_given(json.loads(more["content"]))).encode()
        asked = _ASKED.get()
        if asked is not None and asked.beyond and more.get("content"):
            more["content"] = json.dumps({**json.loads(more["content"]), **asked.beyond}).encode()
        return self.http.build_request(method, url, **more)


def _as_given(node: Any) -> Any:
    """JSON with what the SDK's types do not know as it was given; the SDK wraps it."""
    if isinstance(node, list):
        return [_as_given(value) for value in node]
    if not isinstance(node, dict):
        return node
    if node.get(_UNKNOWN) is True and "raw" in node:
        return node["raw"]
    return {name: _as_given(value) for name, value in node.items()}


def _keep(response: Any) -> Any:
    asked = _ASKED.get()
    if asked is not None:
        asked.response = response
    return response


class _SyncHttp(_Http):
    def send(self, request: Any, **how: Any) -> Any:
        response = self.http.send(request, **how)
        if response.is_error:  # of a stream, the SDK reads some and not others
            response.read()
        return _keep(response)

    def close(self) -> None:
        self.http.close()


class _AsyncHttp(_Http):
    async def send(self, request: Any, **how: Any) -> Any:
        response = await self.http.send(request, **how)
        if response.is_error:
            await response.aread()
        return _keep(response)

    async def aclose(self) -> None:
        await self.http.aclose()


class _Tries(int):
    """A `max_elapsed_time` that is over after so many failures. The SDK limits how long it asks
    again, not how often; it compares the time that went by with this number once a failure."""

    def __new__(cls, count: int) -> _Tries:
        tries = super().__new__(cls, 2**31)
        tries.left = count
        return tries

    left: int

    def __lt__(self, gone: int) -> bool:
        self.left -= 1
        return self.left < 0


class MistralSdk(Provider):
    """What Mistral's chat models and embeddings share."""

    provider: ClassVar[str] = "mistral"
    _sdk: ClassVar[tuple[str, str]] = ("mistralai.client", "mistral")
    _put_off: ClassVar[tuple[str, ...]] = ("mistralai.client.embeddings", "mistralai.client.chat")
    _key_names: ClassVar[tuple[str, ...]] = ("MISTRAL_API_KEY",)
    _url_names: ClassVar[tuple[str, ...]] = ("MISTRAL_BASE_URL",)
    _added: ClassVar[tuple[str, ...]] = ("/v1",)

    api_key: Key = named("api_key", "mistral_api_key", exclude=True)
    base_url: str | None = named("base_url", "endpoint", "mistral_api_url", "server_url")

    def _make_client(self, settings: Mapping[str, Any], *, is_async: bool) -> Any:
        sdk = self._sdk_module()
        given = settings.get("http_client")
        httpx: Any = sdk.sdk.httpx  # httpx2, or in older versions httpx
        kind = httpx.AsyncClient if is_async else httpx.Client
        http = given or kind(follow_redirects=True)
        client = sdk.Mistral(
            api_key=settings["api_key"],
            server_url=settings.get("base_url"),
            client=_SyncHttp(None if is_async else http, settings),
            async_client=_AsyncHttp(http if is_async else None, settings),
        )
        close = http.aclose if is_async else http.close
        return Held(client, close if given is None else None)

    # ---- one call -------------------------------------------------------------------------------

    def _function(self, sdk: Any, *, is_async: bool) -> Any:
        """The function of the SDK that gives whole answers."""
        raise NotImplementedError

    def _retries(self) -> dict[str, Any]:
        if self.max_retries is None:
            return {}
        utils = self._sdk_module().utils
        if self.max_retries == 0:
            return {"retries": None}
        pace = utils.BackoffStrategy(500, 60_000, 1.5, _Tries(self.max_retries))
        return {"retries": utils.RetryConfig("backoff", pace, True, _STATUSES)}

    def _whole_answer(self, client: Any, call: Call) -> Event:
        function = self._function(client.sdk, is_async=False)
        known, beyond = fitting(function, call.request)
        with _asking(beyond) as asked:
            try:
                function(**known, **self._retries())
            except self._sdk_module().errors.ResponseValidationError as error:
                _raise_unless_answered(error)
        return call.answered(asked.response)

    async def _awhole_answer(self, client: Any, call: Call) -> Event:
        function = self._function(client.sdk, is_async=True)
        known, beyond = fitting(function, call.request)
        with _asking(beyond) as asked:
            try:
                await function(**known, **self._retries())
            except self._sdk_module().errors.ResponseValidationError as error:
                _raise_unless_answered(error)
        return call.answered(asked.response)

    def _fault_of(self, error: Exception) -> Fault | None:
        if not isinstance(error, self._sdk_module().errors.MistralError):
            return None
        told: Any = error
        return Fault(told.status_code, told.body, told.headers)


class MistralChatSdk(MistralSdk, ProviderChatModel):
    """What Mistral's chat models have besides: streams."""

    def _function(self, sdk: Any, *, is_async: bool) -> Any:
        return sdk.chat.complete_async if is_async else sdk.chat.complete

    def _events(self, client: Any, call: Call) -> Iterator[Event]:
        function = client.sdk.chat.stream
        known, beyond = fitting(function, call.request)
        stream, whole = None, ""
        with _asking(beyond) as asked:
            try:
                stream = function(**known, **self._retries())
            except self._sdk_module().errors.SDKError as error:
                _raise_unless_answered(error)
                whole = error.body
        call.begun(asked.response)
        if stream is None:
            yield {WHOLE: json.loads(whole)}
            return
        frames = Frames(_is_error)
        with stream:
            for data in stream.response.iter_bytes():
                yield from frames.feed(data)

    async def _aevents(self, client: Any, call: Call) -> AsyncIterator[Event]:
        function = client.sdk.chat.stream_async
        known, beyond = fitting(function, call.request)
        stream, whole = None, ""
        with _asking(beyond) as asked:
            try:
                stream = await function(**known, **self._retries())
            except self._sdk_module().errors.SDKError as error:
                _raise_unless_answered(error)
                whole = error.body
        call.begun(asked.response)
        if stream is None:
            yield {WHOLE: json.loads(whole)}
            return
        frames = Frames(_is_error)
        async with stream, aclosing(stream.response.aiter_bytes()) as pieces:
            async for data in pieces:
                for event in frames.feed(data):
                    yield event


def _raise_unless_answered(error: Any) -> None:
    """Raise an SDK's exception, unless there is an answer that only the SDK cannot read: one of a
    newer form, or one that is whole where a stream was asked for."""
    if not 200 <= error.status_code < 300:
        raise error


def _is_error(event: Event) -> bool:
    return event.get("object") == "error"
