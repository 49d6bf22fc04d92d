"""Hooks on an HTTP client (httpx's "event hooks", public there), for the SDKs that read the body of
a refused request in one way only: what is no JSON is text to them, and what is no UTF-8 breaks
them, so that nobody learns the status.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

__all__ = ["aread_refused", "hook_on", "read_refused"]


def hook_on(http: Any, *hooks: Callable[[Any], Any]) -> None:
    """Have these functions called with each response of a client; once, however often it is asked.
    A client of the user's that is none of httpx's stays as it is."""
    known = getattr(http, "event_hooks", None)
    if known is None:
        return
    there = known.get("response", [])
    new = [hook for hook in hooks if hook not in there]
    http.event_hooks = {**known, "response": [*there, *new]}


def read_refused(response: Any) -> None:
    """Read a refused request's body, and make it text in UTF-8 where it is none."""
    if not response.is_success:
        response.read()
        _make_text(response)


async def aread_refused(response: Any) -> None:
    """`read_refused` for async clients."""
    if not response.is_success:
        await response.aread()
        _make_text(response)


def _make_text(response: Any) -> None:
    try:
        json.loads(response.content)  # which knows UTF-16 and UTF-32 too
    except UnicodeDecodeError:
        response._content = response.text.encode()  # as its headers say; � for what is no text
    except ValueError:  # text in UTF-8 that is no JSON: the SDKs take it as it is
        return
