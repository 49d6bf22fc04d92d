"""`record` and `Recorder`: runs written to a file while they go on.

The file's first line is its head; each event follows as a line, which is handed to the operating
system at once: what has happened is in the file, even if the process is killed the next moment.
The first line of a run says all about it, later ones name it by its id.

    {"headrace": "recording", "version": 1, "made": "2026-01-31T12:00:00+00:00", "time": 8.25}
    {"kind": "start", "seq": 0, "time": 8.31, "input": "hi", "known": true, "run": {"id": "…", …}}
    {"kind": "chunk", "seq": 1, "time": 8.42, "chunk": "Hel", "whole": false, "run": "…"}
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Self
from uuid import UUID

from ..events import Event, RunCancelled, RunEnded, RunFailed
from ..run import observed
from ..views.codec import dump, encode_run, line_of
from .errors import NotAPathError, RecordingError

__all__ = ["VERSION", "Path", "Recorder", "path_text", "record"]

VERSION = 1  # of the format
_TERMINAL = frozenset({RunEnded, RunFailed, RunCancelled})

Path = str | os.PathLike[str]


def path_text(path: Any) -> str:
    """A path as text.

    Raises:
        NotAPathError: it is none.
    """
    try:
        return os.fsdecode(path)
    except TypeError as error:
        raise NotAPathError(
            f"A recording is a file, and {path!r} is no path of one: give a text or a "
            "pathlib.Path, such as 'run.jsonl'."
        ) from error


@contextmanager
def record(path: Path, *, tokens: bool = False) -> Iterator[Recorder]:
    """Write every run that begins inside the block, in its context, to a file.

    Args:
        path: the file; one that is there is replaced.
        tokens: ask models that are invoked to stream, so that their tokens are recorded, as views
            that show tokens do. Otherwise models are called as they would be without the recorder.

    Raises:
        RecordingError: the file cannot be written. Where that shows while a run goes on, the run is
            not disturbed and the error is raised at the end of the block.
    """
    with Recorder(path, tokens=tokens) as recorder, observed(recorder):
        yield recorder


class Recorder:
    """An observer for `config["callbacks"]` that writes what it hears to a file; threads may share
    it. `close()` it, or use it as a context manager; one that is forgotten closes by itself.

    Args:
        path, tokens: as for `record`.

    Raises:
        RecordingError: the file cannot be opened.
    """

    def __init__(self, path: Path, *, tokens: bool = False) -> None:
        self.path = path_text(path)
        self.streams_models = tokens
        self.count = 0  # of the events written
        self._runs: dict[UUID, str] = {}  # what stands for runs that have been introduced
        self._lock = threading.Lock()
        self._failure: OSError | None = None
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
        try:
            self._file: int = os.open(self.path, flags, 0o666)
        except OSError as error:
            raise RecordingError(
                f"The recording {self.path!r} cannot be opened ({error.strerror or error}): check "
                "the path and the permissions."
            ) from error
        self._close = weakref.finalize(self, os.close, self._file)
        self._open = True
        now = datetime.now(UTC).isoformat(timespec="seconds")
        head = {"headrace": "recording", "version": VERSION, "made": now, "time": monotonic()}
        try:
            self._write(dump(head))
        except OSError as error:
            self.__exit__(error)
            raise _unwritable(self.path, error) from error

    def on_event(self, event: Event) -> None:
        if self._failure is not None:  # it has been reported
            return
        ident = event.run.id
        run = self._runs.get(ident)
        introduced = run is None
        if run is None:
            run = dump(encode_run(event.run))
        line = line_of(event, run)  # outside the lock: it may be long
        with self._lock:
            if not self._open:
                self._fail(OSError("it was closed while a run went on"))
            try:
                self._write(line)
            except OSError as error:
                self._fail(error)
            self.count += 1
            if type(event) in _TERMINAL:
                self._runs.pop(ident, None)
            elif introduced:
                self._runs[ident] = f'"{ident}"'

    def _write(self, line: str) -> None:
        data = f"{line}\n".encode("ascii")
        written = os.write(self._file, data)
        while written < len(data):
            written += os.write(self._file, data[written:])

    def _fail(self, error: OSError) -> Any:
        """Record nothing more, and say so once."""
        self._failure = error
        raise _unwritable(self.path, error) from error

    def close(self) -> None:
        """Close the file; twice does no harm.

        Raises:
            RecordingError: not everything could be written.
        """
        self._shut()
        if self._failure is not None:
            raise _unwritable(self.path, self._failure) from self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any = None, error: Any = None, trace: Any = None) -> None:
        if kind is None:
            self.close()
            return
        self._shut()  # the block's own error counts more than one of writing

    def _shut(self) -> None:
        with self._lock:
            self._open = False
            self._close()

    def __repr__(self) -> str:
        return f"Recorder({self.path!r})"


def _unwritable(path: str, error: OSError) -> RecordingError:
    reason = error.strerror or str(error)
    return RecordingError(
        f"The recording {path!r} cannot be written any further ({reason}): what came before is "
        "kept; check the path, the permissions and the space that is left."
    )
