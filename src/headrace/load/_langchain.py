"""Values in the JSON of LangChain's `dumps`, for those who bring stored messages along.

    {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessage"],
     "kwargs": {"content": "Hi", "type": "ai"}}

Read are the value classes alone, by the last part of `id`: `type` is `constructor` for a value,
`secret` for the name of one, and `not_implemented` for what LangChain could not write. A dict of a
user's that has the key `lc` stands inside `{"__lc_escaped__": …}` there. The form is taken from
what LangChain's `dumps` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InputError
from ..messages import BaseMessage
from ..values import Value
from ._checks import checked
from .plain import MESSAGES, VALUES

__all__ = ["revive"]

_PACKAGES = ("langchain", "langchain_core", "langchain_classic")
_KINDS: Mapping[str, Any] = {**MESSAGES, **VALUES}
_ESCAPED = "__lc_escaped__"

Secrets = Mapping[str, str]


def revive(told: Any, secrets: Secrets) -> Any:
    """The values in a tree of JSON; what is no value of LangChain's stays as it is."""
    if isinstance(told, list):
        return [revive(item, secrets) for item in told]
    if not isinstance(told, dict):
        return told
    if told.keys() == {_ESCAPED}:
        return told[_ESCAPED]
    if "lc" not in told:
        return {key: revive(item, secrets) for key, item in told.items()}
    if told["lc"] != 1:
        raise InputError(
            f"This was written in version {told['lc']!r} of LangChain's JSON; version 1 is read."
        )
    read = _TYPES.get(told.get("type", ""))
    if read is None:
        raise InputError(
            f"LangChain's JSON says type {told.get('type')!r}; read are {', '.join(_TYPES)}."
        )
    return read(told, secrets)


def _constructed(told: Mapping[str, Any], secrets: Secrets) -> Any:
    path = told["id"]
    kind = _KINDS.get(path[-1]) if path[0] in _PACKAGES else None
    if kind is None:
        raise InputError(
            f"LangChain's JSON names the class {'.'.join(map(str, path))}, which is not read: "
            "components are made anew in code; read are messages, documents, generations and "
            "prompt values."
        )
    fields = {name: revive(value, secrets) for name, value in told["kwargs"].items()}
    fields.pop("example", None)  # of messages, long ago
    made = _made(kind, fields)
    checked(made)
    return made


def _made(kind: Any, fields: dict[str, Any]) -> BaseMessage | Value:
    if issubclass(kind, Value):
        value: Value = kind.model_validate(fields)
        return value
    said = fields.pop("type", kind.type)
    if said != kind.type:
        raise InputError(f"A {kind.__name__} says it is of type {said!r}, not {kind.type!r}.")
    message: BaseMessage = kind(**fields)
    return message


def _secret(told: Mapping[str, Any], secrets: Secrets) -> str:
    names = told["id"]
    name = names[0] if len(names) == 1 else ".".join(map(str, names))
    if name not in secrets:
        raise InputError(
            f"LangChain's JSON asks for the secret {name!r}: give it in secrets_map, "
            f"{{{name!r}: …}}. It is looked up nowhere else."
        )
    return secrets[name]


def _not_implemented(told: Mapping[str, Any], secrets: Secrets) -> Any:
    raise InputError(
        f"LangChain could not write the object of class {'.'.join(map(str, told['id']))}, so it "
        f"cannot be read: {told.get('repr')!r:.200}."
    )


_TYPES: Mapping[str, Callable[[Mapping[str, Any], Secrets], Any]] = {
    "constructor": _constructed,
    "secret": _secret,
    "not_implemented": _not_implemented,
}
