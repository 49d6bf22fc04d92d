"""`headrace events`: what is shown of values, the tree of runs, its picture, and the command in
pipes and on terminals."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections import Counter
from itertools import count
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from headrace import run as run_module
from headrace.cli.event_screen import TreeView
from headrace.cli.event_text import Said, brief, clean, message_of, took
from headrace.cli.event_tree import State, Tree
from headrace.cli.eventing import _Ends, _Raw
from headrace.documents import Document
from headrace.errors import InputError
from headrace.events import (
    CustomEvent,
    Event,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunRetried,
    RunStarted,
    StreamReset,
)
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from headrace.outputs import GenerationChunk
from headrace.prompt_values import ChatPromptValue, StringPromptValue
from headrace.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough
from headrace.views.codec import from_json
from headrace.views.filters import Filter

from .targets import ENDLESS, FAILING, WAITING

BOTH = pytest.mark.parametrize("colour", [(), ("--async",)], ids=["sync", "async"])


# ---- values --------------------------------------------------------------------------------------


class Thing:
    def __repr__(self):
        return "<a thing>"


CALL = {"name": "add", "args": {"a": 1}, "id": "x", "type": "tool_call"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a text\n of  two\tlines", "a text of two lines"),
        ("", ""),
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ({"a": [1, "é\n"], 2: ()}, '{"a": [1, "é\\n"], 2: []}'),
        (HumanMessage("hi"), "human: hi"),
        (AIMessageChunk("hi"), "ai: hi"),
        (AIMessage("hi", tool_calls=[CALL]), 'ai: hi → add {"a": 1}'),
        ([SystemMessage("be"), HumanMessage("hi"), 3], "system: be · human: hi · 3"),
        (ChatPromptValue([SystemMessage("be"), HumanMessage("hi")]), "system: be · human: hi"),
        (StringPromptValue("hi"), "human: hi"),
        ({"m": HumanMessage("hi")}, '{"m": human: hi}'),
        (Document("a page", {"n": 1}), '"a page"'),
        (GenerationChunk("gen"), "gen"),
        (Thing(), "<a thing>"),
        ([Thing()], "[<a thing>]"),
        ("esc \x1b[2J \ud800 end", "esc �[2J � end"),
    ],
)
def test_a_value_in_short(value, shown):
    assert brief(value) == shown


def test_a_long_value_is_cut_and_not_read_to_its_end():
    assert brief("x" * 300) == "x" * 199 + "…"
    assert brief("x" * 200) == "x" * 200
    assert brief({"a": 1, "b": 2}, 9) == '{"a": 1,…'
    asked = []

    class Long(list):
        def __iter__(self):
            for number in count():
                asked.append(number)
                yield number

    assert brief(Long([1]), 20) == "[0, 1, 2, 3, 4, 5, …"
    assert len(asked) < 30
    circle: list = []
    circle.append(circle)
    assert brief(circle).startswith("[[[[[")


def test_text_keeps_line_feeds_and_moves_no_cursor():
    assert clean("a\nb\tc\rd") == "a\nb c d"


def test_errors_and_times_in_short():
    assert message_of(InputError("A sentence.")) == "A sentence."
    assert message_of(ValueError("no\n good")) == "ValueError: no good"
    assert message_of(KeyError()) == "KeyError"
    assert [took(s) for s in (0, 0.0004, 0.25, 0.9994, 0.9996, 59.9, 59.96, 3599, 7260)] == [
        *("<1 ms", "<1 ms", "250 ms", "999 ms", "1.0 s", "59.9 s", "1:00", "59:59", "2:01 h"),
    ]


def test_a_growing_text_keeps_its_ends():
    said, whole = Said(), ""
    for number in range(5000):
        said.add(f"{number} ")
        whole += f"{number} "
    assert len(said.text) <= 2048
    assert whole.endswith(said.text)
    assert said.cut
    assert said.short(12) == "0 1 2 3 4 5…"


def test_what_a_chunk_adds():
    said = Said()
    call = {"name": "add", "args": '{"a', "id": "x", "index": 0}
    for chunk in (
        AIMessageChunk("I "),
        AIMessageChunk("add."),
        AIMessageChunk("", tool_call_chunks=[call]),
        AIMessageChunk("", tool_call_chunks=[{**call, "name": None, "args": '": 1}'}]),
    ):
        said.add(chunk)
    assert said.text == 'I add.\n→ add {"a": 1}'
    said.add({"whole": 1})
    said.add({"whole": 12})
    assert (said.is_text, said.value) == (False, {"whole": 12})
    said.end({"whole": 123})
    assert said.short() == '{"whole": 123}'


def test_a_text_behind_another_repeats_it():
    model, parser = Said(), Said()
    assert not parser.repeats(model)
    for number in range(3000):
        model.add(f"{number} ")
        if number > 5:
            parser.add(f"{number - 6} ")
            assert parser.repeats(model)
    parser.add("else")
    assert not parser.repeats(model)


# ---- the tree ------------------------------------------------------------------------------------


def picture(rows, depth=0):
    """Names, states and what they say, indented."""
    lines = []
    for row in rows:
        line = f"{'  ' * depth}{row.where and row.where + ': '}{row.name} {row.state.value}"
        line += f" | {row.said.short()}" if row.tells() else ""
        line += f" | {row.failure()}" if row.failure() else ""
        line += f" | {row.note}" if row.note else ""
        lines.append(line)
        lines += picture(row.children, depth + 1)
    return lines


def fed(events):
    tree = Tree()
    for event in events:
        tree.feed(event)
    assert tree.count == sum(tree.states.values())
    return tree


def of(runnable, value="x", **filters):
    """The tree of a run; errors are in it."""
    tree = Tree()
    try:
        for event in runnable.stream_typed(value, **filters):
            tree.feed(event)
    except ValueError:
        pass
    assert not tree.running
    return picture(tree.roots)


def words(text):
    yield from (f"{word} " for word in ("some", text))


def shout(text):
    return text.upper()


def boom(text):
    raise ValueError("no\n good")


def test_runs_nest_and_a_text_is_shown_once():
    def echo(chunks):
        yield from chunks

    inner = (RunnableLambda(words) | RunnableLambda(echo, name="parser")).with_config(
        run_name="inner"
    )
    chain = inner | RunnableLambda(shout)
    assert of(chain) == [
        "RunnableSequence done",
        "  inner done",
        "    words done | some x",
        "    parser done",
        "  shout done | SOME X",
    ]


def test_a_failure_is_told_where_it_happened():
    chain = RunnableLambda(words) | RunnableLambda(boom).with_fallbacks([RunnableLambda(shout)])
    assert of(chain)[2:] == [
        "  RunnableWithFallbacks done",
        "    boom failed | ValueError: no good",
        "    shout done | SOME X",
    ]
    assert of(RunnableLambda(words) | boom) == [
        "RunnableSequence failed",
        "  words done | some x",
        "  boom failed | ValueError: no good",
    ]


def test_tries_that_were_followed_by_another_are_retried():
    tries = count()

    def flaky(text):
        return text if next(tries) == 2 else boom(text)

    again = RunnableLambda(flaky).with_retry(wait_exponential_jitter=False, stop_after_attempt=3)
    again = again.with_config(run_name="again")
    assert of(again) == [
        "again done | try 2 failed",
        "  flaky retried | ValueError: no good",
        "  flaky retried | ValueError: no good",
        "  flaky done",
    ]


def test_what_a_filter_leaves_out_leaves_its_children_with_the_nearest_shown():
    inner = (RunnableLambda(words) | shout).with_config(run_name="inner", tags=["deep"])
    chain = RunnableParallel(a=inner, b=RunnablePassthrough() | shout)
    assert of(chain, exclude_names=["inner", "RunnableSequence"]) == [
        'RunnableParallel<a,b> done | {"a": "SOME X ", "b": "X"}',
        "  a/1: words done | some x",
        "  a/2: shout done | SOME X",
        "  b/1: RunnablePassthrough done",
        "  b/2: shout done | X",
    ]
    assert of(chain, include_names=["shout"]) == [
        "a/2: shout done | SOME X",
        "b/2: shout done | X",
    ]
    assert of(chain, include_tags=["deep"])[0] == "a: inner done"


def test_the_way_to_a_row_that_has_moved_up_names_what_has_no_number():
    called = RunnableLambda(shout)
    function = RunnableLambda(lambda text: called.invoke(text), name="function")
    chain = RunnableLambda(words) | function.with_retry()
    assert of(chain, include_names=["shout"]) == ["2/function: shout done | SOME X"]
    assert of(function, include_names=["shout"]) == ["shout done | X"]


# Runs as engines of any order report them.


class Node:
    def __init__(self, *keys):
        self.keys = keys

    def _children(self):
        return [(key, None) for key in self.keys]


class FakeRun:
    def __init__(self, name, parent=None, tag=None, node=None):
        self.id, self.name, self.parent, self.node = uuid4(), name, parent, node
        self.run_type, self.metadata = "chain", {}
        self.all_tags = [tag] if tag else []

    @property
    def parent_ids(self):
        return [] if self.parent is None else [*self.parent.parent_ids, self.parent.id]

    @property
    def path(self):
        return self.name if self.parent is None else f"{self.parent.path}/{self.name}"


def test_branches_and_steps_stand_in_their_order_whichever_begins_first():
    root = FakeRun("par", node=Node("a", "b", "c"))
    b, c, a = (FakeRun(key.upper(), root, f"map:key:{key}") for key in "bca")
    second, first = FakeRun("second", a, "seq:step:2"), FakeRun("first", a, "seq:step:1")
    tree = fed(RunStarted(run, 0, None) for run in (root, b, c, a, second, first))
    assert picture(tree.roots) == [
        "par running",
        "  a: A running",
        "    first running",
        "    second running",
        "  b: B running",
        "  c: C running",
    ]
    # The same with the branches left out: what is in them stays together, in their order.
    steps = [FakeRun(f"{run.name}{n}", run, f"seq:step:{n}") for n in (2, 1) for run in (c, a, b)]
    tree = fed(RunStarted(run, 0, None) for run in (root, *steps))
    assert [row.name for row in tree.roots[0].children] == ["A1", "A2", "B1", "B2", "C1", "C2"]


def test_custom_events_are_a_row_for_each_name():
    run = FakeRun("run")
    hidden = FakeRun("hidden", run)
    tree = fed([RunStarted(run, 0, None), *(CustomEvent(hidden, 0, "step", n) for n in range(3))])
    assert picture(tree.roots) == ["run running", "  step told | ×3"]
    assert tree.roots[0].children[0].input == "2"
    assert picture(fed([CustomEvent(hidden, 0, "step", 1)]).roots) == ["step told"]


def test_a_retry_that_is_reported():
    run = FakeRun("run")
    tree = fed([RunStarted(run, 0, 1)])
    [news] = tree.feed(RunRetried(run, 1, 1, ValueError("no"), 0.5))
    assert (news.state, news.note) == (
        State.RUNNING,
        "try 1 failed: ValueError: no · next in 500 ms",
    )
    child, error = FakeRun("child", run), ValueError("again")
    tree.feed(RunStarted(child, 2, 1))
    tree.feed(RunFailed(child, 3, error, None))
    tree.feed(RunRetried(run, 4, 2, error, 0.0))
    assert picture(tree.roots) == [
        "run running | try 2 failed",
        "  child retried | ValueError: again",
    ]


def test_a_stream_that_starts_over():
    """What it has said is void, and no longer shown; a retry is told of once."""
    run, error = FakeRun("run"), ValueError("no")
    tree = fed([RunStarted(run, 0, 1), RunChunk(run, 1, "void")])
    tree.feed(RunRetried(run, 2, 1, error, 0.5))
    [news] = tree.feed(StreamReset(run, 3, 1, error, 1))
    assert news.note == "try 1 failed: ValueError: no · next in 500 ms · ↺ 1 chunk discarded"
    assert not news.said
    tree.feed(RunChunk(run, 4, "void as well"))
    tree.feed(RunRetried(run, 5, 2, other := ValueError("again"), 0.0))
    assert tree.feed(StreamReset(run, 6, 2, other, 0)) == ()  # held back: nothing was out
    tree.feed(RunChunk(run, 7, "good"))
    assert picture(tree.roots) == ["run running | good | try 2 failed: ValueError: again"]


def test_a_fallback_that_starts_over():
    run = FakeRun("run")
    child, error = FakeRun("child", run), ValueError("no")
    tree = fed([RunStarted(run, 0, 1), RunStarted(child, 1, 1), RunFailed(child, 2, error, None)])
    assert len(tree.feed(StreamReset(run, 3, 1, error, 12))) == 1
    assert picture(tree.roots) == [
        "run running | try 1 failed · ↺ 12 chunks discarded",
        "  child retried | ValueError: no",
    ]
    [line, *_] = view(tree, ascii_only=True).final(60)
    assert line.plain.isascii()


def test_what_never_ended_counts_as_cancelled():
    root = FakeRun("root")
    child, other = FakeRun("child", root), FakeRun("other", root)
    tree = fed([RunStarted(run, 0, 1) for run in (root, child, other)])
    tree.feed(RunCancelled(other, 1, None))
    assert [row.name for row in tree.cancel()] == ["child", "root"]
    assert picture(tree.roots) == ["root cancelled", "  child cancelled", "  other cancelled"]
    assert tree.cancel() == ()


def test_events_of_runs_that_were_never_begun_are_left_alone():
    run = FakeRun("run")
    events = (
        RunChunk(run, 0, "x"),
        RunEnded(run, 1, 1, 2),
        RunFailed(run, 2, ValueError(), None),
        RunCancelled(run, 3, None),
        RunRetried(run, 4, 1, ValueError(), 0.0),
        StreamReset(run, 5, 1, ValueError(), 3),
    )
    assert fed(events).count == 0


def test_a_run_has_one_id_whichever_thread_asks_for_it(monkeypatch):
    """The tree reads ids in one thread, while the run names its messages after them in another."""
    asked = threading.Event()

    def slow():
        asked.wait(0.05)  # until the other one is asking as well
        return str(uuid4())

    monkeypatch.setattr(run_module, "fresh_id", slow)
    run, found = run_module.Run(run_module.BARE, []), []
    threads = [threading.Thread(target=lambda: found.append(run.id)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [run.id, run.id]


# ---- the picture ---------------------------------------------------------------------------------


def view(tree, *, ascii_only=False):
    return TreeView(tree, Console(file=io.StringIO(), width=200), ascii_only=ascii_only)


def shown(lines):
    """Without times, which differ."""
    return [re.sub(r"( <1 ms|\s+[\d.:]+ m?s)$", "", line.plain).rstrip() for line in lines]


def wide_tree(texts, running=True):
    """A root with a child for each text, which it has given word by word."""
    root = FakeRun("root")
    events: list[Event] = [RunStarted(root, 0, {"in": "日本"})]
    for number, text in enumerate(texts):
        run = FakeRun(f"child{number}", root)
        events.append(RunStarted(run, 0, "in"))
        events += [RunChunk(run, 0, piece) for piece in re.findall(r"\S*\s*", text) if piece]
        if not running or number % 2:
            events.append(RunEnded(run, 0, "in", text))
    return fed(events)


def test_the_last_lines_of_a_long_text():
    tree = wide_tree([" ".join(f"word{n}" for n in range(100))])
    assert shown(view(tree).lines(40, 20)) == [
        '● root  {"in": "日本"}',
        "└─ ● child0  in",
        "     …word87 word88 word89 word90",
        "     word91 word92 word93 word94 word95",
        "     word96 word97 word98 word99",
    ]
    assert shown(view(tree).lines(60, 20))[0].endswith("  running")


def test_without_room_one_line_is_the_end_of_the_text():
    tree = wide_tree([" ".join(f"word{n}" for n in range(100)) + " " + "x" * 20])
    line = view(tree).lines(40, 4)[2].plain
    assert line.endswith("word99 " + "x" * 20)
    assert line.lstrip().startswith("…")


def test_signs_for_terminals_without_them():
    tree = wide_tree(["a", "b"])
    lines = [line.plain for line in view(tree, ascii_only=True).lines(60, 20)]
    assert [line[:5] for line in lines] == ["* roo", "|- * ", "|    ", "`- + ", "     "]
    assert '{"in": "??"}' in lines[0]
    lines = [line.plain for line in view(tree, ascii_only=True).lines(20, 2)]
    assert lines[-1] == "~ 3 more: 2 running~"
    assert all(map(str.isascii, lines))


def test_a_tree_that_is_too_tall_shows_what_runs_and_counts_the_rest():
    tree = wide_tree([f"text{number}" for number in range(40)])
    lines = [line.plain for line in view(tree).lines(80, 10)]
    assert len(lines) <= 10
    assert sum("running" in line for line in lines[:-1]) == 5  # the root and four with their texts
    assert [line.strip("│ ") for line in lines[2:9:2]] == ["text0", "text2", "text4", "text6"]
    assert lines[-1] == "… 36 more: 16 running, 20 done"
    assert len(view(tree).final(80)) == 81


def test_of_what_is_too_deep_the_innermost_is_shown():
    runs = [FakeRun("0")]
    for number in range(1, 20):
        runs.append(FakeRun(f"{number}", runs[-1]))
    tree = fed([*(RunStarted(run, 0, None) for run in runs), RunChunk(runs[-1], 0, "deep inside")])
    assert [line.split("  ")[0] for line in shown(view(tree).lines(60, 6))] == [
        "● 16",
        "└─ ● 17",
        "",
        "",
        "",
        "… 16 more: 16 running",
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text("ab 日\n{\x1b😀é", max_size=80), max_size=8),
    st.integers(1, 90),
    st.integers(1, 24),
    st.booleans(),
)
def test_no_line_is_too_wide_and_no_picture_too_high(texts, width, height, running):
    tree = wide_tree(texts, running)
    lines = view(tree).lines(width, height)
    assert 0 < len(lines) <= height
    if width >= 20:
        assert all(cell_len(line.plain) <= width for line in lines)
    assert not any(re.search(r"[\x00-\x1f]", line.plain) for line in lines)


# ---- the command ---------------------------------------------------------------------------------

DEMO = """
from headrace.language_models import FakeListChatModel
from headrace.output_parsers import StrOutputParser
from headrace.prompts import PromptTemplate
from headrace.runnables import RunnableLambda, RunnableParallel

