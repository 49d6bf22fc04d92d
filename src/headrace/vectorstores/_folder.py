"""Several files saved as one: whoever loads gets all of the old or all of the new.

    folder/
        index.json              the manifest: what is saved, each part's file, size and SHA-256
        index.<token>.faiss     a part; the token is new at each save
        index.<token>.jsonl     another

`save` writes the parts beside the old ones and flushes them to the disk; the manifest's replacement
by a rename is the moment at which the new state is there, and then the old parts are removed. A
process that dies before leaves the old manifest with its parts, and files that the next save clears
away. `load` checks each part against the manifest before anyone reads it. Savers take turns where
the platform can lock a folder (POSIX); where it cannot, what a dead process left behind stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from headrace._file_locks import exclusive
from headrace.errors import InputError

from .base import StoreFileError

__all__ = ["Write", "Writer", "load", "save"]

T = TypeVar("T")
Write = Callable[[bytes], int]
Writer = Callable[[Write], None]
"""Hands a part to a function, piece by piece."""

_NAME = re.compile(r"[\w-][\w.-]*")
_PIECE = 1 << 20  # bytes read at once


def save(
    folder: Path, name: str, form: str, about: Mapping[str, Any], parts: Mapping[str, Writer]
) -> None:
    """Save parts under a name, in place of what has that name.

    Args:
        folder: made if it is not there.
        name: letters, digits, `.`, `_` and `-`.
        form: what kind of thing is saved, and its version.
        about: more of the manifest: values of JSON.
        parts: by suffix, what writes each.

    Raises:
        InputError: the name is no file's name, or the folder a file.
        OSError: as the file system gives it; what was saved before is still there.
    """
    _check_name(name)
    _check_folder(folder)
    _make(folder)
    with exclusive(folder) as alone:
        token, before = uuid.uuid4().hex, _named(folder, name)
        try:
            files = {
                suffix: _written(folder / f"{name}.{token}.{suffix}", writer)
                for suffix, writer in parts.items()
            }
            manifest = {"format": form, **about, "parts": files}
            text = json.dumps({**manifest, "sha256": _of_manifest(manifest)}, indent=1)
            fresh = folder / f"{name}.{token}.tmp"
            _written(fresh, lambda write: _ignored(write(text.encode())))
            _flush_folder(folder)
            os.replace(fresh, folder / f"{name}.json")
            _flush_folder(folder)
        finally:
            _clear(folder, name, None if alone else {token, *before})


def load(folder: Path, name: str, form: str, read: Callable[[Mapping[str, Any], Any], T]) -> T:
    """What `read` makes of the manifest and of a function that opens a part by its suffix.

    Raises:
        InputError: the name is no file's name.
        StoreFileError: nothing is saved there under this name, or it is damaged or of another form.
    """
    _check_name(name)
    path = folder / f"{name}.json"
    while True:
        text = _text(path)
        try:
            manifest = _manifest(path, text, form)

            def part(suffix: str, manifest: Mapping[str, Any] = manifest) -> Any:
                return _checked(folder, manifest, suffix)

            return read(manifest, part)
        except FileNotFoundError as error:
            # Another process saved in the meantime, and removed the parts of this manifest.
            if _text(path) == text:
                raise StoreFileError(
                    f"{str(path)!r} names {str(error.filename)!r}, which is not there: put it "
                    "back, or save the store again."
                ) from error


# ---- inside --------------------------------------------------------------------------------------


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(str(name)):
        raise InputError(
            f"index_name is {name!r}: give a file's name of letters, digits, '.', '_' and '-'."
        )


def _check_folder(folder: Path) -> None:
    file = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    if file.exists() and not file.is_dir():
        raise InputError(
            f"A store is saved in a folder, and {str(file)!r} is a file: give the path of a folder."
        )


def _ignored(_: object) -> None:
    return None


def _written(path: Path, writer: Writer) -> dict[str, Any]:
    """Write a file to the disk; its name, size and SHA-256."""
    digest = hashlib.sha256()
    size = 0
    with open(path, "xb") as file:

        def write(piece: bytes) -> int:
            nonlocal size
            digest.update(piece)
            size += len(piece)
            return file.write(piece)

        writer(write)
        file.flush()
        os.fsync(file.fileno())
    return {"file": path.name, "bytes": size, "sha256": digest.hexdigest()}


def _make(folder: Path) -> None:
    """Make the folder and those above it, to the disk."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in reversed(missing):
        _flush_folder(each.parent)


def _flush_folder(folder: Path) -> None:
    """The names in a folder, to the disk; on Windows that is done with the files."""
    if sys.platform != "win32":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _named(folder: Path, name: str) -> set[str]:
    """The tokens in the manifest; none where there is no manifest."""
    with suppress(OSError):
        text = (folder / f"{name}.json").read_text(encoding="utf-8", errors="replace")
        return set(re.findall(r"\.([0-9a-f]{32})\.", text))
    return set()


def _clear(folder: Path, name: str, tokens: set[str] | None) -> None:
    """Remove parts that the manifest does not name: those with these tokens, or all of them. What
    cannot be removed, the next save tries again."""
    named = _named(folder, name)
    pattern = re.compile(rf"{re.escape(name)}\.([0-9a-f]{{32}})\.\w+")
    for path in folder.iterdir():
        found = pattern.fullmatch(path.name)
        if found and found[1] not in named and (tokens is None or found[1] in tokens):
            with suppress(OSError):
                path.unlink()


def _of_manifest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreFileError(f"{str(path)!r} is not there: nothing is saved as that.") from error
    except UnicodeDecodeError as error:
        raise _damaged(path, "it is no text") from error


def _manifest(path: Path, text: str, form: str) -> Mapping[str, Any]:
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise _damaged(path, f"it is no JSON ({error})") from error
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise StoreFileError(f"{str(path)!r} is the manifest of no store.")
    if manifest["format"] != form:
        raise StoreFileError(
            f"{str(path)!r} is of the format {manifest['format']!r}, and this reads {form!r}."
        )
    if manifest.pop("sha256", None) != _of_manifest(manifest):
        raise _damaged(path, "its contents do not have the SHA-256 that stands in it")
    return manifest


@contextmanager
def _checked(folder: Path, manifest: Mapping[str, Any], suffix: str) -> Iterator[Any]:
    """A part, open for reading at its start; its size and SHA-256 are right."""
    written = manifest["parts"][suffix]
    path = folder / Path(written["file"]).name
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(_PIECE):
            digest.update(piece)
        if file.tell() != written["bytes"]:
            raise _damaged(path, f"it has {file.tell()} bytes and had {written['bytes']}")
        if digest.hexdigest() != written["sha256"]:
            raise _damaged(path, "its SHA-256 is another than when it was saved")
        file.seek(0)
        yield file


def _damaged(path: Path, how: str) -> StoreFileError:
    return StoreFileError(
        f"{str(path)!r} is damaged: {how}. Take it from a backup, or make the store again."
    )
