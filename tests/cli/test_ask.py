"""`headrace ask`: the answer as it comes, the passages it is from, and what is said otherwise."""

from __future__ import annotations

import json
import re

import pytest

from headrace.cli import asking
from headrace.cli.asking import answering
from headrace.cli.library import Library
from headrace.cli.passages import fitting, place, shown, text_of
from headrace.documents import Document
from headrace.language_models import FakeListChatModel

from .words import INSTALLED, Words

ANSWER = "It grinds corn."
FILES = {
    "docs/mill.md": "# The mill\n\nThe mill grinds corn.\n\n## The wheel\n\nThe wheel turns.\n",
    "docs/river.txt": "The river is long.",
    "docs/rows.csv": "name,age\nAda,36\nBob,5\n",
}
SAID = """\
It grinds corn.

[1] docs/mill.md:1  The mill
  # The mill
  The mill grinds corn.

[2] docs/mill.md:5  The mill › The wheel
  ## The wheel
  The wheel turns.
"""


@pytest.fixture(autouse=True)
def words(monkeypatch):
    monkeypatch.setattr("headrace.cli.library.LocalEmbeddings", Words)
    monkeypatch.setattr(Words, "embedded", [])


@pytest.fixture
def asked(monkeypatch):
    """The prompts that the model has seen, which answers ANSWER; and how it was asked for."""
    prompts, names = [], []

    class Model(FakeListChatModel):
        def _stream(self, messages, *rest, **given):
            prompts.extend(message.text for message in messages)
            yield from super()._stream(messages, *rest, **given)

    def init_chat_model(name, **options):
        names.append((name, options))
        return Model(responses=[ANSWER])

    monkeypatch.setattr(asking, "init_chat_model", init_chat_model)
    return prompts, names


@pytest.fixture
def store(folder, here):
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    assert here("index", "docs", "--store", "st")[0] == 0
    return Library.open(folder / "st")


# ---- what is shown ------------------------------------------------------------------------------


def test_the_answer_and_then_the_passages(here, store, asked):
    code, out, err = here("ask", "st", "What does the mill grind?", "--k", "2")
    assert (code, out, err) == (0, SAID, "")
    prompts, names = asked
    assert names == [(None, asking._EMBEDDED)]
    (prompt,) = prompts
    assert "The mill\n\n# The mill\n\nThe mill grinds corn.\n\nThe mill › The wheel" in prompt
    assert prompt.endswith("one sentence: What does the mill grind?")


def test_as_json_a_line_for_each_passage_and_each_piece(here, store, asked):
    code, out, err = here("ask", "st", "Name, age, Ada?", "-k", "3", "--json", "--model", "a:b")
    assert (code, err) == (0, "")
    assert asked[1] == [("a:b", {})]
    lines = [json.loads(line) for line in out.splitlines()]
    assert [list(line) for line in lines] == [["passage"]] * 3 + [["answer"]] * len(ANSWER)
    assert "".join(line["answer"] for line in lines[3:]) == ANSWER
    first = lines[0]["passage"]
    assert first.pop("file").endswith("/docs/rows.csv")
    assert first == {"number": 1, "row": 0, "text": "name: Ada\nage: 36"}


def test_the_question_from_standard_input(here, store, asked):
    assert here("ask", "st", "-", "--k", "2", given="What does the mill grind?\n")[1] == SAID
    assert asked[0][0].endswith("one sentence: What does the mill grind?")


def test_json_and_braces_in_questions_and_passages_are_text(here, folder, store, asked):
    (folder / "docs" / "river.txt").write_text('{"river": "{long}"}')
    here("index", "docs", "--store", "st")
    code, _, err = here("ask", "st", '{"river": {x}}')
    assert (code, err) == (0, "")
    assert '{"river": "{long}"}' in asked[0][0]
    assert asked[0][0].endswith('one sentence: {"river": {x}}')


def test_the_passages_are_shown_though_the_model_fails(here, store, monkeypatch):
    model = FakeListChatModel(responses=[ANSWER], error_on_chunk_number=4)
    monkeypatch.setattr(asking, "init_chat_model", lambda name, **options: model)
    code, out, err = here("ask", "st", "What does the mill grind?", "-k", "2")
    assert (code, out) == (1, SAID.replace(ANSWER, ANSWER[:4]))
    assert err.count("\n") == 1
    assert "FakeListChatModelError" in err


@pytest.mark.parametrize("said", ["", "The answer is:"], ids=["nothing", "a lead-in"])
def test_that_there_is_no_answer_is_said(here, store, monkeypatch, said):
    model = FakeListChatModel(responses=[said])
    monkeypatch.setattr(asking, "init_chat_model", lambda name, **options: model)
    code, out, err = here("ask", "st", "What does the mill grind?", "-k", "2")
    passages = SAID.removeprefix(ANSWER + "\n")
    assert (code, out) == (0, f"{said}\n{passages}" if said else passages)
    assert err == "the model gave no answer\n"


# ---- how it comes -------------------------------------------------------------------------------


def test_it_streams_passages_first_and_each_token_by_itself(store):
    chunks = list(answering(store, FakeListChatModel(responses=[ANSWER]), 2).stream("the mill?"))
    kinds = [key for chunk in chunks for key in chunk]
    assert sorted(kinds[:2]) == ["passages", "question"]
    assert kinds[2:] == ["answer"] * (len(chunks) - 2)
    assert "".join(chunk["answer"].text for chunk in chunks[2:]) == ANSWER
    assert len([chunk for chunk in chunks[2:] if chunk["answer"].text]) == len(ANSWER)


