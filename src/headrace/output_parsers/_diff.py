"""JSON-patch operations (RFC 6902) between the values of a stream.

`Differences` compares by identity: the snapshots of a JSON stream share what has closed, and of an
open container only the last element can have changed, so of two snapshots only that and what is new
is looked at. The operations are those that LangChain gives for values that grow (`replace` of the
root first, then `add` and `replace`), with the path's parts escaped as RFC 6901 has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

__all__ = ["Differences", "Operation"]

Operation = dict[str, Any]


class Differences:
    """From one value of a stream to the next. `looked`: how many pairs of values were compared."""

    __slots__ = ("_last", "looked")

    def __init__(self) -> None:
        self._last: Any = None
        self.looked = 0

    def to(self, value: Any, *, again: bool = False) -> list[Operation]:
        """The operations that make `value` of the one before, which was null at first.

        again: `value` is not the one before with more at its end: compare all of the two.
        """
        before, self._last = self._last, value
        if again:
            return _all(before, value, "")
        return self._grown(before, value)

    def _grown(self, old: Any, new: Any) -> list[Operation]:
        # Down the open path by a loop: values may be a thousand levels deep. What was added to a
        # container comes after what changed below it, as it does in the text.
        added: list[list[Operation]] = []
        path, changed = "", None
        while old is not new:
            self.looked += 1
            steps = _steps(old, new)
            if steps is None:
                if type(old) is not type(new) or old != new:
                    changed = {"op": "replace", "path": path, "value": new}
                break
            last, fresh = steps
            self.looked += len(fresh)
            added.append([_add(path, each, new[each]) for each in fresh])
            if last is None:
                break
            old, new, path = old[last], new[last], f"{path}/{_escaped(last)}"
        first = [] if changed is None else [changed]
        return first + [operation for some in reversed(added) for operation in some]


def _steps(old: Any, new: Any) -> tuple[Any, list[Any]] | None:
    """Of two containers of a kind: the place that was open, if there is one, and the new places."""
    size = len(old) if isinstance(old, (dict, list)) else 0
    if isinstance(old, dict) and isinstance(new, dict):
        fresh = list(islice(reversed(new), len(new) - size))[::-1]
        return (next(reversed(old)) if old else None), fresh
    if isinstance(old, list) and isinstance(new, list):
        return (size - 1 if size else None), list(range(size, len(new)))
    return None


def _add(path: str, at: Any, value: Any) -> Operation:
    return {"op": "add", "path": f"{path}/{_escaped(at)}", "value": value}


def _escaped(part: Any) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


_SHALLOW = 64  # levels; what differs below is replaced


def _all(old: Any, new: Any, path: str, level: int = 0) -> list[Operation]:
    """The same for any two values: what is gone or shorter is replaced as a whole."""
    if old is new:
        return []
    steps: Iterable[Any]
    if (
        level < _SHALLOW
        and isinstance(old, dict)
        and isinstance(new, dict)
        and old.keys() <= new.keys()
    ):
        steps = new
    elif (
        level < _SHALLOW
        and isinstance(old, list)
        and isinstance(new, list)
        and len(old) <= len(new)
    ):
        steps = range(len(new))
    elif type(old) is type(new) and old == new and not isinstance(new, (dict, list)):
        return []
    else:
        return [{"op": "replace", "path": path, "value": new}]
    out: list[Operation] = []
    for step in steps:
        if step in old if isinstance(old, dict) else step < len(old):
            out += _all(old[step], new[step], f"{path}/{_escaped(step)}", level + 1)
        else:
            out.append(_add(path, step, new[step]))
    return out
