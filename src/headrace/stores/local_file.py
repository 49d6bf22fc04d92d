"""`LocalFileStore`: a file for each value, in a folder, for any number of threads and processes.

A value is written beside its place and renamed into it, so a reader finds the old one or the new
one, whole, whoever writes and whenever a process is killed. It is not forced to the disk (`fsync`):
when the power fails, values of the last seconds may be lost, or empty; a store of what can be
computed again is not worth milliseconds for each.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from headrace.errors import InputError

from .base import BaseStore, InvalidKeyException

__all__ = ["LocalFileStore"]

_KEY = re.compile(r"[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)*")
_NEW = ".headrace-new-"  # begins the name of a file that is being written


class LocalFileStore(BaseStore[str, bytes]):
    """Bytes in files. A key is the path of its file from the root, e.g. `"photos/cat.jpg"`.

    Args:
        root_path: the folder; it is made when something is kept.
        chmod_file: the permissions of files; by default, their owner alone may use them.
        chmod_dir: the permissions of folders that are made; by default as the umask has it.
        update_atime: reading a file sets its access time, so that the ones that are used least can
            be found where the file system does not keep that time.

    Raises:
        InputError: the root is a file.
        InvalidKeyException: (an InputError) a key holds other characters than letters, digits and
            `_.-/`, has an empty part, `.` or `..` in it, or goes through a file that is there.
    """

    def __init__(
        self,
        root_path: str | Path,
        *,
        chmod_file: int | None = None,
        chmod_dir: int | None = None,
        update_atime: bool = False,
    ) -> None:
        self.root_path = Path(root_path).absolute()
        if self.root_path.exists() and not self.root_path.is_dir():
            raise InputError(
                f"The root of a LocalFileStore, {str(root_path)!r}, is a file: give a folder."
            )
        self.chmod_file = chmod_file
        self.chmod_dir = chmod_dir
        self.update_atime = update_atime

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self._read(path) for path in self._paths(keys)]

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        pairs = list(key_value_pairs)
        paths = self._paths([key for key, _ in pairs])  # all are looked at before one is written
        for path, (key, value) in zip(paths, pairs, strict=True):
            if not isinstance(value, bytes | bytearray | memoryview):
                raise InputError(f"LocalFileStore keeps bytes; {key!r} is given {value!r:.200}.")
            try:
                self._write(path, value)
            except (NotADirectoryError, FileExistsError, IsADirectoryError) as error:
                raise InvalidKeyException(
                    f"The key {key!r} would make a folder of a file that is there, or the other "
                    "way round: give it another name."
                ) from error

    def mdelete(self, keys: Sequence[str]) -> None:
        for path in self._paths(keys):
            with suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        for folder, _, files in os.walk(self.root_path):
            inside = Path(folder).relative_to(self.root_path).as_posix()
            for file in files:
                key = file if inside == "." else f"{inside}/{file}"
                if key.startswith(prefix or "") and not file.startswith(_NEW):
                    yield key

    # ---- files -----------------------------------------------------------------------------------

    def _paths(self, keys: Sequence[str]) -> list[Path]:
        return [self.root_path / _checked(key) for key in keys]

    def _read(self, path: Path) -> bytes | None:
        try:
            value = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        if self.update_atime:
            with suppress(FileNotFoundError):  # deleted just now
                os.utime(path, ns=(_now(), path.stat().st_mtime_ns))
        return value

    def _write(self, path: Path, value: bytes | bytearray | memoryview) -> None:
        self._make(path.parent)
        handle, name = tempfile.mkstemp(prefix=_NEW, dir=path.parent)
        try:
            with open(handle, "wb") as file:
                file.write(value)
            if self.chmod_file is not None:
                os.chmod(name, self.chmod_file)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise

    def _make(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make(folder.parent)
        folder.mkdir(exist_ok=True)
        if self.chmod_dir is not None:
            folder.chmod(self.chmod_dir)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root_path)!r})"


def _now() -> int:
    import time

    return time.time_ns()


def _checked(key: Any) -> str:
    parts = key.split("/") if isinstance(key, str) and _KEY.fullmatch(key) else [".."]
    if {".", ".."}.intersection(parts) or parts[-1].startswith(_NEW):
        raise InvalidKeyException(
            f"{key!r} is no key of a LocalFileStore: give letters, digits, '_', '-' and '.', in "
            "parts between single '/', none of them '.' or '..'."
        )
    return key  # type: ignore[no-any-return]
