"""Tools as plain text, for models that are told of them in a prompt.

    multiply(a: int, b: int) -> int - Multiply two numbers.

One line for each tool; a tool class and an async tool have no signature in it. Arguments that no
model gives are left out.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from headrace.errors import InputError

from .base import BaseTool

__all__ = ["ToolsRenderer", "render_text_description", "render_text_description_and_args"]

ToolsRenderer: TypeAlias = Callable[[list[BaseTool]], str]


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
    hidden = tool._hidden()
    shown = [
        each.replace(annotation=_plain(each.annotation))
        for name, each in found.parameters.items()
        if name not in hidden
    ]
    result = _plain(found.return_annotation)
    return str(found.replace(parameters=shown, return_annotation=result))


def _plain(annotation: Any) -> Any:
    return _Written(annotation) if isinstance(annotation, str) else annotation
