"""`headrace index`: bring the files under a PATH into a store, and keep it in step with them.

Files are read and cut first, then their passages embedded, so that the second bar, the slow one,
knows how far it is to go. A file that cannot be read keeps the passages it had.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from headrace.document_loaders import LoadError
from headrace.documents import Document
from headrace.errors import HeadraceError
from headrace.indexing import IndexingResult

from .event_text import clean as visible
from .gathering import Found, find, fits, passages
from .interrupt import stop_on_interrupt
from .library import Library, Stale
from .outcome import UsageError, one_line
from .screen import Screen, remark

__all__ = ["index_files"]

_LEAST = 50  # characters in a passage: fewer say nothing
_SHOWN = 10  # files that could not be read, by name


class UnreadError(HeadraceError):
    """Some files could not be read; the others are indexed."""


@dataclass(slots=True)
class _Read:
    """What was read: passages, the files they are from, and why others could not be read."""

    passages: list[Document] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)


def index_files(
    path: str, *, store: str, globs: Sequence[str], chunk_size: int | None, clean: str
) -> None:
    """Index what is under a path.

    Args:
        path: a file or a folder.
        store: the folder of the store.
        globs: which files; none: all of a kind that is known.
        chunk_size: characters in a passage; None: as the store has them.
        clean: whose passages go, unless they are given again: "full": those of files that were
            read, and of files under the path that are gone; "incremental": of files that were
            read; "none": nobody's.

    Raises:
        UsageError: the path is missing, or nothing in it can be indexed.
        LibraryError: the store cannot be used.
        UnreadError: at the end, where files could not be read.
    """
    if chunk_size is not None and chunk_size < _LEAST:
        raise UsageError(f"--chunk-size is {chunk_size}: give {_LEAST} characters or more.")
    begun = time.perf_counter()
    root = Path(path).resolve()
    folder = Path(store).resolve()
    if not root.exists():
        raise UsageError(f"There is no file or folder {path!r}: give the PATH of one.")
    if folder in (root, *root.parents):
        raise UsageError(
            f"{path!r} is the store or lies in it: give the PATH of what is to be indexed, and "
            "--store another folder."
        )
    found = find(root, globs, folder)
    if not Library.is_at(Path(store)) and not found.files:
        raise UsageError(_nothing(path, globs, found))
    try:
        with stop_on_interrupt(), Library.changing(Path(store), chunk_size) as library:
            gone = {each for each in library.sources() if _is_gone(each, root, globs)}
            if not found.files and not gone:
                raise UsageError(_nothing(path, globs, found))
            read = _read(found, library.settings.chunk_size)
            with _bar("embedding", len(read.passages)) as step:
                result = library.update(read.passages, _stale(clean, read.files, gone), step)
    except KeyboardInterrupt:
        remark(f"interrupted: {store} is as it was, and the next run goes on from here")
        raise
    _report(found, read, result, time.perf_counter() - begun)


def _read(found: Found, chunk_size: int) -> _Read:
    read = _Read(failed=dict(found.closed))
    with _bar("reading", len(found.files)) as step:
        for file in found.files:
            try:
                read.passages += passages(file, chunk_size)
                read.files.add(str(file))
            except (HeadraceError, OSError) as error:
                read.failed[str(file)] = _why(file, error)
            step(1)
    return read


def _why(file: Path, error: Exception) -> str:
    """Why a file could not be read, without its name, and without advice for who calls a loader."""
    if isinstance(error, OSError) and not isinstance(error, HeadraceError):
        return error.strerror or one_line(error)
    said = error.fault.removesuffix(".") if isinstance(error, LoadError) else one_line(error)
    return said.removeprefix(str(file)).lstrip(",: ")


# ---- whose passages go --------------------------------------------------------------------------


def _is_gone(source: str, root: Path, globs: Sequence[str]) -> bool:
    """Whether a file was under the path, and one of those that are asked for, and is no more."""
    file = Path(source)
    if root not in (file, *file.parents):
        return False
    if globs and root != file and not fits(file.relative_to(root), globs):
        return False
    try:
        os.stat(file)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # it is there, or nobody can say
        return False
    return False


def _stale(clean: str, read: Iterable[str], gone: Iterable[str]) -> Stale | None:
    if clean == "none":
        return None
    stale = {*read, *(gone if clean == "full" else ())}
    return stale.__contains__


# ---- what is said -------------------------------------------------------------------------------


def _nothing(path: str, globs: Sequence[str], found: Found) -> str:
    if globs:
        patterns = " or ".join(map(repr, globs))
        return f"No file in {path!r} fits --glob {patterns}, or none of them is text."
    others = f": there are {_counted(found)}" if found.others else ""
    return (
        f"There is nothing to index in {path!r}{others}. Text, Markdown, HTML, PDF, CSV, JSON and "
        "source code can be indexed, other text with --glob."
    )


def _counted(found: Found) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(found.others.items()))


def _report(found: Found, read: _Read, result: IndexingResult, seconds: float) -> None:
    """Say what was done on standard output, and what was not on standard error."""
    Screen().show(
        f"{_number(len(read.files), 'file')} · {_number(len(read.passages), 'passage')} · "
        f"{result['num_added']} added · {result['num_skipped']} unchanged · "
        f"{result['num_deleted']} deleted · {seconds:.1f} s\n"
    )
    if found.others:
        remark(f"left out: {_counted(found)}")
    if not read.failed:
        return
    lines = [_line(f"not read: {_short(file)}: {why}") for file, why in read.failed.items()]
    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"not read: {len(lines) - _SHOWN} more"]
    remark("\n".join(lines))
    raise UnreadError(
        f"{_number(len(read.failed), 'file')} could not be read; what the store had of them is "
        "kept."
    )


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _line(text: str) -> str:
    """One line that moves no cursor, whatever a file is called."""
    return visible(text).replace("\n", " ")


def _short(file: str) -> str:
    """A path as from the current folder, where it is in there."""
    here = f"{Path.cwd()}{os.sep}"
    return file.removeprefix(here)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, which is gone when the work is done; nothing where that is no
    terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    label = TextColumn("{task.description}")
    with Progress(
        label, *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda more: progress.update(task, advance=more)
