"""`headrace record` and `headrace replay`: files, pace, Ctrl-C, and what they refuse."""

from __future__ import annotations

import json
import time

import pytest

from headrace.record import replay

from . import targets

SOURCE = """
from headrace.language_models.fake import FakeListChatModel
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate

model = FakeListChatModel(responses=["Hi you"])
chain = ChatPromptTemplate.from_template("about {topic}") | model | StrOutputParser()
echo = lambda value: {"got": value}

def fail(text):
    raise ValueError("no good")

broken = chain | fail
"""
INPUT = '{"topic": "x"}'


@pytest.fixture
def files(folder):
    (folder / "steps.py").write_text(SOURCE)
    return folder


def recorded(folder, name="run.jsonl"):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


@pytest.mark.parametrize("options", [[], ["--async"]])
def test_a_run_is_shown_and_recorded_and_replayed(options, here, files):
    code, out, err = here("record", "steps.py:chain", INPUT, "-o", "run.jsonl", *options)
    lines = recorded(files)
    assert (code, out) == (0, "Hi you\n")
    assert err == f"{len(lines) - 1} events in run.jsonl\n"
    assert lines[0]["headrace"] == "recording"
    assert here("replay", "run.jsonl") == (0, "Hi you\n", "")
    assert list(replay("run.jsonl").as_runnable().stream({"topic": "x"})) == list("Hi you")


def test_json_lines(here, files):
    code, out, _ = here("record", "steps.py:echo", INPUT, "--json", "-o", "run.jsonl")
    assert (code, out) == (0, '{"got": {"topic": "x"}}\n')
    assert here("replay", "run.jsonl", "--json") == (0, '{"got": {"topic": "x"}}\n', "")
    assert here("replay", "run.jsonl", "--speed", "0")[1] == '{"got": {"topic": "x"}}\n'


def test_text_and_standard_input(here, files):
    assert here("record", "steps.py:echo", INPUT, "--text", "-o", "a.jsonl")[0] == 0
    assert recorded(files, "a.jsonl")[1]["input"] == INPUT
    assert here("record", "steps.py:echo", "-", "-o", "b.jsonl", given="typed\n")[0] == 0
    assert recorded(files, "b.jsonl")[1]["input"] == "typed"


def test_several_runs_are_shown_one_after_the_other(here, files):
    from headrace.record import record
    from headrace.runnables import RunnableLambda

    with record("run.jsonl"):
        RunnableLambda(str).batch([1, 2], {"max_concurrency": 1})
    assert here("replay", "run.jsonl") == (0, "1\n2\n", "")


def test_an_error_is_recorded_and_comes_again(here, files):
    code, _, err = here("record", "steps.py:broken", INPUT, "-o", "run.jsonl")
    assert code == 1
    events, line = err.splitlines()
    assert events.endswith("events in run.jsonl")
    assert line == "headrace: ValueError: no good (in step RunnableSequence/4:fail)"
    assert here("replay", "run.jsonl") == (1, "", f"{line}\n")


def slow(headrace, seconds):
    """A recording whose three chunks are so far apart."""
    headrace.write("def quick(chunks):\n    yield from '012'\n")
    assert headrace("record", "demo.py:quick", "x", "-o", "run.jsonl")[0] == 0
    head, *events = recorded(headrace.folder)
    for number, event in enumerate(events):
        event["time"] = 100 + number * seconds
    lines = [json.dumps(line) for line in (head, *events)]
    headrace.write("\n".join(lines) + "\n", "run.jsonl")


@pytest.mark.parametrize(("speed", "waits"), [("recorded", True), ("0.5", True), ("0", False)])
def test_speed(speed, waits, headrace):
    slow(headrace, 0.2)
    process = headrace.start("replay", "run.jsonl", "--speed", speed)
    first = process.read(1)
    begun = time.monotonic()
    code, rest, _ = process.said()
    assert (first, rest, code) == ("0", "12\n", 0)
    assert (time.monotonic() - begun > 0.5) is waits


