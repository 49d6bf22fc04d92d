"""`TextLoader`: a file of text as one document."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.documents import Document

from .base import BaseLoader
from .blobs import PathLike
from .reading import checked, checked_path, read_text

__all__ = ["TextLoader"]


class TextLoader(BaseLoader):
    """The whole text of a file. Metadata: "source", the path as given.

    Args:
        file_path: the file.
        encoding: how its bytes are text. By default its byte order mark says so, else it is UTF-8.
        autodetect_encoding: guess the encoding if that one does not fit (extra "encodings").

    Raises:
        ConfigError: there is no such encoding.
    """

    def __init__(
        self, file_path: PathLike, encoding: str | None = None, autodetect_encoding: bool = False
    ) -> None:
        checked(encoding)
        self.file_path = checked_path(file_path)
        self.encoding = encoding
        self.autodetect_encoding = autodetect_encoding

    def lazy_load(self) -> Iterator[Document]:
        """The document.

        Raises:
            LoadError: the file is no text in its encoding.
            OSError: it cannot be read.
        """
        text = read_text(self.file_path, self.encoding, self.autodetect_encoding)
        yield Document(text, {"source": str(self.file_path)})
