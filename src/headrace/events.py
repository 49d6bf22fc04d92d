"""The closed union of what a run can report; nothing else defines an event.

A run reports `RunStarted`, any number of `RunChunk`, then exactly one of `RunEnded`, `RunFailed`,
`RunCancelled`; in between perhaps `RunRetried`, `StreamReset`, `RunWon`, `CustomEvent` and, of a
tool, `ToolProgress`. The content blocks of a chat model's answer (`BlockStarted`, `BlockDelta`,
`BlockEnded`) are made of its chunks by a machine.
Events are slotted values built only where somebody takes them (contract *Bus* of the design): each
carries `seq` (one order for the whole tree of a root run; what branches in threads tell at the same
moment may arrive in another), `run` (who reports) and `time` (monotonic seconds). `kind` tells the
classes apart where there is no class, as in JSON. Views turn them into dicts, patches, spans.
"""

from __future__ import annotations

from collections.abc import Container
from time import monotonic
from typing import Any, ClassVar, Protocol, TypeAlias, get_args
from uuid import UUID

from .values import Value

__all__ = ["EVENTS", "BlockDelta", "BlockEnded", "BlockStarted", "CustomEvent", "Event", "Observer",
           "Reset", "RunCancelled", "RunChunk", "RunEnded", "RunFailed", "RunInfo", "RunRetried",
           "RunStarted", "RunWon", "StreamReset", "Takes", "ToolProgress"]  # fmt: skip


class RunInfo(Protocol):
    """What an event tells about the run it came from."""

    @property
    def id(self) -> UUID: ...
    @property
    def parent_ids(self) -> list[UUID]: ...
    @property
    def keys(self) -> list[str]: ...
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
    kind: ClassVar[str]

    def __init__(self, run: RunInfo, seq: int) -> None:
        self.run = run
        self.seq = seq
        self.time = monotonic()

    @property
    def path(self) -> str:
        """Where in the tree it happened, e.g. `chain/2:parser`."""
        return self.run.path

    def __repr__(self) -> str:
        extra = "".join(f", {name}={getattr(self, name)!r}" for name in type(self).__slots__)
        return f"{type(self).__name__}({self.run.path!r}, seq={self.seq}{extra})"


class RunStarted(_Event):
    """`known`: whether the input is there already. Where it arrives as a stream it is not, and
    `input` is None until the end."""

    __slots__ = ("input", "known")
    kind = "start"

    def __init__(self, run: RunInfo, seq: int, input: Any, known: bool = True) -> None:
        self.run = run
        self.seq = seq
        self.time = monotonic()
        self.input = input
        self.known = known


class RunChunk(_Event):
    """One piece of output, at the moment the run hands it on. `whole`: it is the one answer of a
    model that does not stream, and no token."""

    __slots__ = ("chunk", "whole")
    kind = "chunk"

    def __init__(self, run: RunInfo, seq: int, chunk: Any, whole: bool = False) -> None:
        self.run = run
        self.seq = seq
        self.time = monotonic()
        self.chunk = chunk
        self.whole = whole


class RunEnded(_Event):
    """`output` is the fold of the run's chunks, or the value of a run that gave one value."""

    __slots__ = ("input", "output")
    kind = "end"

    def __init__(self, run: RunInfo, seq: int, input: Any, output: Any) -> None:
        self.run = run
        self.seq = seq
        self.time = monotonic()
        self.input = input
        self.output = output


class RunFailed(_Event):
    """`error` is the exception object the consumer gets; `partial` the fold of what had come."""

    __slots__ = ("error", "partial")
    kind = "error"

    def __init__(self, run: RunInfo, seq: int, error: BaseException, partial: Any) -> None:
        super().__init__(run, seq)
        self.error = error
        self.partial = partial


class RunCancelled(_Event):
    """The consumer left, or the task was cancelled; `partial` is the fold of what had come."""

    __slots__ = ("partial",)
    kind = "cancelled"

    def __init__(self, run: RunInfo, seq: int, partial: Any) -> None:
        super().__init__(run, seq)
        self.partial = partial


class CustomEvent(_Event):
    """Reported by user code from inside a run."""

    __slots__ = ("data", "label")
    kind = "custom"

    def __init__(self, run: RunInfo, seq: int, label: str, data: Any) -> None:
        super().__init__(run, seq)
        self.label = label
        self.data = data


