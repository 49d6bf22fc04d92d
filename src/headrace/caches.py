"""Caches of models' answers: in memory, in a SQLite file, or of your own.

A cache maps two strings, what was asked and of which model, to the answer: a sequence of
generations. Set one as a model's `cache`, or for all models with `headrace.globals.set_llm_cache`.
`language_models/caching.py` says when it is asked and what the two strings are.

The answer of a stream is one `StreamedChatGeneration` (of a text model `StreamedGeneration`): the
whole, as any cache may keep it, and its chunks in `chunks`, which a hit replays. A cache of your
own that keeps the object keeps both; one that writes only the whole down replays it as one chunk.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

from ._bridge import call_in_thread
from ._lazy import Lazy
from .errors import ConfigError, InputError
from .messages import BaseMessage
from .outputs import ChatGeneration, Generation

if TYPE_CHECKING:
    import hashlib
    import json
    import logging
    import sqlite3
else:  # an import of a model must not pay for them
    hashlib, json, logging, sqlite3 = map(Lazy, ("hashlib", "json", "logging", "sqlite3"))

__all__ = ["RETURN_VAL_TYPE", "BaseCache", "InMemoryCache", "SQLiteCache",
           "StreamedChatGeneration", "StreamedGeneration"]  # fmt: skip

RETURN_VAL_TYPE: TypeAlias = Sequence[Generation]
"""An answer: the candidates to one prompt, best first."""

T = TypeVar("T")


class StreamedGeneration(Generation):
    """A text model's answer that came as a stream.

    Args:
        chunks: its texts, in the order in which they came.
    """

    __slots__ = ("chunks",)

    def __init__(
        self,
        text: str,
        generation_info: dict[str, Any] | None = None,
        chunks: Sequence[str] = (),
    ) -> None:
        super().__init__(text, generation_info)
        self.chunks = list(chunks)

    def __getstate__(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        extra, fields = super().__getstate__()
        return extra, {**fields, "chunks": self.chunks}


class StreamedChatGeneration(ChatGeneration):
    """A chat model's answer that came as a stream.

    Args:
        chunks: its message chunks, in the order in which they came.
    """

    __slots__ = ("chunks",)

    def __init__(
        self,
        message: Any,
        generation_info: dict[str, Any] | None = None,
        text: str | None = None,
        chunks: Sequence[Any] = (),
    ) -> None:
        super().__init__(message, generation_info, text)
        self.chunks = list(chunks)

    def __getstate__(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        extra, fields = super().__getstate__()
        return extra, {**fields, "chunks": self.chunks}


class BaseCache(ABC):
    """Base of caches. Write `lookup`, `update` and `clear`; where there is an async client, their
    twins too, which otherwise run them in a worker thread.

    A cache that raises does not break the call: the model is asked as if there were no cache, and
    the error is logged as a warning.
    """

    @abstractmethod
    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """The answer, or None.

        Args:
            prompt: what was asked: a text model's prompt, a chat model's messages as JSON.
            llm_string: which model was asked, and with which parameters, as JSON.
        """

    @abstractmethod
    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Keep an answer, in place of one that is there."""

    @abstractmethod
    def clear(self, **kwargs: Any) -> None:
        """Forget all answers."""

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """`lookup` without blocking the event loop."""
        found: RETURN_VAL_TYPE | None = await call_in_thread(self.lookup, prompt, llm_string)
        return found

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """`update` without blocking the event loop."""
        await call_in_thread(self.update, prompt, llm_string, return_val)

    async def aclear(self, **kwargs: Any) -> None:
        """`clear` without blocking the event loop."""
        await call_in_thread(self.clear, **kwargs)

    def __deepcopy__(self, memo: Any) -> Self:
        """Itself: copies of a model share what was answered."""
        return self


