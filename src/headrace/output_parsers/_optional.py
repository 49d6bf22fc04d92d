"""Classes whose fields are all optional, and their instances, made without the user's code.

Both are derived from the user's class, so that its methods and `isinstance` work. Of a pydantic
class every validator, constraint, serializer and computed field is left out (they would meet None
where they never do); a field that has not come is None. Dumped, an instance has the fields that
have come with `exclude_unset=True`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from pydantic import AliasChoices, AliasPath, BaseModel, Field, create_model
from pydantic_core import PydanticUndefined

__all__ = ["blank_class", "keys_of", "optional_class"]

Maker = Callable[[dict[str, Any]], Any]


def keys_of(kind: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """The keys in JSON that give a field, each with the field's name."""
    config = kind.model_config
    for name, field in kind.model_fields.items():
        alias = field.validation_alias or field.alias
        if alias is None or config.get("populate_by_name") or config.get("validate_by_name"):
            yield name, name
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        for choice in choices:
            path = choice.path if isinstance(choice, AliasPath) else [choice]
            if len(path) == 1 and isinstance(path[0], str):
                yield path[0], name


class _Quiet:
    """Before the user's class among the bases: what that does with its subclasses, it does not do
    with the derived one."""

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        pass

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        pass


@lru_cache(maxsize=512)
def derived(kind: type[BaseModel]) -> type[BaseModel]:
    """The class derived from a pydantic class, every field `Any` and None."""
    fields: dict[str, Any] = {
        name: (
            Any,
            Field(
                default=None,
                alias=field.alias,
                validation_alias=field.validation_alias,
                serialization_alias=field.serialization_alias,
                title=field.title,
                description=field.description,
                repr=field.repr,
                exclude=field.exclude,
            ),
        )
        for name, field in kind.model_fields.items()
    }
    bases: Any = (_Quiet, kind)
    made: type[BaseModel] = create_model(
        f"Partial{kind.__name__}",
        __base__=bases,
        __module__=kind.__module__,
        __doc__=f"{kind.__name__} as far as it has come: every field may be None.",
        **fields,
    )
    # Fields of `Any` have no constraints; what decorators added goes here.
    made.__pydantic_decorators__ = type(made.__pydantic_decorators__)()
    made.model_rebuild(force=True)
    # The class cannot be imported by its name: an instance is pickled as what it is made of.
    made.__reduce__ = lambda self: (_remade_model, (kind, _come(self)))  # type: ignore[method-assign]
    return made


def _come(partial: Any) -> dict[str, Any]:
    """The fields of an instance that have come."""
    known = {name: partial.__dict__[name] for name in partial.model_fields_set}
    return {**known, **(partial.__pydantic_extra__ or {})}


def _remade_model(kind: type[BaseModel], outs: dict[str, Any]) -> Any:
    return optional_class(kind)(outs)


def _remade_dataclass(kind: type, outs: dict[str, Any]) -> Any:
    return blank_class(kind)(outs)


def optional_class(kind: type[BaseModel]) -> Maker:
    """Makes instances of the class derived from `kind`, given the fields that have come."""
    made = derived(kind)
    names = list(kind.model_fields)
    open_ended = kind.model_config.get("extra") == "allow"
    private = getattr(made, "__private_attributes__", None)

    def make(outs: dict[str, Any]) -> Any:
        self = made.__new__(made)
        put = object.__setattr__
        put(self, "__dict__", {name: outs.get(name) for name in names})
        put(self, "__pydantic_fields_set__", {name for name in names if name in outs})
        extra = {key: out for key, out in outs.items() if key not in kind.model_fields}
        put(self, "__pydantic_extra__", extra if open_ended else None)
        put(self, "__pydantic_private__", _defaults(private) if private else None)
        return self

    return make


def _defaults(private: dict[str, Any]) -> dict[str, Any]:
    found = {name: attribute.get_default() for name, attribute in private.items()}
    return {name: value for name, value in found.items() if value is not PydanticUndefined}


@lru_cache(maxsize=512)
def blank_class(kind: type) -> Maker:
    """Makes instances of the class derived from the dataclass `kind`."""
    make_class: Any = type(kind)
    made = make_class(f"Partial{kind.__name__}", (_Quiet, kind), {"__module__": kind.__module__})
    names = [field.name for field in dataclasses.fields(kind)]
    made.__reduce__ = lambda self: (
        _remade_dataclass,
        (kind, {name: getattr(self, name) for name in names}),
    )

    def make(outs: dict[str, Any]) -> Any:
        self = object.__new__(made)
        for name in names:
            object.__setattr__(self, name, outs.get(name))
        return self

    return make
