"""The forms of a schema: of a type, and of a JSON schema. What a form does is in `_partial`."""

from __future__ import annotations

import dataclasses
import enum
import types
from collections import abc
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.errors import PydanticSchemaGenerationError
from pydantic.errors import PydanticUserError as UserError
from typing_extensions import is_typeddict

from ..json_schema import find
from ._annotations import bare_type
from ._optional import blank_class, keys_of, optional_class
from ._partial import (
    Anything,
    Choice,
    Form,
    Instance,
    Items,
    Later,
    Like,
    Members,
    OneOf,
    Places,
    Root,
    Scalar,
    Text,
)

__all__ = ["form_of_json", "form_of_type"]


# ------------------------------------------------------------------------------------ of types


def form_of_type(kind: Any) -> Form:
    """The form of a type."""
    return _Types().form(kind)


_LISTS = {list, abc.Sequence, abc.MutableSequence, abc.Iterable, abc.Collection}
_SETS = {set: set, frozenset: frozenset, abc.Set: set, abc.MutableSet: set}
_DICTS = {dict, abc.Mapping, abc.MutableMapping}
_KNOWN = ("builtins", "datetime", "decimal", "uuid", "pathlib", "fractions", "ipaddress", "re")


class _Types:
    """Makes forms of types; a class that occurs again is made once."""

    def __init__(self) -> None:
        self.made: dict[Any, Form] = {}

    def form(self, annotation: Any) -> Form:
        kind = bare_type(annotation)
        origin = get_origin(kind) or kind
        args = get_args(kind)
        if origin is Literal:
            return Choice((arg.value if isinstance(arg, enum.Enum) else arg, arg) for arg in args)
        if origin in (Union, types.UnionType):
            return OneOf([self.form(arg) for arg in args])
        if origin in _LISTS:
            return Items(self.form(args[0] if args else Any))
        if origin in _SETS:
            return Items(self.form(args[0] if args else Any), _SETS[origin])
        if origin is tuple:
            return self._tuple(args)
        if origin in _DICTS:
            return Members({}, self.form(args[1] if len(args) == 2 else Any))
        return self._class(kind, origin)

    def _tuple(self, args: tuple[Any, ...]) -> Form:
        if not args or args[-1] is ...:
            return Items(self.form(args[0] if args else Any), tuple)
        return Places([self.form(arg) for arg in args], Anything(), tuple)

    def _class(self, kind: Any, origin: Any) -> Form:
        if is_typeddict(origin):
            return self._once(kind, self._typed_dict)
        if isinstance(origin, type):
            if issubclass(origin, BaseModel):
                return self._once(kind, self._model)
            if dataclasses.is_dataclass(origin):
                return self._once(kind, self._dataclass)
            if issubclass(origin, enum.Enum):
                return Choice((member.value, member) for member in origin)
        return _leaf(kind)

    def _once(self, kind: Any, make: Any) -> Form:
        if kind in self.made:
            return self.made[kind]
        self.made[kind] = Later(self.made, kind)
        self.made[kind] = form = make(kind)
        return form  # type: ignore[no-any-return]

    def _typed_dict(self, kind: Any) -> Form:
        hints = get_type_hints(get_origin(kind) or kind, include_extras=True)
        given = _given(kind)
        return Members(
            {name: (name, self.form(given.get(hint, hint))) for name, hint in hints.items()}, None
        )

    def _dataclass(self, kind: Any) -> Form:
        origin = get_origin(kind) or kind
        hints, given = get_type_hints(origin, include_extras=True), _given(kind)
        fields = [field.name for field in dataclasses.fields(origin) if field.init]
        forms = {name: (name, self.form(given.get(hints[name], hints[name]))) for name in fields}
        return Instance(forms, None, blank_class(origin))

    def _model(self, kind: type[BaseModel]) -> Form:
        forms = {name: self.form(field.annotation) for name, field in kind.model_fields.items()}
        made = optional_class(kind)
        if kind.__pydantic_root_model__:
            return Root(forms["root"], made)
        extra = Anything() if kind.model_config.get("extra") == "allow" else None
        return Instance({key: (name, forms[name]) for key, name in keys_of(kind)}, extra, made)


def _given(kind: Any) -> dict[Any, Any]:
    """What a generic class's type variables stand for."""
    origin = get_origin(kind)
    if origin is None:
        return {}
    return dict(zip(getattr(origin, "__parameters__", ()), get_args(kind), strict=False))


def _leaf(kind: Any) -> Form:
    """Of a type without parts that are looked at."""
    if kind in (Any, object) or isinstance(kind, TypeVar):
        return Anything()
    if kind is str:
        return Text()
    if kind is None or kind is type(None):
        return Choice([(None, None)])
    module = getattr(kind, "__module__", "")
    # A class of the user's may bring a validator of its own: only what is there counts.
    if module not in _KNOWN and not module.startswith("pydantic"):
        return Choice([])
    try:
        return Scalar(kind)
    except (PydanticSchemaGenerationError, UserError):
        return Choice([])


# ----------------------------------------------------------------------------- of JSON schemas

_SCALARS = {"boolean": bool, "integer": int, "number": float}


def form_of_json(schema: Mapping[str, Any]) -> Form:
    """The form of a JSON schema."""
    return _Schemas(schema).form(schema)


class _Schemas:
    """Makes forms of JSON schemas; what a `$ref` names is made once."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.made: dict[Any, Form] = {}

    def form(self, schema: Any) -> Form:
        if not isinstance(schema, Mapping):
            return Anything()
        if "$ref" in schema:
            return self._named(schema["$ref"])
        if "enum" in schema:
            return Choice((each, each) for each in schema["enum"])
        if "const" in schema:
            return Choice([(schema["const"], schema["const"])])
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return OneOf([self.form(each) for each in schema[word]])
        if len(schema.get("allOf", ())) == 1:
            return self.form(schema["allOf"][0])
        kinds = schema.get("type")
        if isinstance(kinds, list):
            return OneOf([self.form({**schema, "type": kind}) for kind in kinds])
        return self._typed(kinds, schema)

    def _named(self, ref: str) -> Form:
        if ref not in self.made:
            self.made[ref] = Later(self.made, ref)
            self.made[ref] = self.form(find(self.root, ref))
        return self.made[ref]

    def _typed(self, kind: Any, schema: Mapping[str, Any]) -> Form:
        if kind == "string":
            return Text()
        if kind == "null":
            return Choice([(None, None)])
        if kind in _SCALARS:
            return Like(kind)
        if kind == "array":
            first = [self.form(each) for each in schema.get("prefixItems", ())]
            rest = self.form(schema.get("items"))
            return Places(first, rest) if first else Items(rest)
        if kind == "object" or (kind is None and "properties" in schema):
            fields = {
                name: (name, self.form(each)) for name, each in schema.get("properties", {}).items()
            }
            more = schema.get("additionalProperties")
            return Members(fields, None if more is False else self.form(more))
        return Anything()
