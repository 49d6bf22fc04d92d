"""`dispatch_custom_event` and `adispatch_custom_event`: user code reports from inside its run.

The event goes through the run whose code is executing here, or the one that a config belongs to.
Where nobody takes it, and in a run that is not observed, nothing happens. Outside any run it is a
`NoRunWarning`: the event is lost, which may be no fault, but should not go unseen.

An unobserved run leaves no mark in the context: that would cost every call some 0.1 µs so that a
rare mistake can be told. What is looked for instead, and only where no run is known, is a frame of
the engine: on this stack, on another thread's, in a task that waits in one of their loops. While
another run is under way somewhere the warning may therefore be missed; it is never false.
"""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from .._awaited import settle
from ..config import callbacks_list
from ..errors import NoRunWarning
from ..run import Run, current_run

__all__ = ["adispatch_custom_event", "dispatch_custom_event"]

_ENGINE = frozenset(
    f"headrace.{name}"
    for name in (
        *("_sync", "_sync_fan", "_sync_plan", "_async", "_async_fan", "_async_plan"),
        *("_bridge", "flow"),
    )
)
_LOOPS = frozenset({"asyncio.base_events", "asyncio.runners"})
_DEEP = 200  # coroutines that wait for one another in one task


def dispatch_custom_event(name: str, data: Any, *, config: Mapping[str, Any] | None = None) -> None:
    """Report `data` under `name` from inside a run: to the hook `on_custom_event`, and to views.

    Args:
        name: what sort of event it is; `name` of the event dicts.
        data: anything; better something that goes into JSON.
        config: of the run, where it cannot be found in the context: in a thread of one's own.
    """
    run = _run_of(config)
    if run is not None:
        run.custom(name, data)
    elif _lost(config):
        _warn(name)


async def adispatch_custom_event(
    name: str, data: Any, *, config: Mapping[str, Any] | None = None
) -> None:
    """`dispatch_custom_event` for async code: returns when coroutine hooks have been awaited."""
    run = _run_of(config)
    if run is not None:
        run.custom(name, data)
        await settle(run)
    elif _lost(config):
        _warn(name)


def _run_of(config: Mapping[str, Any] | None) -> Run | None:
    """The run that a config belongs to, else the one whose code this is."""
    run = getattr((config or {}).get("callbacks"), "run", None)
    return current_run() if run is None else run


def _lost(config: Mapping[str, Any] | None) -> bool:
    """Whether there is no run at all, observed or not."""
    if config is not None and "callbacks" in config:
        # that of an unobserved run says so with None; handlers alone are nobody's
        return bool(callbacks_list(config["callbacks"]))
    return not any(map(_is_engine, _frames()))


def _warn(name: str) -> None:
    warnings.warn(
        f"The custom event {name!r} was dispatched outside any run and is lost: call it from a "
        "function, tool or model that a Runnable runs. In a thread of your own, start it with "
        "contextvars.copy_context().run, or pass config=, the config that the function was given.",
        NoRunWarning,
        stacklevel=2 + next(_level_of_caller(), 1),
    )


def _level_of_caller() -> Iterator[int]:
    """How far above the dispatching function the user's line is: a task of its own is called by
    frames of the event loop, and then it is the line that started the loop."""
    for level, frame in enumerate(_stack(sys._getframe(2).f_back), start=1):
        if not str(frame.f_globals.get("__name__")).startswith("asyncio."):
            yield level


def _is_engine(frame: Any) -> bool:
    return frame.f_globals.get("__name__") in _ENGINE


def _frames() -> Iterator[Any]:
    """All frames there are, nearest first: of this stack, of other threads, of tasks that wait."""
    mine = sys._getframe(1)
    yield from _stack(mine)
    loops: list[Any] = []
    for frame in (mine, *sys._current_frames().values()):
        for one in _stack(frame):
            if one.f_globals.get("__name__") in _LOOPS:
                owner = one.f_locals.get("self")
                loops.append(owner.get_loop() if hasattr(owner, "get_loop") else owner)
            yield one
    for loop in {id(loop): loop for loop in loops}.values():
        if hasattr(loop, "call_soon_threadsafe"):
            for task in sys.modules["asyncio"].all_tasks(loop):
                yield from _awaiting(task.get_coro())


def _stack(frame: Any) -> Iterator[Any]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _awaiting(waits: Any) -> Iterator[Any]:
    """The frames of a coroutine and of what it awaits, down to the future at the end."""
    for _ in range(_DEEP):
        kind = next((k for k in ("cr", "ag", "gi") if hasattr(waits, f"{k}_frame")), None)
        if kind is not None:
            frame = getattr(waits, f"{kind}_frame")
            if frame is not None:
                yield frame
            waits = getattr(waits, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
        elif type(waits).__name__.startswith("async_generator_"):  # a step of an async generator
            waits = next((one for one in gc.get_referents(waits) if hasattr(one, "ag_frame")), None)
        else:
            return
