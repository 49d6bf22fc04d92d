"""Values checked by JSON schemas: the `jsonschema` library, and its verdict as one sentence.

    check = checker({"properties": {"age": {"type": "integer"}}})   # raises where it is no schema
    check({"age": "old"})     # "at age: 'old' is not of type 'integer' (type)."
    check({"age": 3})         # None

The draft is what the schema's own `$schema` names, without one 2020-12. Nothing is ever fetched:
a reference leads into the schema by a path, as in `#/$defs/Name`, or the schema is refused.
`format` is a note and not checked, as the standard has it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from ..errors import ConfigError
from .references import find

__all__ = ["Check", "checker"]

Check = Callable[[Any], str | None]
"""None for a value that goes with the schema, else a sentence: the place, what is wrong there, and
in brackets the keyword that says so."""

_REFUSED: Final = ("$dynamicRef", "$recursiveRef")  # where they lead is known during a check only
_SHOWN: Final = 120  # characters of an offending value
_SAID: Final = 400  # characters of a sentence: some list all that a schema allows


def checker(schema: Mapping[str, Any]) -> Check:
    """The check of values by a schema. It is kept: a schema that says the same gets the same one.

    Raises:
        ConfigError: it is no JSON schema of its draft, or refers to what is not in it.
    """
    try:
        return _made(json.dumps(schema))
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"JSON has no words for the JSON schema {schema!r}: {error}.") from error


@lru_cache(maxsize=256)
def _made(text: str) -> Check:
    # 40 ms: never when a module is imported.
    from jsonschema.exceptions import SchemaError, best_match
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    schema: Any = json.loads(text)
    kind = _draft(schema)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise ConfigError(
            f"This is no JSON schema: {_sentence(error)} Its draft is "
            f"{kind.META_SCHEMA['$schema']}; '$schema' would name another."
        ) from error
    _followed(schema)
    validator = kind(schema, registry=Registry())  # one that retrieves nothing

    def check(value: Any) -> str | None:
        try:
            # of several on one level `best_match` takes the last; whoever mends begins at the first
            first = min(validator.iter_errors(value), key=_height, default=None)
            error = None if first is None else best_match([first])
        except RecursionError:
            return (
                "what is nested in it goes deeper than a schema is followed, or the schema refers "
                "to itself without an end."
            )
        except Unresolvable as wrong:  # behind an `$id` of a part, a path begins anew
            raise ConfigError(
                f"The JSON schema refers to {wrong.ref!r}, which is not in the part of it that has "
                "an '$id' of its own: leave that '$id' out."
            ) from wrong
        return None if error is None else _sentence(error)

    return check


def _height(error: Any) -> tuple[int, bool]:
    """Least for what is wrong with most of the value; alternatives say less than other rules."""
    return len(error.path), error.validator in ("anyOf", "oneOf")


def _draft(schema: Mapping[str, Any]) -> Any:
    """The library's class for the draft that a schema names."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for

    named = schema.get("$schema")
    if named is None:
        return Draft202012Validator
    nothing: Any = None  # without a default the library warns, and takes its latest
    found: Any = validator_for(schema, default=nothing) if isinstance(named, str) else None
    if found is None:
        raise ConfigError(
            f"The JSON schema names a draft that is not known, '$schema': {named!r}: leave it out "
            f"for {Draft202012Validator.META_SCHEMA['$id']}."
        )
    return found


def _followed(schema: Mapping[str, Any]) -> None:
    """Refuses references that lead nowhere, before a value meets them."""
    for part in _parts(schema):
        for word in _REFUSED:
            if word in part:
                raise ConfigError(
                    f"The JSON schema says {word!r}, which Headrace does not follow: write the "
                    "schema with '$ref' and '$defs', or give a pydantic class."
                )
        if isinstance(part.get("$ref"), str):
            find(schema, part["$ref"])


def _parts(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A schema and the schemas inside it, wherever its draft has them."""
    from referencing import Resource
    from referencing.jsonschema import DRAFT202012

    whole: Any = schema
    waiting = [Resource.from_contents(whole, default_specification=DRAFT202012)]
    while waiting:
        part = waiting.pop()
        if isinstance(part.contents, Mapping):
            yield part.contents
        waiting.extend(part.subresources())


def _sentence(error: Any) -> str:
    said, value = str(error.message), repr(error.instance)
    if len(value) > _SHOWN:
        said = said.replace(value, f"{value[:_SHOWN]}…")
    said = said if len(said) <= _SAID else f"{said[:_SAID]}…"
    return f"{_place(error.absolute_path)}{said} ({error.validator})."


def _place(path: Iterable[str | int]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return f"at {''.join(parts).removeprefix('.')}: " if parts else ""
