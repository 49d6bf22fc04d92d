"""Where OpenTelemetry keeps its current context, so that a step's own span is current in a step.

`StepContext` is a runtime context in OpenTelemetry's sense: it is loaded where the environment has
`OTEL_PYTHON_CONTEXT=headrace`. What is current is looked up by the run whose user code executes:
what was attached in that code, else the run's span, else what the caller has. Nothing has to be
entered or left for that, so a generator that is paused leaves nothing behind in its consumer's
code, and a span that it holds open across its `yield` is current in it and nowhere else.

A module of its own, because OpenTelemetry loads it in the middle of its own import: nothing of it
but the class `Context` is there by then.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any
from uuid import UUID

from opentelemetry.context.context import Context

from .run import current_run

__all__ = ["StepContext", "contexts", "own_context"]

contexts: dict[UUID, Context] = {}
"""The contexts with the spans of the runs that go on; filled where a `StepContext` is used."""


class _Entry:
    """A context that was attached, in which run's code, and what was before. `key` tells it from
    others, and stays when it is copied."""

    __slots__ = ("before", "context", "key", "run_id")

    def __init__(
        self, context: Context, run_id: UUID | None, before: _Entry | None, key: object
    ) -> None:
        self.context, self.run_id, self.before, self.key = context, run_id, before, key


class StepContext:
    """Keeps OpenTelemetry's current context, run by run; see the file's head."""

    used = False  # whether there is one in this program

    def __init__(self) -> None:
        self._var: ContextVar[_Entry | None] = ContextVar("headrace_otel", default=None)
        type(self).used = True

    def attach(self, context: Context) -> Any:
        """Make a context current; gives what `detach` takes."""
        key = object()
        self._var.set(_Entry(context, _run_id(), self._var.get(), key))
        return key

    def get_current(self) -> Context:
        """What is current in the code that executes here."""
        run_id = _run_id()
        latest = entry = self._var.get()
        while entry is not None and entry.run_id != run_id:
            entry = entry.before
        if entry is not None:
            return entry.context
        if run_id is not None and run_id in contexts:
            return contexts[run_id]
        return Context() if latest is None or run_id is None else latest.context

    def detach(self, token: Any) -> None:
        """Take a context away again, whatever has been attached since; one that was attached in
        another task or thread is not here."""
        self._var.set(_without(token, self._var.get()))


def _without(key: object, entry: _Entry | None) -> _Entry | None:
    above, latest = [], entry
    while entry is not None and entry.key is not key:
        above.append(entry)
        entry = entry.before
    if entry is None:
        return latest
    found = entry.before
    for kept in reversed(above):
        found = _Entry(kept.context, kept.run_id, found, kept.key)
    return found


def _run_id() -> UUID | None:
    run = current_run()
    return run.id if run is not None and run.observed else None


def own_context(run_id: UUID) -> Context | None:
    """What is current in the code of a run, where that code executes here and now."""
    if not StepContext.used or _run_id() != run_id:
        return None
    from opentelemetry.context import get_current

    return get_current()
