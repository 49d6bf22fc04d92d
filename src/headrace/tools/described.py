"""Classes as what a tool takes: TypedDicts and dataclasses read into pydantic models, and the JSON
schema of either, or of a pydantic model.

    class Place(TypedDict):
        '''A place.

        Args:
            name: What people call it.
        '''
        name: str
        height: Annotated[float, 0.0, "In metres."]     # type, default (`...`: none), description
        kind: Annotated[str, "What it is."]             # type, description
        note: NotRequired[str]
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
from collections.abc import Iterable
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from pydantic import Field
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.fields import FieldInfo
from typing_extensions import (  # pydantic needs it, too; it knows the TypedDicts of both
    ReadOnly,
    get_type_hints,
    is_typeddict,
)

from ..runnables import schema
from .docstrings import read_docstring
from .errors import ToolTypeError

__all__ = ["is_described", "is_model", "json_schema_of", "model_of_class"]

_WRAPPERS: tuple[Any, ...] = (Required, NotRequired, ReadOnly)
_DEFAULTS = (type(None), bool, int, float, str, list, dict, tuple, type(...))
_Known = dict[Any, Any]


def is_model(given: Any) -> bool:
    """Whether it is a class of pydantic's, of version 2 or 1."""
    names = ("model_fields", "__fields__")
    return isinstance(given, type) and any(hasattr(given, name) for name in names)


def is_described(given: Any) -> bool:
    """Whether it is a TypedDict or a dataclass."""
    return is_typeddict(given) or (isinstance(given, type) and dataclasses.is_dataclass(given))


def json_schema_of(given: Any) -> dict[str, Any]:
    """The JSON schema of a pydantic class, a TypedDict or a dataclass.

    Raises:
        ToolTypeError: a field of a pydantic class has a type that JSON schema cannot say.
    """
    if not is_model(given):
        model = model_of_class(given)
        return {**model.model_json_schema(), "title": given.__name__}
    if not hasattr(given, "model_json_schema"):
        found: dict[str, Any] = given.schema()
        return found
    try:
        return given.model_json_schema()  # type: ignore[no-any-return]
    except PydanticInvalidForJsonSchema as error:
        raise ToolTypeError(
            f"The arguments of {given.__name__!r} must be JSON-serializable, for a model to write "
            f"them: {error.message}. Use str, int, float, bool, lists and dicts of these, or "
            "Pydantic models of them."
        ) from error


def model_of_class(given: Any, known: _Known | None = None) -> Any:
    """The pydantic model of a TypedDict or a dataclass; its docstring describes the fields. What
    refers to itself is any dict inside."""
    known = {} if known is None else known
    if given in known:
        return known[given]
    known[given] = dict[str, Any]
    summary, said = read_docstring(_own_doc(given))
    read = _of_typed_dict if is_typeddict(given) else _of_dataclass
    fields = {}
    for name, annotation, default in read(given):
        annotation, default = _parted(annotation, default)
        annotation = _rebuilt(annotation, known)
        text = (said or {}).get(name)
        fields[name] = (Annotated[annotation, Field(description=text)] if text else annotation,
                        default)  # fmt: skip
    model = schema.model_of(schema.Fields(given.__name__, fields))
    model.__doc__ = summary or None
    known[given] = model
    return model


def _own_doc(given: type) -> str | None:
    """Its docstring, not one that it inherits or that `dataclass` makes up."""
    text = vars(given).get("__doc__")
    if not text or (text.startswith(f"{given.__name__}(") and dataclasses.is_dataclass(given)):
        return None
    return inspect.cleandoc(text)


_Field = tuple[str, Any, Any]  # name, annotation, default


def _of_typed_dict(given: Any) -> Iterable[_Field]:
    for name, hint in get_type_hints(given, include_extras=True).items():
        required = name in given.__required_keys__
        while get_origin(hint) in _WRAPPERS:
            wrapper: Any = get_origin(hint)
            required = required if wrapper is ReadOnly else wrapper is Required
            hint = get_args(hint)[0]
        yield name, hint, ... if required else Field(default_factory=lambda: None)


def _of_dataclass(given: Any) -> Iterable[_Field]:
    hints = get_type_hints(given, include_extras=True)
    for each in dataclasses.fields(given):
        if not each.init:
            continue
        default: Any = ...
        if each.default is not dataclasses.MISSING:
            default = each.default
        elif each.default_factory is not dataclasses.MISSING:
            default = Field(default_factory=each.default_factory)
        yield each.name, hints[each.name], default


def _parted(annotation: Any, default: Any) -> tuple[Any, Any]:
    """An annotation, and the default, with what its `Annotated` says in words of its own put into
    pydantic's."""
    if get_origin(annotation) is not Annotated:
        return annotation, default
    kind, *notes = get_args(annotation)
    if any(isinstance(note, FieldInfo) for note in notes):
        return annotation, default
    text = None
    if len(notes) > 1 and isinstance(notes[1], str):
        if notes[0] is not ...:
            default = notes[0]
        text, notes = notes[1], notes[2:]
    elif isinstance(notes[0], str):
        text, notes = notes[0], notes[1:]
    elif isinstance(notes[0], _DEFAULTS):
        default, notes = (default if notes[0] is ... else notes[0]), notes[1:]
    for note in (*notes, *((Field(description=text),) if text else ())):
        kind = Annotated[kind, note]
    return kind, default


def _rebuilt(annotation: Any, known: _Known) -> Any:
    """The annotation, with models in place of the TypedDicts and dataclasses in it."""
    if is_described(annotation):
        return model_of_class(annotation, known)
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is None or origin in (Literal, collections.abc.Callable):
        return annotation
    if origin is Annotated:
        made = _rebuilt(inside[0], known)
        for note in inside[1:]:
            made = Annotated[made, note]
        return made
    parts = tuple(_rebuilt(each, known) for each in inside)
    if parts == inside:
        return annotation
    if origin in (Union, UnionType):
        return Union[parts]  # noqa: UP007 - their number is not known
    return origin[parts]
