"""The base of Headrace's small slotted values: documents, generations, prompt values.

A value is a class with `__slots__` whose fields are listed in `_shown`. It compares by class and
fields, is mutable and not hashable, shows its fields, copies, and can be a field of a user's
pydantic model: given as an instance or as a dict of its fields. pydantic is imported when such a
model is defined, never before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from headrace.errors import InputError

__all__ = ["Value", "plain", "read_json", "without_none"]


class Value:
    """A slotted value with the fields `_shown`, in the order they are shown and dumped."""

    __slots__ = ()

    _shown: ClassVar[tuple[str, ...]] = ()
    _json: ClassVar[Mapping[str, Any]] = {}  # the fields in JSON schemas; see `validation`

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
                try:
                    return cls(**fields)
                except TypeError as error:  # a field that there is not, or lacks
                    raise InputError(
                        f"{value!r:.200} is no {cls.__name__}: {error}. Its fields: "
                        f"{', '.join(cls._shown)}."
                    ) from error
        raise InputError(
            f"{value!r} is no {cls.__name__}: pass one, or a dict of {', '.join(cls._shown)}."
        )

    def model_dump_json(self, *, indent: int | None = None, exclude_none: bool = False) -> str:
        """`model_dump` as JSON; values that JSON does not know become strings."""
        import json

        fields = without_none(self.model_dump()) if exclude_none else self.model_dump()
        return json.dumps(fields, ensure_ascii=False, indent=indent, default=str)

    @classmethod
    def model_validate_json(cls, text: str | bytes) -> Self:
        """A value of this class from the text that `model_dump_json` gives."""
        return cls.model_validate(read_json(text))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from headrace.validation import value_schema

        return value_schema(cls, cls.model_validate, cls._json)


def read_json(text: str | bytes) -> Any:
    """What a JSON text holds; InputError where it is none."""
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"This is no JSON ({error}): {text[:200]!r}") from error


def without_none(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def plain(value: Any) -> Any:
    """A copy of nested values, dicts and lists in which every value is a dict."""
    kind = type(value)
    if kind is dict:
        return {key: plain(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [plain(item) for item in value]
    dump = getattr(value, "model_dump", None)
    return value if dump is None else dump()
