"""`JsonOutputParser`: growing values, the failure at the end, and subclasses with a `parse`."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.output_parsers import JsonOutputParser as Theirs
from pydantic import BaseModel, Field

from headrace.errors import ConfigError, ModelRefusalError, OutputParserException
from headrace.language_models import FakeListChatModel
from headrace.messages import AIMessage
from headrace.output_parsers import JsonOutputParser, StrOutputParser
from headrace.outputs import ChatGeneration, Generation
from headrace.runnables import RunnableLambda, RunnableParallel, RunnablePick


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


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text("abé", max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("xy", max_size=2), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text("xy"), VALUES, max_size=3), st.lists(st.integers(1, 60), max_size=8))
def test_a_stream_of_values_is_that_of_langchain(document, cuts):
    text = json.dumps(document, ensure_ascii=False)
    at = sorted({0, len(text), *(c for c in cuts if c < len(text))})
    pieces = [text[a:b] for a, b in pairwise(at)]
    theirs = list(Theirs().transform(iter(pieces)))
    ours = list(JsonOutputParser().transform(iter(pieces)))
    assert ours[-1] == theirs[-1] == document
    # Where ours shows more, it is what has begun: half a literal shows in neither, half a number in
    # both, and an empty string as soon as its quote is there.
    assert [value for value in theirs if value not in ours] == []


class Joke(BaseModel):
    """A joke."""

    setup: str = Field(description="何か")


def test_a_schema_only_informs():
    parser = JsonOutputParser(pydantic_object=Joke)
    assert parser.invoke('{"other": 1}') == {"other": 1}
    told = parser.get_format_instructions()
    assert "何か" in told
    assert "setup" in told
    assert "JSON" in JsonOutputParser().get_format_instructions()
    assert (
        JsonOutputParser(pydantic_object=list[Joke]).get_format_instructions().count("setup") == 2
    )
    assert JsonOutputParser(Joke).pydantic_object is Joke


def test_what_is_wrong_is_told_with_text_position_and_what_was_expected():
    for text, words in [
        ('{"a" 1}', "character 5: expected ':' after the key, found '1'"),
        ("[1, 2", "character 5: expected .*, the text ends there"),
        ("Sorry.", "expected a JSON value"),
    ]:
        with pytest.raises(OutputParserException, match=words) as info:
            JsonOutputParser().invoke(text)
        assert info.value.llm_output == text
        assert text in str(info.value)


def test_a_result_by_hand_whole_and_partial():
    parser = JsonOutputParser()
    assert parser.parse_result([Generation(text='{"a": 1}')]) == {"a": 1}
    assert parser.parse_result([Generation(text='{"a": [1')], partial=True) == {"a": [1]}
    assert parser.parse_result([Generation(text="no")], partial=True) is None
    with pytest.raises(OutputParserException):
        parser.parse_result([Generation(text='{"a": [1')])
    refusal = AIMessage(
        "", response_metadata={"stop_reason": "refusal", "stop_details": {"k": "x"}}
    )
    for partial in (False, True):
        with pytest.raises(ModelRefusalError, match="k 'x'"):
            parser.parse_result([ChatGeneration(message=refusal)], partial=partial)


def test_a_parse_result_of_ones_own_is_asked_for_all_so_far_as_in_langchain():
    def over(base):
        class Keys(base):
            def parse_result(self, result, *, partial=False):
                found = super().parse_result(result, partial=partial)
                return None if found is None else sorted(found)

        return Keys()

    text = '{"b": 1, "a": {"c": 2}}'
    assert list(over(JsonOutputParser).transform(iter(text))) == [[], ["b"], ["a", "b"]]
    assert list(over(Theirs).transform(iter(text))) == [[], ["b"], ["a", "b"]]
    assert over(JsonOutputParser).invoke(text) == ["a", "b"]


@pytest.mark.parametrize("emit", ["partial", "delimited"])
def test_null_is_shown_when_the_text_has_ended(emit):
    """Nothing else would tell a step behind it that there was an answer."""
    assert list(JsonOutputParser(emit=emit).transform(iter("null"))) == [None]
    assert list(JsonOutputParser(emit=emit, diff=True).transform(iter("null"))) == [
        [{"op": "replace", "path": "", "value": None}]
    ]
    assert list(JsonOutputParser(emit=emit).transform(iter("[null]"))) == [[], [None]]


@pytest.mark.parametrize("emit", ["partial", "delimited"])
def test_a_path_with_what_grows_is_refused(emit):
    with pytest.raises(ConfigError, match=f"path='a'.*emit='{emit}'"):
        JsonOutputParser(path="a", emit=emit)
    assert JsonOutputParser(path="a", emit="complete") != JsonOutputParser(path="a")


@pytest.mark.parametrize("wrong", [3, "Page"])
def test_what_is_no_schema_is_refused_when_the_parser_is_made(wrong):
    with pytest.raises(ConfigError, match=f"{wrong!r} is no schema"):
        JsonOutputParser(pydantic_object=wrong)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2", "character 5: expected ',' or ']', the text ends there"),
        ('{"a": 2', "character 7: expected ',' or '}', the text ends there"),
        ("[1, 2.", "character 6: expected the rest of a number, the text ends there"),
        ("[1, nu", "character 6: expected the rest of the word 'nu', the text ends there"),
        ("[1, nul]", "character 7: expected the rest of the word 'nul', found ']'"),
        ("[nullx]", "character 5: expected the end of the word 'null', found 'x'"),
    ],
)
def test_what_was_expected_of_a_number_or_a_word(text, said):
    for pieces in ([text], text):
        with pytest.raises(OutputParserException) as info:
            list(JsonOutputParser().transform(iter(pieces)))
        assert said in str(info.value)


def test_a_pick_hands_on_a_none_that_comes_after_a_value():
    """A key that comes again takes its value back, in a stream as in `invoke`."""
    text = '{"a": 12, "b": {"c": 1}, "a": null, "d": 1}'
    chain = FakeListChatModel(responses=[text]) | JsonOutputParser() | RunnablePick("a")
    assert chain.invoke("") is None
    assert (chain | (lambda seen: [seen])).invoke("") == [None]
    assert list((chain | (lambda seen: [seen])).stream("")) == [[None]]
    nested = {"x": FakeListChatModel(responses=[text]) | JsonOutputParser()}
    behind = RunnableParallel(nested) | RunnablePick("x") | RunnablePick("a") | (lambda v: [v])
    assert list(behind.stream("")) == [[None]]
