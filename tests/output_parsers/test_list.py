"""Lists in text: the elements are LangChain's, each comes out once it is complete, cut anywhere."""

from __future__ import annotations

import asyncio
import csv
import re
from io import StringIO
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core import output_parsers as theirs
from langchain_core.output_parsers import CommaSeparatedListOutputParser as Theirs
from pydantic import ValidationError

from headrace.errors import InputError
from headrace.language_models import FakeListChatModel
from headrace.messages import AIMessageChunk
from headrace.output_parsers import (
    CommaSeparatedListOutputParser,
    ListOutputParser,
    MarkdownListOutputParser,
    NumberedListOutputParser,
    StrOutputParser,
)
from headrace.runnables import RunnableLambda, RunnableParallel
from laws.colours import every_colour
from laws.counted import assert_linear
from laws.kinds import cut_text

CASES = [
    "foo, bar", "foo,bar , baz", "", '"a, b", c', "a\nb,c", "a,\n b", '"he said ""x"", y",z',
    "a,,b", " a , b ", "a, b\n", 'x "q, r" y, z', '"unclosed, b', "a\r\nb", "\n\na",
    '"multi\nline", b', '"a" b, c', ",", "a,",
]  # fmt: skip
TEXTS = st.text(alphabet='ab ,"\n', max_size=24)


class Loud(CommaSeparatedListOutputParser):
    def parse(self, text):
        return [element.upper() for element in super().parse(text)]


def joined(chunks):
    return [element for chunk in chunks for element in chunk]


async def collected(stream):
    return [chunk async for chunk in stream]


@pytest.mark.parametrize("text", CASES)
def test_the_elements_are_those_of_langchain(text):
    assert CommaSeparatedListOutputParser().invoke(text) == Theirs().invoke(text)


@given(TEXTS)
def test_the_elements_are_those_of_a_csv_reader(text):
    rows = csv.reader(StringIO(text), skipinitialspace=True)
    assert CommaSeparatedListOutputParser().parse(text) == joined(rows)


@given(TEXTS, st.lists(st.integers(0, 24), max_size=4))
def test_where_the_text_is_cut_makes_no_difference(text, cuts):
    at = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in pairwise(at)]
    chunks = list(CommaSeparatedListOutputParser().transform(iter(pieces)))
    assert joined(chunks) == CommaSeparatedListOutputParser().invoke(text)
    assert all(len(chunk) == 1 for chunk in chunks) or chunks == [[]]


def test_an_element_comes_with_the_comma_that_ends_it():
    pulled = []

    def pieces():
        for piece in ["re", "d, gr", "een", ', "a,', ' b"', ", c"]:
            pulled.append(piece)
            yield piece

    stream = CommaSeparatedListOutputParser().transform(pieces())
    assert [next(stream), len(pulled)] == [["red"], 2]
    assert [next(stream), len(pulled)] == [["green"], 4]
    assert [next(stream), len(pulled)] == [["a, b"], 6]
    assert list(stream) == [["c"]]


def test_after_a_model_and_before_functions_in_both_colours():
    chain = FakeListChatModel(responses=["foo, bar"]) | CommaSeparatedListOutputParser()
    assert chain.invoke("") == ["foo", "bar"]
    assert list(chain.stream("")) == [["foo"], ["bar"]]
    assert asyncio.run(collected(chain.astream(""))) == [["foo"], ["bar"]]
    for both in (chain | len, chain | RunnableParallel(n=len) | (lambda d: d["n"])):
        assert list(both.stream("")) == [2] == [both.invoke("")]


def test_an_empty_text_is_an_empty_list_for_what_comes_next():
    chain = CommaSeparatedListOutputParser() | RunnableLambda(len)
    assert chain.invoke("") == 0
    assert list(chain.transform(iter([""]))) == [0]


def test_a_parse_of_ones_own_counts_while_streaming_too():
    parser = Loud()
    assert list(parser.transform(iter("a,b"))) == [["A", "B"]]
    assert asyncio.run(collected((StrOutputParser() | parser).astream("a,b"))) == [["A", "B"]]
    assert parser.explain().steps[0].kind == "barrier"
    assert CommaSeparatedListOutputParser().explain().steps[0].kind == "streams"


def test_what_it_says_of_itself():
    parser = CommaSeparatedListOutputParser()
    assert parser._type == "comma-separated-list"
    assert "comma" in parser.get_format_instructions()


# ---------------------------------------------------------------------- numbered, Markdown, others

BY_LINE = [NumberedListOutputParser, MarkdownListOutputParser]
BOTH = pytest.mark.parametrize("kind", BY_LINE, ids=lambda kind: kind.__name__)
LINES = st.text(alphabet="12.-* a\n\r\t", max_size=40) | st.lists(
    st.sampled_from(["1. ", "22.", "\n", "- ", "* ", "red", " ", "-", "\n\n", "3.\n", "\t- "])
).map("".join)


class Semicolons(ListOutputParser):
    """One of a user's, with `parse_iter` only."""

    def parse_iter(self, text):
        return re.finditer(r"([^;]+)", text)


class Words(ListOutputParser):
    """One of a user's, with `parse` only."""

    def parse(self, text):
        return text.split()


def in_pieces(parser, pieces):
    return list(parser.transform(iter(pieces)))


@BOTH
@given(text=LINES)
def test_the_elements_of_lines_are_those_of_langchain(kind, text):
    reference = getattr(theirs, kind.__name__)()
    assert kind().invoke(text) == reference.invoke(text)


