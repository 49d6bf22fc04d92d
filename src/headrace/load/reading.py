"""Values from JSON: what `dumps` wrote, and LangChain's form of the same values.

Names are looked up in tables of Headrace's own classes, and nothing else is imported or called; so
a text from anywhere can be read, and gives values or an InputError.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from ..messages import BaseMessage
from ..values import Value
from ._checks import checked
from ._langchain import revive
from .plain import Reader
from .writing import VERSION

__all__ = ["load", "loads"]


def loads(text: str | bytes, *, secrets_map: Mapping[str, str] | None = None) -> Any:
    """The value that a text holds: one of `dumps`, or of LangChain's function of that name.

    Args:
        secrets_map: the values of the secrets that a text of LangChain's names. Environment
            variables are never read: text must not choose what is taken from there.

    Raises:
        InputError: it is no JSON, of a later version, or names a type or a secret that is not
            known.
    """
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"This is no JSON ({error}): {text[:200]!r}") from error
    return load(told, secrets_map=secrets_map)


def load(told: Any, *, secrets_map: Mapping[str, str] | None = None) -> Any:
    """The value that `dumpd` (or LangChain's) was given; args and errors as of `loads`."""
    ours = isinstance(told, dict) and "headrace" in told
    try:
        return _ours(told) if ours else revive(told, secrets_map or {})
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError,
            RecursionError) as error:  # fmt: skip
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"This is not what dumps writes ({type(error).__name__}: {error}): {str(told)[:200]}"
        ) from error


def _ours(told: Mapping[str, Any]) -> Any:
    version = told["headrace"]
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise InputError(
            f"This was written in version {version!r} of Headrace's JSON; this Headrace reads "
            f"versions up to {VERSION}: read it with the Headrace that wrote it."
        )
    if "described" in told:
        raise InputError(
            f"This describes a {told['described']}, and is no value: components hold code and "
            "secrets. Make it anew in the program that reads, or pickle it."
        )
    return _StrictReader().take(told["value"])


class _StrictReader(Reader):
    """Reads what a strict writer wrote: no foreign objects, no errors, no misshapen values."""

    __slots__ = ()

    def take(self, told: Any) -> Any:
        if type(told) is dict and told.get("$") in ("error", "object"):
            raise InputError(
                f"This holds an object of a class that is not read back: {str(told)[:200]}"
            )
        value = super().take(told)
        if isinstance(value, (BaseMessage, Value)):
            _check_names(type(value), told)
            checked(value)
        return value

    def hashable(self, told: Any) -> Any:
        value = self.take(told)
        hash(value)  # a TypeError, where a key or an item of a set cannot be one
        return value


def _check_names(kind: Any, told: Mapping[str, Any]) -> None:
    """Raise InputError for a field that the class does not have."""
    message = issubclass(kind, BaseMessage)
    known = ("content", "id", "name", *kind._rare) if message else kind._shown
    for name in told:
        if name[:1] != "$" and name not in known:
            raise InputError(
                f"{kind.__name__} has no field {name!r}. Its fields: {', '.join(known)}."
            )
