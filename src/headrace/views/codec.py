"""Events as JSON and back, unchanged: one line of ASCII for each.

    {"kind": "chunk", "seq": 4, "time": 8.31, "chunk": "Hi", "whole": false,
     "run": {"id": "…", "parent_ids": ["…"], "name": "StrOutputParser", "type": "parser",
             "tags": ["seq:step:3"], "metadata": {}, "path": "RunnableSequence/3:StrOutputParser"}}

`kind` is that of the event's class; the fields of the class follow `time` (monotonic seconds).
Where many events of one run follow each other, `run` may be its id alone, once the whole has been
said. How values are written is told in `load.plain`; what came from classes of the user's is
described and comes back as `Opaque`, and errors as `RecordedError`, unless the reader names their
modules (`allow`): reading imports and calls nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from ..errors import InputError
from ..events import EVENTS, Event, RunInfo
from ..load.foreign import Opaque, allowed
from ..load.plain import Reader, Writer
from ..load.recorded_errors import RecordedError

__all__ = ["Opaque", "RecordedError", "RecordedRun", "decode_event", "decode_value", "encode_event",
           "encode_value", "from_json", "to_json"]  # fmt: skip

Runs = dict[str, "RecordedRun"]

_dumps = json.JSONEncoder(allow_nan=False, separators=(",", ":"), check_circular=False).encode
_quoted = json.encoder.encode_basestring_ascii


class RecordedRun:
    """What a recorded event tells of its run: `events.RunInfo`, held as values."""

    __slots__ = ("__weakref__", "all_tags", "id", "metadata", "name", "notes", "parent_ids", "path",
                 "run_type", "whole")  # fmt: skip

    def __init__(
        self,
        id: UUID,
        parent_ids: list[UUID],
        name: str,
        run_type: str,
        all_tags: list[str],
        metadata: dict[str, Any],
        path: str,
        whole: bool = False,
    ) -> None:
        self.id = id
        self.parent_ids = parent_ids
        self.name = name
        self.run_type = run_type
        self.all_tags = all_tags
        self.metadata = metadata
        self.path = path
        self.whole = whole  # the run was invoked, not streamed
        self.notes: Any = None  # what views work out about this run once

    @property
    def keys(self) -> list[str]:
        """The ids as text, from the root's down to its own."""
        return [str(each) for each in (*self.parent_ids, self.id)]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RecordedRun):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _RUN_FIELDS)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"RecordedRun({self.path!r}, {self.run_type}, {self.id})"


_RUN_FIELDS = ("id", "parent_ids", "name", "run_type", "all_tags", "metadata", "path", "whole")


def _fields(kind: type) -> tuple[str, ...]:
    common = {"run", "seq", "time"}
    slots = (getattr(base, "__slots__", ()) for base in reversed(kind.__mro__))
    return tuple(name for names in slots for name in names if name not in common)


_KINDS: Mapping[str, Any] = {kind.kind: kind for kind in EVENTS}
_FIELDS: Mapping[type, tuple[str, ...]] = {kind: _fields(kind) for kind in EVENTS}


# ------------------------------------------------------------------ writing


def encode_value(value: Any) -> Any:
    """A value as what `json.dumps` takes."""
    return Writer().put(value)


def encode_run(run: RunInfo) -> dict[str, Any]:
    """What events tell of their run."""
    writer = Writer()
    told = {
        "id": run.keys[-1],
        "parent_ids": run.keys[:-1],
        "name": writer.put(run.name),
        "type": writer.put(run.run_type),
        "tags": writer.put(run.all_tags),
        "metadata": writer.put(run.metadata),
        "path": writer.put(run.path),
    }
    return {**told, "whole": True} if getattr(run, "whole", False) else told


def encode_event(event: Event) -> dict[str, Any]:
    """An event as what `json.dumps` takes."""
    told: dict[str, Any] = json.loads(to_json(event))
    return told


def to_json(event: Event) -> str:
    """An event as a line of ASCII, without its end."""
    return line_of(event, dump(encode_run(event.run)))


def line_of(event: Any, run: str) -> str:
    """The line of an event, `run` being the JSON of what stands for its run.

    It is put together as text: most events hold a string or a message, and one call of the JSON
    encoder for the whole costs more than the rest of the line.
    """
    writer = Writer()
    parts = [f'{{"kind":"{event.kind}","seq":{event.seq},"time":{event.time!r}']
    for name in _FIELDS[type(event)]:
        told = writer.put(getattr(event, name))
        parts.append(f',"{name}":{_quoted(told) if type(told) is str else dump(told)}')
    parts.append(f',"run":{run}}}')
    return "".join(parts)


def dump(told: Any) -> str:
    """What `encode_…` made, as one line."""
    if told is False:
        return "false"
    return "null" if told is None else _dumps(told)


# ------------------------------------------------------------------ reading


def decode_value(told: Any, allow: Iterable[Any] = ()) -> Any:
    """The value that `encode_value` was given; `allow` as in `from_json`."""
    return Reader(allowed(allow)).take(told)


def decode_event(told: Mapping[str, Any], allow: Iterable[Any] = (), runs: Any = None) -> Event:
    """The event that `encode_event` was given; see `from_json`."""
    runs = {} if runs is None else runs
    try:
        return _decoded(told, Reader(allowed(allow)), runs)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError,
            RecursionError) as error:  # fmt: skip
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"This is no event as Headrace writes them ({type(error).__name__}: {error}): "
            f"{str(told)[:200]}"
        ) from error


def _decoded(told: Mapping[str, Any], reader: Reader, runs: Runs) -> Event:
    kind = _KINDS.get(told["kind"])
    if kind is None:
        raise InputError(
            f"An event says it is of the kind {told['kind']!r}, which this version of Headrace "
            f"does not know; it knows {', '.join(sorted(_KINDS))}."
        )
    event = kind.__new__(kind)
    event.seq, event.time = told["seq"], told["time"]
    for name in _FIELDS[kind]:
        setattr(event, name, reader.take(told[name]))
    event.run = _run(told["run"], reader, runs)
    return event  # type: ignore[no-any-return]


def _run(told: Any, reader: Reader, runs: Runs) -> RecordedRun:
    if isinstance(told, str):
        return runs[told]
    ident = told["id"]
    found = runs.get(ident)
    if found is None:
        take = reader.take
        found = runs[ident] = RecordedRun(
            UUID(ident), [UUID(parent) for parent in told["parent_ids"]], take(told["name"]),
            take(told["type"]), take(told["tags"]), take(told["metadata"]), take(told["path"]),
            told.get("whole", False),
        )  # fmt: skip
    return found


def from_json(line: str, allow: Iterable[Any] = (), runs: Runs | None = None) -> Event:
    """The event that a line holds.

    Args:
        allow: modules, or their names, whose classes may be brought back: their dataclasses,
            pydantic models, enums, named tuples, exceptions, and subclasses of Headrace's values.
            A package stands for all in it. They are imported if need be, so name only what you
            trust. Without it, such objects come back as `Opaque` and `RecordedError`.
        runs: the runs seen so far, by the text of their ids; filled here. With it the events of a
            run share one `run`, and a line may name its run by the id.

    Raises:
        InputError: it is no JSON, or no event.
    """
    try:
        told = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"This line is no JSON ({error}): {line[:200]!r}") from error
    if not isinstance(told, dict):
        raise InputError(f"An event is a JSON object; this line is {line[:200]!r}.")
    return decode_event(told, allow, runs)
