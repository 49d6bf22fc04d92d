"""Which runs a view tells of: by name, type and tag, decided once per run, before any event.

A type that no run has gives silence, so a misspelt one is refused. What user code reports goes by
its label where runs go by their types; so a type that resembles none is taken for such a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from ..errors import ConfigError
from ..events import RunInfo
from ..flow import EMPTY
from ..runnables._handle import Names
from ..shapes import Node

__all__ = ["TYPES", "Filter", "Names", "listed"]

TYPES = ("chain", "chat_model", "llm", "parser", "prompt", "retriever", "tool")
"""The types of runs; a class of one's own may declare another one, as its `_run_type`."""

_ALIKE = 0.8  # of two words, by `difflib`: from here on one is the other, misspelt

_FILTERS = [
    f"{side}_{what}" for side in ("include", "exclude") for what in ("names", "types", "tags")
]


class Filter:
    """A run passes if there is no `include_…` at all or one of them names it (by name, by type, or
    by one of its tags), and no `exclude_…` does.

    Args:
        rest: what else was given with them; a filter among it is a misspelt one.

    Raises:
        ConfigError: one of them is misspelt, or no list of strings, or has a type that must be a
            misspelt one.
    """

    __slots__ = ("_exclude", "_include")

    def __init__(
        self,
        *,
        include_names: Names = None,
        include_types: Names = None,
        include_tags: Names = None,
        exclude_names: Names = None,
        exclude_types: Names = None,
        exclude_tags: Names = None,
        rest: Mapping[str, Any] = EMPTY,
    ) -> None:
        for key in rest:
            if key.startswith(("include_", "exclude_")):
                raise ConfigError(f"There is no filter {key}=: there are {', '.join(_FILTERS)}.")
        self._include = _sets(
            include_names=include_names, include_types=include_types, include_tags=include_tags
        )
        self._exclude = _sets(
            exclude_names=exclude_names, exclude_types=exclude_types, exclude_tags=exclude_tags
        )

    def __bool__(self) -> bool:
        """Whether anything is filtered at all."""
        return self._include is not None or self._exclude is not None

    def passes(self, run: RunInfo) -> bool:
        """Whether to tell of a run."""
        return not self or self.lets(run.name, run.run_type, run.all_tags)

    def lets(self, name: str, kind: str, tags: Iterable[str]) -> bool:
        """The same, of a name, a type and tags."""
        wanted = self._include is None or _names(self._include, name, kind, tags)
        return wanted and (self._exclude is None or not _names(self._exclude, name, kind, tags))


_Sets = tuple[frozenset[str], frozenset[str], frozenset[str]]


def _sets(**given: Any) -> _Sets | None:
    """The names, types and tags of one side; None where none is given."""
    lists = {key: listed(key, names) for key, names in given.items()}
    if all(found is None for found in lists.values()):
        return None
    for key, found in lists.items():
        if key.endswith("_types"):
            _check_types(key, found or [])
    names, kinds, tags = (frozenset(found or ()) for found in lists.values())
    return names, kinds, tags


def listed(key: str, names: Any) -> list[str] | None:
    """What a filter was given, as a list.

    Raises:
        ConfigError: it is a string, or no collection of strings.
    """
    if names is None:
        return None
    if isinstance(names, str):
        raise ConfigError(f"{key} is the string {names!r}: give a list, [{names!r}].")
    if isinstance(names, (bytes, Mapping)) or not isinstance(names, Iterable):
        raise ConfigError(f"{key} is {names!r}: give a list of strings, or None.")
    found = list(names)
    for name in found:
        if not isinstance(name, str):
            raise ConfigError(f"{key} holds {name!r}: give a list of strings.")
    return found


def _check_types(key: str, kinds: Iterable[str]) -> None:
    for kind in kinds:
        if kind in TYPES:
            continue
        meant = _meant(kind)
        if meant is not None and kind not in set(_declared(Node)):
            side = key.removesuffix("_types")
            raise ConfigError(
                f"{key} holds {kind!r}, and no run is of that type: is {meant!r} meant? The types "
                f"are {', '.join(TYPES)}. An event of your own that is called {kind!r} is found by "
                f"{side}_names."
            )


def _meant(kind: str) -> str | None:
    """The type that a word is close to, if there is one."""
    word = kind.lower()
    whole = [known for known in TYPES if word in known.split("_")]
    return next(iter(whole or get_close_matches(word, TYPES, 1, _ALIKE)), None)


def _declared(cls: type[Node]) -> Iterator[str]:
    """The types that classes give their runs, from one downwards."""
    yield cls._run_type
    for below in cls.__subclasses__():
        yield from _declared(below)


def _names(sets: _Sets, name: str, kind: str, tags: Iterable[str]) -> bool:
    names, kinds, wanted = sets
    return name in names or kind in kinds or not wanted.isdisjoint(tags)
