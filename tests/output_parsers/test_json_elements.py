"""`JsonOutputParser(emit=...)`: delimited values, complete elements, elements at a path."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError, OutputParserException
from headrace.language_models import FakeListChatModel
from headrace.output_parsers import JsonOutputParser
from headrace.runnables import (
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from laws.colours import every_colour

COUNTRIES = {
    "countries": [
        {"name": "France", "population": 67391582},
        {"name": "Spain", "population": 47351567},
        {"name": "Japan", "population": 125584838},
    ]
}
TEXT = json.dumps(COUNTRIES)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text('ab\\"', max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xy", max_size=2), inner),
    max_leaves=10,
)
CUTS = st.lists(st.integers(1, 60), max_size=8)


def cut(text, cuts):
    at = sorted({0, len(text), *(c for c in cuts if c < len(text))})
    return [text[a:b] for a, b in pairwise(at)]


def grows(before, after):
    """Whether nothing of `before` is taken back in `after`: law 9."""
    if isinstance(before, str):
        return isinstance(after, str) and after.startswith(before)
    if isinstance(before, list):
        return (
            isinstance(after, list) and len(before) <= len(after) and all(map(grows, before, after))
        )
    if isinstance(before, dict):
        return isinstance(after, dict) and all(
            key in after and grows(value, after[key]) for key, value in before.items()
        )
    return type(before) is type(after) and before == after


@every_colour
def test_each_name_comes_once_and_whole(colour):
    def body(doors):
        chain = FakeListChatModel(responses=[TEXT]) | JsonOutputParser(path="countries[*].name")
        assert doors.stream(chain, "") == ["France", "Spain", "Japan"]
        assert doors.invoke(chain, "") == COUNTRIES

    colour.run(body)


def test_an_element_comes_with_the_character_that_closes_it():
    read = []

    def pieces():
        for piece in ['{"countries": [{"name": "Fr', 'ance"', ', "p": 1}, {"name": "Spain"', "}]}"]:
            read.append(piece)
            yield piece

    stream = JsonOutputParser(path="countries[*].name").transform(pieces())
    assert [next(stream), len(read)] == ["France", 2]
    assert [next(stream), len(read)] == ["Spain", 3]
    assert list(stream) == []


@pytest.mark.parametrize(
    ("document", "elements"),
    [
        ([1, "ab", [2, 3], {"a": 1}, None], [1, "ab", [2, 3], {"a": 1}, None]),
        ({"a": 1, "b": [1, 2]}, [{"a": 1}, {"b": [1]}, {"b": [2]}]),
        ({"a": [], "b": {"c": [1, 2]}}, [{"a": []}, {"b": {"c": [1, 2]}}]),
        (COUNTRIES, [{"countries": [country]} for country in COUNTRIES["countries"]]),
        ([], []),
        ({}, []),
        ("text", ["text"]),
        (12, [12]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 99])
def test_without_a_path_the_elements_are_those_of_the_root(document, elements, size):
    text = json.dumps(document)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert list(JsonOutputParser(emit="complete").transform(iter(pieces))) == elements


@given(VALUES, CUTS)
def test_complete_elements_add_up_to_the_value(value, cuts):
    pieces = cut(json.dumps({"k": value, "l": [value]}), cuts)
    chunks = list(JsonOutputParser(emit="complete").transform(iter(pieces)))
    items = [{"k": [item]} for item in value] if isinstance(value, list) and value else None
    assert chunks == [*(items or [{"k": value}]), {"l": [value]}]


@given(VALUES, CUTS)
def test_where_the_text_is_cut_makes_no_difference_to_elements(value, cuts):
    text = json.dumps({"k": [value, value], "l": {"k": value}})
    pieces = cut(text, cuts)
    for path, want in [("k[*]", [value, value]), ("l.k", [value]), ("k[1]", [value])]:
        assert list(JsonOutputParser(path=path).transform(iter(pieces))) == want


@given(VALUES, CUTS)
def test_delimited_values_take_nothing_back_and_end_with_the_value(value, cuts):
    document = {"k": value, "n": 12.5}
    pieces = cut(json.dumps(document), cuts)
    shown = list(JsonOutputParser(emit="delimited").transform(iter(pieces)))
    assert shown[-1] == document
    assert all(grows(a, b) for a, b in pairwise(shown))


def test_delimited_numbers_come_when_their_end_is_seen():
    shown = list(JsonOutputParser(emit="delimited").transform(iter('{"a": 67, "b": "xy"}')))
    assert {"a": 6} not in shown
    assert shown == [{}, {"a": 67}, {"a": 67, "b": ""}, {"a": 67, "b": "x"}, {"a": 67, "b": "xy"}]


@every_colour
@pytest.mark.parametrize(
    "settings", [{"emit": "complete"}, {"path": "countries[*]"}, {"emit": "delimited"}]
)
def test_a_step_behind_gets_the_value_that_invoke_gives(settings, colour):
    def body(doors):
        parser = JsonOutputParser(**settings)
        model = FakeListChatModel(responses=[TEXT])
        for chain in (
            model | parser | RunnableLambda(dict),
            model | RunnableParallel(v=parser, w=parser) | (lambda both: both["v"]),
            model | parser | RunnablePassthrough() | RunnableLambda(dict),
            model | RunnableLambda(lambda _: parser) | RunnableLambda(dict),
        ):
            assert doors.stream(chain, "") == [COUNTRIES]
            assert doors.invoke(chain, "") == COUNTRIES

    colour.run(body)


@every_colour
@pytest.mark.parametrize("text", ["[]", "{}", '{"a": 1}'])
def test_a_step_behind_gets_the_value_even_where_no_element_came(text, colour):
    def body(doors):
        chain = JsonOutputParser(path="b[*]") | RunnableLambda(lambda value: [value])
        assert doors.transform(chain, list(text)) == [[json.loads(text)]]
        assert doors.invoke(chain, text) == [json.loads(text)]

    colour.run(body)


@every_colour
def test_a_generator_behind_sees_elements_in_stream_and_in_invoke(colour):
    def body(doors):
        def loud(names):
            for name in names:
                yield [name.upper()]

        async def aloud(names):
            async for name in names:
                yield [name.upper()]

        chain = JsonOutputParser(path="countries[*].name") | RunnableGenerator(loud, aloud)
        assert doors.transform(chain, list(TEXT)) == [["FRANCE"], ["SPAIN"], ["JAPAN"]]
        assert doors.invoke(chain, TEXT) == ["FRANCE", "SPAIN", "JAPAN"]

    colour.run(body)


@pytest.mark.parametrize("settings", [{"emit": "complete"}, {"path": "countries[*].name"}])
def test_the_end_event_has_the_value(settings):
    ends = []
    parser = JsonOutputParser(**settings).with_listeners(
        on_end=lambda run: ends.append(run.outputs)
    )
    list(parser.transform(iter(TEXT)))
    assert ends in ([COUNTRIES], [{"output": COUNTRIES}])


def test_what_is_wrong_is_said_at_the_end_after_the_elements():
    stream = JsonOutputParser(emit="complete").transform(iter('[1, {"a": 2}, oops]'))
    assert [next(stream), next(stream)] == [1, {"a": 2}]
    with pytest.raises(OutputParserException, match="character 14: expected a JSON value") as info:
        next(stream)
    assert info.value.llm_output == '[1, {"a": 2}, oops]'


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"path": "a[*"}, "cannot be read at character 1"),
        ({"path": "a..b"}, "cannot be read"),
        ({"path": "a", "emit": "delimited"}, "leave one of them out"),
        ({"emit": "complete", "diff": True}, "leave out diff=True or emit"),
        ({"path": "a", "diff": True}, "leave out diff=True or path"),
    ],
)
def test_settings_that_make_no_sense_are_refused_when_it_is_made(settings, words):
    with pytest.raises(ConfigError, match=words):
        JsonOutputParser(**settings)
    with pytest.raises(ValueError, match="growing"):
        JsonOutputParser(emit="growing")


def test_a_repeated_key_is_an_element_each_time_and_the_last_one_counts():
    text = '{"a": 1, "b": 2, "a": 3}'
    parser = JsonOutputParser(emit="complete")
    assert list(parser.transform(iter(text))) == [{"a": 1}, {"b": 2}, {"a": 3}]
    assert parser.invoke(text) == {"a": 3, "b": 2}
