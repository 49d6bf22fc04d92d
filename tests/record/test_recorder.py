"""`record` and `Recorder`: what is in the file, when, and what becomes of trouble."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from headrace.errors import HeadraceError, InputError
from headrace.language_models.fake import FakeListChatModel
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.record import (
    Recorder,
    RecordingError,
    RecordingNotFoundError,
    record,
    replay,
)
from headrace.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from laws.colours import every_colour, sync_colours

SRC = Path(__file__).parents[2] / "src"


def a_chain(*answers):
    model = FakeListChatModel(responses=list(answers or ["Hi you"]))
    return ChatPromptTemplate.from_template("joke about {topic}") | model | StrOutputParser()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.jsonl"


def lines(path):
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def kinds(path):
    return Counter(line["kind"] for line in lines(path)[1:])


class Listener:
    def __init__(self):
        self.events = []

    def on_event(self, event):
        self.events.append(event)


# ------------------------------------------------------------------ what is written


@every_colour
def test_what_is_in_the_file_is_what_an_observer_hears(colour, path):
    heard = Listener()

    def body(doors):
        recorder = Recorder(path)
        doors.stream(a_chain(), {"topic": "x"}, {"callbacks": [heard, recorder]})
        recorder.close()

    colour.run(body)
    back = list(replay(path).events())
    assert len(back) > 20
    told = [(e.kind, e.seq, e.time, e.path, e.run.id) for e in heard.events]
    assert [(e.kind, e.seq, e.time, e.path, e.run.id) for e in back] == told


@sync_colours
def test_the_block_records_what_begins_inside(colour, path):
    chain = a_chain()

    def body(doors):
        doors.invoke(chain, {"topic": "before"})
        with record(path) as recorder:
            assert doors.invoke(chain, {"topic": "x"}) == "Hi you"
        assert recorder.count == 8
        doors.invoke(chain, {"topic": "after"})

    colour.run(body)
    assert kinds(path) == {"start": 4, "end": 4}
    head, first, *_ = lines(path)
    assert (head["headrace"], head["version"]) == ("recording", 1)
    assert first["input"] == {"topic": "x"}
    assert first["time"] >= head["time"]


async def test_the_block_records_what_begins_inside_in_async_code(path):
    chain = a_chain()
    await chain.ainvoke({"topic": "before"})
    with record(path):
        assert await chain.ainvoke({"topic": "x"}) == "Hi you"
        assert await asyncio.create_task(chain.ainvoke({"topic": "y"})) == "Hi you"
    await chain.ainvoke({"topic": "after"})
    assert kinds(path) == {"start": 8, "end": 8}


def test_a_run_is_introduced_once_and_then_named_by_its_id(path):
    with record(path):
        list(a_chain().stream({"topic": "x"}))
    introduced = [line["run"] for line in lines(path)[1:] if isinstance(line["run"], dict)]
    named = [line["run"] for line in lines(path)[1:] if isinstance(line["run"], str)]
    assert [run["name"] for run in introduced] == [
        "RunnableSequence", "ChatPromptTemplate", "FakeListChatModel", "StrOutputParser"
    ]  # fmt: skip
    assert {run["id"] for run in introduced} == set(named)


def test_models_are_called_as_they_would_be_unless_tokens_are_wanted(path):
    with record(path):
        a_chain().invoke({"topic": "x"})
    assert kinds(path)["chunk"] == 0
    with record(path, tokens=True):
        assert a_chain().invoke({"topic": "x"}) == "Hi you"
    chunks = [line["chunk"]["content"] for line in lines(path)[1:] if line["kind"] == "chunk"]
    assert chunks == list("Hi you")


def test_errors_and_those_who_leave_are_recorded(path):
    def fail(text):
        raise KeyError("no")

    with record(path):
        with pytest.raises(KeyError):
            (RunnableLambda(str) | fail).invoke(1)
        stream = a_chain().stream({"topic": "x"})
        next(stream)
        stream.close()
    count = kinds(path)
    assert (count["error"], count["cancelled"]) == (2, 3)
    assert count["start"] == count["end"] + count["error"] + count["cancelled"]


def test_threads_share_a_recorder(path):
    branches = {f"b{n}": RunnableLambda(lambda x, n=n: x + n) for n in range(6)}
    chain = RunnableParallel(**branches)
    with Recorder(path) as recorder:
        workers = [
            threading.Thread(
                target=lambda: [chain.invoke(n, {"callbacks": [recorder]}) for n in range(10)]
            )
            for _ in range(4)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert kinds(path) == {"start": 280, "end": 280}
    assert recorder.count == 560
    assert recorder._runs == {}  # nothing is kept of a run that has ended
    assert len(replay(path)._roots()) == 40


def test_nothing_is_kept_of_runs_that_have_ended(path):
    with record(path) as recorder:
        stream = a_chain().stream({"topic": "x"})
        next(stream)
        assert len(recorder._runs) > 0
        stream.close()
        assert recorder._runs == {}


# ------------------------------------------------------------------ when


def test_what_has_happened_is_in_the_file_at_once(path):
    with record(path):
        stream = a_chain().stream({"topic": "x"})
        seen = [len(lines(path)) for _ in stream]
    assert seen == sorted(set(seen))  # each chunk found more lines than the one before


def test_a_process_that_is_killed_leaves_what_came_before(path):
    program = f"""
