"""A runnable as a tool: `convert_runnable_to_tool`, behind `runnable.as_tool()`.

    chain.as_tool(name="lookup", description="Look it up.")

A runnable of text becomes a tool of one text; one of a dict whose keys are known a tool of these
arguments. What runs inside it are children of the tool's run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..runnables import schema
from .base import BaseTool
from .structured import StructuredTool, Tool

__all__ = ["convert_runnable_to_tool"]

_TEXT = "__arg1"  # the argument of a tool of one text


def convert_runnable_to_tool(
    runnable: Any,
    args_schema: Any = None,
    *,
    name: str | None = None,
    description: str | None = None,
    arg_types: Mapping[str, Any] | None = None,
) -> BaseTool:
    """A tool that invokes a runnable.

    Args:
        args_schema: a pydantic model or a TypedDict in place of the runnable's input.
        name: by default the runnable's.
        description: by default what it takes.
        arg_types: the arguments by name, all required, in place of the runnable's input.

    Raises:
        TypeUnknownError: its input is neither a text nor a dict whose keys are known.
    """
    name = str(name or _inside(runnable).get_name())
    model = schema.tool_arguments(runnable, name=name, args_schema=args_schema, arg_types=arg_types)
    description = description or _takes(model)
    if _is_text(model):
        return Tool(name, runnable.invoke, description, coroutine=runnable.ainvoke)

    def invoke(**arguments: Any) -> Any:
        return runnable.invoke(arguments)

    async def ainvoke(**arguments: Any) -> Any:
        return await runnable.ainvoke(arguments)

    return StructuredTool.from_function(
        invoke, ainvoke, name=name, description=description, args_schema=model
    )


def _inside(runnable: Any) -> Any:
    """What policies are around, whose names are none for a tool."""
    while hasattr(type(runnable), "_written") and runnable.name is None:
        if "bound" not in vars(runnable):
            break
        runnable = runnable.bound
    return runnable


def _is_text(model: Any) -> bool:
    fields = schema.of_model(model)
    # pydantic has no room for that name: it is the alias of a field
    return [getattr(each[1], "alias", None) for each in fields.fields.values()] == [_TEXT]  # type: ignore[union-attr]


def _takes(model: Any) -> str:
    """What a model is told where nobody describes the tool."""
    if _is_text(model):
        return "Takes a text."
    arguments = schema.json_schema(model).get("properties", {})
    return f"Takes {', '.join(arguments)}." if arguments else "Takes nothing."
