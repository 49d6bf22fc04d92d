"""`astream_events` and `stream_events`: events as LangChain's dicts of version v2.

    {"event": "on_chat_model_stream", "name": …, "run_id": …, "parent_ids": […],
     "tags": […], "metadata": {…}, "data": {"chunk": …}}

| of a run | data |
|---|---|
| start | `input`: of the outermost run, of models, prompts, tools, retrievers, of what is invoked |
| stream | `chunk` |
| end | `output`, and `input` except of the outermost run |
| error, of tools | `error`, `input`, `tool_call_id` |
| progress, of tools | `chunk`: what it yielded; `tool_call_id` |
| reset | `attempt`, `error`, `discarded`: what came of this run and of those below is void |

At the end of a race or a hedge, `metadata` says who has won: `winner`.

Inputs and outputs of models, tools and retrievers have the shapes in the tables below. The steps of
a chain that is *invoked* inside the run report no chunks; models always do, where they can stream.
What gives one value at once (prompts, tools, retrievers, parsers of the whole text, models that do
not stream) has no chunk of its own. A filter leaves events out and changes none.

The dicts of one run share their `tags`, `metadata` and `parent_ids`: copy before you change them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from ..callbacks.arguments import AT_ONCE, MODELS, facts, given_of, messages_of, prompts_of
from ..errors import ConfigError
from ..events import (
    CustomEvent,
    Event,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunInfo,
    RunStarted,
    RunWon,
    StreamReset,
    Takes,
    ToolProgress,
)
from ..messages.tool_calls import split_call
from ..outputs import GenerationChunk
from .filters import Filter

__all__ = ["StreamEvent", "StreamEvents", "checked_version"]

StreamEvent: TypeAlias = dict[str, Any]
"""What `astream_events` gives; see above for the keys."""


def checked_version(version: str) -> None:
    """Raises ConfigError for any version of the event dicts but "v2"."""
    if version == "v2":
        return
    if version == "v1":
        raise ConfigError(
            'version="v1" of the events is not supported: give version="v2", the default here, by '
            "which LangChain itself has replaced it. In v2 each event has parent_ids, and no run "
            "is told of twice."
        )
    raise ConfigError(f'version={version!r} of the events is not known: give version="v2".')


def _prompts_answered(output: Any, run: RunInfo) -> dict[str, Any]:
    given = given_of(run)
    info = given.generations[0][0].generation_info if given and output is not None else None
    one = {"text": output, "generation_info": info, "type": "Generation"}
    return {"generations": [[one]], "llm_output": given.llm_output if given else None}


def _same(value: Any, _run: Any = None) -> Any:
    return value


def _arguments(value: Any) -> Any:
    """A tool's: of a tool call the arguments."""
    given, _ = split_call(value)
    return given if given is None or isinstance(given, dict) else {"input": given}


_Shape = Callable[[Any], Any]
_Answered = Callable[[Any, RunInfo], Any]
_INPUTS: dict[str, _Shape] = {
    "chat_model": lambda value: {"messages": messages_of(value)},
    "llm": lambda value: {"prompts": prompts_of(value)},
    "retriever": lambda value: {"query": value},
    "tool": _arguments,
}
_OUTPUTS: dict[str, _Answered] = {"llm": _prompts_answered}

_ALWAYS = frozenset(
    {RunStarted, RunEnded, RunCancelled, RunFailed, CustomEvent, StreamReset, RunWon, ToolProgress}
)
_WITH_CHUNKS = _ALWAYS | {RunChunk}


