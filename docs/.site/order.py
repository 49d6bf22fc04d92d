"""The order of the site's navigation: home, guide, concepts, then the rest by name.

mkdocs lists pages in the order of its files. A page that is in no row here is listed all the same.
"""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

FIRST = ("index.md", "guide/*", "concepts.md", "differences.md", "benchmarks.md")


def on_files(files: Any, config: Any) -> Any:
    """mkdocs calls it with the files that it found."""

    def place(file: Any) -> tuple[int, int]:
        rows = (row for row, pattern in enumerate(FIRST) if fnmatch(file.src_uri, pattern))
        return next(rows, len(FIRST)), found[file.src_uri]

    found = {file.src_uri: number for number, file in enumerate(files)}
    return type(files)(sorted(files, key=place))
