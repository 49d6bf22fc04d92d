"""Calling the SDKs that Stainless makes (openai, anthropic, groq): whole answers and streams, as
dicts of JSON, and their exceptions as faults.

The SDK makes the request, signs it, asks again, and opens the response; events are read here, from
the response's bytes (`with_streaming_response`). Its own stream classes hide how a stream ended
(`[DONE]`), without which one that was cut looks like a short one, and spend 60 µs on an event; see
docs/decisions/0006-providers.md.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from .errors import Fault, in_body
from .fitting import fitting
from .frames import Frames, is_whole
from .model import WHOLE, ProviderChatModel
from .provider import Call, Provider

__all__ = ["Stainless", "StainlessChatModel"]


class Stainless(Provider):
    """Over an SDK of this kind. A vendor says which `_resource` of the client has the `create` that
    is to be called, and which classes its clients have."""

    @abstractmethod
    def _resource(self, client: Any, call: Call) -> Any:
        """What has the `create` for a call, e.g. `client.chat.completions`."""

    @abstractmethod
    def _client_classes(self) -> tuple[Any, Any]:
        """The SDK's classes of clients: for sync calls, and for async ones."""

    def _make_client(self, settings: Mapping[str, Any], *, is_async: bool) -> Any:
        return self._client_classes()[is_async](**settings)

    def _whole_answer(self, client: Any, call: Call) -> Mapping[str, Any]:
        resource = self._resource(client, call)
        raw = resource.with_raw_response.create(**_arguments(resource.create, call.request))
        return call.answered(raw.http_response)

    async def _awhole_answer(self, client: Any, call: Call) -> Mapping[str, Any]:
        resource = self._resource(client, call)
        raw = await resource.with_raw_response.create(**_arguments(resource.create, call.request))
        return call.answered(raw.http_response)

    def _fault_of(self, error: Exception) -> Fault | None:
        told: Any = error
        if not isinstance(error, self._sdk_module().APIStatusError):
            return None
        try:
            body: Any = told.response.text
        except RuntimeError:  # it was not read, or is closed
            body = told.body
        return Fault(told.status_code, body, told.response.headers)

    def _sdk_error(self, event: Mapping[str, Any], call: Call) -> Exception | None:
        said, _ = in_body(event)
        kind: Any = self._sdk_module().APIError
        return kind(said, call.sent, body=event["error"])  # type: ignore[no-any-return]


class StainlessChatModel(Stainless, ProviderChatModel):
    """Base of the chat models over an SDK of this kind."""

    # ---- streams --------------------------------------------------------------------------------

    def _events(self, client: Any, call: Call) -> Iterator[Mapping[str, Any]]:
        resource = self._resource(client, call)
        arguments = _arguments(resource.create, call.request)
        with resource.with_streaming_response.create(**arguments) as response:
            call.begun(response.http_response)
            if is_whole(response):
                call.streams = False
                yield {WHOLE: json.loads(response.read())}
                return
            frames = Frames()
            for data in response.iter_bytes():
                yield from frames.feed(data)

    async def _aevents(self, client: Any, call: Call) -> AsyncIterator[Mapping[str, Any]]:
        resource = self._resource(client, call)
        arguments = _arguments(resource.create, call.request)
        async with resource.with_streaming_response.create(**arguments) as response:
            call.begun(response.http_response)
            if is_whole(response):
                call.streams = False
                yield {WHOLE: json.loads(await response.read())}
                return
            frames = Frames()
            async with aclosing(response.iter_bytes()) as pieces:
                async for data in pieces:
                    for event in frames.feed(data):
                        yield event


def _arguments(create: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """A request as arguments of `create`; what the SDK does not know goes into its `extra_body`."""
    arguments, beyond = fitting(create, request)
    if beyond:
        arguments["extra_body"] = {**beyond, **(request.get("extra_body") or {})}
    return arguments
