"""Values to JSON, with a version:

    {"headrace": 1, "value": {"$": "AIMessage", "content": "Hi", "id": "run-…"}}

`value` is as `plain` writes it. Written are messages of every kind, chunks too, documents,
generations and results, prompt values, and lists, dicts and the other builtin types around and in
them. A user's subclass of one of these is written as the Headrace class it derives from. Whatever
else is met in a value (components, other classes, circles) is an error: what cannot be read back
as itself is not written. A component given by itself, a chain say, is described, to be looked at or
compared: `{"headrace": 1, "described": "<class>", "repr": "…"}`, which `load` refuses.
"""

from __future__ import annotations

import json
from typing import Any

from ..errors import InputError
from ..messages import BaseMessage
from ..values import Value
from .foreign import Opaque, class_path
from .plain import WRITERS, Writer

__all__ = ["VERSION", "dumpd", "dumps"]

VERSION = 1  # of what is written; `load` reads this and every earlier one

_WHAT = "messages, documents, generations, prompt values, and builtin types"


def dumps(value: Any, *, pretty: bool = False) -> str:
    """A value as a text of JSON, which `loads` reads; of a component its description.

    Args:
        value: what to write; see the top of this file.
        pretty: indented by two spaces, instead of on one line.

    Raises:
        InputError: it holds what cannot be read back: a component, an object of a class that is
            not known, a circle.
    """
    told = dumpd(value)
    if pretty:
        return json.dumps(told, indent=2, allow_nan=False)
    return json.dumps(told, separators=(",", ":"), allow_nan=False)


def dumpd(value: Any) -> dict[str, Any]:
    """A value as what `json.dumps` takes, which `load` reads. Args and errors as of `dumps`."""
    if hasattr(value, "invoke"):
        return {"headrace": VERSION, "described": class_path(type(value)), "repr": repr(value)}
    return {"headrace": VERSION, "value": _StrictWriter().put(value)}


class _StrictWriter(Writer):
    """Writes only what a reader brings back as it was."""

    __slots__ = ()

    def _put_other(self, value: Any, kind: type) -> Any:
        if isinstance(value, BaseException) or not self._is_known(kind):
            raise _refused(value)
        told = self._put_by_family(value, kind)
        if isinstance(told, dict):
            added = told.pop("$extra", None)
            if added or told.get("$") == "Value":
                raise _refused(value, added)
            told.pop("$class", None)
        return told

    @staticmethod
    def _is_known(kind: type) -> bool:
        if issubclass(kind, (BaseMessage, Value)):
            return True
        if hasattr(kind, "_fields") or hasattr(kind, "__members__"):
            return False  # a namedtuple or an enum is more than its items
        return any(base in WRITERS for base in kind.__mro__[1:-1])  # a builtin type's subclass

    def put_opaque(self, value: Opaque) -> Any:
        raise InputError(
            f"This cannot be written as JSON: {value.type} {value.repr}. Nothing that holds "
            "itself, or is nested more than 100 deep, can be read back."
        )


def _refused(value: Any, added: Any = None) -> InputError:
    """Why a value is not written."""
    what = class_path(type(value))
    if added:
        return InputError(
            f"A {what} has attributes of its own, {', '.join(sorted(added))}, that reading it back "
            "would lose: put them into additional_kwargs, or write its fields (model_dump)."
        )
    if hasattr(value, "invoke") or hasattr(value, "get_secret_value"):
        return InputError(
            f"A {what} is not written as JSON: components hold code and secrets. Written are "
            f"{_WHAT}. Make the component anew in the program that reads, or pickle it."
        )
    if hasattr(value, "model_dump"):
        return InputError(
            f"A {what} cannot be written as JSON as itself: write its model_dump(). Written are "
            f"{_WHAT}."
        )
    return InputError(f"A {what} cannot be written as JSON: {value!r:.200}. Written are {_WHAT}.")
