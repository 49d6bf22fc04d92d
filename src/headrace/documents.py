"""Documents: pieces of text with metadata, as retrievers and vector stores pass them around."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from headrace._lazy import later
from headrace.errors import InputError
from headrace.values import Value

__all__ = ["Document"]

# Here users look for these too; they live above.
_UP = {"BaseDocumentTransformer": "document_transformers", "BaseDocumentCompressor": "retrievers"}


def __getattr__(name: str) -> Any:
    return later("headrace" if name in _UP else __name__, _UP, name)


class Document(Value):
    """A text and what is known about it.

    Args:
        page_content: the text.
        metadata: anything about it; a copy is kept.
        id: its id in a store; numbers become strings.

    Raises:
        InputError: the text is no string, or the metadata no mapping.
    """

    __slots__ = ("id", "metadata", "page_content")

    type: ClassVar[Literal["Document"]] = "Document"
    _shown = ("id", "metadata", "page_content")
    _json: ClassVar[Mapping[str, Any]] = {
        "id": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "metadata": {"additionalProperties": True, "type": "object", "optional": True},
        "page_content": {"type": "string"},
    }

    def __init__(
        self,
        page_content: str,
        metadata: Mapping[Any, Any] | None = None,
        id: str | None = None,
    ) -> None:
        if not isinstance(page_content, str):
            raise InputError(
                f"Document page_content is a string; received {page_content!r}, a "
                f"{page_content.__class__.__name__}."
            )
        if metadata is not None and not isinstance(metadata, Mapping):
            raise InputError(f"Document metadata is a dict; received {metadata!r}.")
        self.page_content = page_content
        self.metadata: dict[Any, Any] = dict(metadata) if metadata else {}
        self.id = id if id is None else str(id)

    def __str__(self) -> str:
        """The text and the metadata: what a prompt shows of a document put into it."""
        shown = f"page_content='{self.page_content}'"
        return f"{shown} metadata={self.metadata}" if self.metadata else shown
