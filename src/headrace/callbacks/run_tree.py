"""`Run`: a run as tracers and listeners know it; `RunTree`: the machine that makes them of events.

A run of a chain has `inputs` and `outputs` as dicts: a value that is none stands under "input" or
"output". Models have `{"prompts": [...]}` (chat models, for listeners, `{"messages": [[...]]}`: the
messages themselves) and the dump of an `LLMResult` whose messages are the
objects themselves; retrievers `query` and `documents`. Nothing is copied. Where the input streams,
`inputs` is `{"input": ""}` until the run's end.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from ..errors import TracerException
from ..events import (
    Event,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunInfo,
    RunRetried,
    RunStarted,
    Takes,
)
from ..outputs import LLMResult
from ..values import Value, plain
from .arguments import (
    MODELS,
    error_of,
    extras,
    facts,
    given_of,
    kind_of,
    messages_of,
    name_card,
    prompts_of,
    result_of,
    retry_state,
    text_of,
    token_of,
    transcript,
)

__all__ = ["Run", "RunTree", "answered", "retry_facts"]


class Run(Value):
    """One node of the tree of runs, filled in while the run goes on.

    Args:
        id, parent_run_id, trace_id: of this run, the one above, the outermost one.
        name, run_type: "chain", "llm", "chat_model" (for listeners; tracers know chat models as
            "llm"), "prompt", "parser", "tool", "retriever".
        inputs, outputs: see the file's head; outputs is empty until there are any.
        error: the exception and where it came from, as text; None if there was none.
        start_time, end_time: UTC; end_time is None while the run goes on.
        child_runs: the runs below, in the order of their starts.
        tags, extra: its tags; its metadata under "metadata".
        events: what happened, as dicts with "name", "time" and perhaps "kwargs".
        dotted_order: start times and ids from the outermost run down to this one; sorts as text.
        serialized: of a model, a tool, a retriever: what class it is.
    """

    __slots__ = ("__weakref__", "child_runs", "dotted_order", "end_time", "error", "events",
                 "extra", "id", "inputs", "name", "outputs", "parent_run_id", "run_type",
                 "serialized", "start_time", "tags", "trace_id")  # fmt: skip

    _shown = ("id", "name", "run_type", "inputs", "outputs", "error", "start_time", "end_time",
              "parent_run_id", "child_runs", "tags", "extra", "events", "trace_id",
              "dotted_order", "serialized")  # fmt: skip

    def __init__(
        self,
        *,
        id: UUID | str,
        name: str,
        run_type: str = "chain",
        inputs: dict[str, Any] | None = None,
        outputs: dict[str, Any] | None = None,
        error: str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        parent_run_id: UUID | str | None = None,
        child_runs: list[Run] | None = None,
        tags: list[str] | None = None,
        extra: dict[str, Any] | None = None,
        events: list[dict[str, Any]] | None = None,
        trace_id: UUID | None = None,
        dotted_order: str | None = None,
        serialized: dict[str, Any] | None = None,
    ) -> None:
        self.id = UUID(id) if isinstance(id, str) else id
        if isinstance(parent_run_id, str):
            parent_run_id = UUID(parent_run_id)
        self.name, self.run_type = name, run_type
        self.inputs = {} if inputs is None else inputs
        self.outputs = {} if outputs is None else outputs
        self.error = error
        self.start_time = datetime.now(UTC) if start_time is None else start_time
        self.end_time = end_time
        self.parent_run_id = parent_run_id
        self.child_runs = [] if child_runs is None else child_runs
        self.tags = [] if tags is None else tags
        self.extra = {} if extra is None else extra
        self.events = [] if events is None else events
        self.trace_id = self.id if trace_id is None else trace_id
        self.dotted_order = self._order() if dotted_order is None else dotted_order
        self.serialized = serialized

    def _order(self) -> str:
        return f"{self.start_time:%Y%m%dT%H%M%S%fZ}{self.id}"

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the run; kept in `extra`."""
        found: dict[str, Any] = self.extra.setdefault("metadata", {})
        return found

    def model_dump(
        self, *, exclude: Container[str] = (), include: Container[str] | None = None, **ignored: Any
    ) -> dict[str, Any]:
        """The run as a dict of plain values; without the fields in `exclude`, only with those in
        `include`."""
        return {
            name: plain(getattr(self, name))
            for name in self._shown
            if name not in exclude and (include is None or name in include)
        }

    def copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """A copy with some fields replaced, as `model_copy` makes it."""
        return self.model_copy(update=update)

    def end(self, outputs: Any = None, error: str | None = None) -> None:
        """The run is over."""
        self.end_time = datetime.now(UTC)
        self.error = error
        if outputs is not None:
            self.outputs = outputs
        self.events.append({"name": "error" if error else "end", "time": self.end_time})


