"""Tools: what a model may ask to be done, as runnables.

`@tool` makes one of a function; `BaseTool` is the base of classes.
"""

from .base import BaseTool, ToolInput, ToolRunManager
from .decorator import tool
from .errors import SchemaAnnotationError, ToolArgumentsError, ToolException, ToolSchemaError
from .schema import create_schema_from_function
from .structured import StructuredTool, Tool

__all__ = [
    "BaseTool",
    "SchemaAnnotationError",
    "StructuredTool",
    "Tool",
    "ToolArgumentsError",
    "ToolException",
    "ToolInput",
    "ToolRunManager",
    "ToolSchemaError",
    "create_schema_from_function",
    "tool",
]
