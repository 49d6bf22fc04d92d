"""`SQLiteRecordManager`: records in a file, for any number of threads and processes.

One table holds the records of any number of namespaces. Each operation opens the file, is one
transaction, and closes it; writes are on the disk when they return (synchronous FULL), because a
record that a failure of the power takes back would be a document nobody knows of. Beside the file,
one small file for each namespace that was indexed is what runs claim; it stays there.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from headrace._sqlite import advice, opened, transaction, use_wal
from headrace.errors import ConfigError

from .claims import Claim, FileClaim
from .records import TICK, RecordManager, check_groups

__all__ = ["RecordFileError", "SQLRecordManager", "SQLiteRecordManager"]

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS headrace_records (
        id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, key TEXT NOT NULL, group_id TEXT,
        updated_at REAL NOT NULL, settled INTEGER NOT NULL, UNIQUE (namespace, key))""",
    """CREATE INDEX IF NOT EXISTS headrace_records_by_time
        ON headrace_records (namespace, updated_at)""",
    """CREATE INDEX IF NOT EXISTS headrace_records_by_group
        ON headrace_records (namespace, group_id, updated_at)""",
)
_LATEST = "SELECT MAX(updated_at) FROM headrace_records WHERE namespace = ?"
_UPDATE = """INSERT INTO headrace_records (namespace, key, group_id, updated_at, settled)
    VALUES (?, ?, ?, ?, 1) ON CONFLICT (namespace, key) DO UPDATE
    SET group_id = excluded.group_id, updated_at = excluded.updated_at, settled = 1"""
_EXPECT = """INSERT INTO headrace_records (namespace, key, group_id, updated_at, settled)
    VALUES (?, ?, ?, ?, 0) ON CONFLICT (namespace, key) DO UPDATE SET settled = 0"""
_THESE = "(SELECT value FROM json_each(?))"


class RecordFileError(ConfigError, sqlite3.OperationalError):
    """The file of a record manager cannot be opened, read or written."""


class SQLiteRecordManager(RecordManager):
    """Records in a table of an SQLite file. Its clock is the computer's, held to go forwards.

    Args:
        namespace: whose records these are, e.g. "faiss/handbook".
        path: the file; it is made when needed. Its folder must be there.
        db_url: the file as a URL instead, `"sqlite:///records.sql"`, as LangChain's
            SQLRecordManager takes it. Other databases: derive a class from `RecordManager`.
        async_mode: of no effect, because both colours always work; LangChain's programs give it.

    Raises:
        ConfigError: neither or both of path and db_url are given, or one that names no file.
        RecordFileError: (a ConfigError and a sqlite3.OperationalError) the folder is missing; on
            use, the file cannot be used, with SQLite's own error as the cause.
    """

    def __init__(
        self,
        namespace: str,
        path: str | Path | None = None,
        *,
        db_url: str | None = None,
        async_mode: bool = False,
    ) -> None:
        super().__init__(namespace)
        if (path is None) == (db_url is None):
            given = "neither" if path is None else "both"
            raise ConfigError(
                f"{type(self).__name__} was given {given} of 'path' and 'db_url': give one."
            )
        file = str(path) if db_url is None else _file_of(db_url)
        if file in ("", ":memory:"):
            raise ConfigError(
                f"{type(self).__name__}({str(path or db_url)!r}) would be empty at each use: give "
                "the path of a file, or use InMemoryRecordManager."
            )
        self.path = Path(file).absolute()
        if not self.path.parent.is_dir():
            raise RecordFileError(
                f"The records' file {file!r} cannot be made: there is no folder "
                f"{str(self.path.parent)!r}. Make it first, or give a path in one that is there."
            )

    def create_schema(self) -> None:
        """Make the file and its table; the other methods do it too."""
        with self._open():
            return

    def get_time(self) -> float:
        with self._open() as connection:
            return self._now(connection)

    def update(
        self,
        keys: Sequence[str],
        *,
        group_ids: Sequence[str | None] | None = None,
        time_at_least: float | None = None,
    ) -> None:
        self._write(_UPDATE, keys, group_ids, time_at_least or 0.0)

    def expect_change(
        self, keys: Sequence[str], *, group_ids: Sequence[str | None] | None = None
    ) -> None:
        self._write(_EXPECT, keys, group_ids, 0.0)

    def exists(self, keys: Sequence[str]) -> list[bool]:
        query = (
            "SELECT key FROM headrace_records "
            f"WHERE namespace = ? AND settled = 1 AND key IN {_THESE}"
        )
        with self._open() as connection:
            found = {key for (key,) in connection.execute(query, (self.namespace, _json(keys)))}
        return [key in found for key in keys]

    def list_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        wanted: list[tuple[str, object]] = [("namespace = ?", self.namespace)]
        if before is not None:
            wanted.append(("updated_at < ?", before))
        if after is not None:
            wanted.append(("updated_at > ?", after))
        if group_ids is not None:
            wanted.append((f"group_id IN {_THESE}", _json(group_ids)))
        query = (
            f"SELECT key FROM headrace_records WHERE {' AND '.join(part for part, _ in wanted)} "
            "ORDER BY id LIMIT ?"
        )
        values = [*(value for _, value in wanted), -1 if limit is None else limit]  # -1: no limit
        with self._open() as connection:
            return [key for (key,) in connection.execute(query, values)]

    def delete_keys(self, keys: Sequence[str]) -> None:
        query = f"DELETE FROM headrace_records WHERE namespace = ? AND key IN {_THESE}"
        with self._open() as connection:
            connection.execute(query, (self.namespace, _json(keys)))

    def claim(self) -> Claim:
        name = hashlib.sha256(self.namespace.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return FileClaim(self.path.with_name(f"{self.path.name}.{name}.lock"))

    # ---- the file --------------------------------------------------------------------------------

    def _now(self, connection: sqlite3.Connection) -> float:
        """Later than every record, even if the computer's clock was set back."""
        (latest,) = connection.execute(_LATEST, (self.namespace,)).fetchone()
        return max(time.time(), (latest or 0.0) + TICK)

    def _write(
        self,
        statement: str,
        keys: Sequence[str],
        group_ids: Sequence[str | None] | None,
        at_least: float,
    ) -> None:
        groups = check_groups(keys, group_ids)
        if not keys:
            return
        with self._open() as connection, transaction(connection):
            seen = max(self._now(connection), at_least)
            rows = [
                (self.namespace, key, group, seen) for key, group in zip(keys, groups, strict=True)
            ]
            connection.executemany(statement, rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection, the table there."""
        try:
            with opened(self.path) as connection:
                use_wal(connection, "FULL")
                for statement in _SCHEMA:
                    connection.execute(statement)
                yield connection
        except sqlite3.DatabaseError as error:
            if isinstance(error, RecordFileError):
                raise
            raise RecordFileError(
                f"The records of {self.namespace!r} cannot use their file {str(self.path)!r}: "
                f"{error}. {advice(error)}"
            ) from error

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.namespace!r}, {str(self.path)!r})"


SQLRecordManager = SQLiteRecordManager
"""The name that LangChain's programs know; of databases, SQLite alone."""


def _json(values: Sequence[str]) -> str:
    return json.dumps(list(values))


def _file_of(url: str) -> str:
    """The file in a URL as SQLAlchemy has it: after three slashes, from this folder or absolute."""
    kind, _, rest = url.partition("://")
    if kind.partition("+")[0] != "sqlite":
        raise ConfigError(
            f"db_url is {url!r}: give 'sqlite:///' and the path of a file. For another database "
            "derive a class from headrace.indexing.RecordManager."
        )
    return rest.removeprefix("/")
