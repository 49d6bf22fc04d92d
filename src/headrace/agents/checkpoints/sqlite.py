"""`SqliteSaver`: threads in one file, for any number of threads and processes.

One table holds the rows, another how many each thread has. An append is one transaction of a fixed
number of statements, however long the conversation is, and is on the disk when it returns. The
database is in WAL mode: readers never wait, and writers, of all processes, take turns.

Each saver has one connection, which is opened when it is first used; its users take turns. While a
run goes on in a thread, a small file beside the database is what its process has claimed.

Source: https://www.sqlite.org/wal.html, https://www.sqlite.org/lang_transaction.html,
https://www.sqlite.org/howtocorrupt.html (2.6: no connection is carried across a fork)
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

from ..._fork import told_after_fork
from ...errors import ConfigError
from .._saving import BaseSaver, moved, taken
from ._lock_files import lock_file

__all__ = ["SaverFileError", "SqliteSaver"]

_AGAIN = 0.01  # seconds until a change of the journal's mode is tried again

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS headrace_threads (
        number INTEGER PRIMARY KEY AUTOINCREMENT, thread_id TEXT NOT NULL UNIQUE,
        row_count INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS headrace_thread_rows (
        thread INTEGER NOT NULL, number INTEGER NOT NULL, row TEXT NOT NULL,
        PRIMARY KEY (thread, number))""",
)
_FIND = "SELECT number, row_count FROM headrace_threads WHERE thread_id = ?"
_BEGIN = "INSERT INTO headrace_threads (thread_id, row_count) VALUES (?, 0)"
_COUNT = "UPDATE headrace_threads SET row_count = ? WHERE number = ?"
_ADD = "INSERT INTO headrace_thread_rows (thread, number, row) VALUES (?, ?, ?)"
_READ = """SELECT row FROM headrace_thread_rows WHERE thread =
    (SELECT number FROM headrace_threads WHERE thread_id = ?) ORDER BY number"""
_LIST = "SELECT thread_id FROM headrace_threads ORDER BY number"
_FORGET = (
    """DELETE FROM headrace_thread_rows WHERE thread =
    (SELECT number FROM headrace_threads WHERE thread_id = ?)""",
    "DELETE FROM headrace_threads WHERE thread_id = ?",
)

_inherited: list[sqlite3.Connection] = []  # of the parent of this process: neither used nor closed


class SaverFileError(ConfigError, sqlite3.OperationalError):
    """The file of a saver cannot be opened, read or written; the cause is SQLite's own error."""


