"""Tools as plain text, for models that are told of them in a prompt.

    multiply(a: int, b: int) -> int - Multiply two numbers.

One line for each tool; a tool class and an async tool have no signature in it. Of a runnable as a
tool the arguments are those of its schema. Arguments that no model gives are left out.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from headrace.errors import InputError

from ..runnables import Runnable
from .base import BaseTool
from .schema import is_of_signature

__all__ = ["ToolsRenderer", "render_text_description", "render_text_description_and_args"]

ToolsRenderer: TypeAlias = Callable[[list[BaseTool]], str]
KEYWORD = inspect.Parameter.KEYWORD_ONLY


def render_text_description(tools: Iterable[BaseTool]) -> str:
    """A line `name(signature) - description` for each tool."""
    return "\n".join(_line(tool) for tool in _several(tools))


def render_text_description_and_args(tools: Iterable[BaseTool]) -> str:
    """The same, with the JSON schema of each argument, as Python writes a dict."""
    return "\n".join(f"{_line(tool)}, args: {tool.args}" for tool in _several(tools))


def _several(tools: Any) -> Any:
    """The tools. A tool by itself can be iterated too, as pydantic's models can: over fields."""
    if isinstance(tools, BaseTool):
        raise InputError(f"tools is the tool {tools.name!r} by itself: give a list of tools.")
    return tools


def _line(tool: BaseTool) -> str:
    return f"{tool.name}{_signature(tool)} - {tool.description}"


class _Written(str):
    """An annotation that is postponed, shown like one that is not: without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _signature(tool: Any) -> str:
    function = getattr(tool, "func", None)
    if function is None:
        return ""
    found = inspect.signature(function)
    if _takes_anything(tool, found):
        return f"({', '.join(_argument(tool, name) for name in tool.args)}) -> Any"
    hidden = tool._hidden()
    shown = [
        each.replace(annotation=_plain(each.annotation))
        for name, each in found.parameters.items()
        if name not in hidden
    ]
    result = _plain(found.return_annotation)
    return str(found.replace(parameters=shown, return_annotation=result))


def _takes_anything(tool: Any, found: inspect.Signature) -> bool:
    """Whether a signature is none of the tool's, and its schema says what it takes: of a runnable
    as a tool, or of a function of keywords with a schema of its own."""
    if isinstance(getattr(tool.func, "__self__", None), Runnable):
        return True
    own = tool.args_schema is not None and not is_of_signature(tool.args_schema)
    return own and any(each.kind is each.VAR_KEYWORD for each in found.parameters.values())


def _argument(tool: Any, name: str) -> str:
    """An argument of the tool's schema, as in a signature."""
    field = getattr(tool.args_schema, "model_fields", {}).get(name)
    if field is None:
        kind = str if tool.args[name].get("type") == "string" else inspect.Parameter.empty
        default = inspect.Parameter.empty
    else:
        kind = field.annotation
        default = inspect.Parameter.empty if field.is_required() else field.get_default()
    return str(inspect.Parameter(name, KEYWORD, annotation=kind, default=default))


def _plain(annotation: Any) -> Any:
    return _Written(annotation) if isinstance(annotation, str) else annotation
