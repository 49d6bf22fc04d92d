"""`Frames`: bytes of a stream of server-sent events to events as the wire has them: dicts of JSON.

What comes after `[DONE]` is not looked at; it is still received, so that the connection can be used
again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from headrace.sse import ServerSentEvent, SseDecoder

__all__ = ["DONE", "Frames"]

Event = Mapping[str, Any]

DONE: Final[Event] = {"done": True}
"""The event that stands for `data: [DONE]`."""

_DONE: Final = ("[DONE]", '"[DONE]"')  # Cohere's older servers put it in quotes


class Frames:
    """The events of one stream.

    Args:
        is_error: whether an event that is not named "error" is one all the same. Events of errors
            have their body under "error".
    """

    __slots__ = ("_decoder", "_is_error", "_over")

    def __init__(self, is_error: Callable[[Event], bool] = lambda event: False) -> None:
        self._decoder = SseDecoder()
        self._is_error = is_error
        self._over = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that are complete with these bytes.

        Raises:
            ValueError: one of them is not JSON.
        """
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