def _named(key: str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: value if isinstance(value, dict) else {key: value}


def _answer(one: Any) -> dict[str, Any]:
    fields = {"text": one.text, "generation_info": one.generation_info, "type": one.type}
    message = getattr(one, "message", None)
    return fields if message is None else {**fields, "message": message}


def answered(result: LLMResult) -> dict[str, Any]:
    """The dump of an `LLMResult`, its messages left as they are."""
    dumped = [[_answer(one) for one in answers] for answers in result.generations]
    return {"generations": dumped, "llm_output": result.llm_output, "run": result.run,
            "type": result.type}  # fmt: skip


def retry_facts(state: Any) -> dict[str, Any]:
    """What a run's event of a retry holds."""
    told: dict[str, Any] = {"slept": state.idle_for, "attempt": state.attempt_number}
    if state.outcome is None:
        return {**told, "outcome": "N/A"}
    error = state.outcome.exception()
    if error is None:
        return {**told, "outcome": "success", "result": str(state.outcome.result())}
    kind = type(error).__name__
    return {**told, "outcome": "failed", "exception": str(error), "exception_type": kind}


_INPUTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "chat_model": lambda value: {"prompts": transcript(value)},
    "llm": lambda value: {"prompts": prompts_of(value)},
    "tool": lambda value: {"input": text_of(value)},
    "retriever": lambda value: {"query": value},
    "chain": _named("input"),
}
_OUTPUTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "tool": _named("output"),
    "retriever": lambda value: {"documents": value},
    "chain": _named("output"),
}


def _outputs(kind: str, value: Any, given: Any) -> dict[str, Any]:
    """`given`: what a model's body answered, of which the value is a part."""
    if kind in MODELS:
        return answered(result_of(value, given))
    return _OUTPUTS[kind](value)


def _trace(error: BaseException) -> str:
    """An exception and where it came from, as text."""
    import traceback

    return f"{error!r}\n\n{''.join(traceback.format_exception(error))}".strip()


