"""Savers: what each must do, and what SQLite's does with files, processes and threads."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import os
import pickle
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agents.scripted import Scripted, call, says, transcript
from headrace.agents import (
    BaseSaver,
    InMemorySaver,
    MemorySaver,
    SaverFileError,
    SqliteSaver,
    ThreadConflictError,
    create_agent,
)
from headrace.agents._saving import Thread, piece_of, row_of
from headrace.agents.checkpoints import _lock_files
from headrace.errors import ConfigError, HeadraceError, InputError
from headrace.messages import AIMessage, HumanMessage, ToolMessage
from headrace.tools import tool
from laws.colours import every_colour

ROOT = Path(__file__).parents[2]
CONFIG = {"configurable": {"thread_id": "t1"}}


@pytest.fixture(params=["memory", "sqlite"])
def saver(request, tmp_path):
    if request.param == "memory":
        yield InMemorySaver()
    else:
        with SqliteSaver(tmp_path / "threads.db") as made:
            yield made


@pytest.fixture
def path(tmp_path):
    return tmp_path / "threads.db"


@tool
def double(n: int) -> int:
    """Double a number."""
    return 2 * n


def in_threads(count: int, work: Any) -> list[Any]:
    """What `work(number)` gave or raised, in as many threads."""
    found: list[Any] = [None] * count

    def one(number: int) -> None:
        try:
            found[number] = work(number)
        except HeadraceError as error:
            found[number] = error

    threads = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


# ---- every saver ---------------------------------------------------------------------------------


def test_rows_are_appended(saver):
    assert saver.rows("a") == [] and saver.threads() == []
    saver.append("b", 0, ["1", "2"])
    saver.append("a", 0, [])
    saver.append("a", 0, ["x"])
    saver.append("b", 2, ["3"])
    assert saver.rows("b") == ["1", "2", "3"] and saver.rows("a") == ["x"]
    assert saver.threads() == ["b", "a"]
    saver.delete_thread("b")
    saver.delete_thread("none")
    assert saver.rows("b") == [] and saver.threads() == ["a"]
    saver.append("b", 0, ["new"])
    assert saver.rows("b") == ["new"] and saver.threads() == ["a", "b"]


def test_async_twins(saver):
    async def main() -> None:
        await saver.aappend("a", 0, ["1"])
        await saver.aappend("a", 1, ["2"])
        assert await saver.arows("a") == saver.rows("a") == ["1", "2"]
        assert await saver.athreads() == ["a"]
        with pytest.raises(ThreadConflictError):
            await saver.aappend("a", 0, ["3"])
        await saver.adelete_thread("a")
        assert await saver.arows("a") == []
        await saver.aappend("m", 0, [row_of(HumanMessage("Hi", id="1"))])
        assert [m.content for m in await saver.amessages("m")] == ["Hi"]

    asyncio.run(main())


@pytest.mark.parametrize("start", [0, 1, 3])
def test_rows_have_numbers(saver, start):
    saver.append("a", 0, ["1", "2"])
    with pytest.raises(ThreadConflictError, match=f"'a' has 2 rows.* of {start}:"):
        saver.append("a", start, ["3", "4"])
    assert saver.rows("a") == ["1", "2"]


def test_of_appends_at_once_with_the_same_number_one_counts(saver):
    found = in_threads(6, lambda n: saver.append("a", 0, [str(n), "!"]))
    assert sum(isinstance(each, ThreadConflictError) for each in found) == 5
    assert saver.rows("a")[1:] == ["!"]


def test_threads_are_appended_to_at_once(saver):
    def work(n: int) -> None:
        for row in range(20):
            saver.append(f"thread {n}", row, [f"{row}"])

    assert in_threads(6, work) == [None] * 6
    assert all(saver.rows(f"thread {n}") == [str(row) for row in range(20)] for n in range(6))


def test_a_thread_is_claimed_once(saver):
    let_go = saver.claim("a")
    other = saver.claim("b")
    with pytest.raises(ThreadConflictError, match="'a' is in use"):
        saver.claim("a")
    let_go()
    saver.claim("a")()
    other()
    found = in_threads(6, lambda n: saver.claim("a"))
    (mine,) = [each for each in found if not isinstance(each, ThreadConflictError)]
    mine()


@every_colour
def test_a_run_lets_its_thread_go(colour, saver):
    """Whether it ends well, in an error, or because its reader has gone."""

    @tool
    def fail(n: int) -> int:
        """Fail."""
        raise RuntimeError("no")

    def body(doors):
        saver.delete_thread("t1")
        script = [says("", call("fail", n=1))]
        agent = create_agent(Scripted(script=script), [fail], saver=saver, on_error="raise")
        for value in ("Go", None):
            with pytest.raises(RuntimeError):
                doors.invoke(agent, value, CONFIG)
            saver.claim("t1")()
        talks = create_agent(Scripted(script=[says("Hello!")] * 9), saver=saver)
        stream = doors.open(talks.bind(stream_mode="messages"), "Hi", CONFIG)
        stream.next()
        with pytest.raises(ThreadConflictError):
            doors.invoke(talks, "And I?", CONFIG)
        stream.close()
        doors.invoke(talks, "And I?", CONFIG)
        saver.claim("t1")()

    colour.run(body)


@every_colour
def test_an_agent_that_a_tool_invokes_in_the_thread_of_its_caller(colour, saver):
    def body(doors):
        saver.delete_thread("t1")
        below = create_agent(Scripted(script=[says("Yes.")]), saver=saver)

        @tool
        def ask(where: str) -> str:
            """Ask."""
            config = {"configurable": {"thread_id": where}} if where else None
            return below.invoke("?", config)["messages"][-1].text

        script = [
            says("", call("ask", "a", where=""), call("ask", "b", where=f"{colour}")),
            says("!"),
        ]
        agent = create_agent(Scripted(script=script), [ask], saver=saver)
        messages = doors.invoke(agent, "Go", CONFIG)["messages"]
        assert "has the thread_id of the run around it" in messages[2].content
        assert messages[3].content == "Yes."
        assert saver.messages("t1") == messages

    colour.run(body)


@every_colour
def test_a_batch_over_threads(colour, saver):
    def body(doors):
        script = [says("", call("double", "d1", n=1), call("double", "d2", n=2)), says("Done.")]
        agent = create_agent(Scripted(script=script), [double], saver=saver)
        configs = [{"configurable": {"thread_id": f"{colour} {n}"}} for n in range(5)]
        states = doors.batch(agent, ["Go"] * 5, configs)
        assert len({json.dumps(transcript(state)) for state in states}) == 1
        for config, state in zip(configs, states, strict=True):
            assert saver.messages(config["configurable"]["thread_id"]) == state["messages"]

        talks = create_agent(Scripted(script=[says("Yes.")] * 3), saver=saver)
        one_by_one = {"configurable": {"thread_id": f"{colour}"}, "max_concurrency": 1}
        same = doors.batch(talks, ["1?", "2?", "3?"], one_by_one)
        assert [len(state["messages"]) for state in same] == [2, 4, 6]

    colour.run(body)


@every_colour
def test_what_is_kept_is_what_was_said(colour, saver):
    def body(doors):
        saver.delete_thread("t1")
        odd = 'é 漢 \ud83d 💥 \x00 {"$": 1}'
        message = AIMessage(
            [{"type": "text", "text": odd}, {"type": "image", "base64": "AAAA"}],
            additional_kwargs={"$": {"lc": 1, "type": "constructor", "id": ["os", "system"]}},
            response_metadata={"n": 2**80, "b": b"\xff", "t": (1, 2)},
            usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        )
        agent = create_agent(Scripted(script=[message]), saver=saver)
        state = doors.invoke(agent, {"messages": odd, "user": {"name": odd}}, CONFIG)
        kept = doors.invoke(agent, None, CONFIG)
        assert kept["messages"] == state["messages"] == saver.messages("t1")
        assert kept["messages"][1].response_metadata == message.response_metadata
        assert kept["messages"][1].additional_kwargs == message.additional_kwargs
        assert kept["user"] == {"name": odd}

    colour.run(body)


# ---- rows ----------------------------------------------------------------------------------------


def test_a_row_executes_nothing_and_is_a_piece_of_a_state():
    for row in ("[]", '"text"', "no json", '{"headrace": 1, "value": 3}',
                '{"headrace": 1, "value": {"$": "object", "class": "os:system"}}',
                '{"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {}}',
                '{"headrace": 1, "described": "headrace.agents:Agent", "repr": ""}'):  # fmt: skip
        with pytest.raises(InputError):
            piece_of(row)
    assert piece_of(row_of({"n": 1})) == {"n": 1}


@every_colour
def test_what_cannot_be_kept_is_said_before_anything_goes_on(colour):
    def body(doors):
        saver, made = InMemorySaver(), []

        @tool
        def note(n: int) -> int:
            """Note."""
            made.append(n)
            return n

        line = says("", call("note", n=1))
        agent = create_agent(Scripted(script=[line]), [note], saver=saver)
        with pytest.raises(InputError, match=r"\['thing'\] cannot be kept in a thread: A .*object"):
            doors.invoke(agent, {"messages": "Go", "thing": object()}, CONFIG)
        assert agent.model.asked == [] and saver.rows("t1") == []

        broken = says("", call("note", n=1), additional_kwargs={"raw": object()})
        agent = create_agent(Scripted(script=[broken]), [note], saver=saver)
        with pytest.raises(InputError, match="This ai message cannot be kept"):
            doors.invoke(agent, "Go", CONFIG)
        assert made == [] and len(saver.rows("t1")) == 1

        script = [line, line]
        agent = create_agent(
            Scripted(script=script),
            [note],
            saver=saver,
            after_model=lambda s: {"seen": {1, object}},
        )
        with pytest.raises(InputError, match="cannot be kept"):
            doors.invoke(agent, None, CONFIG)
        assert made == [] and len(saver.rows("t1")) == 2

    colour.run(body)


@every_colour
def test_an_answer_that_cannot_be_kept_is_a_failure_of_its_call(colour):
    def body(doors):
        def wrap(call: Any, run_tool: Any) -> Any:
            return ToolMessage([{"type": "text", "text": "x", "raw": object()}], tool_call_id="")

        saver = InMemorySaver()
        script = [says("", call("double", n=1)), says("I see.")]
        options: Any = {"wrap_tool": wrap, "saver": saver}
        if doors.asynchronous:

            async def awrap(call: Any, run_tool: Any) -> Any:
                return wrap(call, run_tool)

            options["wrap_tool"] = awrap
        agent = create_agent(Scripted(script=script), [double], **options)
        state = doors.invoke(agent, "Go", CONFIG)
        assert state["messages"][2].status == "error"
        assert "cannot be kept" in state["messages"][2].content
        assert saver.messages("t1") == state["messages"]
        agent = create_agent(Scripted(script=script), [double], on_error="raise", **options)
        with pytest.raises(InputError, match="cannot be kept"):
            doors.invoke(agent, "Go", {"configurable": {"thread_id": "t2"}})

    colour.run(body)


# ---- memory --------------------------------------------------------------------------------------


def test_memory_by_its_other_name_and_copied():
    assert MemorySaver is InMemorySaver
    saver = InMemorySaver()
    saver.append("a", 0, ["1"])
    for other in (pickle.loads(pickle.dumps(saver)), copy.deepcopy(saver)):
        other.append("a", 1, ["2"])
        assert saver.rows("a") == ["1"] and other.rows("a") == ["1", "2"]
    agent = create_agent(Scripted(script=[says("Hi!")]), saver=saver)
    assert pickle.loads(pickle.dumps(agent)).saver.rows("a") == ["1"]


# ---- SQLite: cost --------------------------------------------------------------------------------


def test_a_step_costs_the_same_however_long_the_conversation_is(path):
    """Statements, rows and bytes of an append, at the beginning and after 2000 rows."""
    with SqliteSaver(path) as saver:
        statements: list[str] = []
        saver.rows("a")
        connection: Any = saver._connection
        connection.execute("PRAGMA synchronous = OFF")  # only to be quick
        connection.set_trace_callback(statements.append)
        counts, changes = [], []
        for start in range(2000):
            before = connection.total_changes
            statements.clear()
            saver.append("a", start, ["row"])
            counts.append(len(statements))
            changes.append(connection.total_changes - before)
        assert counts[1:] == [5] * 1999  # begin, find, add, count, commit
        assert changes[1:] == [2] * 1999
        plans = [
            connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            for statement in statements[1:-1]
        ]
        assert not any("SCAN" in str(plan) for plan in plans)


def test_an_agent_writes_each_message_once(path):
    lines = [says("", call("double", f"d{n}", n=n)) for n in range(12)]
    sizes: list[int] = []

    class Counted(InMemorySaver):
        def append(self, thread_id: str, start: int, rows: Any) -> None:
            super().append(thread_id, start, rows)
            sizes.append(sum(map(len, rows)))

    agent = create_agent(Scripted(script=[*lines, says("Done.")]), [double], saver=Counted())
    state = agent.invoke("Go", CONFIG)
    assert len(sizes) == len(state["messages"]) == 26
    assert max(sizes[3:]) < 1.2 * max(sizes[:3])


# ---- SQLite: the file ----------------------------------------------------------------------------


def test_a_conversation_outlives_the_saver(path):
    script = [says("One."), says("Two.")]
    with SqliteSaver(path) as saver:
        create_agent(Scripted(script=script), saver=saver).invoke("1", CONFIG)
    with SqliteSaver.from_conn_string(str(path)) as saver:
        state = create_agent(Scripted(script=script), saver=saver).invoke("2", CONFIG)
    assert [m.content for m in state["messages"]] == ["1", "One.", "2", "Two."]
    assert sorted(os.listdir(path.parent)) == ["threads.db"]  # nothing is left beside it
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_closed_saver_opens_again_and_a_forgotten_one_is_closed(path):
    saver = SqliteSaver(path)
    saver.append("a", 0, ["1"])
    saver.close()
    saver.close()
    assert saver.rows("a") == ["1"]
    del saver
    gc.collect()  # a connection that is left open is a ResourceWarning, from Python 3.13 on
    assert not path.with_name("threads.db-wal").exists()


def test_a_pickled_saver_has_the_same_file(path):
    with SqliteSaver(path, timeout=3) as saver:
        saver.append("a", 0, ["1"])
        with pickle.loads(pickle.dumps(saver)) as other, copy.copy(saver) as third:
            assert other.rows("a") == third.rows("a") == ["1"] and other.timeout == 3
            let_go = saver.claim("a")
            with pytest.raises(ThreadConflictError):
                other.claim("a")
            let_go()
            assert repr(other) == repr(saver) == f"SqliteSaver({str(path)!r})"


FORK = """
import os, sys
from headrace.agents import SqliteSaver, ThreadConflictError

