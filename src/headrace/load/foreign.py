"""Objects of classes that are not Headrace's, in JSON: described when written, and revived when
read only where the reader has named their module.

| form | what is written as `data` | revived by |
|---|---|---|
| dataclass | its fields | `object.__new__` and the fields; no `__init__` |
| model | pydantic's own state: fields, extra, private, which were set | `__setstate__` |
| enum | name and value | looking the name up |
| namedtuple | its items | `tuple.__new__` |
| none of these | nothing; only the repr is kept | never |

What is not revived is an `Opaque`, which is written again as what it was read from.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import ModuleType
from typing import Any

from ..errors import ConfigError

__all__ = ["Allowed", "Opaque", "allowed", "class_path", "described", "found_class", "revived",
           "shown"]  # fmt: skip

Allowed = tuple[str, ...]
_LONGEST = 10_000  # characters of a repr that are kept


class Opaque:
    """What stands for an object that is not brought back.

    Args:
        type: its class, `package.module:Name`.
        repr: its repr, at most 10,000 characters; "" where `data` says more.
        form: "dataclass", "model", "enum", "namedtuple", or "" for any other.
        data: what it held, as plain data.
    """

    __slots__ = ("data", "form", "repr", "type")

    def __init__(self, type: str, repr: str = "", form: str = "", data: Any = None) -> None:
        self.type = type
        self.repr = repr
        self.form = form
        self.data = data

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Opaque):
            return NotImplemented
        mine = (self.type, self.repr, self.form, self.data)
        return mine == (other.type, other.repr, other.form, other.data)

    def __hash__(self) -> int:
        return hash((self.type, self.repr, self.form))

    def __repr__(self) -> str:
        if self.form:
            return f"<Opaque {self.type} data={self.data!r}>"
        why = "only this repr was recorded; a dataclass or a pydantic model could be brought back"
        return f"<Opaque {self.type} {self.repr} ({why})>"


# ------------------------------------------------------------------ what may be brought back


def allowed(modules: Iterable[Any]) -> Allowed:
    """The names of the modules that a reader trusts.

    Raises:
        ConfigError: it is a string, or holds what is neither a module nor a name of one.
    """
    if isinstance(modules, str):
        raise ConfigError(f"allow is the string {modules!r}: give a list, [{modules!r}].")
    names = []
    for module in modules:
        name = module.__name__ if isinstance(module, ModuleType) else module
        if not isinstance(name, str):
            raise ConfigError(f"allow holds {module!r}: give modules or their names.")
        names.append(name)
    return tuple(names)


def class_path(kind: type) -> str:
    """Where a class is, as `package.module:Name`."""
    return f"{kind.__module__}:{kind.__qualname__}"


def found_class(path: str, allow: Allowed) -> type | None:
    """The class at a path, if its module is, or is inside, one that is allowed; else None.

    Nothing is imported that is not allowed, and what is found must be the class of that very path.
    """
    module, _, name = path.partition(":")
    if not any(module == one or module.startswith(f"{one}.") for one in allow):
        return None
    try:
        found: Any = importlib.import_module(module)
    except ImportError:  # it was written where there is such a module
        return None
    for part in name.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) and class_path(found) == path else None


def shown(value: Any) -> str:
    """A repr of bounded length; one that fails says so."""
    try:
        text = repr(value)
    except Exception as error:
        text = f"<no repr: {type(error).__name__}>"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


# ------------------------------------------------------------------ the forms


def _dataclass_data(value: Any) -> Any:
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)
            if hasattr(value, f.name)}  # fmt: skip


def _dataclass_made(kind: Any, data: Any) -> Any:
    if not dataclasses.is_dataclass(kind):
        return None
    names = {field.name for field in dataclasses.fields(kind)}
    new: Any = object.__new__
    made = new(kind)
    for name, value in data.items():
        if name in names:
            object.__setattr__(made, name, value)
    return made


def _model_data(value: Any) -> Any:
    fields = type(value).__pydantic_fields__
    held = {name: item for name, item in vars(value).items() if name in fields}
    data = {"fields": held, "set": sorted(value.__pydantic_fields_set__)}
    rest = {"extra": value.__pydantic_extra__, "private": value.__pydantic_private__}
    return data | {name: item for name, item in rest.items() if item}


def _model_made(kind: Any, data: Any) -> Any:
    from pydantic import BaseModel

    if not issubclass(kind, BaseModel):
        return None
    made: Any = kind.__new__(kind)
    empty: Any = {} if kind.model_config.get("extra") == "allow" else None
    state = {
        "__dict__": dict(data["fields"]),
        "__pydantic_fields_set__": set(data["set"]),
        "__pydantic_extra__": data.get("extra", empty),
        "__pydantic_private__": data.get("private", {} if kind.__private_attributes__ else None),
    }
    BaseModel.__setstate__(made, state)
    return made


def _enum_made(kind: Any, data: Any) -> Any:
    if not issubclass(kind, Enum):
        return None
    if data["name"] in kind.__members__:
        return kind.__members__[data["name"]]
    try:
        return kind(data["value"])  # flags that are several at once
    except ValueError:
        return None


def _namedtuple_made(kind: Any, data: Any) -> Any:
    if not _is_namedtuple(kind) or len(kind._fields) != len(data):
        return None
    return tuple.__new__(kind, data)


def _is_namedtuple(kind: type) -> bool:
    return issubclass(kind, tuple) and isinstance(getattr(kind, "_fields", None), tuple)


# name -> (is it one, what it holds, made of that)
_FORMS: Mapping[
    str, tuple[Callable[[type], bool], Callable[[Any], Any], Callable[[Any, Any], Any]]
] = {
    "enum": (
        lambda kind: issubclass(kind, Enum),
        lambda value: {"name": value.name, "value": value.value},
        _enum_made,
    ),
    "namedtuple": (_is_namedtuple, list, _namedtuple_made),
    "model": (
        # a component is what it does; its settings are not written into every recording
        lambda kind: hasattr(kind, "__pydantic_fields_set__") and not hasattr(kind, "invoke"),
        _model_data,
        _model_made,
    ),
    "dataclass": (
        lambda kind: dataclasses.is_dataclass(kind) and not hasattr(kind, "invoke"),
        _dataclass_data,
        _dataclass_made,
    ),
}


def described(value: Any) -> Opaque | None:
    """An object of one of the forms, described; None where it has none of them."""
    kind = type(value)
    for form, (is_one, data, _) in _FORMS.items():
        if is_one(kind):
            return Opaque(class_path(kind), "", form, data(value))
    return None


def revived(value: Opaque, allow: Allowed) -> Any:
    """The object that is described, where its class is allowed and found; else `value` itself."""
    if value.form not in _FORMS:
        return value
    kind = found_class(value.type, allow)
    made = None if kind is None else _FORMS[value.form][2](kind, value.data)
    return value if made is None else made
