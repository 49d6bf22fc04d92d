"""`headrace graph`: formats, files, and what it refuses."""

from __future__ import annotations

import json
import sys
from xml.etree import ElementTree

import pytest

SOURCE = """
from headrace.output_parsers import StrOutputParser
from headrace.prompts import PromptTemplate
from headrace.runnables import RunnableLambda

def shout(text):
    return text.upper()

chain = PromptTemplate.from_template("about {topic}") | StrOutputParser() | shout
lone = RunnableLambda(shout, name="\\ud800 \\u00e9")
"""
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def files(folder):
    (folder / "steps.py").write_text(SOURCE)


def test_characters_are_the_default(here):
    code, out, err = here("graph", "steps.py:chain")
    assert (code, err) == (0, "")
    assert "| StrOutputParser |" in out
    assert out.endswith("+   \n\n[=] waits for its whole input\n")
    assert here("graph", "steps.py:chain", "--format", "ascii")[1] == out


def test_mermaid(here):
    code, out, err = here("graph", "steps.py:chain", "--format", "mermaid")
    assert (code, err) == (0, "")
    assert "\tPromptTemplate --> StrOutputParser;\n" in out
    assert "\tshout(shout):::barrier\n" in out


def test_svg(here):
    code, out, err = here("graph", "steps.py:chain", "-f", "svg")
    assert (code, err) == (0, "")
    assert ElementTree.fromstring(out).tag.endswith("svg")


def test_json(here):
    code, out, err = here("graph", "steps.py:chain", "--format", "json")
    assert (code, err) == (0, "")
    graph = json.loads(out)
    assert len(graph["nodes"]) == 5
    assert graph["edges"][0] == {"source": 0, "target": 1}


@pytest.mark.parametrize(
    ("file", "begins"),
    [
        ("a.txt", b" "),
        ("a.mmd", b"---\nconfig:"),
        ("a.mermaid", b"---\nconfig:"),
        ("a.svg", b"<svg "),
        ("a.PNG", PNG),
        ("a.json", b"{"),
    ],
)
def test_the_ending_of_the_file_says_the_format(here, folder, file, begins):
    assert here("graph", "steps.py:chain", "-o", file) == (0, "", "")
    assert (folder / file).read_bytes().startswith(begins)


def test_a_format_that_is_named_wins(here, folder):
    assert here("graph", "steps.py:chain", "--format", "png", "--output", "a.txt") == (0, "", "")
    assert (folder / "a.txt").read_bytes().startswith(PNG)


def test_a_png_in_a_pipe(headrace):
    headrace.write(SOURCE, "steps.py")
    process = headrace.start("graph", "steps.py:chain", "--format", "png")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert out.startswith(PNG)


def test_a_png_on_a_terminal_is_refused(here, monkeypatch):
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    code, out, err = here("graph", "steps.py:chain", "--format", "png")
    assert (code, out) == (2, "")
    assert err == (
        "headrace: A PNG is no text for a terminal: name a file for it, as in `-o graph.png`, or "
        "take another --format.\n"
    )


@pytest.mark.parametrize("file", ["a", "a.jpeg"])
def test_an_ending_that_says_nothing(here, folder, file):
    code, out, err = here("graph", "steps.py:chain", "-o", file)
    assert (code, out) == (2, "")
    assert err.startswith(f"headrace: The ending of {file!r} says no format: name it with --format")
    assert not (folder / file).exists()


def test_a_format_that_is_none(here):
    code, _, err = here("graph", "steps.py:chain", "--format", "gif")
    assert code == 2
    assert "'gif' is not one of 'ascii', 'mermaid', 'svg', 'png', 'json'" in err


def test_a_file_that_cannot_be_written(here):
    code, out, err = here("graph", "steps.py:chain", "-o", "nowhere/a.svg")
    assert (code, out) == (1, "")
    assert err.startswith("headrace: FileNotFoundError: ")


def test_a_missing_package_names_what_to_install(here, monkeypatch):
    for name in [m for m in sys.modules if m.partition(".")[0] == "grandalf"] + ["grandalf"]:
        monkeypatch.setitem(sys.modules, name, None)
    code, out, err = here("graph", "steps.py:chain")
    assert (code, out) == (1, "")
    assert 'pip install "headrace[graph]"' in err
    assert here("graph", "steps.py:chain", "--format", "mermaid")[0] == 0


def test_odd_names_reach_a_file_and_a_terminal(here, folder):
    for file in ("a.txt", "a.mmd", "a.svg", "a.json", "a.png"):
        assert here("graph", "steps.py:lone", "-o", file) == (0, "", "")
    assert "é" in (folder / "a.svg").read_text("utf-8")
    code, out, err = here("graph", "steps.py:lone")
    assert (code, err) == (0, "")
    assert "é" in out


def test_the_help_says_what_needs_installing(here):
    code, out, _ = here("graph", "--help")
    assert code == 0
    assert all(word in out for word in ("ascii", "mermaid", "svg", "png", "json", "[graph]"))
