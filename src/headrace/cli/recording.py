"""`headrace record` and `headrace replay`: a run into a file, and out of it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.record import Recorder, Replay, record, replay
from headrace.runnables import Runnable

from .given import read_input, sort_out
from .interrupt import stop_on_interrupt
from .outcome import UsageError
from .pumping import pump
from .screen import Screen, remark
from .target import load_target
from .weights import fetch_for, load_embedded

__all__ = ["record_run", "replay_run"]


def record_run(
    words: Sequence[str], *, output: str, as_json: bool, as_text: bool, use_async: bool
) -> None:
    """Stream a TARGET, or the embedded model, over an INPUT, and write its events to a file.

    Args:
        words: `[TARGET] [INPUT]`; see `given`.
        output: the file; it is replaced when the run begins, not before.
        as_json: write each chunk to standard output as a line of JSON.
        as_text: never read the INPUT as JSON.
        use_async: by `astream`.
    """
    target, word = sort_out(words, "record")
    runnable: Runnable[Any, Any] | None = None if target is None else load_target(target)
    given = read_input(word, as_text=as_text)
    if runnable is None:
        runnable, _ = load_embedded()
    else:
        fetch_for(runnable)
    screen = Screen(lines=as_json)
    recorder: Recorder | None = None
    try:
        with record(output) as recorder:
            pump(runnable, "stream", given.value, screen.show, use_async=use_async)
    except Exception as error:
        if given.doubt:
            error.add_note(given.doubt)
        raise
    finally:
        screen.end_line()
        if recorder is not None:
            remark(f"{recorder.count} events in {output}")


def replay_run(path: str, *, speed: str, as_json: bool) -> None:
    """Write the chunks of the recorded runs as they came.

    Args:
        path: the recording.
        speed: "recorded", or how many times as fast; 0 is at once.
        as_json: write each chunk as a line of JSON.

    Raises:
        UsageError: the speed is none.
    """
    replayed = replay(path, speed=_speed(speed))
    screen = Screen(lines=as_json)
    try:
        with stop_on_interrupt():
            _show(replayed, screen)
    finally:
        screen.end_line()
        if replayed.note:
            remark(replayed.note)


def _show(replayed: Replay, screen: Screen) -> None:
    for chunks in replayed.streams():
        for chunk in chunks:
            screen.show(chunk)
        screen.end_line()


def _speed(word: str) -> float | str:
    try:
        speed = float(word)
    except ValueError:
        speed = -1.0
    if word != "recorded" and not 0 <= speed < float("inf"):
        raise UsageError(
            f"--speed is {word!r}: give `recorded`, 0 (at once), or how many times as fast as "
            "recorded, such as 2."
        )
    return "recorded" if word == "recorded" else speed
