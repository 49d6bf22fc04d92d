"""Tools: what a model may ask to be done, as runnables.

`@tool` makes one of a function; `BaseTool` is the base of classes.
"""

from typing import TYPE_CHECKING, Any

from .._lazy import later, listed
from ..json_schema import dereference_refs
from .base import BaseTool, ToolInput, ToolRunManager
from .convert import convert_runnable_to_tool
from .decorator import tool
from .errors import (
    SchemaAnnotationError,
    ToolArgumentsError,
    ToolException,
    ToolSchemaError,
    ToolTimeout,
    ToolTypeError,
)
from .function_calling import (
    convert_to_json_schema,
    convert_to_openai_function,
    convert_to_openai_tool,
    tool_example_to_messages,
)
from .injected import InjectedToolArg, InjectedToolCallId
from .progress import Progress
from .render import ToolsRenderer, render_text_description, render_text_description_and_args
from .schema import create_schema_from_function
from .structured import StructuredTool, Tool

if TYPE_CHECKING:
    from .retriever import create_retriever_tool

__all__ = [
    "BaseTool",
    "InjectedToolArg",
    "InjectedToolCallId",
    "Progress",
    "SchemaAnnotationError",
    "StructuredTool",
    "Tool",
    "ToolArgumentsError",
    "ToolException",
    "ToolInput",
    "ToolRunManager",
    "ToolSchemaError",
    "ToolTimeout",
    "ToolTypeError",
    "ToolsRenderer",
    "convert_runnable_to_tool",
    "convert_to_json_schema",
    "convert_to_openai_function",
    "convert_to_openai_tool",
    "create_retriever_tool",
    "create_schema_from_function",
    "dereference_refs",
    "render_text_description",
    "render_text_description_and_args",
    "tool",
    "tool_example_to_messages",
]

_HOMES = {"create_retriever_tool": "retriever"}  # which needs prompts


def __getattr__(name: str) -> Any:
    return later(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
