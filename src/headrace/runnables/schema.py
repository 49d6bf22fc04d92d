"""What goes into a step and what comes out of it: first as plain data, then as a pydantic model.

A step says each side as one of three: `Plain`, an annotation; `Fields`, the keys of a dict with an
annotation and a default each (`...`: required); `Items`, a list of one of these. Combinators put
together what their parts say. Only when somebody asks for a model or a JSON schema is pydantic
loaded, here, inside the functions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from typing import (
    Any,
    Literal,
    NamedTuple,
    NotRequired,
    Required,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from ..errors import ConfigError
from .annotations import UNSAID, class_types

__all__ = [
    "Data",
    "Fields",
    "Items",
    "Plain",
    "Side",
    "TypeUnknownError",
    "annotation_of",
    "json_schema",
    "model_of",
    "tool_arguments",
]

Side: TypeAlias = Literal["input", "output"]

_TYPES = {"input": "InputType", "output": "OutputType"}
_SUFFIXES = {"input": "Input", "output": "Output"}
ANY_DICT: Any = dict[str, Any]


class TypeUnknownError(ConfigError, TypeError):
    """A runnable was asked for a type that it does not say."""


class Plain(NamedTuple):
    """One annotation. `name`: the title of its schema."""

    name: str
    annotation: Any


class Fields(NamedTuple):
    """A dict by its keys: `(annotation, default)` each, where `...` is no default. A default may
    be a pydantic FieldInfo, and an annotation may be another description.

    model: the pydantic model that these fields were read from, if any; it is the type, then.
    """

    name: str
    fields: Mapping[str, tuple[Any, Any]]
    model: Any = None


class Items(NamedTuple):
    """A list of what `item` describes."""

    name: str
    item: Any


Data: TypeAlias = Plain | Fields | Items
Ask: TypeAlias = Callable[[], Data]


# -------------------------------------------------------------------- asking


def own_types(node: Any, side: Side, root: Any) -> Plain:
    """What the class line of a runnable says; `root` is the generic class of them all.

    Raises:
        TypeUnknownError: it has no type arguments.
    """
    found = class_types(node, root)[side == "output"]
    if found is UNSAID:
        kind, asked = type(node).__name__, _TYPES[side]
        raise TypeUnknownError(
            f"The {asked} of {node.get_name()} cannot be inferred: write "
            f"`class {kind}(Runnable[In, Out])` with its types, override the {asked} property, or "
            f"call with_types({side}_type=...)."
        )
    return Plain(title(node, side), found)


def title(node: Any, side: Side) -> str:
    """What the schema of one side of a runnable is called."""
    return node.get_name(_SUFFIXES[side])  # type: ignore[no-any-return]


def said(node: Any, side: Side, config: Any = None, *, models: bool = True) -> Data:
    """What a runnable says of one side; what its class overrides nearest counts.

    models: False where an override of the model is asking, through `super()`.
    """
    way = _way(node, side, models)
    if way == "data":
        return told(node, side, config)
    if way == "type":
        return _with_fields(Plain(title(node, side), getattr(node, _TYPES[side])))
    return _given(node, side, config)


def told(node: Any, side: Side, config: Any = None) -> Data:
    """What Headrace's own class says of one side."""
    other = node._typed_by(side, config)
    if other is not None:
        return said(other[0], side, other[1])
    return _with_fields(node._data(side, config))


def _way(node: Any, side: Side, models: bool = True) -> str:
    """In which way the nearest class says it: by a user's "model" (or JSON schema), by a user's
    "type", or by Headrace's own "data"."""
    by_model = {f"get_{side}_schema", f"{side}_schema", f"get_{side}_jsonschema"}
    for cls in type(node).__mro__:
        own = vars(cls)
        if "_data" in own:
            break
        if models and not by_model.isdisjoint(own):
            return "model"
        if _TYPES[side] in own:
            return "type"
    return "data"


def _given(node: Any, side: Side, config: Any) -> Data:
    """What a user's own model describes, shown by his own JSON schema if there is one."""
    model = getattr(node, f"get_{side}_schema")(config)
    if _overrides(node, f"get_{side}_jsonschema"):
        shown = getattr(node, f"get_{side}_jsonschema")(config)
        show = classmethod(lambda cls, *args, **kwargs: shown)
        model = type(model)(model.__name__, (model,), {"model_json_schema": show})
    return of_model(model)