saver = SqliteSaver(sys.argv[1])
saver.append("a", 0, ["1"])
mine = saver._connection
let_go = saver.claim("a")
child = os.fork()
if child == 0:
    code = 1
    try:
        saver.append("a", 1, ["2"])
        assert saver._connection is not mine
        saver.close()
        code = 0
    finally:
        os._exit(code)
assert os.waitpid(child, 0)[1] == 0
assert saver._connection is mine and saver.rows("a") == ["1", "2"]
let_go()
saver.claim("a")()
saver.close()
print("ok")
"""


def test_a_fork_has_a_connection_of_its_own(path):
    """And not the claims of its parent."""
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORK, str(path)],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert child.stdout == b"ok\n" and child.stderr == b""


def test_a_claim_is_a_file_that_goes(path):
    with SqliteSaver(path) as saver:
        let_go = saver.claim("../odd\ud83d/💥")
        (file,) = path.parent.glob("*.lock")
        let_go()
        assert not file.exists()
        file.touch()  # of a process that was killed
        saver.claim("../odd\ud83d/💥")()
        assert not file.exists()


def test_a_claim_on_a_file_that_was_just_removed_is_made_anew(path, monkeypatch):
    """Another's file is removed after we have opened it and before we have locked it."""
    lock, turns = _lock_files._lock, []

    def late(handle: int) -> None:
        if not turns:
            path.unlink()
        turns.append(handle)
        lock(handle)

    monkeypatch.setattr(_lock_files, "_lock", late)
    let_go: Any = _lock_files.lock_file(path)
    assert len(turns) == 2 and path.exists()
    monkeypatch.undo()
    assert _lock_files.lock_file(path) is None
    let_go()
    assert not path.exists()