class SqliteSaver(BaseSaver):
    """Threads in an SQLite file. Pickled, it is a saver of the same file.

    Args:
        path: the file; it is made when it is first used, for its owner alone. Its folder must be
            there, on a disk of this machine.
        timeout: seconds that a write waits for other writers.

    Raises:
        ConfigError: the path names no file.
        SaverFileError: (a ConfigError and a sqlite3.OperationalError) its folder is missing; on
            use, the file cannot be used.
    """

    def __init__(self, path: str | Path, *, timeout: float = 30.0) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise ConfigError(
                f"SqliteSaver got {path!r} ({type(path).__name__}): give the path of a file. It "
                "opens connections of its own."
            )
        if str(path) in ("", ":memory:"):
            raise ConfigError(
                f"SqliteSaver({str(path)!r}) names no file, which is what keeps threads when the "
                "process has ended: give the path of one, or use InMemorySaver()."
            )
        self.path = Path(path).absolute()
        self.timeout = timeout
        if not self.path.parent.is_dir():
            raise SaverFileError(
                f"The file {str(self.path)!r} cannot be made: there is no folder "
                f"{str(self.path.parent)!r}. Make it first, or give a path in one that is there."
            )
        self._turn = Lock()
        self._connection: sqlite3.Connection | None = None
        told_after_fork(self)

    def _forked(self) -> None:
        self._turn = Lock()  # another thread of the parent may have had it
        if self._connection is not None:
            _inherited.append(self._connection)
            self._connection = None

    @classmethod
    @contextmanager
    def from_conn_string(cls, path: str | Path) -> Iterator[SqliteSaver]:
        """A saver for the time of a `with`, as LangGraph's programs make theirs."""
        with cls(path) as saver:
            yield saver

    # ---- threads ---------------------------------------------------------------------------------

    def append(self, thread_id: str, start: int, rows: Sequence[str]) -> None:
        with self._use() as connection, _transaction(connection):
            thread, count = connection.execute(_FIND, (thread_id,)).fetchone() or (None, 0)
            if count != start:
                raise moved(thread_id, start, count)
            if not rows:
                return
            if thread is None:
                thread = connection.execute(_BEGIN, (thread_id,)).lastrowid
            numbered = [(thread, number, row) for number, row in enumerate(rows, start)]
            connection.executemany(_ADD, numbered)
            connection.execute(_COUNT, (start + len(rows), thread))

    def rows(self, thread_id: str) -> list[str]:
        with self._use() as connection:
            return [row for (row,) in connection.execute(_READ, (thread_id,))]

    def threads(self) -> list[str]:
        with self._use() as connection:
            return [thread_id for (thread_id,) in connection.execute(_LIST)]

    def delete_thread(self, thread_id: str) -> None:
        with self._use() as connection, _transaction(connection):
            for statement in _FORGET:
                connection.execute(statement, (thread_id,))

    def claim(self, thread_id: str) -> Callable[[], None]:
        """Of all processes that use the file; see `BaseSaver.claim`."""
        name = hashlib.sha256(thread_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        file = self.path.with_name(f"{self.path.name}.{name}.lock")
        try:
            let_go = lock_file(file)
        except OSError as error:
            raise self._failed(f"cannot lock {str(file)!r}: {error}", "writ") from error
        if let_go is None:
            raise taken(thread_id)
        return let_go

    # ---- the file --------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connection. The next use opens one again."""
        with self._turn:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def __enter__(self) -> SqliteSaver:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is not None:
            connection.close()

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one of its users."""
        try:
            with self._turn:
                if self._connection is None:
                    self._connection = self._opened()
                yield self._connection
        except sqlite3.DatabaseError as error:
            if isinstance(error, SaverFileError):
                raise
            raise self._failed(f"{type(error).__name__}: {error}", str(error)) from error

    def _opened(self) -> sqlite3.Connection:
        with suppress(OSError):  # SQLite says it in its own words
            self.path.touch(mode=0o600)  # what was said is nobody else's
        connection = sqlite3.connect(
            str(self.path), timeout=self.timeout, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                # It needs the file alone for a moment, and does not wait for that itself.
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(_AGAIN)
        connection.execute("PRAGMA synchronous = FULL")  # a call that was made cannot be unmade
        with _transaction(connection):
            for statement in _SCHEMA:
                connection.execute(statement)

    def _failed(self, why: str, said: str) -> SaverFileError:
        found = [advice for word, advice in _ADVICE if word in said]
        advice = found[0] if found else "See that its folder is there and open to this process."
        return SaverFileError(f"{self!r} cannot use its file ({why}). {advice}")

    def __reduce__(self) -> Any:
        return (_same_file, (type(self), str(self.path), self.timeout))

    def __repr__(self) -> str:
        return f"SqliteSaver({str(self.path)!r})"


# What to do, by a word in SQLite's sentence.
_ADVICE = (
    ("locked", "Another program holds it: end its transaction, or give a larger timeout."),
    ("not a database", "Give the path of an SQLite file, or of none: it is made."),
    ("malformed", "It is damaged: restore it, or give the path of another file."),
    ("full", "Make room on its disk."),
    ("writ", "Let this process write to the file and to its folder."),
    ("readonly", "Let this process write to the file and to its folder."),
)


def _same_file(kind: type[SqliteSaver], path: str, timeout: float) -> SqliteSaver:
    return kind(path, timeout=timeout)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
