"""What a runnable that stands for another gives of it: its own methods, under the right config."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from types import FunctionType
from typing import Any

from ._doors import native
from .base import Runnable

BATCHES = ("batch", "abatch", "batch_as_completed", "abatch_as_completed")
AWAITED = ("ainvoke", "abatch")  # coroutine functions, as whoever inspects them must see

Prepare = Callable[[Any], tuple[Callable[..., Any], Any]]
"""From the config that a method is called with to the method to call, and the config for it."""


def through(name: str, door: Callable[..., Any]) -> Callable[..., Any]:
    """A public door that leads to that of another runnable."""
    door.__name__ = name
    door.__doc__ = getattr(Runnable, name).__doc__
    return native(door)


def batch_through(name: str, called: Callable[..., Any]) -> Callable[..., Any]:
    """A public door for several inputs; `called(self, inputs, config, keep_errors, kwargs)` gives
    its result, or what is awaited for it."""

    def door(
        self: Any, inputs: Any, config: Any = None, *, return_exceptions: bool = False, **kw: Any
    ) -> Any:
        return called(self, inputs, config, return_exceptions, kw)

    async def awaited(
        self: Any, inputs: Any, config: Any = None, *, return_exceptions: bool = False, **kw: Any
    ) -> Any:
        return await called(self, inputs, config, return_exceptions, kw)

    return through(name, awaited if name in AWAITED else door)


def takes_config(method: Any) -> bool:
    """Whether a method has a parameter `config`."""
    return "config" in _parameters(method)


def with_config(method: Any, prepare: Prepare) -> Any:
    """`method`, one with a parameter `config`, under what `prepare` makes of that."""
    parameters = _parameters(method)
    keyword = parameters["config"].kind is inspect.Parameter.KEYWORD_ONLY
    place = len(parameters) if keyword else list(parameters).index("config")

    def prepared(args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
        given = args[place] if len(args) > place else kwargs.get("config")
        if given is not None and not isinstance(given, Mapping):  # a config of another kind
            return prepare(None)[0], args, kwargs
        chosen, config = prepare(given)
        if len(args) > place:
            return chosen, (*args[:place], config, *args[place + 1 :]), kwargs
        if given is None and config is None:
            return chosen, args, kwargs
        return chosen, args, {**kwargs, "config": config}

    if inspect.iscoroutinefunction(method):

        @wraps(method, updated=())
        async def amethod(*args: Any, **kwargs: Any) -> Any:
            chosen, args, kwargs = prepared(args, kwargs)
            return await chosen(*args, **kwargs)

        return amethod

    @wraps(method, updated=())
    def called(*args: Any, **kwargs: Any) -> Any:
        chosen, args, kwargs = prepared(args, kwargs)
        return chosen(*args, **kwargs)

    return called


def is_method(found: Any) -> bool:
    """Whether an attribute is a method, or one that was looked up through another runnable."""
    while isinstance(found, FunctionType):
        found = vars(found).get("__wrapped__")
    return inspect.ismethod(found)


def _parameters(method: Any) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(method).parameters)
    except (ValueError, TypeError):  # a builtin that does not tell
        return {}
