"""The SDK clients of a model: made at the first call, one for sync calls and one per event loop.

A client keeps its connections open between calls, so a model keeps its clients. Copies of a model
share them as long as their settings are equal. Making one takes 20 ms, most of them for the
certificates of TLS, and the import of the SDK up to a second; neither is done in an event loop. An
async client belongs to the loop it is made for and is closed with it: a loop that shuts down closes
its async generators first; `_keeper` is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from headrace._bridge import call_in_thread
from headrace.errors import MissingExtraError

from .breaking import break_off

__all__ = ["Clients", "sdk", "want_sdk"]

Settings = Mapping[str, Any]
Make = Callable[[Settings], Any]


def want_sdk(package: str, extra: str, purpose: str) -> None:
    """Raise MissingExtraError if an SDK is not installed; nothing is imported."""
    try:
        found = find_spec(package)
    except ModuleNotFoundError:  # of "google.genai", the part before the dot
        found = None
    if found is None:
        raise MissingExtraError(package, extra=extra, purpose=purpose)


def sdk(package: str, extra: str, purpose: str) -> ModuleType:
    """An SDK, imported now.

    Raises:
        MissingExtraError: it is not installed.
    """
    want_sdk(package, extra, purpose)
    return import_module(package)


class _OfLoop:
    """The clients of one event loop: (settings, client, keeper) each."""

    __slots__ = ("made", "making")

    def __init__(self) -> None:
        self.made: list[tuple[Settings, Any, Any]] = []
        self.making = asyncio.Lock()

    def find(self, settings: Settings) -> Any:
        return next((client for given, client, _ in self.made if given == settings), None)


class Clients:
    """The clients that were made, each with the settings that it was made with."""

    __slots__ = ("_async", "_lock", "_sync")

    def __init__(self) -> None:
        self._lock = Lock()
        self._sync: list[tuple[Settings, Any]] = []
        self._async: WeakKeyDictionary[Any, _OfLoop] = WeakKeyDictionary()

    def sync(self, settings: Settings, make: Make) -> Any:
        """The client for sync calls with these settings."""
        with self._lock:
            for given, client in self._sync:
                if given == settings:
                    return client
            client = break_off(make(settings))
            self._sync.append((settings, client))
            return client

    async def in_loop(self, settings: Settings, make: Make, modules: Iterable[str]) -> Any:
        """The client for calls in the running loop. It is made in a thread, once, however many
        tasks want it; what it needs of these `modules` is imported there."""
        loop = asyncio.get_running_loop()
        with self._lock:
            mine = self._async.get(loop) or self._first_in(loop)
        client = mine.find(settings)
        if client is not None:
            return client
        async with mine.making:
            client = mine.find(settings)  # another task may have made it meanwhile
            if client is None:
                client = await call_in_thread(_imported, settings, make, modules)
                keeper = _keeper(client)
                mine.made.append((settings, client, keeper))
                await anext(keeper)  # the loop knows of it now
        return client

    def _first_in(self, loop: Any) -> _OfLoop:
        """A loop comes; those that have ended go, which their clients' connections name, so that
        the dictionary alone would keep them."""
        for ended in [each for each in self._async if each.is_closed()]:
            del self._async[ended]
        mine = self._async[loop] = _OfLoop()
        return mine

    def close(self) -> None:
        """Close the clients for sync calls; the next call makes another."""
        with self._lock:
            made, self._sync = self._sync, []
        for _, client in made:
            _closer(client, "close")()

    async def aclose(self) -> None:
        """Close the clients of the running loop, and those for sync calls."""
        with self._lock:
            mine = self._async.pop(asyncio.get_running_loop(), None)
        for _, _, keeper in mine.made if mine else ():
            await keeper.aclose()
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Clients, ()  # connections do not travel

    def __deepcopy__(self, memo: Any) -> Clients:
        return self


def _imported(settings: Settings, make: Make, modules: Iterable[str]) -> Any:
    for module in modules:
        import_module(module)
    return make(settings)


async def _keeper(client: Any) -> AsyncIterator[None]:
    try:
        yield
    finally:
        closing = _closer(client, "close", "aclose")()
        if closing is not None:
            await closing


def _closer(client: Any, *names: str) -> Callable[[], Any]:
    for name in names:
        close = getattr(client, name, None)
        if close is not None:
            return close  # type: ignore[no-any-return]
    return lambda: None
