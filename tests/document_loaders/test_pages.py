"""HTML and PDF."""

from __future__ import annotations

import sys

import pypdf
import pytest
from bs4 import BeautifulSoup, SoupStrainer
from hypothesis import given
from hypothesis import strategies as st

from document_loaders.files import loaded, told, write_pdf
from headrace.document_loaders import BSHTMLLoader, HTMLLoader, LoadError, PyPDFLoader
from headrace.document_loaders.page_text import page_text
from headrace.errors import ConfigError, MissingExtraError
from laws.colours import every_colour

PAGE = """<!DOCTYPE html>
<html lang="en"><head><title> A
 title</title><meta name="description" content="About it">
<style>p { color: red }</style></head>
<body><!-- not this --><h1>The <i>first</i></h1>
Some   text
here<br>and <b>there</b>, &amp; more.
<p>A paragraph<p>Another, <a href="x">linked</a>.
<ul><li>one<li>two <span>and</span> a half</ul>
<table><tr><th>a<th>b</tr><tr><td>1</td> <td>2</td></tr></table>
<pre>
if x:
    y
</pre><script>no()</script><h2>Second</h2>End</body></html>
"""
READ = """\
The first

Some text here
and there, & more.

A paragraph

Another, linked.

one
two and a half

a | b
1 | 2

if x:
    y

Second

End"""


def page(tmp_path, data, name="a.html"):
    file = tmp_path / name
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    return file


@every_colour
def test_a_page_is_read_as_it_is_shown(colour, tmp_path):
    file = page(tmp_path, PAGE)
    about = {
        "source": str(file),
        "title": "A title",
        "description": "About it",
        "language": "en",
        "headings": ["The first", "Second"],
    }
    assert told(loaded(colour, HTMLLoader(file))) == [(READ, about)]


def test_a_page_without_anything(tmp_path):
    file = page(tmp_path, "")
    assert told(HTMLLoader(file).load()) == [("", {"source": str(file), "title": ""})]
    for data, text in (("a &lt; b", "a < b"), ("https://example.org/a", "https://example.org/a")):
        assert HTMLLoader(page(tmp_path, data)).load()[0].page_content == text


def test_a_page_that_nests_deep(tmp_path):
    deep = "<div>" * 20_000 + "x" + "</div>" * 20_000
    assert HTMLLoader(page(tmp_path, deep)).load()[0].page_content == "x"


TAGS = ["p", "b", "div", "td", "tr", "table", "li", "h2", "pre", "br", "span", "!unknown"]
trees = st.recursive(
    st.sampled_from(["x", " y ", "\n", "a b", "&amp;", "<!-- c -->", "<script>z</script>"]),
    lambda inner: st.tuples(st.sampled_from(TAGS), st.lists(inner, max_size=4), st.booleans()).map(
        lambda tag: f"<{tag[0]}>{''.join(tag[1])}" + (f"</{tag[0]}>" if tag[2] else "")
    ),
    max_leaves=20,
)


@given(trees)
def test_no_character_of_a_page_is_lost_or_added(tree):
    text, headings = page_text(BeautifulSoup(tree, "html.parser"))
    expected = BeautifulSoup(tree, "html.parser").get_text()
    assert "".join(text.replace("|", "").split()) == "".join(expected.split())
    assert all(heading.replace(" | ", "").strip() for heading in headings)
    assert text == text.strip()


@every_colour
def test_all_text_as_beautifulsoup_gives_it(colour, tmp_path):
    file = page(tmp_path, "<title>T</title>\r\n<p>a<p>b<script>x</script>")
    loader = BSHTMLLoader(file, get_text_separator="|")
    assert told(loaded(colour, loader)) == [("T|\n|a|b", {"source": str(file), "title": "T"})]
    only = {"features": "html.parser", "parse_only": SoupStrainer("p")}
    assert BSHTMLLoader(file, bs_kwargs=only).load()[0].page_content == "ab"


@pytest.mark.parametrize("kind", [HTMLLoader, BSHTMLLoader])
@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("é ü".encode(), "é ü"),
        ("é“ü”".encode("cp1252"), "é“ü”"),
        ('<meta charset="iso-8859-1">é“'.encode("cp1252"), "é“"),
        ('<meta charset="koi8-r">да'.encode("koi8-r"), "да"),
        ('<meta charset="koi8-r">да'.encode("utf-16"), "да"),
        ('<meta charset="nothing">é'.encode(), "é"),
        ('<meta charset="utf-16">é'.encode(), "é"),
        (b'<meta charset="utf-8">a\xffb', "a\ufffdb"),
    ],
    ids=["utf-8", "none", "latin", "said", "mark", "unknown", "impossible", "broken"],
)
def test_encodings_are_found_as_a_browser_does(kind, data, text, tmp_path):
    assert kind(page(tmp_path, data)).load()[0].page_content == text


