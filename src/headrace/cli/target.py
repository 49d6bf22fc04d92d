"""A TARGET of the command line, `path/to/file.py:name` or `package.module:name`, loaded.

As with `python file.py` and `python -m module`, the file's folder or the current folder comes first
in the search path, so that a target can import its neighbours. The name may be dotted.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from headrace.runnables import Runnable, coerce_to_runnable

from .outcome import TargetError

__all__ = ["load_target", "looks_like_target"]

T = TypeVar("T")

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_FORMS = "path/to/file.py:name or package.module:name"


def looks_like_target(word: str) -> bool:
    """Whether a word is meant as a TARGET: `explain: why?` and `https://x.org` are not."""
    place, _, name = word.rpartition(":")
    if not place:  # no colon: perhaps a file whose name was forgotten
        return word.endswith(".py") and Path(word).is_file()
    if not _DOTTED.fullmatch(name):
        return False
    if place.endswith(".py"):
        return Path(place).is_file() or not any(map(str.isspace, place))
    return bool(_DOTTED.fullmatch(place)) and _is_importable(place)


def load_target(word: str) -> Runnable[Any, Any]:
    """The runnable that a TARGET names; a function, generator function or dict becomes one.

    Raises:
        TargetError: there is no such file, module or name, it cannot be imported, or it is nothing
            that can be run.
    """
    place, colon, name = word.rpartition(":")
    if not colon and word.endswith(".py"):
        place, name = word, ""
    if place.endswith(".py"):
        module = _load_file(Path(place))
    elif _DOTTED.fullmatch(place) and _DOTTED.fullmatch(name):
        module = _load_module(place)
    else:
        raise TargetError(
            f"{word!r} is no TARGET: write {_FORMS}; put an INPUT of several words in quotes."
        )
    return _runnable(_find(module, place, name), word)


# ---- modules ------------------------------------------------------------------------------------


def _search_first(folder: Path) -> None:
    path = str(folder.resolve())
    if path in sys.path:
        sys.path.remove(path)
    sys.path.insert(0, path)


def _is_importable(name: str) -> bool:
    _search_first(Path.cwd())
    try:
        return importlib.util.find_spec(name) is not None
    except Exception as error:
        # Its parent package is missing; or it is there and broken, which loading it will show.
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        return missing is None or not f"{name}.".startswith(f"{missing}.")


def _load_module(name: str) -> ModuleType:
    _search_first(Path.cwd())
    if not _is_importable(name):
        raise TargetError(
            f"There is no module {name!r} to import here or in the environment of "
            f"{sys.executable!r}: write {_FORMS}."
        )
    return _imported(lambda: importlib.import_module(name), name)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise TargetError(f"There is no file {str(path)!r} (looked in {str(Path.cwd())!r}).")
    _search_first(path.parent)
    # Under its own name, as an import would have it, unless that would hide a loaded module.
    name = path.stem if path.stem not in sys.modules else f"headrace_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{str(path)!r} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    load = spec.loader.exec_module
    _imported(lambda: load(module), str(path))
    return module


def _imported(load: Callable[[], T], what: str) -> T:
    try:
        return load()
    except Exception as error:
        kind, where = type(error).__name__, ""
        ours = [f for f in traceback.extract_tb(error.__traceback__) if _is_users(f.filename)]
        if ours and not isinstance(error, SyntaxError):  # whose text says where by itself
            where = f" ({Path(ours[-1].filename).name}, line {ours[-1].lineno})"
        raise TargetError(f"{what!r} cannot be imported: {kind}: {error}{where}") from error


def _is_users(filename: str) -> bool:
    return not filename.startswith("<") and Path(__file__).parent not in Path(filename).parents


# ---- names --------------------------------------------------------------------------------------


def _find(module: ModuleType, place: str, name: str) -> Any:
    if not name:
        raise TargetError(f"{place!r} says no name: write {place}:name. {_offer(module)}")
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            close = get_close_matches(part, _runnables(module), 1) if found is module else []
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise TargetError(f"{place!r} has no {name!r}.{hint} {_offer(module)}")
        found = getattr(found, part)
    return found


def _runnables(module: ModuleType) -> list[str]:
    """The names of a module's runnables; of its own functions where it has none."""
    public = {key: value for key, value in vars(module).items() if not key.startswith("_")}
    runnables = [key for key, value in public.items() if isinstance(value, Runnable)]
    return runnables or [
        key
        for key, value in public.items()
        if callable(value)
        and not isinstance(value, type)
        and getattr(value, "__module__", None) == module.__name__
    ]


def _offer(module: ModuleType) -> str:
    names = _runnables(module)
    return f"It has: {', '.join(names)}." if names else "There is no runnable in it."


def _runnable(found: Any, word: str) -> Runnable[Any, Any]:
    if isinstance(found, type):
        raise TargetError(
            f"{word!r} is the class {found.__name__}: make an instance of it in that module and "
            "name that."
        )
    try:
        made: Runnable[Any, Any] = coerce_to_runnable(found)
    except TypeError as error:
        raise TargetError(f"{word!r} is no runnable: {error}") from error
    return made