def test_many_claims_at_once(path):
    """Each turn somebody has it, and nobody has it with somebody else."""
    inside: list[int] = []
    turns: list[int] = []

    def work(number: int) -> None:
        for _ in range(200):
            let_go = _lock_files.lock_file(path)
            if let_go is not None:
                inside.append(number)
                assert inside == [number]
                inside.clear()
                turns.append(number)
                let_go()

    in_threads(4, work)
    assert len(turns) > 100 and not path.exists()


@pytest.mark.parametrize("given", ["", ":memory:", 3, None], ids=str)
def test_a_path_that_is_no_file(given):
    with pytest.raises(ConfigError, match="give the path of"):
        SqliteSaver(given)


def test_files_that_cannot_be_used(tmp_path):
    with pytest.raises(SaverFileError, match="there is no folder"):
        SqliteSaver(tmp_path / "none" / "threads.db")
    text = tmp_path / "text.db"
    text.write_text("No database at all, but rather a long text. " * 40)
    folder = tmp_path / "folder"
    folder.mkdir()
    for file in (text, folder):
        saver = SqliteSaver(file)
        agent = create_agent(Scripted(script=[says("Hi!")]), saver=saver)
        with pytest.raises(SaverFileError, match=f"{file.name}.*cannot use its file"):
            agent.invoke("Hi", CONFIG)
        assert agent.model.asked == []
        saver.claim("t1")()


