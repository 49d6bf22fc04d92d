"""References in JSON schemas: what a `$ref` names, and a schema with that in its place.

`dereference_refs` is for users and puts everything in place, cutting cycles; `self_contained` is
what models are told: what refers to itself stays under `$defs`, where they understand it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any
from urllib.parse import unquote

from ..errors import ConfigError

__all__ = ["UnknownReferenceError", "dereference_refs", "find", "self_contained"]

_DEFINITIONS = ("$defs", "definitions")  # of JSON Schema 2020-12 and of draft 7


class UnknownReferenceError(ConfigError, KeyError):
    """A `$ref` points to what is not in the schema."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


def find(root: Any, ref: str) -> Any:
    """What a reference (a JSON pointer in a fragment, RFC 6901) names inside the schema `root`.

    Raises:
        UnknownReferenceError: nothing (also a KeyError).
        ConfigError: it is no path into the schema.
    """
    start, *parts = ref.split("/")
    if start != "#":
        raise ConfigError(
            "References are expected to be URI fragments, meaning they start with '#', that hold "
            f"a path, such as '#/$defs/Name'; {ref!r} is none: put what it refers to under '$defs'."
        )
    node = root
    for part in parts:
        found = next(_at(node, part), None)
        if found is None:
            raise UnknownReferenceError(
                f"Reference '{ref}' not found in the schema: put what it refers to under '$defs'."
            )
        node = found[0]
    return node


def dereference_refs(
    schema_obj: dict[str, Any],
    *,
    full_schema: dict[str, Any] | None = None,
    skip_keys: Sequence[str] | None = None,
) -> dict[str, Any]:
    """A copy of a schema with what its references refer to in their place.

    Keys beside a `$ref` count more than what it refers to. Of a reference inside of what it refers
    to, only the keys beside it are left, so that the result is finite.

    Args:
        schema_obj: a schema, or a part of one.
        full_schema: what the references point into; by default `schema_obj`.
        skip_keys: keys under which nothing is replaced; by default `$defs`.

    Raises:
        UnknownReferenceError: a reference to nothing (also a KeyError).
        ConfigError: a reference that does not start with `#`.
    """
    skip = frozenset(("$defs",) if skip_keys is None else skip_keys)
    found: dict[str, Any] = _Inlined(full_schema or schema_obj, skip).of(schema_obj)
    return found


def self_contained(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same without definitions: each is put where it is referred to, but those that refer to
    themselves, which stay under `$defs`. Raises what `dereference_refs` does."""
    cyclic = _cyclic(schema)
    inlined = _Inlined(schema, frozenset(), cyclic)
    root = dict(schema)
    top = root.pop("$ref", None) if root.get("$ref") in cyclic else None
    if top is not None:
        root = {**find(schema, top), **root}
    whole: dict[str, Any] = inlined.of(_body(root))
    for ref in sorted(cyclic):
        where = ref.split("/")
        if len(where) == 3 and where[1] in _DEFINITIONS:
            definition = inlined.of(find(schema, ref))
            whole.setdefault(where[1], {})[_unescaped(where[2])] = definition
    return whole


class _Inlined:
    """Replaces references; `kept` are those that stay."""

    __slots__ = ("_full", "_kept", "_skip")

    def __init__(
        self, full: Mapping[str, Any], skip: frozenset[str], kept: frozenset[str] = frozenset()
    ) -> None:
        self._full = full
        self._skip = skip
        self._kept = kept

    def of(self, node: Any, inside: frozenset[str] = frozenset()) -> Any:
        """`node` without references; `inside`: those whose targets it is a part of."""
        if isinstance(node, list):
            return [self.of(each, inside) for each in node]
        if not isinstance(node, dict):
            return node
        beside = {
            key: deepcopy(value) if key in self._skip else self.of(value, inside)
            for key, value in node.items()
            if key != "$ref"
        }
        if "$ref" not in node:
            return beside
        ref = node["$ref"]
        if not isinstance(ref, str):  # a property of that name
            return {"$ref": self.of(ref, inside), **beside}
        if ref in self._kept:
            return {"$ref": ref, **beside}
        if ref in inside:
            return beside
        target = self.of(find(self._full, ref), inside | {ref})
        if not beside:
            return target
        return {**target, **beside} if isinstance(target, dict) else beside


def _at(node: Any, part: str) -> Iterator[tuple[Any]]:
    """What is there under one part of a pointer, in a tuple of its own."""
    if isinstance(node, list):
        if part.isdecimal() and int(part) < len(node):
            yield (node[int(part)],)
    elif isinstance(node, Mapping):
        keys: tuple[Any, ...] = (part, _unescaped(part))
        for key in (*keys, int(part)) if part.isdecimal() else keys:
            if key in node:
                yield (node[key],)


def _unescaped(part: str) -> str:
    return unquote(part).replace("~1", "/").replace("~0", "~")


def _body(root: Mapping[str, Any]) -> dict[str, Any]:
    """A schema without its definitions."""
    return {key: value for key, value in root.items() if key not in _DEFINITIONS}


def _refs(node: Any) -> Iterator[str]:
    """The references in a part of a schema."""
    stack = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, list):
            stack.extend(each)
        elif isinstance(each, Mapping):
            if isinstance(each.get("$ref"), str):
                yield each["$ref"]
            stack.extend(each.values())


def _cyclic(schema: Mapping[str, Any]) -> frozenset[str]:
    """The references whose target, through others maybe, refers to itself."""
    leads: dict[str, set[str]] = {}
    waiting = list(_refs(_body(schema)))
    while waiting:
        ref = waiting.pop()
        if ref not in leads:
            target = find(schema, ref)
            leads[ref] = set(_refs(_body(target) if target is schema else target))
            waiting.extend(leads[ref])

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        stack = [*leads[start]]
        while stack:
            ref = stack.pop()
            if ref not in seen:
                seen.add(ref)
                stack.extend(leads[ref])
        return seen

    return frozenset(ref for ref in leads if ref in reached(ref))
