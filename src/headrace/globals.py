"""Settings of the whole process: the cache of all models, and whether runs are printed.

`set_debug(True)` prints each run's start and end with what went in and came out, as the handler
`ConsoleCallbackHandler` does; `set_verbose(True)` where chains start and end and what they say, as
`StdOutCallbackHandler` does. Both hold for runs that begin afterwards, in every thread and task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import ConfigError
from .run import everywhere

if TYPE_CHECKING:
    from .caches import BaseCache

__all__ = ["get_debug", "get_llm_cache", "get_verbose", "set_debug", "set_llm_cache", "set_verbose"]

_llm_cache: BaseCache | None = None
_printers: dict[str, Any] = {}  # by setting, where it is on


def set_llm_cache(value: BaseCache | None) -> None:
    """The cache of all models whose own `cache` is None or True; None: there is none.

    Raises:
        ConfigError: it is no cache.
    """
    from .caches import BaseCache

    global _llm_cache
    if value is not None and not isinstance(value, BaseCache):
        raise ConfigError(
            f"set_llm_cache({value!r}): give a cache, such as headrace.caches.InMemoryCache(), or "
            "None for no cache."
        )
    _llm_cache = value


def get_llm_cache() -> BaseCache | None:
    """The cache of all models, or None."""
    return _llm_cache


def set_verbose(value: bool) -> None:
    """Print where chains start and end, from now on or no longer."""
    from .callbacks import StdOutCallbackHandler

    _print("verbose", StdOutCallbackHandler, on=value)


def get_verbose() -> bool:
    """Whether the starts and ends of chains are printed."""
    return "verbose" in _printers


def set_debug(value: bool) -> None:
    """Print each run's start and end with its input and output, from now on or no longer."""
    from .callbacks.console import ConsoleCallbackHandler

    _print("debug", ConsoleCallbackHandler, on=value)


def get_debug() -> bool:
    """Whether each run is printed."""
    return "debug" in _printers


def _print(setting: str, handler: Any, *, on: bool) -> None:
    if on:
        _printers.setdefault(setting, handler())
    else:
        _printers.pop(setting, None)
    everywhere[:] = _printers.values()
