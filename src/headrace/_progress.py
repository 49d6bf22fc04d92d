"""A progress bar for work that takes a while, on the terminal's stderr; rich draws it.

    with bar("Embedding", total=len(texts), shown=True) as step:
        step(32)                       # so many more are done

Nothing is drawn, and rich not imported, unless `shown`. No thread is started: the bar is redrawn
by the steps. Where stderr is no terminal, one line says at the end how far it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["bar"]


@contextmanager
def bar(title: str, *, total: int | None, shown: bool) -> Iterator[Callable[[int], None]]:
    """Yields what is told how many more are done. `total`: of how many, None if that is unknown."""
    if not shown:
        yield lambda more: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as progress:
        task = progress.add_task(title, total=total)

        def step(more: int) -> None:
            progress.update(task, advance=more, refresh=True)

        step(0)
        yield step
