"""`dir()` of a package: its public names, those that are imported later too, and not its own
needs."""

from __future__ import annotations

import importlib

import pytest

PACKAGES = ["chat_history", "conversation", "embeddings", "example_selectors", "indexing",
            "language_models", "local", "messages", "output_parsers", "prompts", "runnables",
            "runnables.graph", "stores"]  # fmt: skip


@pytest.mark.parametrize("name", PACKAGES)
def test_all_public_names_are_listed(name: str):
    package = importlib.import_module(f"headrace.{name}")
    listed = dir(package)
    assert set(package.__all__) <= set(listed)
    assert not {"TYPE_CHECKING", "Any", "later", "listed", "_LATER"} & set(listed)
    assert listed == sorted(set(listed))
    for each in listed:
        assert hasattr(package, each), each


def test_submodules_are_listed():
    package = importlib.import_module("headrace.output_parsers")
    importlib.import_module("headrace.output_parsers.xml")
    assert {"xml", "__doc__", "__file__"} <= set(dir(package))
