"""The table of import paths is right, and no name that both libraries have is missing from it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType
from typing import Any

import langchain_core
import pytest

from docs.pages import ROOT

PAGE = ROOT / "docs" / "from-langchain.md"
_ROW = re.compile(r"^\| `(langchain_core[\w.]+)` \| `(headrace[\w.]+)` \| (.+) \|$", re.MULTILINE)

# Packages whose place is not their first two names.
MOVED = {
    "langchain_core.exceptions": "headrace.errors",
    "langchain_core.runnables.graph": "headrace.runnables.graph",
    "langchain_core.utils.function_calling": "headrace.tools",
    "langchain_core.utils.json": "headrace.jsonstream",
    "langchain_core.utils.json_schema": "headrace.tools",
}
# (new path, name) -> what it is here is another thing than there
OTHERS = {("headrace.errors", "ModelError"), ("headrace.callbacks", "Run")}


def rows(text: str) -> list[tuple[str, str, list[str]]]:
    return [(old, new, re.findall(r"`(\w+)`", names)) for old, new, names in _ROW.findall(text)]


ROWS = rows(PAGE.read_text(encoding="utf-8"))


def new_path(old: str) -> str:
    return MOVED.get(old, "headrace." + old.split(".")[1])


def public(module: ModuleType) -> list[str]:
    """What a module of langchain_core defines for others."""
    listed: Any = getattr(module, "__all__", None)
    if listed is not None:
        return list(listed)
    names: dict[str, Any] = vars(module)
    own = (n for n, v in names.items() if getattr(v, "__module__", None) == module.__name__)
    return [name for name in own if not name.startswith("_")]


def wanted() -> Iterator[tuple[str, str, list[str]]]:
    """The rows that the two libraries, as they are installed, call for."""
    for found in walk_packages(langchain_core.__path__, "langchain_core."):
        old = found.name
        if any(part.startswith("_") for part in old.split(".")) or (
            old.count(".") < 2 and old not in MOVED
        ):
            continue
        try:
            here, there = import_module(new_path(old)), import_module(old)
        except ImportError:  # no such part here, or one of theirs that needs something more
            continue
        names = sorted(set(public(there)) & set(here.__all__))
        names = [name for name in names if (here.__name__, name) not in OTHERS]
        if names:
            yield old, here.__name__, names


def table() -> str:
    return "".join(
        f"| `{old}` | `{new}` | {', '.join(f'`{name}`' for name in names)} |\n"
        for old, new, names in wanted()
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of modules of langchain_core that are deprecated
def test_the_table_is_whole() -> None:
    if os.environ.get("UPDATE_DOCS") == "1":
        text = PAGE.read_text(encoding="utf-8")
        head, _, rest = text.partition("|---|---|---|\n")
        after = rest[rest.index("\n\n") :] if "\n\n" in rest else "\n"
        PAGE.write_text(f"{head}|---|---|---|\n{table().rstrip()}{after}", encoding="utf-8")
    assert rows(PAGE.read_text(encoding="utf-8")) == list(wanted())


@pytest.mark.parametrize(("old", "new", "names"), ROWS, ids=[row[0] for row in ROWS])
def test_what_a_row_names_is_there(old: str, new: str, names: list[str]) -> None:
    here = import_module(new)
    assert [name for name in names if getattr(here, name, None) is None] == []
    assert new == new_path(old)


def test_the_rule_above_the_table() -> None:
    """The two `sed` lines of the page, as Python."""
    text = (
        "from langchain_core.runnables.base import Runnable\n"
        "from langchain_core.prompts import PromptTemplate\n"
        "from langchain_core.exceptions import OutputParserException\n"
        "from langchain_core.utils.function_calling import convert_to_openai_tool\n"
        "from langchain_core.utils.json_schema import dereference_refs\n"
        "from langchain_core.runnables.graph import Graph\n"
    )
    for pattern, new in sed_lines(PAGE.read_text(encoding="utf-8")):
        text = re.sub(pattern, new, text)
    assert text == (
        "from headrace.runnables import Runnable\n"
        "from headrace.prompts import PromptTemplate\n"
        "from headrace.errors import OutputParserException\n"
        "from headrace.tools import convert_to_openai_tool\n"
        "from headrace.tools import dereference_refs\n"
        "from headrace.runnables.graph import Graph\n"
    )
    space: dict[str, Any] = {}
    exec(text, space)
    assert {"Runnable", "PromptTemplate", "OutputParserException", "Graph"} <= set(space)


def sed_lines(page: str) -> list[tuple[str, str]]:
    return [(m[1], m[2]) for m in re.finditer(r"-e 's/(.+?)/(.*?)/'", page)]
