"""This repository's own documentation: loaded, split and indexed, one document after another."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from headrace.document_loaders import DirectoryLoader, HTMLLoader, MarkdownLoader
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.indexing import InMemoryRecordManager, aindex, index
from headrace.runnables import RunnableLambda
from headrace.text_splitters import MarkdownHeaderTextSplitter, MarkdownTextSplitter
from headrace.vectorstores import InMemoryVectorStore
from laws.counted import LAW, counted_calls, growth

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
SPLITTER = MarkdownTextSplitter(chunk_size=2000, chunk_overlap=100, add_start_index=True)


@pytest.fixture(scope="module")
def docs(tmp_path_factory):
    """A copy, which nobody writes to meanwhile."""
    return Path(shutil.copytree(GUIDE, tmp_path_factory.mktemp("docs") / "guide")).parent


def chunks(docs):
    return SPLITTER.lazy_split_documents(DirectoryLoader(docs, "guide/*.md").lazy_load())


def test_every_chunk_stands_in_its_file_where_it_says(docs):
    seen = 0
    with closing(chunks(docs)) as found:
        for chunk in found:
            text = Path(chunk.metadata["source"]).read_text(encoding="utf-8")
            start = chunk.metadata["start_index"]
            assert text[start:].startswith(chunk.page_content)
            assert chunk.metadata["title"] == text.partition("\n")[0].strip("# ").replace("`", "")
            seen += 1
    assert seen > 100


def test_sections_by_the_loader_are_the_sections_by_the_splitter(docs):
    headers = [("#", "1"), ("##", "2"), ("###", "3"), ("####", "4")]
    for file in sorted((docs / "guide").glob("*.md")):
        loaded = [each.metadata["headings"] for each in MarkdownLoader(file, "sections").load()]
        (whole,) = MarkdownLoader(file).load()
        split = MarkdownHeaderTextSplitter(headers, strip_headers=False).split_documents([whole])
        marks = str.maketrans("", "", "`*")
        # A section that only holds finer ones is one of these there.
        paths = [
            [text.translate(marks) for name, text in each.metadata.items() if name in "1234"]
            for each in split
        ]
        assert [path for path in loaded if path in paths] == paths


async def test_the_docs_are_indexed_and_left_alone_the_next_time(docs):
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=4))
    records = InMemoryRecordManager("docs")
    how = {"cleanup": "incremental", "source_id_key": "source", "batch_size": 7}
    first = index(chunks(docs), records, store, **how)
    assert first["num_added"] == len(store.store) > 100
    again = await aindex(chunks(docs), records, store, **how)
    assert again["num_added"] == again["num_deleted"] == 0
    assert again["num_skipped"] == first["num_added"] + first["num_skipped"]


def test_a_loader_and_a_splitter_in_a_chain(docs):
    chain = RunnableLambda(lambda path: MarkdownLoader(path).load()) | SPLITTER.split_documents
    path = str(docs / "guide" / "01-stream.md")
    chunks = chain.invoke(path)
    assert len(chunks) > 1 and {each.metadata["source"] for each in chunks} == {path}


PAGES = {
    "paragraphs": "<p>one two\n<b>three</b></p>\n",
    "headings that nothing closes": "<h2>x<div>text",
    "cells": "<td>x<th>y",
    "spaces": " <i> </i> ",
}


@pytest.mark.parametrize("shape", PAGES)
def test_twice_the_page_costs_twice_the_steps(shape, tmp_path):
    file = tmp_path / "a.html"

    def cost(size):
        file.write_text(PAGES[shape] * size, encoding="utf-8")
        with counted_calls() as calls:
            HTMLLoader(file).load()
        return calls.total

    cost(2)
    assert growth(cost, 64) <= LAW, [cost(size) for size in (64, 128, 256)]
