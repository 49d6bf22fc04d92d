"""A directory: which files, in which order, by which loader, and what becomes of errors."""

from __future__ import annotations

import logging
import pickle
import threading
from functools import partial

import pytest

from document_loaders.files import loaded, told, write_pdf
from headrace.document_loaders import (
    BaseLoader,
    DirectoryLoader,
    JSONLinesLoader,
    LoadError,
    MarkdownLoader,
    TextLoader,
)
from headrace.document_loaders.directory import LOADERS
from headrace.documents import Document
from headrace.errors import ConfigError, InputError
from laws.colours import every_colour

FILES = {
    "b.txt": "text",
    "A.md": "# Title",
    "sub/c.csv": "x\n1\n2\n",
    "sub/d.tsv": "x\ty\n1\t2\n",
    "sub/deeper/e.jsonl": '"one"\n"two"\n',
    "sub/deeper/f.json": '{"a": 1}',
    "sub/g.HTML": "<p>page</p>",
    "sub/h.py": "import os",
    ".hidden.txt": "hidden",
    ".git/config.txt": "hidden too",
}
TEXTS = ["# Title", "text", "x: 1", "x: 2", "x: 1\ny: 2", "one", "two", '{"a": 1}', "page",
         "import os"]  # fmt: skip


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        file = tmp_path / "root" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path / "root"


def texts(loader):
    return [each.page_content for each in loader.load()]


class Counting(BaseLoader):
    """Says which files it reads, and whether they are open."""

    def __init__(self, path, log=None, together=None):
        self.path, self.log, self.together = path, [] if log is None else log, together

    def lazy_load(self):
        name = self.path.rpartition("/")[2]
        self.log.append(f"open {name}")
        try:
            if self.together is not None:
                self.together.wait(5)
            yield Document(f"{name} 1")
            yield Document(f"{name} 2")
        finally:
            self.log.append(f"close {name}")


@every_colour
def test_every_file_by_the_loader_of_its_kind_in_sorted_order(colour, root):
    documents = loaded(colour, DirectoryLoader(root))
    assert [each.page_content for each in documents] == TEXTS
    sources = dict.fromkeys(each.metadata["source"] for each in documents)
    shown = ["A.md", "b.txt", "sub/c.csv", "sub/d.tsv", "sub/deeper/e.jsonl", "sub/deeper/f.json",
             "sub/g.HTML", "sub/h.py"]  # fmt: skip
    assert list(sources) == [str(root / name) for name in shown]


def test_a_pdf_among_them(root):
    write_pdf(root / "z.pdf", [["a page"]])
    assert texts(DirectoryLoader(root, "*.pdf")) == ["a page"]


def test_which_files(root):
    assert texts(DirectoryLoader(root, "*.txt")) == ["text"]
    assert texts(DirectoryLoader(root, "*.csv")) == []
    assert texts(DirectoryLoader(root, "*.csv", recursive=True)) == ["x: 1", "x: 2"]
    assert texts(DirectoryLoader(root, ["*.txt", "b.*", "*.md"])) == ["# Title", "text"]
    assert texts(DirectoryLoader(root, exclude=["*.md", "sub/*", "*.json*"])) == ["text"]
    assert texts(DirectoryLoader(root, "**/*.txt", load_hidden=True)) == [
        "hidden too",
        "hidden",
        "text",
    ]


def test_one_loader_for_all(root):
    assert texts(DirectoryLoader(root, "**/*.json*", loader_cls=TextLoader)) == [
        '"one"\n"two"\n',
        '{"a": 1}',
    ]
    loader = DirectoryLoader(
        root, "*.md", loader_cls=MarkdownLoader, loader_kwargs={"mode": "sections"}
    )
    assert loader.load()[0].metadata["line"] == 1


def test_loaders_for_other_kinds(root):
    (root / "x.tar.zzz").write_text("x")
    (root / "y.zzz").write_text("y")
    (root / "none").write_text("none")
    given = {".zzz": TextLoader, ".tar.zzz": partial(Counting), ".txt": Counting}
    assert texts(DirectoryLoader(root, "*", loaders=given)) == [
        "# Title", "b.txt 1", "b.txt 2", "x.tar.zzz 1", "x.tar.zzz 2", "y",
    ]  # fmt: skip
    assert texts(DirectoryLoader(root, "none", loaders={"": TextLoader})) == ["none"]
    assert ".zzz" not in LOADERS


