"""`headrace events`: run a runnable and show what happens inside, when it happens.

On a terminal as a tree that is drawn anew while it grows; into a pipe as a line for each run that
ends; with `raw` as a line of JSON for each event.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol
from uuid import UUID

from headrace.events import Event, RunCancelled, RunEnded, RunFailed, RunInfo, Takes
from headrace.views.codec import to_json
from headrace.views.filters import Filter

from .event_text import brief, took
from .event_tree import Row, State, Tree
from .given import read_input, sort_out
from .pumping import pump
from .screen import Screen, remark
from .target import load_target
from .weights import fetch_for, load_embedded

__all__ = ["show_events"]

_LINE = 200  # characters of what a run gave, in a pipe
_ENDS = frozenset({RunEnded, RunFailed, RunCancelled})


class Sink(AbstractContextManager[Any], Protocol):
    """Where events go. `interrupt` is called in a signal's handler."""

    def feed(self, event: Event) -> None: ...
    def interrupt(self) -> None: ...


def show_events(
    words: Sequence[str],
    filters: Mapping[str, list[str] | None],
    *,
    raw: bool,
    as_text: bool,
    use_async: bool,
) -> None:
    """Show the events of a TARGET, or of the embedded model, over an INPUT.

    Args:
        words: `[TARGET] [INPUT]`; see `given`.
        filters: what goes to `stream_typed`: `include_names`, `exclude_types` and so on.
        raw: write each event as a line of JSON.
        as_text: never read the INPUT as JSON.
        use_async: by `astream_typed`.
    """
    target, word = sort_out(words, "events")
    runnable = None if target is None else load_target(target)
    given = read_input(word, as_text=as_text)
    if runnable is None:
        runnable, _ = load_embedded()
    else:
        fetch_for(runnable)
    chosen: dict[str, Any] = {key: names for key, names in filters.items() if names}
    ends = [_Ends(Filter(**chosen))] if raw else []  # hears of each event before the view does
    options = {**chosen, "config": {"callbacks": ends}}
    counted = _Counted(_Raw(ends[0]) if ends else _sink())
    try:
        with counted.sink:
            pump(
                *(runnable, "stream_typed", given.value, counted.feed),
                use_async=use_async,
                interrupted=counted.sink.interrupt,
                **options,
            )
    except Exception as error:
        if given.doubt:
            error.add_note(given.doubt)
        raise
    if chosen and not counted.count:
        remark("Nothing happened that the filters let through.")


def _sink() -> Sink:
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return _Lines()
    from .event_screen import LiveTree

    Screen()  # what the terminal's encoding lacks must not end the run
    return LiveTree(Tree())


# ---- the run -------------------------------------------------------------------------------------


class _Counted:
    """A sink that knows whether it got anything."""

    def __init__(self, sink: Sink) -> None:
        self.sink, self.count = sink, 0

    def feed(self, event: Event) -> None:
        self.count += 1
        self.sink.feed(event)


# ---- without a terminal --------------------------------------------------------------------------


class _Ends:
    """An observer that knows how runs ended, also those that ended because the stream was left:
    who has left a stream gets no more events from it.

    Attributes:
        told: the last events of runs, by their ids, until somebody takes them out.
    """

    def __init__(self, chosen: Filter) -> None:
        self._chosen = chosen
        self.told: dict[UUID, Event] = {}

    def wants(self, run: RunInfo) -> Takes:
        return _ENDS if self._chosen.passes(run) else ()

    def on_event(self, event: Event) -> None:
        self.told[event.run.id] = event


class _Raw(AbstractContextManager["_Raw"]):
    """A line of JSON for each event; after Ctrl-C, of each run that was shown, how it ended."""

    def __init__(self, ends: _Ends) -> None:
        self._screen, self._ends = Screen(), ends
        self._open: set[UUID] = set()

    def feed(self, event: Event) -> None:
        run = event.run.id
        if type(event) in _ENDS:
            self._open.discard(run)
            self._ends.told.pop(run, None)
        else:
            self._open.add(run)
        self._screen.show(f"{to_json(event)}\n")

    def interrupt(self) -> None:
        """What was cut off is told at the end."""

    def __exit__(self, kind: object, *about: object) -> None:
        if kind is KeyboardInterrupt:
            for run, event in self._ends.told.items():
                if run in self._open:
                    self._screen.show(f"{to_json(event)}\n")


class _Lines(AbstractContextManager["_Lines"]):
    """A line for each run when it ends: state, time, path, and what it gave or why it failed."""

    def __init__(self) -> None:
        self._screen, self._tree = Screen(), Tree()

    def feed(self, event: Event) -> None:
        self._show(self._tree.feed(event))

    def interrupt(self) -> None:
        """What was cut off is told at the end."""

    def __exit__(self, kind: object, *about: object) -> None:
        cut_off = self._tree.cancel()
        if kind is None or kind is KeyboardInterrupt:
            self._show(cut_off)

    def _show(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._screen.show(f"{_line(row)}\n")


def _line(row: Row) -> str:
    word = State.RETRIED if row.state is State.RUNNING else row.state
    time = "" if row.state is State.TOLD else took(row.end - row.begin)
    start = f"{word.value:<9} {time:>7}  {brief(row.path, _LINE)}"
    return f"{start}  {_outcome(row)}".rstrip()


def _outcome(row: Row) -> str:
    if row.state is State.TOLD:
        return row.input or ""
    if row.state is State.RUNNING:  # it is in the news because it is tried again
        return row.note
    return row.failure() or (row.said.short(_LINE) if row.said else "")
