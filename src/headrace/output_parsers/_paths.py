"""From a path such as `countries[*].name` to the type, or the JSON schema, of what is there."""

from __future__ import annotations

import dataclasses
import enum
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from typing_extensions import is_typeddict

from ..errors import ConfigError, InputError
from ..json_schema import find
from ..jsonstream import Selector
from ._annotations import bare_type
from ._optional import keys_of

__all__ = ["fields_of", "item_types", "json_at", "read_path", "type_at"]

_NO: Any = object()


def read_path(path: str) -> Selector:
    """The path, read; ConfigError where it cannot be."""
    if not isinstance(path, str):
        raise ConfigError(f"path={path!r} is not a string such as 'countries[*].name'.")
    try:
        return Selector(path)
    except InputError as error:
        raise ConfigError(str(error)) from error


def type_at(kind: Any, path: str) -> Any:
    """The type at the path, with its constraints; of a union, the union of its arms'."""
    at = [kind]
    for step in read_path(path).parts:
        found = [one for arm in at for one in _below(arm, step)]
        if not found:
            raise ConfigError(f"The path {path!r} leads nowhere: no {_words(step)} in {_arms(at)}.")
        at = found
    return at[0] if len(at) == 1 else Union[tuple(at)]  # noqa: UP007


def _below(annotation: Any, step: Any) -> Iterator[Any]:
    kind = bare_type(annotation)
    origin, args = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, types.UnionType):
        for arm in args:
            yield from _below(arm, step)
        return
    if step is int or isinstance(step, int):
        yield from _items(origin, args, step)
        return
    fields = _fields(kind, origin)
    if fields is not None:
        yield from fields.values() if step is str else [fields[step]] if step in fields else []
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield args[1] if len(args) == 2 else Any
    elif kind in (Any, object):
        yield Any


def _items(origin: Any, args: tuple[Any, ...], step: Any) -> Iterator[Any]:
    """The elements of a type that JSON writes as an array."""
    if isinstance(origin, type) and issubclass(origin, BaseModel):
        if origin.__pydantic_root_model__:
            yield from _below(origin.model_fields["root"].annotation, step)
    elif origin is tuple and args and args[-1] is not ...:
        yield from args if step is int else args[step : step + 1]
    elif origin is Any or origin is object:
        yield Any
    elif isinstance(origin, type) and issubclass(origin, Iterable) and not _is_one(origin):
        yield args[0] if args else Any


def _is_one(kind: type) -> bool:
    """Whether it is iterable, and JSON writes it as something else than an array."""
    return issubclass(kind, (str, bytes, Mapping, enum.Enum)) or is_typeddict(kind)


def item_types(origin: Any, args: tuple[Any, ...]) -> list[Any]:
    """The types of the elements of a type that is a list; none where it is not."""
    return [] if origin in (Any, object) else list(_items(origin, args, int))


def fields_of(kind: Any) -> dict[str, Any] | None:
    """The types of a type's members by the keys that JSON has for them; None if it has none."""
    return _fields(kind, get_origin(kind) or kind)


def _fields(kind: Any, origin: Any) -> dict[str, Any] | None:
    """The types of what JSON has as members, by key; None where it is no such type."""
    if isinstance(origin, type) and issubclass(origin, BaseModel):
        if origin.__pydantic_root_model__:
            return _fields(bare_type(origin.model_fields["root"].annotation), None)
        found = {}
        for key, name in keys_of(origin):
            field = origin.model_fields[name]
            bare = field.annotation
            found[key] = Annotated[(bare, *field.metadata)] if field.metadata else bare
        return found
    if is_typeddict(origin) or dataclasses.is_dataclass(origin):
        hints = get_type_hints(origin, include_extras=True)
        given = dict(zip(getattr(origin, "__parameters__", ()), get_args(kind), strict=False))
        return {name: given.get(hint, hint) for name, hint in hints.items()}
    return None


def _words(step: Any) -> str:
    if step in (int, str):
        return "element" if step is int else "member"
    return f"element [{step}]" if isinstance(step, int) else f"key {step!r}"


def _arms(kinds: list[Any]) -> str:
    said = []
    for kind in kinds:
        bare = bare_type(kind)
        fields = _fields(bare, get_origin(bare) or bare)
        name = getattr(bare, "__name__", None) if get_origin(bare) is None else None
        said.append(f"{name or bare}" + (f" (it has {sorted(fields)})" if fields else ""))
    return " or ".join(said)


def json_at(schema: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The JSON schema at the path, with the definitions of the whole."""
    at: list[Any] = [schema]
    for step in read_path(path).parts:
        found = [one for arm in at for one in _json_below(schema, arm, step)]
        if not found:
            raise ConfigError(f"The path {path!r} leads nowhere: no {_words(step)} in {at[0]!r}.")
        at = found
    shared = {word: schema[word] for word in ("$defs", "definitions") if word in schema}
    return {**shared, **(at[0] if len(at) == 1 else {"anyOf": at})}


def _json_below(root: Mapping[str, Any], schema: Any, step: Any) -> Iterator[Any]:
    if not isinstance(schema, Mapping):
        if schema is not False:
            yield {}
        return
    if "$ref" in schema:
        yield from _json_below(root, find(root, schema["$ref"]), step)
        return
    for word in ("anyOf", "oneOf", "allOf"):
        for arm in schema.get(word, ()):
            yield from _json_below(root, arm, step)
    is_index = step is int or isinstance(step, int)
    yield from (_json_items if is_index else _json_members)(schema, step)


def _json_items(schema: Mapping[str, Any], step: Any) -> Iterator[Any]:
    first = schema.get("prefixItems", [])
    if isinstance(step, int) and step < len(first):
        yield first[step]
        return
    yield from first if step is int else ()
    if (rest := schema.get("items", _NO)) is not _NO and rest is not False:
        yield rest if isinstance(rest, Mapping) else {}


def _json_members(schema: Mapping[str, Any], step: Any) -> Iterator[Any]:
    members = schema.get("properties", {})
    if step is str:
        yield from members.values()
    elif step in members:
        yield members[step]
        return
    more = schema.get("additionalProperties", _NO)
    if isinstance(more, Mapping):
        yield more
    elif more is True:
        yield {}
