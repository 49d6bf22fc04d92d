"""`fitting`: a request as arguments of an SDK's function, and what the function does not know."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

__all__ = ["fitting"]


@lru_cache(maxsize=32)
def _known(function: Any) -> frozenset[str] | None:
    """A function's parameters; None where it takes any, as a wrapper of others may."""
    parameters = inspect.signature(function).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return None
    return frozenset(each.name for each in parameters)


def fitting(function: Any, request: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A request in two parts: the arguments that an SDK's function has, and what it does not know,
    because providers, and servers that speak their protocol, know more than the SDK."""
    known = _known(getattr(function, "__func__", function))
    if known is None:
        return dict(request), {}
    fits = {name: value for name, value in request.items() if name in known}
    return fits, {name: value for name, value in request.items() if name not in known}
