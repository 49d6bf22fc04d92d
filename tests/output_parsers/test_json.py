"""`JsonOutputParser`: growing values, the failure at the end, and subclasses with a `parse`."""

from __future__ import annotations

import asyncio

import pytest

from headrace.errors import OutputParserException
from headrace.language_models import FakeListChatModel
from headrace.output_parsers import JsonOutputParser, StrOutputParser
from headrace.runnables import RunnableLambda, RunnableParallel


class Doubled(JsonOutputParser):
    def parse(self, text):
        return [value * 2 for value in super().parse(text)]


async def collected(stream):
    return [chunk async for chunk in stream]


def test_the_value_grows_and_the_last_one_is_the_value():
    model = FakeListChatModel(responses=['{"a": [1, "xy"]}'])
    chain = model | JsonOutputParser()
    want = [{}, {"a": []}, {"a": [1]}, {"a": [1, ""]}, {"a": [1, "x"]}, {"a": [1, "xy"]}]
    assert list(chain.stream("")) == want
    assert asyncio.run(collected(chain.astream(""))) == want
    assert chain.invoke("") == want[-1]


@pytest.mark.parametrize("text", ['{"a": 1', "[1, 2", "no JSON at all", '{"a": }'])
def test_text_that_is_no_json_fails_in_invoke_and_at_the_end_of_a_stream(text):
    with pytest.raises(OutputParserException) as info:
        JsonOutputParser().invoke(text)
    assert info.value.llm_output == text
    with pytest.raises(OutputParserException):
        list(JsonOutputParser().transform(iter(text)))


def test_a_function_behind_it_gets_the_value_and_not_a_sum_of_partial_ones():
    text = "[1, 2, 3]"
    for chain in (
        JsonOutputParser() | RunnableLambda(list),
        JsonOutputParser() | RunnableParallel(a=list) | (lambda both: both["a"]),
    ):
        assert list(chain.transform(iter(text))) == [[1, 2, 3]]
        assert chain.invoke(text) == [1, 2, 3]


def test_a_parse_of_ones_own_counts_while_streaming_too():
    parser = Doubled()
    assert parser.invoke("[1, 2]") == [2, 4]
    assert list(parser.transform(iter("[1, 2]"))) == [[2, 4]]
    assert asyncio.run(collected((StrOutputParser() | parser).astream("[1, 2]"))) == [[2, 4]]
    assert parser.explain().steps[0].kind == "barrier"
