"""`headrace` as a process: pace, Ctrl-C, broken pipes, terminals, what it imports."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from importlib.metadata import PackageNotFoundError, version

import pytest

from headrace.cli.interrupt import hearing_interrupts

from .conftest import SRC
from .targets import ENDLESS, FAILING, PACED, TEXTUAL, VALUES, WAITING

BOTH = pytest.mark.parametrize("colour", [(), ("--async",)], ids=["sync", "async"])


@BOTH
def test_every_chunk_is_out_before_the_next_one_is_asked_for(headrace, colour):
    headrace.write(PACED)
    process = headrace.start("stream", "demo.py:paced", "x", *colour)
    assert process.read(6) == "ready "
    for word in ("one", "two", "three"):
        process.stdin.write(f"{word}\n".encode())
        assert process.read(len(word) + 1) == f"{word} "
    process.leave("stdin")
    assert process.said() == (0, "\n", "")


def test_standard_input_chunks_and_errors(headrace):
    headrace.write(VALUES)
    headrace.write(FAILING, "failing.py")
    assert headrace("stream", "demo.py:values", "-", given="x") == (0, TEXTUAL, "")
    assert headrace("stream", "demo.py:echo", "-", "--json", given='{"a": "é"}') == (
        0,
        '{"a": "é"}\n',
        "",
    )
    assert headrace("stream", "failing.py:chain", "x", "--async") == (
        1,
        "",
        "headrace: ValueError: no good (in step RunnableSequence/2:boom)\n",
    )
    assert headrace("stream")[0] == 2


def test_the_version(headrace):
    try:
        number = version("headrace")
    except PackageNotFoundError:
        number = "(not installed)"
    assert headrace("--version") == (0, f"headrace {number}\n", "")


def test_only_what_a_command_needs_is_imported():
    heavy = "typer|rich|pydantic|numpy|xllamacpp|asyncio|headrace.messages|headrace.runnables"
    program = (
        "import sys\nfrom headrace.cli import main\nmain(sys.argv[1:])\n"
        f"print('loaded:', *[m for m in {heavy.split('|')} if m in sys.modules])"
    )

    def loaded(*arguments):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env={**os.environ, "PYTHONPATH": str(SRC)},
            capture_output=True,
            text=True,
            check=True,
        )
        return set(done.stdout.rpartition("loaded:")[2].split())

    assert loaded("--version") == set()
    explained = loaded("explain", "json:dumps")
    assert "headrace.runnables" in explained
    assert explained.isdisjoint({"rich", "numpy", "xllamacpp"})  # typer loads pydantic


# ---- Ctrl-C -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "colour"),
    [
        ("waiting", ()),
        ("awaiting", ("--async",)),
        ("endless", ()),
        ("endless", ("--async",)),
        ("aendless", ("--async",)),
    ],
)
def test_ctrl_c_closes_the_stream_and_exits_130(headrace, target, colour):
    headrace.write(WAITING + ENDLESS)
    process = headrace.start("stream", f"demo.py:{target}", "x", *colour)
    assert process.read(4) in ("read", "line")
    process.press_ctrl_c()
    code, out, err = process.said()
    assert (code, err) == (130, "")
    assert out.endswith("\n")  # the shell's prompt comes on a line of its own
    assert (headrace.folder / "closed").exists()


@pytest.mark.parametrize(("target", "colour"), [("paced", ()), ("awaiting", ("--async",))])
def test_ctrl_c_shows_the_times_so_far(headrace, target, colour):
    imports = "from headrace.runnables import RunnableLambda\n"
    headrace.write(imports + WAITING + PACED + f"chain = RunnableLambda(str) | {target}\n")
    process = headrace.start("stream", "demo.py:chain", "x", "--timing", *colour)
    assert process.read(5) == "ready"
    process.press_ctrl_c()
    code, out, err = process.said()
    assert (code, out.strip(" ")) == (130, "\n")
    assert err.startswith("first chunk ")
    assert f"2:{target} (cancelled)" in err


def test_times_are_not_shown_to_a_reader_that_has_left(headrace):
    headrace.write(ENDLESS)
    process = headrace.start("stream", "demo.py:endless", "x", "--timing")
    assert process.read(4) == "line"
    process.leave("stdout")
    assert process.said() == (141, "", "")


def test_ctrl_c_while_standard_input_is_read(headrace):
    headrace.write(WAITING + "print('loaded', flush=True)")
    process = headrace.start("stream", "demo.py:waiting", "-")
    assert process.read(7) == "loaded\n"
    process.press_ctrl_c()
    process.wait(60)
    assert process.said() == (130, "", "")


@pytest.mark.slow
def test_ctrl_c_does_not_wait_for_a_step_that_blocks_a_thread(headrace):
    headrace.write(WAITING)
    process = headrace.start("stream", "demo.py:block", "x", "--async")
    assert process.read(5) == "ready"
    process.press_ctrl_c()
    code, _, err = process.said()
    assert code == 130
    assert err == "headrace: a step did not stop within 2 s of Ctrl-C and was left as it is.\n"


@BOTH
def test_ctrl_c_stays_ignored_where_it_was(headrace, colour):
    headrace.write(PACED)
    process = headrace.start(
        *("stream", "demo.py:paced", "x", *colour),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert process.read(6) == "ready "
    process.press_ctrl_c()
    process.stdin.write(b"still here\n")
    assert process.read(11) == "still here "
    process.leave("stdin")
    assert process.said()[0] == 0


# ---- broken pipes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("endless", ["--timing"]),
        ("endless", ["--async"]),
        ("aendless", ["--async", "--json"]),
    ],
)
def test_a_reader_that_leaves_ends_the_stream_quietly(headrace, target, options):
    headrace.write(ENDLESS)
    process = headrace.start("stream", f"demo.py:{target}", "x", *options)
    assert "line" in process.read(7)
    process.leave("stdout")
    assert process.said() == (141, "", "")
    assert (headrace.folder / "closed").exists()


def test_in_a_shells_pipe(headrace):
    headrace.write(ENDLESS)
    line = f"{sys.executable} -m headrace.cli stream demo.py:endless x | head -n 1"
    shell = subprocess.run(
        ["sh", "-c", line],
        cwd=headrace.folder,
        env=headrace.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (shell.returncode, shell.stdout, shell.stderr) == (0, "line\n", "")


def test_a_target_that_prints_by_itself_into_a_broken_pipe(headrace):
    headrace.write(ENDLESS)
    process = headrace.start("stream", "demo.py:printing", "x")
    assert process.read(5) == "line\n"
    process.leave("stdout")
    assert process.said() == (141, "", "")


@pytest.mark.parametrize("ending", ["paced", "failing"])
def test_remarks_and_complaints_into_a_broken_pipe_are_lost_quietly(headrace, ending):
    headrace.write(PACED + "\ndef failing(chunks):\n    yield from paced(chunks)\n    1 / 0\n")
    process = headrace.start(
        *("stream", f"demo.py:{ending}", "x", "--timing", "--json"), stderr=subprocess.STDOUT
    )
    assert process.read(9) == '"ready "\n'
    process.leave("stdout")
    process.leave("stdin")
    assert process.said()[0] == 141


# ---- terminals ----------------------------------------------------------------------------------


def on_a_terminal(headrace, *arguments, **options):
    """Run it with standard output and error on a terminal; gives the code and what was shown."""
    ours, theirs = pty.openpty()
    process = headrace.start(*arguments, stdout=theirs, stderr=theirs, **options)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # how a terminal says that nobody writes to it any more
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    return process.wait(60), shown.decode().replace("\r\n", "\n")


def test_on_a_terminal_long_text_is_not_wrapped_and_remarks_are_dim(headrace):
    headrace.write("def long(chunks):\n    for text in chunks:\n        yield from [text] * 60\n")
    code, shown = on_a_terminal(headrace, "stream", "demo.py:long", "a [b]x[/b] ", "--timing")
    text, _, remark = shown.partition("\n\n")
    assert (code, text) == (0, "a [b]x[/b] " * 60)
    assert remark.startswith("\x1b[2mfirst chunk ")
    assert remark.endswith(" in all\x1b[0m\n")
    headrace.environment["NO_COLOR"] = "1"
    assert "\x1b" not in on_a_terminal(headrace, "stream", "demo.py:long", "x", "--timing")[1]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_times_fit_the_terminal(headrace, width):
    headrace.write(
        "from headrace.runnables import RunnableLambda\n"
        "def long(chunks):\n    for text in chunks:\n        yield from [text] * 60\n"
        "chain = RunnableLambda(long) | RunnableLambda(len)\n"
    )
    headrace.environment["COLUMNS"] = str(width)
    code, shown = on_a_terminal(headrace, "stream", "demo.py:chain", "x", "--timing")
    text, _, remark = shown.partition("\n\n")
    assert (code, text) == (0, "60")
    lines = re.sub(r"\x1b\[\d+m", "", remark).splitlines()
    assert all(len(line) <= width for line in lines)
    assert ("chunks/s" in lines[1]) == (width == 100)
    assert "held up" in lines[1]


def test_ctrl_c_that_python_does_not_notice_in_time():
    """A signal that another thread gets is noticed by the main thread no earlier than one that
    comes just before it blocks: when the call returns. Here it would be after 30 s."""
    reading, writing = os.pipe()
    over = threading.Event()

    def press_unnoticed():
        over.wait(0.1)  # until the main thread reads
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        over.wait(30)
        os.close(writing)

    presser = threading.Thread(target=press_unnoticed)
    try:
        with hearing_interrupts(), pytest.raises(KeyboardInterrupt):
            presser.start()
            os.read(reading, 1)
            pytest.fail("Ctrl-C was not noticed while the call blocked.")
    finally:
        over.set()
        presser.join()
        os.close(reading)
