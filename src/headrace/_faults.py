"""What becomes of an observer's error that is not raised: a record in the log, without content.

Of each observer and run the first failure is logged with its traceback, in one line that says which
hook failed at which run; the others are counted, and told in one line at the run's end. What an
event holds, prompts and answers among it, never stands in a record.
"""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING, Any

from ._lazy import Lazy
from .events import RunInfo

if TYPE_CHECKING:
    import logging
else:
    logging = Lazy("logging")  # needed when an observer fails

__all__ = ["Faults", "note", "tell"]

_counting = Lock()


def _named(observer: Any, run: RunInfo, at: Any) -> str:
    """What a record calls it, e.g. `MyHandler.on_llm_end`: an observer's class may say so itself,
    by a method `_in_logs(run, kind)`."""
    if isinstance(at, str):
        return f"{type(observer).__name__}.{at}"
    own = getattr(type(observer), "_in_logs", None)
    kind = at if isinstance(at, type) else type(at)
    return f"{type(observer).__name__}.on_event" if own is None else own(observer, run, kind)


def note(run: Any, observer: Any, at: Any) -> None:
    """Inside `except`: raise an observer's error where it asks for that, else see to the log.

    Args:
        at: the event, its class, or the name of a method.
    """
    if getattr(observer, "raise_error", False):
        raise  # noqa: PLE0704 - called where an exception is being handled
    if run.faults is None:
        run.faults = Faults()
    run.faults.note(observer, run, at)


def tell(run: Any) -> None:
    """The run is over: put the sums in the log, behind what is still to be told."""
    if run.pending:
        run.pending.append((None, run))
    elif run.faults is not None:
        run.faults.tell(run)


class Faults:
    """The failures of one run's observers."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Any, Counter[str]]] = {}  # the observer keeps its id taken

    def note(self, observer: Any, run: RunInfo, at: Any) -> None:
        """Inside `except`: log it, or count it."""
        name = _named(observer, run, at)
        with _counting:
            _, more = kept = self._kept.get(id(observer), (None, Counter()))
            if kept[0] is not None:
                more[name] += 1
                return
            self._kept[id(observer)] = observer, more
        logging.getLogger("headrace").exception("%s failed at %s", name, run.path)

    def tell(self, run: RunInfo) -> None:
        """Log how often each failed besides."""
        with _counting:
            kept, self._kept = self._kept, {}
        for _, more in kept.values():
            for name, count in more.items():
                logging.getLogger("headrace").error(
                    "%s failed %d more time%s at %s", name, count, "s"[count == 1 :], run.path
                )
