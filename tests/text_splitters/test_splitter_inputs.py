"""What users hand to splitters that is nothing to split, and sizes that are none."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.documents import Document
from headrace.errors import ConfigError, InputError
from headrace.text_splitters import CharacterTextSplitter, RecursiveCharacterTextSplitter

KINDS = pytest.mark.parametrize("kind", [CharacterTextSplitter, RecursiveCharacterTextSplitter])


@KINDS
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"chunk_size": "10"}, r"chunk_size is '10' \(str\): give a number"),
        ({"chunk_overlap": None}, r"chunk_overlap is None \(NoneType\)"),
        ({"chunk_size": float("nan")}, r"chunk_size is nan \(float\): give a number"),
        ({"chunk_size": True}, r"chunk_size is True \(bool\): give a number"),
        ({"length_function": "len"}, "give a function from a text to its length"),
    ],
    ids=["size", "overlap", "nan", "bool", "length"],
)
def test_settings(kind, settings, said):
    with pytest.raises(ConfigError, match=said):
        kind(**settings)


def test_sizes_of_numpy_are_numbers():
    splitter = CharacterTextSplitter(" ", chunk_size=np.int64(3), chunk_overlap=np.int64(0))
    assert splitter.split_text("one two") == ["one", "two"]


@KINDS
@pytest.mark.parametrize("text", [None, ["a"], b"a"], ids=["None", "list", "bytes"])
def test_a_text_is_a_string(kind, text):
    with pytest.raises(InputError, match=f"{kind.__name__} splits strings, and this is"):
        kind().split_text(text)


@KINDS
def test_texts_and_documents_are_lists(kind):
    with pytest.raises(InputError, match="texts is the string 'a b': give a list"):
        kind().create_documents("a b")
    with pytest.raises(InputError, match="give a list of documents"):
        kind().split_documents(Document("a"))
    with pytest.raises(InputError, match=r"one is 'a' \(str\): split_text\(\)"):
        kind().split_documents(["a"])