def test_files_that_no_loader_is_for_are_told_of(root, caplog):
    for name in ("a.png", "b.png", "Makefile"):
        (root / name).write_text("x")
    with caplog.at_level(logging.WARNING, "headrace"):
        assert texts(DirectoryLoader(root)) == TEXTS
    (record,) = caplog.records
    assert "no loader for .png (2), Makefile (1). Give loaders={…}" in record.getMessage()


def test_samples(root):
    assert texts(DirectoryLoader(root, sample_size=2)) == ["# Title", "text"]
    assert texts(DirectoryLoader(root, sample_size=1)) == ["# Title"]
    assert len(texts(DirectoryLoader(root, sample_size=99, randomize_sample=True))) == len(TEXTS)
    some = DirectoryLoader(root, sample_size=3, randomize_sample=True, sample_seed=7)
    chosen = texts(some)
    assert chosen == texts(some) and chosen == [each for each in TEXTS if each in chosen]
    seeds = [
        tuple(texts(DirectoryLoader(root, sample_size=3, randomize_sample=True, sample_seed=n)))
        for n in range(8)
    ]
    assert len(set(seeds)) > 1


# ---- errors ------------------------------------------------------------------------------------


@pytest.fixture
def broken(root):
    (root / "a.jsonl").write_text('"fine"\n{\n"never"\n')
    return root


def test_an_error_ends_it_and_names_the_file(broken):
    documents = DirectoryLoader(broken).lazy_load()
    assert [next(documents).page_content for _ in range(2)] == ["# Title", "fine"]
    with pytest.raises(LoadError, match="line 2") as caught:
        next(documents)
    assert caught.value.__notes__ == [f"DirectoryLoader was loading {broken / 'a.jsonl'}."]


@pytest.mark.parametrize("how", [{"silent_errors": True}, {"on_error": "warn"}])
@pytest.mark.parametrize("threads", [False, True])
def test_an_error_may_be_a_warning(how, threads, broken, caplog):
    with caplog.at_level(logging.WARNING, "headrace"):
        assert texts(DirectoryLoader(broken, **how, use_multithreading=threads)) == [
            "# Title", "fine", *TEXTS[1:],
        ]  # fmt: skip
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{broken / 'a.jsonl'} is left out: ")


@pytest.mark.parametrize(
    ("given", "handing_on"),
    [
        ({"glob": "*.txt"}, "loaders={'.txt': partial(TextLoader, …)}."),
        ({"glob": "*.txt", "loader_cls": TextLoader}, "loader_kwargs={…}."),
    ],
    ids=["loaders", "loader_cls"],
)
def test_what_a_loader_is_to_be_given_is_said_as_it_is_given_here(
    given, handing_on, tmp_path, caplog
):
    (tmp_path / "a.txt").write_bytes("é".encode("cp1252"))
    expected = (
        f"{tmp_path / 'a.txt'}, line 1: no text in utf-8 (unexpected end of data). Give its "
        "encoding=…, or autodetect_encoding=True. A DirectoryLoader hands it on: " + handing_on
    )
    with pytest.raises(LoadError) as told:
        DirectoryLoader(tmp_path, **given).load()
    assert str(told.value) == str(pickle.loads(pickle.dumps(told.value))) == expected
    assert DirectoryLoader(tmp_path, **given, on_error="warn").load() == []
    assert caplog.messages == [f"{tmp_path / 'a.txt'} is left out: {expected}"]
    collected = []
    collect = DirectoryLoader(tmp_path, **given, on_error=lambda _, error: collected.append(error))
    assert collect.load() == []
    assert [str(each) for each in collected] == [expected.partition(" A Dir")[0]]
    hands = {"loader_kwargs": {"encoding": "cp1252"}}
    if "loader_cls" not in given:
        hands = {"loaders": {".txt": partial(TextLoader, encoding="cp1252")}}
    assert texts(DirectoryLoader(tmp_path, **given, **hands)) == ["é"]


def test_an_error_may_be_skipped_or_collected(broken, caplog):
    assert texts(DirectoryLoader(broken, on_error="skip"))[:3] == ["# Title", "fine", "text"]
    assert not caplog.records
    told_of = []
    loader = DirectoryLoader(broken, on_error=lambda path, error: told_of.append((path, error)))
    assert texts(loader)[:3] == ["# Title", "fine", "text"]
    ((path, error),) = told_of
    assert path == str(broken / "a.jsonl") and isinstance(error, LoadError)


