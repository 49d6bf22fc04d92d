"""Which failures a policy may handle: exception classes, checked when the policy is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ConfigError


def handled(
    argument: str, given: Any, policy: Any = None, *, instead: str = ""
) -> tuple[type[Exception], ...]:
    """The exception classes that `given` stands for, one alone or several.

    `argument`: what the caller knows it as; `instead`: what else could be given there; `policy`:
    whose parts have these failures. Raises ConfigError for what is no exception class, for classes
    that are no failures, and for those of an SDK that these parts never raise.
    """
    several = isinstance(given, Iterable) and not isinstance(given, (type, str, Mapping))
    kinds: tuple[Any, ...] = tuple(given) if several else (given,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise ConfigError(
                f"{argument} holds {kind!r}, and that is no exception class: give exception "
                f"classes, as in {argument}=(ConnectionError, TimeoutError){instead}."
            )
        if not issubclass(kind, Exception):
            raise ConfigError(
                f"{argument} holds {kind.__name__}, and cancellations and interrupts are never "
                "handled: give classes under Exception, or Exception itself for every failure."
            )
    if policy is not None and any(kind.__module__ != "builtins" for kind in kinds):
        from ..resilience.wrong import check_sdks

        check_sdks(argument, kinds, policy)
    return kinds
