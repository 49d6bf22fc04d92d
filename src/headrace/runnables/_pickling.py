"""What pickle cannot send of a runnable, said before pickle fails at it: which step, and the fix.

Pickle sends a function or a class as its name, to be imported at the other end. A lambda, a nested
function or an open resource has none. The function under a decorator (`@chain`) has its name taken
by what the decorator made; it is sent as a part of that.
"""

from __future__ import annotations

import io
import pickle
import sys
import threading
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from types import (
    AsyncGeneratorType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    ModuleType,
)
from typing import Any

from ..errors import ConfigError
from ..shapes import Node

# What stands for something that is open here, and for nothing elsewhere.
_OPEN = (
    *(GeneratorType, CoroutineType, AsyncGeneratorType, FrameType, CodeType, ModuleType),
    *(io.IOBase, type(threading.Lock()), type(threading.RLock())),
)
# Under which name a decorator keeps its function.
_INNER = ("func", "afunc", "coroutine", "_transform", "_atransform", "__wrapped__")
_DATA = 1000  # a longer list is data, and data is pickle's own business


class NotPicklableError(ConfigError, pickle.PicklingError):
    """A step holds something that pickle cannot send; the message names the step and the fix."""


def sendable(step: Any, args: Any, state: Any, asker: Any) -> tuple[Any, Any]:
    """Arguments and state of `step` with what pickle would not find replaced by what it finds.

    `asker`: the pickler, where it is one written in Python; one with a way of its own for functions
    (cloudpickle's, dill's) needs no name for them, and gets everything as it is.
    """
    if isinstance(asker, (pickle.Pickler, pickle._Pickler)) and _takes_functions(asker):
        return args, state
    cls = type(step)
    if _found(cls) is not cls:
        raise NotPicklableError(
            f"{_line(step)} cannot be pickled: its class {cls.__qualname__} of module "
            f"{cls.__module__} is not found under that name. Define the class at module level."
        )
    seen: set[int] = set()
    sent = _sent(state, _Place(step, ""), seen)
    return _sent(args, _Place(step, ""), seen), sent


def _takes_functions(pickler: Any) -> bool:
    own = getattr(pickler, "dispatch", {}).get(FunctionType)
    by_class = own is not None and own.__module__ != "pickle"
    return by_class or hasattr(pickler, "reducer_override")


class _Place:
    """Where something is: an attribute of a step."""

    __slots__ = ("attribute", "step")

    def __init__(self, step: Any, attribute: str) -> None:
        self.step, self.attribute = step, attribute

    def at(self, key: Any) -> _Place:
        # The outermost name that is an attribute; pydantic's state has its fields one level down.
        outer = self.attribute in ("", "__dict__")
        return _Place(self.step, str(key)) if outer else self


def _sent(value: Any, place: _Place, seen: set[int]) -> Any:
    kind = type(value)
    if kind in _CONTAINERS:
        if id(value) in seen or (kind is not partial and len(value) > _DATA):
            return value
        seen.add(id(value))
        return _CONTAINERS[kind](value, place, seen)
    if isinstance(value, FunctionType):
        return _function(value, place)
    if isinstance(value, _OPEN):
        raise NotPicklableError(
            f"{_line(place.step)} cannot be pickled: its {place.attribute!r} holds a "
            f"{kind.__name__}, which is open in this process only. Make it when the step runs."
        )
    if not isinstance(value, Node):  # a step speaks for itself when its turn comes
        subject = value if isinstance(value, type) else kind
        if "<locals>" in subject.__qualname__:
            raise _nameless(subject, place, "class")
    return value


def _mapping(value: dict[Any, Any], place: _Place, seen: set[int]) -> Any:
    sent = {key: _sent(item, place.at(key), seen) for key, item in value.items()}
    return sent if any(sent[key] is not item for key, item in value.items()) else value


def _items(value: Any, place: _Place, seen: set[int]) -> Any:
    sent = [_sent(item, place, seen) for item in value]
    same = all(new is old for new, old in zip(sent, value, strict=True))
    return value if same else type(value)(sent)


def _partial(value: partial[Any], place: _Place, seen: set[int]) -> Any:
    parts = (value.func, value.args, value.keywords)
    sent = [_sent(part, place, seen) for part in parts]
    return value if all(map(_is, sent, parts)) else partial(sent[0], *sent[1], **sent[2])


def _is(one: Any, other: Any) -> bool:
    return one is other


def _function(function: FunctionType, place: _Place) -> Any:
    found = _found(function)
    if found is function:
        return function
    for name in _INNER:
        if getattr(found, name, None) is function:
            return _Decorated(function, name)
    raise _nameless(function, place, "function")


def _nameless(subject: Any, place: _Place, what: str) -> NotPicklableError:
    code = getattr(subject, "__code__", None)
    line = f" (line {code.co_firstlineno})" if code is not None else ""
    return NotPicklableError(
        f"{_line(place.step)} cannot be pickled: its {place.attribute!r} holds "
        f"{subject.__qualname__} of module {subject.__module__}{line}, which has no name there by "
        f"which another process could import it. Give it a module-level {what}."
    )


def _found(subject: Any) -> Any:
    """What is at the place where `subject` says it is defined."""
    place = sys.modules.get(subject.__module__)
    for name in subject.__qualname__.split("."):
        place = getattr(place, name, None)
    return place


def _line(step: Any) -> str:
    """A step in one line."""
    shown = " ".join(repr(step).split())
    return shown if len(shown) <= 120 else f"{shown[:117]}..."


class _Decorated:
    """Stands in a pickle for the function under a decorator."""

    def __init__(self, function: FunctionType, attribute: str) -> None:
        self.function, self.attribute = function, attribute

    def __reduce__(self) -> tuple[Any, ...]:
        function = self.function
        return _undecorated, (function.__module__, function.__qualname__, self.attribute)


def _undecorated(module: str, qualname: str, attribute: str) -> Any:
    found: Any = import_module(module)
    for name in (*qualname.split("."), attribute):
        found = getattr(found, name)
    return found


_CONTAINERS: Mapping[type, Any] = {
    dict: _mapping,
    **dict.fromkeys((list, tuple, set, frozenset), _items),
    partial: _partial,
}
