"""A JSON document under patches (RFC 6902): operations in, the document as it is now out.

`apply(operation)` changes the document, `value()` gives it as plain lists and dicts that are never
changed afterwards, whatever is applied later. Values share what has not changed between them: one
costs what changed since the last one, plus a copy of each dict on the way there. A list that only
grows is not copied for a consumer that looks at one value after the other (`jsonstream.Spares`
says how); who keeps every value pays for a list of references in each. They are real lists and
dicts because serializers written in C read the storage of a list, not its methods.

Values that come in are not copied: an operation's value and the document's are the same object
until an operation goes inside, and then the document changes a copy of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ..errors import InputError
from ..jsonstream._lexical import NOTHING
from ..jsonstream._snapshot import Spares

__all__ = ["Document", "escaped"]


def escaped(name: str) -> str:
    """A name as one part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


@lru_cache(maxsize=1024)
def _parts(path: str) -> tuple[str, ...]:
    if path and not path.startswith("/"):
        raise InputError(f"The path {path!r} of an operation is no JSON pointer: begin it with /.")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])


class _Dict:
    """A dict into which operations have gone."""

    __slots__ = ("changed", "inner", "items", "made")

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.items: dict[str, Any] = dict(raw)
        self.made: dict[str, Any] = self.items.copy()  # the last value given
        self.inner: dict[str, Any] = {}  # the containers in it that operations went into
        self.changed: dict[str, None] = {}  # in their order, where `made` is behind

    def at(self, key: str) -> Any:
        return self.items[key]

    def open(self, key: str) -> Any:
        node = self.inner.get(key)
        if node is None:
            node = self.inner[key] = _node(self.items[key], key)
        self.changed[key] = None
        return node

    def add(self, key: str, value: Any) -> None:
        self.items[key] = value
        self.inner.pop(key, None)
        self.changed[key] = None

    def replace(self, key: str, value: Any) -> None:
        if key not in self.items:
            raise KeyError(key)
        self.add(key, value)

    def remove(self, key: str) -> None:
        del self.items[key]
        self.inner.pop(key, None)
        self.changed.pop(key, None)
        self.made = {name: value for name, value in self.made.items() if name != key}

    def value(self) -> dict[str, Any]:
        changed = self.changed
        if changed:
            items, inner = self.items, self.inner
            # The old value lets go of what is made anew, so that a list can be used again.
            made = self.made = self.made.copy()
            for key in changed:
                made[key] = None if key in inner else items[key]
            for key in changed:
                if key in inner:
                    made[key] = inner[key].value()
            self.changed = {}
        return self.made


class _List:
    """A list into which operations have gone."""

    __slots__ = ("inner", "items", "spares")

    def __init__(self, raw: list[Any]) -> None:
        self.items: list[Any] = list(raw)
        self.inner: dict[int, Any] = {}
        self.spares = Spares()

    def _place(self, key: str) -> int:
        if not key.isdecimal() or (len(key) > 1 and key[0] == "0"):
            raise KeyError(key)
        return int(key)

    def at(self, key: str) -> Any:
        return self.items[self._place(key)]

    def open(self, key: str) -> Any:
        place = self._place(key)
        node = self.inner.get(place)
        if node is None:
            node = self.inner[place] = _node(self.items[place], key)
        return node

    def _settle(self) -> None:
        """Something else than growth: what hangs in the list is made plain, no copy is used."""
        for place, node in self.inner.items():
            self.items[place] = node.value()
        self.inner, self.spares = {}, Spares()

    def add(self, key: str, value: Any) -> None:
        if key == "-" or (place := self._place(key)) == len(self.items):
            self.items.append(value)
            return
        if place > len(self.items):
            raise IndexError(key)
        self._settle()
        self.items.insert(place, value)

    def replace(self, key: str, value: Any) -> None:
        place = self._place(key)
        self._settle()
        self.items[place] = value

    def remove(self, key: str) -> None:
        place = self._place(key)
        self._settle()
        del self.items[place]

    def value(self) -> list[Any]:
        if not self.inner:
            return self.spares.reuse((self.items,), (None,), NOTHING)  # type: ignore[no-any-return]
        made = self.items.copy()
        for place, node in self.inner.items():
            made[place] = node.value()
        return made


def _node(raw: Any, key: str) -> Any:
    if isinstance(raw, dict):
        return _Dict(raw)
    if isinstance(raw, list):
        return _List(raw)
    raise TypeError(f"{key!r} is {raw!r} ({type(raw).__name__}), neither an object nor an array")


class Document:
    """The document. It begins as None, or as what is given.

    Raises:
        InputError: an operation that cannot be applied, or does not exist.
    """

    __slots__ = ("_top",)

    def __init__(self, value: Any = None) -> None:
        self._top = _Dict({"": value})

    def value(self) -> Any:
        """The document as it is now."""
        return self._top.value()[""]

    def apply(self, operation: Mapping[str, Any]) -> None:
        kind = operation.get("op")
        does = _OPERATIONS.get(kind) if isinstance(kind, str) else None
        if does is None:
            raise InputError(
                f"The operation {operation!r} is not of RFC 6902: its op is one of "
                f"{', '.join(_OPERATIONS)}."
            )
        try:
            does(self, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"The operation {operation!r} does not fit the document: {error!r}. Patches add "
                "up in the order in which they came, from the first one on."
            ) from error

    def _find(self, path: str) -> tuple[Any, str]:
        """The container that a path's last part is in, ready to be changed, and that part."""
        parts = _parts(path)
        node = self._top
        if not parts:
            return node, ""
        node = node.open("")
        for part in parts[:-1]:
            node = node.open(part)
        return node, parts[-1]

    def _read(self, path: str) -> Any:
        """A value that is in the document and stays as it is."""
        parts = ("", *_parts(path))
        node: Any = self._top
        for part in parts[:-1]:
            node = node.open(part)
        key = parts[-1]
        inner = node.inner.get(key if isinstance(node, _Dict) else node._place(key))
        return node.at(key) if inner is None else inner.value()

    def _add(self, operation: Mapping[str, Any]) -> None:
        node, key = self._find(operation["path"])
        node.add(key, operation["value"])

    def _replace(self, operation: Mapping[str, Any]) -> None:
        node, key = self._find(operation["path"])
        node.replace(key, operation["value"])

    def _remove(self, operation: Mapping[str, Any]) -> None:
        node, key = self._find(operation["path"])
        if node is self._top:
            raise KeyError("the whole document cannot be removed")
        node.remove(key)

    def _copy(self, operation: Mapping[str, Any]) -> None:
        value = self._read(operation["from"])
        node, key = self._find(operation["path"])
        node.add(key, value)

    def _move(self, operation: Mapping[str, Any]) -> None:
        source, target = operation["from"], operation["path"]
        if target.startswith(f"{source}/"):
            raise KeyError("it would move into itself")
        value = self._read(source)
        if source == target:
            return
        node, key = self._find(source)
        node.remove(key)
        node, key = self._find(target)
        node.add(key, value)

    def _test(self, operation: Mapping[str, Any]) -> None:
        found = self._read(operation["path"])
        if found != operation["value"]:
            raise ValueError(f"it is {found!r}")


_OPERATIONS: dict[str, Callable[[Document, Mapping[str, Any]], None]] = {
    "add": Document._add,
    "remove": Document._remove,
    "replace": Document._replace,
    "move": Document._move,
    "copy": Document._copy,
    "test": Document._test,
}