def test_a_file_that_another_program_holds(path):
    with SqliteSaver(path, timeout=0.01) as saver, closing(sqlite3.connect(path)) as other:
        saver.append("a", 0, ["1"])
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SaverFileError, match="larger timeout"):
            saver.append("a", 1, ["2"])
        assert saver.rows("a") == ["1"]
        other.rollback()
        saver.append("a", 1, ["2"])


# ---- the numbers of a run ------------------------------------------------------------------------


def test_a_run_that_is_over_writes_nothing_more():
    """A tool that was given up comes to its end, when another run goes on in the thread."""
    saver = InMemorySaver()
    thread = Thread(saver, "a")
    thread.load()
    thread.append([HumanMessage("1")])
    thread.release()
    with pytest.raises(ThreadConflictError):
        thread.append([HumanMessage("2")])
    assert len(saver.rows("a")) == 1


def test_a_cancellation_waits_for_what_is_being_kept():
    class Slow(InMemorySaver):
        async def aappend(self, thread_id: str, start: int, rows: Any) -> None:
            begun.set()
            await go_on.wait()
            await super().aappend(thread_id, start, rows)

    async def main() -> None:
        nonlocal begun, go_on
        begun, go_on = asyncio.Event(), asyncio.Event()
        thread = Thread(saver, "a")
        await thread.aload()
        one = asyncio.create_task(thread.aappend([HumanMessage("1", id="1")]))
        two = asyncio.create_task(thread.aappend([HumanMessage("2", id="2")]))
        await begun.wait()
        one.cancel()
        two.cancel()
        await asyncio.sleep(0)
        go_on.set()
        results = await asyncio.gather(one, two, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in results)

    begun = go_on = asyncio.Event()
    saver: BaseSaver = Slow()
    asyncio.run(main())
    assert [m.content for m in saver.messages("a")] == ["1", "2"]


def test_paths_may_be_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saver = SqliteSaver("threads.db")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    saver.append("a", 0, ["1"])
    saver.close()
    assert Path(tmp_path / "threads.db").exists()
