"""`headrace --version`: the version of the installed distribution, written in one place only."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def show_version() -> None:
    """Print it."""
    try:
        number = version("headrace")
    except PackageNotFoundError:  # run from a source folder
        number = "(not installed)"
    print(f"headrace {number}")
