"""`Blob`: raw data, in memory or in a file, with what is known about it; not yet parsed.

A blob of a file does not hold the file: each method reads it anew.
"""

from __future__ import annotations

import io
import mimetypes
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, BinaryIO, ClassVar, TypeAlias

from headrace.errors import InputError
from headrace.values import Value

__all__ = ["Blob", "BlobLoader", "PathLike"]

PathLike: TypeAlias = str | PurePath


class Blob(Value):
    """Raw data: give `data`, or the `path` of a file, or both (then the data is what is read).

    Args:
        data: bytes or text.
        mimetype: what it is, e.g. "text/html".
        encoding: how bytes are text.
        path: where it is, or came from.
        metadata: anything about it; a copy is kept.
        id: its name among others.

    Raises:
        InputError: neither data nor a path is given.
    """

    __slots__ = ("data", "encoding", "id", "metadata", "mimetype", "path")

    _shown = ("id", "metadata", "data", "mimetype", "encoding", "path")
    _json: ClassVar[Mapping[str, Any]] = {
        "id": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "metadata": {"additionalProperties": True, "type": "object", "optional": True},
        "data": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "mimetype": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "encoding": {"type": "string", "default": "utf-8"},
        "path": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
    }

    def __init__(
        self,
        data: bytes | str | None = None,
        mimetype: str | None = None,
        encoding: str = "utf-8",
        path: PathLike | None = None,
        metadata: Mapping[Any, Any] | None = None,
        id: str | None = None,
    ) -> None:
        if data is None and path is None:
            raise InputError("A Blob needs data: give 'data', or the 'path' of a file.")
        if data is not None and not isinstance(data, bytes | str):
            raise InputError(
                f"The data of a Blob is bytes or a string, and this is {data!r:.200} "
                f"({type(data).__name__})."
            )
        self.data = data
        self.mimetype = mimetype
        self.encoding = encoding
        self.path = path
        self.metadata: dict[Any, Any] = dict(metadata) if metadata else {}
        self.id = id if id is None else str(id)

    @classmethod
    def from_path(
        cls,
        path: PathLike,
        *,
        encoding: str = "utf-8",
        mime_type: str | None = None,
        guess_type: bool = True,
        metadata: Mapping[Any, Any] | None = None,
    ) -> Blob:
        """The blob of a file, which is read when the blob is.

        Args:
            path: the file.
            encoding: how its bytes are text.
            mime_type: what it is.
            guess_type: else, whether its name says so.
            metadata: anything about it.
        """
        if mime_type is None and guess_type:
            mime_type = mimetypes.guess_type(str(path))[0]
        return cls(None, mime_type, encoding, path, metadata)

    @classmethod
    def from_data(
        cls,
        data: bytes | str,
        *,
        encoding: str = "utf-8",
        mime_type: str | None = None,
        path: str | None = None,
        metadata: Mapping[Any, Any] | None = None,
    ) -> Blob:
        """The blob of data in memory; `path` says where it came from."""
        return cls(data, mime_type, encoding, path, metadata)

    @property
    def source(self) -> str | None:
        """Where it came from: the metadata's "source", else the path."""
        given: str | None = self.metadata.get("source")
        return given if given is not None else None if self.path is None else str(self.path)

    def as_string(self) -> str:
        """The data as text.

        Raises:
            InputError: its bytes are no text in this encoding.
            OSError: the file cannot be read.
        """
        if isinstance(self.data, str):
            return self.data
        try:
            return self.as_bytes().decode(self.encoding)
        except (UnicodeDecodeError, LookupError) as error:
            raise InputError(
                f"{self.source or 'A blob'} is no text in {self.encoding!r} ({error}): give its "
                "encoding."
            ) from error

    def as_bytes(self) -> bytes:
        """The data as bytes."""
        if self.data is None:
            return Path(str(self.path)).read_bytes()
        return self.data.encode(self.encoding) if isinstance(self.data, str) else self.data

    @contextmanager
    def as_bytes_io(self) -> Iterator[BinaryIO]:
        """The data as a file to read bytes from, which is closed when the block ends."""
        if self.data is not None:
            yield io.BytesIO(self.as_bytes())
            return
        with open(str(self.path), "rb") as file:
            yield file

    def __repr__(self) -> str:
        what = [self.mimetype, self.source]
        if self.data is not None:
            what.append(
                f"{len(self.data)} {'characters' if isinstance(self.data, str) else 'bytes'}"
            )
        return f"Blob({', '.join(each for each in what if each)})"


class BlobLoader(ABC):
    """Base of what finds raw data and leaves the parsing to others."""

    @abstractmethod
    def yield_blobs(self) -> Iterator[Blob]:
        """The blobs, one after another."""
