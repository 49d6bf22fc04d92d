"""`SQLiteChatMessageHistory`: conversations in a file, for any number of threads and processes.

Each operation opens the file and closes it, so there is nothing to close and nothing to share
between threads or after a fork. Messages that are added together are one transaction, in which
SQLite lets one writer in at a time: nothing is lost, and they stay together and in order. The file
is in WAL mode, so readers never wait for writers. A failure of the power may take the last messages
back, and leaves a whole conversation: waiting for the disk at each message is not worth more.

Source: https://www.sqlite.org/wal.html, https://www.sqlite.org/lang_transaction.html
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any

from headrace._fork import in_child
from headrace._sqlite import advice, opened, transaction, use_wal
from headrace.chat_history.base import BaseChatMessageHistory
from headrace.chat_history.rows import checked_limit, checked_session, read_rows, written_rows
from headrace.errors import ConfigError
from headrace.messages import BaseMessage
from headrace.runnables.configs import run_in_executor

__all__ = ["HistoryFileError", "SQLiteChatMessageHistory"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS {table} (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, message TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS {index} ON {table} (session_id, id);
"""


class HistoryFileError(ConfigError, sqlite3.OperationalError):
    """The file of a history cannot be opened, read or written."""


class SQLiteChatMessageHistory(BaseChatMessageHistory):
    """The messages of a session, in a table of an SQLite file.

    Args:
        session_id: which conversation; a file holds many.
        path: the file; it is made when something is added, for its owner alone. Its folder must be
            there.
        connection: an open connection instead, e.g. to a database in memory, or to save the
            opening and closing (some milliseconds, most of them the disk's). Async runs use it
            from other threads, so open it with `check_same_thread=False`. If it is inside of a
            transaction, committing is left to whoever began that.
        table: the name of the table.
        limit: read only so many messages, the last ones.

    Raises:
        ConfigError: neither or both of path and connection, or one of the others is no good.
        HistoryFileError: (a ConfigError and a sqlite3.OperationalError) the path is a folder, its
            own folder is missing or closed to this process, or the file is no SQLite database; on
            use, the file cannot be opened, read or written, with SQLite's own error as the cause.
        StoredMessageError: when reading, a row that is no message.
        sqlite3.Error: as SQLite gives it, where `connection` was given.
    """

    def __init__(
        self,
        session_id: str,
        path: str | Path | None = None,
        *,
        connection: sqlite3.Connection | None = None,
        table: str = "headrace_messages",
        limit: int | None = None,
    ) -> None:
        name = type(self).__name__
        if (path is None) == (connection is None):
            given = "neither" if path is None else "both"
            raise ConfigError(f"{name} was given {given} of 'path' and 'connection': give one.")
        if str(path) in ("", ":memory:"):
            raise ConfigError(
                f"{name}(path={path!r}) would be empty at each use: give the path of a file, a "
                "connection, or use InMemoryChatMessageHistory."
            )
        if not (str(table).isidentifier()):
            raise ConfigError(f"{name}(table={table!r}): give letters, digits and underscores.")
        self.session_id = checked_session(session_id, name)
        self.path = None if path is None else Path(path)
        self.table = table
        self.limit = checked_limit(limit, name)
        self._connection = connection
        if self.path is not None:
            _check_file(self.path)

    # ---- reading and writing -----------------------------------------------------------------

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """The messages, oldest first; the last `limit` ones."""
        query = (
            f"SELECT id, message FROM {self.table} WHERE session_id = ? ORDER BY id DESC LIMIT ?"
        )
        last = -1 if self.limit is None else self.limit  # -1: no limit
        rows = self._read(query, (self.session_id, last))
        return read_rows(reversed(rows), self.session_id, self._where())

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Add messages at the end, together and in order; all of them or, if it raises, none."""
        rows = [(self.session_id, text) for text in written_rows(messages)]
        if not rows:
            return
        with self._writing() as connection:
            connection.executemany(
                f"INSERT INTO {self.table} (session_id, message) VALUES (?, ?)", rows
            )

    def clear(self) -> None:
        """Remove the messages of this session."""
        if self._is_there():
            with self._writing() as connection:
                connection.execute(
                    f"DELETE FROM {self.table} WHERE session_id = ?", (self.session_id,)
                )

    def sessions(self) -> list[str]:
        """The ids of all sessions in this table, in the order of their first messages."""
        query = f"SELECT session_id FROM {self.table} GROUP BY session_id ORDER BY MIN(id)"
        return [session for (session,) in self._read(query, ())]

    async def asessions(self) -> list[str]:
        """`sessions` without blocking the event loop."""
        return await run_in_executor(None, self.sessions)

    # ---- the file ----------------------------------------------------------------------------

    def _is_there(self) -> bool:
        return self.path is None or self.path.exists()

    def _read(self, query: str, values: tuple[object, ...]) -> list[Any]:
        if not self._is_there():
            return []
        with self._open() as connection:
            known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
            if connection.execute(known, (self.table,)).fetchone() is None:
                return []
            return connection.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction, the table there, which ends when the block does."""
        if self.path is not None:
            with suppress(OSError):  # SQLite says it in its own words
                self.path.touch(mode=0o600)  # what was said is nobody else's
        with self._open() as connection:
            if self._connection is None:
                use_wal(connection, "NORMAL")
            with transaction(connection):
                for statement in _statements(self.table):
                    connection.execute(statement)
                yield connection

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if self._connection is not None:
            with _GIVEN, _threads_explained():
                yield self._connection
            return
        try:
            with opened(str(self.path)) as connection:
                yield connection
        except sqlite3.DatabaseError as error:
            if type(error) not in (sqlite3.OperationalError, sqlite3.DatabaseError):
                raise  # of a row, not of the file; or said already
            raise HistoryFileError(
                f"The history of session {self.session_id!r} cannot use its file "
                f"{str(self.path)!r}: {error}. {advice(error)}"
            ) from error

    def _where(self) -> str:
        return f"the table {self.table!r} of {str(self.path) if self.path else 'a connection'!r}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.session_id!r}, {str(self.path or self._connection)!r})"


