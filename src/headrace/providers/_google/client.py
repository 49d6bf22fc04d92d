"""Calling google-genai: whole answers and streams, as dicts of JSON, and its exceptions as faults.

The SDK makes the request: it knows the address, signs it (keys, Google Cloud's credentials), sends
it, asks again, and raises what is refused. Its models of answers are not used: they drop fields
that they do not know, refuse values, lose the response that has to be closed, and take most of the
time of a chunk. So the layer below them is called (`_build_request`, `_request`, `_async_request`
of its `_api_client`, as every one of its own modules does), and events are read here.
"""

from __future__ import annotations

import json
import re
from codecs import getincrementaldecoder
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, closing
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar
from urllib.parse import urlencode

from headrace.jsonstream import JsonStream
from headrace.sse import SseDecoder

from .._base.errors import Fault
from .._base.frames import expect_events
from .._base.hooks import aread_refused, hook_on, read_refused
from .._base.keys import environment
from .._base.model import WHOLE
from .._base.provider import Call, Key, Provider, named

__all__ = ["Client", "Frames", "GoogleProvider"]


class Client:
    """The SDK's client, and how to close what was opened for it."""

    __slots__ = ("api", "close", "timeout")

    def __init__(self, api: Any, close: Callable[[], Any], timeout: Any) -> None:
        self.api = api
        self.close = close
        self.timeout = timeout  # of each request


class GoogleProvider(Provider):
    """What chat models and embeddings over google-genai share.

    Args:
        api_version: of the API (or at the end of base_url, or GOOGLE_GENAI_API_VERSION); "v1beta",
            of Vertex AI "v1beta1", without it, because much of what models can do is only there.
        max_retries: None: none, as the SDK does.
        http_client, http_async_client: `httpx` or `httpx2` clients. Give one for mutual TLS.
        See `ProviderChatModel` for the others.
    """

    _sdk: ClassVar[tuple[str, str]] = ("google.genai", "google")
    _key_names: ClassVar[tuple[str, ...]] = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
    _url_names: ClassVar[tuple[str, ...]] = ("GOOGLE_GEMINI_BASE_URL",)
    _cloud: ClassVar[bool] = False
    """Whether it is Vertex AI."""

    model: str
    api_key: Key = named("api_key", "google_api_key", exclude=True)
    api_version: str | None = None

    # ---- the client -----------------------------------------------------------------------------

    def _connection(self, *, is_async: bool) -> dict[str, Any]:
        settings = super()._connection(is_async=is_async)
        in_url = _VERSIONED.fullmatch(settings.get("base_url") or "")
        if in_url:
            settings["base_url"] = in_url[1]
        version = self.api_version or (in_url and in_url[2])
        version = version or environment("GOOGLE_GENAI_API_VERSION")
        return {**settings, "version": version or ("v1beta1" if self._cloud else "v1beta")}

    def _make_client(self, settings: Mapping[str, Any], *, is_async: bool) -> Client:
        genai = self._sdk_module()
        given = settings.get("http_client")
        http = import_module("httpx2" if find_spec("httpx2") else "httpx")
        context = http.create_ssl_context()
        clients, own = _http_clients(http, context, given, is_async=is_async)
        options: dict[str, Any] = {
            "base_url": settings.get("base_url"),
            "api_version": settings.get("version"),
            "headers": dict(settings.get("default_headers") or {}),
            "httpx_client": clients[0],
            "httpx_async_client": clients[1],
            "async_client_args": {"ssl": context},  # or it makes one for web sockets, in 15 ms
        }
        if "max_retries" in settings:
            options["retry_options"] = {"attempts": settings["max_retries"] + 1}
        who = {name: settings.get(name) for name in ("api_key", "project", "location")}
        client = genai.Client(
            vertexai=self._cloud,
            credentials=settings.get("credentials"),
            http_options={name: value for name, value in options.items() if value is not None},
            **who,
        )
        timeout = settings.get("timeout", getattr(given, "timeout", None))
        return Client(client._api_client, own, timeout)

    # ---- requests -------------------------------------------------------------------------------

    def _path(self, model: str, verb: str) -> str:
        """Where a method of a model is."""
        query = dict(self.default_query or {})
        if verb.startswith("stream"):
            query = {"alt": "sse", **query}
        return f"{self._full_name(model)}:{verb}{'?' if query else ''}{urlencode(query)}"

    def _full_name(self, model: str) -> str:
        if model.startswith(_FULL_NAMES):
            return model
        if not self._cloud:
            return f"models/{model}"
        publisher, _, name = model.rpartition("/")
        return f"publishers/{publisher or 'google'}/models/{name}"

    def _prepared(self, client: Client, call: Call, verb: str) -> Any:
        path = self._path(call.request["model"], verb)
        request = client.api._build_request("post", path, dict(call.request["body"]), None)
        request.timeout = client.timeout  # the SDK's own would also limit the whole answer
        return request

    def _received(self, client: Client, call: Call, verb: str) -> Any:
        """The HTTP client's response, of which nothing is read yet."""
        request = self._prepared(client, call, verb)
        response = client.api._request(request, None, stream=True).response_stream
        call.begun(response)
        return response

    async def _areceived(self, client: Client, call: Call, verb: str) -> Any:
        request = self._prepared(client, call, verb)
        answered = await client.api._async_request(request, None, stream=True)
        response = answered.response_stream
        call.begun(response)
        return response

    def _asked(self, client: Client, call: Call, verb: str) -> Mapping[str, Any]:
        """A whole answer."""
        with closing(self._received(client, call, verb)) as response:
            answer: Mapping[str, Any] = json.loads(response.read())
            return answer

    async def _aasked(self, client: Client, call: Call, verb: str) -> Mapping[str, Any]:
        async with aclosing(await self._areceived(client, call, verb)) as response:
            answer: Mapping[str, Any] = json.loads(await response.aread())
            return answer

    def _frames(self, client: Client, call: Call, verb: str) -> Iterator[Mapping[str, Any]]:
        """The events of a stream."""
        frames = Frames()
        with closing(self._received(client, call, verb)) as response:
            for data in response.iter_bytes():
                yield from frames.feed(data)
            yield from frames.finish()

    async def _aframes(
        self, client: Client, call: Call, verb: str
    ) -> AsyncIterator[Mapping[str, Any]]:
        frames = Frames()
        async with aclosing(await self._areceived(client, call, verb)) as response:
            async with aclosing(response.aiter_bytes()) as pieces:
                async for data in pieces:
                    for event in frames.feed(data):
                        yield event
            for event in frames.finish():
                yield event

    # ---- failures -------------------------------------------------------------------------------

    def _fault_of(self, error: Exception) -> Fault | None:
        said: Any = error
        auth = import_module("google.auth.exceptions")
        if isinstance(said, import_module("google.genai.errors").APIError):
            headers = getattr(said.response, "headers", None) or {}
            return Fault(said.code, said.details, headers)
        if isinstance(error, auth.TransportError):  # the network's fault
            return None
        if isinstance(error, auth.GoogleAuthError):
            return Fault(None, {"message": str(error), "code": "authentication_error"})
        return None

    def _sdk_error(self, event: Mapping[str, Any], call: Call) -> Exception | None:
        errors = import_module("google.genai.errors")
        inner = event["error"]
        code = inner.get("code") if isinstance(inner, Mapping) else None
        kind = errors.ServerError if isinstance(code, int) and code >= 500 else errors.ClientError
        return kind(code or call.status, dict(event))  # type: ignore[no-any-return]


