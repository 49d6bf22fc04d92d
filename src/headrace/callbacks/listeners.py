"""What `with_listeners` and `with_alisteners` add to a call: an observer of its outermost run.

A listener is a function of the run (`callbacks.Run`), or of the run and the config of the call. It
is called once per call: `on_start` when the run starts, then `on_end` or `on_error`; a run that was
left or cancelled counts as one with an error (`RunCancelledError`, the partial output in
`run.outputs`). What is raised in a listener is logged and does not reach the call.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..errors import ConfigError
from ..events import Event, RunInfo, RunStarted, Takes
from ..runnables._repr import called
from .base import finish_in_thread
from .run_tree import Run, RunTree

__all__ = ["Listeners", "Listening"]

Listener = Callable[..., Any]
Wanted = tuple[Listener, bool | str]
"""A listener, and whether it takes the config as well: by place, or by this name."""

_BY_PLACE_ONLY = inspect.Parameter.POSITIONAL_ONLY
_PLACED = (_BY_PLACE_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Listening:
    """A function from the config of a call to the config that adds a fresh observer to it; an
    object, so that chains with listeners pickle and copy."""

    __slots__ = ("kind", "wanted")

    def __init__(
        self, *, on_start: Listener | None, on_end: Listener | None, on_error: Listener | None
    ) -> None:
        given = {"on_start": on_start, "on_end": on_end, "on_error": on_error}
        self.wanted = {name: _with_config(name, f) for name, f in given.items() if f is not None}
        waits = any(_is_async(f) for f in given.values())
        self.kind = AsyncListeners if waits else Listeners

    def __repr__(self) -> str:
        return called(
            "Listening", **{name: function for name, (function, _) in self.wanted.items()}
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Listening):
            return NotImplemented
        return (self.kind, self.wanted) == (other.kind, other.wanted)

    def __hash__(self) -> int:
        return hash((self.kind, tuple(self.wanted)))

    def __call__(self, config: Any) -> dict[str, Any]:
        return {"callbacks": [self.kind(self.wanted, config)]} if self.wanted else {}


def _is_async(function: Any) -> bool:
    called = getattr(function, "__call__", None)  # noqa: B004 - the method, not callability
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def _with_config(name: str, function: Any) -> Wanted:
    """A listener and how it takes the config; read from its signature, once."""
    if not callable(function):
        raise ConfigError(
            f"{name}={function!r} cannot be called: give a function of the run, or of the run and "
            "the config."
        )
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):  # a builtin without a signature gets the run alone
        return function, False
    names = {p.name: p.kind for p in parameters}
    if names.get("config", _BY_PLACE_ONLY) is not _BY_PLACE_ONLY:
        return function, "config"
    needed = [p for p in parameters if p.kind in _PLACED and p.default is p.empty]
    return function, len(needed) > 1


class Listeners:
    """The observer of one call (of several, where a batch shares its config)."""

    def __init__(self, wanted: dict[str, Wanted], config: Any) -> None:
        self._wanted = wanted
        # kept only where it is asked for: it may lead back to the run that holds this observer
        self._config = (config or {}) if any(both for _, both in wanted.values()) else None
        self._tree = RunTree(chat=True)

    def wants(self, run: RunInfo) -> Takes:
        return self._tree.wants(run)

    def on_event(self, event: Event) -> None:
        self._call(event)

    def _call(self, event: Event) -> Any:
        run = self._tree.feed(event)
        if run is None or run.parent_run_id is not None:
            return None
        wanted = self._wanted.get(_moment(event, run))
        if wanted is None:
            return None
        function, with_config = wanted
        if isinstance(with_config, str):
            return function(run, **{with_config: self._config})
        return function(run, self._config) if with_config else function(run)

    def _in_logs(self, run: RunInfo, kind: type[Event]) -> str:
        return repr(self)

    def __repr__(self) -> str:
        named = ", ".join(
            f"{moment}={getattr(function, '__name__', function)}"
            for moment, (function, _) in self._wanted.items()
        )
        return f"{type(self).__name__}({named})"


def _moment(event: Event, run: Run) -> str:
    if isinstance(event, RunStarted):
        return "on_start"
    return "on_end" if run.error is None else "on_error"


class AsyncListeners(Listeners):
    """The same for coroutine functions: awaited in async runs; in sync runs the caller waits for
    a worker thread to run them."""

    def on_event(self, event: Event) -> None:
        result = self._call(event)
        if inspect.isawaitable(result):
            finish_in_thread(result)

    async def aon_event(self, event: Event) -> None:
        result = self._call(event)
        if inspect.isawaitable(result):
            await result
