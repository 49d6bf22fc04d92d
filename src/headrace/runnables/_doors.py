"""How a user's own doors work everywhere: recognised once, when the class is made.

A class outside Headrace that overrides `invoke`, `stream`, `transform` or an async twin becomes a
leaf whose four driver functions call those methods. Which of them serves which purpose is in the
tables below, the first overridden one in a row counts. Where the class has a shape as well (a
user's subclass of a prompt, a model), what is not overridden stays the shape's: an `invoke` of
one's own does not take the stream away from a model. `super().invoke(...)` inside an override
reaches the original.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

from .. import _async, _sync
from .._bridge import call_in_thread, stream_in_thread
from ..errors import AsyncOnlyError, ConfigError
from ..flow import Once, fold_chunks
from ..run import Run
from ..shapes import Flow, Leaf, Node, Pieces

DOORS = ("invoke", "ainvoke", "stream", "astream", "transform", "atransform")

# What to call, by purpose, when these are overridden: best first.
_FOR_STREAM = ("transform", "stream", "invoke")
_FOR_VALUE = ("invoke", "stream", "transform")
_FOR_ASTREAM = ("atransform", "astream", "ainvoke")
_FOR_AVALUE = ("ainvoke", "astream", "atransform")

F = TypeVar("F", bound=Callable[..., Any])

READERS = frozenset({"transform", "atransform"})  # a user's code sees the chunks that come
_GIVERS = READERS | {"stream", "astream"}  # it may give several

_native: set[Any] = set()


def native(function: F) -> F:
    """Mark a door that belongs to Headrace: overriding with it is not a user's override."""
    _native.add(function)
    return function


def batches(node: Any, door: str) -> bool:
    """Whether a step, seen through bindings, has a user's own `batch` (or `abatch`)."""
    while node._transparent:
        node = node._children()[0][1]
    return inspect.getattr_static(type(node), door) not in _native


def overridden(cls: type) -> frozenset[str]:
    """The doors for which `cls` has a user's method."""
    found = {door: inspect.getattr_static(cls, door, None) for door in DOORS}
    return frozenset(d for d, f in found.items() if f is not None and f not in _native)


def install(cls: Any) -> None:
    """Give a class its `_in_…` functions, called when it is made."""
    doors = overridden(cls)
    cls._overridden = doors
    cls._shaped = not getattr(cls._value, "_unshaped", False)
    cls._in_open, cls._in_aopen = cls._open, cls._aopen
    cls._in_value, cls._in_avalue = cls._value, cls._avalue
    if doors & _GIVERS:
        cls._many = Pieces.SURE
    if doors:
        _install_overrides(cls, doors)


def _install_overrides(cls: Any, doors: frozenset[str]) -> None:
    sync_doors, async_doors = doors & set(_FOR_STREAM), doors & set(_FOR_ASTREAM)
    if sync_doors:
        cls._in_open, cls._in_value = open_override, value_override
    if sync_doors or async_doors:
        cls._in_aopen, cls._in_avalue = aopen_override, avalue_override


def _pick(self: Any, order: tuple[str, ...], skip: str | None) -> str | None:
    doors = self._overridden
    return next((door for door in order if door in doors and door != skip), None)


def flow(self: Any) -> Flow:
    """How a class of overridden doors treats a stream."""
    doors = self._overridden
    if doors & {"transform", "atransform"}:
        return Flow("streams")
    if doors & {"stream", "astream"}:
        return Flow("source")
    return Flow("barrier", "give the class a `transform` that is a generator")


def _config(run: Run) -> Any:
    return run.config()


# ------------------------------------------------------------------ sync


def open_override(
    self: Any, source: Any, run: Run, kw: Any, skip: str | None = None
) -> Iterator[Any]:
    door = _pick(self, _FOR_STREAM, skip)
    if self._shaped and door in (None, "invoke") and (door is None or _streams(self)):
        return self._open(source, run, kw)  # type: ignore[no-any-return]
    if door is None:
        raise no_sync_body(self)
    return _open_door(self, door, source, run, kw)


def _by_fold(self: Any) -> bool:
    """Whether the value of the shape is the sum of its stream, and so of an override of that."""
    return type(self)._value is Leaf._value


def _streams(self: Any) -> bool:
    """Whether the shape under an overridden `invoke` has a stream of its own to keep."""
    return self._flow().kind != "barrier"  # type: ignore[no-any-return]


def _open_door(self: Any, door: str, source: Any, run: Run, kw: Any) -> Iterator[Any]:
    if door == "transform":
        stream = run.call(self.transform, iter(source), _config(run), **kw)
        yield from _sync.entered(iter(stream), run)
        return
    value = _sync.fold_source(source)
    if door == "invoke":
        yield run.call(self.invoke, value, _config(run), **kw)
        return
    stream = run.call(self.stream, value, _config(run), **kw)
    yield from _sync.entered(iter(stream), run)


