"""Loading a TARGET: what counts as one, and what is said when it cannot be loaded."""

from __future__ import annotations

import sys

import pytest

from headrace.cli.outcome import TargetError
from headrace.cli.target import load_target
from headrace.runnables import Runnable, RunnableParallel

DEMO = """
from headrace.runnables import RunnableLambda, each
import neighbour

def shout(text):
    return text.upper() + neighbour.MARK

def words(chunks):
    for chunk in chunks:
        yield from chunk.split()

def _private(text):
    raise AssertionError

class Kind(RunnableLambda):
    inner = each(str.lower)

chain = RunnableLambda(shout) | words
parts = {"loud": shout, "words": words}
number = 3
"""


@pytest.fixture(autouse=True)
def files(folder):
    (folder / "demo.py").write_text(DEMO)
    (folder / "neighbour.py").write_text("MARK = '!'\ndef only(text):\n    return text\n")
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("")
    (folder / "package" / "inner.py").write_text("from . import other\nrun = other.run\n")
    (folder / "package" / "other.py").write_text("def run(text):\n    return [text]\n")


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("demo.py:chain", ["HI!"]),
        ("./demo.py:chain", ["HI!"]),
        ("demo:chain", ["HI!"]),
        ("demo.py:shout", ["HI!"]),
        ("demo.py:words", ["hi"]),
        ("demo.py:Kind.inner", ["hi"]),
        ("package.inner:run", [["hi"]]),
        ("json:dumps", ['"hi"']),
    ],
)
def test_a_target_is_a_runnable_or_what_becomes_one(word, value):
    target = load_target(word)
    assert isinstance(target, Runnable)
    assert list(target.stream("hi")) == value


def test_an_absolute_path_from_elsewhere_finds_its_neighbours(
    folder, monkeypatch, tmp_path_factory
):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert load_target(f"{folder / 'demo.py'}:chain").invoke("hi") == "HI!"


def test_a_dict_is_a_parallel():
    target = load_target("demo.py:parts")
    assert isinstance(target, RunnableParallel)
    assert target.invoke("hi") == {"loud": "HI!", "words": "hi"}


def test_a_file_named_like_a_loaded_module_does_not_replace_it(folder):
    (folder / "json.py").write_text("def run(text):\n    return __name__\n")
    loaded = sys.modules["json"]
    assert load_target("json.py:run").invoke("") == "headrace_target_json"
    assert sys.modules["json"] is loaded


def test_a_files_module_can_be_found_by_its_name_as_pydantic_and_pickle_need(folder):
    (folder / "models.py").write_text(
        "from __future__ import annotations\n"
        "from pydantic import BaseModel\n"
        "class Line(BaseModel):\n    next: Line | None = None\n"
        "def run(text):\n    return Line(next=Line())\n"
    )
    assert load_target("models.py:run").invoke("").next.next is None


REFUSED = [
    ("gone.py:chain", r"There is no file 'gone\.py' \(looked in "),
    ("gone.inner:chain", "There is no module 'gone.inner' to import here or in the environment"),
    ("package.gone:chain", "There is no module 'package.gone'"),
    ("demo.gone:chain", "There is no module 'demo.gone'"),
    (
        "what",
        "'what' is no TARGET: write path/to/file.py:name or package.module:name; put an INPUT",
    ),
    ("explain: why", "is no TARGET"),
    ("demo.py", "'demo.py' says no name: write demo.py:name. It has: chain."),
    ("demo.py:", "'demo.py' says no name"),
    ("demo.py:chian", r"'demo\.py' has no 'chian'\. Did you mean 'chain'\? It has: chain\."),
    ("demo.py:chain.gone", r"'demo\.py' has no 'chain\.gone'\. It has: chain\."),
    ("neighbour.py:x", r"'neighbour\.py' has no 'x'\. It has: only\."),
    ("package:x", r"'package' has no 'x'\. There is no runnable in it\."),
    ("demo.py:number", "'demo.py:number' is no runnable: 3 "),
    ("demo.py:Kind", "'demo.py:Kind' is the class Kind: make an instance"),
]


@pytest.mark.parametrize(("word", "says"), REFUSED)
def test_what_cannot_be_loaded_is_said_in_a_sentence(word, says):
    with pytest.raises(TargetError, match=says):
        load_target(word)


BROKEN = [
    ("x = 1\n1 / 0\n", r"ZeroDivisionError: division by zero \(broken\.py, line 2\)"),
    ("import gone_dependency", r"ModuleNotFoundError: No module named 'gone_dependency' \(broken"),
    ("import culprit", r"ValueError: mine \(culprit\.py, line 1\)"),
    ("def f(:\n", r"SyntaxError: .*\(broken\.py, line 1\)"),
]


@pytest.mark.parametrize(("source", "says"), BROKEN)
@pytest.mark.parametrize("word", ["broken.py:x", "broken:x", "parcel.broken:x"])
def test_an_error_inside_the_target_says_where(source, says, word, folder):
    (folder / "culprit.py").write_text("raise ValueError('mine')")
    (folder / "parcel").mkdir()
    (folder / "parcel" / "__init__.py").write_text("")
    for place in (folder, folder / "parcel"):
        (place / "broken.py").write_text(source)
    with pytest.raises(TargetError, match=rf"'[\w.]+' cannot be imported: {says}") as caught:
        load_target(word)
    assert caught.value.__cause__ is not None


def test_a_broken_package_is_told_from_a_missing_one(folder):
    (folder / "parcel").mkdir()
    (folder / "parcel" / "__init__.py").write_text("import gone_dependency")
    with pytest.raises(TargetError, match=r"cannot be imported.*No module named 'gone_dependency'"):
        load_target("parcel.inner:x")
