"""`CommaSeparatedListOutputParser`: elements by the rules of CSV, each out once complete."""

from __future__ import annotations

import asyncio
import csv
from io import StringIO
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.output_parsers import CommaSeparatedListOutputParser as Theirs

from headrace.language_models import FakeListChatModel
from headrace.output_parsers import CommaSeparatedListOutputParser, StrOutputParser
from headrace.runnables import RunnableLambda, RunnableParallel

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
