"""Which word is the TARGET, and what the INPUT means."""

from __future__ import annotations

import io
import sys

import pytest

from headrace.cli.given import read_input, sort_out
from headrace.cli.outcome import UsageError
from headrace.cli.target import looks_like_target

TARGETS = [
    "demo.py:chain",  # exists
    "sub folder/demo.py:chain",
    "missing.py:chain",  # to be told that it is missing, not to be sent to a model
    "missing/folder.py:chain.inner",
    "demo.py",
    "json:loads",
    "os.path:join",
    "xml.dom:Node.ELEMENT_NODE",
    "neighbour:chain",
    "broken.inner:chain",  # its package fails to import: loading it will say so
    "broken:chain",
]
TEXTS = [
    "what color is the sky?",
    "explain: why?",
    "explain:why",
    "https://example.org",
    "12:30",
    "json: what is it",
    "json:",
    ":loads",
    ":",
    "",
    "-",
    "no_such_package.inner:chain",
    "json.no_such_module:x",
    "what does demo.py:chain mean",
    "see missing file.py:chain",
    "missing.py",
    '{"a": "json:loads"}',
    "translate:\nhello",
]


@pytest.fixture(autouse=True)
def files(folder):
    (folder / "demo.py").write_text("")
    (folder / "sub folder").mkdir()
    (folder / "sub folder" / "demo.py").write_text("")
    (folder / "neighbour.py").write_text("")
    (folder / "broken").mkdir()
    (folder / "broken" / "__init__.py").write_text("import no_such_dependency")


@pytest.mark.parametrize("word", TARGETS)
def test_a_word_that_looks_like_a_target(word):
    assert looks_like_target(word)
    with pytest.raises(UsageError, match="INPUT is missing: give it after the TARGET"):
        sort_out([word])


@pytest.mark.parametrize("word", TEXTS)
def test_a_word_that_is_an_input(word):
    assert not looks_like_target(word)
    assert sort_out([word]) == (None, word)


def test_of_two_words_the_first_is_the_target_whatever_they_look_like():
    assert sort_out(["what", "json:loads"]) == ("what", "json:loads")


def test_no_word_and_too_many_are_refused():
    with pytest.raises(UsageError, match="INPUT is missing: give a text"):
        sort_out([])
    with pytest.raises(UsageError, match="got 4 words: put an INPUT of several words in quotes"):
        sort_out(["what", "is", "the", "sky"])


JSON = [
    ('{"topic": "parrot"}', {"topic": "parrot"}),
    ("[1, 2.5, null]", [1, 2.5, None]),
    (' {"a":\n{}} ', {"a": {}}),
    ("[]", []),
]


@pytest.mark.parametrize(("word", "value"), JSON)
def test_a_complete_json_object_or_array_is_that_value(word, value):
    assert read_input(word, as_text=False) == (value, "")
    assert read_input(word, as_text=True) == (word, "")


@pytest.mark.parametrize("word", ["hi", "42", "true", "null", '"quoted"', "", " - ", "a {b}"])
def test_everything_else_is_text(word):
    assert read_input(word, as_text=False) == (word, "")


@pytest.mark.parametrize("word", ['{"a": 1} what is this?', "{topic: parrot}", "[citation needed]"])
def test_what_only_starts_like_json_is_text_with_a_doubt(word):
    value, doubt = read_input(word, as_text=False)
    assert value == word
    assert doubt.startswith("The INPUT starts like JSON but was taken as text: ")
    assert read_input(word, as_text=True) == (word, "")


@pytest.mark.parametrize(
    ("content", "value"),
    [("two\nlines\n", "two\nlines"), ('{"a": 1}\n', {"a": 1}), ("\n\n", "\n"), ("", "")],
)
def test_a_dash_is_standard_input_without_its_last_newline(content, value, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(content))
    assert read_input("-", as_text=False).value == value


def test_standard_input_that_is_no_text(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ab\xff"), encoding="utf-8"))
    with pytest.raises(UsageError, match=r"Standard input is not text in utf-8 \(byte 2"):
        read_input("-", as_text=False)
