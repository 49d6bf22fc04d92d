"""What may stand beside `|`: runnables, functions, generator functions, dicts of those."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from .base import Runnable, makers


class NotRunnableError(InputError, TypeError):
    """Something that is no runnable and cannot become one was composed."""


def is_generator(function: Any) -> bool:
    """Whether it is a generator function, sync or async, or an object that is called as one."""
    return any(
        inspect.isgeneratorfunction(f) or inspect.isasyncgenfunction(f)
        for f in (function, getattr(function, "__call__", None))  # noqa: B004
    )


def coerce_to_runnable(thing: Any, where: str = "") -> Any:
    """The runnable that `thing` stands for. `where`: for errors, e.g. `"fallback 2"`."""
    if isinstance(thing, Runnable):
        return thing
    if isinstance(thing, Mapping):
        return makers["parallel"](thing)
    if is_generator(thing):
        return makers["generator"](thing)
    place = where and f", {where},"
    if any(kind.__module__.startswith("langchain_core.runn") for kind in type(thing).__mro__):
        raise NotRunnableError(
            f"{type(thing).__name__}{place} is a runnable of LangChain's: give "
            "from_langchain(…) of it, with `from headrace.langchain import from_langchain`."
        )
    if callable(thing):
        return makers["lambda"](thing)
    raise NotRunnableError(
        f"{thing!r} ({type(thing).__name__}){place} cannot be a step of a chain: give a Runnable, "
        "a function, a generator function, or a dict of those."
    )


def by_key(things: Any, whole: str) -> Mapping[Any, Any]:
    """The dict that `whole`, a class, was given, or an error that says that it is none."""
    if not isinstance(things, Mapping):
        raise NotRunnableError(
            f"{whole} got {things!r} ({type(things).__name__}): give a dict of runnables by key."
        )
    return things


def coerced(things: Any, whole: str) -> dict[Any, Any]:
    """The runnables that the values of a dict stand for, which is given to `whole`, a class."""
    things = by_key(things, whole)
    return {
        key: coerce_to_runnable(each, f"under the key {key!r} of a {whole}")
        for key, each in things.items()
    }
