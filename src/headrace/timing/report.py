"""What is told of a run's times: `RunTiming`, a tree, and how it reads as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import wrap

from ..values import Value
from .gaps import rate_text, seconds_text

__all__ = ["RunTiming", "Wait", "table"]


class Wait(Value):
    """A time in which the outermost run gave nothing.

    Args:
        at: when it began, in seconds after the run's start.
        seconds: how long it was.
        path: of the run that had most of it.
        share: how much of it that run had, from 0 to 1.
    """

    __slots__ = _shown = ("at", "seconds", "path", "share")

    def __init__(self, at: float, seconds: float, path: str, share: float) -> None:
        self.at, self.seconds, self.path, self.share = at, seconds, path, share


class RunTiming(Value):
    """When one run's chunks came. All times in seconds.

    Args:
        path, name, run_type: of the run.
        status: "running", "ended", "failed" or "cancelled".
        started: on the monotonic clock of the events.
        first_chunk: time from the start to the first chunk; None where none has come.
        ended: time from the start to the end; None while it goes on.
        chunks: how many came; the one answer of a model that does not stream is one.
        rate: chunks per second, from the first to the last; None for fewer than two.
        p50, p99: percentiles of the times between chunks; None for fewer than two chunks.
        idle, idle_total: how many of these times were long (0.5 s, if not set otherwise), and
            their sum.
        retries: tries that failed and were followed by another.
        held: how long the outermost run waited for this one; see the module's head.
        longest: of an outermost run, its longest waits, the longest first.
        steps: the runs below, in the order of their starts.
    """

    __slots__ = _shown = (
        *("path", "name", "run_type", "status", "started", "first_chunk", "ended", "chunks"),
        *("rate", "p50", "p99", "idle", "idle_total", "retries", "held", "longest", "steps"),
    )

    def __init__(
        self,
        path: str,
        name: str,
        run_type: str,
        status: str = "running",
        started: float = 0.0,
        first_chunk: float | None = None,
        ended: float | None = None,
        chunks: int = 0,
        rate: float | None = None,
        p50: float | None = None,
        p99: float | None = None,
        idle: int = 0,
        idle_total: float = 0.0,
        retries: int = 0,
        held: float = 0.0,
        longest: list[Wait] | None = None,
        steps: list[RunTiming] | None = None,
    ) -> None:
        self.path, self.name, self.run_type, self.status = path, name, run_type, status
        self.started, self.first_chunk, self.ended = started, first_chunk, ended
        self.chunks, self.rate, self.p50, self.p99 = chunks, rate, p50, p99
        self.idle, self.idle_total, self.retries, self.held = idle, idle_total, retries, held
        self.longest: list[Wait] = [] if longest is None else longest
        self.steps: list[RunTiming] = [] if steps is None else steps

    def walk(self) -> Iterator[RunTiming]:
        """This run and all below it, parents first."""
        yield self
        for step in self.steps:
            yield from step.walk()

    @property
    def held_by(self) -> RunTiming:
        """The run here or below that the outermost one waited for longest."""
        return max(self.walk(), key=lambda run: run.held)

    def __str__(self) -> str:
        return table([self])


# ---- for readers --------------------------------------------------------------------------------

_HEAD = ("", "first chunk", "chunks", "chunks/s", "gap p50", "p99", "idle", "in all", "held up")


# What a narrow table does without, in this order.
_DISPENSABLE = ("chunks/s", "p99", "idle", "gap p50", "chunks", "in all", "first chunk")
_NAME = 28  # columns that a run's name keeps before another column goes


def table(roots: Iterable[RunTiming], width: int | None = None) -> str:
    """Runs as a table, one line each, and under each outermost run what held it up.

    Args:
        width: of the terminal. What has no room is left out, beginning with chunks/s, p99 and
            idle; then names are cut. None has room for everything.
    """
    return "\n\n".join(_one_table(root, width) for root in roots)


def _one_table(root: RunTiming, width: int | None) -> str:
    columns = [list(column) for column in zip(_HEAD, *_rows(root, "", root.path), strict=True)]
    verdict = list(_verdict(root))
    if width is not None:
        columns = _narrowed(columns, width)
        verdict = [line for said in verdict for line in _folded(said, width)]
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for first, *rest in zip(*columns, strict=True):
        cells = [text.rjust(room) for text, room in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join([*lines, *verdict])


def _narrowed(columns: list[list[str]], width: int) -> list[list[str]]:
    """The columns that a width has room for, names cut where they must be."""
    names, *rest = columns
    longest = max(map(len, names))

    def room() -> int:
        return width - sum(2 + max(map(len, column)) for column in rest)

    for head in _DISPENSABLE:
        if room() >= min(longest, _NAME):
            break
        rest = [column for column in rest if column[0] != head]
    left = max(room(), 1)
    return [[_cut(text, left) for text in names], *rest]


def _cut(text: str, room: int) -> str:
    """A name that fits; a state behind it stays."""
    if len(text) <= room:
        return text
    name, state = text, ""
    if text.endswith(")"):
        name, _, state = text.rpartition(" (")
        state = f" ({state}"
    return f"{name[: max(room - len(state) - 1, 0)]}…{state}"


def _folded(line: str, width: int) -> list[str]:
    return wrap(
        line, max(width, 8), subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )


def _rows(run: RunTiming, indent: str, label: str) -> Iterator[tuple[str, ...]]:
    state = "" if run.status == "ended" else f" ({run.status})"
    yield (
        f"{indent}{label}{state}",
        seconds_text(run.first_chunk),
        str(run.chunks) if run.chunks else "-",
        rate_text(run.rate),
        seconds_text(run.p50),
        seconds_text(run.p99),
        f"{run.idle} x, {seconds_text(run.idle_total)}" if run.idle else "-",
        seconds_text(run.ended),
        seconds_text(run.held),
    )
    for step in run.steps:
        yield from _rows(step, indent + "  ", step.path.removeprefix(f"{run.path}/"))


def _verdict(root: RunTiming) -> Iterator[str]:
    total = sum(run.held for run in root.walk())
    if not (root.steps and root.longest and total):
        return
    most = root.held_by
    share = f"{most.held / total:.0%}"
    yield f"held up by {most.path}: {seconds_text(most.held)} of {seconds_text(total)} ({share})"
    wait = root.longest[0]
    yield (
        f"longest wait: {seconds_text(wait.seconds)} after {seconds_text(wait.at)}, "
        f"for {wait.path} ({wait.share:.0%})"
    )
