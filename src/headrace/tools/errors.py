"""What goes wrong with tools, as sentences.

| error | when |
|---|---|
| `ToolException` | a tool's author raises it: the tool could not do it, an agent may go on |
| `ToolArgumentsError` | the input is nothing a tool could be called with |
| pydantic's `ValidationError` | an argument breaks a rule; a note names both and the tool |
| `ToolSchemaError` | a tool is put together wrongly |

pydantic's own class stays what it is because programs catch it and read its `errors()`.
"""

from __future__ import annotations

import sys
from typing import Any

from pydantic import ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from ..errors import ConfigError, HeadraceError, InputError

__all__ = [
    "SchemaAnnotationError",
    "ToolArgumentsError",
    "ToolException",
    "ToolSchemaError",
    "ToolTypeError",
    "is_about_arguments",
    "with_sentence",
]

_SHOWN = 80  # characters of an offending value


class ToolException(HeadraceError):
    """Raised by a tool that could not do what it was asked.

    With `handle_tool_error` the tool answers with its message instead, so that a model can react.
    """


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


def with_sentence(error: Any, tool: str) -> Any:
    """The same validation error with a note that says which argument broke which rule."""
    broken = "; ".join(_broken(each) for each in error.errors())
    error.add_note(f"Tool {tool!r} has not run: {broken}.")
    return error


def _broken(each: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in each["loc"])
    what = f"argument {place!r}" if place else "its input"
    rule = each["msg"].rstrip(".")
    if each["type"].endswith("missing"):  # "value_error.missing" in pydantic 1
        return f"{what} is missing ({rule})"
    given = repr(each["input"]) if "input" in each else "not usable"
    given = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}…"
    return f"{what} is {given}: {rule}"
