"""Tools made of functions: `StructuredTool` for any arguments, `Tool` for one.

StructuredTool.from_function(multiply)               # name, description, schema: the function's
StructuredTool.from_function(coroutine=afetch)       # async runs only
Tool("search", look_up, "Look something up.")        # one argument, usually text
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal

from pydantic import PrivateAttr

from .._bridge import call_in_thread
from ..errors import ConfigError
from ..run import Run
from ..runnables import schema
from ..runnables._doors import no_sync_body
from .base import BaseTool, ToolRunManager
from .errors import ToolException
from .schema import Body, arguments_of, checked_schema, create_schema_from_function, kind_of

__all__ = ["FunctionTool", "StructuredTool", "Tool"]

_Colour = Literal["sync", "async"]


class FunctionTool(BaseTool):
    """What the two have in common.

    Args:
        func: the body, also a generator function; an async one here counts as `coroutine`.
        coroutine: the body of async runs, also an async generator function. Without one `func` is
            called in a worker thread.
    """

    description: str = ""
    func: Any = None
    coroutine: Any = None

    _taken: dict[_Colour, Body] = PrivateAttr(default_factory=dict)

    def __init__(self, **kwargs: Any) -> None:
        func = kwargs.get("func")
        if kwargs.get("coroutine") is None and is_async(func):
            kwargs.update(func=None, coroutine=func)
        for each in ("func", "coroutine"):
            _check(each, kwargs.get(each))
        super().__init__(**kwargs)
        kind = type(self)
        own = kind._run is not FunctionTool._run or kind._arun is not FunctionTool._arun
        if self.func is None and self.coroutine is None and not own:
            raise ConfigError(
                f"Tool {self.name!r} has no function: a tool is made of one, give func, coroutine "
                "or both."
            )

    @property
    def _async_only(self) -> Any:
        own = type(self)._run is not FunctionTool._run
        return None if own or self.func is not None else self

    def _run(self, *args: Any, config: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        """Call `func`; for a subclass that does something around it."""
        if self.func is None:
            raise no_sync_body(self)
        return self.func(*args, **kwargs, **self._fills("sync", config, run_manager))

    async def _arun(
        self, *args: Any, config: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        """Call `coroutine`, or `func` in a worker thread."""
        if self.coroutine is not None:
            given = self._fills("async", config, run_manager)
            made = self.coroutine(*args, **kwargs, **given)
            return made if kind_of(self.coroutine) == "async generator" else await made
        given = {"config": config, "run_manager": run_manager}
        return await call_in_thread(lambda: self._run(*args, **kwargs, **given))

    def _fills(self, colour: _Colour, config: Any, manager: Any) -> dict[str, Any]:
        """What the function has parameters for, of what a subclass's body handed on."""
        body = self._taken_apart(colour)
        given = dict.fromkeys(body.fills, manager) if manager is not None else {}
        return given if body.config is None else {**given, body.config: config}

    def _taken_apart(self, colour: _Colour) -> Body:
        taken: dict[_Colour, Body] = self._kept["_taken"]
        body = taken.get(colour)
        if body is None:
            body = taken[colour] = Body(self.func if colour == "sync" else self.coroutine)
        return body

    def _target(self, colour: _Colour) -> tuple[Callable[..., Any], Body]:
        """The function itself; the body of a subclass that has one."""
        kind = type(self)
        if colour == "async" and kind._arun is not FunctionTool._arun:
            return self._arun, self._body("_arun")
        if colour == "async" and self.coroutine is not None:
            return self.coroutine, self._taken_apart("async")
        if kind._run is not FunctionTool._run:
            return self._run, self._body("_run")
        if self.func is None:
            raise no_sync_body(self)
        return self.func, self._taken_apart("sync")

    def _bodies(self) -> list[Body]:
        bodies: dict[_Colour, Any] = {"sync": self.func, "async": self.coroutine}
        return [self._taken_apart(colour) for colour, body in bodies.items() if body is not None]

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        private = {**state["__pydantic_private__"], "_taken": {}}
        return {**state, "__pydantic_private__": private}

    def _source(self) -> Callable[..., Any]:
        return self.func if self.func is not None else self.coroutine  # type: ignore[no-any-return]