def _overrides(node: Any, name: str) -> bool:
    """Whether a user's class has a method or property of this name."""
    return any(name in vars(cls) for cls in type(node).__mro__ if "_data" not in vars(cls))


def own_model(node: Any, side: Side, config: Any) -> Any:
    """What `get_input_schema` or its twin of Headrace's gives, of a user's class maybe by
    `super()`: a property that overrides `input_schema` speaks for it, unless both are there."""
    if _overrides(node, f"{side}_schema") and not _overrides(node, f"get_{side}_schema"):
        return getattr(node, f"{side}_schema")
    return model_of(said(node, side, config, models=False))


def shown_model(node: Any, side: Side) -> Any:
    """What the property `input_schema` or its twin of Headrace's gives."""
    if _overrides(node, f"get_{side}_schema"):
        return getattr(node, f"get_{side}_schema")()
    return model_of(said(node, side, models=False))


def needs(node: Any, after: Ask | None, config: Any) -> Data:
    """What a step of a sequence must be given; `after` asks what the next one needs."""
    if _way(node, "input") != "data":
        return said(node, "input", config)
    other = node._typed_by("input", config)
    if other is not None:
        return needs(other[0], after, other[1])
    return _with_fields(node._needs(after, config))


def gives(node: Any, before: Ask | None, config: Any) -> Data:
    """What a step of a sequence gives; `before` asks what it is given."""
    if _way(node, "output") != "data":
        return said(node, "output", config)
    other = node._typed_by("output", config)
    if other is not None:
        return gives(other[0], before, other[1])
    return _with_fields(node._gives(before, config))


def known(ask: Ask | None) -> Data:
    """What is asked for, or `Any` where nobody says."""
    try:
        return Plain("", Any) if ask is None else ask()
    except TypeUnknownError:
        return Plain("", Any)


def is_unknown(data: Data) -> bool:
    """Whether nothing is known."""
    return isinstance(data, Plain) and data.annotation is Any


# -------------------------------------------------------------------- putting together


def one_input(name: str, parts: Iterable[Data]) -> Data:
    """What one input must be that all these take. All dicts: the keys of each. Else the first that
    is more than some dict."""
    said = [part for part in parts if not is_unknown(part)]
    telling = [p for p in said if not (isinstance(p, Plain) and p.annotation in (dict, ANY_DICT))]
    if telling and all(isinstance(part, Fields) for part in telling):
        return Fields(name, together(part.fields for part in telling if isinstance(part, Fields)))
    plain: list[Data] = [part for part in telling if not isinstance(part, Fields)]
    first = next(iter(plain or said), None)
    return Plain(name, Any if first is None else annotation_of(first))


def together(parts: Iterable[Mapping[str, tuple[Any, Any]]]) -> dict[str, tuple[Any, Any]]:
    """The fields of several dicts in one. The later annotation of a key counts, unless it says
    nothing; a key that one of them requires is required."""
    fields: dict[str, tuple[Any, Any]] = {}
    for part in parts:
        for key, (annotation, default) in part.items():
            before = fields.get(key)
            if before is not None:
                annotation = before[0] if annotation is Any else annotation
                default = before[1] if _required(before[1]) else default
            fields[key] = (annotation, default)
    return fields


def either(name: str, parts: Iterable[Data]) -> Plain:
    """What may be any of these; `Any` if one of them is not known."""
    annotations = [annotation_of(part) for part in parts]
    if not annotations or Any in annotations:
        return Plain(name, Any)
    return Plain(name, Union[tuple(annotations)])  # noqa: UP007 - their number is not known


def _required(default: Any) -> bool:
    return default is ... or getattr(default, "is_required", bool)()


def annotation_of(data: Data) -> Any:
    """The type, as an annotation; of a dict known by its keys `dict[str, Any]`."""
    if isinstance(data, Plain):
        return data.annotation
    if isinstance(data, Items):
        return list[annotation_of(data.item)]  # type: ignore[misc]
    return ANY_DICT if data.model is None else data.model


# -------------------------------------------------------------------- models


