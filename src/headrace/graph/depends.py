"""The runnables that a function's code refers to: what it may call, as far as its code shows.

Read from the compiled code: names of the module and of enclosing functions that stand for
runnables, attributes of `self` and of other such names, bound methods of runnables
(`model.invoke`). What is found by other ways (a dict lookup, a parameter) is not.
"""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Iterator, Mapping
from typing import Any

from ..runnables import Runnable

__all__ = ["runnables_in"]

_MISSING = object()
_STORE_AND_LOAD = ("STORE_FAST_LOAD_FAST",)  # Python 3.13: a pair of names


def runnables_in(step: Any) -> list[Any]:
    """Those in the bodies of a `RunnableLambda`, each once, in the order in which they are met."""
    found: dict[int, Any] = {}
    for function in (step.func, step.afunc):
        for value in _values_in(function):
            owner = getattr(value, "__self__", None)
            runnable = owner if isinstance(owner, Runnable) else value
            if isinstance(runnable, Runnable) and runnable is not step:
                found.setdefault(id(runnable), runnable)
    return list(found.values())


def _values_in(function: Any) -> Iterator[Any]:
    """What the names in a function's code stand for."""
    known: dict[str, Any] = {}
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, types.MethodType):
        code = function.__func__.__code__
        if code.co_varnames:
            known[code.co_varnames[0]] = function.__self__
        function = function.__func__
    if not isinstance(function, types.FunctionType):
        return
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        try:
            known[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    yield from _loaded(code, function.__globals__, known)


def _loaded(
    code: types.CodeType, module: Mapping[str, Any], known: Mapping[str, Any]
) -> Iterator[Any]:
    value: Any = _MISSING
    for instruction in dis.get_instructions(code):
        operation, name = instruction.opname, instruction.argval
        if operation in ("LOAD_ATTR", "LOAD_METHOD"):
            value = _attribute(value, name)
        elif operation in ("LOAD_GLOBAL", "LOAD_NAME"):
            value = module.get(name, _MISSING)
        elif operation in _STORE_AND_LOAD:
            value = known.get(name[-1], _MISSING)
        elif operation.startswith(("LOAD_DEREF", "LOAD_FAST", "LOAD_CLASSDEREF")):
            # Python 3.13 loads two at once: what follows is an attribute of the second.
            names = name if isinstance(name, tuple) else (name,)
            first, value = known.get(names[0], _MISSING), known.get(names[-1], _MISSING)
            if first is not _MISSING and len(names) > 1:
                yield first
        else:
            value = _MISSING
        if value is not _MISSING:
            yield value
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):  # a function, or a comprehension, inside
            yield from _loaded(constant, module, known)


def _attribute(value: Any, name: str) -> Any:
    """An attribute that is simply there; no property runs for a picture."""
    if value is _MISSING or isinstance(value, Runnable):
        return _MISSING
    if isinstance(value, types.ModuleType):
        return vars(value).get(name, _MISSING)
    return getattr(value, "__dict__", {}).get(name, _MISSING)
