"""Text and Markdown: encodings, what stands in the metadata, and errors that say where."""

from __future__ import annotations

import codecs
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from document_loaders.files import loaded, told
from headrace.document_loaders import CSVLoader, LoadError, MarkdownLoader, TextLoader
from headrace.errors import ConfigError, HeadraceError, MissingExtraError
from laws.colours import every_colour

FRENCH = "Déjà vu à la bibliothèque où le garçon mangeait des crêpes près de la fenêtre.\n" * 20


@every_colour
def test_a_text_is_one_document(colour, tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes("one\r\ntwö".encode())
    assert told(loaded(colour, TextLoader(file))) == [("one\ntwö", {"source": str(file)})]


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
    ids=["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"],
)
def test_a_byte_order_mark_decides_and_is_no_text(mark, encoding, tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes(mark + "é,b\n1,2\n".encode(encoding))
    assert TextLoader(file).load()[0].page_content == "é,b\n1,2\n"
    assert CSVLoader(file).load()[0].page_content == "é: 1\nb: 2"


def test_a_mark_is_no_text_where_utf_8_is_asked_for_either(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(codecs.BOM_UTF8 + b"x")
    assert TextLoader(file, encoding="UTF-8").load()[0].page_content == "x"


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-16"])
def test_an_encoding_is_guessed_where_it_is_asked_for(encoding, tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(FRENCH.encode(encoding))
    assert TextLoader(file, autodetect_encoding=True).load()[0].page_content == FRENCH


def test_an_encoding_is_guessed_in_place_of_one_that_is_wrong(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(b"plain")
    loader = TextLoader(file, encoding="utf-16", autodetect_encoding=True)
    assert loader.load()[0].page_content == "plain"


def test_rows_are_read_once_where_an_encoding_is_guessed_late(tmp_path):
    file = tmp_path / "a.csv"
    rows = "".join(f"{n},plain\n" for n in range(20_000))
    file.write_bytes(("n,word\n" + rows).encode() + FRENCH.replace("\n", ",\n").encode("cp1252"))
    rows = CSVLoader(file, autodetect_encoding=True).load()
    assert [each.metadata["row"] for each in rows] == list(range(20_020))
    assert "Déjà" in rows[-1].page_content


@pytest.mark.parametrize("before", [0, 5, 60_000])
def test_what_is_no_text_is_an_error_with_its_line(before, tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xc3\xa9n\n" * before + b"fine caf\xe9\n")
    with pytest.raises(LoadError) as caught:
        TextLoader(file).load()
    assert str(caught.value).startswith(f"{file}, line {before + 1}: no text in utf-8")
    assert "autodetect_encoding=True" in str(caught.value)
    assert isinstance(caught.value, HeadraceError) and isinstance(caught.value, RuntimeError)


def test_text_that_breaks_off_in_a_character(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes("x\né".encode()[:-1])
    with pytest.raises(LoadError, match="line 2: no text in utf-8"):
        TextLoader(file).load()
    file.write_bytes(codecs.BOM_UTF16_LE + "x\nab".encode("utf-16-le")[:-1])
    with pytest.raises(LoadError, match="line 2: no text in utf-16"):
        TextLoader(file).load()


def test_guessing_without_its_library(tmp_path, monkeypatch):
    file = tmp_path / "a.txt"
    file.write_bytes(b"caf\xe9")
    monkeypatch.setitem(sys.modules, "chardet", None)
    with pytest.raises(MissingExtraError, match=r"headrace\[encodings\]"):
        TextLoader(file, autodetect_encoding=True).load()
    file.write_bytes("café".encode())
    assert TextLoader(file, autodetect_encoding=True).load()[0].page_content == "café"


def test_bytes_that_no_encoding_fits(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(bytes(range(256)) * 20)
    with pytest.raises(LoadError, match=r"Give its encoding=…"):
        TextLoader(file, autodetect_encoding=True).load()


def test_an_encoding_that_there_is_not():
    for make in (TextLoader, MarkdownLoader, CSVLoader):
        with pytest.raises(ConfigError, match="no encoding 'utf-9'"):
            make("a", encoding="utf-9")


async def test_a_file_that_there_is_not(tmp_path):
    loader = TextLoader(tmp_path / "none.txt")
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        loader.load()
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        await loader.aload()


# ---- Markdown ----------------------------------------------------------------------------------

PAGE = """\
Before.

# The *first* `part`

Text.

```
# a comment
```
## Inside
- item
  # in an item

Second
======
> # in a quote
"""
SECTIONS = [
    ("Before.", [], 1),
    ("# The *first* `part`\n\nText.\n\n```\n# a comment\n```", ["The first part"], 3),
    ("## Inside\n- item\n  # in an item", ["The first part", "Inside"], 10),
    ("Second\n======\n> # in a quote", ["Second"], 14),
]


def markdown(tmp_path, text, *args, **kwargs):
    file = tmp_path / "a.md"
    file.write_text(text, encoding="utf-8")
    return file, MarkdownLoader(file, *args, **kwargs)


@every_colour
def test_markdown_stays_markdown_and_tells_its_headings(colour, tmp_path):
    file, loader = markdown(tmp_path, PAGE)
    headings = ["The first part", "Inside", "Second"]
    about = {"source": str(file), "title": "The first part", "headings": headings}
    assert told(loaded(colour, loader)) == [(PAGE, about)]


@every_colour
def test_markdown_by_sections(colour, tmp_path):
    file, loader = markdown(tmp_path, PAGE, "sections")
    about = {"source": str(file), "title": "The first part"}
    assert told(loaded(colour, loader)) == [
        (text, {**about, "headings": path, "line": line}) for text, path, line in SECTIONS
    ]


def test_front_matter_gives_the_title_and_is_no_text(tmp_path):
    file, loader = markdown(tmp_path, f'---\ntags: [a]\ntitle: "A title"\n---\n\n{PAGE}')
    (document,) = loader.load()
    assert document.page_content == PAGE and document.metadata["title"] == "A title"
    lines = [each.metadata["line"] for each in MarkdownLoader(file, "sections").load()]
    # The first begins with the line after the front matter, which is empty.
    assert lines == [5, *(line + 5 for _, _, line in SECTIONS[1:])]


@pytest.mark.parametrize(
    "text",
    ["text\n\n---\n\nmore\n\n---\n", "---\n\ntext\n\n---\n", "---\n# A\n---\n", "---\na: b\n"],
    ids=["later", "first", "a heading", "open"],
)
def test_a_rule_is_no_front_matter(text, tmp_path):
    assert markdown(tmp_path, text)[1].load()[0].page_content == text


def test_markdown_without_headings(tmp_path):
    file, loader = markdown(tmp_path, "just text")
    assert told(loader.load()) == [("just text", {"source": str(file), "headings": []})]
    file, loader = markdown(tmp_path, "\n", "sections")
    assert loader.load() == []


def test_a_mode_that_there_is_not():
    with pytest.raises(ConfigError, match="mode is 'elements': give 'single' or 'sections'"):
        MarkdownLoader("a.md", "elements")


@given(st.lists(st.sampled_from(PAGE.splitlines()), max_size=15))
def test_sections_lose_nothing_but_empty_lines(tmp_path_factory, lines):
    folder = tmp_path_factory.mktemp("sections")
    _, loader = markdown(folder, "\n".join(lines), "sections")
    made = [line for each in loader.load() for line in each.page_content.split("\n") if line]
    assert made == [line for line in lines if line]