class RunTree:
    """The machine: events in, in the order they happen; runs kept until their end.

    Its users ask what an event was about: `feed` gives the run, or None for an event of no
    interest. A run whose parent it has not seen is a root. With `tokens`, the pieces of models'
    streams are kept as events of their runs. With `chat`, chat models are a kind of their own with
    messages as inputs; without, they are text models with prompts.
    """

    __slots__ = ("chat", "live", "tokens")

    def __init__(self, *, tokens: bool = False, chat: bool = False) -> None:
        self.live: dict[UUID, Run] = {}
        self.tokens, self.chat = tokens, chat

    def wants(self, run: RunInfo) -> Takes:
        """The events of a run that `feed` would do something with."""
        tokens = self.tokens and kind_of(run.run_type) in MODELS
        without = set() if tokens else {RunChunk}
        return _TAKES.keys() - (without if self.tokens else without | {RunRetried})

    def feed(self, event: Event) -> Run | None:
        """Take an event in; the run it changed."""
        take = _TAKES.get(type(event))
        return None if take is None else take(self, event)

    def start(self, run: Run) -> Run:
        """Take in a run that starts."""
        above = None if run.parent_run_id is None else self.live.get(run.parent_run_id)
        if above is None:
            run.parent_run_id = None
        else:
            above.child_runs.append(run)
            run.trace_id = above.trace_id
            run.dotted_order = f"{above.dotted_order}.{run.dotted_order}"
        run.events.append({"name": "start", "time": run.start_time})
        self.live[run.id] = run
        return run

    def _started(self, event: RunStarted) -> Run:
        told, kind = facts(event.run), kind_of(event.run.run_type)
        value = event.input
        if not event.known and kind == "chain":
            value = ""  # it streams in: known at the end
        metadata, told_besides = event.run.metadata, extras(event.run)
        card = getattr(getattr(event.run, "node", None), "card", None)
        run = Run(
            id=told["run_id"],
            parent_run_id=told["parent_run_id"],
            name=event.run.name,
            run_type="llm" if kind == "chat_model" and not self.chat else event.run.run_type,
            inputs=self._inputs(kind, value),
            tags=told["tags"],
            extra={**told_besides, "metadata": metadata} if metadata else told_besides,
            serialized=card if kind == "chain" else name_card(event.run),
        )
        return self.start(run)

    def _inputs(self, kind: str, value: Any) -> dict[str, Any]:
        if self.chat and kind == "chat_model":
            return {"messages": messages_of(value)}
        return _INPUTS[kind](value)

    def known(self, run_id: UUID, kind: str | None) -> Run:
        """A run that goes on, of a kind if one is given. Raises TracerException."""
        run = self.live.get(run_id)
        if run is None:
            raise TracerException(
                f"No run {run_id} is going on here: call the hook of its start first, with this "
                "run_id, and end it once."
            )
        expected = _HAND_TYPES.get(kind or "")
        if expected is not None and run.run_type not in expected:
            raise TracerException(
                f"Run {run_id} is of the type {run.run_type!r} and cannot end or go on as "
                f"{kind!r}: call the hook that belongs to the one it was started with."
            )
        return run

    def stop(self, run: Run, outputs: Any, error: BaseException | None = None) -> None:
        """A run is over."""
        self.live.pop(run.id, None)
        run.end(outputs, None if error is None else _trace(error))

    def _retried(self, event: RunRetried) -> Run | None:
        run = self.live.get(event.run.id) if self.tokens else None
        if run is not None:
            told = retry_facts(retry_state(event))
            run.events.append({"name": "retry", "time": datetime.now(UTC), "kwargs": told})
        return run

    def _chunk(self, event: RunChunk) -> Run | None:
        if RunChunk not in self.wants(event.run):
            return None
        run, told = self.live.get(event.run.id), token_of(event.chunk)
        if run is None or told is None or event.whole:
            return None
        kwargs = {"token": told[0], "chunk": told[1]}
        run.events.append({"name": "new_token", "time": datetime.now(UTC), "kwargs": kwargs})
        return run

    def _ended(self, event: RunEnded) -> Run | None:
        run = self.live.pop(event.run.id, None)
        if run is not None:
            kind = kind_of(event.run.run_type)
            if event.input is not None or kind == "chain":  # None is what the chain was given
                run.inputs = self._inputs(kind, event.input)
            run.end(_outputs(kind, event.output, given_of(event.run)))
        return run

    def _stopped(self, event: RunFailed | RunCancelled) -> Run | None:
        run = self.live.pop(event.run.id, None)
        if run is not None:
            kind = kind_of(event.run.run_type)
            some = event.partial is not None or kind in MODELS
            given = given_of(event.run)
            partial = _outputs(kind, event.partial, given) if some else None
            run.end(partial, _trace(error_of(event)))
        return run


_TAKES: dict[type, Callable[[RunTree, Any], Run | None]] = {
    RunStarted: RunTree._started,
    RunChunk: RunTree._chunk,
    RunEnded: RunTree._ended,
    RunFailed: RunTree._stopped,
    RunCancelled: RunTree._stopped,
    RunRetried: RunTree._retried,
}
# what the hooks that are called by hand may go on or end
_HAND_TYPES = {"llm": MODELS, "tool": ("tool",), "retriever": ("retriever",)}
