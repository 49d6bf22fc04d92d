"""Laws of every splitter: nothing lost, nothing too long, places that are right, linear cost."""

from __future__ import annotations

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from headrace.documents import Document
from headrace.text_splitters import (
    CharacterTextSplitter,
    Language,
    MarkdownHeaderTextSplitter,
    RecursiveCharacterTextSplitter,
    RecursiveJsonSplitter,
    TextSplitter,
    TokenTextSplitter,
)
from laws.counted import LAW, counted_calls, growth

BYTES = tiktoken.Encoding(
    "bytes",
    pat_str=r"\w+|\W+",
    mergeable_ranks={bytes([byte]): byte for byte in range(256)},
    special_tokens={},
)
texts = st.text(alphabet="ab .\n#é漢🎉", max_size=80)
sizes = st.tuples(st.integers(4, 20), st.integers(0, 20)).map(lambda pair: (pair[0], min(pair)))


def whole(size, overlap, keep=True):
    """Splitters that leave everything as it is, by name."""
    options = {
        "chunk_size": size,
        "chunk_overlap": overlap,
        "strip_whitespace": False,
        "add_start_index": True,
    }
    return {
        "recursive": RecursiveCharacterTextSplitter(keep_separator=keep, **options),
        "character": CharacterTextSplitter("", keep_separator=keep, **options),
        "words": CharacterTextSplitter(" ", keep_separator=keep, **options),
        "markdown": RecursiveCharacterTextSplitter.from_language(
            Language.MARKDOWN, keep_separator=keep, **options
        ),
        "tokens": TokenTextSplitter(
            tokenizer=BYTES, **{**options, "chunk_overlap": min(overlap, size - 1)}
        ),
    }


KINDS = list(whole(4, 0))


@pytest.mark.parametrize("kind", KINDS)
@given(texts, sizes, st.sampled_from([True, "start", "end"]))
def test_chunks_that_do_not_overlap_add_up_to_the_text(kind, text, pair, keep):
    chunks = whole(pair[0], 0, keep)[kind].split_text(text)
    assert "".join(chunks) == text


@pytest.mark.parametrize("kind", KINDS)
@given(texts, sizes)
def test_overlapping_chunks_leave_no_gap_and_begin_where_they_say(kind, text, pair):
    covered, before = 0, -1
    for chunk in whole(*pair)[kind].create_documents([text]):
        start = chunk.metadata["start_index"]
        assert text[start : start + len(chunk.page_content)] == chunk.page_content
        assert before < start <= covered
        before, covered = start, max(covered, start + len(chunk.page_content))
    assert covered == len(text)


@given(texts, sizes)
def test_stripped_chunks_begin_where_they_say_and_lose_white_space_alone(text, pair):
    splitter = RecursiveCharacterTextSplitter(
        chunk_size=pair[0], chunk_overlap=0, add_start_index=True
    )
    covered = 0
    for chunk in splitter.create_documents([text]):
        start = chunk.metadata["start_index"]
        assert text[covered:start].strip() == ""
        covered = start + len(chunk.page_content)
        assert text[start:covered] == chunk.page_content
    assert text[covered:].strip() == ""


@given(texts, sizes, st.booleans())
def test_no_chunk_is_longer_than_it_may_be(text, pair, strip):
    for splitter in (
        RecursiveCharacterTextSplitter(
            chunk_size=pair[0], chunk_overlap=pair[1], strip_whitespace=strip
        ),
        RecursiveCharacterTextSplitter.from_language(
            Language.MARKDOWN, chunk_size=pair[0], chunk_overlap=pair[1], strip_whitespace=strip
        ),
    ):
        assert all(len(chunk) <= pair[0] for chunk in splitter.split_text(text))


@given(texts, sizes)
def test_no_chunk_has_more_tokens_than_it_may(text, pair):
    # One character alone may be longer: it has four bytes at most.
    splitter = TokenTextSplitter(tokenizer=BYTES, chunk_size=pair[0], chunk_overlap=0)
    assert all(len(BYTES.encode(chunk)) <= pair[0] for chunk in splitter.split_text(text))


@given(st.text(alphabet="ab \n", max_size=60), st.integers(1, 9))
def test_what_cannot_be_cut_is_one_chunk(text, size):
    splitter = CharacterTextSplitter("\n", chunk_size=size, chunk_overlap=0)
    for chunk in splitter.split_text(text):
        assert len(chunk) <= size or "\n" not in chunk


class Shouts(TextSplitter):
    """A user's: it writes split_text alone, and chunks need not be found in the text."""

    def split_text(self, text):
        return [word if len(word) < 3 else word.upper() for word in text.split()]


def test_a_splitter_of_ones_own_is_searched_for_its_chunks():
    splitter = Shouts(add_start_index=True)
    made = splitter.create_documents(["a bb a ccc a"])
    assert [each.metadata["start_index"] for each in made] == [0, 2, 5, -1, 11]


def test_a_subclass_that_overrides_split_text_is_asked():
    class Halves(RecursiveCharacterTextSplitter):
        def split_text(self, text):
            return [text[: len(text) // 2], text[len(text) // 2 :]]

    made = Halves(add_start_index=True).split_documents([Document("aabb", {"n": 1})])
    assert [(each.page_content, each.metadata["start_index"]) for each in made] == [
        ("aa", 0),
        ("bb", 2),
    ]


# ---- cost --------------------------------------------------------------------------------------

SHAPES = {
    "lines": "a line of words\n",
    "paragraphs": "one\n\ntwo three\n\n\n",
    "one word": "x",
    "white space": " ",
    "headings": "# A\n\ntext\n## B\n",
    "an open fence": "```\n",
    "quotes": "<div><p>x",
}
SPLITTERS = {
    "recursive": lambda count: RecursiveCharacterTextSplitter(
        chunk_size=50, chunk_overlap=20, length_function=count
    ),
    "in one": lambda count: RecursiveCharacterTextSplitter(
        chunk_size=10**9, chunk_overlap=0, length_function=count
    ),
    "html": lambda count: RecursiveCharacterTextSplitter.from_language(
        Language.HTML, chunk_size=50, chunk_overlap=50, length_function=count
    ),
    "tokens": lambda count: TokenTextSplitter(tokenizer=BYTES, chunk_size=50, chunk_overlap=10),
    "headers": lambda count: MarkdownHeaderTextSplitter([("#", "1"), ("##", "2")]),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", SPLITTERS)
def test_twice_the_text_costs_twice_the_steps(kind, shape):
    measured = [0]

    def count(text):
        measured[0] += len(text)
        return len(text)

    def cost(size):
        text = (SHAPES[shape] * size)[: 8 * size]
        measured[0] = 0
        with counted_calls() as calls:
            SPLITTERS[kind](count).split_text(text)
        return calls.total + measured[0]

    cost(2)  # what is made once is made now
    assert growth(cost, 256) <= LAW, [cost(size) for size in (256, 512, 1024)]


def test_twice_the_json_costs_twice_the_steps():
    splitter = RecursiveJsonSplitter(100)

    def cost(size):
        data = {f"key {n:04}": {"inner": "x" * 20, "list": [n]} for n in range(size)}
        with counted_calls() as calls:
            splitter.split_json(data)
        return calls.total

    cost(2)
    assert growth(cost, 100) <= LAW
