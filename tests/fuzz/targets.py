"""What is fuzzed: functions that are given any bytes and fail where a promise is broken.

A target reads from the first bytes how the rest is to be treated: in which mode, and cut where. The
rest is text. Whoever finds the bytes, a fuzzer or hypothesis, calls the same functions.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from headrace.errors import (
    EventTooLongError,
    JsonDepthError,
    JsonSyntaxError,
    OutputParserException,
)
from headrace.jsonstream import (
    NOTHING,
    JsonStream,
    parse_and_check_json_markdown,
    parse_json_markdown,
    parse_partial_json,
)
from headrace.merge import merge
from headrace.output_parsers.xml import XMLOutputParser
from headrace.sse import ServerSentEvent, SseDecoder, encode

HEAD = 9  # bytes that say how: one for the mode, eight for the sizes of pieces
LONGEST = 600  # bytes; comparing values recurses, as deep as they are


def _cut(rest: Any, sizes: bytes) -> Iterator[Any]:
    """The text or bytes in pieces of these sizes, again and again."""
    at, turn = 0, 0
    while at < len(rest):
        size = sizes[turn % len(sizes)] % 16 if sizes else len(rest)
        turn += 1
        size += turn % (len(sizes) or 1) == 0  # so that it ends
        yield rest[at : at + size]
        at += size


def _plain(value: Any) -> str:
    """The value as text, read from its storage: 1 is not 1.0, and no method is called."""
    if isinstance(value, dict):
        keys = list(dict.keys(value))
        members = (f"{key!r}:{_plain(dict.__getitem__(value, key))}" for key in keys)
        return ",".join(["{", *members, "}"])
    if isinstance(value, list):
        places = range(list.__len__(value))
        return ",".join(["[", *(_plain(list.__getitem__(value, place)) for place in places), "]"])
    return repr(value)


def _end(stream: JsonStream) -> tuple[Any, JsonSyntaxError | None]:
    try:
        return stream.finish(), None
    except JsonSyntaxError as error:
        return stream.value, error


def json_machine(data: bytes) -> None:
    """The value depends on the text alone; strict is Python's `json`; snapshots do not change."""
    how, sizes, text = data[:1], data[1:HEAD], data[HEAD:].decode("utf-8", "replace")
    bits = how[0] if how else 0
    given: dict[str, Any] = {"mode": ("partial", "delimited")[bits & 1], "strict": bool(bits & 2)}
    stream, at_once = JsonStream(**given, watch=bool(bits & 4)), JsonStream(**given)
    held: list[tuple[Any, str]] = []
    for number, piece in enumerate(_cut(text, sizes)):
        changed = stream.feed(piece)
        if bits & 8:
            value = stream.value
            assert not changed or value is not NOTHING
            if number % 3 == bits % 3 and len(held) < 20:
                held.append((value, _plain(value)))
            del value
    at_once.feed(text)
    assert _plain(stream.value) == _plain(at_once.value)
    (value, error), (whole, other) = _end(stream), _end(at_once)
    assert _plain(value) == _plain(whole)
    assert str(error) == str(other)
    assert type(error) is type(other)
    if error is not None:
        assert text[error.position : error.position + 1] == error.found
    for kept, as_it_was in held:
        assert _plain(kept) == as_it_was
    if bits & 2:
        _as_python_has_it(text, value, error)


def _as_python_has_it(text: str, value: Any, error: JsonSyntaxError | None) -> None:
    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        theirs = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        assert error is not None
    else:
        if isinstance(error, JsonDepthError):
            return
        assert error is None, f"{text!r} is JSON"
        assert _plain(value) == _plain(theirs)


def json_functions(data: bytes) -> None:
    """What is read at once: a value or an error of ours, the machine's value where JSON is all."""
    text = data.decode("utf-8", "replace")
    for read in (parse_partial_json, parse_json_markdown):
        try:
            value = read(text)
        except JsonSyntaxError:
            continue
        try:
            whole = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            continue
        assert _plain(value) == _plain(whole)
    with suppress(OutputParserException):
        assert "a" in parse_and_check_json_markdown(text, ["a"])


def sse_machine(data: bytes) -> None:
    """The events depend on the bytes alone; what is encoded arrives."""
    limit, sizes, rest = 1 + sum(data[:1]) * 2, data[1:HEAD], data[HEAD:]
    found = _events(_cut(rest, sizes), limit)
    assert found == _events([rest], limit)
    # Not `rest.decode`: what a cut sequence at the end stands for is not known yet.
    assert found == _events([codecs.getincrementaldecoder("utf-8")("replace").decode(rest)], limit)
    events, _ = found
    for event in events:
        sent = ServerSentEvent(event.data, event.event, event.id, event.retry)
        assert _events([encode(sent)], 10**6) == ([event], False)


def _events(pieces: Any, limit: int) -> tuple[list[ServerSentEvent], bool]:
    """The events, none of the piece in which one was too long, and whether one was."""
    decoder, events = SseDecoder(max_event=limit), []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
    except EventTooLongError:
        return [], True
    return events, False


def xml_parser(data: bytes) -> None:
    """Elements as they close add up to the whole; what is no XML is the same error either way."""
    how, sizes, text = data[:1], data[1:HEAD], data[HEAD:].decode("utf-8", "replace")
    parser = XMLOutputParser(parser="xml" if how and how[0] & 1 else "defusedxml")
    assert _xml(lambda: parser.parse(text)) == _xml(
        lambda: dict(merge(list(parser.transform(_cut(text, sizes)))))
    )


def _xml(read: Callable[[], Any]) -> tuple[str, str]:
    """The value or the error, as text."""
    try:
        return _plain(read()), ""
    except OutputParserException as error:
        # A stream has not seen more than the text up to there.
        return "", str(error).partition(" The output: ")[0]


TARGETS: dict[str, Callable[[bytes], None]] = {
    "json_machine": json_machine,
    "json_functions": json_functions,
    "sse_machine": sse_machine,
    "xml_parser": xml_parser,
}