def _is_model(annotation: Any) -> bool:
    """Whether it is a class of pydantic's, of version 2 or 1; nothing is loaded to find out."""
    names = ("model_fields", "__fields__")
    return isinstance(annotation, type) and any(hasattr(annotation, name) for name in names)


def _with_fields(data: Data) -> Data:
    """The same, where a plain annotation is a pydantic model by its fields."""
    if isinstance(data, Plain) and _is_model(data.annotation):
        return of_model(data.annotation)
    return data


def of_model(model: Any) -> Data:
    """The description of a pydantic model, of either version."""
    if hasattr(model, "model_fields"):
        if getattr(model, "__pydantic_root_model__", False):
            return Plain(model.__name__, model)
        fields = {key: (each.annotation, each) for key, each in model.model_fields.items()}
        return Fields(model.__name__, fields, model)
    if "__root__" in model.__fields__:
        return Plain(model.__name__, model)
    from pydantic import Field

    old = {
        key: (
            each.outer_type_,
            ...
            if each.required
            else Field(default_factory=each.field_info.default_factory)
            if each.field_info.default_factory
            else each.default,
        )
        for key, each in model.__fields__.items()
    }
    return Fields(model.__name__, old, model)


def model_of(data: Data) -> Any:
    """The pydantic model for a description: its own, a root model, or one with fields."""
    if isinstance(data, Fields):
        return data.model or _fields_model(data.name, data.fields)
    if isinstance(data, Items):
        return _root_model(data.name, list[_inner(data.item)])  # type: ignore[misc]
    return data.annotation if _is_model(data.annotation) else _root_model(*data)


def _inner(annotation: Any) -> Any:
    """A field's annotation, where it may be a description itself."""
    return model_of(annotation) if isinstance(annotation, (Plain, Fields, Items)) else annotation


