"""SQLite files, by the standard library: opened, changed in transactions, and what errors advise.

Files are in WAL mode, which is kept in them: readers never wait for writers, and a commit is one
append to a log. What a commit is worth is each caller's choice:

    synchronous   after a crash of the process   after a failure of the power
    FULL          all that was committed         all that was committed
    NORMAL        all that was committed         a whole file, perhaps without the last commits

Source: https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

__all__ = ["PATIENCE", "advice", "opened", "transaction", "use_wal"]

PATIENCE = 30.0  # seconds that a writer waits for others
_AGAIN = 0.01  # seconds until a change of the journal's mode is tried again

# What to do, by a word in SQLite's sentence.
_ADVICE = (
    ("locked", "Another program has held it for longer than "
     f"{PATIENCE:.0f} s: end its transaction, or give this one a file of its own."),
    ("not a database", "Give the path of an SQLite file, or of none: it is made."),
    ("malformed", "It is damaged: restore it, or give the path of another file."),
    ("full", "Make room on its disk."),
    ("readonly", "Let this process write to the file and to its folder."),
)  # fmt: skip


@contextmanager
def opened(path: str | Path) -> Iterator[sqlite3.Connection]:
    """A connection of one's own, closed when the block ends; each statement is a transaction."""
    connection = sqlite3.connect(str(path), timeout=PATIENCE, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def use_wal(connection: sqlite3.Connection, synchronous: Literal["FULL", "NORMAL"]) -> None:
    """Have the file in WAL mode: the first connection changes it, by a lock for which SQLite itself
    does not wait."""
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    until = time.monotonic() + PATIENCE
    while mode != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(_AGAIN)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of a block's changes or, if it raises, none. Inside of a transaction that is under way,
    that is left to whoever began it."""
    under_way = connection.in_transaction
    if under_way:
        yield
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def advice(error: sqlite3.Error) -> str:
    """What to do about an error of a file."""
    found = [what for word, what in _ADVICE if word in str(error)]
    return found[0] if found else "See that its folder is there and this process may write to both."
