"""What a forked child makes anew.

Only the thread that forks goes on in the child. A lock that another one held stays held for ever,
and what that one was changing stays half changed.

    told_after_fork(self)  # in an __init__: self._forked() is called in each child

    @in_child
    def _forget(): ...  # of a module: is called in each child

Source: fork(2); Python's documentation of `os.register_at_fork`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol
from weakref import WeakSet

__all__ = ["in_child", "told_after_fork"]


class _Told(Protocol):
    def _forked(self) -> None: ...


_told: WeakSet[_Told] = WeakSet()


def told_after_fork(thing: _Told) -> None:
    """Have `thing._forked()` called in each forked child, as long as the thing lives."""
    _told.add(thing)


def in_child(function: Callable[[], None]) -> Callable[[], None]:
    """Have a function called in each forked child."""
    if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
        os.register_at_fork(after_in_child=function)
    return function


@in_child
def _tell() -> None:
    for thing in list(_told):
        thing._forked()
