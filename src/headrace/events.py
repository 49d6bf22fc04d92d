"""The closed union of what a run can report; nothing else defines an event.

A run reports `RunStarted`, any number of `RunChunk`, then exactly one of `RunEnded`, `RunFailed`,
`RunCancelled`. Events are slotted values built only where somebody observes (contract *Bus* of the
design): each carries `seq` (one order for the whole tree of a root run), `run` (who reports) and
`time` (monotonic seconds). Views turn them into dicts, patches, spans.
"""

from __future__ import annotations

from time import monotonic
from typing import Any, Protocol, TypeAlias
from uuid import UUID

__all__ = [
    "CustomEvent",
    "Event",
    "Observer",
    "RunCancelled",
    "RunChunk",
    "RunEnded",
    "RunFailed",
    "RunInfo",
    "RunStarted",
]


class RunInfo(Protocol):
    """What an event tells about the run it came from."""

    @property
    def id(self) -> UUID: ...
    @property
    def parent_ids(self) -> list[UUID]: ...
    @property
    def name(self) -> str: ...
    @property
    def run_type(self) -> str: ...
    @property
    def all_tags(self) -> list[str]: ...
    @property
    def metadata(self) -> dict[str, Any]: ...
    @property
    def path(self) -> str: ...


class _Event:
    __slots__ = ("run", "seq", "time")

    def __init__(self, run: RunInfo, seq: int) -> None:
        self.run = run
        self.seq = seq
        self.time = monotonic()

    def __repr__(self) -> str:
        extra = "".join(f", {name}={getattr(self, name)!r}" for name in type(self).__slots__)
        return f"{type(self).__name__}({self.run.path!r}, seq={self.seq}{extra})"


class RunStarted(_Event):
    """`input` is None until the end for a run whose input arrives as a stream."""

    __slots__ = ("input",)

    def __init__(self, run: RunInfo, seq: int, input: Any) -> None:
        super().__init__(run, seq)
        self.input = input


class RunChunk(_Event):
    """One piece of output, at the moment the run hands it on."""

    __slots__ = ("chunk",)

    def __init__(self, run: RunInfo, seq: int, chunk: Any) -> None:
        super().__init__(run, seq)
        self.chunk = chunk


class RunEnded(_Event):
    """`output` is the fold of the run's chunks, or the value of a run that gave one value."""

    __slots__ = ("input", "output")

    def __init__(self, run: RunInfo, seq: int, input: Any, output: Any) -> None:
        super().__init__(run, seq)
        self.input = input
        self.output = output


class RunFailed(_Event):
    """`error` is the exception object the consumer gets; `partial` the fold of what had come."""

    __slots__ = ("error", "partial")

    def __init__(self, run: RunInfo, seq: int, error: BaseException, partial: Any) -> None:
        super().__init__(run, seq)
        self.error = error
        self.partial = partial


class RunCancelled(_Event):
    """The consumer left, or the task was cancelled; `partial` is the fold of what had come."""

    __slots__ = ("partial",)

    def __init__(self, run: RunInfo, seq: int, partial: Any) -> None:
        super().__init__(run, seq)
        self.partial = partial


class CustomEvent(_Event):
    """Reported by user code from inside a run."""

    __slots__ = ("data", "label")

    def __init__(self, run: RunInfo, seq: int, label: str, data: Any) -> None:
        super().__init__(run, seq)
        self.label = label
        self.data = data


Event: TypeAlias = RunStarted | RunChunk | RunEnded | RunFailed | RunCancelled | CustomEvent


class Observer(Protocol):
    """Gets every event of a run and of the runs below it, in the thread or task they happen in."""

    def on_event(self, event: Event, /) -> None: ...
