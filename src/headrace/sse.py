"""Server-Sent Events: bytes or text in pieces of any size in, events out; and events to bytes.

    decoder = SseDecoder()
    decoder.feed(b"event: token\\ndata: par")  # []
    decoder.feed(b"rot\\n\\n")                  # [ServerSentEvent(data='parrot', event='token')]
    decoder.finish()                          # an event without its blank line is given up

Sans-IO and linear in the text. Source: WHATWG HTML, section 9.2, "Server-sent events". A line ends
with CR, LF or CRLF and with nothing else; lines, line ends, the byte order mark and UTF-8
sequences may be cut anywhere. Bytes that are no UTF-8 become U+FFFD, as the standard has it.
"""

from __future__ import annotations

import codecs
import re
from typing import Any, Final

from headrace.errors import EventTooLongError, InputError

__all__ = ["KEEP_ALIVE", "MAX_EVENT", "ServerSentEvent", "SseDecoder", "encode"]

KEEP_ALIVE: Final = b":\n\n"  # a comment: keeps proxies from closing a connection that is silent
MAX_EVENT: Final = 16 * 1024 * 1024  # characters in one event, names of fields and all

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_DIGITS: Final = re.compile(r"[0-9]{1,18}")  # Python refuses to read very long ones


class ServerSentEvent:
    """One event.

    Attributes:
        data: what was sent, lines joined by LF.
        event: its type; `"message"` where none was sent.
        id: the last event id, also where an earlier event brought it; empty while there is none.
        retry: milliseconds to wait before connecting again, where this event says so.
    """

    __slots__ = ("data", "event", "id", "retry")

    def __init__(
        self, data: str = "", event: str = "message", id: str = "", retry: int | None = None
    ) -> None:
        self.data = data
        self.event = event
        self.id = id
        self.retry = retry

    def _all(self) -> tuple[Any, ...]:
        return self.data, self.event, self.id, self.retry

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ServerSentEvent):
            return NotImplemented
        return self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        shown = [f"data={self.data!r}"]
        shown += [f"event={self.event!r}"] if self.event != "message" else []
        shown += [f"id={self.id!r}"] if self.id else []
        shown += [f"retry={self.retry}"] if self.retry is not None else []
        return f"ServerSentEvent({', '.join(shown)})"


class SseDecoder:
    """Reads events that arrive in pieces.

    Args:
        max_event: characters that one event may have, its comments and unknown fields included.

    Attributes:
        last_event_id: what to send as `Last-Event-ID` when connecting again.
        retry: milliseconds to wait before that, as the server said last, or None.
    """

    __slots__ = (
        *("_cr", "_data", "_event", "_first", "_id", "_left", "_line", "_max", "_retry", "_utf8"),
        *("last_event_id", "retry"),
    )

    def __init__(self, *, max_event: int = MAX_EVENT) -> None:
        self.last_event_id = self._id = ""
        self.retry: int | None = None
        self._max = max_event
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._line: list[str] = []  # parts of the line that was cut
        self._data: list[str] = []
        self._first = True  # a byte order mark may come
        self._cr = False  # the last piece ended with CR: an LF that comes first belongs to it
        self._begin()

    def feed(self, piece: bytes | str) -> list[ServerSentEvent]:
        """Read a piece of any size; the events that it ends.

        Raises:
            EventTooLongError: an event has more than `max_event` characters.
        """
        text = piece if isinstance(piece, str) else self._utf8.decode(piece)
        if not text:
            return []
        if self._first:
            self._first = False
            text = text.removeprefix("\ufeff")
        if self._cr:
            text = text.removeprefix("\n")
        self._cr = text.endswith("\r")
        *lines, rest = _LINE_END.split(text) if "\r" in text else text.split("\n")
        events: list[ServerSentEvent] = []
        for line in lines:
            self._spend(len(line) + 1)
            if self._line:
                line = "".join([*self._line, line])
                self._line.clear()
            if line:
                if line.startswith("data: "):  # most lines by far
                    self._data.append(line[6:])
                else:
                    self._field(line)
                continue
            if self._data:
                data = "\n".join(self._data)
                events.append(
                    ServerSentEvent(data, self._event or "message", self._id, self._retry)
                )
            self.last_event_id = self._id
            self._begin()
        if rest:
            self._spend(len(rest))
            self._line.append(rest)
        return events

    def finish(self) -> list[ServerSentEvent]:
        """The stream has ended: an event that is not complete is given up, as the standard has it.

        Returns:
            Nothing, always. What is fed next is another stream, after the same last event.
        """
        self._utf8.reset()
        self._first, self._cr = True, False
        self._id = self.last_event_id
        self._line.clear()
        self._begin()
        return []

    def _begin(self) -> None:
        """Another event begins."""
        self._left = self._max
        self._data.clear()
        self._event = ""
        self._retry: int | None = None

    def _spend(self, size: int) -> None:
        """So many characters more belong to the event at hand."""
        self._left -= size
        if self._left < 0:
            raise EventTooLongError(self._max)

    def _field(self, line: str) -> None:
        """A line that is not blank; comments and unknown fields are ignored."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and _DIGITS.fullmatch(value):
            self._retry = self.retry = int(value)


def encode(event: ServerSentEvent) -> bytes:
    """The event as it is sent.

    Each line of `data` is sent by itself; CR and CRLF arrive as LF. What UTF-8 does not have, a
    surrogate alone, is sent as `?`.

    Raises:
        InputError: a type or an id of more than one line, or an id with a NUL.
    """
    lines = []
    for name, value in (("event", event.event), ("id", event.id)):
        if _LINE_END.search(value) or (name == "id" and "\0" in value):
            raise InputError(f"The {name} of an event is one line without NUL, not {value!r}.")
        if value and (name, value) != ("event", "message"):
            lines.append(f"{name}: {value}")
    if event.retry is not None:
        lines.append(f"retry: {event.retry}")
    lines += [f"data: {line}" for line in _LINE_END.split(event.data)]
    return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")