def test_ctrl_c_while_it_is_recorded_leaves_a_recording(headrace):
    headrace.write(targets.PACED)
    process = headrace.start("record", "demo.py:paced", "x", "-o", "run.jsonl")
    assert process.read(6) == "ready "
    process.press_ctrl_c()
    code, _, err = process.said()
    assert code == 130
    assert "events in run.jsonl" in err
    assert (headrace.folder / "closed").exists()
    kinds = [event.kind for event in replay(headrace.folder / "run.jsonl").events()]
    assert kinds == ["start", "chunk", "cancelled"]
    code, out, err = headrace("replay", "run.jsonl", "--speed", "0")
    assert (code, out) == (1, "ready \n")
    assert "was left by its consumer after 1 chunks" in err


def test_ctrl_c_while_it_is_replayed(headrace):
    slow(headrace, 0.1)
    process = headrace.start("replay", "run.jsonl", "--speed", "0.1")
    assert process.read(1) == "0"
    process.press_ctrl_c()
    begun = time.monotonic()
    assert process.said()[0] == 130
    assert time.monotonic() - begun < 2


def test_who_stops_reading_is_not_told_of_it(headrace):
    headrace.write(targets.ENDLESS)
    process = headrace.start("record", "demo.py:endless", "x", "-o", "run.jsonl")
    process.read(5)
    process.leave("stdout")
    assert process.wait(60) == 141
    assert (headrace.folder / "closed").exists()


# ------------------------------------------------------------------ what is refused


def test_a_recording_is_kept_when_the_target_is_none(here, files):
    here("record", "steps.py:chain", INPUT, "-o", "run.jsonl")
    before = (files / "run.jsonl").read_bytes()
    code, _, err = here("record", "steps.py:chian", INPUT, "-o", "run.jsonl")
    assert (code, "Did you mean 'chain'?" in err) == (1, True)
    assert (files / "run.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["record", "steps.py:chain", INPUT], 2, "Missing option '--output' / '-o'. See"),
        (["record", "steps.py:chain", "-o", "x"], 2, "INPUT is missing"),
        (["record", "a", "b", "c", "-o", "x"], 2, "`headrace record` takes at most"),
        (["record", "steps.py:chain", INPUT, "-o", "no/x"], 1, "cannot be opened"),
        (["replay"], 2, "Missing argument 'FILE'. See `headrace replay --help`"),
        (["replay", "nowhere"], 1, "There is no recording 'nowhere'"),
        (["replay", "steps.py"], 1, "'steps.py' is no recording of Headrace"),
        (["replay", "new.jsonl"], 1, "install a newer Headrace"),
        (["replay", "bad.jsonl"], 1, "Line 2 of the recording 'bad.jsonl' is damaged"),
        (["replay", "x", "--speed", "fast"], 2, "--speed is 'fast': give `recorded`, 0"),
        (["replay", "x", "--speed", "-1"], 2, "--speed is '-1'"),
        (["replay", "x", "--speed", "nan"], 2, "--speed is 'nan'"),
    ],
)
def test_what_makes_no_sense(words, code, says, here, files):
    head = '{"headrace": "recording", "version": 1}\n'
    (files / "new.jsonl").write_text(head.replace("1", "99"))
    (files / "bad.jsonl").write_text(f"{head}nonsense\n")
    given, out, err = here(*words)
    assert (given, out) == (code, "")
    assert says in err
    assert len(err.splitlines()) == 1


def test_a_cut_off_end_is_said(here, files):
    here("record", "steps.py:chain", INPUT, "-o", "run.jsonl")
    path = files / "run.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    code, out, err = here("replay", "run.jsonl")
    assert (code, out) == (1, "Hi you\n")
    assert "was cut off and is left out" in err
    assert "cut off by the recording's end after 6 chunks" in err
