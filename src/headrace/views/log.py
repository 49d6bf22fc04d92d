"""`astream_log` and `stream_log`: a run as JSON patches that add up to its state.

| of | operations |
|---|---|
| the outermost run's start | `replace ""` with the whole `RunState` |
| its chunk | `add /streamed_output/-`, and what the chunk changes in `/final_output` |
| the start of a run inside | `add /logs/<key>` with a `LogEntry`; key: `name`, `name:2`, … |
| its chunk | `add /logs/<key>/streamed_output/-`, of models `…/streamed_output_str/-` before |
| a tool's progress, also of the outermost run | `add …/progress`, a list; then `…/progress/-` |
| its end, also by a failure | `add /logs/<key>/final_output` and `…/end_time` |

`/final_output` follows what the chunks add up to: items are added to a list, keys to a dict, and
what JSON patch has no operation for, a growing text or message, is replaced as a whole. To keep
that linear, one of more than `LONG` characters is replaced when it has grown by a `STEP`th, and at
the end of the run.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from datetime import datetime
from threading import Lock
from typing import Any

from ..callbacks.arguments import AT_ONCE, MODELS
from ..callbacks.run_tree import RunTree
from ..events import (
    Event,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunInfo,
    RunStarted,
    RunWon,
    Takes,
    ToolProgress,
)
from ..flow import last
from ..merge import merge
from ..messages import BaseMessageChunk
from ..runnables.addable import AddableDict
from ._document import escaped
from .filters import Filter, Names, listed
from .run_log import Growing, RunLog, RunLogPatch

__all__ = ["LONG", "STEP", "Log", "alogs", "log_filter", "logs"]

LONG = 8_192  # characters; below, replacing the text with each chunk costs less than the rest
STEP = 64

_ROOT = frozenset({RunStarted, RunChunk, RunEnded, RunFailed, ToolProgress})
_ALWAYS = frozenset({RunStarted, RunWon, RunEnded, RunFailed, RunCancelled, ToolProgress})
_WITH_CHUNKS = _ALWAYS | {RunChunk}

Operation = dict[str, Any]


def log_filter(
    *, include_types: Names = None, exclude_types: Names = None, **others: Any
) -> Filter:
    """The filter of a log, in which chat models are of type "llm": that finds them, too.

    Raises:
        ConfigError: one of them is a string.
    """
    include = _with_chat("include_types", include_types)
    exclude = _with_chat("exclude_types", exclude_types)
    return Filter(include_types=include, exclude_types=exclude, **others)


def _with_chat(key: str, types: Names) -> Names:
    found = listed(key, types)
    return found if found is None or "llm" not in found else [*found, "chat_model"]


def logs(patches: Generator[RunLogPatch, None, None]) -> Generator[RunLog, None, None]:
    """The whole log so far, at each patch."""
    growing = Growing(None, owned=True)
    try:
        for patch in patches:
            yield growing.append(patch.ops)
    finally:
        patches.close()


async def alogs(patches: AsyncGenerator[RunLogPatch, None]) -> AsyncGenerator[RunLog, None]:
    """`logs` of an async iterator."""
    growing = Growing(None, owned=True)
    try:
        async for patch in patches:
            yield growing.append(patch.ops)
    finally:
        await patches.aclose()


class Log:
    """The view: a `RunLogPatch` of each event. `chunks`: whether `/streamed_output` of the
    outermost run is told."""

    __slots__ = ("_chunks", "_filter", "_keys", "_lock", "_places", "_root", "_root_place",
                 "_runs", "_total")  # fmt: skip

    def __init__(self, chosen: Filter, *, chunks: bool = True) -> None:
        self._filter, self._chunks = chosen, chunks
        self._lock = Lock()  # branches of a parallel start in threads of their own
        self._root: RunInfo | None = None
        self._runs = RunTree()  # what starts and ends, as tracers see it
        self._keys: dict[str, int] = {}  # in use; of a name, how often it has come
        self._places: dict[RunInfo, _Place] = {}  # of each run that goes on
        self._total = _Total("/final_output")
        self._root_place = _Place()
        self._root_place.open("")

    def wants(self, run: RunInfo) -> Takes:
        """Nothing of a run that is filtered out, but of the outermost one."""
        if self._root is None:
            self._root = run  # nothing below it is told of before
        if run is self._root:
            return _ROOT
        if not self._filter.passes(run):
            return ()
        kind = run.run_type
        if kind in MODELS:
            return _WITH_CHUNKS
        silent = kind in AT_ONCE or getattr(run, "whole", False)
        return _ALWAYS if silent else _WITH_CHUNKS

    def feed(self, event: Event) -> Iterable[RunLogPatch]:
        feeds = _OF_THE_ROOT if event.run is self._root else _OF_OTHERS
        ops = feeds[type(event)](self, event)
        return (RunLogPatch(*ops),) if ops else ()

    def chunk_maker(self, run: RunInfo) -> Callable[[Any], RunLogPatch] | None:
        """What makes a patch of each chunk of a run inside, when it is taken: the run may have
        ended by then."""
        if run is self._root:
            return None  # its chunks and its end are told in the order in which they are added up
        place = self._place(run)
        return lambda chunk: RunLogPatch(*place.told(chunk))

    def _place(self, run: RunInfo) -> _Place:
        place = self._places.get(run)
        if place is None:
            place = self._places[run] = _Place(run.run_type in MODELS)
        return place

    # ------------------------------------------------------------- the outermost run

    def _root_started(self, event: RunStarted) -> Sequence[Operation]:
        run = event.run
        kind = run.run_type
        node = getattr(run, "node", None)
        if node is not None:
            self._total.fold = node._fold_after(None)
        state: dict[str, Any] = {
            "id": str(run.id),
            "streamed_output": [],
            "final_output": None,
            "logs": {},
            "name": run.name,
            "type": "llm" if kind in MODELS else kind,
        }
        return ({"op": "replace", "path": "", "value": state},)

    def _root_chunk(self, event: RunChunk) -> Sequence[Operation]:
        ops = self._total.add(event.chunk)
        if not self._chunks:
            return ops
        return ({"op": "add", "path": "/streamed_output/-", "value": event.chunk}, *ops)

    def _root_progress(self, event: ToolProgress) -> Sequence[Operation]:
        return self._root_place.progressed(event.value)

    def _root_ended(self, event: RunEnded) -> Sequence[Operation]:
        return self._total.finish(event.output)

    def _root_failed(self, event: RunFailed) -> Sequence[Operation]:
        return self._total.behind()

    # ------------------------------------------------------------- the runs inside

    def _started(self, event: RunStarted) -> Sequence[Operation]:
        run = self._runs.feed(event)
        if run is None:
            return ()
        path = f"/logs/{escaped(self._key(run.name))}"
        self._place(event.run).open(path)
        entry = {
            "id": str(run.id),
            "name": run.name,
            "type": run.run_type,
            "tags": run.tags,
            "metadata": run.metadata,
            "start_time": _text(run.start_time),
            "streamed_output": [],
            "streamed_output_str": [],
            "final_output": None,
            "end_time": None,
        }
        return ({"op": "add", "path": path, "value": entry},)

    def _key(self, name: str) -> str:
        """`name`, `name:2`, …; a name that another run has as its key is passed over."""
        keys = self._keys
        with self._lock:
            number = keys.get(name, 0) + 1
            key = name if number == 1 else f"{name}:{number}"
            while key in keys:
                number += 1
                key = f"{name}:{number}"
            keys[name] = number
            keys.setdefault(key, 1)
        return key

    def _won(self, event: RunWon) -> Sequence[Operation]:
        """Who has won a race or a hedge."""
        path = f"{self._place(event.run).path}/metadata/winner"
        return ({"op": "add", "path": path, "value": event.winner},)

    def _chunk(self, event: RunChunk) -> Sequence[Operation]:
        return () if event.whole else self._place(event.run).told(event.chunk)

    def _progress(self, event: ToolProgress) -> Sequence[Operation]:
        return self._place(event.run).progressed(event.value)

    def _ended(self, event: RunEnded | RunFailed | RunCancelled) -> Sequence[Operation]:
        run = self._runs.feed(event)
        place = self._places.pop(event.run, None)
        if run is None or place is None:
            return ()
        outputs = run.outputs
        if run.run_type != "llm" and not isinstance(event, RunEnded):
            outputs = {}
        elif run.run_type == "prompt":
            outputs = outputs["output"]
        return (
            {"op": "add", "path": f"{place.path}/final_output", "value": outputs},
            {"op": "add", "path": f"{place.path}/end_time", "value": _text(run.end_time)},
        )


_Feed = Callable[[Log, Any], Sequence[Operation]]
_OF_THE_ROOT: dict[type, _Feed] = {
    RunStarted: Log._root_started,
    RunChunk: Log._root_chunk,
    RunEnded: Log._root_ended,
    RunFailed: Log._root_failed,
    ToolProgress: Log._root_progress,
}
_OF_OTHERS: dict[type, _Feed] = {
    RunStarted: Log._started,
    RunChunk: Log._chunk,
    RunWon: Log._won,
    RunEnded: Log._ended,
    RunFailed: Log._ended,
    RunCancelled: Log._ended,
    ToolProgress: Log._progress,
}


class _Place:
    """Where the entry of a run is: known when its start has been told."""

    __slots__ = ("_model", "_out", "_progressed", "_text", "path")

    def __init__(self, model: bool = False) -> None:
        self._model = model
        self._progressed = False

    def open(self, path: str) -> None:
        self.path = path
        self._out, self._text = f"{path}/streamed_output/-", f"{path}/streamed_output_str/-"

    def progressed(self, value: Any) -> Sequence[Operation]:
        """The operation of what a tool yields; the list for it is made with the first."""
        if self._progressed:
            return ({"op": "add", "path": f"{self.path}/progress/-", "value": value},)
        self._progressed = True
        return ({"op": "add", "path": f"{self.path}/progress", "value": [value]},)

    def told(self, chunk: Any) -> Sequence[Operation]:
        """The operations of a chunk; of a model's, its text besides."""
        out = {"op": "add", "path": self._out, "value": chunk}
        if not self._model:
            return (out,)
        text = chunk.content if isinstance(chunk, BaseMessageChunk) else chunk
        return ({"op": "add", "path": self._text, "value": text}, out)


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds")


