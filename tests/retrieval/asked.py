"""Retrievers for tests, which note what becomes of them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from headrace.documents import Document
from headrace.retrievers import BaseRetriever
from headrace.run import Run

LIMIT = 5.0  # seconds: what is waited for comes at once, or the test fails


def found(*texts: str) -> list[Document]:
    return [Document(text) for text in texts]


def texts(documents: list[Document]) -> list[str]:
    return [each.page_content for each in documents]


class Given(BaseRetriever):
    """Finds what it is given, or what stands under the question, and notes the questions."""

    texts: Any
    asked: list[str] = []  # noqa: RUF012  # pydantic copies it

    def _get_relevant_documents(self, query: str, *, run_manager: Any, k: int = 99) -> Any:
        self.asked.append(query)
        texts = self.texts[query] if isinstance(self.texts, dict) else self.texts
        return found(*texts)[:k]


class Meets(BaseRetriever):
    """Comes back when `place` has as many visitors as it waits for: they must run at once."""

    place: Any
    text: str = "met"

    def _get_relevant_documents(self, query: str) -> list[Document]:
        self.place.wait(LIMIT)
        return found(self.text)


class AsyncMeets(Meets):
    def _get_relevant_documents(self, query: str) -> list[Document]:
        raise AssertionError("sync")

    async def _aget_relevant_documents(self, query: str) -> list[Document]:
        async with asyncio.timeout(LIMIT):
            await self.place.wait()
        return found(self.text)


class Fails(BaseRetriever):
    error: Any

    def _get_relevant_documents(self, query: str) -> list[Document]:
        raise self.error


class Hangs(BaseRetriever):
    """Waits until it is cancelled; the event `begun` is set first, and `over` notes the end."""

    begun: Any
    over: Any  # a list

    def _get_relevant_documents(self, query: str) -> list[Document]:
        raise AssertionError("sync")

    async def _aget_relevant_documents(self, query: str) -> list[Document]:
        try:
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            self.over.append(query)
        return []


class Log:
    """An observer that keeps the events."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self._lock = threading.Lock()

    def on_event(self, event: Any) -> None:
        with self._lock:
            self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [each for each in self.events if isinstance(each, kind)]

    def runs(self, kind: type) -> list[Run]:
        return [each.run for each in self.of(kind)]

    def names(self, kind: type) -> list[str]:
        return [each.name for each in self.runs(kind)]
