"""What `headrace` writes and how it ends, for many command lines, in this process."""

from __future__ import annotations

import json
import re

import pytest

from .targets import ELEMENTS, FAILING, TEXTUAL, VALUES

BOTH = pytest.mark.parametrize("colour", [(), ("--async",)], ids=["sync", "async"])


@pytest.fixture(autouse=True)
def files(folder):
    (folder / "demo.py").write_text(VALUES)
    (folder / "elements.py").write_text(ELEMENTS)
    (folder / "failing.py").write_text(FAILING)
    (folder / "broken.py").write_text("import gone_dependency")


# ---- chunks -------------------------------------------------------------------------------------


@BOTH
def test_texts_as_they_are_and_other_values_as_lines(here, colour):
    assert here("stream", "demo.py:values", "x", *colour) == (0, TEXTUAL, "")


@BOTH
def test_with_json_each_chunk_is_a_line(here, colour):
    code, out, err = here("stream", "demo.py:values", "x", "--json", *colour)
    assert (code, err) == (0, "")
    chunks = [json.loads(line) for line in out.splitlines()]
    assert len(chunks) == 14
    assert chunks[0] == "one"
    assert (chunks[1]["content"], chunks[1]["type"]) == (" two", "AIMessageChunk")
    assert chunks[2] == {"three": 3, "é": [None, True]}
    assert chunks[3][0]["page_content"] == "four"
    assert chunks[4:9] == [
        {"a": 1},
        {"five": {"b": {"a": 1}}},
        "<a thing>",
        {"six": "<a thing>"},
        "{(1, 2): 'keys'}",
    ]
    assert chunks[9:11] == [7, None]
    assert chunks[11]["content"][1] == {"type": "image_url", "image_url": "x"}
    assert chunks[12:] == ["", " nine \ud800"]


@BOTH
@pytest.mark.parametrize(
    ("name", "given", "shown"),
    [
        ("names", '{"a": [{"n": "x"}, {"n": "y"}, {"n": "y"}]}', "x\ny\ny\n"),
        ("bound", '{"a": [{"n": "x"}, {"n": "y"}]}', "x\ny\n"),
        ("typed", '{"n": "x"}', '{"n": "x"}\n'),
        ("so_far", '"x"', "x\n"),
    ],
)
def test_values_by_themselves_have_lines_of_their_own(here, colour, name, given, shown):
    told = here("stream", f"elements.py:{name}", given, "--text", *colour)
    assert told == (0, shown, "")


@BOTH
def test_branches_of_a_parallel_come_as_lines(here, colour):
    code, out, err = here("stream", "demo.py:both", "hi", *colour)
    assert (code, err) == (0, "")
    found = {}
    for line in out.splitlines():
        found.update(json.loads(line))
    assert found["a"] == "hi"
    assert found["b"]["content"] == "hi"


@pytest.mark.parametrize(
    ("given", "piped", "shown"),
    [
        (['{"a": 1}'], "", '{"a": 1}'),
        (['{"a":1}', "--text"], "", '{"a":1}'),
        (["hi there"], "", "hi there"),
        (["42"], "", "42"),
        (["-"], "from\nthe pipe\n", "from\nthe pipe"),
        (["-"], "[1,\n2]\n", "[1, 2]"),
        (["-", "--text"], "[1,\n2]\n", "[1,\n2]"),
        (["--", "--json"], "", "--json"),
    ],
)
def test_inputs(here, given, piped, shown):
    assert here("stream", "demo.py:echo", *given, given=piped) == (0, f"{shown}\n", "")


@BOTH
def test_timing_is_a_remark(here, colour):
    code, out, err = here("stream", "demo.py:values", "x", "--timing", *colour)
    assert (code, out) == (0, TEXTUAL)
    number = r"[\d.,e+]+"
    expected = (
        rf"first chunk {number} \w+ · 14 chunks · {number} chunks/s · gaps p50 {number} \w+, "
        rf"p99 {number} \w+ · {number} \w+ in all\n"
    )
    assert re.fullmatch(expected, err), err


@BOTH
def test_the_times_of_a_run_that_fails_come_before_the_error(here, colour):
    code, out, err = here("stream", "failing.py:partial", "x", "--timing", *colour)
    assert (code, out) == (1, "some text\n")
    lines = err.splitlines()
    assert lines[0].startswith("first chunk ")
    assert re.match(r"RunnableSequence \(failed\) +\d", lines[2])
    assert lines[-1].startswith("headrace: A sentence about it.")
    assert sum("held up by" in line for line in lines) == 1