model = FakeListChatModel(responses=["Why not? [b]\\u65e5\\u672c[/b]"])
chain = PromptTemplate.from_template("about {topic}") | model | StrOutputParser()
both = RunnableParallel(text=chain.with_config(tags=["mine"]), same=lambda topic: topic)
many = RunnableLambda(lambda text: [inner.invoke(n) for n in range(60)][-1])
inner = RunnableLambda(lambda n: n + 1, name="inner")

def tokens(text):
    for number in range(20_000):
        yield f"word{number} "

def prints(text):
    print("by the target itself")
    return text
"""
TOPIC = '{"topic": "parrot"}'


def steady(text):
    """Lines without their times."""
    return [re.sub(r"^(\w+) +\S+( m?s)?  ", r"\1 ", line) for line in text.splitlines()]


@BOTH
def test_a_line_for_each_run_that_ends(here, folder, colour):
    (folder / "demo.py").write_text(DEMO)
    code, out, err = here("events", "demo.py:chain", TOPIC, *colour)
    assert (code, err) == (0, "")
    assert steady(out) == [
        "done RunnableSequence/1:PromptTemplate  human: about parrot",
        "done RunnableSequence/2:FakeListChatModel  Why not? [b]日本[/b]",
        "done RunnableSequence/3:StrOutputParser  Why not? [b]日本[/b]",
        "done RunnableSequence  Why not? [b]日本[/b]",
    ]
    assert "\x1b" not in out


@BOTH
def test_an_error_is_a_line_and_a_complaint(here, folder, colour):
    (folder / "failing.py").write_text(FAILING)
    code, out, err = here("events", "failing.py:chain", "x", *colour)
    assert code == 1
    assert steady(out)[-2:] == [
        "failed RunnableSequence/2:boom  ValueError: no good",
        "failed RunnableSequence",
    ]
    assert err == "headrace: ValueError: no good (in step RunnableSequence/2:boom)\n"
    assert "Traceback" in here("events", "failing.py:chain", "x", "--debug", *colour)[2]


@BOTH
def test_raw_is_a_line_of_json_for_each_event(here, folder, colour):
    (folder / "demo.py").write_text(DEMO)
    code, out, err = here("events", "demo.py:chain", TOPIC, "--raw", *colour)
    assert (code, err) == (0, "")
    events = [from_json(line) for line in out.splitlines()]
    assert [event.seq for event in events] == sorted(event.seq for event in events)
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunEnded)
    assert (events[-1].path, events[-1].output) == ("RunnableSequence", "Why not? [b]日本[/b]")
    assert {json.loads(line)["kind"] for line in out.splitlines()} >= {"start", "chunk", "end"}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--type", "chat_model", "--type", "parser"], ["FakeListChatModel", "StrOutputParser"]),
        (["--name", "PromptTemplate"], ["PromptTemplate"]),
        (
            ["--tag", "mine", "--not-type", "prompt", "--not-name", "StrOutputParser"],
            ["FakeListChatModel", "RunnableSequence"],
        ),
        (["--not-tag", "mine", "--not-name", "RunnableParallel<text,same>"], ["RunnableLambda"]),
    ],
)
def test_filters(here, folder, options, names):
    (folder / "demo.py").write_text(DEMO)
    code, out, err = here("events", "demo.py:both", TOPIC, *options)
    assert (code, err) == (0, "")
    ended = [re.split(r"[/:]", line.split("  ")[0])[-1] for line in steady(out)]
    assert [name.removeprefix("done ") for name in ended] == names
    raw = here("events", "demo.py:both", TOPIC, *options, "--raw")[1].splitlines()
    assert {json.loads(line)["run"]["name"] for line in raw} == set(names)


def test_filters_that_let_nothing_through_are_remarked_on(here, folder):
    (folder / "demo.py").write_text(DEMO)
    remark = "Nothing happened that the filters let through.\n"
    assert here("events", "demo.py:chain", TOPIC, "--name", "nix") == (0, "", remark)


def test_inputs_and_complaints(here, folder):
    (folder / "demo.py").write_text(DEMO)
    raw = here("events", "demo.py:prints", TOPIC, "--text", "--raw")[1].splitlines()
    assert json.loads(raw[1])["input"] == TOPIC
    assert here("events", "demo.py:prints", "-", given="from standard input")[0] == 0
    for arguments in ((), ("demo.py:chain",), ("demo.py:chain", "x", "y")):
        code, out, err = here("events", *arguments)
        assert (code, out) == (2, "")
        assert "`headrace events" in err
    (folder / "failing.py").write_text(FAILING)
    code, _, err = here("events", "failing.py:chain", '{"topic"')
    assert code == 1
    assert "was taken as text" in err


@pytest.mark.parametrize("options", [["--raw"], ["--raw", "--async"]])
def test_a_reader_that_leaves_ends_the_run_quietly(headrace, options):
    headrace.write(ENDLESS)
    target = "aendless" if "--async" in options else "endless"
    process = headrace.start("events", f"demo.py:{target}", "x", *options)
    assert '{"kind"' in process.read(8)
    process.leave("stdout")
    assert process.said() == (141, "", "")
    assert (headrace.folder / "closed").exists()


@pytest.mark.parametrize(
    ("target", "colour"), [("paced", ()), ("awaiting", ("--async",)), ("aendless", ("--async",))]
)
def test_ctrl_c_closes_the_run_and_shows_it_as_cancelled(headrace, target, colour):
    first = "first = RunnableLambda(lambda text: text)\n"
    paced = "def paced(chunks):\n    yield from endless(chunks)\n"
    chains = f"chain = first | RunnableLambda({target})\n"
    imports = "from headrace.runnables import RunnableLambda\n"
    headrace.write(imports + WAITING + ENDLESS + paced + first + chains)
    process = headrace.start("events", "demo.py:chain", "x", *colour)
    assert process.read(4) == "done"
    process.press_ctrl_c()
    code, out, err = process.said()
    assert (code, err) == (130, "")
    assert re.findall(r"^cancelled.*  (\S+)", out, re.MULTILINE)
    assert (headrace.folder / "closed").exists()


@pytest.mark.parametrize(
    ("target", "colour"), [("paced", ()), ("awaiting", ("--async",)), ("aendless", ("--async",))]
)
@pytest.mark.parametrize(
    ("options", "names"), [([], {"chain", "target"}), (["--name", "target"], {"target"})]
)
def test_ctrl_c_ends_each_run_that_raw_has_shown(headrace, target, colour, options, names):
    paced = "def paced(chunks):\n    for n in range(9 ** 9):\n        yield 'ready'\n"
    chain = (
        f"target = RunnableLambda({target}, name='target')\n"
        "chain = (RunnableLambda(str, name='first') | target).with_config(run_name='chain')\n"
    )
    imports = "from headrace.runnables import RunnableLambda\n"
    headrace.write(imports + WAITING + ENDLESS + paced + chain)
    process = headrace.start("events", "demo.py:chain", "x", "--raw", *colour, *options)
    while b'"chunk"' not in (line := process.stdout.readline()) or b'"target"' not in line:
        assert line
    process.press_ctrl_c()
    code, out, err = process.said()
    assert (code, err) == (130, "")
    ends = [from_json(line) for line in out.splitlines() if '"kind":"cancelled"' in line]
    assert {event.run.name for event in ends} == names
    assert len(ends) == len(names)
    assert all(type(event) is RunCancelled for event in ends)
    assert [event.seq for event in ends] == sorted(event.seq for event in ends)


def test_raw_keeps_nothing_of_runs_that_have_ended():
    ends = _Ends(Filter())
    raw = _Raw(ends)
    chain = RunnableLambda(words) | shout
    kinds = Counter()
    for event in chain.stream_typed("x", {"callbacks": [ends]}):
        kinds[event.kind] += 1
        raw.feed(event)
    assert (kinds["end"], ends.told, raw._open) == (3, {}, set())


def test_rich_is_loaded_for_a_terminal_only(headrace):
    headrace.write(DEMO)
    program = (
        "import sys\nfrom headrace.cli import main\nmain(sys.argv[1:])\n"
        "print('loaded:', 'rich' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "events", "demo.py:chain", TOPIC, "--raw"],
        cwd=headrace.folder,
        env=headrace.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith("loaded: False\n")


# ---- on a terminal -------------------------------------------------------------------------------


class Terminal:
    """What is on the screen, and what was scrolled out of it, after output as rich writes it.
    `pictures` is how often it was drawn."""

    MOVES = re.compile(r"\x1b\[(\?25[lh]|\d*A|2K|[\d;]*m)|\r|\n|[^\x1b\r\n]+")

    def __init__(self, output):
        self.lines, self.row, self.column, self.pictures = [""], 0, 0, 0
        self.codes = re.findall(r"\x1b\[[\d;]*m", output)
        self.cursor = True
        for found in self.MOVES.finditer(output):
            self.take(found[0])
        assert "".join(m[0] for m in self.MOVES.finditer(output)) == output

    def take(self, piece):
        if piece == "\r":
            self.column = 0
        elif piece == "\n":
            self.row, self.column = self.row + 1, 0
            self.lines += [""] * (self.row + 1 - len(self.lines))
        elif piece.startswith("\x1b[?"):
            self.cursor = piece.endswith("h")
        elif piece.endswith("A") and piece.startswith("\x1b"):
            self.row -= int(piece[2:-1] or 1)
            assert self.row >= 0
        elif piece == "\x1b[2K":
            self.lines[self.row] = ""
            self.pictures += self.column == 0
        elif not piece.startswith("\x1b"):
            line = self.lines[self.row]
            self.lines[self.row] = line[: self.column] + piece + line[self.column + len(piece) :]
            self.column += len(piece)


def watched(headrace, *arguments, width=80, height=24, until=None, **options):
    """Run it on a terminal, press Ctrl-C when `until` is seen; gives the code and the terminal."""
    headrace.environment.update(COLUMNS=str(width), LINES=str(height), TERM="xterm-256color")
    headrace.environment.update(options.pop("environment", {}))
    ours, theirs = pty.openpty()
    process = headrace.start(*arguments, stdout=theirs, stderr=theirs, **options)
    os.close(theirs)
    output = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # how a terminal says that nobody writes to it any more
            break
        if not piece:
            break
        output += piece
        if until is not None and until in output:
            until = None
            process.press_ctrl_c()
    os.close(ours)
    return process.wait(60), Terminal(output.decode())


@BOTH
def test_the_tree_stays_on_the_terminal(headrace, colour):
    headrace.write(DEMO)
    code, terminal = watched(headrace, "events", "demo.py:both", TOPIC, *colour, width=74)
    assert code == 0
    assert shown(map(Plain, terminal.lines)) == [
        '✓ RunnableParallel<text,same>  {"topic": "parrot"}          done',
        '├─ ✓ text: RunnableSequence  {"topic": "parrot"}            done',
        '│  ├─ ✓ PromptTemplate  {"topic": "parrot"}                 done',
        "│  │    human: about parrot",
        "│  ├─ ✓ FakeListChatModel  human: about parrot              done",
        "│  │    Why not? [b]日本[/b]",
        "│  └─ ✓ StrOutputParser  ai: Why not? [b]日本[/b]           done",
        '└─ ✓ same: RunnableLambda  {"topic": "parrot"}              done',
        "",
    ]
    assert terminal.cursor
    assert any("32" in code for code in terminal.codes)  # green


class Plain:
    def __init__(self, plain):
        self.plain = plain


def test_a_failure_on_the_terminal(headrace):
    headrace.write(FAILING)
    code, terminal = watched(headrace, "events", "demo.py:chain", "x")
    assert code == 1
    assert terminal.lines[-3:] == [
        "     ValueError: no good",
        "headrace: ValueError: no good (in step RunnableSequence/2:boom)",
        "",
    ]
    assert "\x1b[31m" in terminal.codes


def test_ten_thousand_tokens_are_few_pictures(headrace):
    headrace.write(DEMO)
    code, terminal = watched(headrace, "events", "demo.py:tokens", "x", width=40)
    assert code == 0
    assert terminal.lines[1].startswith("  …word")
    assert terminal.lines[3].endswith("word19999")
    assert terminal.pictures < 400  # of 20,000 tokens


def test_all_rows_are_there_at_the_end_of_a_tall_tree(headrace):
    headrace.write(DEMO)
    code, terminal = watched(headrace, "events", "demo.py:many", "x", width=40, height=10)
    assert code == 0
    assert sum("inner" in line for line in terminal.lines) == 60


def test_what_the_target_prints_stands_above_the_tree(headrace):
    headrace.write(DEMO)
    _, terminal = watched(headrace, "events", "demo.py:prints", "x")
    assert terminal.lines[0] == "by the target itself"
    assert terminal.lines[1].startswith("✓ prints  x")


@pytest.mark.parametrize(
    ("target", "colour"), [("waiting", ("--async",)), ("endless", ()), ("awaiting", ("--async",))]
)
def test_ctrl_c_on_a_terminal(headrace, target, colour):
    headrace.write(WAITING.replace("time.sleep(600)", "time.sleep(1.2)") + ENDLESS)
    until = b"line" if target == "endless" else b"ready"
    code, terminal = watched(headrace, "events", f"demo.py:{target}", "x", *colour, until=until)
    assert code == 130
    assert terminal.lines[0].startswith(f"■ {target}  x")
    assert "cancelled" in terminal.lines[0]
    assert terminal.cursor
    assert (headrace.folder / "closed").exists()


def test_a_terminal_has_room_to_echo_ctrl_c(headrace):
    """What it writes behind the last line must not begin a new one: the picture would be drawn one
    line too low."""
    headrace.write(ENDLESS + "def wide(text):\n    yield 'x' * 500\n    yield from endless(text)\n")
    _, terminal = watched(headrace, "events", "demo.py:wide", "x" * 99, width=60, until=b"line")
    assert max(map(cell_len, terminal.lines)) == 58


@pytest.mark.slow
def test_a_step_that_never_stops_leaves_the_terminal_as_it_was(headrace):
    headrace.write(WAITING + "def stuck(chunks):\n    yield 'ready'\n    time.sleep(600)\n")
    code, terminal = watched(headrace, "events", "demo.py:stuck", "x", until=b"ready")
    assert code == 130
    assert "cancelled" in terminal.lines[0]
    assert terminal.lines[-2].startswith("headrace: a step did not stop within 2 s")
    assert terminal.cursor


def test_no_color_and_terminals_that_cannot_draw(headrace):
    headrace.write(DEMO)
    _, terminal = watched(headrace, "events", "demo.py:chain", TOPIC, environment={"NO_COLOR": "1"})
    assert terminal.lines[0].startswith("✓ RunnableSequence")
    coloured = re.compile(r"\x1b\[(\d+;)*(3[0-7]|9[0-7]|38)(;\d+)*m")
    assert not any(coloured.match(code) for code in terminal.codes)
    _, terminal = watched(headrace, "events", "demo.py:chain", TOPIC, environment={"TERM": "dumb"})
    assert terminal.codes == []
    assert terminal.lines[0].startswith("done ")
