"""Reading text from files: encodings found out, and errors that say where.

Without an encoding, a byte order mark decides, else it is UTF-8, on every machine.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from headrace.errors import ConfigError, InputError, MissingExtraError

from .blobs import PathLike

__all__ = ["LoadError", "checked", "checked_path", "marked", "open_text", "read_text"]

_BLOCK = 1 << 16  # bytes read at a time
_SAMPLE = 1 << 17  # bytes, about, that an encoding is guessed from
# UTF-32's mark begins with UTF-16's, so it is looked for first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class LoadError(InputError, RuntimeError):
    """What is in a file is not what its loader reads.

    Args:
        fault: what is wrong, a sentence that begins with the path.
        advice: sentences about what to give the loader, where that can help.
    """

    def __init__(self, fault: str, advice: str = "") -> None:
        self.fault, self.advice = fault, advice
        super().__init__(f"{fault} {advice}".rstrip())

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.fault, self.advice)


def checked_path(given: PathLike, name: str = "file_path", of: str = "one file") -> PathLike:
    """The path of one file. Raises ConfigError for what is none; a number would be an open file."""
    if isinstance(given, (str, os.PathLike)):
        return given
    raise ConfigError(
        f"{name} is {given!r:.200} ({type(given).__name__}): give the path of {of}, as a string or "
        "a Path."
    )


def checked(encoding: str | None) -> str | None:
    """An encoding that Python knows.

    Raises:
        ConfigError: it knows none of that name.
    """
    if encoding is None:
        return None
    try:
        name = codecs.lookup(encoding).name
    except LookupError as error:
        raise ConfigError(
            f"There is no encoding {encoding!r}: give one that Python knows, e.g. 'utf-8' or "
            "'cp1252'."
        ) from error
    return "utf-8-sig" if name == "utf-8" else encoding  # its mark is no text


def marked(start: bytes) -> str | None:
    """The encoding that the first bytes of a file say it has."""
    return next((encoding for mark, encoding in _MARKS if start.startswith(mark)), None)


@contextmanager
def open_text(
    path: PathLike, encoding: str | None, autodetect: bool, newline: str | None = None
) -> Iterator[TextIO]:
    """A file to read text from, closed when the block ends.

    Args:
        path: the file.
        encoding: how its bytes are text; None finds out.
        autodetect: whether to guess another encoding where this one does not fit.
        newline: as for `open`.

    Raises:
        LoadError: its bytes are no text in that encoding; when they are read.
        MissingExtraError: an encoding has to be guessed, and chardet is not installed.
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        name = checked(encoding) or marked(file.read(4)) or "utf-8"
    if autodetect and _first_fault(path, name):
        name = _guessed(path)
    with open(path, encoding=name, newline=newline) as text:
        try:
            yield text
        except UnicodeError as error:
            fault = _first_fault(path, name)
            if fault is None:  # it is the consumer's own
                raise
            line, what = fault
            raise LoadError(
                f"{path}, line {line}: no text in {name} ({what}).",
                "Give its encoding=…, or autodetect_encoding=True.",
            ) from error


def _first_fault(path: PathLike, encoding: str) -> tuple[int, str] | None:
    """The line in which a file stops being text in an encoding, and why; None if it does not."""
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 1
    with open(path, "rb") as file:
        while True:
            block = file.read(_BLOCK)
            try:
                lines += decoder.decode(block, final=not block).count("\n")
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(encoding, "ignore")
                return lines + before.count("\n"), error.reason
            except UnicodeError as error:
                return lines, str(error)
            if not block:
                return None


def _guessed(path: PathLike) -> str:
    try:
        import chardet
    except ImportError as error:
        raise MissingExtraError(
            "chardet", extra="encodings", purpose="autodetect_encoding"
        ) from error
    encoding = checked(chardet.detect(_sample(path))["encoding"])
    if encoding is None:
        raise LoadError(f"{path}: no encoding was found that fits it.", "Give its encoding=….")
    fault = _first_fault(path, encoding)
    if fault is not None:  # what fits the sample does not fit the rest
        raise LoadError(
            f"{path}, line {fault[0]}: no text in {encoding}, which other lines look like.",
            "Give its encoding=….",
        )
    return encoding


def _sample(path: PathLike) -> bytes:
    """What an encoding shows in: the lines that are not ASCII, or where all are, the first ones."""
    found = bytearray()
    with open(path, "rb") as file:
        while len(found) < _SAMPLE and (line := file.readline(_BLOCK)):
            if not line.isascii():
                found += line
        if not found:
            file.seek(0)
            found += file.read(_SAMPLE)
    return bytes(found)


def read_text(path: PathLike, encoding: str | None, autodetect: bool) -> str:
    r"""A whole file as text, with line ends as "\n"."""
    with open_text(path, encoding, autodetect) as file:
        return file.read()
