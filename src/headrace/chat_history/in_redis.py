"""`RedisChatMessageHistory`: conversations in a Redis or Valkey server, each a list.

Messages that are added together are one RPUSH, which the server does at once: nothing is lost, and
they stay together and in order, whoever else writes. With a URL each operation connects and closes
its connection, so nothing is to be closed and nothing is bound to an event loop; give a client to
keep its connections.

Source: https://redis.io/docs/latest/commands/rpush/, …/lrange/, …/expire/
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from headrace.chat_history.base import BaseChatMessageHistory
from headrace.chat_history.rows import checked_limit, checked_session, read_rows, written_rows
from headrace.errors import AsyncOnlyError, ConfigError, MissingExtraError
from headrace.messages import BaseMessage
from headrace.runnables.configs import run_in_executor

__all__ = ["RedisChatMessageHistory"]

_SCHEMES = ("redis://", "rediss://", "unix://")


class RedisChatMessageHistory(BaseChatMessageHistory):
    """The messages of a session, in a list of a Redis server.

    Args:
        session_id: which conversation; it is a part of the list's key.
        url: the server, e.g. `redis://localhost:6379/0`, `rediss://…` or `unix://…`.
        client: a `redis.Redis` or `redis.asyncio.Redis` instead, which is not closed. Async runs
            use a sync one in worker threads; sync runs cannot use an async one.
        ttl: seconds until an unused session is forgotten, counted from its last messages.
        key_prefix: what the key begins with, before the session's id.
        limit: read only so many messages, the last ones.

    Raises:
        MissingExtraError: redis is not installed.
        ConfigError: neither or both of url and client, or one of the others is no good.
        AsyncOnlyError: a sync method with an async client.
        StoredMessageError: when reading, a row that is no message.
        redis.RedisError: the server is not there, or refuses.
    """

    def __init__(
        self,
        session_id: str,
        url: str | None = None,
        *,
        client: Any = None,
        ttl: float | timedelta | None = None,
        key_prefix: str = "headrace:history:",
        limit: int | None = None,
    ) -> None:
        name = type(self).__name__
        if (url is None) == (client is None):
            given = "neither" if url is None else "both"
            raise ConfigError(
                f"{name} was given {given} of 'url' and 'client': give one, e.g. "
                "url='redis://localhost:6379/0'."
            )
        if url is not None and not str(url).startswith(_SCHEMES):
            raise ConfigError(f"{name}(url=…): a server's URL begins with {', '.join(_SCHEMES)}.")
        _, for_async = _libraries()
        self.session_id = checked_session(session_id, name)
        self.ttl = _milliseconds(ttl, name)
        self.key_prefix = key_prefix
        self.key = f"{key_prefix}{session_id}"
        self.limit = checked_limit(limit, name)
        self._url = url
        self._is_async = isinstance(client, for_async.Redis)
        self._given = client

    # ---- sync --------------------------------------------------------------------------------

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """The messages, oldest first; the last `limit` ones."""
        with self._client() as client:
            return self._read(*self._ask(client).execute())

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Add messages at the end, together and in order; all of them or, if it raises, none."""
        rows = written_rows(messages)
        if rows:
            with self._client() as client:
                self._push(client, rows).execute()

    def clear(self) -> None:
        """Remove the messages of this session."""
        with self._client() as client:
            client.delete(self.key)

    def sessions(self) -> list[str]:
        """The ids of all sessions under this prefix, sorted."""
        with self._client() as client:
            return self._names(list(client.scan_iter(match=self._pattern(), _type="list")))

    # ---- async -------------------------------------------------------------------------------

    async def aget_messages(self) -> list[BaseMessage]:
        """`messages`, async."""
        if self._blocks():
            return await run_in_executor(None, lambda: self.messages)
        async with self._aclient() as client:
            found = await self._ask(client).execute()
        return self._read(*found)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """`add_messages`, async."""
        if self._blocks():
            return await run_in_executor(None, self.add_messages, messages)
        rows = written_rows(messages)
        if rows:
            async with self._aclient() as client:
                await self._push(client, rows).execute()

    async def aclear(self) -> None:
        """`clear`, async."""
        if self._blocks():
            return await run_in_executor(None, self.clear)
        async with self._aclient() as client:
            await client.delete(self.key)

    async def asessions(self) -> list[str]:
        """`sessions`, async."""
        if self._blocks():
            return await run_in_executor(None, self.sessions)
        async with self._aclient() as client:
            keys = client.scan_iter(match=self._pattern(), _type="list")
            return self._names([key async for key in keys])

    # ---- what both do ------------------------------------------------------------------------

    def _ask(self, client: Any) -> Any:
        """How many rows there are, and the last ones of them, as of one moment."""
        pipeline = client.pipeline(transaction=True)
        pipeline.llen(self.key)
        pipeline.lrange(self.key, 0 if self.limit is None else -self.limit, -1)
        return pipeline

    def _read(self, length: int, rows: list[str | bytes]) -> list[BaseMessage]:
        numbered = enumerate(rows, length - len(rows))
        return read_rows(numbered, self.session_id, f"the list {self.key!r} of Redis")

    def _push(self, client: Any, rows: list[str]) -> Any:
        pipeline = client.pipeline(transaction=True)
        pipeline.rpush(self.key, *rows)
        if self.ttl is not None:
            pipeline.pexpire(self.key, self.ttl)
        return pipeline

    def _pattern(self) -> str:
        special = {ord(sign): f"\\{sign}" for sign in "*?[]^\\"}
        return f"{self.key_prefix.translate(special)}*"

    def _names(self, keys: list[str | bytes]) -> list[str]:
        texts = (key.decode() if isinstance(key, bytes) else key for key in keys)
        return sorted({text.removeprefix(self.key_prefix) for text in texts})  # scans may repeat

    # ---- the server --------------------------------------------------------------------------

    def _blocks(self) -> bool:
        """Whether there is only a sync client."""
        return self._given is not None and not self._is_async

    @contextmanager
    def _client(self) -> Iterator[Any]:
        if self._is_async:
            raise AsyncOnlyError(
                f"{self!r} has an async client, which sync code cannot use: call ainvoke or "
                "astream, or give it a redis.Redis or a url."
            )
        if self._given is not None:
            yield self._given
            return
        with _libraries()[0].Redis.from_url(self._url) as client:
            yield client

    @asynccontextmanager
    async def _aclient(self) -> AsyncIterator[Any]:
        if self._given is not None:
            yield self._given
            return
        client = _libraries()[1].Redis.from_url(self._url)
        try:
            yield client
        finally:
            await client.aclose()

    def __repr__(self) -> str:
        if self._url is None:
            server = f"client={type(self._given).__name__}"
        else:
            parts = urlsplit(self._url)  # without the user and the password
            place = parts.netloc.rpartition("@")[2] + parts.path
            server = repr(f"{parts.scheme}://{place}")
        return f"{type(self).__name__}({self.session_id!r}, {server})"


def _libraries() -> tuple[Any, Any]:
    """The client's modules, for sync and for async code."""
    try:
        import redis
        import redis.asyncio
    except ImportError as error:
        raise MissingExtraError(
            "redis", extra="redis", purpose="RedisChatMessageHistory"
        ) from error
    return redis, redis.asyncio


def _milliseconds(ttl: Any, kind: str) -> int | None:
    if ttl is None:
        return None
    seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or seconds < 0.001:
        raise ConfigError(f"{kind}(ttl={ttl!r}): give a number of seconds above 0, or None.")
    return int(seconds * 1000)
