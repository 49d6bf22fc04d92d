"""The order of the site's navigation: home, the guide, concepts, then the rest by name.

Contract: every page is in it, one that no row below names included; so no page can be forgotten.
"""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

FIRST = (
    "index.md",
    "guide/*",
    "concepts.md",
    "cli.md",
    "architecture.md",
    "from-langchain.md",
    "differences.md",
    "benchmarks.md",
)


def place(path: str) -> tuple[int, str, bool, str]:
    """What to sort pages by: their row, and in a folder its `index.md` before the others."""
    row = next((i for i, pattern in enumerate(FIRST) if fnmatch(path, pattern)), len(FIRST))
    page = PurePosixPath(path)
    return row, str(page.parent), page.name != "index.md", page.name


def on_files(files: Any, config: Any) -> None:
    """Called by mkdocs when it has found the files."""
    from mkdocs.utils import nest_paths

    pages = [file.src_uri for file in files.documentation_pages() if file.inclusion.is_in_nav()]
    config.nav = nest_paths(sorted(pages, key=place))
