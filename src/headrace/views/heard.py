"""What the hub of a handle keeps of its run: chunks, answers, and whose words count.

| above a model is | its words |
|---|---|
| a policy that starts over and holds its chunks back (`_holding`) | wait until that has ended |
| a policy that speaks for its models (`_speaking`): a race, a hedge, one that goes on | are not |
| | shown: one of them loses, or repeats what was said. The policy's own chunks are shown instead |

A policy that speaks has an answer of its own, as a model has; those of the models below it are kept
for events alone (`muted`).
"""

from __future__ import annotations

from typing import Any, get_origin

from ..callbacks.arguments import MODELS
from ..events import RunEnded, RunInfo, StreamReset
from ..flow import ROOM, compact, fold_of, fold_partial
from ..messages import BaseMessage
from ..runnables._again import Again
from .blocks import Answer

__all__ = ["Heard"]


class Heard:
    """See the file's head. All is done under the hub's lock."""

    def __init__(self, runnable: Any) -> None:
        super().__init__()
        self.fold = fold_of(runnable, None, None)
        self.text_of_root = _text_of_root(runnable, self.fold)
        self.root: Any = None
        self.terminal: Any = None  # the last event of the outermost run
        self.chunks: list[Any] = []
        self._room_for_chunks = ROOM
        self.answers: dict[RunInfo, Answer] = {}
        self.muted: dict[RunInfo, Answer] = {}
        self._holding: set[Any] = set()  # ids of runs
        self._speaking: set[Any] = set()  # and of these, to the end: a loser may speak late

    def _begins(self, run: RunInfo) -> bool:
        """A run begins that may stand above models; whether its own chunks count."""
        node = getattr(run, "node", None)
        if isinstance(node, Again) and node.holds_back(outermost=run is self.root):
            self._holding.add(run.id)
        speaks = getattr(type(node), "_speaks", None)
        if speaks is not None and speaks(node) and not self._is_muted(run):
            self._speaking.add(run.id)
            return True
        return run is self.root or run.run_type in MODELS

    def _answer(self, run: RunInfo) -> Answer | None:
        """What keeps an answer; None for runs that have none."""
        if run.run_type not in MODELS and run.id not in self._speaking:
            return None
        kept = self.muted if self._is_muted(run) else self.answers
        found = kept.get(run)
        if found is None:
            found = kept[run] = Answer()
        return found

    def of_models(self) -> dict[RunInfo, Answer]:
        """The answers of models, shown or not: what was paid for."""
        own = {run: one for run, one in self.answers.items() if run.run_type in MODELS}
        return {**own, **self.muted}

    def _keep(self, chunk: Any) -> None:
        """A chunk of the outermost run."""
        if self.text_of_root is None:
            self.text_of_root = isinstance(chunk, (str, BaseMessage))
        chunks = self.chunks
        chunks.append(chunk)
        if len(chunks) > self._room_for_chunks:
            self._room_for_chunks = compact(self.fold, chunks, self._room_for_chunks)

    def _is_muted(self, run: RunInfo) -> bool:
        return bool(self._speaking) and not self._speaking.isdisjoint(run.parent_ids)

    def _may_be_void(self, run: RunInfo) -> bool:
        return bool(self._holding) and not self._holding.isdisjoint(run.parent_ids)

    def _counts(self, run: RunInfo) -> bool:
        """Whether what it says may be shown now."""
        if not (self._holding or self._speaking):
            return True
        return not (self._may_be_void(run) or self._is_muted(run))

    def valid(self) -> dict[RunInfo, Answer]:
        """The answers that no policy may still throw away. Deltas of the others are shown when it
        has ended, as it holds its own chunks back until then."""
        return {run: one for run, one in self.answers.items() if not self._may_be_void(run)}

    def _forget(self, event: StreamReset) -> None:
        """What has come of a run and of those below it does not count."""
        run = event.run
        if run is self.root:
            self.chunks.clear()
        for kept in (self.answers, self.muted):
            for model in self._below(run, kept):
                del kept[model]

    def _below(self, run: RunInfo, kept: dict[RunInfo, Answer]) -> dict[RunInfo, Answer]:
        return {r: a for r, a in kept.items() if r is run or run.id in r.parent_ids}

    def _partial(self) -> Any:
        """What has come of the output."""
        terminal = self.terminal
        if type(terminal) is RunEnded:
            return terminal.output
        if terminal is not None:
            return terminal.partial
        return fold_partial(self.fold, list(self.chunks)) if self.chunks else None


def _text_of_root(runnable: Any, fold: Any) -> bool | None:
    """Whether what comes out is text, in pieces; None where only a chunk can tell."""
    if fold is not None:
        return False
    try:
        kind = runnable.OutputType
    except Exception:  # a class that does not say: what comes tells
        return None
    kind = get_origin(kind) or kind
    if not isinstance(kind, type) or kind in (object, Any):
        return None
    return issubclass(kind, (str, BaseMessage))