def _check_file(path: Path) -> None:
    """Raise HistoryFileError where no message can be kept, before a model is asked for one.

    Nothing is made, and nothing but the file's first 16 bytes read: they say what it is
    (https://www.sqlite.org/fileformat.html#magic_header_string). An empty file is one yet to be.
    """
    folder = path.parent
    if path.is_dir():
        raise HistoryFileError(f"The history's path {str(path)!r} is a folder: give a file in it.")
    if not folder.is_dir():
        raise HistoryFileError(
            f"The history's file {str(path)!r} cannot be made: there is no folder "
            f"{str(folder)!r}. Make it first, or give a path in one that is there."
        )
    if not path.exists():
        if not os.access(folder, os.W_OK | os.X_OK):
            raise _closed(path, f"this process may not write to its folder {str(folder)!r}")
        return
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as error:
        raise _closed(path, f"this process may not read it ({error.strerror})") from error
    if head and head != _MAGIC:
        raise HistoryFileError(
            f"The history's file {str(path)!r} is no SQLite database: give the path of one, or of "
            "a file that is not there yet."
        )


_MAGIC = b"SQLite format 3\0"


def _closed(path: Path, why: str) -> HistoryFileError:
    return HistoryFileError(
        f"The history's file {str(path)!r} cannot be used: {why}. Allow it, or give another path."
    )


_GIVEN = RLock()  # for connections of users', on which transactions of threads must not mix


@in_child
def _let_go() -> None:
    global _GIVEN
    _GIVEN = RLock()


def _statements(table: str) -> list[str]:
    filled = _SCHEMA.format(table=table, index=f"{table}_by_session")
    return [statement for statement in filled.split(";") if statement.strip()]


@contextmanager
def _threads_explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.ProgrammingError as error:
        if "same thread" not in str(error):
            raise
        raise ConfigError(
            "This history's connection belongs to another thread: open it with "
            "sqlite3.connect(…, check_same_thread=False), or give a path."
        ) from error
