"""Document loaders: what reads documents from where they are, and the bases to write one on.

Importing this imports no library that parses: each loader does when it loads.
"""

from typing import TYPE_CHECKING, Any

from .._lazy import later, listed
from .base import BaseBlobParser, BaseLoader
from .blobs import Blob, BlobLoader, PathLike

if TYPE_CHECKING:
    from .csv_loader import CSVLoader
    from .directory import DirectoryLoader
    from .html import BSHTMLLoader, HTMLLoader
    from .json_loader import JSONLinesLoader, JSONLoader
    from .markdown import MarkdownLoader
    from .pdf import PyPDFLoader
    from .reading import LoadError
    from .text import TextLoader

__all__ = [
    "BSHTMLLoader",
    "BaseBlobParser",
    "BaseLoader",
    "Blob",
    "BlobLoader",
    "CSVLoader",
    "DirectoryLoader",
    "HTMLLoader",
    "JSONLinesLoader",
    "JSONLoader",
    "LoadError",
    "MarkdownLoader",
    "PathLike",
    "PyPDFLoader",
    "TextLoader",
]

_LATER = {
    "BSHTMLLoader": "html",
    "CSVLoader": "csv_loader",
    "DirectoryLoader": "directory",
    "HTMLLoader": "html",
    "JSONLinesLoader": "json_loader",
    "JSONLoader": "json_loader",
    "LoadError": "reading",
    "MarkdownLoader": "markdown",
    "PyPDFLoader": "pdf",
    "TextLoader": "text",
}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
