"""Connections that can be shut from another thread: what `with_timeout`, `with_hedge` and `race`
give up in a sync run ends at once, in the middle of a read.

The SDKs of the providers wait in httpx, which waits in httpcore, whose network backend is public
and may be one's own. This one hands on to the one that was there, and reads inside `breakable`.
What a read raises that was broken off is no `Exception`: no SDK takes it for a reason to ask again.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from typing import Any

from headrace._threads import breakable

__all__ = ["break_off"]


class _Stream:
    """A connection (httpcore's `NetworkStream`)."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with breakable(self._shut):
            return self._stream.read(max_bytes, timeout)  # type: ignore[no-any-return]

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *args: Any, **kwargs: Any) -> _Stream:
        return _Stream(self._stream.start_tls(*args, **kwargs))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _shut(self) -> None:
        held = self._stream.get_extra_info("socket")
        if held is not None:
            socket.socket.shutdown(held, socket.SHUT_RDWR)  # of TLS too, whose own would wait


class _Backend:
    """Where connections come from (httpcore's `NetworkBackend`)."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def connect_tcp(self, *args: Any, **kwargs: Any) -> _Stream:
        return _Stream(self._backend.connect_tcp(*args, **kwargs))

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> _Stream:
        return _Stream(self._backend.connect_unix_socket(*args, **kwargs))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


def break_off(client: Any) -> Any:
    """The same client, of a model, with connections that can be shut from another thread. One that
    is made otherwise is left as it is, and waited for."""
    for pool in _pools(client):
        backend = getattr(pool, "_network_backend", None)
        if backend is not None and not isinstance(backend, _Backend):
            pool._network_backend = _Backend(backend)
    return client


# Where a model's client keeps its `httpx.Client`: of openai, anthropic, groq; of cohere; of
# google-genai and of mistralai, as they are used here.
_PLACES = (
    ("_client",),
    ("_client_wrapper", "httpx_client", "httpx_client"),
    ("api", "_httpx_client"),
    ("sdk_configuration", "client", "http"),
)


def _pools(client: Any) -> Iterator[Any]:
    client = getattr(client, "sdk", client)  # of one that is `Held`
    for place in _PLACES:
        found = _at(client, place)
        transports: Iterable[Any] = getattr(found, "_mounts", {}).values()
        for transport in (getattr(found, "_transport", None), *transports):
            pool = getattr(transport, "_pool", None)
            if pool is not None:
                yield pool


def _at(thing: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        thing = getattr(thing, name, None)
    return thing