def test_an_encoding_that_is_given_has_to_fit(tmp_path):
    file = page(tmp_path, "é".encode("cp1252"))
    assert HTMLLoader(file, encoding="cp1252").load()[0].page_content == "é"
    for loader in (HTMLLoader(file, encoding="utf-8"), BSHTMLLoader(file, "utf-8")):
        with pytest.raises(LoadError, match=r"a\.html: no text in utf-8"):
            loader.load()
    with pytest.raises(ConfigError, match="no encoding 'x'"):
        HTMLLoader(file, encoding="x")


def test_pages_without_beautifulsoup(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bs4", None)
    for kind in (HTMLLoader, BSHTMLLoader):
        with pytest.raises(MissingExtraError, match=r"headrace\[html\]"):
            kind(page(tmp_path, "x")).load()


# ---- PDF ---------------------------------------------------------------------------------------

ABOUT = {"/Title": " A title ", "/Producer": "Us", "/ModDate": "D:20240131120000+01'00'"}


@every_colour
def test_each_page_is_a_document(colour, tmp_path):
    file = tmp_path / "a.pdf"
    write_pdf(file, [["Page one", "goes on"], [], ["Page three"]], about=ABOUT, labels=1)
    about = {
        "source": str(file),
        "total_pages": 3,
        "title": "A title",
        "producer": "Us",
        "creator": "PyPDF",
        "creationdate": "",
        "moddate": "2024-01-31T12:00:00+01:00",
    }
    assert told(loaded(colour, PyPDFLoader(file))) == [
        ("Page one\ngoes on", {**about, "page": 0, "page_label": "i"}),
        ("", {**about, "page": 1, "page_label": "1"}),
        ("Page three", {**about, "page": 2, "page_label": "2"}),
    ]
    single = PyPDFLoader(file, mode="single", pages_delimiter="|")
    assert told(loaded(colour, single)) == [("Page one\ngoes on||Page three", about)]


def test_pages_are_read_when_they_are_asked_for(tmp_path, monkeypatch):
    file = tmp_path / "a.pdf"
    write_pdf(file, [["one"], ["two"]])
    read = []
    extract = pypdf.PageObject.extract_text

    def watched(self, *args, **kwargs):
        read.append(kwargs)
        return extract(self, *args, **kwargs)

    monkeypatch.setattr(pypdf.PageObject, "extract_text", watched)
    pages = PyPDFLoader(
        file, extraction_mode="layout", extraction_kwargs={"layout_mode_space_vertically": False}
    ).lazy_load()
    assert next(pages).page_content == "one"
    assert read == [{"extraction_mode": "layout", "layout_mode_space_vertically": False}]
    pages.close()
    file.unlink()  # it is open no more: on some systems this would fail


def test_an_encrypted_file(tmp_path):
    file = tmp_path / "a.pdf"
    write_pdf(file, [["secret"]], password="open")
    assert PyPDFLoader(file, "open").load()[0].page_content == "secret"
    with pytest.raises(LoadError, match=r"a.pdf: a password is needed\. Give password=…\."):
        PyPDFLoader(file).load()
    with pytest.raises(LoadError, match=r"a.pdf: the password is wrong\."):
        PyPDFLoader(file, "shut").load()


def test_what_is_no_pdf(tmp_path):
    for data in (b"", b"<html>", b"%PDF-1.7\n1 0 obj\n"):
        with pytest.raises(LoadError, match=r"a\.pdf: no PDF that can be read"):
            PyPDFLoader(page(tmp_path, data, "a.pdf")).load()


def test_a_page_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    file = tmp_path / "a.pdf"
    write_pdf(file, [["one"], ["two"]])
    extract = pypdf.PageObject.extract_text

    def fails(self, *args, **kwargs):
        text = extract(self, *args, **kwargs)
        if text.strip() == "two":
            raise KeyError("/Font")
        return text

    monkeypatch.setattr(pypdf.PageObject, "extract_text", fails)
    pages = PyPDFLoader(file).lazy_load()
    assert next(pages).page_content == "one"
    with pytest.raises(LoadError, match=r"a.pdf, page 2: its text cannot be read .*'/Font'"):
        next(pages)


def test_what_is_refused_before_anything_is_read(monkeypatch):
    with pytest.raises(ConfigError, match="mode is 'pages': give 'page' or 'single'"):
        PyPDFLoader("a.pdf", mode="pages")
    with pytest.raises(ConfigError, match="is no file: fetch it"):
        PyPDFLoader("https://example.org/a.pdf")
    monkeypatch.setitem(sys.modules, "pypdf", None)
    with pytest.raises(MissingExtraError, match=r"headrace\[pdf\]"):
        PyPDFLoader("a.pdf").load()
