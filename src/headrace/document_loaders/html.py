"""`HTMLLoader` and `BSHTMLLoader`: the text of a web page. BeautifulSoup reads it (extra "html"),
with the standard library's parser."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from headrace.documents import Document
from headrace.errors import MissingExtraError

from .base import BaseLoader
from .blobs import PathLike
from .page_text import page_text
from .reading import LoadError, checked, checked_path, marked

__all__ = ["BSHTMLLoader", "HTMLLoader"]

# What a page that says so really has, by the HTML standard ("Encoding", section 4.2).
_REALLY = {"ascii": "cp1252", "iso8859-1": "cp1252", "utf-16": "utf-8", "utf-16-le": "utf-8"}
_PARSER = "html.parser"


class HTMLLoader(BaseLoader):
    """The text of a page as it is read: paragraphs, headings, items and rows on lines of their own,
    scripts and styles left out.

    Metadata: "source", the path as given; "title", empty if it has none; and if it has them,
    "description", "language" and "headings".

    Args:
        file_path: the file.
        encoding: how its bytes are text. By default as a browser finds out: a byte order mark, what
            the page says, UTF-8, else Windows-1252.

    Raises:
        ConfigError: there is no such encoding.
    """

    def __init__(self, file_path: PathLike, *, encoding: str | None = None) -> None:
        checked(encoding)
        self.file_path = checked_path(file_path)
        self.encoding = encoding

    def lazy_load(self) -> Iterator[Document]:
        """The document.

        Raises:
            LoadError: the file is no text in the encoding given.
            MissingExtraError: BeautifulSoup is not installed.
            OSError: it cannot be read.
        """
        soup = _soup(self.file_path, self.encoding, {"features": _PARSER})
        title = " ".join(soup.title.get_text().split()) if soup.title else ""
        metadata: dict[str, Any] = {"source": str(self.file_path), "title": title}
        language = soup.html.get("lang") if soup.html else None
        description = soup.find("meta", attrs={"name": "description"})
        text, headings = page_text(soup.body or soup)
        found = {
            "description": description.get("content") if description else None,
            "language": language,
            "headings": headings,
        }
        metadata.update({key: value for key, value in found.items() if value})
        yield Document(text, metadata)


class BSHTMLLoader(BaseLoader):
    """All text of a page as BeautifulSoup gives it, white space and title included.

    Metadata: "source", the path as given, and "title", empty if it has none.

    Args:
        file_path: the file.
        open_encoding: as `encoding` of `HTMLLoader`.
        bs_kwargs: arguments of `BeautifulSoup`; by default `{"features": "html.parser"}`.
        get_text_separator: what is put between two pieces of text.

    Raises:
        ConfigError: there is no such encoding.
    """

    def __init__(
        self,
        file_path: PathLike,
        open_encoding: str | None = None,
        bs_kwargs: Mapping[str, Any] | None = None,
        get_text_separator: str = "",
    ) -> None:
        checked(open_encoding)
        self.file_path = checked_path(file_path)
        self.open_encoding = open_encoding
        self.bs_kwargs = {"features": _PARSER} if bs_kwargs is None else dict(bs_kwargs)
        self.get_text_separator = get_text_separator

    def lazy_load(self) -> Iterator[Document]:
        """The document. Raises as `HTMLLoader`."""
        soup = _soup(self.file_path, self.open_encoding, self.bs_kwargs)
        title = soup.title.get_text() if soup.title else ""
        metadata = {"source": str(self.file_path), "title": title}
        yield Document(soup.get_text(self.get_text_separator), metadata)


def _soup(path: PathLike, encoding: str | None, options: Mapping[str, Any]) -> Any:
    try:
        from bs4 import BeautifulSoup
        from bs4.dammit import EncodingDetector
    except ImportError as error:
        raise MissingExtraError("beautifulsoup4", extra="html", purpose="HTMLLoader") from error
    data = Path(path).read_bytes()
    if encoding is None:
        declared = EncodingDetector.find_declared_encoding(data, is_html=True)
        text = _decoded(data, declared)
    else:
        try:
            text = data.decode(checked(encoding) or encoding)
        except UnicodeDecodeError as error:
            raise LoadError(
                f"{path}: no text in {encoding} ({error.reason}, byte {error.start}).",
                "Leave the encoding out to have it found.",
            ) from error
    # As a file: about a text alone it warns where that looks like the name of a file or an address.
    return BeautifulSoup(StringIO(text.replace("\r\n", "\n")), **options)


def _decoded(data: bytes, declared: str | None) -> str:
    """The text of a page of unknown encoding, as a browser finds it."""
    last = _known(declared) or "cp1252"
    for encoding in (marked(data), _known(declared), "utf-8"):
        if encoding is not None:
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                continue
    return data.decode(last, "replace")


def _known(declared: str | None) -> str | None:
    try:
        name = codecs.lookup(declared or "").name
    except LookupError:
        return None
    return _REALLY.get(name, name)