def test_explain(here, folder):
    (folder / "steps.py").write_text(
        "from headrace.runnables import each, RunnableLambda\n"
        "def shout(text):\n    return text.upper()\n"
        "chain = RunnableLambda(shout) | each(str.lower)\n"
    )
    code, out, err = here("explain", "steps.py:chain")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split(maxsplit=1) == [
        "RunnableSequence",
        "waits for its whole input",
    ]
    assert lines[1].split(maxsplit=2) == ["1:", "shout", "waits for its whole input"]
    assert "make it a generator function" in lines[2]
    assert lines[3].split() == ["2:", "lower", "streams"]
    code, out, err = here("explain", "steps.py:chain", "--json")
    assert (code, err) == (0, "")
    assert [(step["name"], step["kind"]) for step in json.loads(out)] == [
        ("RunnableSequence", "barrier"),
        ("shout", "barrier"),
        ("lower", "streams"),
    ]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_the_commands(here, arguments):
    code, out, err = here(*arguments)
    assert (code, err) == (0, "")
    assert all(command in out for command in ("stream", "explain", "pull", "--version"))


def test_help_of_stream_names_its_options(here):
    code, out, err = here("stream", "-h")
    assert (code, err) == (0, "")
    assert "headrace stream [OPTIONS] [TARGET] [INPUT]" in out
    assert all(option in out for option in ("--json", "--text", "--async", "--timing", "--debug"))


# ---- errors -------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("name", "out", "says"),
    [
        ("chain", "", "ValueError: no good (in step RunnableSequence/2:boom)"),
        ("pipe", "", "BrokenPipeError: a pipe of mine"),
        ("silent", "", "KeyError"),
    ],
)
def test_an_error_is_one_line_that_names_the_step(here, colour, name, out, says):
    found = here("stream", f"failing.py:{name}", "x", *colour)
    assert found == (1, out, f"headrace: {says}\n")


@BOTH
def test_an_error_in_the_middle_comes_after_what_came_before_it(here, colour):
    code, out, err = here("stream", "failing.py:partial", "x", *colour)
    assert (code, out, err.count("\n")) == (1, "some text\n", 1)
    assert err.startswith("headrace: A sentence about it.")  # and not its class: it says all


def test_debug_shows_the_traceback_before_the_line(here):
    code, out, err = here("stream", "failing.py:chain", "x", "--debug")
    assert (code, out) == (1, "")
    assert err.startswith("Traceback (most recent call last)")
    assert 'failing.py", line 10, in boom' in err
    assert err.endswith("\nheadrace: ValueError: no good (in step RunnableSequence/2:boom)\n")
    code, out, err = here("explain", "broken.py:x", "--debug")
    assert 'broken.py", line 1, in <module>' in err


def test_a_step_that_only_runs_async_says_so_and_does(here):
    code, out, err = here("stream", "failing.py:only_async", "x")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "only_async can only run async" in err
    assert here("stream", "failing.py:only_async", "x", "--async") == (0, "x\n", "")


def test_a_target_that_cancels_itself_has_failed(here):
    found = here("stream", "failing.py:cancelled", "x", "--async")
    assert found == (1, "", "headrace: CancelledError: by myself\n")


def test_an_input_that_looked_like_json_is_mentioned_when_the_run_fails(here):
    code, _, err = here("stream", "failing.py:chain", "{topic: parrot}")
    assert code == 1
    assert "(the INPUT starts like JSON but was taken as text: Expecting property name" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["stream"], "INPUT is missing: give a text, JSON, or -"),
        (["stream", "demo.py:echo"], "INPUT is missing: give it after the TARGET 'demo.py:echo'"),
        (["stream", "what", "is", "the", "sky"], "got 4 words: put an INPUT of several words in"),
        (["stream", "--jason", "x"], "No such option: --jason"),
        (["explain"], "Missing argument 'TARGET'. See `headrace explain --help`."),
        (["explain", "a:b", "c"], "unexpected extra argument"),
        (["pull", "all"], "unexpected extra argument"),
        (["steam"], "No such command 'steam'"),
        (["--nonsense"], "No such option: --nonsense. See `headrace --help`."),
    ],
)
def test_a_command_line_that_makes_no_sense_is_told_so_in_one_line(here, arguments, says):
    code, out, err = here(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("headrace: ")
    assert says in err


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("gone.py:chain", "There is no file 'gone.py'"),
        ("demo.py:ecco", "'demo.py' has no 'ecco'. Did you mean 'echo'? It has: echo, both."),
        ("broken.py:x", "'broken.py' cannot be imported: ModuleNotFoundError: No module named"),
    ],
)
@pytest.mark.parametrize("command", ["stream", "explain"])
def test_a_target_that_cannot_be_loaded(here, command, target, says):
    code, out, err = here(command, target, *(["x"] if command == "stream" else []))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"headrace: {says}")
