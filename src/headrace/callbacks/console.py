"""`ConsoleCallbackHandler`: a tracer that prints each run as it starts and ends."""

from __future__ import annotations

import json
import sys
from typing import Any

from ..values import plain
from .run_tree import Run
from .tracers import BaseTracer

__all__ = ["ConsoleCallbackHandler"]


def _shown(value: Any) -> str:
    """Inputs or outputs as JSON; what has no JSON as its repr: a value inside, or the whole where
    its keys are no text or it contains itself."""
    try:
        return json.dumps(plain(value), indent=2, default=repr, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)


class ConsoleCallbackHandler(BaseTracer):
    """Prints one line per start and end of a run (kind, place in the tree, milliseconds), and below
    it the input, the output or the error."""

    name = "console_callback_handler"

    def _persist_run(self, run: Run) -> None:
        """Nothing is kept."""

    def _on_run_create(self, run: Run) -> None:
        self._print(run, "start", "", _shown(run.inputs))

    def _on_run_update(self, run: Run) -> None:
        took = (run.end_time or run.start_time) - run.start_time
        milliseconds = f" {took.total_seconds() * 1000:.0f} ms"
        if run.error is not None:
            self._print(run, "error", milliseconds, run.error)
        else:
            self._print(run, "end", milliseconds, _shown(run.outputs))

    def _print(self, run: Run, moment: str, took: str, below: str) -> None:
        names, at = [run.name], run.parent_run_id
        while at is not None and (above := self._tree.live.get(at)) is not None:
            names.append(above.name)
            at = above.parent_run_id
        path = " > ".join(reversed(names))
        sys.stdout.write(f"[{run.run_type}/{moment}] [{path}]{took}\n{below}\n")
        sys.stdout.flush()