class InMemoryCache(BaseCache):
    """Answers kept in this process, for its threads and tasks.

    Args:
        maxsize: how many answers are kept; for one more, the one goes that was not asked for for
            the longest time. None: all are kept.

    Raises:
        ConfigError: `maxsize` is no number above 0.
    """

    def __init__(self, *, maxsize: int | None = None) -> None:
        bound: Any = maxsize
        if bound is not None and (not isinstance(bound, int) or bound <= 0):
            raise ConfigError(
                f"maxsize must be greater than 0, and is {maxsize!r}: give the number of answers "
                "to keep, or None for all."
            )
        self._cache: dict[tuple[str, str], RETURN_VAL_TYPE] = {}
        self._maxsize = maxsize
        self._lock = threading.Lock()

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        key = (prompt, llm_string)
        with self._lock:
            found = self._cache.get(key)
            if found is not None and self._maxsize is not None:
                self._cache[key] = self._cache.pop(key)  # to the end: asked for just now
            return found

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        key = (prompt, llm_string)
        with self._lock:
            self._cache.pop(key, None)
            if self._maxsize is not None and len(self._cache) >= self._maxsize:
                del self._cache[next(iter(self._cache))]
            self._cache[key] = return_val

    def clear(self, **kwargs: Any) -> None:
        with self._lock:
            self._cache.clear()

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        return self.lookup(prompt, llm_string)

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        self.update(prompt, llm_string, return_val)

    async def aclear(self, **kwargs: Any) -> None:
        self.clear(**kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process an empty one of the same size."""
        return _in_memory, (type(self), self._maxsize)

    def __repr__(self) -> str:
        size = "" if self._maxsize is None else f"maxsize={self._maxsize}"
        return f"{type(self).__name__}({size})"


def _in_memory(kind: Any, maxsize: int | None) -> Any:
    return kind(maxsize=maxsize)


_left_behind: list[Any] = []  # connections of the process that this one was forked from
_TABLE = "headrace_answers"
_VERSION = 1  # of the rows; others are not read
_MAKE = (
    f"CREATE TABLE IF NOT EXISTS {_TABLE} "
    "(key TEXT PRIMARY KEY, version INTEGER NOT NULL, answer TEXT NOT NULL) WITHOUT ROWID"
)


class SQLiteCache(BaseCache):
    """Answers kept in a file, shared by all threads, tasks and processes that name it.

    Rows are JSON with a version, found by a hash of the question, which is not written down itself;
    reading them executes nothing. A row that cannot be read, or was written by a later version, is
    a miss and logged. What JSON cannot hold exactly is not stored. The file is made readable for
    its owner only. Async calls work in a worker thread.

    Args:
        database_path: the file; made where it is missing, its directory is not.
        timeout: seconds to wait for another process that writes, before the call fails.

    Raises:
        ConfigError: the file cannot be opened or made, or is no SQLite database.
    """

    def __init__(
        self, database_path: str | os.PathLike[str] = ".headrace.db", *, timeout: float = 10.0
    ) -> None:
        self.database_path = os.fspath(database_path)
        self.timeout = timeout
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._process = os.getpid()  # a connection must not be used in a forked child
        try:
            self._with(lambda connection: None)
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(
                f"SQLiteCache cannot use {self.database_path!r} ({error}): give the path of a "
                "SQLite file, or of a new file in a directory that exists and can be written to."
            ) from error

    # ------------------------------------------------------------- the connection

    def _with(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work` with the connection, one at a time; opened where it is not."""
        if self._process != os.getpid():
            _left_behind.append(self._connection)  # nor closed there
            self._connection, self._lock = None, threading.Lock()
            self._process = os.getpid()
        with self._lock:
            if self._connection is None:
                self._connection = self._opened()
            return work(self._connection)

    def _opened(self) -> sqlite3.Connection:
        if self.database_path != ":memory:":
            flags = os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0)
            os.close(os.open(self.database_path, flags, 0o600))
        connection = sqlite3.connect(
            self.database_path,
            timeout=self.timeout,
            isolation_level=None,  # each statement is a transaction
            check_same_thread=False,  # the lock sees to it that one thread uses it at a time
        )
        try:
            try:  # it needs the file for oneself, for which SQLite does not wait
                connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                logging.getLogger("headrace").debug("%r: WAL is left to others: %s", self, error)
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(_MAKE)
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the file. The cache opens it again when it is asked."""
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_connection", None) is not None:
            self.close()

    # ------------------------------------------------------------- the rows

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        key = _hashed(prompt, llm_string)
        sql = f"SELECT version, answer FROM {_TABLE} WHERE key = ?"
        row = self._with(lambda connection: connection.execute(sql, (key,)).fetchone())
        if row is None:
            return None
        try:
            return _read(*row)
        except (InputError, LookupError, TypeError, AttributeError, ValueError) as error:
            logging.getLogger("headrace").warning(
                "A row of %s cannot be read, and the model is asked again: %s",
                self.database_path, error,
            )  # fmt: skip
            return None

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        answer = _written(return_val)
        row = (_hashed(prompt, llm_string), _VERSION, answer)
        sql = f"INSERT OR REPLACE INTO {_TABLE} (key, version, answer) VALUES (?, ?, ?)"
        self._with(lambda connection: connection.execute(sql, row).close())

    def clear(self, **kwargs: Any) -> None:
        self._with(lambda connection: connection.execute(f"DELETE FROM {_TABLE}").close())

    # ------------------------------------------------------------- as part of a model

    def __reduce__(self) -> tuple[Any, ...]:
        return _in_file, (type(self), self.database_path, self.timeout)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.database_path!r})"


def _in_file(kind: Any, path: str, timeout: float) -> Any:
    return kind(path, timeout=timeout)


def _hashed(prompt: str, llm_string: str) -> str:
    text = json.dumps([prompt, llm_string])
    return hashlib.sha256(text.encode()).hexdigest()


def _written(answer: RETURN_VAL_TYPE) -> str:
    """A row. Each candidate is a pair: the generation, and its chunks or None.

    Raises:
        InputError: something in it cannot be read back as it is.
    """
    from .load import dumps

    rows = []
    for generation in answer:
        chunks = getattr(generation, "chunks", None)
        if isinstance(generation, ChatGeneration):
            whole: Generation = ChatGeneration(generation.message, generation.generation_info)
        else:
            whole = Generation(generation.text, generation.generation_info)
        rows.append([whole, chunks])
    return dumps(rows)


def _read(version: Any, answer: Any) -> RETURN_VAL_TYPE:
    from .load import loads

    if version != _VERSION:
        raise InputError(f"it has version {version!r}, and this one of Headrace reads {_VERSION}.")
    rows = loads(answer)
    if not isinstance(rows, list) or not rows:
        raise InputError(f"it holds no list of answers: {answer[:200]!r}.")
    return [_generation(*row) for row in rows]


def _generation(whole: Any, chunks: Any) -> Generation:
    """One candidate, from the pair that was written."""
    if not isinstance(whole, Generation):
        raise InputError(f"it holds {whole!r:.200}, which is no generation.")
    if chunks is None:
        return whole
    kind = BaseMessage if isinstance(whole, ChatGeneration) else str
    if not isinstance(chunks, list) or not all(isinstance(chunk, kind) for chunk in chunks):
        raise InputError(f"{chunks!r:.200} are no chunks of {whole!r:.200}.")
    if isinstance(whole, ChatGeneration):
        return StreamedChatGeneration(whole.message, whole.generation_info, chunks=chunks)
    return StreamedGeneration(whole.text, whole.generation_info, chunks)
