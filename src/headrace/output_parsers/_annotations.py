"""A type without what only validates it: `Annotated`, aliases, `NewType`, `Required` and such."""

from __future__ import annotations

from typing import (
    Annotated,
    Any,
    Final,
    NewType,
    NotRequired,
    Required,
    TypeVar,
    get_args,
    get_origin,
)

from typing_extensions import ReadOnly

__all__ = ["bare_type"]

_WRAPPERS = (Annotated, Required, NotRequired, ReadOnly, Final)


def _is_alias(annotation: Any) -> bool:
    """Whether `type X = ...` made it, or the twin of that in typing_extensions."""
    return type(annotation).__name__ == "TypeAliasType"


def bare_type(annotation: Any) -> Any:
    """The bare type, which may still be generic."""
    while True:
        origin = get_origin(annotation)
        if origin in _WRAPPERS:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif _is_alias(annotation):
            annotation = annotation.__value__
        elif _is_alias(origin):
            annotation = origin.__value__[get_args(annotation)]
        elif isinstance(annotation, TypeVar) and annotation.__bound__ is not None:
            annotation = annotation.__bound__
        else:
            return annotation
