"""When the chunks of a run came, step by step, and which step held the stream up.

    with timing() as times:
        for chunk in chain.stream("x"): ...
    print(times)                     # a table, one line per step
    times.root.held_by.path          # "RunnableSequence/2:FakeListChatModel"

`Timings` is the machine: `feed(event)` takes the typed events of a tree of runs, `report()` gives
what is known so far as a tree of `RunTiming`. All times are seconds on the events' own monotonic
clock. What is kept is bounded per run, whatever the number of its chunks (see `Gaps`).

**Held up.** While the outermost run waits for its next chunk, some step is what it waits for. Every
event follows from one before it: the step's own last event, one of the runs below it, or one of
the step that feeds it, whichever came last; the time between the two is that step's waiting. So a
way leads from each chunk of the outermost run back to its last one, and the time on that way
belongs to the runs on it; time before a run starts belongs to the run above. `held` is a run's sum
of that; over the tree it adds up to the outermost run's time. `held_by` is the run with most of it
in the outermost run's waits, and `longest` lists the longest waits with the run that had most of
each. Branches of a parallel that worked meanwhile, and were not waited for, are not blamed.

Events do not tell when the consumer asked for a chunk: what it does between two chunks counts as
waiting of the step whose chunk comes next.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from ..run import observed
from .gaps import IDLE, Gaps
from .in_events import Timed
from .machine import KEPT, NoRunError, Timings
from .report import RunTiming, Wait, table

__all__ = ["Gaps", "NoRunError", "RunTiming", "Timed", "Timings", "Wait", "table", "timing"]


def timing(*, idle: float = IDLE, keep: int = KEPT) -> AbstractContextManager[Timings]:
    """Time every run that begins inside the block, sync or async, in its context: threads and tasks
    that got a copy of it are meant, too. Print what it gives, or read its `root` and `runs`, also
    while runs go on.

    Args:
        idle: from how many seconds without a chunk on a stream counts as idle.
        keep: of how many outermost runs the times are kept, the latest ones.

    Raises:
        ConfigError: `idle` is no such number, or `keep` is less than 1.
    """
    return _taken(Timings(idle, keep))


@contextmanager
def _taken(times: Timings) -> Iterator[Timings]:
    with observed(times):
        yield times
