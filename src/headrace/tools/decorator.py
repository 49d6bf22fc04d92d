"""`@tool`: a function becomes a tool.

@tool                                    # name, description and arguments are the function's
def multiply(a: int, b: Annotated[int, "the other factor"]) -> int:
    '''Multiply two numbers.'''
    return a * b

@tool("times", return_direct=True)       # another name, fields of the tool
@tool(args_schema=Factors)               # arguments as a pydantic model or a JSON schema says
@tool(timeout=30)                        # seconds; above a generator function: a tool that reports
tool(multiply)                           # the same without the @
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, overload

from ..errors import ConfigError
from .base import BaseTool
from .structured import StructuredTool, Tool, description_of, is_async, name_of

__all__ = ["tool"]

_Format = Literal["content", "content_and_artifact"]
_Maker = Callable[[Callable[..., Any]], BaseTool]


@overload
def tool(
    name_or_callable: Callable[..., Any],
    *,
    description: str | None = None,
    return_direct: bool = False,
    args_schema: Any = None,
    infer_schema: bool = True,
    response_format: _Format = "content",
    parse_docstring: bool = False,
    error_on_invalid_docstring: bool = True,
    **fields: Any,
) -> BaseTool: ...
@overload
def tool(
    name_or_callable: str | None = None,
    *,
    description: str | None = None,
    return_direct: bool = False,
    args_schema: Any = None,
    infer_schema: bool = True,
    response_format: _Format = "content",
    parse_docstring: bool = False,
    error_on_invalid_docstring: bool = True,
    **fields: Any,
) -> _Maker: ...
def tool(
    name_or_callable: str | Callable[..., Any] | None = None,
    *,
    description: str | None = None,
    return_direct: bool = False,
    args_schema: Any = None,
    infer_schema: bool = True,
    response_format: _Format = "content",
    parse_docstring: bool = False,
    error_on_invalid_docstring: bool = True,
    **fields: Any,
) -> Any:
    """Make a tool of a function or a coroutine function, or of a generator function of either
    colour, whose yields are progress.

    Args:
        name_or_callable: the function, or the tool's name; without either, the function's name.
        description: for the model; by default the docstring.
        return_direct, response_format, fields: fields of the tool; see `BaseTool`.
        args_schema: a pydantic model class or a JSON schema in place of the signature.
        parse_docstring: the docstring describes the arguments, in Google, NumPy or reST style.
        error_on_invalid_docstring: a docstring that does not is a mistake, then.
        infer_schema: False (and no `args_schema`): a tool of one text argument.

    Returns:
        The tool, or a decorator that makes it.

    Raises:
        ConfigError: no description; what is decorated is no function.
    """
    given = {"return_direct": return_direct, "response_format": response_format, **fields}

    def make(function: Any, name: str | None = None) -> BaseTool:
        if not callable(function):
            raise ConfigError(
                f"@tool makes a tool of a function; received {function!r} "
                f"({type(function).__name__}). Its other arguments are given by name."
            )
        waits: Any = function if is_async(function) else None
        sync = function if waits is None else None
        if not infer_schema and args_schema is None:
            name = name or name_of(function)
            text = description_of(description, function, None, name)
            return Tool(name, sync, text, coroutine=waits, **given)
        return StructuredTool.from_function(
            sync,
            waits,
            name,
            description,
            args_schema=args_schema,
            parse_docstring=parse_docstring,
            error_on_invalid_docstring=error_on_invalid_docstring,
            **given,
        )

    if name_or_callable is None:
        return make
    if isinstance(name_or_callable, str):
        return lambda function: make(function, name_or_callable)
    return make(name_or_callable)
