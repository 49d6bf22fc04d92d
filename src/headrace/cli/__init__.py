"""The command `headrace`: stream a runnable, explain or draw one, fetch the embedded weights; index
files, and answer questions about them.

Standard output carries what was asked for and nothing else; everything about it (times, progress,
errors) goes to standard error, so that a pipe gets the text only. Exit codes:

    0    done
    1    something failed: one line on standard error, with `--debug` the traceback
    2    the command line makes no sense
    130  interrupted with Ctrl-C; the stream has been closed
    141  whoever read standard output is gone (`| head -1`); nothing is said

Only the part of a command that runs is imported: `headrace --version` loads no library.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: what follows `headrace`; by default the process's own.

    Returns:
        The exit code.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        from .version import show_version

        show_version()
        return 0
    from .app import run

    return run(given)
