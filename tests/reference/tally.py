"""What happens while a program runs: calls counted, faults raised. One book for the reference and
one for the real run, kept by the same rules, so that they can be compared.

Each fault raises a new exception each time; its `label` says where and which: `(path of the piece,
item of the batch, how many before it)`. In the real run the book keeps the objects, and a test
asks for exactly that object.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from typing import Any

from reference.pieces import Fault

Label = tuple[str, int, int | None, str]
"""Path, item, how many before it (None: any), kind."""


class Boom(Exception):
    """The kind of failure that retries and fallbacks are told to handle."""


class Other(Exception):
    """The kind they are not told to handle, where they are told."""


KINDS: dict[str, type[Exception]] = {"boom": Boom, "other": Other}


class Tally:
    """`calls[path, item]`: how often a body was entered. `raised[path, item]`: its errors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls: Counter[tuple[str, int]] = Counter()
        self.raised: defaultdict[tuple[str, int], list[Exception]] = defaultdict(list)

    def enter(self, path: str, item: int) -> None:
        with self._lock:
            self.calls[path, item] += 1

    def check(self, path: str, item: int, fault: Fault | None, at: int) -> None:
        """Raise, if the fault is to go off here and now."""
        if fault is None or fault.at != at or not fault.hits(item):
            return
        with self._lock:
            before = self.raised[path, item]
            if fault.times is not None and len(before) >= fault.times:
                return
            error = self.error((path, item, len(before), fault.kind))
            before.append(error)
        raise error

    def error(self, label: Label) -> Exception:
        error = KINDS[label[3]](label)
        error.label = label  # type: ignore[attr-defined]
        return error

    def find(self, error: Any) -> Label | None:
        """The label of an error that was raised here, this very object; else None."""
        with self._lock:
            for errors in self.raised.values():
                for mine in errors:
                    if mine is error:
                        return mine.label  # type: ignore[attr-defined, no-any-return]
        return None
