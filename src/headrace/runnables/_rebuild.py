"""A runnable built again with some of its settings changed, through its constructor.

A pydantic component's settings are its fields, by name or alias; those of any other class are the
parameters of its constructor that it keeps as attributes of the same name. Building again means
that everything is checked and derived as it was the first time.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..errors import ConfigError
from .branch import RunnableBranch

# Where an attribute is not called as the parameter that it came from.
_KEPT_AS = {"runnable": "bound", "transform": "_transform", "atransform": "_atransform"}
# A sync body that may be missing is the first parameter all the same: the async one stands there.
_BODIES = (("func", "afunc"), ("transform", "atransform"))
_MISSING: Any = object()


class Setting(NamedTuple):
    """One setting: what it is now, its type, what its class says about it."""

    value: Any
    annotation: Any
    about: str | None


def canonical(node: Any, name: str) -> str:
    """The setting called `name`; raises ConfigError, listing the known ones, if there is none."""
    fields = _fields(node)
    if fields is None:
        known = {each: each for each in _parameters(node)}
    else:
        known = {each: each for each in fields}
        for each, field in fields.items():
            known.update((alias, each) for alias in (field.alias, _key(node, each, field)) if alias)
    if name not in known:
        raise ConfigError(
            f"{node.get_name()} has no field {name!r} that could be configured"
            f"{_meant(name, known)}: it has {sorted(set(known.values()))}."
        )
    return known[name]


def _meant(name: str, known: Iterable[str]) -> str:
    """A question after a name that is like one that there is."""
    from difflib import get_close_matches

    like = get_close_matches(name, known, n=1)
    return f" (did you mean {like[0]!r}?)" if like else ""


def setting(node: Any, name: str) -> Setting:
    """What `node` has under `name`, a canonical one."""
    fields = _fields(node)
    if fields is not None:
        return Setting(getattr(node, name), fields[name].annotation, fields[name].description)
    return Setting(_parameters(node)[name], _hint(node, name), None)


def rebuilt(node: Any, changes: Mapping[str, Any]) -> Any:
    """Another one like `node` but for `changes`, by canonical name."""
    fields = _fields(node)
    if fields is not None:
        held = vars(node)
        values = {name: held[name] for name in fields if name in held}
        values.update(changes)
        return type(node)(**{_key(node, name, fields[name]): v for name, v in values.items()})
    values = {**_parameters(node), **changes}
    for first, second in _BODIES:
        if first in values and values[first] is None and values.get(second) is not None:
            values[first], values[second] = values[second], None
    made = type(node)(*_positional(node, values), **values)
    if "name" not in values and vars(node).get("name") is not None:
        made.name = node.name
    return made


# ------------------------------------------------------------------ pydantic components


def _fields(node: Any) -> Any:
    return getattr(type(node), "model_fields", None)


def _key(node: Any, name: str, field: Any) -> str:
    """What the constructor of a model calls a field."""
    config = type(node).model_config
    alias = field.validation_alias
    if alias is None or config.get("populate_by_name") or config.get("validate_by_name"):
        return name
    if isinstance(alias, str):
        return alias
    choices = [each for each in getattr(alias, "choices", ()) if isinstance(each, str)]
    return choices[0] if choices else name


# ------------------------------------------------------------------ other classes


def _signature(node: Any) -> Mapping[str, inspect.Parameter]:
    parameters = dict(inspect.signature(type(node).__init__).parameters)
    parameters.pop(next(iter(parameters)))  # self
    return parameters


def _parameters(node: Any) -> dict[str, Any]:
    """The constructor's parameters with what the node keeps of them."""
    found: dict[str, Any] = {}
    for name, parameter in _signature(node).items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue  # of a sequence, first, middle and last say what its steps are
        value = _kept(node, name)
        if value is not _MISSING:
            found[name] = value
        elif parameter.default is parameter.empty:
            raise ConfigError(
                f"{type(node).__name__} cannot be built again with other values: its constructor "
                f"needs {name!r}, which it keeps in no attribute of that name."
            )
    if isinstance(node, RunnableBranch):
        found.update(branches=node.branches, default=node.default)
    return found


def _kept(node: Any, name: str) -> Any:
    held = vars(node)
    for candidate in (name, _KEPT_AS.get(name)):
        if candidate in held or isinstance(getattr(type(node), candidate or "", None), property):
            return getattr(node, candidate)  # type: ignore[arg-type]
    return _MISSING


def _positional(node: Any, values: dict[str, Any]) -> list[Any]:
    """What the constructor wants without a name; taken out of `values`."""
    if not isinstance(node, RunnableBranch):
        return []
    return [*values.pop("branches"), values.pop("default")]


def _hint(node: Any, name: str) -> Any:
    from typing import get_type_hints

    try:
        return get_type_hints(type(node).__init__).get(name, Any)
    except Exception:  # a name that only the type checker imports
        return Any
