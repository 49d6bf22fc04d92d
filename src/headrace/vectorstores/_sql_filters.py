"""A filter of metadata as SQL over a column of JSON, where SQL says the same as Python.

    where(parsed({"year": {"$gte": 2000}}))  ->  an expression of SQL, and its parameters

What it cannot say exactly (lists and dicts as values, numbers that SQLite has no room for, names
with quotes in them) is None: then the filter is asked as a function.

Source: https://www.sqlite.org/json1.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from .filters import All, AnyOf, Compare, Condition, Not

__all__ = ["where"]

Expression: TypeAlias = tuple[str, list[Any]]

_MANY = 500  # values in one list; SQLite counts parameters
_WHOLE = 2**53  # beyond, a whole number of JSON may be read as a rounded one

_NUMBERS = "('integer', 'real', 'true', 'false')"  # true is 1, as in Python
_ORDER = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


def where(condition: Condition) -> Expression | None:
    """The condition on a column `metadata`; never NULL. None where SQL cannot say it."""
    match condition:
        case All(conditions):
            return _joined(conditions, " AND ", "1")
        case AnyOf(conditions):
            return _joined(conditions, " OR ", "0")
        case Not(inner):
            return _not(where(inner))
        case Compare(field, name, value):
            return _compared(field, name, value)


def _joined(conditions: Sequence[Condition], word: str, none: str) -> Expression | None:
    texts, parameters = [], []
    for each in conditions:
        said = where(each)
        if said is None:
            return None
        texts.append(said[0])
        parameters.extend(said[1])
    return f"({word.join(texts)})" if texts else none, parameters


def _not(said: Expression | None) -> Expression | None:
    return said and (f"NOT {said[0]}", said[1])


def _compared(field: Any, name: str, value: Any) -> Expression | None:
    path = _path(field)
    if path is None:
        return None
    if name in ("$in", "$nin"):
        found = _one_of(path, value)
        return _not(found) if name == "$nin" else found
    if name in ("$eq", "$ne"):
        equal = _with(path, "=", value)
        return _not(equal) if name == "$ne" else equal
    return ("0", []) if value is None else _with(path, _ORDER[name], value)


def _path(field: Any) -> str | None:
    """The field as a path of JSON in quotes of SQL."""
    if not isinstance(field, str) or not field.isprintable() or '"' in field or "\\" in field:
        return None
    return "'$.\"" + field.replace("'", "''") + "\"'"


def _with(path: str, sign: str, value: Any) -> Expression | None:
    kind, content = f"json_type(metadata, {path})", f"json_extract(metadata, {path})"
    if value is None:
        return f"({content} IS NULL)", []
    if isinstance(value, str):
        # Halves of surrogate pairs cannot be handed over, and a zero ends a text in places.
        ok = "\0" not in value and not any("\ud800" <= c <= "\udfff" for c in value)
        return (f"({kind} IS 'text' AND {content} {sign} ?)", [value]) if ok else None
    if isinstance(value, (int, float)):
        ok = abs(value) <= _WHOLE if math.isfinite(value) else False
        said = f"(ifnull({kind} IN {_NUMBERS}, 0) AND {content} {sign} ?)"
        return (said, [int(value) if isinstance(value, bool) else value]) if ok else None
    return None


def _one_of(path: str, values: Sequence[Any]) -> Expression | None:
    if len(values) > _MANY:
        return None
    found = [_with(path, "=", value) for value in values]
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return None
    parameters = [parameter for each in known for parameter in each[1]]
    return f"({' OR '.join(each[0] for each in known)})" if known else "0", parameters
