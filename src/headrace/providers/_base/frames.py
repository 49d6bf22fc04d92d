"""`Frames`: bytes of a stream of server-sent events to events as the wire has them: dicts of JSON.

What comes after `[DONE]` is not looked at; it is still received, so that the connection can be used
again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from headrace.sse import ServerSentEvent, SseDecoder

__all__ = ["DONE", "Frames", "NoEvents", "expect_events", "is_whole"]

Event = Mapping[str, Any]

DONE: Final[Event] = {"done": True}
"""The event that stands for `data: [DONE]`."""

_DONE: Final = ("[DONE]", '"[DONE]"')  # Cohere's older servers put it in quotes


# How a line of a stream of events begins: a field's name, which ends with a colon or the line.
_FIELD: Final = re.compile(rb"[\w-]*(:|[\r\n]|\Z)")


class NoEvents(ValueError):
    """Something came that is no stream of events, such as a web page; `doc` is its start."""

    def __init__(self, doc: str) -> None:
        super().__init__("no server-sent events")
        self.doc = doc


def expect_events(data: bytes) -> bool:
    """Whether the first bytes of a stream say anything yet.

    Raises:
        NoEvents: they are not how a stream of events begins.
    """
    begun = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not _FIELD.match(begun):
        raise NoEvents(begun.decode(errors="replace"))
    return bool(begun)


def is_whole(response: Any) -> bool:
    """Whether a response to a request for a stream has no events, but the answer as JSON: some
    servers do not know `stream`."""
    return "application/json" in response.headers.get("content-type", "")


class Frames:
    """The events of one stream.

    Args:
        is_error: whether an event that is not named "error" is one all the same. Events of errors
            have their body under "error".
    """

    __slots__ = ("_begun", "_decoder", "_is_error", "_over")

    def __init__(self, is_error: Callable[[Event], bool] = lambda event: False) -> None:
        self._decoder = SseDecoder()
        self._is_error = is_error
        self._begun = False
        self._over = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that are complete with these bytes.

        Raises:
            ValueError: one of them is not JSON; `NoEvents`: it is no stream of events at all.
        """
        self._begun = self._begun or expect_events(data)
        for event in self._decoder.feed(data):
            if self._over:
                return
            self._over = event.data.startswith(_DONE)
            yield DONE if self._over else self._parsed(event)

    def _parsed(self, event: ServerSentEvent) -> Event:
        value = json.loads(event.data)
        if not isinstance(value, dict):
            return {"value": value}
        if (event.event == "error" or self._is_error(value)) and not value.get("error"):
            return {"error": value}
        return value
