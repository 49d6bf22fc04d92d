"""The base of Headrace's small slotted values: documents, generations, prompt values.

A value is a class with `__slots__` whose fields are listed in `_shown`. It compares by class and
fields, is mutable and not hashable, shows its fields, copies, and can be a field of a user's
pydantic model: given as an instance or as a dict of its fields. pydantic is imported when such a
model is defined, never before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from headrace.errors import InputError

__all__ = ["Value", "plain", "value_schema"]


class Value:
    """A slotted value with the fields `_shown`, in the order they are shown and dumped."""

    __slots__ = ()

    _shown: ClassVar[tuple[str, ...]] = ()
    _json: ClassVar[Mapping[str, Any]] = {}  # the fields in JSON schemas; see `value_schema`

    def __eq__(self, other: object) -> bool:
        if self.__class__ is not other.__class__:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._shown)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ((name, getattr(self, name)) for name in self._shown)
        shown = ", ".join(f"{name}={value!r}" for name, value in fields if value is not None)
        return f"{type(self).__name__}({shown})"

    def __getstate__(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """What copies and pickles hold: the fields, and what a subclass without slots added."""
        fields = {name: getattr(self, name) for name in self._shown}
        return getattr(self, "__dict__", None), fields

    def model_dump(self, **ignored: Any) -> dict[str, Any]:
        """The value as a dict of plain values: its fields, copied, and its type if it has one."""
        fields = {name: plain(getattr(self, name)) for name in self._shown}
        kind = getattr(self, "type", None)
        return fields if kind is None else {**fields, "type": kind}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields replaced; with `deep`, what it holds is copied too."""
        from copy import copy, deepcopy

        copied = deepcopy(self) if deep else copy(self)
        for name, value in (update or {}).items():
            setattr(copied, name, value)
        return copied

    @classmethod
    def model_validate(cls, value: Any) -> Self:
        """A value of this class from itself or from the dict that `model_dump` gives."""
        if isinstance(value, cls):
            return value
        if isinstance(value, Mapping):
            fields = {name: item for name, item in value.items() if name != "type"}
            kind = value.get("type", getattr(cls, "type", None))
            if kind == getattr(cls, "type", None):
                return cls(**fields)
        raise InputError(
            f"{value!r} is no {cls.__name__}: pass one, or a dict of {', '.join(cls._shown)}."
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return value_schema(cls, cls.model_validate, cls._json)


def plain(value: Any) -> Any:
    """A copy of nested values, dicts and lists in which every value is a dict."""
    kind = type(value)
    if kind is dict:
        return {key: plain(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [plain(item) for item in value]
    dump = getattr(value, "model_dump", None)
    return value if dump is None else dump()


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
    from pydantic_core import core_schema

    def checked(value: Any) -> Any:
        try:
            return coerce(value)
        except TypeError as error:
            raise ValueError(str(error)) from error

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
    return core_schema.no_info_plain_validator_function(
        checked,
        ref=f"{kind.__module__}.{kind.__qualname__}:{id(kind)}",
        serialization=core_schema.plain_serializer_function_ser_schema(
            lambda value: value.model_dump()
        ),
        json_schema_input_schema=core_schema.any_schema(metadata={"pydantic_js_updates": shape}),
        metadata={"pydantic_js_updates": shape},
    )
