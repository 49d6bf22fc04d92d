"""The code on the pages of the documentation: found, run, and compared with what the pages show.

A page is Markdown. Its fenced `python` blocks run from top to bottom in one module, as a reader
would run them. Behind a block may stand, as the next fence, what it prints:

    ```text                        exactly this (blanks at the ends of lines aside)
    ```text title="for example"    something: it depends on the machine, on time or on a model

A block that prints and shows nothing is not compared. One that cannot run has the comment
`<!-- not run: the reason -->` above it; pages of the guide have none. Tracebacks show the line in
the page. `UPDATE_DOCS=1 pytest tests/docs` writes what was printed into the pages.
"""

from __future__ import annotations

import io
import re
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from itertools import zip_longest
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide"
MODULE = "page"  # what the blocks of a page are the code of

# By the language behind a fence: how a reader takes the block, and what happens here.
LANGUAGES = {
    "python": "runs",
    "text": "shows what the block above prints",
    "sh": "is for a terminal",
    "toml": "is a file",
    "json": "is data",
    "mermaid": "is a diagram",
    "": "is anything else",
}
EXAMPLE = 'title="for example"'
ANYTHING = "(anything)"
NOTHING = "(nothing)"

_FENCE = re.compile(
    r"(?:^ *<!-- not run: (?P<excuse>.+?) -->\s+)?"
    r"^(?P<indent> *)```(?P<language>\w*) *(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"\]\((?!\w+:|#)(?P<target>[^)#\s]+)(?:#[^)\s]*)?\)")


class Block(NamedTuple):
    """One fence. `line`: that of the body's first line, from 1; `span`: of the body, in the page;
    `excuse`: why it is not run, or ""."""

    language: str
    info: str
    body: str
    line: int
    span: tuple[int, int]
    indent: str = ""
    excuse: str = ""


class Output(NamedTuple):
    """What one block printed, and the block that shows what it should."""

    where: str
    printed: str
    shown: Block

    @property
    def expected(self) -> str:
        return ANYTHING if self.shown.info == EXAMPLE else _tidy(self.shown.body)

    @property
    def got(self) -> str:
        printed = _tidy(self.printed)
        if self.expected == ANYTHING:
            return ANYTHING if printed else NOTHING
        return printed


def pages() -> list[Path]:
    """README and everything below docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str) -> list[Block]:
    """The fences of a page, in order."""
    return [
        Block(
            match["language"],
            match["info"],
            textwrap.dedent(match["body"]),
            text.count("\n", 0, match.start("body")) + 1,
            match.span("body"),
            match["indent"],
            match["excuse"] or "",
        )
        for match in _FENCE.finditer(text)
    ]


def links(text: str) -> list[str]:
    """The relative paths that a page links to."""
    return [match["target"] for match in _LINK.finditer(_FENCE.sub("", text))]


def run(page: Path) -> list[Output]:
    """Run a page. Raises what its code raises."""
    found = blocks(page.read_text(encoding="utf-8"))
    outputs = []
    with _module() as module:
        for block, following in zip_longest(found, found[1:]):
            if block.language != "python" or block.excuse:
                continue
            printed = io.StringIO()
            # Blank lines before it, so that line numbers are those of the page.
            code = compile("\n" * (block.line - 1) + block.body, str(page), "exec")
            with redirect_stdout(printed):
                exec(code, module.__dict__)
            if following is not None and following.language == "text":
                where = f"{page.name}:{block.line}"
                outputs.append(Output(where, printed.getvalue(), following))
    return outputs


def update(page: Path, outputs: list[Output]) -> None:
    """Write what was printed into the page; boxes that show an example stay as they are."""
    text = page.read_text(encoding="utf-8")
    for output in reversed(outputs):
        if output.expected != output.got and output.shown.info != EXAMPLE:
            start, end = output.shown.span
            body = textwrap.indent(output.got + "\n", output.shown.indent)
            text = text[:start] + body + text[end:]
    page.write_text(text, encoding="utf-8")


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.rstrip().split("\n"))


@contextmanager
def _module() -> Iterator[ModuleType]:
    """A module of its own: classes defined on a page find their annotations and sources in it."""
    before = sys.modules.get(MODULE)
    module = sys.modules[MODULE] = ModuleType(MODULE)
    try:
        yield module
    finally:
        del sys.modules[MODULE]
        if before is not None:
            sys.modules[MODULE] = before
