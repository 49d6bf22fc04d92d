"""`SQLiteFile`: connections to one database for any number of threads, by apsw, with sqlite-vec.

Each use has a connection of its own, which is kept for the next use. The database is in WAL mode:
readers never wait, and writers, of all processes, take turns. A database in memory has one
connection, and its users take turns. A forked child opens connections of its own; of a database in
memory it has a copy.

Python's own sqlite3 is not used, because many builds of Python (those of pyenv, of python.org for
macOS) cannot load extensions into it.

Source: https://www.sqlite.org/wal.html, https://www.sqlite.org/howtocorrupt.html (2.6),
https://rogerbinns.github.io/apsw/
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from threading import Lock, RLock
from typing import Any

from headrace._fork import told_after_fork
from headrace.errors import MissingExtraError

from ._shared_lock import half_written
from .base import StoreFileError

__all__ = ["IN_MEMORY", "SQLiteFile"]

IN_MEMORY = ":memory:"

_AGAIN = 0.01  # seconds until a change of the journal's mode is tried again

_inherited: list[Any] = []  # connections of the parent of this process: neither used nor closed


class SQLiteFile:
    """A database.

    Args:
        path: the file, made at the first use if it is not there; `IN_MEMORY` for none.
        patience: seconds to wait while other processes or threads write.
        table: a table that is made last by the schema.
        schema: statements that are run where the table is not there.
    """

    def __init__(self, path: str, *, patience: float, table: str, schema: str) -> None:
        self.path = path
        self._patience = patience
        self._table = table
        self._schema = schema
        self._ready = False
        self._free: list[Any] = []
        self._functions: dict[int, Callable[[str], bool]] = {}
        self._numbers = count()
        self._opening = Lock()
        self._alone = RLock() if path == IN_MEMORY else None
        self._half_written = False
        told_after_fork(self)

    def _forked(self) -> None:
        self._opening = Lock()
        if self._alone is None:
            _inherited.extend(self._free)
            self._free = []
        elif not self._alone.acquire(blocking=False):
            self._half_written = True
        else:
            self._alone.release()

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """A connection, in a transaction that sees one moment of the database."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """A connection, in a transaction that alone writes: all is kept or, on an error, none."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def calling(self, function: Callable[[str], bool]) -> Iterator[str]:
        """What calls a function of Python in SQL, as the format of an expression of one value."""
        number = next(self._numbers)
        self._functions[number] = function
        try:
            yield f"headrace_call({number}, {{}})"
        finally:
            del self._functions[number]

    def close(self) -> None:
        """Close what is open and not in use. The next use opens again; memory is then empty."""
        with self._opening:
            free, self._free = self._free, []
            self._ready = self._ready and self._alone is None
        for connection in free:
            connection.close()

    # ---- inside ----------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Any]:
        apsw, _ = _modules()
        with self._connection() as connection:
            nested = connection.in_transaction  # of a filter that searches, in memory
            try:
                if not nested:
                    connection.execute(begin)
                yield connection
                if not nested:
                    connection.execute("COMMIT")
            except apsw.Error as error:
                raise self._said(error) from error
            finally:
                if not nested and connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        if self._alone is not None:
            if self._half_written:
                raise half_written("a database in memory")
            with self._alone:
                if not self._free:
                    self._free.append(self._opened())
                yield self._free[0]
            return
        with self._opening:
            connection = self._free.pop() if self._free else None
        if connection is None:
            connection = self._opened()
        try:
            yield connection
        finally:
            with self._opening:
                self._free.append(connection)

    def _opened(self) -> Any:
        apsw, sqlite_vec = _modules()
        try:
            connection = apsw.Connection(self.path)
        except apsw.Error as error:
            raise self._said(error) from error
        try:
            connection.set_busy_timeout(int(self._patience * 1000))
            connection.execute("PRAGMA synchronous = FULL")  # committed is on the disk
            connection.enable_load_extension(True)
            connection.load_extension(sqlite_vec.loadable_path())
            connection.enable_load_extension(False)
            # Known from the start: SQLite takes no new function while statements are under way.
            connection.create_scalar_function("headrace_call", self._call, 2)
            with self._opening:
                self._prepare(apsw, connection)
        except apsw.Error as error:
            connection.close()
            raise self._said(error) from error
        return connection

    def _call(self, number: int, value: str) -> bool:
        return self._functions[number](value)

    def _prepare(self, apsw: Any, connection: Any) -> None:
        """Make the tables, once."""
        if self._ready:
            return
        deadline = time.monotonic() + self._patience
        while True:
            try:
                # It needs the file alone for a moment, and does not wait for that itself.
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except apsw.BusyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_AGAIN)
        there = "SELECT 1 FROM sqlite_master WHERE name = ?"
        if not connection.execute(there, (self._table,)).fetchall():
            connection.execute(f"BEGIN IMMEDIATE; {self._schema}; COMMIT")
        self._ready = True

    def _said(self, error: Exception) -> StoreFileError:
        """SQLite's error as a sentence about this file."""
        kind = type(error).__name__
        advice = {
            "BusyError": f"another process has been writing for {self._patience:g} s: try again, "
            "or give a larger timeout",
            "CantOpenError": "see that its folder is there and open to this process",
            "NotADBError": "give another path: the file is something else",
            "CorruptError": "take it from a backup, or make the store again",
            "ReadOnlyError": "make the file and its folder writable",
            "FullError": "make room on the disk",
            "SQLError": "give a table that this store has made, or a new one",
        }.get(kind, "see SQLite's own error for the cause")
        return StoreFileError(f"{self.path!r} cannot be used ({kind}: {error}): {advice}.")


def _modules() -> tuple[Any, Any]:
    try:
        import apsw
        import sqlite_vec  # type: ignore[import-untyped]
    except ImportError as error:
        package = "sqlite-vec" if error.name == "sqlite_vec" else "apsw"
        raise MissingExtraError(package, extra="sqlite-vec", purpose="SQLiteVec") from error
    return apsw, sqlite_vec
