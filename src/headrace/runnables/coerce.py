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


def coerce_to_runnable(thing: Any) -> Any:
    """The runnable that `thing` stands for."""
    if isinstance(thing, Runnable):
        return thing
    if isinstance(thing, Mapping):
        return makers["parallel"](thing)
    if is_generator(thing):
        return makers["generator"](thing)
    if callable(thing):
        return makers["lambda"](thing)
    raise NotRunnableError(
        f"{thing!r} ({type(thing).__name__}) cannot be a step of a chain: give a Runnable, a "
        "function, a generator function, or a dict of those."
    )
