"""Types as pydantic takes them: every TypedDict written anew, with what its notes say.

Before Python 3.12 pydantic refuses `typing.TypedDict`. And programs write a field's description
as a plain string, `Annotated[str, "of the country"]` or `Annotated[int, 3, "with a default"]`
(`...` for none). `for_pydantic` gives the same type with `typing_extensions.TypedDict`s in which
both are pydantic `Field`s; a field with a default is not required.
"""

from __future__ import annotations

import types
from types import GenericAlias
from typing import (
    Annotated,
    Any,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import typing_extensions
from pydantic import Field
from typing_extensions import is_typeddict

__all__ = ["for_pydantic"]


def for_pydantic(annotation: Any, seen: dict[Any, Any] | None = None) -> Any:
    """The annotation, with each TypedDict in it written anew."""
    seen = {} if seen is None else seen
    origin = get_origin(annotation)
    if is_typeddict(origin if origin is not None else annotation):
        return _typed_dict(annotation, seen)
    if origin is Annotated:
        inner, *notes = get_args(annotation)
        return Annotated[(for_pydantic(inner, seen), *notes)]
    if origin in (Union, types.UnionType):
        return Union[tuple(for_pydantic(each, seen) for each in get_args(annotation))]  # noqa: UP007
    if origin in (list, dict, set, frozenset, tuple):
        return GenericAlias(
            origin, tuple(for_pydantic(each, seen) for each in get_args(annotation))
        )
    return annotation


def _typed_dict(kind: Any, seen: dict[Any, Any]) -> Any:
    origin = get_origin(kind) or kind
    if kind in seen:
        return seen[kind]  # one that contains itself, or None while it is being made
    hints = get_type_hints(origin, include_extras=True)
    given = dict(zip(getattr(origin, "__parameters__", ()), get_args(kind), strict=False))
    if _contains(hints.values(), origin):
        return kind  # recursive: as it is
    fields = {}
    for name, hint in hints.items():
        hint = given.get(hint, hint) if given else hint
        said, inner = _required(hint)
        inner, described, has_default = _described(inner)
        needed = (name in origin.__required_keys__ if said is None else said) and not has_default
        whole = for_pydantic(inner, seen)
        whole = whole if described is None else Annotated[whole, described]
        fields[name] = Required[whole] if needed else NotRequired[whole]
    make: Any = typing_extensions.TypedDict
    made = make(origin.__name__, fields)
    made.__doc__, made.__module__ = origin.__doc__, origin.__module__
    if (config := getattr(origin, "__pydantic_config__", None)) is not None:
        made.__pydantic_config__ = config
    seen[kind] = made
    return made


def _required(hint: Any) -> tuple[bool | None, Any]:
    """What `Required` and `NotRequired` say, None without them, and the hint without them.

    Where annotations are strings, the class has not noticed them itself.
    """
    said = None
    while get_origin(hint) in (Required, NotRequired):
        said = get_origin(hint) is Required if said is None else said
        hint = get_args(hint)[0]
    if get_origin(hint) is Annotated:
        inner, *notes = get_args(hint)
        deeper, bare = _required(inner)
        if deeper is not None:
            return (deeper if said is None else said), Annotated[(bare, *notes)]
    return said, hint


def _described(hint: Any) -> tuple[Any, Any, bool]:
    """A hint without strings as notes, what they say as a Field, and whether there is a default."""
    if get_origin(hint) is not Annotated:
        return hint, None, False
    inner, *notes = get_args(hint)
    if len(notes) == 1 and isinstance(notes[0], str):
        return inner, Field(description=notes[0]), False
    if len(notes) == 2 and isinstance(notes[1], str) and not hasattr(notes[0], "__metadata__"):
        text = notes[1]
        if notes[0] is ...:
            return inner, Field(description=text), False
        extra = {"default": notes[0]}
        return inner, Field(description=text, json_schema_extra=extra), True
    kept = [note for note in notes if note is not ...]
    return (Annotated[(inner, *kept)] if kept else inner), None, False


def _contains(hints: Any, kind: Any) -> bool:
    """Whether a type occurs in annotations, at any depth that is written there."""
    todo, seen = list(hints), set()
    while todo:
        hint = todo.pop()
        if hint is kind:
            return True
        if id(hint) in seen:
            continue
        seen.add(id(hint))
        todo.extend(get_args(hint))
        if is_typeddict(hint):
            todo.extend(get_type_hints(hint, include_extras=True).values())
    return False