def value_override(self: Any, value: Any, run: Run, kw: Any, skip: str | None = None) -> Any:
    door = _pick(self, _FOR_VALUE, skip)
    if self._shaped and door != "invoke" and not _by_fold(self):
        return self._value(value, run, kw)
    if door is None:
        raise no_sync_body(self)
    if door == "invoke":
        return run.call(self.invoke, value, _config(run), **kw)
    stream = _open_door(self, door, Once(value), run, kw)
    run.streams.append((stream, self, None))
    return fold_chunks(self._fold, list(stream))


def no_sync_body(self: Any) -> Exception:
    """Why a sync call cannot go on at this node."""
    if self._overridden or self._async_only is not None:
        return AsyncOnlyError(
            f"{self.get_name()} can only run async: call ainvoke, astream or abatch of the chain "
            "instead, or give the step a sync body."
        )
    return ConfigError(
        f"{type(self).__name__} defines none of {', '.join(DOORS)}: define at least 'invoke'."
    )


# ------------------------------------------------------------------ async


def aopen_override(
    self: Any, source: Any, run: Run, kw: Any, skip: str | None = None
) -> AsyncIterator[Any]:
    door = _pick(self, _FOR_ASTREAM, skip)
    blocking = _pick(self, _FOR_STREAM, skip)
    chosen = door or blocking
    if self._shaped and (chosen is None or (chosen in ("ainvoke", "invoke") and _streams(self))):
        return self._aopen(source, run, kw)  # type: ignore[no-any-return]
    if door is not None:
        return _aopen_door(self, door, source, run, kw)
    if blocking is None:
        raise no_sync_body(self)
    if blocking == "invoke":
        return _aopen_invoke(self, source, run, kw)
    return stream_in_thread(self, lambda s: _open_door(self, blocking, s, run, kw), source)


async def _aopen_invoke(self: Any, source: Any, run: Run, kw: Any) -> AsyncIterator[Any]:
    value = await _async.fold_source(source)
    yield await call_in_thread(run.call, self.invoke, value, _config(run), **kw)


async def _aopen_door(self: Any, door: str, source: Any, run: Run, kw: Any) -> AsyncIterator[Any]:
    if door == "atransform":
        stream = run.call(self.atransform, source.__aiter__(), _config(run), **kw)
    else:
        value = await _async.fold_source(source)
        if door == "ainvoke":
            yield await run.acall(self.ainvoke, value, _config(run), **kw)
            return
        stream = run.call(self.astream, value, _config(run), **kw)
    entered = _async.entered(stream.__aiter__(), run)
    run.holds(entered, self)
    async for chunk in entered:
        yield chunk


async def avalue_override(self: Any, value: Any, run: Run, kw: Any, skip: str | None = None) -> Any:
    door = _pick(self, _FOR_AVALUE, skip)
    if door == "ainvoke":
        return await run.acall(self.ainvoke, value, _config(run), **kw)
    if self._shaped and "invoke" not in self._overridden and not _by_fold(self):
        return await self._avalue(value, run, kw)
    if door is not None:
        stream = _aopen_door(self, door, Once(value), run, kw)
        run.streams.append((stream, self, None))
        return fold_chunks(self._fold, [chunk async for chunk in stream])
    return await call_in_thread(value_override, self, value, run, kw, skip)


# ------------------------------------------------------------------ what public doors lead to


class Behind(Node):
    """What a public door of a class with overrides leads to, where that is not the class itself:
    the overrides, without the door itself if it is one of them (`super().stream()`)."""

    def __init__(self, node: Any, door: str | None) -> None:
        self._node, self._door = node, door
        self.get_name = node.get_name  # type: ignore[method-assign]
        self._children = node._children  # type: ignore[method-assign]
        self._fold = node._fold
        self._run_type = node._run_type  # type: ignore[misc]
        self._own_callbacks = node._own_callbacks
        self.tags = getattr(node, "tags", None)
        self._metadata_of = node._metadata_of  # type: ignore[method-assign]

    def _open(self, source: Any, run: Run, kw: Any) -> Iterator[Any]:
        return open_override(self._node, source, run, kw, self._door)

    def _aopen(self, source: Any, run: Run, kw: Any) -> AsyncIterator[Any]:
        return aopen_override(self._node, source, run, kw, self._door)

    def _value(self, value: Any, run: Run, kw: Any) -> Any:
        return value_override(self._node, value, run, kw, self._door)

    async def _avalue(self, value: Any, run: Run, kw: Any) -> Any:
        return await avalue_override(self._node, value, run, kw, self._door)


def behind(node: Any, door: str) -> Any:
    if node._shaped and door in node._overridden:
        return node  # `super()` of a class with a shape: the shape itself
    return Behind(node, door)


def seen_from_outside(node: Any) -> Any:
    """The runnable with its overrides, as a step of a chain runs it."""
    return Behind(node, None) if node._overridden else node
