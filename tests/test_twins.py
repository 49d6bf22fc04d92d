"""The two drivers are twins: what both have stands in the same order."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import headrace

HERE = Path(headrace.__file__).parent


def names(module):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    tree = ast.parse((HERE / f"{module}.py").read_text("utf-8"))
    return [node.name for node in tree.body if isinstance(node, kinds)]


def test_the_drivers_have_the_same_names_in_the_same_order():
    assert names("_sync") == names("_async")


@pytest.mark.parametrize("what", ["fan", "plan"])
def test_what_fans_and_plans_share_stands_in_the_same_order(what):
    one, other = names(f"_sync_{what}"), names(f"_async_{what}")
    shared = set(one) & set(other)
    assert len(shared) > 5
    assert [name for name in one if name in shared] == [name for name in other if name in shared]
