"""How a command ends: exit codes, and errors as one line."""

from __future__ import annotations

import os
import select
import sys
import traceback
from asyncio import CancelledError
from collections.abc import Callable

from headrace.errors import ConfigError, HeadraceError, InputError

from .screen import OutputClosed

__all__ = ["TargetError", "UsageError", "carry_out", "complain"]

FAILED, MISUSED, INTERRUPTED, UNREAD = 1, 2, 130, 141


class UsageError(InputError):
    """The command line makes no sense."""


class TargetError(ConfigError):
    """A TARGET cannot be loaded."""


def carry_out(job: Callable[[], object], *, debug: bool = False) -> int:
    """Run a job, say what went wrong if something does, and return the exit code."""
    try:
        job()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except OutputClosed:
        return _unread()
    except UsageError as error:
        return complain(one_line(error))
    except (Exception, CancelledError) as error:
        if isinstance(error, BrokenPipeError) and _output_is_broken():
            return _unread()
        if debug:
            traceback.print_exception(error)
        return complain(one_line(error), FAILED)
    return 0


def complain(line: str, code: int = MISUSED) -> int:
    """Print one line of complaint on standard error; returns `code`."""
    try:
        print(f"headrace: {' '.join(line.split())}", file=sys.stderr, flush=True)
    except BrokenPipeError:
        return _unread()
    return code


def one_line(error: BaseException) -> str:
    """What happened, and in which step. Headrace's own errors are sentences; others need their
    class's name."""
    text = str(error)
    if not isinstance(error, HeadraceError):
        kind = type(error).__name__
        text = f"{kind}: {text}" if text else kind
    for note in getattr(error, "__notes__", ()):
        text += f" ({note[:1].lower()}{note[1:]})"
    return text


def _output_is_broken() -> bool:
    """Whether a broken pipe is our own: a step of the target may have pipes as well."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
    except (AttributeError, OSError):  # no poll on this platform, or no file behind the output
        return False
    return bool(poll.poll(0))  # asked for nothing, it reports errors only


def _unread() -> int:
    # What is still buffered would be written, in vain and noisily, at exit.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())
    return UNREAD
