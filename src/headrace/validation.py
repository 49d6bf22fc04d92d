"""Headrace's values as fields of users' pydantic models: how pydantic reads them, writes them and
describes them in JSON schemas.

Imported when such a model is defined, never before: values and messages themselves need no
pydantic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import core_schema

from .errors import InputError
from .values import without_none

__all__ = ["union_schema", "value_schema"]


def value_schema(
    kind: Any, coerce: Callable[[Any], Any], fields: Mapping[str, Any] | None = None
) -> Any:
    """The pydantic core schema of a class of values.

    Args:
        kind: the class; its instances have a `model_dump` method.
        coerce: makes an instance of what a field was given; raises ValueError or TypeError for
            what it cannot use.
        fields: the JSON schemas of its fields. Required are those without a `default` and not
            marked `optional`. Its type comes by itself.
    """
    described = {
        name: {"title": name.replace("_", " ").title(), **field}
        for name, field in (fields or {}).items()
    }
    tag = getattr(kind, "type", None)
    if isinstance(tag, str) and described and "type" not in described:
        described["type"] = {"const": tag, "default": tag, "title": "Type", "type": "string"}
    shape: dict[str, Any] = {"title": kind.__name__, "type": "object"}
    if described:
        shape["properties"] = described
        shape["required"] = [
            name
            for name, field in described.items()
            if not field.pop("optional", False) and "default" not in field
        ]
    told = {"pydantic_js_updates": shape}

    def reading(read: Callable[[Any], Any]) -> Any:
        given = core_schema.any_schema(metadata=told)
        return core_schema.no_info_plain_validator_function(
            read, json_schema_input_schema=given, metadata=told
        )

    return core_schema.lax_or_strict_schema(
        *map(reading, _readers(coerce)),
        ref=f"{kind.__module__}.{kind.__qualname__}:{id(kind)}",
        serialization=_as_dict(),
        metadata=told,
    )


def union_schema(members: Any, kinds: tuple[type, ...], read: Callable[[Any], Any]) -> Any:
    """The pydantic core schema of a union of classes of values that a `type` tells apart.

    Args:
        members: the core schema that pydantic makes of the union: where the JSON schema is from.
        kinds: the classes.
        read: makes a value of what a field was given; raises as `coerce` of `value_schema`.
    """

    def coerce(value: Any) -> Any:
        made = value if isinstance(value, kinds) else read(value)
        if not isinstance(made, kinds):
            raise InputError(f"A {type(made).__name__} cannot stand here: {made!r}")
        return made

    def described(_: Any, handler: Any) -> Any:
        found = handler(members)
        return {"oneOf": found.pop("anyOf"), **found, "discriminator": {"propertyName": "type"}}

    def reading(read: Callable[[Any], Any]) -> Any:
        return core_schema.no_info_wrap_validator_function(lambda value, _: read(value), members)

    return core_schema.lax_or_strict_schema(
        *map(reading, _readers(coerce)),
        serialization=_as_dict(),
        metadata={"pydantic_js_functions": [described]},
    )


def _readers(coerce: Callable[[Any], Any]) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """The lax way to read and the strict one, with errors of the kind that pydantic collects.

    A text is a value only to the lax one: so in a union with `str`, a text stays a text.
    """

    def lax(value: Any) -> Any:
        try:
            return coerce(value)
        except TypeError as error:
            raise ValueError(str(error)) from error

    def strict(value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("In strict mode a text is no value of this kind.")
        return lax(value)

    return lax, strict


def _as_dict() -> Any:
    """How pydantic writes a value: as the dict that it dumps."""

    def dumped(value: Any, info: Any) -> dict[str, Any]:
        fields: dict[str, Any] = value.model_dump()
        return without_none(fields) if info.exclude_none else fields

    anything = core_schema.any_schema()  # else there is no JSON schema of what is written
    return core_schema.plain_serializer_function_ser_schema(
        dumped, info_arg=True, return_schema=anything
    )
