"""One-shot functions on the JSON machine, with the results that LangChain's have.

`parse_partial_json` reads JSON that may be cut anywhere, `parse_json_markdown` finds it in what a
model says first, `parse_and_check_json_markdown` wants some keys in it as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from headrace.errors import JsonDepthError, JsonSyntaxError, OutputParserException
from headrace.jsonstream._lexical import NOTHING
from headrace.jsonstream._machine import MAX_DEPTH, JsonStream

__all__ = ["parse_and_check_json_markdown", "parse_json_markdown", "parse_partial_json"]

# Python's own parser reads complete JSON at C speed, and the same values.
_WHOLE = json.JSONDecoder(strict=False)

_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[{}\[\]]', re.DOTALL)
_CLOSES: Final = {"}": "{", "]": "["}
_FENCE = re.compile(r"```(?:json)?(.*)", re.DOTALL)
_AROUND: Final = " \n\r\t`"


def parse_partial_json(s: str, *, strict: bool = False) -> Any:
    """The value of a JSON text that may be cut anywhere, as far as it goes.

    Keys without a value, and numbers and literals that have only begun, are left out. Unless
    strict, text after the value is ignored, and where the text goes wrong while containers are
    still open the value up to there counts.

    Returns:
        The value; None where a bracket closes one of the other kind.

    Raises:
        JsonSyntaxError: no value begins, or a text whose containers are all closed is not JSON.
        JsonDepthError: more than 1,000 containers are open at a time.
    """
    if not strict and (whole := _whole(s)) is not NOTHING:
        return whole
    stream = JsonStream(strict=strict, prose=False)
    stream.feed(s)
    return _so_far(stream, s, strict=strict)


def parse_json_markdown(json_string: str, *, parser: Callable[[str], Any] | None = None) -> Any:
    """The value of the first JSON in a text: bare, in a Markdown fence or in prose; cut anywhere.

    Args:
        json_string: what a model said.
        parser: reads the JSON text in place of the JSON machine; it is given the whole text and,
            where it raises ValueError, what stands in the first fence, without what surrounds it.

    Raises:
        JsonSyntaxError: no value begins, or a text whose containers are all closed is not JSON.
        JsonDepthError: more than 1,000 containers are open at a time.
    """
    text = json_string.strip(_AROUND)
    if parser is None:
        if (whole := _whole(text)) is not NOTHING:
            return whole
        stream = JsonStream()
        stream.feed(json_string)
        return _so_far(stream, json_string[stream.begins :], strict=False)
    try:
        return parser(text)
    except ValueError:
        fenced = _FENCE.search(json_string)
        if fenced is None:
            raise
    return parser(fenced[1].strip(_AROUND))


def parse_and_check_json_markdown(text: str, expected_keys: Iterable[str]) -> dict[str, Any]:
    """The object in a text, as `parse_json_markdown` finds it, with all of the expected keys.

    Raises:
        OutputParserException: no JSON, another kind of value, or a key is missing.
    """
    try:
        found = parse_json_markdown(text)
    except JsonSyntaxError as error:
        raise OutputParserException(str(error), llm_output=text) from error
    if not isinstance(found, dict):
        raise OutputParserException(
            f"A JSON object was expected, the text holds {found!r}.", llm_output=text
        )
    missing = [key for key in expected_keys if key not in found]
    if missing:
        raise OutputParserException(
            f"The JSON object lacks the keys {missing}: it has {sorted(found)}.", llm_output=text
        )
    return found


def _whole(text: str) -> Any:
    """The value of a complete JSON text, or `NOTHING` where it is for the machine to say."""
    # So that the limit on depth is one: Python's parser has another.
    if text.count("[") + text.count("{") > MAX_DEPTH:
        return NOTHING
    try:
        return _WHOLE.decode(text)
    except (ValueError, RecursionError):
        return NOTHING


def _so_far(stream: JsonStream, text: str, *, strict: bool) -> Any:
    """The value of a stream whose text ended, `text` being its JSON and what follows."""
    try:
        return stream.finish()
    except JsonDepthError:
        raise
    except JsonSyntaxError as error:
        if stream.value is NOTHING or (strict and error.found):
            raise
        if error.found:
            closed = _closed(text)
            if closed is None:
                return None
            if closed:
                raise
    return stream.value


def _closed(text: str) -> bool | None:
    """Whether each bracket of a text is closed; None where one is by the other kind."""
    stack: list[str] = []
    for match in _BRACKETS.finditer(text):
        sign = match[0]
        if sign in "{[":
            stack.append(sign)
        elif sign in _CLOSES and (not stack or stack.pop() != _CLOSES[sign]):
            return None
    return not stack