async def test_its_events_show_the_retriever_and_the_model(store):
    chain = answering(store, FakeListChatModel(responses=[ANSWER]), 2)
    events = [event async for event in chain.astream_events("the mill?", version="v2")]
    kinds = [event["event"] for event in events]
    assert kinds.count("on_retriever_end") == 1
    tokens = [e for e in events if e["event"] == "on_chat_model_stream" and e["data"]["chunk"].text]
    assert len(tokens) == len(ANSWER)
    assert kinds.index("on_retriever_end") < kinds.index("on_chat_model_stream")
    assert kinds[-1] == "on_chain_end"
    (end,) = [event for event in events if event["event"] == "on_retriever_end"]
    assert [place(each)[-8:] for each in end["data"]["output"]] == ["The mill", "he wheel"]


def test_ctrl_c_ends_it(headrace):
    for name, text in FILES.items():
        headrace.write(text, name)
    assert headrace("index", "docs", "-s", "st", before=INSTALLED)[0] == 0
    slow = (
        "import headrace.cli.asking as asking\n"
        "from headrace.language_models import FakeListChatModel\n"
        "asking.init_chat_model = lambda name, **options: FakeListChatModel(\n"
        "    responses=['yes ' * 1000], sleep=0.05)\n"
    )
    process = headrace.start("ask", "st", "the mill?", before=INSTALLED + slow)
    assert process.read(4) == "yes "
    process.press_ctrl_c()
    code, out, err = process.said()
    assert (code, err) == (130, "")
    assert "[1]" not in out


def test_a_reader_that_leaves_is_no_error(headrace):
    for name, text in FILES.items():
        headrace.write(text, name)
    assert headrace("index", "docs", "-s", "st", before=INSTALLED)[0] == 0
    process = headrace.start("ask", "st", "the mill?", "--json", before=INSTALLED)
    process.leave("stdout")
    assert process.said()[0] == 141


# ---- wrong input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "QUESTION is missing: give the DIR of a store and a question"),
        (["st"], 2, "QUESTION is missing"),
        (["st", "what", "is", "it?"], 2, "got 4 words: put a QUESTION of several words in quotes"),
        (["st", "  "], 2, "The QUESTION is empty"),
        (["st", "why?", "--k", "0"], 2, "--k is 0: give 1 or more."),
        (["st", "why?", "--k", "some"], 2, "Input should be a valid integer"),
        (["gone", "why?"], 1, "There is no gone: make one with `headrace index PATH --store DIR`"),
        (["docs", "why?"], 1, "'docs' is no store: make one with"),
        (["docs/river.txt", "why?"], 1, "'docs/river.txt' is no store: make one with"),
        (["st", "why?", "--model", "nobody:x"], 1, "No provider 'nobody' is known"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_makes_no_sense(here, store, arguments, code, says):
    got, out, err = here("ask", *arguments)
    assert (got, out, err.count("\n")) == (code, "", 1)
    assert says in err


def test_a_store_with_nothing_in_it(here, folder):
    with Library.changing(folder / "st"):
        pass
    code, out, err = here("ask", "st", "why?")
    assert (code, out) == (1, "")
    assert "There is nothing in the store 'st' yet" in err


# ---- passages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "room", "kept"),
    [
        ([], 100, []),
        (["a" * 30, "b" * 30], 60, ["a" * 30, "b" * 30]),
        (["a" * 30, "b" * 30], 59, ["a" * 30, "b" * 29]),
        (["a" * 30, "b" * 30], 49, ["a" * 30]),  # too little of b to be of use
        (["a" * 30, "b"], 29, ["a" * 29]),  # and b is less important
        (["one two three four five six"], 22, ["one two three four"]),
        (["a" * 30], -5, []),
    ],
)
def test_what_fits(texts, room, kept):
    assert fitting(texts, room, len) == kept


@pytest.mark.parametrize(
    ("metadata", "where"),
    [
        ({}, "/a/b.txt"),
        ({"line": 3}, "/a/b.txt:3"),
        ({"page": 0}, "/a/b.txt, page 1"),
        ({"row": 4}, "/a/b.txt, row 5"),
        ({"seq_num": 2}, "/a/b.txt, value 2"),
        ({"line": 9, "headings": ["One", "Two"]}, "/a/b.txt:9  One › Two"),
    ],
)
def test_where_a_passage_is(metadata, where):
    assert place(Document("x", {"source": "/a/b.txt", **metadata})) == where


def test_a_long_passage_is_shown_in_part_and_moves_no_cursor(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    text = "One › Two\n\n" + "".join(f"\x1b[2J    word {n} and {n}\n\n" for n in range(20))
    passage = Document(text, {"source": "/a/b.txt", "headings": ["One", "Two"]})
    assert not text_of(passage).startswith("One")
    lines = shown([passage]).splitlines()
    assert len(lines) == 7
    assert lines[-1].endswith(" …")
    assert all(len(line) <= 40 for line in lines)
    assert "\x1b" not in "".join(lines)
    assert not re.search("word 7", "".join(lines))
