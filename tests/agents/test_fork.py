"""Savers in a forked child, when another thread was using them in the parent.

Each test is a program: a thread is stopped at a certain place, then the process forks, and its
child must do its work in some seconds. What the child says is what the program prints.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

ROOT = Path(__file__).parents[2]

BEGINNING = """
import os, signal, sys, threading, warnings
from headrace.agents import InMemorySaver, SqliteSaver, ThreadConflictError
from headrace.agents import _saving
from headrace.agents.checkpoints import memory, sqlite

warnings.simplefilter("ignore")  # Python 3.12 says that forking beside threads is not safe
there, go_on = threading.Event(), threading.Event()
parent = os.getpid()

def stop():  # in the thread of the parent, and nowhere else
    if os.getpid() == parent and threading.current_thread() is not threading.main_thread():
        there.set()
        assert go_on.wait(60)

def stopping(method):
    def stopped(*args, **kwargs):
        stop()
        return method(*args, **kwargs)
    return stopped

def forked(in_thread, in_child):
    thread = threading.Thread(target=in_thread)
    thread.start()
    assert there.wait(60)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            in_child()
            print("ok", flush=True)
        except BaseException as error:
            print(repr(error), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    go_on.set()
    thread.join()
"""


def said(program: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BEGINNING + program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_sqlite_saver_that_was_being_written_to(tmp_path):
    program = """
saver = SqliteSaver(sys.argv[1])
saver.append("a", 0, ["1"])
mine = saver._connection
saver._use, used = stopping(saver._use), saver._use

def write():  # stops while it has its turn
    with used():
        stop()
    saver.append("a", 2, ["3"])

def child():
    assert saver.rows("a") == ["1"]
    saver.append("a", 1, ["2"])
    assert saver._connection is not mine
    saver.close()

forked(write, child)
assert saver._connection is mine and saver.rows("a") == ["1", "2", "3"]
saver.close()
"""
    assert said(program, tmp_path / "a.db") == "ok"


def test_a_saver_in_memory_that_was_being_read():
    program = """
saver = InMemorySaver()
saver.append("a", 0, ["1"])

class Slow(list):
    def __iter__(self):
        stop()
        return list.__iter__(self)

saver._threads["a"] = Slow(saver._threads["a"])

def child():
    saver.append("a", 1, ["2"])
    assert saver.threads() == ["a"]
    del saver._threads["a"]
    assert saver.rows("a") == []

forked(lambda: saver.rows("a"), child)
assert list(saver._threads["a"]) == ["1"]
"""
    assert said(program) == "ok"


def test_claims_that_were_being_made():
    program = """
saver = InMemorySaver()
saver.claim("mine")

class Slow(set):
    def __contains__(self, mark):
        stop()
        return set.__contains__(self, mark)

_saving._claimed = Slow(_saving._claimed)

def child():
    saver.claim("a")()
    saver.claim("mine")()  # the parent's runs are the parent's

forked(lambda: saver.claim("a"), child)
for thread_id in ("a", "mine"):
    try:
        saver.claim(thread_id)
    except ThreadConflictError:
        continue
    raise AssertionError("the child has let go what is the parent's")
"""
    assert said(program) == "ok"


def test_what_a_parent_has_claimed_its_child_neither_has_nor_lets_go(tmp_path):
    program = """
saver, go = SqliteSaver(sys.argv[1]), threading.Event()
let_go = saver.claim("a")

def child():
    for claim in (let_go, let_go):
        claim()  # what runs on in the child comes to the end of its run
    try:
        saver.claim("a")
    except ThreadConflictError:
        return
    raise AssertionError("the child has let go what is the parent's")

forked(stop, child)
assert [file for file in os.listdir(os.path.dirname(sys.argv[1])) if file.endswith(".lock")]
let_go()
saver.claim("a")()
"""
    assert said(program, tmp_path / "a.db") == "ok"


def test_a_claim_dies_with_the_parent_though_its_child_lives(tmp_path):
    program = """
saver = SqliteSaver(sys.argv[1])
saver.claim("a")
there_, alive = os.pipe()
if os.fork():
    os._exit(0)  # as by a `kill -9`; the system closes what it has open, in whatever order
signal.alarm(20)
os.close(alive)
assert os.read(there_, 1) == b""
while True:  # until the claim is closed, too, or the alarm rings
    try:
        saver.claim("a")()
        break
    except ThreadConflictError:
        os.sched_yield()
print("ok", flush=True)
os._exit(0)
"""
    assert said(program, tmp_path / "a.db") == "ok"
