"""How a runnable is copied and pickled: one rule for all of them.

A copy is made of the parts: `copy.copy`, `copy.deepcopy` and pickle take an object's attributes,
except those named in `_derived`, which `_derive()` makes anew from the others. Where pickle could
not find a part again, `_pickling.py` says so with the step's name; it is loaded only for that.
"""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from ..shapes import Node

_HOOKS = ("__reduce_ex__", "__reduce__")


class Copied(Node):
    """The part of `Runnable` that is about copies."""

    _derived: ClassVar[tuple[str, ...]] = ()  # attributes that are made, not carried over

    def _derive(self) -> None:
        """Make the attributes named in `_derived`."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        made = super().__reduce_ex__(protocol)
        if not isinstance(made, tuple) or len(made) < 3:
            return made
        make, args, state, *rest = made
        if self._derived and isinstance(state, dict):
            state = {key: value for key, value in state.items() if key not in self._derived}
        caller = sys._getframe(1)
        while caller.f_code.co_name in _HOOKS and caller.f_back is not None:
            caller = caller.f_back  # a subclass's own, which calls `super()`
        if caller.f_globals.get("__name__") != "copy":  # a copy takes functions along as they are
            from ._pickling import sendable

            args, state = sendable(self, args, state, caller.f_locals.get("self"))
        return (make, args, state, *rest)

    def __setstate__(self, state: Any) -> None:
        attributes, slots = state if isinstance(state, tuple) else (state, None)
        self.__dict__.update(attributes or {})
        for name, value in (slots or {}).items():
            setattr(self, name, value)
        self._derive()


class ByValue(Node):
    """Of a class that has its settings, and nothing else, in its public attributes: two are equal
    where those are."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _settings(self) == _settings(other)

    __hash__ = None  # type: ignore[assignment]


def _settings(node: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(node).items() if not name.startswith("_")}
