"""JSON that arrives in pieces: the value so far at any moment, and what has become complete.

- `JsonStream`: the machine; `feed(text)`, `value`, `finish()`, `completed()`.
- `parse_partial_json`, `parse_json_markdown`, `parse_and_check_json_markdown`: one text at once.
- `NOTHING`: what `value` is while no value has begun.
- `LongCopies`: for who makes snapshots of long containers, too; of `LONG` elements or more.

Standard library only. Times, sharing and limits are in the docstrings of `_machine` and
`_snapshot`.
"""

from headrace.jsonstream._functions import (
    parse_and_check_json_markdown,
    parse_json_markdown,
    parse_partial_json,
)
from headrace.jsonstream._lexical import NOTHING, Nothing
from headrace.jsonstream._machine import MAX_DEPTH, JsonStream, Mode
from headrace.jsonstream._path import Path, Selector
from headrace.jsonstream._snapshot import LONG, LongCopies

__all__ = [
    "LONG",
    "MAX_DEPTH",
    "NOTHING",
    "JsonStream",
    "LongCopies",
    "Mode",
    "Nothing",
    "Path",
    "Selector",
    "parse_and_check_json_markdown",
    "parse_json_markdown",
    "parse_partial_json",
]
