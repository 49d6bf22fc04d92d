"""Schemas as llama.cpp can hold an answer to them: rewritten where its grammar has no words.

| in the schema | for llama.cpp |
|---|---|
| fractions between bounds at most 1 (10) apart | an enumeration of two (one) decimals |
| `multipleOf` between bounds, up to 201 values | an enumeration |
| `uniqueItems` of an enumeration | up to 4 members: every order of every choice of them; of more,
  no more items than there are members, and repeats pass |
| `pattern` with `minLength`, `maxLength` | the one open repetition in it is bounded |
| `format` duration, uri, email, ipv4, ipvanyaddress | a pattern of the usual form |

What these lose is allowed by the schema but never drawn: a third decimal, a mailto: address. What
is drawn is right. Constraints that are left (`unheld`) are checked when the whole answer is
validated, so an answer can fail there; one warning for each schema names them.

Patterns themselves: see `patterns.py`. Unbounded numbers end anyway: llama.cpp draws at most 16
digits before the point and 16 behind it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache
from itertools import permutations
from typing import Any

from headrace.errors import HeadraceWarning
from headrace.json_schema import UnknownReferenceError, find

from .patterns import bounded, with_patterns

__all__ = ["for_llama", "held"]

Found = dict[str, Any]

_MOST = 201  # members of an enumeration: a grammar with many more takes long to read
_ORDERED = 4  # distinct items of which all orders are written down: 65 lists
_DECIMALS = ((Decimal(1), Decimal("0.01")), (Decimal(10), Decimal("0.1")))  # width, step
_BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
_VALUES = frozenset(("const", "default", "enum", "examples"))
_NAMED = frozenset(("properties", "$defs", "definitions"))

_HOST = r"[a-z0-9]{1,30}(-[a-z0-9]{1,20}){0,2}(\.[a-z0-9]{1,30}){0,2}\.[a-z]{2,6}"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"^{_BYTE}\.{_BYTE}\.{_BYTE}\.{_BYTE}$"
_FORMATS = {
    "duration": "^P([1-9][0-9]{0,3}D(T[1-9][0-9]?[HMS])?|T[1-9][0-9]{0,3}[HMS])$",
    "uri": rf"^https?:/{{2}}{_HOST}(/[A-Za-z0-9._~-]{{1,40}}){{0,6}}/?$",
    "email": rf"^[a-z0-9]{{1,20}}([._+-][a-z0-9]{{1,20}}){{0,2}}@{_HOST}$",
    "ipv4": _IPV4,
    "ipvanyaddress": _IPV4,
}


def for_llama(response_format: Mapping[str, Any]) -> Found:
    """A response format in llama.cpp's words.

    Warns:
        HeadraceWarning: once for each schema, of constraints that its grammar does not hold.
    """
    described = response_format.get("json_schema")
    if not isinstance(described, Mapping) or not isinstance(described.get("schema"), Mapping):
        return dict(response_format)
    try:
        schema, unheld = _kept(json.dumps(described["schema"]))
    except (TypeError, ValueError, RecursionError):  # llama.cpp's to refuse
        return dict(with_patterns(response_format))
    if unheld:
        _warn(unheld)
    return {**response_format, "json_schema": {**described, "schema": json.loads(schema)}}


def held(schema: Mapping[str, Any]) -> tuple[Found, list[str]]:
    """The schema rewritten, and the places with constraints that its grammar does not hold, as in
    `price: minimum`."""
    rewriting = _Rewriting(schema)
    found = with_patterns(rewriting.of(schema, ""))
    return found, list(dict.fromkeys(rewriting.unheld))


@lru_cache(maxsize=64)
def _kept(text: str) -> tuple[str, tuple[str, ...]]:
    schema, unheld = held(json.loads(text))
    return json.dumps(schema), tuple(unheld)


@lru_cache(maxsize=256)
def _warn(unheld: tuple[str, ...]) -> None:
    more = f" and {len(unheld) - 5} more" if len(unheld) > 5 else ""
    warnings.warn(
        f"The grammar of the embedded model does not hold answers to {'; '.join(unheld[:5])}"
        f"{more}. An answer that breaks them fails when it is validated at its end: choose an "
        "enumeration or closer bounds, or try again where it fails.",
        HeadraceWarning,
        stacklevel=3,
    )


class _Rewriting:
    """The walk through one schema."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self.unheld: list[str] = []

    def of(self, node: Any, place: str) -> Any:
        if isinstance(node, list):
            return [self.of(each, place) for each in node]
        if not isinstance(node, Mapping):
            return node
        node = {key: self._inside(key, value, place) for key, value in node.items()}
        for words, rewrite in _REWRITES:
            if not words.isdisjoint(node) and "enum" not in node and "const" not in node:
                node = rewrite(self, node, place)
        return node

    def _inside(self, key: str, value: Any, place: str) -> Any:
        if key in _VALUES:
            return value
        if key in _NAMED and isinstance(value, Mapping):
            return {name: self.of(one, _below(place, name)) for name, one in value.items()}
        return self.of(value, f"{place}[*]" if key in ("items", "prefixItems") else place)

    def _left(self, place: str, node: Found, *words: str) -> None:
        said = " and ".join(word for word in words if word in node)
        self.unheld.append(f"{place or 'the value'}: {said}")

    def number(self, node: Found, place: str) -> Found:
        kind = node.get("type")
        if kind not in ("number", "integer"):
            return node
        if kind == "integer" and "multipleOf" not in node:
            return node  # llama.cpp has words for that
        members = _members(node)
        if members is None:
            self._left(place, node, *(() if kind == "integer" else _BOUNDS), "multipleOf")
            return node
        return {**_without(node, *_BOUNDS, "multipleOf"), "enum": members}

    def text(self, node: Found, place: str) -> Found:
        if "pattern" not in node and node.get("format") in _FORMATS:
            given = {**_without(node, "format", "minLength"), "pattern": _FORMATS[node["format"]]}
            if given.get("maxLength", 0) >= 300:  # longer than any of them
                del given["maxLength"]
            node = given
        if "pattern" not in node or not {"minLength", "maxLength"} & set(node):
            return node
        closed = bounded(node["pattern"], node.get("minLength", 0), node.get("maxLength"))
        if closed is None:
            self._left(place, node, "minLength", "maxLength")
            return node
        return {**_without(node, "minLength", "maxLength"), "pattern": closed}

    def unique(self, node: Found, place: str) -> Found:
        if node.get("uniqueItems") is not True:
            return node
        members = self._enumerated(node.get("items"))
        if members is None:
            self._left(place, node, "uniqueItems")
            return node
        most = min(len(members), node.get("maxItems", len(members)))
        least = node.get("minItems", 0)
        if len(members) > _ORDERED or least > most:
            self._left(place, node, "uniqueItems")
            return {**node, "maxItems": most}
        choices = (permutations(members, size) for size in range(least, most + 1))
        return {
            **_without(node, "items", "minItems", "maxItems", "uniqueItems"),
            "enum": [list(one) for chosen in choices for one in chosen],
        }

    def _enumerated(self, items: Any) -> list[Any] | None:
        """What items can be, where that is written down."""
        for _ in range(8):  # of references to references
            if not isinstance(items, Mapping) or not isinstance(items.get("$ref"), str):
                break
            try:
                items = find(self._root, items["$ref"])
            except UnknownReferenceError:
                return None
        if not isinstance(items, Mapping):
            return None
        if "const" in items:
            return [items["const"]]
        if items.get("type") == "boolean":
            return [False, True]
        members = items.get("enum")
        return members if isinstance(members, list) else None


