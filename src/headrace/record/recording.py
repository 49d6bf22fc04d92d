"""A recording as it is read: its lines, its runs, and which of these answers an input.

A last line that was cut off in the middle (the process was killed, the disk was full) is left out,
and `note` says so; anything else that is no event is an error with the number of its line.
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from ..errors import HeadraceError, InputError
from ..events import Event
from ..load.foreign import Allowed, shown
from ..load.plain import Reader
from ..merge import merge
from ..messages import BaseMessage, message_chunk_to_message
from ..values import Value
from ..views.codec import RecordedRun, decode_event, encode_value
from .errors import NotRecordedError, RecordingError, RecordingNotFoundError
from .recorder import VERSION, Path, path_text

__all__ = ["Answers", "Call", "Recording", "input_key", "roots_of"]

STEP_NOTE = "In step "  # how the notes begin by which the engine names the step


class Recording:
    """A file of events.

    Raises:
        RecordingNotFoundError: there is no such file.
        RecordingError: it is no recording, or one of a later version.
    """

    def __init__(self, path: Path, allow: Allowed) -> None:
        self.path = path_text(path)
        self.allow = allow
        self.note = ""  # what there is to say about the file once it has been read
        for _ in self._lines():  # the head is checked now, the rest when it is read
            break

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """The lines and their numbers; first an empty one for the head, once that is checked."""
        try:
            with open(self.path, "rb") as file:
                self._check(file.readline())
                yield 1, b""
                yield from enumerate(file, 2)
        except FileNotFoundError as error:
            raise RecordingNotFoundError(
                f"There is no recording {self.path!r} (looked in {os.getcwd()!r}): make one with "
                "`headrace record` or headrace.record.record."
            ) from error
        except OSError as error:
            if isinstance(error, HeadraceError):
                raise
            raise RecordingError(
                f"The recording {self.path!r} cannot be read: {error.strerror}."
            ) from error

    def _check(self, line: bytes) -> None:
        if not line:
            raise RecordingError(
                f"The file {self.path!r} is empty, and no recording: make one with "
                "`headrace record` or headrace.record.record."
            )
        try:
            head = json.loads(line)
        except (ValueError, RecursionError):
            head = None
        if not isinstance(head, dict) or head.get("headrace") != "recording":
            raise RecordingError(
                f"{self.path!r} is no recording of Headrace: its first line is "
                f"{line[:80].decode(errors='replace')!r}, where the head of a recording should be. "
                "Make one with `headrace record` or headrace.record.record."
            )
        version = head.get("version")
        if not isinstance(version, int) or version < 1:
            raise RecordingError(f"{self.path!r} says it is of version {version!r}, which is none.")
        if version > VERSION:
            raise RecordingError(
                f"{self.path!r} was recorded in version {version} of the format, and this Headrace "
                f"reads up to version {VERSION}: install a newer Headrace to read it."
            )

    def told(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The events as the file tells them, with the numbers of their lines."""
        self.note = ""
        for number, line in self._lines():
            if not line.strip():
                continue
            try:
                told = json.loads(line)
            except (ValueError, RecursionError) as error:
                if not line.endswith(b"\n"):
                    self.note = (
                        f"The last line of {self.path!r} (line {number}) was cut off and is left "
                        "out: the recorder was stopped while it wrote."
                    )
                    return
                raise self._damaged(number, error) from error
            if not isinstance(told, dict):
                raise self._damaged(number, "it is no JSON object")
            yield number, told

    def events(self) -> Iterator[Event]:
        """The events, as they happened; those of one run share their `run`."""
        runs: dict[str, RecordedRun] = {}
        for number, told in self.told():
            yield self._decoded(number, told, runs)

    def _decoded(self, number: int, told: dict[str, Any], runs: dict[str, RecordedRun]) -> Event:
        try:
            return decode_event(told, self.allow, runs)
        except InputError as error:
            raise self._damaged(number, error) from error

    def _damaged(self, number: int, why: Any) -> RecordingError:
        return RecordingError(f"Line {number} of the recording {self.path!r} is damaged: {why}")

    def calls(self) -> list[Call]:
        """The runs, in the order in which they started."""
        runs: dict[str, RecordedRun] = {}
        calls: dict[RecordedRun, Call] = {}
        for number, told in self.told():
            run = self._decoded(number, told, runs).run
            assert isinstance(run, RecordedRun)
            call = calls.get(run)
            if call is None:
                call = calls[run] = Call(run, told["time"], Reader(self.allow))
            call.hear(told)
        found = list(calls.values())
        for root in roots_of(found):
            root.failed_in(found)
        return found


def roots_of(calls: list[Call]) -> list[Call]:
    """The runs that were not part of another."""
    known = {call.run.id for call in calls}
    return [call for call in calls if known.isdisjoint(call.run.parent_ids)]


