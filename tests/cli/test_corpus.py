"""This repository's own docs, indexed and asked with the real models: `headrace index` and
`headrace ask` as a user has them."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path

import pytest

from headrace.cli import main
from headrace.cli.asking import _PROMPT, _READS, _prompt, answering
from headrace.cli.library import Library
from headrace.language_models import init_chat_model
from headrace.local.weights import ensure_weights

from .test_index import numbers

DOCS = Path(__file__).parents[2] / "docs"

# Questions in other words than the pages have, and where the answers are.
ASKED = {
    "How do I draw a chain as a picture?": ["13-graphs.md"],
    "What exit code does the command have after Ctrl-C?": ["cli.md"],
    "Which environment variable forbids fetching the weights?": ["cli.md", "12-embedded-model.md"],
    "How do I keep answers of a model in a cache?": ["25-caches.md"],
    "How do I retry a step that fails?": ["15-policies.md", "09-errors.md", "28-failures.md"],
    "How can I record a run and replay it in a test?": ["21-record.md"],
    "How do I give a chain a memory of the conversation?": ["16-history.md"],
    "Which step of my chain is slow?": ["20-timing.md"],
    "How do I parse JSON while it is still streaming?": ["03-json.md", "23-semantic.md"],
    "How do I run several inputs at once with a limit on concurrency?": ["10-batch.md"],
    "How do I make a tool from a function?": ["22-tools.md"],
    "How do I use OpenAI or Anthropic models?": ["27-providers.md"],
    "What happens when the consumer stops reading a stream?": ["08-closing.md"],
    "How do I choose the model at run time with configurable fields?": ["14-configure.md"],
    "How do I pick few-shot examples for a prompt?": ["26-examples.md"],
    "How do I get a pydantic object as the answer?": ["24-structured.md"],
    "Which LangChain imports have to change?": ["from-langchain.md"],
    "Why is numpy not a core dependency?": ["dependencies.md"],
}
FOUND = 16  # of these 18, among four passages

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    """A folder with a copy of the docs and their store."""
    folder = tmp_path_factory.mktemp("corpus")
    shutil.copytree(DOCS, folder / "docs")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["index", str(folder / "docs"), "--store", str(folder / "st")]) == 0
    files, passages, *did = numbers(said.getvalue())
    assert files >= len(list(DOCS.rglob("*.md")))
    assert did == [passages, 0, 0]
    assert passages > 500
    return folder


@pytest.fixture
def headrace_there(headrace, indexed):
    headrace.folder = indexed
    return headrace


def test_the_right_page_is_found(indexed):
    retriever = Library.open(indexed / "st").retriever(4)
    missed = [
        question
        for question, pages in ASKED.items()
        if not {Path(d.metadata["source"]).name for d in retriever.invoke(question)} & {*pages}
    ]
    assert len(ASKED) - len(missed) >= FOUND, missed


def test_the_answer_streams(indexed):
    ensure_weights()
    model = init_chat_model(max_tokens=30)
    chain = answering(Library.open(indexed / "st"), model, 4)
    chunks, kinds = [], []
    for event in chain.stream_events("What exit code does Ctrl-C give?", version="v2"):
        kinds.append(event["event"])
        if event["event"] == "on_chain_stream" and not event["parent_ids"]:
            chunks.append(event["data"]["chunk"])
    tokens = [c["answer"] for c in chunks if "answer" in c and c["answer"].text]
    assert len(tokens) >= 4
    assert kinds.count("on_chat_model_stream") >= len(tokens)
    first = next(n for n, c in enumerate(chunks) if "answer" in c)
    assert any("passages" in c for c in chunks[:first])


@pytest.mark.parametrize("own", [False, True], ids=["embedded", "own file"])
def test_the_prompt_has_room_in_the_model(indexed, own):
    model = init_chat_model(f"local:{ensure_weights()}" if own else None, n_ctx=1024)
    question = "How do I make a tool from a function?"
    passages = Library.open(indexed / "st").retriever(40).invoke(question)
    assert sum(model.get_num_tokens(each.page_content) for each in passages) > 4000
    prompt = _prompt(model, {"question": question, "passages": passages})
    tokens = model.get_num_tokens_from_messages(prompt)
    rest = model.get_num_tokens_from_messages(_PROMPT.format(passages="", question=question))
    room = 1024 - model.max_tokens if own else rest + _READS + 5
    assert room - 60 < tokens <= room
    assert ("```" in prompt) is own
    assert prompt.endswith(f"answer in one sentence: {question}")


def test_a_question_that_is_too_long_is_an_error(headrace_there):
    ensure_weights()
    code, out, err = headrace_there("ask", "st", "-", given="why " * 5000)
    assert (code, err.count("\n")) == (1, 1)
    assert "context holds 4096: shorten the prompt" in err
    assert "[1] docs/" in out


def test_a_question_at_the_command(headrace_there):
    ensure_weights()
    code, out, err = headrace_there("ask", "st", "How do I make a tool from a function?", "--json")
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    found = [Path(line["passage"]["file"]).name for line in lines if "passage" in line]
    assert len(found) == 4
    assert "22-tools.md" in found
    assert len([line for line in lines if "answer" in line]) >= 4
    assert "first token" in err


def test_a_second_run_does_nothing_and_a_change_concerns_one_file(headrace_there, indexed):
    store = indexed / "st"
    before = (store / "index.json").read_bytes()
    code, out, _ = headrace_there("index", "docs", "--store", "st")
    files, passages, *did = numbers(out)
    assert (code, did) == (0, [0, passages, 0])
    assert (store / "index.json").read_bytes() == before
    page = indexed / "docs" / "guide" / "08-closing.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(f"{text}\n\n## Millstones\n\nThey grind corn.\n", encoding="utf-8")
    code, out, _ = headrace_there("index", "docs", "--store", "st")
    assert (code, numbers(out)) == (0, (files, passages + 1, 1, passages, 0))
    page.unlink()
    of_page = sum(d.metadata["source"] == str(page) for d in Library.open(store)._documents())
    code, out, _ = headrace_there("index", "docs", "--store", "st")
    assert numbers(out) == (files - 1, passages + 1 - of_page, 0, passages + 1 - of_page, of_page)
    page.write_text(text, encoding="utf-8")
    assert headrace_there("index", "docs", "--store", "st")[0] == 0