_Rewrite = Callable[[_Rewriting, Found, str], Found]
_REWRITES: tuple[tuple[frozenset[str], _Rewrite], ...] = (
    (frozenset((*_BOUNDS, "multipleOf")), _Rewriting.number),
    (frozenset(("pattern", "format")), _Rewriting.text),
    (frozenset(("uniqueItems",)), _Rewriting.unique),
)


def _members(node: Found) -> list[int | float] | None:
    """The numbers that the bounds allow, in the steps of the table; None where they are many."""
    given = {key: node[key] for key in (*_BOUNDS, "multipleOf") if key in node}
    if any(isinstance(one, bool) or not isinstance(one, (int, float)) for one in given.values()):
        return None
    exact = {key: Decimal(str(one)) for key, one in given.items()}
    lows = [exact[key] for key in _BOUNDS[:2] if key in exact]
    highs = [exact[key] for key in _BOUNDS[2:] if key in exact]
    if not lows or not highs or not all(one.is_finite() for one in exact.values()):
        return None
    low, high = max(lows), min(highs)
    steps = [step for width, step in _DECIMALS if high - low <= width]
    step = exact.get("multipleOf") or (steps[0] if steps else None)
    if not step or step < 0 or (high - low) / step > _MOST:
        return None
    allowed = [one for one in _multiples(low, high, step) if _fits(one, exact)]
    if node["type"] == "integer":
        whole = [int(one) for one in allowed if one == int(one)]
        return [*whole] or None
    return [float(one) for one in allowed] or None


def _multiples(low: Decimal, high: Decimal, step: Decimal) -> Iterator[Decimal]:
    first = int((low / step).to_integral_value(ROUND_CEILING))
    last = int((high / step).to_integral_value(ROUND_FLOOR))
    return (step * number for number in range(first, last + 1))


def _fits(value: Decimal, exact: Mapping[str, Decimal]) -> bool:
    above, below = exact.get("exclusiveMinimum"), exact.get("exclusiveMaximum")
    return (above is None or value > above) and (below is None or value < below)


def _without(node: Found, *words: str) -> Found:
    return {key: value for key, value in node.items() if key not in words}


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
