"""Functions of the user's that an agent calls on its way: plain ones, coroutine functions, or lists
of them.

| hook | is called | gives |
|---|---|---|
| `before_model(state)` | before each question to the model | an update of the state, or None |
| `after_model(state)` | when the model has answered, before its calls are made | the same |
| `wrap_tool(call, run_tool)` | in place of each call of a tool | a `ToolMessage`, or a text |

An update is added to the state (see `state.py`). Two keys of it are no part of that:
`"llm_input_messages"`, what to ask the model this time instead of the conversation, and
`"jump_to": "end"`, which ends the run with the state as it is.

A plain function in an async run works in a worker thread, in the caller's context. A coroutine
function has no sync body: sync calls of the agent then say so before anything runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from .._bridge import call_in_thread
from ..errors import ConfigError, InputError
from ..run import Run
from ..runnables._repr import name_of
from ..shapes import Barrier, Kwargs
from ._inner import Inner
from .state import listed

__all__ = ["Hook", "Wrap", "hooks_of", "wrap_of"]


class Hook(Inner, Barrier):
    """A function of the state as a step: it shows up in events by its name."""

    def __init__(self, function: Callable[..., Any], kind: str) -> None:
        self.function, self.kind = function, kind
        self.name = name_of(function) or kind
        self._awaited = _is_coroutine(function)
        self._async_only = self if self._awaited else None

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return self._update(run.call(self.function, value))

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        if self._awaited:
            return self._update(await run.acall(self.function, value))
        return self._update(await call_in_thread(run.call, self.function, value))

    def _update(self, given: Any) -> dict[str, Any]:
        """What it gave, with messages of any form as messages."""
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            raise InputError(
                f"{self.kind} {self.name!r} gave {given!r} ({type(given).__name__}): return a dict "
                'that updates the state, e.g. {"messages": […]}, or None.'
            )
        if given.get("jump_to") not in (None, "end"):
            raise InputError(
                f"{self.kind} {self.name!r} wants to jump to {given['jump_to']!r}: an agent knows "
                "'end'. It asks the model again where the last message is nobody's answer."
            )
        return {k: listed(v) if k in _MESSAGES else v for k, v in given.items()}


_MESSAGES = ("messages", "llm_input_messages")


class Wrap:
    """The functions around calls of tools, as one; the first is the outermost."""

    _overridden: frozenset[str] = frozenset()

    def __init__(self, functions: Sequence[Callable[..., Any]]) -> None:
        self._functions = functions
        self.awaited = _is_coroutine(functions[0])
        self._async_only = self if self.awaited else None

    def get_name(self) -> str:
        return f"wrap_tool {name_of(self._functions[0]) or 'function'!r}"

    def __call__(self, call: Any, run_tool: Callable[[Any], Any]) -> Any:
        """What comes of a call; to be awaited where the functions are coroutine functions."""
        for function in reversed(self._functions):
            run_tool = partial(_wrapped, function, run_tool)
        return run_tool(call)


def _wrapped(function: Callable[..., Any], run_tool: Callable[[Any], Any], call: Any) -> Any:
    return function(call, run_tool)


def hooks_of(given: Any, kind: str) -> list[Hook]:
    """The steps that one function, a list of them or None stands for."""
    functions = _functions(given, kind)
    for function in functions:
        _check_takes(function, kind, "state")
    return [Hook(function, kind) for function in functions]


def wrap_of(given: Any) -> Wrap | None:
    """The functions around calls of tools, if any."""
    functions = _functions(given, "wrap_tool")
    for function in functions:
        _check_takes(function, "wrap_tool", "call", "run_tool")
    if len({_is_coroutine(function) for function in functions}) > 1:
        raise ConfigError(
            "wrap_tool holds plain functions and coroutine functions: each calls the next one, so "
            "make all of them plain, or all of them `async def`."
        )
    return Wrap(functions) if functions else None


def _functions(given: Any, kind: str) -> list[Callable[..., Any]]:
    listed_ = list(given) if isinstance(given, (list, tuple)) else [given] * (given is not None)
    for function in listed_:
        if not callable(function):
            raise ConfigError(
                f"{kind} is {function!r} ({type(function).__name__}): give a function, or a list "
                "of functions."
            )
    return listed_


def _check_takes(function: Callable[..., Any], kind: str, *what: str) -> None:
    """Refuse a function that cannot be called like this, such as LangChain's (state, runtime)."""
    try:
        taken = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin that does not tell
        return
    try:
        taken.bind(*what)
    except TypeError:
        raise ConfigError(
            f"{kind} is called with ({', '.join(what)}), and {name_of(function)} takes {taken}: "
            "let it take these, and no more without a default."
        ) from None


def _is_coroutine(function: Any) -> bool:
    called = getattr(function, "__call__", None)  # noqa: B004 - the method, not callability
    return any(map(inspect.iscoroutinefunction, (function, called)))