def json_schema(model: Any) -> dict[str, Any]:
    """The JSON schema of a pydantic model of either version; what JSON has no words for is left
    open."""
    if not hasattr(model, "model_json_schema"):
        return model.schema()  # type: ignore[no-any-return]
    return model.model_json_schema(schema_generator=_bases()[2])  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _bases() -> tuple[Any, Any, Any]:
    """The base classes of root models and of models with fields, and the generator of their JSON
    schemas, made when pydantic is first needed."""
    from pydantic import BaseModel, ConfigDict, RootModel
    from pydantic.json_schema import GenerateJsonSchema

    class Open(GenerateJsonSchema):
        def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
            return {}

        def emit_warning(self, kind: Any, detail: str) -> None:
            return None  # a default that JSON cannot show is not shown

    def shown(cls: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if len(args) < 3:
            kwargs.setdefault("schema_generator", Open)
        whole = BaseModel.model_json_schema.__func__(cls, *args, **kwargs)  # type: ignore[attr-defined]
        return {**whole, "title": cls.__name__}

    class Root(RootModel[Any]):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        model_json_schema = classmethod(shown)  # pyright: ignore[reportAssignmentType]

    class Record(BaseModel):
        model_config = ConfigDict(
            arbitrary_types_allowed=True, frozen=True, protected_namespaces=()
        )
        model_json_schema = classmethod(shown)  # pyright: ignore[reportAssignmentType]

    return Root, Record, Open


def _root_model(name: str, annotation: Any) -> Any:
    return _made(name, _bases()[0], {"root": (annotation, ...)})


def _fields_model(name: str, fields: Mapping[str, tuple[Any, Any]]) -> Any:
    base = _bases()[1]
    return _made(name, base, dict(_named(key, *field, base) for key, field in fields.items()))


def _named(key: str, annotation: Any, default: Any, base: Any) -> tuple[str, tuple[Any, Any]]:
    """A field under a name that pydantic can have; the key is its alias where it cannot."""
    from pydantic import Field

    key = str(key)
    if not (key.startswith("_") or hasattr(base, key)):
        return key, (_inner(annotation), default)

    shown = getattr(default, "title", None) or key.lstrip("_").replace("_", " ").title()
    if hasattr(default, "is_required"):
        default = default.get_default(call_default_factory=True) if not _required(default) else ...
    return f"private_{key}", (_inner(annotation), Field(default, alias=key, title=shown))


def _made(name: str, base: Any, fields: Mapping[str, tuple[Any, Any]]) -> Any:
    """A model; the annotations that pydantic cannot take are `Any` in it."""
    model = _tried(name, base, fields)
    if model is not None:
        return model
    usable = {
        key: (annotation if _tried(name, base, {key: (annotation, default)}) else Any, default)
        for key, (annotation, default) in fields.items()
    }
    return _tried(name, base, usable)


def _tried(name: str, base: Any, fields: Mapping[str, tuple[Any, Any]]) -> Any:
    from pydantic import PydanticUserError, create_model

    definitions: Any = {key: (_portable(kind), default) for key, (kind, default) in fields.items()}
    try:
        model = create_model(name, __base__=base, **definitions)
    except (PydanticUserError, NameError):  # not a type, or one that names what is not there
        return None
    return model if model.__pydantic_complete__ else None


def _portable(annotation: Any) -> Any:
    """pydantic does not take a TypedDict of the standard library before Python 3.12."""
    if sys.version_info >= (3, 12) or type(annotation).__module__ != "typing":
        return annotation
    if not is_typeddict(annotation):
        return annotation
    from typing_extensions import TypedDict  # pydantic itself needs it

    keys = {
        key: _portable(kind) if required else NotRequired[_portable(kind)]
        for key, (kind, required) in _hints_of(annotation).items()
    }
    return TypedDict(annotation.__name__, keys)  # type: ignore[operator]


def _hints_of(annotation: Any) -> dict[str, tuple[Any, bool]]:
    """The keys of a TypedDict or a dataclass, each with its type and whether it is required."""
    usual = getattr(annotation, "__required_keys__", None)
    found = {}
    for key, hint in get_type_hints(annotation, include_extras=True).items():
        said = get_origin(hint)
        required = said is not NotRequired and (said is Required or usual is None or key in usual)
        found[key] = (get_args(hint)[0] if said in (Required, NotRequired) else hint, required)
    return found


# -------------------------------------------------------------------- as a tool


def tool_arguments(
    runnable: Any,
    *,
    name: str | None = None,
    args_schema: Any = None,
    arg_types: Mapping[str, Any] | None = None,
) -> Any:
    """The pydantic model of the arguments that a tool made of a runnable takes.

    Args:
        name: the title of the model where one has to be made; by default the runnable's name.
        args_schema: a pydantic model or a TypedDict to take in place of the runnable's input.
        arg_types: the arguments by name, all required, in place of both.

    Returns:
        The model of its input, where that is a dict whose keys are known; of the one argument
        `__arg1`, where it is a string.

    Raises:
        TypeUnknownError: the input is neither.
    """
    name = str(name or runnable.get_name())
    if arg_types is not None:
        return _fields_model(name, {key: (kind, ...) for key, kind in arg_types.items()})
    if args_schema is not None:
        data = _with_fields(Plain(name, args_schema))
    else:
        data = known(lambda: said(runnable, "input"))
    if isinstance(data, Plain) and getattr(data.annotation, "__pydantic_root_model__", False):
        data = _with_fields(Plain(name, data.annotation.model_fields["root"].annotation))
    if isinstance(data, Fields) and data.fields:
        return model_of(data)
    if json_schema(model_of(data)).get("type") == "string":
        from pydantic import Field

        return _fields_model(name, {"__arg1": (str, Field(title="__arg1"))})
    fields = _keys_of(annotation_of(data))
    if not fields:
        raise TypeUnknownError(
            f"{runnable.get_name()} cannot be a tool: its input is {annotation_of(data)!r}, and "
            "the arguments of a tool are a string or the keys of a dict. Annotate its input as a "
            "TypedDict or a pydantic model, or pass arg_types={'name': type}."
        )
    return _fields_model(name, fields)


def _keys_of(annotation: Any) -> dict[str, tuple[Any, Any]]:
    """The fields of a TypedDict or a dataclass."""
    # A TypedDict of `typing_extensions` is none to `typing`, and cannot be asked for here.
    keyed = is_typeddict(annotation) or hasattr(annotation, "__required_keys__")
    if not (keyed or is_dataclass(annotation)):
        return {}
    hints = _hints_of(annotation).items()
    return {key: (kind, ... if required else None) for key, (kind, required) in hints}