import os
from headrace.record import record
from headrace.runnables import RunnableGenerator

def letters(chunks):
    for number in range(3):
        yield str(number)
    os.kill(os.getpid(), 9)

with record({str(path)!r}):
    for chunk in RunnableGenerator(letters).stream("x"):
        pass
"""
    code = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(SRC)}, timeout=60
    ).returncode
    assert code == -9
    back = [event.kind for event in replay(path).events()]
    assert back == ["start", "chunk", "chunk", "chunk"]


# ------------------------------------------------------------------ trouble


def test_a_file_that_cannot_be_opened(tmp_path):
    with (
        pytest.raises(RecordingError, match=r"cannot be opened \(No such file"),
        record(tmp_path / "no" / "run.jsonl"),
    ):
        raise AssertionError("not reached")
    with pytest.raises(RecordingError, match="directory"):
        Recorder(tmp_path)


def test_a_disk_that_fills_up_does_not_disturb_the_run(path, monkeypatch, caplog):
    write, room = os.write, [3]

    def full(file, data):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(os, "write", full)
    with (
        pytest.raises(RecordingError, match="No space left on device"),
        record(path),
    ):
        assert a_chain().invoke({"topic": "x"}) == "Hi you"
    assert len(caplog.records) == 1  # said once
    assert "Recorder" in caplog.text
    monkeypatch.undo()
    assert [event.kind for event in replay(path).events()] == ["start", "start"]


def test_the_error_of_the_block_counts_more(path, monkeypatch):
    class Full:
        def __call__(self, file, data):
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(ZeroDivisionError), record(path):
        monkeypatch.setattr(os, "write", Full())
        RunnableLambda(lambda x: x / 0).invoke(1)


def test_short_writes_are_finished(path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    with record(path):
        RunnableLambda(str).invoke(1)
    monkeypatch.undo()
    assert kinds(path) == {"start": 1, "end": 1}


def test_a_run_that_outlives_the_recorder_is_told_of_once(path, caplog):
    with record(path):
        stream = a_chain().stream({"topic": "x"})
        next(stream)
    with caplog.at_level(logging.ERROR):
        assert "".join(stream) == "i you"
    assert [r.levelname for r in caplog.records] == ["ERROR"]
    assert "it was closed while a run went on" in caplog.text


def test_one_that_is_forgotten_closes_by_itself(path):
    recorder = Recorder(path)
    close = recorder._close
    RunnableLambda(str).invoke(1, {"callbacks": [recorder]})
    assert close.alive
    del recorder
    assert not close.alive
    recorder = Recorder(path)
    recorder.close()
    recorder.close()
    assert repr(recorder) == f"Recorder({str(path)!r})"


# ------------------------------------------------------------------ files that are no recordings

GOOD = '{"headrace":"recording","version":1,"made":"x","time":1.0}\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty, and no recording: make one with `headrace record`"),
        ("hello\n", "is no recording of Headrace: its first line is 'hello\\n'"),
        ("hello\n", "should be. Make one with `headrace record`"),
        ('{"kind": "start"}\n', "is no recording of Headrace"),
        ("[1]\n", "is no recording of Headrace"),
        ("\x00\xff\n", "is no recording of Headrace"),
        ('{"headrace":"recording","version":2}\n', "reads up to version 1: install a newer"),
        ('{"headrace":"recording","version":"x"}\n', "of version 'x', which is none"),
        ('{"headrace":"recording"}\n', "of version None, which is none"),
    ],
)  # fmt: skip
def test_what_is_no_recording_is_refused_when_it_is_opened(path, text, says):
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RecordingError) as caught:
        replay(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("path", [None, 3, ["run.jsonl"]])
@pytest.mark.parametrize("door", [Recorder, replay, lambda path: record(path).__enter__()])
def test_what_is_no_path_is_refused(door, path):
    says = f"{path!r} is no path of one: give a text or a pathlib.Path"
    with pytest.raises(InputError, match=re.escape(says)) as caught:
        door(path)
    assert isinstance(caught.value, TypeError)


def test_a_path_of_bytes(path):
    with record(bytes(path)) as recorder:
        a_chain().invoke({"topic": "x"})
    assert recorder.path == replay(bytes(path)).path == str(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(RecordingNotFoundError, match=r"There is no recording 'nowhere\.jsonl'"):
        replay("nowhere.jsonl")
    with pytest.raises(FileNotFoundError):
        replay(tmp_path / "x")
    with pytest.raises(HeadraceError, match="cannot be read"):
        replay(tmp_path)


def test_a_last_line_that_was_cut_off_is_left_out_with_a_note(path):
    with record(path):
        list(a_chain().stream({"topic": "x"}))
    whole = path.read_bytes()
    *_, last = whole.splitlines(keepends=True)
    complete = len(list(replay(path).events()))
    for cut in (1, 2, len(last) // 2, len(last) - 1):
        path.write_bytes(whole[:-cut])
        back = replay(path)
        assert back.note == ""
        events = list(back.events())
        if cut == 1:  # the end of the line only: nothing is lost
            assert (len(events), back.note) == (complete, "")
            continue
        assert len(events) == complete - 1
        assert "was cut off and is left out" in back.note
        assert f"line {complete + 1}" in back.note


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{\n", "Line 2 of the recording"),
        ("3\n", "is damaged: it is no JSON object"),
        ('{"kind":"chunk"}\n', "is damaged: This is no event"),
        ('{"kind":"later"}\n', "is damaged: An event says it is of the kind 'later'"),
        ('{"kind":"cancelled","seq":1,"time":1,"partial":1,"run":"x"}\n', "(KeyError: 'x')"),
    ],
)  # fmt: skip
def test_damage_elsewhere_is_an_error_with_the_line(path, line, says):
    path.write_text(GOOD + line)
    back = replay(path)
    with pytest.raises(RecordingError) as caught:
        list(back.events())
    assert says in str(caught.value)
    with pytest.raises(RecordingError):
        back.as_runnable()


def test_one_without_runs(path):
    path.write_text(GOOD + "\n")
    assert list(replay(path).events()) == []
    with pytest.raises(RecordingError, match="holds no run"):
        replay(path).as_runnable()


def test_recording_is_no_part_of_importing_headrace():
    program = "import sys, headrace; assert 'headrace.record' not in sys.modules"
    subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(SRC)}, check=True
    )


def test_a_stream_without_chunks(path):
    def silent(chunks):
        yield from ()

    with record(path):
        assert list(RunnableGenerator(silent).stream("x")) == []
    assert list(replay(path).as_runnable().stream("x")) == []
