"""`BaseDocumentCompressor`, the base of what is done with found documents, given the question.

class Short(BaseDocumentCompressor):
    most: int = 200

    def compress_documents(self, documents, query, callbacks=None):
        return [each for each in documents if len(each.page_content) <= self.most]
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from headrace._bridge import call_in_thread
from headrace.documents import Document
from headrace.runnables._construction import Readable
from headrace.shapes import Node

__all__ = ["BaseDocumentCompressor", "acompressed", "compressed"]


class BaseDocumentCompressor(Readable, BaseModel, ABC):
    """Base of compressors, which write `compress_documents` and, if they can wait without blocking,
    `acompress_documents`. Without the latter the former runs in a worker thread."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, protected_namespaces=(), defer_build=True
    )

    @abstractmethod
    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        """What is left of the documents, best first. It may give others, and must not change those
        that it was given.

        Args:
            documents: what was found, best first.
            query: the question.
            callbacks: for the configs of runnables that it invokes, `{"callbacks": callbacks}`;
                a compressor that invokes none may leave the parameter out.
        """

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        """`compress_documents`, async."""
        left: Sequence[Document] = await call_in_thread(
            self.compress_documents, documents, query, **_taken(self.compress_documents, callbacks)
        )
        return left

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        """The runnables that it invokes, with their labels."""
        return ()


def compressed(compressor: Any, documents: Sequence[Document], query: str, callbacks: Any) -> Any:
    """What `compressor` leaves of the documents."""
    method = compressor.compress_documents
    return method(documents, query, **_taken(method, callbacks))


async def acompressed(
    compressor: Any, documents: Sequence[Document], query: str, callbacks: Any
) -> Any:
    """`compressed`, async."""
    method = compressor.acompress_documents
    return await method(documents, query, **_taken(method, callbacks))


def _taken(method: Any, callbacks: Any) -> dict[str, Any]:
    takes = _takes_callbacks(getattr(method, "__func__", method))
    return {"callbacks": callbacks} if takes else {}


@cache
def _takes_callbacks(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters
    return "callbacks" in parameters or any(
        each.kind is each.VAR_KEYWORD for each in parameters.values()
    )
