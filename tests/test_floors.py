"""tools/check_floors.py, judged on small made-up packages: what it reports, and what it lets be."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

import check_floors
from check_floors import Report, Rules, check, main

FLOORS = (("errors",), ("messages", "documents"), ("run",), ("runnables",), ("", "explain"))


@pytest.fixture
def judge(tmp_path: Path):
    """Write files (path -> source) as the package `pkg` and check it."""

    def run(files: dict[str, str], **rules) -> Report:
        for name, source in files.items():
            file = tmp_path / "pkg" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(source), encoding="utf-8")
        return check(tmp_path / "pkg", Rules(**{"floors": FLOORS, **rules}))

    return run


def test_a_tree_that_obeys_has_no_problem(judge):
    report = judge(
        {
            "__init__.py": "from pkg.run import Run\n",
            "errors.py": '"""Contract."""\n\nclass Oops(Exception):\n    """Doc."""\n',
            "messages/__init__.py": "from pkg.messages.base import Message\n",
            "messages/base.py": "import json\nfrom pkg.errors import Oops\nMessage = Oops\n",
            "documents.py": "from pkg.messages import Message\n",
            "run.py": "from pkg import errors\nimport pkg.documents\nRun = errors.Oops\n",
        }
    )
    assert report.problems == []
    assert report.totals[0] == "code lines: F0 1, F1 5, F2 3, F3 0, F4 1; in all 10 in 6 files"


@pytest.mark.parametrize(
    "statement",
    [
        "from pkg.run import Run",
        "from pkg import run",
        "import pkg.run",
        "import pkg.run as r",
        "from .run import Run",
        "from . import run",
        "if TYPE_CHECKING:\n    from pkg.run import Run",
        "try:\n    import pkg.run\nexcept ImportError:\n    run = None",
        "def f():\n    import pkg.run",
        "async def f():\n    from pkg.run import Run",
        "class A:\n    def f(self):\n        return lambda: importlib.import_module('pkg.run')",
        "r = __import__('pkg.run')",
    ],
)
def test_an_import_from_a_higher_floor_is_found_however_it_is_written(judge, statement):
    report = judge({"__init__.py": "", "errors.py": statement, "run.py": "Run = 1\n"})
    assert len(report.problems) == 1
    assert "F0 imports run of F2" in report.problems[0]
    assert report.problems[0].startswith("errors.py:")


def test_a_relative_import_from_inside_a_package_is_resolved(judge):
    report = judge(
        {
            "__init__.py": "",
            "messages/__init__.py": "from .base import B\n",
            "messages/base.py": "from ..run import Run\nB = Run\n",
            "run.py": "Run = 1\n",
        }
    )
    assert report.problems == [
        "messages/base.py:1: F1 imports run of F2: a file imports only from its own floor and"
        " lower ones"
    ]


def test_nothing_inside_imports_the_front_door(judge):
    report = judge({"__init__.py": "x = 1\n", "run.py": "from pkg import x\n"})
    assert len(report.problems) == 1
    assert "F2 imports the package itself of F4" in report.problems[0]


def test_other_packages_are_none_of_its_business(judge):
    source = "import pkgother.run\nfrom collections import run\nimport_module('other.run')\n"
    assert judge({"__init__.py": "", "errors.py": source}).problems == []


@pytest.mark.parametrize("statement", ["from pkg.gone import x", "import pkg.messages.gone"])
def test_an_import_of_a_module_that_is_not_there_is_named(judge, statement):
    report = judge({"__init__.py": "", "messages/__init__.py": "", "run.py": statement})
    assert len(report.problems) == 1
    assert report.problems[0].startswith("run.py:1: there is no module ")


def test_a_module_without_a_floor_is_named(judge):
    report = judge({"__init__.py": "", "novelty.py": "x = 1\n"})
    assert report.problems == [
        "novelty.py: has no floor: add it to FLOORS in tools/check_floors.py"
    ]


def test_a_cycle_between_siblings_is_shown_with_files_and_lines(judge):
    report = judge(
        {
            "__init__.py": "",
            "messages.py": "\nfrom pkg.documents import D\nM = 1\n",
            "documents.py": "from pkg.messages import M\nD = 1\n",
        }
    )
    assert len(report.problems) == 1
    assert report.problems[0].startswith("import cycle: ")
    assert "messages.py:2" in report.problems[0]
    assert "documents.py:1" in report.problems[0]


def test_a_cycle_only_for_types_is_a_cycle(judge):
    report = judge(
        {
            "__init__.py": "",
            "messages.py": "from pkg.documents import D\n",
            "documents.py": "if TYPE_CHECKING:\n    from pkg.messages import M\n",
        }
    )
    assert len(report.problems) == 1
    assert report.problems[0].startswith("import cycle: ")


def test_a_cycle_through_a_parent_package_is_a_cycle(judge):
    # documents imports messages.base, which runs messages/__init__, which imports documents.
    report = judge(
        {
            "__init__.py": "",
            "messages/__init__.py": "from pkg.documents import D\n",
            "messages/base.py": "M = 1\n",
            "documents.py": "from pkg.messages.base import M\nD = 1\n",
        }
    )
    assert len(report.problems) == 1
    assert report.problems[0].startswith("import cycle: ")


def test_every_cycle_is_reported_not_only_the_first(judge):
    files = {"__init__.py": ""}
    for a, b in ("ab", "cd"):
        files[f"runnables/{a}.py"] = f"import pkg.runnables.{b}\n"
        files[f"runnables/{b}.py"] = f"import pkg.runnables.{a}\n"
    files["runnables/__init__.py"] = ""
    assert len(judge(files).problems) == 2


def test_a_late_import_may_be_argued_for_and_only_a_late_one(judge):
    late = {
        "__init__.py": "",
        "runnables.py": "def explain(r):\n    from pkg.explain import explain\n",
        "explain.py": "import pkg.runnables\n",
    }
    argued = {("runnables", "explain"): "the method is only a door"}
    assert len(judge(late).problems) == 2  # upwards, and a cycle
    assert judge(late, late_imports=argued).problems == []

    early = {**late, "runnables.py": "from pkg.explain import explain\n"}
    problems = judge(early, late_imports=argued).problems
    assert len(problems) == 3
    assert "the row runnables -> explain matches no import inside a function" in problems[0]


def test_sizes_count_code_and_not_prose(judge):
    source = '''
        """A docstring
        of two lines."""

        # a comment
        TEXT = """a string that is data

        counts without its blank line"""


        def f():
            """A docstring."""
            # a comment

            x = 1  # code

            "a string that nobody reads"
            return (
                x
            )
    '''
    report = judge({"errors.py": source})
    assert report.totals[0].startswith("code lines: F0 7,")
    assert report.totals[-1] == "longest function body: errors.py:f, 4 of 40"


def lines(count: int, indent: str = "") -> str:
    """That many statements."""
    return "".join(f"{indent}x = {n}\n" for n in range(count))


def test_a_file_has_at_most_400_code_lines_and_at_most_600_with_a_reason(judge):
    argued = {"long_files": {"errors.py": "a table"}}
    assert judge({"errors.py": lines(400)}).problems == []
    assert judge({"errors.py": lines(401)}).problems == ["errors.py: 401 code lines, at most 400"]
    assert judge({"errors.py": lines(600)}, **argued).problems == []
    assert judge({"errors.py": lines(601)}, **argued).problems == [
        "errors.py: 601 code lines, at most 600"
    ]


def test_a_body_has_at_most_40_code_lines_and_at_most_60_with_a_reason(judge):
    def method(count: int) -> dict[str, str]:
        return {"errors.py": "class A:\n    def f(self):\n" + lines(count, "        ")}

    argued = {"long_bodies": {"errors.py:A.f": "one state machine"}}
    assert judge(method(40)).problems == []
    assert judge(method(41)).problems == [
        "errors.py:2: the body of A.f has 41 code lines, at most 40"
    ]
    assert judge(method(60), **argued).problems == []
    assert judge(method(61), **argued).problems == [
        "errors.py:2: the body of A.f has 61 code lines, at most 60"
    ]


def test_an_exception_that_is_not_needed_any_more_is_a_problem(judge):
    report = judge(
        {"errors.py": "x = 1\n"},
        long_files={"errors.py": "was long"},
        long_bodies={"gone.py:f": "was long"},
    )
    assert [p.split(" is not needed")[0] for p in report.problems] == [
        "long_files, long_bodies: the row errors.py",
        "long_files, long_bodies: the row gone.py:f",
    ]


def test_ranges_of_floors_have_budgets(judge):
    files = {"errors.py": lines(30), "run.py": lines(30), "explain.py": lines(500)}
    rules = {"floors": (*FLOORS[:4], ("",), ("explain",)), "file_lines": 1000}
    assert judge(files, budgets=((0, 4, 60),), **rules).problems == []
    assert judge(files, budgets=((0, 4, 59),), **rules).problems == [
        "floors F0 to F4: 60 code lines, at most 59"
    ]
    assert judge(files, budgets=((0, 1, 29), (2, 4, 30)), **rules).problems == [
        "floors F0 to F1: 30 code lines, at most 29"
    ]


@pytest.mark.parametrize("name", ["utils.py", "messages/_utils.py", "messages/util/__init__.py"])
def test_a_module_called_utils_is_refused(judge, name):
    report = judge({name: "x = 1\n"}, floors=(("utils", "messages"),))
    assert len(report.problems) == 1
    assert "says nothing" in report.problems[0]


@pytest.mark.parametrize("body", ["pass", "...", "'nothing'", "'a';pass"])
def test_a_swallowed_exception_is_refused(judge, body):
    report = judge({"errors.py": f"try:\n    x = 1\nexcept ValueError:\n    {body}\n"})
    assert len(report.problems) == 1
    assert report.problems[0].startswith("errors.py:3: an exception is swallowed")


def test_a_handled_exception_is_fine(judge):
    source = "try:\n    x = 1\nexcept ValueError as e:\n    raise TypeError from e\n"
    assert judge({"errors.py": source}).problems == []


def test_a_file_that_does_not_parse_is_one_problem(judge):
    report = judge({"errors.py": "def f(:\n"})
    assert len(report.problems) == 1
    assert "errors.py:1: does not parse" in report.problems[0]


def test_an_empty_folder_is_a_problem_and_not_a_pass(tmp_path):
    assert "nothing was checked" in check(tmp_path).problems[0]


def test_the_command_prints_a_line_per_problem_and_says_it_in_its_exit_code(tmp_path, capsys):
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "errors.py").write_text("x = 1\n")
    assert main([str(package)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "floors: all hold"
    (package / "oddity.py").write_text("try:\n    x = 1\nexcept ValueError:\n    pass\n")
    assert main([str(package)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("oddity.py: has no floor")
    assert out[1].startswith("oddity.py:3: an exception is swallowed")
    assert out[-1] == "floors: 2 problem(s)"


def test_the_table_in_use_names_each_module_once_and_puts_the_front_door_on_top():
    names = [name for floor in check_floors.FLOORS for name in floor]
    assert len(names) == len(set(names))
    assert "" in check_floors.FLOORS[-1]
