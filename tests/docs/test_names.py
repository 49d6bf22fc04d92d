"""Who looks for a public name in the documentation finds it: in code that runs, or between
backticks in the text.

The rows of from-langchain.md, which a test writes, say where a name is and not what it does, so
they do not count.
"""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from docs.pages import blocks, pages

# Those of which every name is told. Elsewhere some are for those who build on the library, and some
# stand in from-langchain.md alone.
PACKAGES = [
    "agents",
    "chat_history",
    "document_loaders",
    "document_transformers",
    "documents",
    "embeddings",
    "errors",
    "globals",
    "indexing",
    "langchain",
    "local",
    "providers",
    "retrievers",
    "stores",
    "testing",
    "text_splitters",
    "tools",
    "vectorstores",
]

_NOT_TEXT = re.compile(r"^ *```.*?^ *```$|^\| `langchain_core\.[^\n]*$", re.MULTILINE | re.DOTALL)


def words_in_code(text: str) -> set[str]:
    """The words of a page that stand in code."""
    runs = [block.body for block in blocks(text) if block.language == "python"]
    marked = re.findall(r"`([^`\n]+)`", _NOT_TEXT.sub("", text))
    return set(re.findall(r"\w+", "\n".join([*runs, *marked])))


@pytest.fixture(scope="module")
def told() -> set[str]:
    texts = (page.read_text(encoding="utf-8") for page in pages())
    return {word for text in texts for word in words_in_code(text)}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_on_a_page(package: str, told: set[str]) -> None:
    public = import_module(f"headrace.{package}").__all__
    assert public
    assert [name for name in public if name not in told] == []


def test_what_counts() -> None:
    page = (
        "A `Marked` word, `one.of(two)`, and Another.\n\n"
        "```python\nuse(Run)\n```\n\n```text\nPrinted\n```\n\n"
        "| `langchain_core.there` | `headrace.here` | `Moved` |\n| `Row` | of a table |\n"
    )
    assert words_in_code(page) == {"Marked", "one", "of", "two", "use", "Run", "Row"}
