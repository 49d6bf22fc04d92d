"""Tools: what a model may ask to be done, as runnables.

`@tool` makes one of a function; `BaseTool` is the base of classes.
"""

from ..json_schema import dereference_refs
from .base import BaseTool, ToolInput, ToolRunManager
from .convert import convert_runnable_to_tool
from .decorator import tool
from .errors import (
    SchemaAnnotationError,
    ToolArgumentsError,
    ToolException,
    ToolSchemaError,
    ToolTypeError,
)
from .function_calling import (
    convert_to_json_schema,
    convert_to_openai_function,
    convert_to_openai_tool,
    tool_example_to_messages,
)
from .injected import InjectedToolArg, InjectedToolCallId
from .schema import create_schema_from_function
from .structured import StructuredTool, Tool

__all__ = [
    "BaseTool",
    "InjectedToolArg",
    "InjectedToolCallId",
    "SchemaAnnotationError",
    "StructuredTool",
    "Tool",
    "ToolArgumentsError",
    "ToolException",
    "ToolInput",
    "ToolRunManager",
    "ToolSchemaError",
    "ToolTypeError",
    "convert_runnable_to_tool",
    "convert_to_json_schema",
    "convert_to_openai_function",
    "convert_to_openai_tool",
    "create_schema_from_function",
    "dereference_refs",
    "tool",
    "tool_example_to_messages",
]