@BOTH
@given(text=LINES, data=st.data())
def test_the_stream_of_lines_is_that_of_langchain(kind, text, data):
    """LangChain holds an element until the next one; what comes is the same, and `[]` for none."""
    pieces = cut_text(text, data.draw)
    ours = in_pieces(kind(), pieces)
    reference = list(getattr(theirs, kind.__name__)().transform(iter([text])))
    assert ours == (reference or [[]])


@pytest.mark.parametrize(
    "parser",
    [
        NumberedListOutputParser(),
        MarkdownListOutputParser(),
        NumberedListOutputParser(pattern=r"\d\. ?([^\n]*)"),
        MarkdownListOutputParser(pattern=r"^- .+$"),
        Semicolons(),
        Words(),
    ],
    ids=str,
)
@every_colour
@given(text=LINES, data=st.data())
def test_cut_anywhere_in_every_colour(colour, parser, text, data):
    pieces = cut_text(text, data.draw)

    def body(doors):
        whole = doors.invoke(parser, text)
        assert joined(doors.transform(parser, pieces)) == whole
        assert joined(doors.stream(parser, text)) == whole

    colour.run(body)


def test_an_element_comes_with_the_end_of_its_line():
    pulled = []

    def pieces():
        for piece in ["List:\n1", ". re", "d\n\n2. gr", "een\n", "3. blue"]:
            pulled.append(piece)
            yield piece

    stream = NumberedListOutputParser().transform(pieces())
    assert [next(stream), len(pulled)] == [["red"], 3]
    assert [next(stream), len(pulled)] == [["green"], 4]
    assert list(stream) == [["blue"]]


def test_an_element_of_a_pattern_comes_when_the_next_one_has_begun():
    pulled = []

    def pieces():
        for piece in ["a", "b;", "c", "d"]:
            pulled.append(piece)
            yield piece

    stream = Semicolons().transform(pieces())
    assert [next(stream), len(pulled)] == [["ab"], 3]
    assert list(stream) == [["cd"]]
    assert Semicolons().explain().steps[0].kind == "streams"
    assert Words().explain().steps[0].kind == "barrier"


def test_a_pattern_without_groups_gives_what_it_matches():
    parser = NumberedListOutputParser(pattern="[a-z]+")
    assert (
        parser.invoke("ab 1 c")
        == ["ab", "c"]
        == theirs.NumberedListOutputParser(pattern="[a-z]+").invoke("ab 1 c")
    )
    assert in_pieces(parser, "ab 1 c") == [["ab"], ["c"]]


def test_a_pattern_sees_what_is_before_the_rest():
    """`^` must not match where the text was cut off behind the last element."""
    parser = MarkdownListOutputParser(pattern=r"^(\w)")
    assert parser.invoke("ab\ncd") == ["a", "c"] == joined(in_pieces(parser, "ab\ncd"))


def test_a_pattern_that_is_none_is_refused():
    with pytest.raises(ValidationError, match="is no regular expression") as caught:
        NumberedListOutputParser(pattern="(")
    assert "NumberedListOutputParser(pattern='(')" in str(caught.value)


def test_a_class_that_says_nothing_says_so():
    class Silent(ListOutputParser):
        pass

    with pytest.raises(InputError, match=r"Silent does not say how to parse: define parse\(text\)"):
        Silent().invoke("a")


def test_a_subclass_that_searches_in_its_own_way():
    class Loudly(NumberedListOutputParser):
        def parse(self, text):
            return [element.upper() for element in super().parse(text)]

    class Roman(NumberedListOutputParser):
        def parse_iter(self, text):
            return re.finditer(r"[IVX]+\. (.*)", text)

    assert in_pieces(Loudly(), "1. a\n2. b") == [["A", "B"]]
    assert in_pieces(Roman(), "I. a\nII. b") == [["a"], ["b"]]
    assert Roman().invoke("I. a\nII. b") == ["a", "b"]


def test_messages_and_what_comes_next():
    pieces = [
        AIMessageChunk(content="- a\n"),
        AIMessageChunk(content=[{"type": "text", "text": "- b"}]),
    ]
    assert in_pieces(MarkdownListOutputParser(), pieces) == [["a"], ["b"]]
    chain = FakeListChatModel(responses=["1. a\n2. b"]) | NumberedListOutputParser() | len
    assert list(chain.stream("")) == [2] == [chain.invoke("")]


@pytest.mark.parametrize(
    ("parser", "line"),
    [
        (NumberedListOutputParser(), "1. some words of it\n"),
        (MarkdownListOutputParser(), "- some words of it\n"),
        (NumberedListOutputParser(), "1"),
        (MarkdownListOutputParser(), "\n"),
        (MarkdownListOutputParser(), " "),
        (Semicolons(), "a"),
        (Semicolons(), "some words of it;"),
    ],
    ids=repr,
)
def test_twice_the_text_costs_twice(parser, line):
    def pieces(size):
        text = line * (size // len(line))
        return [text[i : i + 4] for i in range(0, len(text), 4)]

    def run(source):
        for _ in parser.transform(source):
            pass

    assert_linear(run, pieces, 4_000)


@BOTH
def test_what_those_by_line_say_of_themselves(kind):
    assert kind()._type == getattr(theirs, kind.__name__)()._type
    example = kind().get_format_instructions()
    assert kind().parse(example) == ["red", "green"]
    assert repr(kind()) == f"{kind.__name__}()"