def test_what_is_no_directory(root):
    with pytest.raises(FileNotFoundError, match=r"no such directory: .*gone"):
        DirectoryLoader(root / "gone").load()
    with pytest.raises(InputError, match=r"b.txt is a file"):
        DirectoryLoader(root / "b.txt").load()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"on_error": "ignore"}, "on_error is 'ignore'"),
        ({"loader_cls": TextLoader, "loaders": {}}, "give one of them"),
        ({"loader_kwargs": {"encoding": "x"}}, "arguments of loader_cls"),
        ({"max_concurrency": 0}, "max_concurrency is 0"),
        ({"glob": "../*"}, "does not stay inside"),
        ({"glob": ["*", "/etc/*"]}, "does not stay inside"),
        ({"glob": ""}, "does not stay inside"),
    ],
    ids=["on_error", "both", "kwargs", "concurrency", "above", "elsewhere", "empty"],
)
def test_arguments_that_contradict_each_other(arguments, message):
    with pytest.raises(ConfigError, match=message):
        DirectoryLoader(".", **arguments)


# ---- one at a time, and several ----------------------------------------------------------------


def test_one_file_is_open_at_a_time_and_closing_closes_it(root):
    log = []
    documents = DirectoryLoader(root, "**/*.[tc]s*", loader_cls=partial(Counting, log=log))
    running = documents.lazy_load()
    assert log == []
    assert [next(running).page_content for _ in range(3)] == ["c.csv 1", "c.csv 2", "d.tsv 1"]
    assert log == ["open c.csv", "close c.csv", "open d.tsv"]
    running.close()
    assert log[3:] == ["close d.tsv"]


async def test_leaving_an_async_stream_closes_the_file(root):
    log = []
    loader = DirectoryLoader(root, "*", loader_cls=partial(Counting, log=log))
    running = loader.alazy_load()
    assert (await anext(running)).page_content == "A.md 1"
    await running.aclose()
    assert sorted(log) == sorted(f"{what} {each.partition(' ')[2]}" for each in log
                                 for what in [each.partition(" ")[0]])  # fmt: skip
    opened = [each.removeprefix("open ") for each in log if each.startswith("open")]
    assert [each.removeprefix("close ") for each in log if each.startswith("close")] == opened


def test_several_files_at_a_time_come_in_order(root):
    together = threading.Barrier(4)  # passed only where four are being read at once
    for number in range(4):
        (root / f"t{number}.txt").write_text("x")
    loader = DirectoryLoader(
        root,
        "t?.txt",
        loader_cls=partial(Counting, together=together),
        use_multithreading=True,
    )
    assert texts(loader) == [f"t{n}.txt {part}" for n in range(4) for part in (1, 2)]


def test_no_more_files_are_begun_than_may_be(root):
    log = []
    for number in range(9):
        (root / f"t{number}.txt").write_text("x")
    running = DirectoryLoader(
        root, "t?.txt", loader_cls=partial(Counting, log=log), use_multithreading=True,
        max_concurrency=2,
    ).lazy_load()  # fmt: skip
    next(running)
    running.close()
    assert sum(each.startswith("open") for each in log) <= 3
    assert sum(each.startswith("close") for each in log) == sum(
        each.startswith("open") for each in log
    )


def test_one_thread_is_one_file_at_a_time(root):
    loader = DirectoryLoader(root, use_multithreading=True, max_concurrency=1)
    assert texts(loader) == TEXTS


def test_an_error_in_a_thread_comes_in_its_turn(broken):
    documents = DirectoryLoader(broken, use_multithreading=True).lazy_load()
    assert next(documents).page_content == "# Title"
    with pytest.raises(LoadError, match="line 2"):
        list(documents)


def test_progress_is_shown_where_it_is_asked_for(root, capsys):
    assert texts(DirectoryLoader(root, show_progress=True)) == TEXTS
    shown = capsys.readouterr().err
    assert "Loading" in shown and "8/8" in shown
    texts(DirectoryLoader(root))
    assert capsys.readouterr().err == ""


def test_a_directory_into_lines_of_its_own(root):
    """A loader with other settings for a kind of file."""
    lines = partial(JSONLinesLoader, text_content=False)
    loader = DirectoryLoader(root, "**/*.json*", loaders={".json": lines})
    assert told(loader.load())[2][0] == '{"a": 1}'