class Call:
    """One recorded run: what it was given, what it gave and when. Values are decoded anew each time
    they are asked for: who gets one may change it."""

    def __init__(self, run: RecordedRun, start: float, reader: Reader) -> None:
        self.run = run
        self.start = start
        self.input_known = False
        self.whole = False  # its one chunk is the answer of a model that does not stream
        self._input: Any = None
        self._chunks: list[tuple[float, Any]] = []
        self._end: dict[str, Any] | None = None
        self._step = ""  # where an error came from
        self._take = reader.take

    def hear(self, told: dict[str, Any]) -> None:
        kind = told["kind"]
        if kind == "chunk":
            self._chunks.append((told["time"], told["chunk"]))
            self.whole = self.whole or told["whole"]
        elif kind in ("end", "error", "cancelled"):
            self._end = told
        if (kind == "start" and told["known"]) or kind == "end":
            self._input, self.input_known = told["input"], True

    @property
    def input(self) -> Any:
        return self._take(self._input)

    @property
    def ended(self) -> bool:
        """Whether it came to its end, with an output."""
        return self._end is not None and self._end["kind"] == "end"

    @property
    def streamed(self) -> bool:
        """Whether it gave its answer in chunks."""
        return bool(self._chunks) and not self.whole

    @property
    def end_time(self) -> float:
        if self._end is not None:
            return float(self._end["time"])
        return float(self._chunks[-1][0]) if self._chunks else self.start

    def output(self) -> Any:
        """What it gave in the end; only where it `ended`."""
        assert self._end is not None
        return self._take(self._end["output"])

    def chunks(self) -> Iterator[tuple[float, Any]]:
        """When they came, and what they were. A run that was invoked gave its output when it ended;
        None is what no chunks add up to."""
        if not self._chunks and self.ended and (output := self.output()) is not None:
            yield self.end_time, output
        for at, told in self._chunks:
            yield at, self._take(told)

    def failure(self) -> BaseException | None:
        """What it ended with instead of an output."""
        if self.ended:
            return None
        if self._end is not None and self._end["kind"] == "error":
            error: BaseException = self._take(self._end["error"])
            if "/" in self._step:  # the note was added after the run had told of the error
                error.add_note(f"{STEP_NOTE}{self._step}")
            return error
        how = "left by its consumer" if self._end is not None else "cut off by the recording's end"
        return NotRecordedError(
            f"The recorded run {self.run.path!r} was {how} after {len(self._chunks)} chunks: what "
            "would have come next is not known."
        )

    def failed_in(self, calls: list[Call]) -> None:
        """Find the step that this run's error came from: the innermost that told of the same."""
        if self._error() is None:
            return
        inner = [
            call
            for call in calls
            if self.run.id in call.run.parent_ids and call._error() == self._error()
        ]
        deepest = max(inner, key=lambda call: len(call.run.parent_ids), default=self)
        self._step = deepest.run.path

    def _error(self) -> tuple[str, str] | None:
        if self._end is None or self._end["kind"] != "error":
            return None
        return self._end["error"]["class"], self._end["error"]["text"]

    def fold(self) -> Callable[[list[Any]], Any] | None:
        """How its chunks add up to its output: None by adding, else the last one is the whole."""
        if not self.ended or not self._chunks:
            return None
        try:
            total = input_key(merge([self._take(told) for _, told in self._chunks]))
        except (TypeError, ValueError):  # nothing that adds up
            return _last
        return None if total == input_key(self.output()) else _last


def _last(chunks: list[Any]) -> Any:
    return chunks[-1]


# ------------------------------------------------------------------ which run answers


def input_key(value: Any) -> str:
    """A text that equal values have in common. The ids of messages do not count, since Headrace
    makes new ones in every run, nor whether a message came whole or as the sum of its chunks."""
    with suppress(RecursionError):  # a circle, which the encoder describes
        value = _comparable(value)
    return json.dumps(encode_value(value), sort_keys=True)


def _comparable(value: Any) -> Any:
    if isinstance(value, BaseMessage):
        fields = message_chunk_to_message(value).model_dump()
        return {name: _comparable(item) for name, item in fields.items() if name != "id"}
    if isinstance(value, Value):
        return [type(value).__name__, *(_comparable(getattr(value, n)) for n in value._shown)]
    if type(value) is dict:
        return {key: _comparable(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_comparable, value))
    return value


class Answers:
    """The recorded runs that stand ready to answer; safe to be asked by several threads.

    An input is answered by the first run with an equal input that has not answered yet, else by one
    that has; else, unless `strict`, by the next one that has not answered at all.

    Args:
        key: makes a text of an input; equal inputs, equal texts.
    """

    def __init__(self, calls: list[Call], path: str, key: Any, *, strict: bool) -> None:
        self._calls = calls
        self.path, self._key, self._strict = path, key, strict
        self._left = dict.fromkeys(range(len(calls)))  # who has not answered yet, in order
        self._equal: dict[str, deque[int]] = {}  # by key; the last one stays
        for number, call in enumerate(calls):
            known = self._known(call)
            if known is not None:
                self._equal.setdefault(known, deque()).append(number)
        self._lock = threading.Lock()

    def _known(self, call: Call) -> str | None:
        if not call.input_known:
            return None
        try:
            return str(self._key(call.input))
        except InputError:  # an object of the user's that is described only: it equals no input
            return None

    def take(self, value: Any) -> Call:
        """The run that answers an input.

        Raises:
            NotRecordedError: none does.
        """
        with self._lock:
            number = self._found(self._key(value))
            if number is not None:
                self._left.pop(number, None)
                return self._calls[number]
            left = len(self._left)
        count = len(self._calls)
        why = "strict=True takes no other" if left else f"all {count} have been given"
        raise NotRecordedError(
            f"The recording {self.path!r} has no answer to {_short(value)}: none of its {count} "
            f"runs of that kind had this input, and {why}."
        )

    def _found(self, key: str) -> int | None:
        equal = self._equal.get(key)
        if equal is not None:
            while len(equal) > 1 and equal[0] not in self._left:  # it stood in for another input
                equal.popleft()
            return equal[0]
        return None if self._strict else next(iter(self._left), None)


def _short(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
