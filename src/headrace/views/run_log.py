"""`RunLogPatch` and `RunLog`: what `astream_log` gives, and how it adds up.

A patch is a list of JSON-patch operations (RFC 6902); any library that knows those can rebuild the
state from them, and so does `+`:

    log = None
    async for patch in chain.astream_log("x"):
        log = patch if log is None else log + patch  # a RunLog from the second one on

Logs that come out of each other share one growing list of operations, so adding a patch costs what
is in the patch. `state` and `ops` are made when somebody looks at them, and stay as they are when
the log goes on. Who looks at one log after the other pays for what is new in each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, NotRequired, TypedDict

from ..jsonstream._lexical import NOTHING
from ..jsonstream._snapshot import Spares
from ._document import Document

__all__ = ["Growing", "LogEntry", "RunLog", "RunLogPatch", "RunState"]

Operation = dict[str, Any]


class LogEntry(TypedDict):
    """One run inside the run that is logged."""

    id: str
    name: str
    type: str  # "chain", "prompt", "parser", "llm" (chat models too), "retriever", "tool", …
    tags: list[str]
    metadata: dict[str, Any]
    start_time: str  # ISO 8601, UTC, milliseconds
    streamed_output_str: list[str]  # the tokens, of a model
    streamed_output: list[Any]  # the chunks, of what streams
    progress: NotRequired[list[Any]]  # what a tool yielded on its way to its result
    inputs: NotRequired[Any]  # for programs that add it; the log itself has none
    final_output: Any  # None until the end; {} if it failed, but for a model's text so far
    end_time: str | None


class RunState(TypedDict):
    """The run that is logged, and in `logs` those inside it."""

    id: str
    streamed_output: list[Any]
    final_output: Any  # what the chunks so far add up to
    name: str
    type: str
    progress: NotRequired[list[Any]]  # of a tool
    logs: dict[str, LogEntry]  # "name", then "name:2", … by the order of their starts


class RunLogPatch:
    """Operations that take the state of a run from one moment to the next."""

    __slots__ = ("_ops",)

    def __init__(self, *ops: Operation) -> None:
        self._ops: list[Operation] | None = list(ops)

    @property
    def ops(self) -> list[Operation]:
        """JSON-patch operations, each `{"op", "path", "value"}`."""
        return self._ops  # type: ignore[return-value]

    def __add__(self, other: Any) -> RunLog:
        """The log that both make together, from the first patch of a run on."""
        if type(other) is not RunLogPatch:
            return NotImplemented
        return Growing(None, self.ops).log().__add__(other)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RunLogPatch):
            return NotImplemented
        return self.ops == other.ops

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        from pprint import pformat

        return f"RunLogPatch({pformat(self.ops)[1:-1]})"


class RunLog(RunLogPatch):
    """The operations from a run's beginning until some moment, and what they add up to.

    Args:
        ops: the operations so far.
        state: what they have made; None before the first one.

    `state` is for reading: states share their inner dicts and lists with each other. Copy before
    you change one.
    """

    __slots__ = ("_growing", "_length", "_state")

    def __init__(self, *ops: Operation, state: RunState | None) -> None:
        self._growing: Growing = Growing(state, ops, applied=len(ops))
        self._length = len(ops)
        self._ops = None
        self._state: Any = state

    @classmethod
    def _of(cls, growing: Growing, length: int) -> RunLog:
        self = cls.__new__(cls)
        self._growing, self._length = growing, length
        self._ops = None
        self._state = NOTHING
        return self

    @property
    def ops(self) -> list[Operation]:
        """All operations until now."""
        found = self._ops
        if found is None:
            found = self._ops = self._growing.until(self._length)
        return found

    @property
    def state(self) -> RunState:
        """What the operations add up to.

        Raises:
            InputError: they do not fit each other, as when the first ones are missing.
        """
        if self._state is NOTHING:
            self._state = self._growing.state(self._length)
        return self._state  # type: ignore[no-any-return]

    def __add__(self, other: Any) -> RunLog:
        """The log with one more patch."""
        if type(other) is not RunLogPatch:
            return NotImplemented
        growing, length = self._growing.extended(self._length, other.ops)
        return RunLog._of(growing, length)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RunLog):
            return False
        return self.state == other.state and self.ops == other.ops

    __hash__ = None

    def __repr__(self) -> str:
        from pprint import pformat

        return f"RunLog({pformat(self.state)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self.ops, self.state)


def _made(ops: list[Operation], state: RunState) -> RunLog:
    return RunLog(*ops, state=state)


class Growing:
    """The operations of a log that grows, shared by all `RunLog`s on its way.

    They are only ever added at the end, by whoever holds the longest log; who goes on from an
    earlier one gets a list of his own. With `owned`, only `append` adds, and everyone else gets
    such a list.
    """

    __slots__ = ("_applied", "_base", "_doc", "_lock", "_ops", "_owned", "_read", "_spares")

    def __init__(
        self, base: Any, ops: Sequence[Operation] = (), *, applied: int = 0, owned: bool = False
    ) -> None:
        self._base, self._applied, self._owned = base, applied, owned
        self._ops = list(ops)
        self._lock = Lock()
        self._doc = Document(base)
        self._read: list[Operation] = self._ops[:applied]  # what `_doc` has got
        self._spares = Spares()

    def log(self) -> RunLog:
        """The log as it is now."""
        return RunLog._of(self, len(self._ops))

    def append(self, ops: Sequence[Operation]) -> RunLog:
        """Go on; only for the one who made it."""
        self._ops += ops
        return RunLog._of(self, len(self._ops))

    def extended(self, length: int, ops: Sequence[Operation]) -> tuple[Growing, int]:
        """This one or another with its first `length` operations and these, and their number."""
        with self._lock:
            if length == len(self._ops) and not self._owned:
                self._ops.extend(ops)
                return self, length + len(ops)
        other = Growing(self._base, [*self._ops[:length], *ops], applied=self._applied)
        return other, length + len(ops)

    def until(self, length: int) -> list[Operation]:
        """The first so many operations."""
        with self._lock:
            if length < len(self._read):
                return self._ops[:length]
            self._advance(length)
            return self._spares.reuse((self._read,), (None,), NOTHING)  # type: ignore[no-any-return]

    def state(self, length: int) -> Any:
        """What they add up to. One that is older than what has been looked at is made anew."""
        with self._lock:
            if length < len(self._read):
                document = Document(self._base)
                for operation in self._ops[self._applied : length]:
                    document.apply(operation)
            else:
                self._advance(length)
                document = self._doc
            value = document.value()
        # The outermost dict is the caller's own.
        return dict(value) if isinstance(value, Mapping) else value

    def _advance(self, length: int) -> None:
        read, apply = self._read, self._doc.apply
        for operation in self._ops[len(read) : length]:
            apply(operation)
            read.append(operation)
