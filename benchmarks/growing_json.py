"""JSON that is looked at while it arrives, four characters at a time: read once or again and again.

Headrace's machine reads each piece once. All others read the whole text so far for each value. As
that is quadratic, they do it for `SAMPLES` prefixes, as far from each other, so that what a chunk
costs is the mean over the whole stream; their prefixes are joined and encoded beforehand, unseen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from . import chains, data
from .jobs import Job, Library

SAMPLES = 64


def _prefixes(size: int) -> list[str]:
    """The texts to read: all that has come at some of the pieces, the last one among them."""
    text = "".join(data.json_fours(size))
    count = min(size, SAMPLES)
    return [text[: 4 * (size * number // count)] for number in range(1, count + 1)]


def _again(read: Callable[[Any], Any], prefixes: list[Any]) -> Job:
    """A value of each prefix, read from its beginning."""
    return Job("stream", lambda _: map(read, prefixes), sampled=len(prefixes))


# ------------------------------------------------------------------ by hand


def jiter(size: int) -> Job:
    from jiter import from_json

    prefixes = [prefix.encode() for prefix in _prefixes(size)]
    return _again(lambda text: from_json(text, partial_mode="trailing-strings"), prefixes)


def pydantic(size: int) -> Job:
    from pydantic_core import from_json

    prefixes = [prefix.encode() for prefix in _prefixes(size)]
    return _again(lambda text: from_json(text, allow_partial="trailing-strings"), prefixes)


def at_the_end(size: int) -> Job:
    pieces = data.json_fours(size)

    def go(_: Any) -> Iterator[Any]:
        yield json.loads("".join(pieces))

    return Job("stream", go)


# ------------------------------------------------------------------ the libraries


def values(lib: Library, size: int) -> Job:
    """Headrace's machine with a snapshot at each change; langchain-core's function, that reads a
    text from its beginning."""
    if lib.package != "headrace":
        return _again(lib.utils.json.parse_partial_json, _prefixes(size))
    pieces = data.json_fours(size)
    machine = lib.jsonstream.JsonStream

    def go(_: Any) -> Iterator[Any]:
        stream = machine()
        for piece in pieces:
            if stream.feed(piece):
                yield stream.value

    return Job("stream", go)


def parsed(lib: Library, size: int) -> Job:
    """The parser in a chain, end to end."""
    chain = chains.Source(lib, data.json_fours(size)).step | lib.output_parsers.JsonOutputParser()
    return Job("stream", lambda _: chain.stream("go"))


KB = (1, 8, 64, 256)
RAW: dict[str, Callable[[int], Job]] = {
    **{f"json-{kb}k": jiter for kb in KB},
    **{f"json-parser-{kb}k": pydantic for kb in KB},
    "grow-json-text": at_the_end,
}
JOBS: dict[str, Callable[[Library, int], Job]] = {
    **{f"json-{kb}k": values for kb in KB},
    **{f"json-parser-{kb}k": parsed for kb in KB},
    "grow-json-text": values,
}
