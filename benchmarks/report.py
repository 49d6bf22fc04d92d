"""From the numbers of all rounds to the table.

`Found[workload][contender][round]` is what one worker reported. A column shows the median over the
rounds. A ratio is the median of the rounds' own ratios, whose numbers were taken seconds apart, so
that a machine that is busy for a while spoils both sides of it; where langchain-core ran in fewer
rounds, its median stands for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from .workloads import Metric, Workload

Numbers: TypeAlias = list[dict[str, float]]
Found: TypeAlias = dict[str, dict[str, Numbers]]

HEAD = ("workload", "unit", "raw", "Headrace", "langchain-core", "of raw", "faster", "aim", "met")
Figure: TypeAlias = float | None


@dataclass
class Row:
    """One metric of one workload. `times_raw` and `times_faster` are None where there is nothing
    to compare; `met` is None without an aim."""

    name: str
    metric: Metric
    raw: Figure
    headrace: Figure
    langchain: Figure
    times_raw: Figure
    times_faster: Figure
    met: bool | None

    @property
    def aim(self) -> str:
        aim = self.metric.aim
        if aim is None:
            return ""
        if aim.of == "raw":
            return f"<= {aim.limit:g}x raw"
        if aim.of == "faster":
            return f">= {aim.limit:g}x faster"
        return f"<= {aim.limit:g} {self.metric.unit}"

    def cells(self) -> list[str]:
        met = {None: "", True: "yes", False: "NO"}[self.met]
        return [
            self.metric.title,
            self.metric.unit,
            number(self.raw),
            number(self.headrace),
            number(self.langchain),
            times(self.times_raw),
            times(self.times_faster),
            self.aim,
            met,
        ]


def number(value: Figure) -> str:
    """Three figures, or no fraction where it says nothing."""
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 0.1 else f"{value:.3f}"


def times(value: Figure) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}x" if value >= 20 else f"{value:.2f}x" if value < 10 else f"{value:.1f}x"


def rows(found: Found, workloads: Iterable[Workload]) -> list[Row]:
    made = []
    for workload in workloads:
        by = found.get(workload.name)
        if by:
            made += [_row(workload, metric, by) for metric in workload.metrics]
    return made


def _row(workload: Workload, metric: Metric, by: dict[str, Numbers]) -> Row:
    columns = {
        name: [one[metric.key] for one in numbers if metric.key in one]
        for name, numbers in by.items()
    }
    ours, raw = columns.get("headrace", []), columns.get("raw", [])
    theirs = columns.get("langchain-core", [])
    faster = None
    if metric.compared or (metric.aim and metric.aim.of == "faster"):
        faster = _median_ratio(theirs, ours)
    row = Row(
        workload.name,
        metric,
        _median(raw),
        _median(ours),
        _median(theirs),
        _median_ratio(ours, raw) if metric.compared else None,
        faster,
        None,
    )
    row.met = _met(row)
    return row


def _median(values: list[float]) -> Figure:
    return median(values) if values else None


def _median_ratio(over: list[float], under: list[float]) -> Figure:
    if not over or not under:
        return None
    count = max(len(over), len(under))
    return median(a / b for a, b in zip(_filled(over, count), _filled(under, count), strict=True))


def _filled(values: list[float], count: int) -> list[float]:
    return values + [median(values)] * (count - len(values))


_TAKEN: dict[str, Callable[[Row], Figure]] = {
    "raw": lambda row: row.times_raw,
    "faster": lambda row: row.times_faster,
    "value": lambda row: row.headrace,
}


def _met(row: Row) -> bool | None:
    aim = row.metric.aim
    taken = None if aim is None else _TAKEN[aim.of](row)
    if aim is None or taken is None:
        return None
    return taken >= aim.limit if aim.of == "faster" else taken <= aim.limit


def as_text(made: list[Row], notes: list[str]) -> str:
    """The table for a terminal."""
    table = [list(HEAD), *[row.cells() for row in made]]
    widths = [max(len(line[at]) for line in table) for at in range(len(HEAD))]
    lines = [
        "  ".join(
            cell.ljust(width) if at in (0, 1, 7, 8) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join([*lines, "", *notes])


def as_markdown(made: list[Row], facts: dict[str, str], notes: list[str]) -> str:
    """The section of docs/benchmarks.md between its two marks."""
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", "| " + " | ".join(HEAD) + " |"]
    lines.append("|---|---|" + "---:|" * 5 + "---|---|")
    for row in made:
        cells = [cell.replace("|", "&#124;") for cell in row.cells()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *[f"{note}  " for note in notes]]).rstrip()


def notes_of(workloads: Iterable[Workload]) -> list[str]:
    """What the table does not say of the workloads in it."""
    return [f"{w.metrics[0].title}: {w.note}." for w in workloads if w.note]