class ToolProgress(_Event):
    """A tool has yielded `value` on its way to its result; `tool_call_id`: of the call that it
    answers, None of one without."""

    __slots__ = ("tool_call_id", "value")
    kind = "progress"

    def __init__(self, run: RunInfo, seq: int, value: Any, tool_call_id: str | None) -> None:
        super().__init__(run, seq)
        self.value = value
        self.tool_call_id = tool_call_id


class RunRetried(_Event):
    """A step failed and is tried again: try number `attempt` (from 1) failed with `error`, the next
    one begins after `delay` seconds."""

    __slots__ = ("attempt", "delay", "error")
    kind = "retry"

    def __init__(
        self, run: RunInfo, seq: int, attempt: int, error: BaseException, delay: float
    ) -> None:
        super().__init__(run, seq)
        self.attempt = attempt
        self.error = error
        self.delay = delay


class StreamReset(_Event):
    """A stream begins anew: what try number `attempt` (from 1) gave, before it failed with `error`,
    is to be discarded, in this run and in those below it. `discarded`: how many chunks of this run
    that are; 0 where they were held back, so that nobody but those who watch the runs below saw
    them."""

    __slots__ = ("attempt", "discarded", "error")
    kind = "reset"

    def __init__(
        self, run: RunInfo, seq: int, attempt: int, error: BaseException, discarded: int
    ) -> None:
        super().__init__(run, seq)
        self.attempt = attempt
        self.error = error
        self.discarded = discarded


class RunWon(_Event):
    """Of several that ran against each other, in a race or a hedge, one has won: `winner`, the last
    part of its path, e.g. `hedge:ChatOpenAI`. Its stream is this run's; the others are given up."""

    __slots__ = ("winner",)
    kind = "won"

    def __init__(self, run: RunInfo, seq: int, winner: str) -> None:
        super().__init__(run, seq)
        self.winner = winner


class Reset(Value):
    """No event, but a chunk, in a stream with `resets=True`: discard all chunks before this one, a
    new try begins.

    `merge` of a stream's chunks does so by itself. `attempt`: the number of the try that failed,
    from 1; `error`: its exception; `discarded`: how many chunks it had given.
    """

    __slots__ = ("attempt", "discarded", "error")
    _shown = ("attempt", "error", "discarded")

    def __init__(self, attempt: int, error: BaseException, discarded: int) -> None:
        self.attempt = attempt
        self.error = error
        self.discarded = discarded


class _Block(_Event):
    """`index`: the block's place in the answer, from 0; `block`: a content block."""

    __slots__ = ("block", "index")

    def __init__(self, run: RunInfo, seq: int, index: int, block: dict[str, Any]) -> None:
        super().__init__(run, seq)
        self.index = index
        self.block = block

    def __repr__(self) -> str:
        what = f"index={self.index}, block={self.block!r}"
        return f"{type(self).__name__}({self.run.path!r}, seq={self.seq}, {what})"


class BlockStarted(_Block):
    """A content block begins; `block` is what is known of it: its type, a tool call's name."""

    __slots__ = ()
    kind = "block-start"


class BlockDelta(_Block):
    """The next piece of a content block: `block` holds only what is new."""

    __slots__ = ()
    kind = "block-delta"


class BlockEnded(_Block):
    """A content block has ended; `block` is the whole of it."""

    __slots__ = ()
    kind = "block-end"


Event: TypeAlias = (
    RunStarted
    | RunChunk
    | RunEnded
    | RunFailed
    | RunCancelled
    | RunRetried
    | StreamReset
    | RunWon
    | CustomEvent
    | ToolProgress
    | BlockStarted
    | BlockDelta
    | BlockEnded
)

EVENTS: frozenset[type[Event]] = frozenset(get_args(Event))
"""All classes of events."""

Takes: TypeAlias = Container[type[Event]]


class Observer(Protocol):
    """Gets every event of a run and of the runs below it, in the thread or task they happen in.

    With a method `wants(run) -> Takes` it gets only events of those classes; it is asked once for
    each run and class, before anything is built. With a method `chunk_taker(run)` it may give a
    function that takes a run's chunks one by one where no one else does: then no event is built.
    It does what `Run.tell` does around `on_event`: wake the run first, see to its own errors.
    A method `_headrace_event` is called instead of `on_event`: in handlers that name is the user's.
    """

    def on_event(self, event: Event, /) -> None: ...