class StreamEvents:
    """The view."""

    __slots__ = ("_filter", "_live", "_root", "_winners")

    def __init__(self, chosen: Filter) -> None:
        self._filter = chosen
        self._root: RunInfo | None = None
        # of each run that goes on: what all its dicts have, its type, the input told at the start
        self._live: dict[RunInfo, tuple[dict[str, Any], str, Any]] = {}
        self._winners: dict[RunInfo, str] = {}  # of contests that go on

    def wants(self, run: RunInfo) -> Takes:
        """Nothing of a run that is filtered out, but what user code reports from inside it."""
        if self._root is None:
            self._root = run  # nothing below it is told of before
        if not self._filter.passes(run):
            return (CustomEvent,)
        kind = run.run_type
        if kind in MODELS or not self._silent(run, kind):
            return _WITH_CHUNKS
        return _ALWAYS

    def _silent(self, run: Any, kind: str) -> bool:
        """Whether what it gives is told at its end only: it is one value, or nobody sees chunks."""
        if kind in AT_ONCE:
            return True
        if run is self._root:
            return kind == "parser"
        return _of_node(run, "_at_once") or getattr(run, "whole", False)

    def chunk_maker(self, run: RunInfo) -> Callable[[Any], dict[str, Any]]:
        """What a chunk of a run becomes, all that its dicts share worked out with the first of
        them: a run that has not started yet may never do so."""
        shared: dict[str, Any] = {}
        in_text = run.run_type == "llm" and run is not self._root

        def make(chunk: Any) -> dict[str, Any]:
            nonlocal shared
            if not shared:
                shared = (self._live.get(run) or self._made(run))[0]
                # other events of the run put theirs in a copy
                shared["event"] = f"on_{run.run_type}_stream"
            return {**shared, "data": {"chunk": GenerationChunk(text=chunk) if in_text else chunk}}

        return make

    def feed(self, event: Event) -> Iterable[dict[str, Any]]:
        return _FEEDS[type(event)](self, event)

    def _known(self, run: RunInfo) -> tuple[dict[str, Any], str, Any]:
        known = self._live.get(run)
        if known is None:
            known = self._live[run] = self._made(run)
        return known

    @staticmethod
    def _made(run: RunInfo) -> tuple[dict[str, Any], str, Any]:
        *above, own = run.keys
        about = {
            "event": "",
            "name": run.name,
            "run_id": own,
            "parent_ids": above,
            "tags": run.all_tags,
            "metadata": run.metadata,
            "data": {},
        }
        return about, run.run_type, None

    def _told(self, run: RunInfo, kind: str, value: Any) -> Any:
        return value if run is self._root else _INPUTS.get(kind, _same)(value)

    def _started(self, event: RunStarted) -> Iterable[dict[str, Any]]:
        run = event.run
        about, kind, _ = self._known(run)
        if run is not self._root and not (event.known and _has_it_whole(run)):
            return ({**about, "event": f"on_{kind}_start"},)
        given = self._told(run, kind, event.input)
        self._live[run] = (about, kind, given)
        return ({**about, "event": f"on_{kind}_start", "data": {"input": given}},)

    def _chunk(self, event: RunChunk) -> Iterable[dict[str, Any]]:
        known = self._live.get(event.run)
        about, kind, _ = known if known is not None else self._known(event.run)
        chunk = event.chunk
        if event.whole:
            return ()
        if kind == "llm" and event.run is not self._root:
            chunk = GenerationChunk(text=chunk)
        return ({**about, "event": f"on_{kind}_stream", "data": {"chunk": chunk}},)

    def _ended(self, event: RunEnded) -> Iterable[dict[str, Any]]:
        run, value = event.run, event.input
        about, kind, given = self._known(run)
        del self._live[run]
        if run in self._winners:
            won = {"winner": self._winners.pop(run)}
            about = {**about, "metadata": {**about["metadata"], **won}}
        answered: _Answered = _OUTPUTS.get(kind, _same)
        data = {"output": answered(event.output, run)}
        if run is not self._root:
            told = given is not None or value is None
            data["input"] = given if told else self._told(run, kind, value)
        return ({**about, "event": f"on_{kind}_end", "data": data},)

    def _failed(self, event: RunFailed) -> Iterable[dict[str, Any]]:
        about, kind, given = self._known(event.run)
        del self._live[event.run]
        self._winners.pop(event.run, None)
        if kind != "tool":
            return ()
        call_id = facts(event.run).get("tool_call_id")  # kept there by the tool
        data = {"error": event.error, "input": _arguments(given), "tool_call_id": call_id}
        return ({**about, "event": "on_tool_error", "data": data},)

    def _progress(self, event: ToolProgress) -> Iterable[dict[str, Any]]:
        about, kind, _ = self._known(event.run)
        data = {"chunk": event.value, "tool_call_id": event.tool_call_id}
        return ({**about, "event": f"on_{kind}_progress", "data": data},)

    def _reset(self, event: StreamReset) -> Iterable[dict[str, Any]]:
        about, kind, _ = self._known(event.run)
        data = {"attempt": event.attempt, "error": event.error, "discarded": event.discarded}
        return ({**about, "event": f"on_{kind}_reset", "data": data},)

    def _won(self, event: RunWon) -> Iterable[dict[str, Any]]:
        self._winners[event.run] = event.winner
        return ()

    def _cancelled(self, event: RunCancelled) -> Iterable[dict[str, Any]]:
        self._live.pop(event.run, None)
        self._winners.pop(event.run, None)
        return ()

    def _custom(self, event: CustomEvent) -> Iterable[dict[str, Any]]:
        run, label = event.run, event.label
        tags = run.all_tags
        if self._filter and not self._filter.lets(label, label, tags):
            return ()
        *above, own = run.keys
        told = {
            "event": "on_custom_event",
            "name": label,
            "run_id": own,
            "parent_ids": above,
            "tags": tags,
            "metadata": run.metadata,
            "data": event.data,
        }
        return (told,)


def _has_it_whole(run: Any) -> bool:
    """Whether a run starts with its whole input, whatever feeds it: it is invoked, or collects."""
    if run.run_type in AT_ONCE or getattr(run, "invoked", True):
        return True
    return _of_node(run, "_collects")


def _of_node(run: Any, what: str) -> bool:
    """What a run's component says of itself; runs that were recorded have none."""
    return bool(getattr(getattr(run, "node", None), what, False))


_FEEDS: dict[type, Callable[[StreamEvents, Any], Iterable[dict[str, Any]]]] = {
    RunStarted: StreamEvents._started,
    RunChunk: StreamEvents._chunk,
    RunEnded: StreamEvents._ended,
    RunFailed: StreamEvents._failed,
    RunCancelled: StreamEvents._cancelled,
    CustomEvent: StreamEvents._custom,
    StreamReset: StreamEvents._reset,
    ToolProgress: StreamEvents._progress,
    RunWon: StreamEvents._won,
}