class StructuredTool(FunctionTool):
    """A function as a tool; usually made by `@tool` or `from_function`."""

    @classmethod
    def from_function(
        cls,
        func: Callable[..., Any] | None = None,
        coroutine: Callable[..., Awaitable[Any]] | None = None,
        name: str | None = None,
        description: str | None = None,
        return_direct: bool = False,
        args_schema: Any = None,
        infer_schema: bool = True,
        *,
        response_format: Literal["content", "content_and_artifact"] = "content",
        parse_docstring: bool = False,
        error_on_invalid_docstring: bool = False,
        **kwargs: Any,
    ) -> StructuredTool:
        """A tool of a function, of an async one, or of one of each. Either may be a generator
        function, whose yields are progress (see `BaseTool`).

        Args:
            name: by default the function's.
            description: by default the docstring, else that of `args_schema`.
            args_schema: a pydantic model class or a JSON schema; by default the signature says it.
            infer_schema: False: the signature is not read before the first call.
            parse_docstring, error_on_invalid_docstring: of the docstring, see
                `create_schema_from_function`.
            kwargs: further fields of the tool.

        Raises:
            ConfigError: no function; no description.
            ToolSchemaError: no signature to read, or another kind of schema.
        """
        source: Any = func if func is not None else coroutine
        if source is None:
            raise ConfigError("A tool is made of a function: give func, coroutine or both.")
        _check("func" if func is not None else "coroutine", source)
        checked_schema(args_schema)
        name = name or name_of(source)
        if args_schema is None and infer_schema:
            args_schema = create_schema_from_function(
                name,
                source,
                parse_docstring=parse_docstring,
                error_on_invalid_docstring=error_on_invalid_docstring,
            )
            if parse_docstring and description is None:
                description = args_schema.__doc__
        return cls(
            name=name,
            func=func,
            coroutine=coroutine,
            description=description_of(description, source, args_schema, name),
            args_schema=args_schema,
            return_direct=return_direct,
            response_format=response_format,
            **kwargs,
        )


class Tool(FunctionTool):
    """A function of one argument as a tool. A dict of one value stands for that value."""

    def __init__(self, name: str, func: Any = None, description: str = "", **kwargs: Any) -> None:
        super().__init__(name=name, func=func, description=description, **kwargs)

    @classmethod
    def from_function(
        cls,
        func: Callable[..., Any] | None,
        name: str,
        description: str,
        return_direct: bool = False,
        args_schema: Any = None,
        coroutine: Callable[..., Awaitable[Any]] | None = None,
        **kwargs: Any,
    ) -> Tool:
        """The same, its parts by name. Raises ConfigError without a function."""
        if func is None and coroutine is None:
            raise ConfigError("A tool is made of a function: give func, coroutine or both.")
        return cls(
            name,
            func,
            description,
            coroutine=coroutine,
            return_direct=return_direct,
            args_schema=args_schema,
            **kwargs,
        )

    def _schema(self) -> Any:
        """What a schema says; without one a single text."""
        if self.args_schema is not None:
            return self.args_schema
        return schema.model_of(schema.Fields(self.name, {"tool_input": (str, ...)}))

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        if side == "input" and self.args_schema is None:
            return schema.Plain(schema.title(self, side), str)
        return super()._data(side, config)

    @property
    def args(self) -> dict[str, Any]:
        return {"tool_input": {"type": "string"}} if self.args_schema is None else super().args

    def _ready(self, given: Any, run: Run, function: Any, body: Body) -> Callable[[], Any]:
        if self.args_schema is not None:
            given = arguments_of(self.name, given, self.args_schema, body.fields, body.injected)
        values = list(given.values()) if isinstance(given, dict) else [given]
        if len(values) != 1:
            raise ToolException(
                f"Tool {self.name!r} takes one argument and was given {len(values)}: {values!r}. "
                "Make it of its function with @tool or StructuredTool for several."
            )
        filled = body.filled(run, ToolRunManager)
        return lambda: function(*values, **filled)


def is_async(function: Any) -> bool:
    """Whether calling it gives something to await, or an async generator: so does an object with
    such a function as its `__call__`."""
    return kind_of(function) in ("coroutine", "async generator")


def _check(parameter: str, function: Any) -> None:
    if function is None:
        return
    if not callable(function):
        raise ConfigError(
            f"{parameter} of a tool is a function; received {function!r} "
            f"({type(function).__name__})."
        )


def _plain(function: Any) -> Any:
    """The function in a partial."""
    while isinstance(function, partial):
        function = function.func
    return function


def name_of(function: Any) -> str:
    """What the tool of a function is called where nobody says."""
    function = _plain(function)
    return getattr(function, "__name__", None) or type(function).__name__


def description_of(given: str | None, source: Any, args_schema: Any, name: str) -> str:
    """What is given, else what the function says, else what the schema does."""
    if given is not None:
        return given.strip()
    own = inspect.getdoc(_plain(source))
    if not own and isinstance(args_schema, dict):
        own = args_schema.get("description")
    elif not own and args_schema is not None:
        own = inspect.cleandoc(args_schema.__doc__ or "")
    if not own:
        raise ConfigError(
            f"Tool {name!r} has no description, by which a model knows when to use it: write a "
            "docstring, or give description=…"
        )
    return own.strip()
