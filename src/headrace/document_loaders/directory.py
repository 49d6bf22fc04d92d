"""`DirectoryLoader`: the files of a directory, each by the loader of its kind, in sorted order."""

from __future__ import annotations

import errno
import logging
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from headrace._progress import bar
from headrace.documents import Document
from headrace.errors import ConfigError, InputError

from .base import BaseLoader
from .blobs import PathLike
from .csv_loader import CSVLoader
from .html import HTMLLoader
from .json_loader import JSONLinesLoader, JSONLoader
from .markdown import MarkdownLoader
from .pdf import PyPDFLoader
from .reading import LoadError, checked_path
from .text import TextLoader

__all__ = ["LOADERS", "DirectoryLoader"]

MakeLoader: TypeAlias = Callable[..., BaseLoader]
OnError: TypeAlias = Literal["raise", "warn", "skip"] | Callable[[str, Exception], None]

_logger = logging.getLogger("headrace")
_ON_ERROR = ("raise", "warn", "skip")
_SOURCES = (
    ".bat .c .cc .cfg .clj .conf .cpp .cs .css .cxx .ex .exs .go .h .hpp .hs .ini .java .js .jsx "
    ".kt .lua .m .php .pl .proto .ps1 .py .pyi .r .rb .rs .scala .sh .sol .sql .swift .tex .toml "
    ".ts .tsx .vb .xml .yaml .yml"
)

LOADERS: Mapping[str, MakeLoader] = {
    **dict.fromkeys([".txt", ".text", ".rst", ".log", *_SOURCES.split()], TextLoader),
    **dict.fromkeys([".md", ".markdown"], MarkdownLoader),
    **dict.fromkeys([".html", ".htm", ".xhtml"], HTMLLoader),
    ".pdf": PyPDFLoader,
    ".csv": CSVLoader,
    ".tsv": partial(CSVLoader, csv_args={"delimiter": "\t"}),
    ".json": partial(JSONLoader, text_content=False),
    **dict.fromkeys([".jsonl", ".ndjson"], partial(JSONLinesLoader, text_content=False)),
}
"""What loads a file, by the end of its name."""


