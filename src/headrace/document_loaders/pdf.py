"""`PyPDFLoader`: the text of a PDF, page by page. pypdf reads it (extra "pdf")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

from headrace.documents import Document
from headrace.errors import ConfigError, MissingExtraError

from .base import BaseLoader
from .blobs import PathLike
from .reading import LoadError, checked_path

__all__ = ["PyPDFLoader"]

_DATES = ("creationdate", "moddate")


class PyPDFLoader(BaseLoader):
    """The pages of a PDF, each read when it is asked for. A scanned page has no text.

    Metadata: "source", the path as given; "total_pages", "producer", "creator", "creationdate" and
    what else the file says of itself; of a page, "page" (from 0) and "page_label", as printed.

    Args:
        file_path: the file.
        password: opens an encrypted one.
        mode: "page" for one document per page, "single" for one in all.
        pages_delimiter: what stands between pages in a single document.
        extraction_mode: "plain", or "layout" for lines as they are laid out.
        extraction_kwargs: further arguments of pypdf's `extract_text`.

    Raises:
        MissingExtraError: pypdf is not installed; when it loads.
        ConfigError: there is no such mode.
    """

    def __init__(
        self,
        file_path: PathLike,
        password: str | bytes | None = None,
        *,
        mode: Literal["page", "single"] = "page",
        pages_delimiter: str = "\n\f",
        extraction_mode: Literal["plain", "layout"] = "plain",
        extraction_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if mode not in ("page", "single"):
            raise ConfigError(f"mode is {mode!r}: give 'page' or 'single'.")
        if "://" in str(file_path):
            raise ConfigError(f"{file_path} is no file: fetch it, and give the path of the file.")
        self.file_path = checked_path(file_path)
        self.password = password
        self.mode = mode
        self.pages_delimiter = pages_delimiter
        self.extraction_mode = extraction_mode
        self.extraction_kwargs = dict(extraction_kwargs or {})

    def lazy_load(self) -> Iterator[Document]:
        """The pages, or all of them in one document; the file is open meanwhile.

        Raises:
            LoadError: the file is no PDF, or a password is needed or wrong.
            OSError: it cannot be read.
        """
        try:
            import pypdf
        except ImportError as error:
            raise MissingExtraError("pypdf", extra="pdf", purpose="PyPDFLoader") from error
        with open(self.file_path, "rb") as file:
            reader, metadata, labels = self._opened(pypdf, file)
            if self.mode == "single":
                texts = [self._text(reader, number) for number in range(len(labels))]
                yield Document(self.pages_delimiter.join(texts), metadata)
                return
            for number, label in enumerate(labels):
                text = self._text(reader, number)
                yield Document(text, {**metadata, "page": number, "page_label": label})

    def _opened(self, pypdf: Any, file: Any) -> tuple[Any, dict[str, Any], list[str]]:
        """The reader, what the file says of itself, and the labels of its pages."""
        try:
            reader = pypdf.PdfReader(file, password=self.password)
            labels = list(reader.page_labels)
            found = dict(reader.metadata or {})
        except pypdf.errors.FileNotDecryptedError as error:
            what = "a password is needed" if self.password is None else "the password is wrong"
            raise LoadError(f"{self.file_path}: {what}.", "Give password=….") from error
        except pypdf.errors.DependencyError as error:
            raise MissingExtraError(
                "cryptography", purpose=f"{self.file_path}, encrypted,"
            ) from error
        except Exception as error:  # of a broken file, anything may be raised
            raise LoadError(f"{self.file_path}: no PDF that can be read ({error}).") from error
        about = {"producer": "PyPDF", "creator": "PyPDF", "creationdate": ""}
        about.update(_said(found))
        return reader, {**about, "source": str(self.file_path), "total_pages": len(labels)}, labels

    def _text(self, reader: Any, number: int) -> str:
        try:
            page = reader.pages[number]
            text = page.extract_text(extraction_mode=self.extraction_mode, **self.extraction_kwargs)
        except Exception as error:
            raise LoadError(
                f"{self.file_path}, page {number + 1}: its text cannot be read ({error!r})."
            ) from error
        return str(text).strip()


def _said(found: Mapping[str, Any]) -> dict[str, Any]:
    """What a PDF says of itself, in plain names and values: "/ModDate" becomes "moddate"."""
    about: dict[str, Any] = {}
    for key, value in found.items():
        name = key.removeprefix("/").lower()
        plain = value if type(value) is int else str(value).strip()
        about[name] = _date(plain) if name in _DATES else plain
    return about


def _date(value: Any) -> Any:
    """D:20240131120000+01'00' as 2024-01-31T12:00:00+01:00; as it is if it is written otherwise."""
    try:
        return datetime.strptime(str(value).replace("'", ""), "D:%Y%m%d%H%M%S%z").isoformat()
    except ValueError:
        return value
