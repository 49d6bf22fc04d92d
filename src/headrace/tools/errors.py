"""What goes wrong with tools, as sentences.

| error | when |
|---|---|
| `ToolException` | a tool's author raises it: the tool could not do it, an agent may go on |
| `ToolTimeout` | the tool was not done within its `timeout` |
| `ToolArgumentsError` | the input is nothing a tool could be called with |
| pydantic's `ValidationError` | an argument breaks a rule; a note names both and the tool |
| `ToolSchemaError` | a tool is put together wrongly |

pydantic's own class stays what it is because programs catch it and read its `errors()`.
"""

from __future__ import annotations

import sys
from typing import Any, cast

from pydantic import ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import PydanticCustomError

from ..errors import ConfigError, HeadraceError, InputError, Timeout

__all__ = [
    "SchemaAnnotationError",
    "ToolArgumentsError",
    "ToolException",
    "ToolSchemaError",
    "ToolTimeout",
    "ToolTypeError",
    "is_about_arguments",
    "with_sentence",
]

_SHOWN = 80  # characters of an offending value


class ToolException(HeadraceError):
    """Raised by a tool that could not do what it was asked.

    With `handle_tool_error` the tool answers with its message instead, so that a model can react.
    """


class ToolTimeout(Timeout, ToolException):
    """A tool was not done within its `timeout`; `partial` is what it yielded last, if anything."""


class ToolArgumentsError(InputError, TypeError):
    """A tool was given what its arguments cannot be made of."""


class ToolSchemaError(ConfigError, TypeError):
    """A tool's schema is of a kind that tools cannot use."""


class ToolTypeError(ToolSchemaError, PydanticInvalidForJsonSchema):
    """A model has a field of a type that JSON schema has no word for."""

    def __init__(self, message: str) -> None:
        PydanticInvalidForJsonSchema.__init__(self, message)
        self.args = (message,)

    def __str__(self) -> str:
        return str(self.message)


class SchemaAnnotationError(ToolSchemaError):
    """A class of tools annotates `args_schema` as if it were an instance of a model."""


def is_about_arguments(error: BaseException) -> bool:
    """Whether it says that arguments are wrong, in either version of pydantic or in our words."""
    if isinstance(error, (ValidationError, ToolArgumentsError)):
        return True
    old: Any = sys.modules.get("pydantic.v1")  # loaded by whoever has a model of that version
    return old is not None and isinstance(error, old.ValidationError)


def with_sentence(error: Any, tool: str, given: Any, hidden: frozenset[str]) -> Any:
    """The same validation error with a note that says which argument broke which rule.

    Args:
        given: the input that was checked.
        hidden: arguments whose values are not for everybody: those that no model gives. Where one
            was given, it is taken out of pydantic's own error, too.
    """
    secret = isinstance(given, dict) and not hidden.isdisjoint(given)
    if secret and isinstance(error, ValidationError):
        error = _redacted(error, hidden)
    broken = "; ".join(_broken(each, given, hidden) for each in error.errors())
    error.add_note(f"Tool {tool!r} has not run: {broken}.")
    return error


def _redacted(error: ValidationError, hidden: frozenset[str]) -> ValidationError:
    """The same error (pydantic's class can have no subclass) without the hidden values."""
    lines: list[Any] = []
    for each in error.errors(include_url=False):
        told: Any = each["msg"]
        kind = PydanticCustomError(cast("Any", each["type"]), told, each.get("ctx"))
        given = "(injected)" if each["loc"] and each["loc"][0] in hidden else each["input"]
        if isinstance(given, dict):
            given = {key: one for key, one in given.items() if key not in hidden}
        lines.append({"type": kind, "loc": each["loc"], "input": given})
    return ValidationError.from_exception_data(error.title, lines)


def _broken(each: dict[str, Any], given: Any, hidden: frozenset[str]) -> str:
    parts = [part for part in each["loc"] if part != "__root__"]  # pydantic 1: the whole input
    what = f"argument {'.'.join(map(str, parts))!r}" if parts else "its input"
    rule = each["msg"].rstrip(".")
    injected = bool(parts) and parts[0] in hidden
    if each["type"].endswith("missing"):  # "value_error.missing" in pydantic 1
        own = "it is injected: whoever calls the tool gives it" if injected else rule
        return f"{what} is missing ({own})"
    if injected:
        return f"{what} (injected, not shown) is wrong: {rule}"
    shown = repr(each["input"] if "input" in each else _value_at(given, parts))
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return f"{what} is {shown}: {rule}"


def _value_at(given: Any, parts: list[Any]) -> Any:
    """What stands at a place of the input; pydantic 1 does not say."""
    for part in parts:
        try:
            given = given[part]
        except (LookupError, TypeError):  # a place inside of what the model made
            return given
    return given
