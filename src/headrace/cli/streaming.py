"""`headrace stream`: run a runnable and write its chunks as they come."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from textwrap import wrap
from typing import Any

from headrace.timing import Timings, table
from headrace.timing import timing as timed

from .clock import Clock
from .given import read_input, sort_out
from .pumping import pump
from .screen import OutputClosed, Screen, chunks_of, remark, remarks_width
from .target import load_target
from .weights import fetch_for, load_embedded

__all__ = ["stream"]


def stream(
    words: Sequence[str], *, as_json: bool, as_text: bool, use_async: bool, timing: bool
) -> None:
    """Stream a TARGET, or the embedded model, over an INPUT; see `given` for the words.

    Args:
        words: `[TARGET] [INPUT]`.
        as_json: write each chunk as a line of JSON.
        as_text: never read the INPUT as JSON.
        use_async: by `astream`.
        timing: say at the end when chunks came, and for a runnable with steps in a table when they
            came from each step, and which one held the stream up.
    """
    target, word = sort_out(words)
    runnable = None if target is None else load_target(target)
    given = read_input(word, as_text=as_text)
    remarks: list[str] = []
    if runnable is None:
        runnable, remarks = load_embedded()
    else:
        fetch_for(runnable)
    screen, clock = Screen(lines=as_json, of=chunks_of(runnable)), Clock()

    def take(chunk: Any) -> None:
        clock.tick(chunk)
        screen.show(chunk)

    times: Timings | None = None
    try:
        with timed() if timing else nullcontext() as times:
            pump(runnable, "stream", given.value, take, use_async=use_async)
    except OutputClosed:
        raise
    except BaseException as error:  # Ctrl-C, too
        if given.doubt and isinstance(error, Exception):
            error.add_note(given.doubt)
        screen.end_line()
        if times is not None:
            _about(clock, remarks, times)
        raise
    screen.end_line()
    if target is None or timing:
        _about(clock, remarks, times)


def _about(clock: Clock, remarks: Sequence[str], times: Timings | None) -> None:
    """Say what is known of the times, and what else there is to say."""
    width = remarks_width()
    said = [" · ".join(filter(None, [clock.about_tokens(), *remarks]))]
    if times is not None:
        said.append(clock.about_chunks())
    if width is not None:
        said = [_folded(line, width) for line in said]
    if times is not None:
        # One without steps has its times in the line above already.
        said.append(table((root for root in times.roots if root.steps), width))
    remark("\n".join(filter(None, said)))


def _folded(line: str, width: int) -> str:
    """Lines of a width, broken between remarks and not inside one."""
    kept = line.replace(" ", "\xa0").replace("\xa0·\xa0", "\xa0· ")
    return "\n".join(wrap(kept, width)).replace("\xa0", " ")
