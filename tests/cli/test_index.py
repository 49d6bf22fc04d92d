"""`headrace index`, in this process: what is added, left alone and deleted, and what it says."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path

import pytest

from document_loaders.files import write_pdf
from headrace.cli import gathering
from headrace.cli.library import Library
from headrace.cli.passages import place, text_of

from .test_process import on_a_terminal
from .words import INSTALLED, Words

SUMMARY = (
    r"(\d+) files? · (\d+) passages? · (\d+) added · (\d+) unchanged · (\d+) deleted · [\d.]+ s\n"
)


@pytest.fixture(autouse=True)
def words(monkeypatch):
    monkeypatch.setattr("headrace.cli.library.LocalEmbeddings", Words)
    monkeypatch.setattr(Words, "embedded", [])


@pytest.fixture
def docs(folder):
    """Four files in two folders, with five passages."""
    write(folder, "docs/mill.md", "# The mill\n\nIt grinds corn.\n\n## The wheel\n\nIt turns.\n")
    write(folder, "docs/river.txt", "The river is long.")
    write(folder, "docs/deep/code.py", "def grind(corn):\n    return corn * 2\n")
    write(folder, "docs/deep/rows.csv", "name,age\nAda,36\n")
    return folder / "docs"


def write(folder: Path, name: str, text: str | bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def numbers(said: str) -> tuple[int, ...]:
    """Files, passages, added, unchanged, deleted."""
    found = re.fullmatch(SUMMARY, said)
    assert found, said
    return tuple(map(int, found.groups()))


def texts(folder: Path, store: str = "st") -> set[str]:
    library = Library.open(folder / store)
    return {each.page_content for each in library._documents()}


def index(here, *arguments: str, code: int = 0) -> tuple[tuple[int, ...], str]:
    got, out, err = here("index", *arguments, "--store", "st")
    assert got == code, err
    return numbers(out), err


# ---- in step ------------------------------------------------------------------------------------


def test_the_first_run_adds_all_and_the_second_does_nothing(here, docs, folder):
    assert index(here, "docs") == ((4, 5, 5, 0, 0), "")
    before = {path: path.stat().st_mtime_ns for path in (folder / "st").iterdir()}
    Words.embedded.clear()
    assert index(here, "docs") == ((4, 5, 0, 5, 0), "")
    assert Words.embedded == []
    assert {path: path.stat().st_mtime_ns for path in (folder / "st").iterdir()} == before


def test_of_a_file_that_has_changed_only_its_new_passages_are_embedded(here, docs, folder):
    index(here, "docs")
    Words.embedded.clear()
    write(docs, "mill.md", "# The mill\n\nIt grinds corn.\n\n## The wheel\n\nIt stands still.\n")
    assert index(here, "docs") == ((4, 5, 1, 4, 1), "")
    assert Words.embedded == ["The mill › The wheel\n\n## The wheel\n\nIt stands still."]
    assert not any("It turns" in text for text in texts(folder))


def test_what_is_gone_is_deleted(here, docs, folder):
    index(here, "docs")
    (docs / "river.txt").unlink()
    write(docs, "deep/rows.csv", "")
    assert index(here, "docs") == ((3, 3, 0, 3, 2), "")
    for file in docs.rglob("*.*"):
        file.unlink()
    assert index(here, "docs") == ((0, 0, 0, 0, 3), "")
    code, _, err = here("index", "docs", "--store", "st")
    assert (code, err.partition(".")[0]) == (2, "headrace: There is nothing to index in 'docs'")


@pytest.mark.parametrize(("clean", "deleted"), [("full", 2), ("incremental", 1), ("none", 0)])
def test_whose_passages_go(here, docs, clean, deleted):
    index(here, "docs")
    (docs / "river.txt").unlink()
    write(docs, "deep/code.py", "def grind(corn):\n    return corn * 3\n")
    assert index(here, "docs", "--clean", clean) == ((3, 4, 1, 3, deleted), "")


def test_other_paths_and_other_globs_keep_theirs(here, docs, folder):
    write(folder, "more/hill.txt", "The hill is high.")
    index(here, "docs")
    assert index(here, "more") == ((1, 1, 1, 0, 0), "")
    assert index(here, "docs/mill.md") == ((1, 2, 0, 2, 0), "")
    (docs / "river.txt").unlink()
    assert index(here, "docs", "--glob", "*.md") == ((1, 2, 0, 2, 0), "")
    assert index(here, "docs", "--glob", "*.md", "--glob", "**/*.txt") == ((1, 2, 0, 2, 1), "")
    assert len(texts(folder)) == 5


def test_a_chunk_size_is_remembered(here, docs, folder):
    write(docs, "river.txt", " ".join(f"It is {mile} miles long." for mile in range(20)))
    assert index(here, "docs", "--chunk-size", "100")[0][1] > 8
    assert index(here, "docs") == ((4, 9, 0, 9, 0), "")
    assert index(here, "docs", "--chunk-size", "1000")[0] == (4, 5, 1, 4, 5)


def test_the_same_text_in_two_files_is_there_twice(here, folder):
    write(folder, "docs/a.txt", "The river is long.")
    write(folder, "docs/b.txt", "The river is long.")
    assert index(here, "docs")[0] == (2, 2, 2, 0, 0)


# ---- what is read -------------------------------------------------------------------------------


def test_passages_know_their_place(here, docs, folder):
    index(here, "docs")
    library = Library.open(folder / "st")
    known = {
        (Path(each.metadata.pop("source")).name, each.page_content): each.metadata
        for each in library._documents()
    }
    assert known == {
        ("mill.md", "The mill\n\n# The mill\n\nIt grinds corn."): {
            "headings": ["The mill"], "line": 1,
        },
        ("mill.md", "The mill › The wheel\n\n## The wheel\n\nIt turns."): {
            "headings": ["The mill", "The wheel"], "line": 5,
        },
        ("river.txt", "The river is long."): {"line": 1},
        ("code.py", "def grind(corn):\n    return corn * 2"): {"line": 1},
        ("rows.csv", "name: Ada\nage: 36"): {"row": 0},
    }  # fmt: skip


def test_pages_web_pages_and_values_know_theirs(here, folder):
    (folder / "docs").mkdir()
    write_pdf(folder / "docs/a.pdf", [["The mill stands."], ["The wheel turns."]])
    write(folder, "docs/b.html", "<title>T</title><h1>The river</h1><p>It is long.</p>")
    write(folder, "docs/c.jsonl", '{"name": "Ada"}\n{"name": "Bob"}\n')
    index(here, "docs")
    found = Library.open(folder / "st")._documents()
    assert [(place(each), text_of(each)) for each in found] == [
        ("docs/a.pdf, page 1", "The mill stands."),
        ("docs/a.pdf, page 2", "The wheel turns."),
        ("docs/b.html", "The river\n\nIt is long."),
        ("docs/c.jsonl, value 1", '{"name": "Ada"}'),
        ("docs/c.jsonl, value 2", '{"name": "Bob"}'),
    ]


def test_lines_count_from_the_start_of_the_file(here, folder):
    lines = [f"Line {number} of the river." for number in range(1, 41)]
    write(folder, "docs/a.txt", "\n".join(lines))
    write(folder, "docs/b.md", "---\ntitle: T\n---\n\n# One\n\n" + "\n\n".join(lines))
    index(here, "docs", "--chunk-size", "120")
    seen = 0
    for each in Library.open(folder / "st")._documents():
        file = Path(each.metadata["source"])
        line = file.read_text().split("\n")[each.metadata["line"] - 1]
        text = each.page_content.removeprefix("One\n\n")
        assert text.startswith(line)
        seen += 1
    assert seen > 15


def test_hidden_files_and_the_store_are_left_out(here, docs, folder, monkeypatch):
    monkeypatch.chdir(docs)
    write(docs, ".hidden/a.txt", "hidden")
    write(docs, ".b.txt", "hidden")
    write(docs, "node_modules/c.js", "let c = 1")
    assert index(here, ".")[0] == (4, 5, 5, 0, 0)
    assert index(here, ".")[0] == (4, 5, 0, 5, 0)


def test_headings_with_nothing_under_them_are_no_passage(here, folder):
    write(folder, "docs/a.md", "# One\n\n## Two\n\n***\n\n### Three\n\nText.\n")
    assert index(here, "docs")[0] == (1, 1, 1, 0, 0)


def test_files_of_no_known_kind_are_counted_and_with_a_glob_read_as_text(here, docs):
    write(docs, "notes.adoc", "= The notes")
    write(docs, "picture.png", b"\x89PNG\0\0")
    write(docs, "Makefile", "all:\n\tgrind")
    got, err = index(here, "docs")
    assert got == (5, 6, 6, 0, 0)
    assert err == "left out: 1 .adoc, 1 .png\n"
    got, err = index(here, "docs", "--glob", "*.adoc", "--glob", "*.png")
    assert got == (1, 1, 1, 0, 0)
    assert err == "left out: 1 .png\n"


def test_what_cannot_be_read_is_named_and_keeps_its_passages(here, docs, folder):
    index(here, "docs")
    write(docs, "river.txt", b"The river is \xff\xfe long.")
    write(docs, "deep/broken.pdf", "no pdf")
    got, err = index(here, "docs", code=1)
    assert got == (3, 4, 0, 4, 0)
    assert err.splitlines() == [
        "not read: docs/deep/broken.pdf: no PDF that can be read (Stream has ended unexpectedly)",
        "not read: docs/river.txt: line 1: no text in utf-8 (invalid start byte)",
        "headrace: 2 files could not be read; what the store had of them is kept.",
    ]
    assert "The river is long." in texts(folder)


def test_a_file_and_a_folder_that_may_not_be_read(here, docs, folder, monkeypatch):
    index(here, "docs")
    scandir, read = os.scandir, gathering.passages

    def closed(path):
        if str(path).endswith("deep"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    def passages(file, chunk_size):
        if file.name == "river.txt":
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return read(file, chunk_size)

    monkeypatch.setattr(os, "scandir", closed)
    monkeypatch.setattr("headrace.cli.indexing.passages", passages)
    got, err = index(here, "docs", code=1)
    assert got == (1, 2, 0, 2, 0)
    assert err.splitlines()[:2] == [
        "not read: docs/deep: Permission denied",
        "not read: docs/river.txt: Permission denied",
    ]
    assert len(texts(folder)) == 5


def test_what_files_are_called_moves_no_cursor(here, folder):
    write(folder, "docs/a\x1b[2J\nb.txt", b"\xff")
    write(folder, "docs/c.txt", "c")
    assert (
        index(here, "docs", code=1)[1].splitlines()[0].startswith("not read: docs/a\ufffd[2J b.t")
    )


def test_on_a_terminal_bars_are_shown_and_go(headrace):
    headrace.write("The river is long.", "docs/a.txt")
    code, shown = on_a_terminal(headrace, "index", "docs", "-s", "st", before=INSTALLED)
    assert code == 0
    assert "reading" in shown
    assert "embedding" in shown
    last = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.rpartition("\x1b[2K")[2])
    assert numbers(last.lstrip("\r")) == (1, 1, 1, 0, 0)


def test_of_many_files_that_cannot_be_read_ten_are_named(here, folder):
    for number in range(14):
        write(folder, f"docs/{number:02}.txt", b"\xff\xff")
    got, err = index(here, "docs", code=1)
    assert got == (0, 0, 0, 0, 0)
    lines = err.splitlines()
    assert (len(lines), lines[9][:26], lines[10]) == (
        12, "not read: docs/09.txt: lin", "not read: 4 more",
    )  # fmt: skip


# ---- wrong input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["gone", "-s", "st"], 2, "There is no file or folder 'gone'"),
        (["empty", "-s", "st"], 2, "There is nothing to index in 'empty'."),
        (["pictures", "-s", "st"], 2, "There is nothing to index in 'pictures': there are 1 .png."),
        (["docs", "-s", "st", "--glob", "*.xyz"], 2, "No file in 'docs' fits --glob '*.xyz'"),
        (["docs", "-s", "docs"], 2, "'docs' is the store or lies in it"),
        (["docs/deep", "-s", "docs"], 2, "'docs/deep' is the store or lies in it"),
        (["docs", "-s", "empty/../pictures"], 1, "has other things in it and is no store"),
        (["docs", "-s", "docs/river.txt"], 1, "'docs/river.txt' is a file: give --store"),
        (["docs", "-s", "st", "--chunk-size", "4"], 2, "--chunk-size is 4: give 50 characters"),
        (["docs", "-s", "st", "--clean", "all"], 2, "'all' is not one of 'full', 'incremental'"),
        (["docs"], 2, "Missing option '--store'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_command_line_that_makes_no_sense(here, docs, folder, arguments, code, says):
    (folder / "empty").mkdir()
    write(folder, "pictures/a.png", b"\x89PNG\0\0")
    got, out, err = here("index", *arguments)
    assert (got, out, err.count("\n")) == (code, "", 1)
    assert says in err
    assert not (folder / "st").exists()


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"format": "headrace.library 9"}, "is of the format 'headrace.library 9', and this"),
        ({"format": "headrace.library 1", "embeddings": "other"}, "embedding model 'other'"),
        ({"format": "headrace.library 1", "colour": 1}, "is damaged"),
        ([], "is of the format None"),
        ("{", "cannot be read"),
    ],
)
@pytest.mark.parametrize("command", [["index", "docs", "-s", "st"], ["ask", "st", "why?"]])
def test_a_store_of_another_version_or_damaged(here, docs, folder, command, written, says):
    write(folder, "st/headrace.json", written if isinstance(written, str) else json.dumps(written))
    code, out, err = here(*command)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert says in err


@pytest.mark.parametrize("command", [["index", "docs", "-s", "st"], ["ask", "st", "why?"]])
def test_a_store_whose_files_are_torn(here, docs, folder, command):
    index(here, "docs")
    (part,) = (folder / "st").glob("index.*.jsonl")
    part.write_bytes(part.read_bytes()[:-9])
    code, out, err = here(*command)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "is damaged" in err


def test_what_is_not_installed_is_said_before_anything_is_read(here, docs, folder, monkeypatch):
    monkeypatch.setattr("headrace.cli.library.find_spec", lambda name: None)
    code, out, err = here("index", "docs", "-s", "st")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert 'pip install "headrace[faiss]"' in err
    assert not (folder / "st").exists()


def test_one_run_at_a_time(here, docs, folder):
    with Library.changing(folder / "st"):
        code, out, err = here("index", "docs", "-s", "st")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "Another `headrace index` is changing 'st'" in err
    index(here, "docs")