_VERSIONED = re.compile(r"(.*)/(v\d+(?:(?:alpha|beta)\d*)?)/?")  # an address with the version
_FULL_NAMES = ("models/", "tunedModels/", "publishers/", "projects/")


def _http_clients(
    http: Any, context: Any, given: Any, *, is_async: bool
) -> tuple[tuple[Any, Any], Callable[[], Any]]:
    """HTTP clients for sync and for async calls, and what closes the one that is used.

    The SDK's own async client keeps one pool for each event loop, or is aiohttp's where that is
    installed, whose time limit is for the whole answer; its finalizers start tasks. So it gets
    ours, of which one is used: `Clients` has a client of the SDK for each colour and loop.
    """
    plain = http.Client(verify=context, follow_redirects=True, timeout=None)
    other = http.AsyncClient(verify=context, follow_redirects=True, timeout=None)
    if is_async:
        hook_on(given or other, aread_refused)
        return (plain, given or other), other.aclose
    hook_on(given or plain, read_refused)
    return (given or plain, other), plain.close


class Frames:
    """Bytes of an answer to JSON values: server-sent events; or, from servers that do not know
    `alt=sse`, and of errors, JSON: a list of the values, or one, which is the event `WHOLE`. A
    server that fails in the middle of its events writes the error as bare JSON behind them."""

    __slots__ = ("_decode", "_end", "_json", "_sse")

    def __init__(self) -> None:
        self._sse: SseDecoder | None = None
        self._json: JsonStream | None = None
        self._end = b""  # what came last
        self._decode = getincrementaldecoder("utf-8")(errors="replace").decode

    def feed(self, data: bytes) -> list[Mapping[str, Any]]:
        """The values that are complete with these bytes."""
        if self._sse is None and self._json is None:
            begun = data.lstrip()
            if not begun:
                return []
            if begun[:1] in (b"{", b"["):
                self._json = JsonStream(mode="delimited", strict=True, watch="[*]")
            else:
                expect_events(data)
                self._sse = SseDecoder()
        if self._sse is not None:
            self._end = (self._end + data)[-_ROOM:]
            return [_value(json.loads(event.data)) for event in self._sse.feed(data)]
        assert self._json is not None
        self._json.feed(self._decode(data))
        return [_value(value) for _, value in self._json.completed()]

    def finish(self) -> list[Mapping[str, Any]]:
        """The answer that came as a whole, the error that came last; a list that broke off is left
        to its reader."""
        if self._sse is not None:
            return _bare_error(self._end.decode(errors="replace"))
        value = self._json.value if self._json is not None and self._json.done else None
        return [{WHOLE: value}] if isinstance(value, dict) else []


def _bare_error(text: str) -> list[Mapping[str, Any]]:
    """The error that stands at the end of a stream, without being an event."""
    begun = _BARE.search(text)
    try:
        value = json.loads(text[begun.start() :]) if begun else None
    except ValueError:
        return []
    value = value[0] if isinstance(value, list) and value else value
    return [value] if isinstance(value, dict) and value.get("error") else []


_BARE = re.compile(r"^[{\[]", re.MULTILINE)
_ROOM = 16_384  # bytes that such an error may have


def _value(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {"value": value}