class DirectoryLoader(BaseLoader):
    """The documents of the files in a directory, one file after another, sorted by path.

    Args:
        path: the directory.
        glob: which files: a pattern, or several. By default all of them, in subdirectories too.
        silent_errors: the same as `on_error="warn"`.
        load_hidden: also files and directories whose names begin with a dot.
        loader_cls: what loads every file, whatever its name.
        loader_kwargs: its arguments beside the path.
        recursive: look for the patterns in subdirectories too.
        show_progress: draw a progress bar, file by file.
        use_multithreading: load several files at a time; their order stays.
        max_concurrency: how many.
        exclude: patterns of files to leave out.
        sample_size: load so many files at most; 0 for all.
        randomize_sample: choose these at random.
        sample_seed: the same ones again.
        loaders: what loads a file, by the end of its name, e.g. `{".adoc": TextLoader}`: beside
            `LOADERS`, or in place of some of them. "" is for names that no other fits.
        on_error: what to do about a file that cannot be loaded: "raise", "warn" (a line in the
            log), "skip", or a function of path and error.

    A file that no loader is for is left out; one line in the log says how many there were.

    Raises:
        ConfigError: the arguments contradict each other.
    """

    def __init__(
        self,
        path: PathLike,
        glob: str | Sequence[str] = "**/[!.]*",
        silent_errors: bool = False,
        load_hidden: bool = False,
        loader_cls: MakeLoader | None = None,
        loader_kwargs: Mapping[str, Any] | None = None,
        recursive: bool = False,
        show_progress: bool = False,
        use_multithreading: bool = False,
        max_concurrency: int = 4,
        *,
        exclude: str | Sequence[str] = (),
        sample_size: int = 0,
        randomize_sample: bool = False,
        sample_seed: int | None = None,
        loaders: Mapping[str, MakeLoader] | None = None,
        on_error: OnError | None = None,
    ) -> None:
        if on_error is None:
            on_error = "warn" if silent_errors else "raise"
        _check(loader_cls, loader_kwargs, loaders, on_error, max_concurrency)
        self.path = checked_path(path, "path", "a directory")
        self.glob = [_inside(each) for each in ([glob] if _is_one(glob) else glob)]
        self.exclude = [exclude] if isinstance(exclude, str) else list(exclude)
        self.load_hidden = load_hidden
        self.loader_cls = loader_cls
        self.loader_kwargs = dict(loader_kwargs or {})
        self.loaders = {**LOADERS, **(loaders or {})}
        self.recursive = recursive
        self.show_progress = show_progress
        self.at_a_time = max_concurrency if use_multithreading else 1
        self.sample_size = sample_size
        self.randomize_sample = randomize_sample
        self.sample_seed = sample_seed
        self.on_error = on_error

    def lazy_load(self) -> Iterator[Document]:
        """The documents, file by file.

        Raises:
            FileNotFoundError: there is no such directory.
            InputError: it is no directory.
            LoadError: a file is not what it seems to be, and `on_error` is "raise".
        """
        files = self._files()
        with bar("Loading", total=len(files), shown=self.show_progress) as step:
            if self.at_a_time == 1:
                for file, make in files:
                    yield from self._documents(file, make)
                    step(1)
                return
            for documents in self._several(files):
                yield from documents
                step(1)

    # ---- which files ------------------------------------------------------------------------

    def _files(self) -> list[tuple[Path, MakeLoader]]:
        """The files to load, sorted, and what loads them."""
        root = Path(self.path)
        if not root.exists():
            raise FileNotFoundError(errno.ENOENT, "There is no such directory", str(self.path))
        if not root.is_dir():
            raise InputError(f"{self.path} is a file: give it to a loader, or its directory here.")
        search = root.rglob if self.recursive else root.glob
        found = {path for pattern in self.glob for path in search(pattern)}
        files = sorted(path for path in found if self._wanted(path, root))
        chosen, unknown = [], Counter[str]()
        for file in files:
            make = self._loader_for(file)
            if make is None:
                unknown[file.suffix or file.name] += 1
            else:
                chosen.append((file, make))
        if unknown:
            kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(unknown.items()))
            _logger.warning("%s: no loader for %s. Give loaders={…} for them.", self.path, kinds)
        return self._sampled(chosen)

    def _wanted(self, path: Path, root: Path) -> bool:
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if hidden and not self.load_hidden:
            return False
        return path.is_file() and not any(path.match(pattern) for pattern in self.exclude)

    def _loader_for(self, file: Path) -> MakeLoader | None:
        if self.loader_cls is not None:
            return partial(self.loader_cls, **self.loader_kwargs)
        name = file.name.lower()
        fitting = [end for end in self.loaders if name.endswith(end)]
        return self.loaders[max(fitting, key=len)] if fitting else None

    def _sampled(self, files: list[tuple[Path, MakeLoader]]) -> list[tuple[Path, MakeLoader]]:
        if self.sample_size <= 0 or self.sample_size >= len(files):
            return files
        if not self.randomize_sample:
            return files[: self.sample_size]
        chosen = random.Random(self.sample_seed).sample(range(len(files)), self.sample_size)
        return [files[number] for number in sorted(chosen)]

    # ---- what is in them --------------------------------------------------------------------

    def _documents(self, file: Path, make: MakeLoader) -> Iterator[Document]:
        try:
            yield from make(str(file)).lazy_load()
        except Exception as error:
            self._failed(file, make, error)

    def _all(self, file: Path, make: MakeLoader) -> list[Document]:
        return list(self._documents(file, make))

    def _failed(self, file: Path, make: MakeLoader, error: Exception) -> None:
        if callable(self.on_error):
            self.on_error(str(file), error)
            return
        if isinstance(error, LoadError) and error.advice:
            error = LoadError(error.fault, f"{error.advice} {self._handing_on(file, make)}")
        if self.on_error == "warn":
            _logger.warning("%s is left out: %s", file, error)
        elif self.on_error == "raise":
            error.add_note(f"DirectoryLoader was loading {file}.")
            raise error

    def _handing_on(self, file: Path, make: MakeLoader) -> str:
        """How a file's loader is given something."""
        if self.loader_cls is not None:
            return "A DirectoryLoader hands it on: loader_kwargs={…}."
        name = getattr(make, "func", make).__name__
        return f"A DirectoryLoader hands it on: loaders={{{file.suffix!r}: partial({name}, …)}}."

    def _several(self, files: Iterable[tuple[Path, MakeLoader]]) -> Iterator[list[Document]]:
        """The documents of each file, in order, with some files being loaded meanwhile."""
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(self.at_a_time, "headrace-loader"))
            under_way: deque[Future[list[Document]]] = deque()
            stack.callback(lambda: [each.cancel() for each in under_way])
            for file, make in files:
                if len(under_way) == self.at_a_time:
                    yield under_way.popleft().result()
                job = pool.submit(copy_context().run, self._all, file, make)
                under_way.append(job)
            while under_way:
                yield under_way.popleft().result()


def _is_one(glob: Any) -> bool:
    return isinstance(glob, str) or not isinstance(glob, Iterable)


def _inside(pattern: Any) -> str:
    if not isinstance(pattern, str):
        raise ConfigError(f"The pattern {pattern!r} is no string: give one such as '**/*.md'.")
    parts = Path(pattern).parts
    if not parts or ".." in parts or Path(pattern).is_absolute():
        raise ConfigError(
            f"The pattern {pattern!r} does not stay inside of the directory: give one such as "
            "'**/*.md', and the directory as path."
        )
    return pattern


def _check(
    loader_cls: MakeLoader | None,
    loader_kwargs: Mapping[str, Any] | None,
    loaders: Mapping[str, MakeLoader] | None,
    on_error: Any,
    max_concurrency: Any,
) -> None:
    for each in (loader_cls, *(loaders or {}).values()):
        if each is not None and not callable(each):
            raise ConfigError(
                f"A loader of DirectoryLoader is {each!r} ({type(each).__name__}): give a class "
                "of loaders, or a function from a path to a loader, e.g. TextLoader."
            )
    if loader_cls is not None and loaders is not None:
        raise ConfigError("loader_cls loads every file, so loaders has no use: give one of them.")
    if loader_kwargs and loader_cls is None:
        raise ConfigError(
            "loader_kwargs are arguments of loader_cls, which is not given: give it, or "
            "loaders={'.txt': partial(TextLoader, …)}."
        )
    if on_error not in _ON_ERROR and not callable(on_error):
        raise ConfigError(f"on_error is {on_error!r}: give 'raise', 'warn', 'skip' or a function.")
    if not isinstance(max_concurrency, int) or max_concurrency < 1:
        raise ConfigError(f"max_concurrency is {max_concurrency!r}: give a number, 1 or more.")
