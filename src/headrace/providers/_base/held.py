"""`Held`: a client that can be closed, of the SDKs (Cohere's, Mistral's) whose clients cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Held"]


class Held:
    """A client of an SDK that has no `close`, with what closes it.

    sdk: the client. close: gives an awaitable where the client is async; None: its HTTP client is
    the user's, and stays open.
    """

    __slots__ = ("close", "sdk")

    def __init__(self, sdk: Any, close: Callable[[], Any] | None) -> None:
        self.sdk = sdk
        self.close = close
