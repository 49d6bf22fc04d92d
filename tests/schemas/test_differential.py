"""What chains say of their types, beside langchain-core: the same JSON schemas, or a row in
docs/differences.md. Descriptions (docstrings) are left out, and `additionalProperties: true`, which
says nothing."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from schemas.chains import BETTER, SAME, Better

_MODULES = ("runnables", "runnables.history", "prompts", "language_models", "output_parsers",
            "retrievers")  # fmt: skip


class _Library:
    """The names of a library, wherever they are."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, wanted: str) -> Any:
        for module in _MODULES:
            if importlib.util.find_spec(f"{self.name}.{module}") is None:
                continue
            found = getattr(importlib.import_module(f"{self.name}.{module}"), wanted, None)
            if found is not None:
                return found
        raise AttributeError(f"{self.name} has no {wanted}")


OURS, THEIRS = _Library("headrace"), _Library("langchain_core")


def _shown(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_shown(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    shown = {key: _shown(value) for key, value in tree.items() if key != "description"}
    if shown.get("additionalProperties") is True:
        del shown["additionalProperties"]
    if isinstance(shown.get("required"), list):
        shown["required"] = sorted(shown["required"])
    return shown


def _schema(runnable: Any, side: str) -> Any:
    return _shown(getattr(runnable, f"get_{side}_jsonschema")())


@pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")
@pytest.mark.parametrize("name", SAME)
def test_same_as_langchain(name: str) -> None:
    ours, theirs = SAME[name](OURS), SAME[name](THEIRS)
    for side in ("input", "output"):
        assert _schema(ours, side) == _schema(theirs, side)


@pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")
@pytest.mark.parametrize("case", BETTER, ids=repr)
def test_better_than_langchain(case: Better) -> None:
    assert _schema(case.build(OURS), case.side) == _shown(case.expected)
    theirs: Any = None
    try:
        theirs = _schema(case.build(THEIRS), case.side)
    except Exception as error:  # a schema that it cannot make at all
        theirs = repr(error)
    assert theirs != _shown(case.expected), f"no difference any more: remove {case.key}"


def test_each_difference_has_its_row() -> None:
    page = Path(__file__).parents[2] / "docs" / "differences.md"
    rows = set(re.findall(r'<a id="([a-z0-9-]+)">', page.read_text("utf-8")))
    assert not {case.key for case in BETTER} - rows
    assert len(SAME) >= 30