_TEXTS = (str, bytes, tuple)


class _Total:
    """What chunks add up to, with the operations that tell so; `fold`: how, where not by `+`."""

    __slots__ = ("_keys", "_left", "_path", "_rest", "_sums", "_told", "_value", "fold")

    def __init__(self, path: str) -> None:
        self._path = path
        self._value: Any = None
        self._keys: dict[str, _Total] | None = None  # of a dict that adds up key by key
        self._rest: list[Any] = []  # pieces of a long text that have not been told
        self._left = 0  # their length, and that of what has been told
        self._told = 0
        self._sums = 0
        self.fold: Any = None

    def begin(self, chunk: Any) -> Any:
        """Hold a first chunk; what to tell: a copy, where later operations go inside."""
        self._keys = None
        self._rest, self._left = [], 0
        self._value = chunk
        self._told = len(chunk) if isinstance(chunk, _TEXTS) else 0
        if self.fold is last:
            return chunk
        if type(chunk) is list:
            self._value = list(chunk)
            return list(chunk)
        if isinstance(chunk, AddableDict):
            keys = self._keys = {}
            return {key: self._below(keys, key).begin(value) for key, value in chunk.items()}
        return chunk

    def _below(self, keys: dict[str, _Total], key: str) -> _Total:
        total = keys[key] = _Total(f"{self._path}/{escaped(str(key))}")
        return total

    def _replaced(self, value: Any) -> list[Operation]:
        return [{"op": "replace", "path": self._path, "value": self.begin(value)}]

    def add(self, chunk: Any) -> list[Operation]:
        """One more chunk."""
        value = self._value
        kind = type(value)
        if value is None or self.fold is last:
            return [] if chunk is None and value is None else self._replaced(chunk)
        if kind is type(chunk):
            if kind in _TEXTS:
                return self._longer(chunk, len(chunk))
            if kind is list:
                return self._appended(chunk)
        if isinstance(value, BaseMessageChunk) and isinstance(chunk, BaseMessageChunk):
            return self._longer(chunk, len(chunk.content))
        if self._keys is not None and isinstance(chunk, dict):
            return self._keyed(self._keys, chunk)
        try:
            total = self.whole() + chunk
        except TypeError:
            total = chunk
        return self._replaced(total)

    def _appended(self, items: list[Any]) -> list[Operation]:
        start = len(self._value)
        self._value += items
        return [
            {"op": "add", "path": f"{self._path}/{place}", "value": item}
            for place, item in enumerate(items, start)
        ]

    def _keyed(self, keys: dict[str, _Total], chunk: dict[str, Any]) -> list[Operation]:
        ops: list[Operation] = []
        for key, value in chunk.items():
            total = keys.get(key)
            if total is None:
                total = self._below(keys, key)
                ops.append({"op": "add", "path": total._path, "value": total.begin(value)})
            elif value is not None:
                ops += total.add(value)
        return ops

    def _longer(self, piece: Any, length: int) -> list[Operation]:
        """A text, and the like: told when it is short, or has grown enough."""
        self._rest.append(piece)
        self._left += length
        told = self._told
        return [] if told > LONG and self._left * STEP < told else self.behind()

    def behind(self) -> list[Operation]:
        """What has not been told yet."""
        if self._keys is not None:
            return [op for total in self._keys.values() for op in total.behind()]
        if not self._rest:
            return []
        self._told += self._left
        return [{"op": "replace", "path": self._path, "value": self.whole()}]

    def whole(self) -> Any:
        """What the chunks add up to by `+`, told or not."""
        if self._keys is not None:
            return AddableDict({key: total.whole() for key, total in self._keys.items()})
        if self._rest:
            self._value = self._joined(self._rest)
            self._rest, self._left = [], 0
        return self._value

    def _joined(self, rest: list[Any]) -> Any:
        if len(rest) > 1:
            return merge([self._value, *rest])
        try:
            total = self._value + rest[0]
        except TypeError:  # messages of two kinds
            return rest[0]
        self._sums += 1
        if self._sums % STEP == 0 and isinstance(total, BaseMessageChunk):
            # Sums of messages share their pieces until they are read. Reading one here joins them,
            # so that who reads every sum does not have all of them to join each time.
            _ = total.content
        return total

    def finish(self, output: Any) -> list[Operation]:
        """What has not been told yet; where the chunks add up in a way of their own, the output."""
        ops = self.behind()
        if _same(self.whole(), output):
            return ops
        return self._replaced(output)


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        # A sum of message chunks is of its own type only once it has been read.
        return bool(one == other) and type(one) is type(other)
    except Exception:  # of values that cannot be compared, an array's for one
        return False
