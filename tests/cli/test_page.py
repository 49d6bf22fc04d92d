"""docs/cli.md: its commands print what the page shows, and its table has every exit code.

A `sh` block with a `text` block behind it is one command over the page's own `my_app.py`, the first
Python block. `UPDATE_DOCS=1` writes what was printed into the page.
"""

from __future__ import annotations

import os
import re
import shlex
from itertools import pairwise

import pytest
import typer

from docs.pages import EXAMPLE, ROOT, Output, blocks, update
from headrace.cli import outcome
from headrace.cli.app import app as typed

PAGE = ROOT / "docs" / "cli.md"
TEXT = PAGE.read_text(encoding="utf-8")
SHOWN = [
    (command.body, shown.line)
    for command, shown in pairwise(blocks(TEXT))
    if command.language == "sh" and shown.language == "text" and shown.info != EXAMPLE
]


@pytest.mark.parametrize(("command", "line"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_command_prints_what_the_page_shows(command, line, folder, here):
    text = PAGE.read_text(encoding="utf-8")  # an update of the command before has moved lines
    app = next(block for block in blocks(text) if block.language == "python")
    (folder / "my_app.py").write_text(app.body, encoding="utf-8")
    program, *arguments = shlex.split(command)
    assert program == "headrace"
    _, *printed = here(*arguments)
    shown = next(b for a, b in pairwise(blocks(text)) if a.body == command)
    output = Output(f"cli.md:{line}", "".join(printed), shown)
    if os.environ.get("UPDATE_DOCS") == "1":
        update(PAGE, [output])
    else:
        assert (output.where, output.got) == (output.where, output.expected)


def test_the_exit_codes_are_all_there():
    told = [int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)]
    codes = [outcome.FAILED, outcome.MISUSED, outcome.INTERRUPTED, outcome.UNREAD]
    assert told == [0, *codes]


def test_every_command_has_its_heading():
    told = re.findall(r"^\| `headrace (\w+)", TEXT, re.MULTILINE)
    headings = re.findall(r"^## (\w+)$", TEXT, re.MULTILINE)
    assert told == headings[: len(told)]
    assert told == list(typer.main.get_command(typed).commands)
