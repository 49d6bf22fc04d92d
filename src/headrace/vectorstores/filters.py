"""Filters of metadata: a dict read once into a tree, and the tree as a function.

    {"year": 2020}                            equal
    {"year": [2020, 2021]}                    one of these, like {"year": {"$in": [...]}}
    {"year": {"$gte": 2000, "$lt": 2010}}     all of these: $eq $ne $neq $gt $gte $lt $lte $in $nin
    {"$or": [{...}, {...}]}, {"$and": [...]}, {"$not": {...}}

The conditions of one dict must all hold. A field that is missing is None. Of values that have no
order between them, such as None and 5, neither $gt nor $lte holds.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from headrace.errors import InputError

__all__ = ["All", "AnyOf", "Compare", "Condition", "Filter", "Not", "parsed", "predicate"]

Filter: TypeAlias = Mapping[str, Any] | Callable[[dict[Any, Any]], bool]
"""A dict as above, or a function of a document's metadata."""


class All(NamedTuple):
    """Every condition holds; none at all holds too."""

    conditions: tuple[Condition, ...]


class AnyOf(NamedTuple):
    """One of the conditions holds."""

    conditions: tuple[Condition, ...]


class Not(NamedTuple):
    """The condition does not hold."""

    condition: Condition


class Compare(NamedTuple):
    """A field's value compared with another; `operator` is one of `_COMPARISONS`."""

    field: str
    operator: str
    value: Any


Condition: TypeAlias = All | AnyOf | Not | Compare


def _ordered(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], bool]:
    def both(a: Any, b: Any) -> bool:
        try:
            return bool(compare(a, b))
        except TypeError:
            return False

    return both


_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "$eq": operator.eq,
    "$ne": operator.ne,
    "$gt": _ordered(operator.gt),
    "$gte": _ordered(operator.ge),
    "$lt": _ordered(operator.lt),
    "$lte": _ordered(operator.le),
    "$in": lambda a, values: a in values,
    "$nin": lambda a, values: a not in values,
}
_SAME = {"$neq": "$ne"}
_OF_LISTS = {"$in", "$nin"}
_JOINED: Mapping[str, Callable[[tuple[Condition, ...]], Condition]] = {"$and": All, "$or": AnyOf}
_KNOWN = sorted({*_COMPARISONS, *_SAME, *_JOINED, "$not"})


def predicate(filter: Filter) -> Callable[[dict[Any, Any]], bool]:
    """The filter as a function of a document's metadata.

    Raises:
        InputError: it is neither a function nor a dict of what the top of this file shows.
    """
    if callable(filter):
        return filter
    return _asked(parsed(filter))


def parsed(filter: Any) -> Condition:
    """The tree of a dict.

    Raises:
        InputError: it is no dict of what the top of this file shows.
    """
    if not isinstance(filter, Mapping):
        raise InputError(
            f"filter is {filter!r}: give a dict of metadata, for example {{'year': 2020}}, or a "
            "function of a document's metadata."
        )
    return _all([_entry(name, value) for name, value in filter.items()])


def _all(conditions: list[Condition]) -> Condition:
    return conditions[0] if len(conditions) == 1 else All(tuple(conditions))


def _entry(name: Any, value: Any) -> Condition:
    if name in _JOINED:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"The filter's {name} is {value!r}: give a list of filters.")
        return _JOINED[name](tuple(parsed(each) for each in value))
    if name == "$not":
        return Not(parsed(value))
    if isinstance(name, str) and name.startswith("$"):
        raise _unknown(name)
    if isinstance(value, Mapping):
        return _all([_compare(name, each, what) for each, what in value.items()])
    return _compare(name, "$in" if isinstance(value, (list, tuple, set)) else "$eq", value)


def _compare(field: str, name: Any, value: Any) -> Compare:
    name = _SAME.get(name, name)
    if name not in _COMPARISONS:
        raise _unknown(name)
    if name in _OF_LISTS and not isinstance(value, (list, tuple, set, frozenset)):
        raise InputError(f"The filter's {name} of {field!r} is {value!r}: give a list of values.")
    return Compare(field, name, list(value) if name in _OF_LISTS else value)


def _unknown(name: Any) -> InputError:
    return InputError(
        f"The filter has {name!r} where an operator stands: use one of {', '.join(_KNOWN)}."
    )


def _asked(condition: Condition) -> Callable[[dict[Any, Any]], bool]:
    """The condition as a function of a document's metadata."""
    match condition:
        case Compare(field, name, value):
            compare = _COMPARISONS[name]
            return lambda metadata: bool(compare(metadata.get(field), value))
        case Not(inner):
            asked = _asked(inner)
            return lambda metadata: not asked(metadata)
        case All(conditions) | AnyOf(conditions):
            every = [_asked(each) for each in conditions]
            joined = all if isinstance(condition, All) else any
            return lambda metadata: joined(each(metadata) for each in every)
